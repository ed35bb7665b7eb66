"""What a whole checkpoint is, and what its file says about it. Must not know state files or Savers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ckpt.core import storage
from ckpt.core.errors import CkptError, NotFoundError, OpError
from ckpt.formats import detect
from ckpt.saver.retention import Saved, numbered
from ckpt.wire import metagraph_file

META_SUFFIX = "meta_graph_suffix"  # key in a checkpoint's metadata: the MetaGraph file that was written with it
METRICS = "metrics"  # key in a checkpoint's metadata: JSON, name to number
_LARGEST_META = 1 << 31


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a checkpoint is not whole; `keeps_values` when its variables can be restored all the same."""

    reason: str
    keeps_values: bool


def problem_of(prefix: str, *, every_byte: bool) -> Problem | None:
    """What is wrong with a checkpoint; None when it is whole: its file, and the MetaGraph file written with it.

    `every_byte` reads and verifies all of it, else the header, the index and the lengths are checked.
    """
    try:
        file = detect.resolve(prefix)
        with detect.open_reader(file) as reader:
            if every_byte:
                _read_all(reader)
            return _problem_of_meta(prefix, reader, every_byte=every_byte)
    except NotFoundError as error:
        return Problem(f"its files are gone: {error}", keeps_values=False)
    except OpError as error:
        return Problem(str(error), keeps_values=False)


def _read_all(reader: Any) -> None:
    if hasattr(reader, "verify"):
        reader.verify()
        return
    for name in reader.names():
        reader.read(name)


def _problem_of_meta(prefix: str, reader: Any, *, every_byte: bool) -> Problem | None:
    suffix = reader.metadata().get(META_SUFFIX)
    if not suffix:
        return None
    path = f"{prefix}.{suffix}"
    try:
        data = storage.read_file(path, limit=_LARGEST_META)
        if every_byte and data != reader.metagraph():
            metagraph_file.load(data, path)  # another one than was saved, but sealed
    except NotFoundError:
        return Problem(f"{path} is missing", keeps_values=True)
    except CkptError as error:
        return Problem(str(error), keeps_values=True)
    return None


def described(prefix: str) -> Saved:
    """Time, step and metrics of a checkpoint that exists, as its file says; a file that cannot be read tells its time."""
    time = storage.modified(detect.resolve(prefix))
    try:
        with detect.open_reader(prefix) as reader:
            metadata = dict(reader.metadata())
    except OpError:
        metadata = {}
    step = metadata.get("step", "")
    return Saved(
        prefix,
        time,
        int(step) if step.isascii() and step.isdigit() else numbered(prefix),
        metrics_from(metadata.get(METRICS, "")),
    )


def step_of(prefix: str) -> int | None:
    """The step of a checkpoint: what its file says, else what its name ends with."""
    try:
        return described(prefix).step
    except OpError:
        return numbered(prefix)


def prefixes_among(names: Iterable[str]) -> list[str]:
    """The prefixes of the checkpoints among the names of a directory's files, each once."""
    suffixes = [suffix for known in detect.FORMATS for suffix in known.suffixes]
    return list(
        dict.fromkeys(
            name.removesuffix(suffix)
            for name in names
            for suffix in suffixes
            if name.endswith(suffix) and len(name) > len(suffix) and not name.startswith(".")
        )
    )


def metrics_text(metrics: dict[str, Any] | None) -> str:
    """Metrics as they are kept in a checkpoint's metadata. Raises TypeError or ValueError for what is no number."""
    plain = {}
    for name, value in (metrics or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"the name of a metric is {name!r}; expected a text")
        try:
            plain[name] = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"metric {name!r} is {value!r}; expected a number") from None
    return json.dumps(plain, sort_keys=True)


def metrics_from(text: str) -> dict[str, float]:
    """The metrics in a checkpoint's metadata; {} where there are none, and for what is not ours."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, float)}
