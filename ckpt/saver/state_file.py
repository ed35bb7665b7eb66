"""The state file `checkpoint`: which checkpoints a directory has, in TensorFlow's text form, sealed.

Must not know Savers, sessions or what a checkpoint holds. Field names: TensorFlow's
python/training/checkpoint_state.proto.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real

from ckpt.core import storage
from ckpt.core.checksum import crc32c
from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from ckpt.core.system import StrPath
from ckpt.formats import detect
from ckpt.saver.plain_state import SEALED

DEFAULT_NAME = "checkpoint"

_LIMIT = 6 * 1024 * 1024  # bytes: 30,000 checkpoints with long names
_LONGEST = (
    1 << 15
)  # characters of a quoted text or a record: paths have 4,096 bytes, escaped four times as many
_SEAL = re.compile(rb"# crc32c: ([0-9a-f]{8})\n\Z")
_RECORD = re.compile(r"^# ckpt: (\{.*\})$", re.MULTILINE)
_TOKEN = re.compile(
    rf"""[\s,;]+ | \#[^\n]* | (?P<key>[A-Za-z_]\w*)[ \t]*:
    | (?P<text>"(?:[^"\\\n]|\\.){{0,{_LONGEST}}}"|'(?:[^'\\\n]|\\.){{0,{_LONGEST}}}')
    | (?P<number>[-+]?[\w.][\w.+-]*)""",
    re.VERBOSE,
)
_QUOTED = re.compile(rb'"(?:[^"\\\n]|\\.){0,%d}"' % _LONGEST)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", re.DOTALL)
_ESCAPES = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
}


log = logging.getLogger("ckpt")

lock = threading.RLock()
"""Of this process: who changes a state file holds it from reading the old one to writing the new one."""
os.register_at_fork(after_in_child=lambda: globals().update(lock=threading.RLock()))


@dataclass(frozen=True, slots=True)
class Record:
    """What TensorFlow's fields cannot say about a checkpoint: it is pinned, an interval of
    keep_checkpoint_every_n_hours keeps it for good, another Saver of this directory remembers it, or it is about to be
    deleted together with its MetaGraph file, whose suffix `deleted` is then.
    """

    time: float
    pinned: bool = False
    preserved: bool = False
    deleted: str = ""


@dataclass(slots=True)
class CheckpointState:
    """TensorFlow's message of this name; paths that `get_checkpoint_state` returns are joined and usable.

    `records` is ckpt's own; in the file it is comments, which TensorFlow passes over. As text it is TensorFlow's.
    """

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: list[str] = field(default_factory=list)
    all_model_checkpoint_timestamps: list[float] = field(default_factory=list)
    last_preserved_timestamp: float = 0.0
    records: dict[str, Record] = field(default_factory=dict)

    def __str__(self) -> str:
        """The fields as TensorFlow's text form has them."""
        return "".join(f"{line}\n" for line in _lines(self))


def get_checkpoint_state(
    checkpoint_dir: StrPath, latest_filename: str | None = None
) -> CheckpointState | None:
    """What the state file says, paths joined to the directory; None when there is no state file.

    An absolute path that leads nowhere becomes the same name in this directory, where there is one. Raises
    DataLossError when the file is damaged.
    """
    state = read_state(checkpoint_dir, latest_filename)
    return None if state is None else joined_to(checkpoint_dir, state, latest_filename)


def joined_to(
    checkpoint_dir: StrPath, state: CheckpointState, latest_filename: str | None = None
) -> CheckpointState:
    """`state` itself, its paths joined to the directory. Raises DataLossError for paths that lead elsewhere."""
    file = _state_path(checkpoint_dir, latest_filename)
    directory = os.fspath(checkpoint_dir)
    state.model_checkpoint_path = _joined(directory, state.model_checkpoint_path, file)
    state.all_model_checkpoint_paths = [
        _joined(directory, path, file) for path in state.all_model_checkpoint_paths
    ]
    state.records = {
        _joined(directory, name, file): record for name, record in state.records.items()
    }
    return state


