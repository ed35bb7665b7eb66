"""The state file `checkpoint`: which checkpoints a directory has, with paths that may move.

Must not know Savers, sessions or what a checkpoint holds. `state_text` has the text form.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real

from ckpt.core import storage
from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from ckpt.core.system import StrPath
from ckpt.formats import detect
from ckpt.saver.state_text import CheckpointState, StateTextError, parsed, printed

DEFAULT_NAME = "checkpoint"

_LIMIT = 6 * 1024 * 1024  # bytes: 30,000 checkpoints with long names
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # how an absolute path begins there
log = logging.getLogger("ckpt")

lock = threading.RLock()
"""Of this process: who changes a state file holds it from reading the old one to writing the new one."""
os.register_at_fork(after_in_child=lambda: globals().update(lock=threading.RLock()))


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
        return parsed(storage.read_file(path, limit=_LIMIT))
    except NotFoundError:
        return None
    except StateTextError as error:
        raise _damaged(path, str(error)) from error


def write_state(
    directory: StrPath,
    state: CheckpointState,
    latest_filename: str | None = None,
    *,
    durable: bool = True,
) -> None:
    """Write the state file atomically, as `state` stands; the oldest are left out where it would be too long to be read.

    Raises OpError when it cannot be written.
    """
    path = _state_path(directory, latest_filename)
    data = printed(state)
    most = known = max(len(state.all_model_checkpoint_paths), len(state.records))
    while len(data) > _LIMIT and most > 1:
        most //= 2
        data = printed(_newest(state, most))
    if most < known:
        log.warning(
            "%s has room for the newest %d of %d checkpoints; older ones stay on the disk, and no Saver looks after them",
            path,
            most,
            known,
        )
    storage.write_file(path, data, durable=durable)


def _newest(state: CheckpointState, most: int) -> CheckpointState:
    """The state without all but so many of the newest checkpoints; who is forgotten is never deleted, so pins stay."""
    records = sorted(state.records.items(), key=lambda item: item[1].time)
    old = {name for name, record in records[:-most] if not record.pinned}
    return replace(
        state,
        all_model_checkpoint_paths=state.all_model_checkpoint_paths[-most:],
        all_model_checkpoint_timestamps=state.all_model_checkpoint_timestamps[-most:],
        records={name: record for name, record in state.records.items() if name not in old},
    )


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

    A name alone is one in the current directory, or, where `save_dir` is absolute, in that. What lies in or below
    `save_dir` is written by its path from there, what lies elsewhere by its absolute path. Raises what `generate_checkpoint_state_proto`
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
    """(joined path, time) of everything that a state file knows, without repetition: first what only its records know, then
    what it lists, in that order. Who wrote it may list no latest.
    """
    paths, times = state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps
    if len(times) != len(paths):  # TensorFlow 1 writes none
        times = [0.0] * len(paths)
    listed = dict(zip(paths, times, strict=True))
    known = {path: r.time for path, r in state.records.items() if path not in listed} | listed
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
    except (NotFoundError, InvalidArgumentError, FailedPreconditionError):
        return False  # no file, or no plain one


def _state_path(directory: StrPath, latest_filename: str | None) -> str:
    return storage.joined(directory, DEFAULT_NAME if latest_filename is None else latest_filename)


def _joined(directory: str, path: str, file: str) -> str:
    if path in (".", "./"):  # the first is TensorFlow's
        return storage.joined(directory or ".", "")
    if _WINDOWS.match(path) and not checkpoint_exists(storage.joined(directory, path)):
        here = storage.joined(directory, re.split(r"[/\\]", path)[-1])
        if checkpoint_exists(here):
            return _taken(here, path, file)
    is_absolute = os.path.isabs(path) or storage.is_remote(path)
    *above, base = path.split("/")
    leads_out = not is_absolute and ".." in above
    if leads_out or not path or "\0" in path or base in (".", ".."):
        raise _damaged(file, f"names the checkpoint {path!r}, which does not lie in its directory")
    if not is_absolute:
        return storage.joined(directory, path)
    # an absolute path is what TensorFlow writes for absolute save paths; the directory may have moved since
    here = storage.joined(directory, base)
    return _taken(here, path, file) if not _is_reachable(path) and checkpoint_exists(here) else path


def _taken(here: str, path: str, file: str) -> str:
    log.info("%s names %s, which is not there; taking %s", file, path, here)
    return here


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
    """The path from this directory to a checkpoint in or below it; of one elsewhere, the absolute path."""
    if storage.is_remote(path):
        return path.removeprefix(directory.rstrip("/") + "/") or "./"
    above = os.path.dirname(path)
    is_here = os.path.abspath(above) == os.path.abspath(directory)
    is_name = not above and (os.path.isabs(directory) or storage.is_remote(directory))
    if is_here or is_name:
        return listed_name(path)
    whole = os.path.abspath(path) + "/" * path.endswith("/")
    return whole.removeprefix(os.path.join(os.path.abspath(directory), ""))


def _damaged(path: str, found: str) -> DamagedStateError:
    return DamagedStateError(
        None,
        None,
        f"{path}: the state file {found}. The checkpoints beside it are not affected: restore one by its own "
        "name, or have the state file written anew from the directory with `ckpt latest --rebuild DIRECTORY` "
        "(tf.train.rebuild_checkpoint_state); if it was edited on purpose, remove its comments (from each # "
        "to the end of the line)",
    )
