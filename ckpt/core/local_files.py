"""What lies in local directories: asked for, removed, renamed, made. Must not know any format."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress

from ckpt.core import system
from ckpt.core.errors import ResourceExhaustedError
from ckpt.core.system import StrPath, again, close, typed

_NO_DIRECTORY_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}


def check_room(path: StrPath, directory: StrPath, length: int) -> None:
    """Raise ResourceExhaustedError when fewer than `length` bytes are free in `directory`.

    A file system that cannot tell is left to say so when it is written to.
    """
    with suppress(OSError):
        found = again(system.files.statvfs, directory)
        free = found.f_bavail * found.f_frsize
        if found.f_blocks and free < length:
            raise ResourceExhaustedError(
                None,
                None,
                f"{os.fspath(path)}: needs {length} bytes beside what is there, {free} are free in "
                f"{os.fspath(directory)}; nothing was written: free some space, or save to another disk",
            )


def names_in(directory: StrPath) -> list[str]:
    """The names in a directory, sorted. Raises NotFoundError when it is missing."""
    with typed(directory, "listing"):
        return sorted(again(system.files.listdir, directory))


def modified(path: StrPath) -> float:
    """When the file was last written, in seconds since the epoch. Raises NotFoundError."""
    with typed(path, "reading its time"):
        return float(again(system.files.stat, path).st_mtime)


def exists(path: StrPath) -> bool:
    """True when something has this name, be it a link to nothing. Raises OpError where nobody can tell."""
    return _mode(system.files.lstat, path) is not None


def is_file(path: StrPath) -> bool:
    """True when this is a regular file or a link to one. Raises OpError where nobody can tell."""
    mode = _mode(system.files.stat, path)
    return mode is not None and stat.S_ISREG(mode)


def is_directory(path: StrPath) -> bool:
    """True when this is a directory or a link to one. Raises OpError where nobody can tell."""
    mode = _mode(system.files.stat, path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(look: Callable[[StrPath], os.stat_result], path: StrPath) -> int | None:
    """None when there is no such file. An error of the disk does not mean that: then an older one would be taken."""
    with typed(path, "looking for it"):
        try:
            return again(look, path).st_mode
        except OSError as error:
            if error.errno in _NO_SUCH_FILE:
                return None
            raise


def remove_file(path: StrPath) -> None:
    """Remove a file; one that is not there is no error, nor is a name that is too long for one to be there."""
    with typed(path, "deleting"):
        try:
            again(system.files.unlink, path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
                raise


def move_file(source: StrPath, target: StrPath, *, durable: bool = True) -> None:
    """Rename a file, also into another directory of the same file system. Raises members of the OpError family."""
    with typed(target, f"renaming {os.fspath(source)} to it"):
        again(system.files.replace, source, target)
        if durable:
            sync_directory(os.path.dirname(target) or ".")


def make_directory(directory: StrPath, *, parents: bool = False, durable: bool = True) -> None:
    """Make a directory, and with `parents` those above it; one that is there is no error.

    Raises NotFoundError when the directory above is missing, AlreadyExistsError when a file has the name.
    """
    path = os.fspath(directory)
    above = os.path.dirname(path)
    if parents and above not in ("", path) and not is_directory(above):
        make_directory(above, parents=True, durable=durable)
    with typed(path, "making the directory"):
        try:
            again(system.files.mkdir, path)
        except FileExistsError:
            if not is_directory(path):
                raise
            # an empty one may be what a writer left that was killed before it had synced the directory above
            with suppress(PermissionError):
                if again(system.files.listdir, path):
                    return
        if durable:
            with suppress(PermissionError):  # of a directory above that is not ours
                sync_directory(os.path.join(path, os.pardir))


def sync_directory(directory: StrPath) -> None:
    """Make renames and removals in `directory` durable, where its file system can do that."""
    fd = again(system.files.open, directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        again(system.files.fsync, fd)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FSYNC:
            raise
    finally:
        close(fd)
