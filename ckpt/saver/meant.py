"""What a path that a user gives means: a checkpoint, the latest of a directory, the directory of a state file.

Must not know Savers or sessions. Loads no numpy.
"""

from __future__ import annotations

import logging
import os

from ckpt.core import storage
from ckpt.core.errors import InvalidArgumentError, NotFoundError, OpError
from ckpt.core.system import StrPath
from ckpt.formats import detect
from ckpt.formats.base import TensorReader, metagraph_of
from ckpt.formats.missing import SUFFIXES, similar
from ckpt.saver import latest, state_file
from ckpt.saver.validity import prefix_of_file

log = logging.getLogger("ckpt")

_STATE = b"model_checkpoint_path:"


def checkpoint_meant(path: StrPath) -> str:
    """What `path` names: itself, or the latest checkpoint of the directory or state file that it is.

    Where a directory and a checkpoint have one name (`run` and `run.h5`), the directory is meant, unless nothing in it has to
    do with checkpoints. Raises NotFoundError when there is none, DataLossError when the state file is damaged,
    InvalidArgumentError for no path.
    """
    name = _named(path)
    if storage.is_directory(name):
        return _latest_of(name)
    if is_state_file(name):
        directory, state_name = storage.split(name)
        found = latest.newest_listed(directory, state_name)
        if found is None:
            raise _none(name, directory, state_name)
        return found
    return name


def open_meant(path: StrPath, *, max_expansion: int | None = None) -> tuple[str, TensorReader]:
    """What `checkpoint_meant` says, and a reader of it; a file is not looked at twice. Raises what both raise."""
    name = _named(path)
    if not name.endswith(SUFFIXES) and storage.is_directory(name):
        name = _latest_of(name)
    try:
        return name, detect.open_reader(name, max_expansion=max_expansion)
    except InvalidArgumentError:
        found = checkpoint_meant(name)
        if found == name:
            raise
    return found, detect.open_reader(found, max_expansion=max_expansion)


def _named(path: StrPath) -> str:
    name = os.fsdecode(path)
    if not name:
        raise InvalidArgumentError(None, None, "the path is empty")
    return name


def _latest_of(directory: str) -> str:
    found = latest.newest_listed(directory)
    if found is None:
        if _beside(directory) is None or _has_checkpoints(directory):
            raise _none(directory, directory)
        return directory
    beside = None if storage.is_remote(directory) else _beside(directory)  # a look is a request
    if beside is not None:
        log.warning(
            "%s: taken for the directory, of which %s is the newest; the other checkpoint is %s",
            *(directory, found, beside),
        )
    return found


def _beside(directory: str) -> str | None:
    """The file of a checkpoint that is called like a directory; None where there is none."""
    files = [] if directory.endswith("/") else [directory + suffix for suffix in SUFFIXES]
    return next(filter(storage.exists, files), None)


def _has_checkpoints(directory: str) -> bool:
    """True when there is a state file or a checkpoint in it."""
    state = storage.joined(directory, state_file.DEFAULT_NAME)
    return storage.exists(state) or bool(latest.checkpoints_in(directory))


def _none(name: str, directory: str, state_name: str | None = None) -> NotFoundError:
    return NotFoundError(None, None, f"{name}: {latest.why_none(directory, state_name)}")


def is_state_file(path: StrPath) -> bool:
    """True for a file that begins as a state file does."""
    name = os.fspath(path)
    if storage.is_remote(name) or not storage.is_file(name):
        return False
    with storage.open_input(name) as file:
        return file.read(0, min(file.size, len(_STATE))) == _STATE


def checkpoint_prefix(path: StrPath) -> str:
    """The prefix of the checkpoint that `path` means: a prefix, one of its files, or the latest as `checkpoint_meant` says."""
    return prefix_of_file(checkpoint_meant(path))


def meta_graph_path(prefix: str) -> str:
    """Where the MetaGraph of a checkpoint is: in the checkpoint, else beside it. Raises NotFoundError when there is neither.

    The one inside was written together with the values: a crash between the two files of a save leaves the other old.
    """
    beside = prefix + ".meta"
    if not storage.exists(beside):
        return detect.resolve(prefix)
    try:
        file = detect.resolve(prefix)
        with detect.open_reader(file) as reader:
            held = metagraph_of(reader)
    except OpError:  # no checkpoint, or one whose values cannot be read: the graph alone is there
        return beside
    return beside if held is None else file


def directory_meant(path: StrPath, state_name: str | None = None) -> tuple[str, str | None]:
    """The directory that `path` is, or whose state file it is, and the name of that.

    Raises NotFoundError when there is none, InvalidArgumentError for another file and for no path.
    """
    name = _named(path)
    if is_state_file(name):
        return storage.split(name)
    if storage.is_remote(name) or storage.is_directory(name):
        return name, state_name
    if storage.is_file(name):
        above = storage.split(name)[0] or "."
        raise InvalidArgumentError(
            None, None, f"{name}: is a file, and no state file; give the directory, such as {above}"
        )
    near = [found for found in similar(name) if storage.is_directory(found)]
    advice = f"; similar: {', '.join(near)}" if near else ""
    raise NotFoundError(None, None, f"{name}: no such directory{advice}")
