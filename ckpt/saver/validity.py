"""What a whole checkpoint is, and what its file says about it. Must not know state files or Savers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ckpt.core import storage
from ckpt.core.errors import (
    CkptError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    UnimplementedError,
)
from ckpt.core.limits import MAX_META_BYTES
from ckpt.formats import detect
from ckpt.formats.base import metagraph_of
from ckpt.formats.foreign import ForeignFileError
from ckpt.formats.hdf5 import HDF5, SHARDED_HDF5
from ckpt.formats.hdf5_layout import step_from
from ckpt.formats.missing import SUFFIXES
from ckpt.formats.shard_index import SHARD_NAME
from ckpt.saver.retention import Saved, numbered

META_SUFFIX = "meta_graph_suffix"  # key in a checkpoint's metadata: the MetaGraph file that was written with it
METRICS = "metrics"  # key in a checkpoint's metadata: JSON, name to number
_OF_THE_FILE = (  # errors that say what a file is; others say that nobody can tell at the moment
    NotFoundError,
    DataLossError,
    InvalidArgumentError,
    FailedPreconditionError,
    UnimplementedError,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a checkpoint is not whole; `keeps_values` when its variables can be restored all the same; `is_foreign` when
    it is one of another program, of which nobody here can tell whether it is.
    """

    reason: str
    keeps_values: bool
    is_foreign: bool = False


def problem_of(prefix: str, *, every_byte: bool) -> Problem | None:
    """What is wrong with a checkpoint; None when it is whole: its file, and the MetaGraph file written with it.

    `every_byte` reads and verifies all of it, else the header, the index and the lengths are checked.
    """
    try:
        file = detect.resolve(prefix)
        if not every_byte:
            return _problem_of_meta(prefix, detect.read_metadata(file), None)
        with detect.open_reader(file) as reader:
            _read_all(reader)
            return _problem_of_meta(prefix, reader.metadata(), reader)
    except NotFoundError as error:
        return Problem(f"its files are gone: {error.message}", keeps_values=False)
    except OpError as error:
        is_foreign = isinstance(error, ForeignFileError)
        return Problem(str(error), keeps_values=False, is_foreign=is_foreign)


def _read_all(reader: Any) -> None:
    if hasattr(reader, "verify"):
        reader.verify()
        return
    for name in reader.names():
        reader.read(name)


def _problem_of_meta(prefix: str, noted: Mapping[str, str], reader: Any) -> Problem | None:
    """What is wrong with the MetaGraph file; with a `reader` it is read as a whole."""
    suffix = _meta_suffix(noted)
    if not suffix:
        return None
    path = f"{prefix}.{suffix}"
    try:
        data = storage.read_file(path, limit=MAX_META_BYTES)
        if reader is not None and data != metagraph_of(reader):
            from ckpt.wire import metagraph_file  # heavy, and most checkpoints hold the same graph

            metagraph_file.load(data, path)  # another one than was saved, but sealed
    except NotFoundError:
        return Problem(f"{path} is missing", keeps_values=True)
    except CkptError as error:
        return Problem(str(error), keeps_values=True)
    return None


def described(prefix: str, *, for_deletion: bool = False) -> Saved:
    """Time, step and metrics of a checkpoint that exists, as its file says; a file that cannot be read tells its time.

    Who decides by it what to delete must not take a disk that fails for a checkpoint without metrics: `for_deletion`
    raises OpError then, and passes over damage only.
    """
    time = storage.modified(detect.resolve(prefix))
    try:
        metadata = detect.read_metadata(prefix)
    except OpError as error:
        if for_deletion and not isinstance(error, _OF_THE_FILE):
            raise
        metadata = {}
    step = step_from(metadata.get("step", ""))
    return Saved(
        prefix,
        time,
        numbered(prefix) if step is None else step,
        metrics_from(metadata.get(METRICS, "")),
    )


def meta_suffix_of(prefix: str) -> str | None:
    """What follows the prefix in the name of the MetaGraph file that was written with a checkpoint; None where nobody says."""
    try:
        return _meta_suffix(detect.read_metadata(prefix)) or None
    except OpError:
        return None


def _meta_suffix(metadata: Mapping[str, str]) -> str:
    """The suffix that is noted; "" for none, and for what would lead elsewhere and no Saver writes."""
    suffix = metadata.get(META_SUFFIX, "")
    return suffix if storage.is_name_part(suffix) else ""


def is_ours(prefix: str) -> bool:
    """True when the checkpoint is there, in a format that a Saver writes. Raises OpError where nobody can tell now."""
    try:
        return detect.recognise(detect.resolve(prefix)) in (HDF5, SHARDED_HDF5)
    except _OF_THE_FILE:
        return False


def step_of(prefix: str) -> int | None:
    """The step of a checkpoint: what its file says, else what its name ends with."""
    try:
        return described(prefix).step
    except OpError:
        return numbered(prefix)


def prefixes_among(names: Iterable[str]) -> list[str]:
    """The prefixes of the checkpoints among the names of a directory's files, each once.

    Hidden files are none, but for the one that a save to `dir/` makes, `dir/.h5`: its prefix is empty.
    """
    suffixes = [suffix for known in detect.FORMATS for suffix in known.suffixes]
    return list(
        dict.fromkeys(
            name.removesuffix(suffix)
            for name in names
            for suffix in suffixes
            if name.endswith(suffix) and (name == suffix or not name.startswith("."))
            if not SHARD_NAME.fullmatch(name)
        )
    )


def prefix_of_file(path: str) -> str:
    """The prefix of the checkpoint that a file belongs to: its values, a shard of them, its MetaGraph; else `path` itself.

    A prefix may end as a file does: `x.h5`, where there is `x.h5.h5`. Raises OpError where nobody can tell.
    """
    name = storage.split(path)[1]
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if suffix is None or any(storage.exists(path + values) for values in SUFFIXES):
        return path
    shard = SHARD_NAME.fullmatch(name)
    return path.removesuffix(name) + (shard["stem"] if shard else name.removesuffix(suffix))


def checked_metrics(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """Metrics as numbers. Raises TypeError naming every one that is none."""
    if not isinstance(metrics, Mapping | None):
        raise TypeError(
            f"metrics must be numbers by name, such as {{'loss': 0.5}}, not {metrics!r}"
        )
    plain: dict[str, float] = {}
    problems = []
    for name, value in (metrics or {}).items():
        try:
            plain[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            problems.append(f"{name!r} is {value!r}")
        if not isinstance(name, str):
            problems.append(f"{name!r} is no text")
    if problems:
        raise TypeError(f"metrics must be numbers by name: {', '.join(problems)}")
    return plain


def metadata(step: int | None, metrics: Mapping[str, float], meta_suffix: str) -> dict[str, str]:
    """What a checkpoint's file says about it: step, metrics, and which MetaGraph file was written with it."""
    found = {} if step is None else {"step": str(step)}
    if metrics:
        found[METRICS] = json.dumps(metrics, sort_keys=True)
    if meta_suffix:
        found[META_SUFFIX] = meta_suffix
    return found


def metrics_from(text: str) -> dict[str, float]:
    """The metrics in a checkpoint's metadata; {} where there are none, and for what is not ours."""
    from ckpt.wire.json_text import flat_object  # most checkpoints have none

    found = flat_object(text, 0) if text else {}
    return {name: value for name, value in found.items() if isinstance(value, float)}
