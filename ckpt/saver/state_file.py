"""The state file `checkpoint`: which checkpoints a directory has, in TensorFlow's text form, sealed.

Must not know Savers, sessions or what a checkpoint holds. Field names: TensorFlow's
python/training/checkpoint_state.proto.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ckpt.core import storage
from ckpt.core.atomic import StrPath
from ckpt.core.checksum import crc32c
from ckpt.core.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from ckpt.formats import detect

DEFAULT_NAME = "checkpoint"

_LIMIT = 16 * 1024 * 1024  # bytes
_SEAL = re.compile(rb"# crc32c: ([0-9a-f]{8})\n\Z")
_SEALED = "  # sealed by the last line; remove both comments to edit"
_TOKEN = re.compile(
    r"""[\s,;]+ | \#[^\n]* | (?P<key>[A-Za-z_]\w*)[ \t]*:
    | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*') | (?P<number>[-+]?[\w.][\w.+-]*)""",
    re.VERBOSE,
)
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


@dataclass(slots=True)
class CheckpointState:
    """TensorFlow's message of this name; paths that `get_checkpoint_state` returns are joined and usable."""

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: list[str] = field(default_factory=list)
    all_model_checkpoint_timestamps: list[float] = field(default_factory=list)
    last_preserved_timestamp: float = 0.0


def latest_checkpoint(checkpoint_dir: StrPath, latest_filename: str | None = None) -> str | None:
    """The prefix of the newest checkpoint in a directory that still has its files, or None.

    Raises DataLossError when the state file is damaged: then nobody knows which is the newest.
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    newest_first = [state.model_checkpoint_path, *reversed(state.all_model_checkpoint_paths)]
    return next((path for path in newest_first if checkpoint_exists(path)), None)


def get_checkpoint_state(
    checkpoint_dir: StrPath, latest_filename: str | None = None
) -> CheckpointState | None:
    """What the state file says, paths joined to the directory; None when there is no state file."""
    state = read_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    file = _state_path(checkpoint_dir, latest_filename)
    directory = os.fspath(checkpoint_dir)
    state.model_checkpoint_path = _joined(directory, state.model_checkpoint_path, file)
    state.all_model_checkpoint_paths = [
        _joined(directory, path, file) for path in state.all_model_checkpoint_paths
    ]
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
        state = _parse(data.decode())
    except ValueError as error:
        raise _damaged(path, f"cannot be read: {error}") from error
    if not state.model_checkpoint_path:
        raise _damaged(path, "names no model_checkpoint_path")
    if state.model_checkpoint_path not in state.all_model_checkpoint_paths:
        state.all_model_checkpoint_paths.append(state.model_checkpoint_path)
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
    """A CheckpointState whose paths are relative to `save_dir` where they lie in it.

    Raises ValueError when the timestamps do not match the paths, as TensorFlow does.
    """
    paths = list(all_model_checkpoint_paths or [])
    times = list(all_model_checkpoint_timestamps or [])
    if times and len(times) != len(paths):
        raise InvalidStateError(len(times), len(paths))
    if model_checkpoint_path not in paths:
        paths.append(model_checkpoint_path)
        if times:
            times.append(time.time())
    directory = os.fspath(save_dir)
    return CheckpointState(
        _relative(directory, model_checkpoint_path),
        [_relative(directory, path) for path in paths],
        times,
        last_preserved_timestamp or 0.0,
    )


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
    """Make `model_checkpoint_path` the latest checkpoint of `save_dir`."""
    state = generate_checkpoint_state_proto(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )
    write_state(save_dir, state, latest_filename, durable=durable)


def checkpoint_exists(checkpoint_prefix: StrPath) -> bool:
    """True when there is a checkpoint file for the prefix, in any format known. Raises OpError where nobody can tell."""
    name = os.fspath(checkpoint_prefix)
    if "\0" in name:
        return False
    try:
        return storage.is_file(detect.resolve(name))
    except (NotFoundError, InvalidArgumentError):
        return False


def _state_path(directory: StrPath, latest_filename: str | None) -> str:
    return storage.joined(directory, latest_filename or DEFAULT_NAME)


def _joined(directory: str, path: str, file: str) -> str:
    base = storage.split(path)[1]
    is_absolute = os.path.isabs(path) or storage.is_remote(path)
    if base in ("", ".", "..") or "\0" in path or (base != path and not is_absolute):
        raise _damaged(
            file, f"names the checkpoint {path!r}, which is not a base name in its directory"
        )
    here = storage.joined(directory, base)
    # an absolute path is what TensorFlow writes for absolute save paths; the directory may have moved since
    if base == path or (not _is_reachable(path) and checkpoint_exists(here)):
        return here
    return path


def _is_reachable(path: str) -> bool:
    try:
        return checkpoint_exists(path)
    except PermissionDeniedError:
        return False


def _relative(directory: str, path: str) -> str:
    """The base name of a checkpoint in this directory; of one elsewhere, the absolute path."""
    if storage.is_remote(path):
        above, name = storage.split(path)
        return name if above.rstrip("/") == directory.rstrip("/") else path
    same = os.path.abspath(os.path.dirname(path)) == os.path.abspath(directory)
    return os.path.basename(path) if same or not os.path.dirname(path) else os.path.abspath(path)


def _print(state: CheckpointState) -> bytes:
    lines = [f"model_checkpoint_path: {_quoted(state.model_checkpoint_path)}{_SEALED}"]
    lines += [
        f"all_model_checkpoint_paths: {_quoted(path)}" for path in state.all_model_checkpoint_paths
    ]
    lines += [
        f"all_model_checkpoint_timestamps: {t!r}"
        for t in map(float, state.all_model_checkpoint_timestamps)
    ]
    if state.last_preserved_timestamp:
        lines.append(f"last_preserved_timestamp: {float(state.last_preserved_timestamp)!r}")
    return "".join(line + "\n" for line in lines).encode()


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
    if not data.endswith(b"\n"):
        raise _damaged(path, "was cut short" if data else "is empty")
    seal = _SEAL.search(data)
    if seal is None:
        if b"#" in re.sub(rb'"(?:[^"\\\n]|\\.)*"', b"", data):
            raise _damaged(path, "has lost its checksum line")
        return
    if crc32c(data[: seal.start()]) != int(seal[1], 16):
        raise _damaged(path, "does not match its checksum")


def _damaged(path: str, found: str) -> DataLossError:
    return DataLossError(
        None,
        None,
        f"{path}: the state file {found}. The checkpoints beside it are not affected: restore one by its own "
        "name, or write the state file anew with update_checkpoint_state; if it was edited on purpose, remove "
        "its comments (from each # to the end of the line)",
    )