def read_state(directory: StrPath, latest_filename: str | None = None) -> CheckpointState | None:
    """The state file as it stands, paths not joined; None when it is absent. Raises DataLossError."""
    path = _state_path(directory, latest_filename)
    try:
        data = storage.read_file(path, limit=_LIMIT)
    except NotFoundError:
        return None
    _check_seal(data, path)
    try:
        text = data.decode()
        del data  # the text is as long
        state = _parse(text)
        state.records = dict(_record(found[1]) for found in _RECORD.finditer(text))
    except ValueError as error:
        raise _damaged(path, f"cannot be read: {error}") from error
    if not state.model_checkpoint_path:
        raise _damaged(path, "names no model_checkpoint_path")
    return state


def write_state(
    directory: StrPath,
    state: CheckpointState,
    latest_filename: str | None = None,
    *,
    durable: bool = True,
) -> None:
    """Write the state file atomically, as `state` stands."""
    body = _print(state)
    seal = f"# crc32c: {crc32c(body):08x}\n".encode()
    storage.write_file(_state_path(directory, latest_filename), body + seal, durable=durable)


def generate_checkpoint_state_proto(
    save_dir: StrPath,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> CheckpointState:
    """A CheckpointState with these paths; relative ones are made relative to a relative `save_dir`, as TensorFlow does.

    The latest is put at the end of the list, also of the caller's, as TensorFlow does. Raises ValueError for an empty
    path and when there are not as many timestamps as paths then, TypeError for timestamps that are no numbers.
    """
    directory = os.fspath(save_dir)
    listed = [] if all_model_checkpoint_paths is None else all_model_checkpoint_paths
    if isinstance(listed, list) and listed[-1:] != [model_checkpoint_path]:
        listed.append(model_checkpoint_path)
    return _state(
        lambda path: _stated(directory, path),
        model_checkpoint_path,
        listed,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )


def state_in(
    directory: StrPath,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> CheckpointState:
    """A CheckpointState to be written in `directory`: what lies there by its base name, so that it may move.

    Raises what `generate_checkpoint_state_proto` raises.
    """
    here = os.fspath(directory)
    return _state(
        lambda path: _relative(here, path),
        model_checkpoint_path,
        all_model_checkpoint_paths,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )


def _state(
    stated: Callable[[str], str],
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None,
    all_model_checkpoint_timestamps: Sequence[float] | None,
    last_preserved_timestamp: float | None,
) -> CheckpointState:
    paths = list(all_model_checkpoint_paths or [])
    times = list(all_model_checkpoint_timestamps or [])
    if model_checkpoint_path not in paths:
        paths.append(model_checkpoint_path)
    if not all(os.fspath(path) for path in paths):
        raise ValueError("no path specified: a checkpoint has an empty name")
    if times and len(times) != len(paths):
        raise InvalidStateError(len(times), len(paths))
    preserved = last_preserved_timestamp or 0.0
    for when in (*times, preserved):
        if not isinstance(when, Real):
            raise TypeError(f"timestamps must be numbers (seconds since 1970), not {when!r}")
    return CheckpointState(
        stated(model_checkpoint_path),
        [stated(path) for path in paths],
        [float(when) for when in times],
        float(preserved),
    )


class DamagedStateError(DataLossError, ValueError):
    """A state file is damaged or names no checkpoint; a ValueError too, as TensorFlow raises for the latter."""


class InvalidStateError(InvalidArgumentError, ValueError):
    """Timestamps and paths of a CheckpointState do not match; a ValueError, as in TensorFlow."""

    def __init__(self, times: int, paths: int) -> None:
        super().__init__(
            None,
            None,
            f"all_model_checkpoint_timestamps has {times} entries, all_model_checkpoint_paths has {paths}; "
            "give as many of each, or no timestamps",
        )


def update_checkpoint_state(
    save_dir: StrPath,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
    *,
    durable: bool = True,
) -> None:
    """Make `model_checkpoint_path` the latest checkpoint of `save_dir`.

    A name alone is one in the current directory, or, where `save_dir` is absolute, in that. What lies in `save_dir` is
    written by its base name, what lies elsewhere by its absolute path. Raises what `generate_checkpoint_state_proto`
    raises, and OpError when the file cannot be written.
    """
    state = state_in(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )
    write_state(save_dir, state, latest_filename, durable=durable)


def listed_name(path: str) -> str:
    """What the state file beside a checkpoint calls it: its base name; `./` where it has none, as `dir/`."""
    return storage.split(path)[1] or "./"


def times_of(state: CheckpointState) -> list[tuple[str, float]]:
    """(joined path, time) of everything that a state file knows, without repetition; who wrote it may list no latest."""
    paths, times = state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps
    if len(times) != len(paths):  # TensorFlow 1 writes none
        times = [0.0] * len(paths)
    known = {path: record.time for path, record in state.records.items()}
    known |= dict(zip(paths, times, strict=True))
    if state.model_checkpoint_path:
        known.setdefault(state.model_checkpoint_path, 0.0)
    return list(known.items())


def checkpoint_exists(checkpoint_prefix: StrPath) -> bool:
    """True when there is a checkpoint file for the prefix, in any format known. Raises OpError where nobody can tell."""
    name = os.fsdecode(checkpoint_prefix)
    if "\0" in name:
        return False
    try:
        return storage.is_file(detect.resolve(name))
    except (
        NotFoundError,
        InvalidArgumentError,
        FailedPreconditionError,
    ):  # no file, or no plain one
        return False


def _state_path(directory: StrPath, latest_filename: str | None) -> str:
    return storage.joined(directory, DEFAULT_NAME if latest_filename is None else latest_filename)


def _joined(directory: str, path: str, file: str) -> str:
    if path in (".", "./"):  # the first is TensorFlow's
        return storage.joined(directory or ".", "")
    base = storage.split(path.removeprefix("./"))[1]
    is_absolute = os.path.isabs(path) or storage.is_remote(path)
    if (
        base in ("", ".", "..")
        or "\0" in path
        or (path not in (base, f"./{base}") and not is_absolute)
    ):
        raise _damaged(
            file, f"names the checkpoint {path!r}, which is not a base name in its directory"
        )
    here = storage.joined(directory, base)
    # an absolute path is what TensorFlow writes for absolute save paths; the directory may have moved since
    if path in (base, f"./{base}"):
        return storage.joined(directory, path)
    if not _is_reachable(path) and checkpoint_exists(here):
        log.info("%s names %s, which is not there; taking %s", file, path, here)
        return here
    return path


def _is_reachable(path: str) -> bool:
    try:
        return checkpoint_exists(path)
    except PermissionDeniedError:
        return False


def _stated(directory: str, path: str) -> str:
    if storage.is_remote(path) or os.path.isabs(path) or os.path.isabs(directory):
        return path
    return os.path.relpath(path, directory)


def _relative(directory: str, path: str) -> str:
    """The base name of a checkpoint in this directory; of one elsewhere, the absolute path."""
    if storage.is_remote(path):
        above, _ = storage.split(path)
        return listed_name(path) if above.rstrip("/") == directory.rstrip("/") else path
    above = os.path.dirname(path)
    is_here = os.path.abspath(above) == os.path.abspath(directory)
    is_name = not above and (os.path.isabs(directory) or storage.is_remote(directory))
    return listed_name(path) if is_here or is_name else os.path.abspath(path)


def _print(state: CheckpointState) -> bytes:
    first, *rest = _lines(state)
    lines = [first + SEALED, *rest]
    lines += [f"# ckpt: {_record_text(name, record)}" for name, record in state.records.items()]
    return "".join(line + "\n" for line in lines).encode()


def _lines(state: CheckpointState) -> list[str]:
    lines = [f"model_checkpoint_path: {_quoted(state.model_checkpoint_path)}"]
    lines += [
        f"all_model_checkpoint_paths: {_quoted(path)}" for path in state.all_model_checkpoint_paths
    ]
    lines += [
        f"all_model_checkpoint_timestamps: {_number(when)}"
        for when in state.all_model_checkpoint_timestamps
    ]
    if state.last_preserved_timestamp:
        lines.append(f"last_preserved_timestamp: {_number(state.last_preserved_timestamp)}")
    return lines


def _number(when: float) -> str:
    return repr(float(when)).removesuffix(".0")


def _quoted(text: str) -> str:
    shown = (
        f"\\{byte:03o}"
        if not 32 <= byte < 127
        else f"\\{byte:c}"
        if byte in b"\"'\\"
        else chr(byte)
        for byte in text.encode()
    )
    return '"' + "".join(shown) + '"'


def _unquoted(token: str) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        if escape[:1].isdigit():
            return bytes([int(escape, 8) & 255])
        if escape[:1] in b"xX" and len(escape) > 1:
            return bytes([int(escape[1:], 16)])
        return _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(plain, token[1:-1].encode()).decode()


def _record_text(name: str, record: Record) -> str:
    notes = asdict(record)
    return json.dumps(
        {"name": name, **{key: note for key, note in notes.items() if note or key == "time"}}
    )


def _record(text: str) -> tuple[str, Record]:
    """Raises ValueError for what `_record_text` does not write."""
    if len(text) > _LONGEST:
        raise ValueError(f"a record has {len(text)} characters, expected at most {_LONGEST}")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("a record is nested") from None
    name, when = found.get("name"), found.get("time")
    if not isinstance(name, str) or not isinstance(when, float):
        raise ValueError(f"a record has no name and time: {text[:80]}")
    deleted = found.get("deleted", "")
    if not isinstance(deleted, str) or "/" in deleted or "\0" in deleted:
        raise ValueError(f"a record has a suffix that is none: {text[:80]}")
    return name, Record(when, found.get("pinned") is True, found.get("preserved") is True, deleted)


def _parse(text: str) -> CheckpointState:
    """Fields by name; fields that are not known are passed over. Raises ValueError."""
    state = CheckpointState()
    for key, value in _fields(text):
        match key:
            case "model_checkpoint_path":
                state.model_checkpoint_path = _text(key, value)
            case "all_model_checkpoint_paths":
                state.all_model_checkpoint_paths.append(_text(key, value))
            case "all_model_checkpoint_timestamps":
                state.all_model_checkpoint_timestamps.append(float(value))
            case "last_preserved_timestamp":
                state.last_preserved_timestamp = float(value)
    return state


def _text(key: str, value: str | float) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a quoted text")
    return value


def _fields(text: str) -> Iterable[tuple[str, str | float]]:
    at, key = 0, None
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or (match.lastgroup and (match["key"] is None) == (key is None)):
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"line {line} is not `name: value` at {text[at : at + 20]!r}")
        if match["key"]:
            key = match["key"]
        elif match["text"] and key:
            yield key, _unquoted(match["text"])
            key = None
        elif match["number"] and key:
            yield key, float(match["number"])
            key = None
        at = match.end()
    if key is not None:
        raise ValueError(f"{key} has no value")


def _check_seal(data: bytes, path: str) -> None:
    """Raise DataLossError unless the seal matches; files that TensorFlow wrote have no comments and no seal."""
    if not data:
        raise _damaged(path, "is empty")
    seal = _SEAL.search(data)
    if seal is None:
        if b"model_checkpoint_path" not in data:
            raise _damaged(
                path, "does not say what the latest checkpoint is; it was overwritten or cut short"
            )
        # what we write has a comment in its first line and the list behind it; what was typed may lack the last newline
        if not data.endswith(b"\n") and not re.search(rb"\sall_model_checkpoint_paths:", data):
            raise _damaged(path, "was cut short")
        if b"#" in _QUOTED.sub(b"", data):
            raise _damaged(path, "has lost its checksum line")
        return
    if crc32c(data[: seal.start()]) != int(seal[1], 16):
        raise _damaged(path, "does not match its checksum")


def _damaged(path: str, found: str) -> DamagedStateError:
    return DamagedStateError(
        None,
        None,
        f"{path}: the state file {found}. The checkpoints beside it are not affected: restore one by its own "
        "name, or have the state file written anew from the directory with `ckpt latest --rebuild DIRECTORY` "
        "(tf.train.rebuild_checkpoint_state); if it was edited on purpose, remove its comments (from each # "
        "to the end of the line)",
    )
