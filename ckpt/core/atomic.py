"""Write a file beside its target, then rename it. Must not know any format.

A reader of the target sees the old file or the new one, whole, whatever happens to the writer.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ckpt.core import system
from ckpt.core.disk_blocks import allocate
from ckpt.core.local_files import check_room, remove_file, sync_directory
from ckpt.core.system import Buffer, StrPath, again, close, typed
from ckpt.core.temporaries import new_token, own, owned, sweep, temporary_name

if TYPE_CHECKING:
    from typing import Self

_PAGE = 4096


class NewFile:
    """A context manager: the file is written under a temporary name and renamed to `target` at the end.

    Leaving the block normally commits (fsync, rename, fsync of the directory); leaving it by an exception
    removes the temporary and the target is as it was. `durable=False` skips the fsyncs, not the atomicity.
    Every failure of the operating system is raised as a member of the OpError family that names `target`.
    """

    def __init__(self, target: StrPath, *, durable: bool = True, token: str | None = None) -> None:
        self.path = os.fspath(target)
        self._directory = os.path.dirname(self.path) or "."
        self._durable = durable
        self._token = token or new_token()
        self._temporary = ""
        self._fd = -1
        self._direct_fd = -1

    def __enter__(self) -> Self:
        sweep(self._directory)
        name = temporary_name(self._token)
        temporary = os.path.join(self._directory, name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        own.add(name)
        try:
            with typed(self.path, f"creating a temporary file in {self._directory}"):
                self._fd = again(system.files.open, temporary, flags, 0o666)
        except BaseException:
            own.discard(name)
            raise
        self._temporary = temporary
        return self

    def write(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset`, however many system calls that takes."""
        write_at(self.path, self._fd, data, offset)

    def write_each(self, pieces: Sequence[Any], offset: int, length: int) -> None:
        """Write at most 1,024 pieces, of `length` bytes together, one after the other from `offset`."""
        write_each_at(self.path, self._fd, pieces, offset, length)

    def open_direct(self, length: int) -> bool:
        """Prepare `write_direct` of a file of `length` bytes; False where the file system has no writing past the page cache.

        Raises ResourceExhaustedError where the disk has no room for it.
        """
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_DIRECT", 0)
        if not flags & getattr(os, "O_DIRECT", 0):
            return False
        try:
            self._direct_fd = again(system.files.open, self._temporary, flags)
        except OSError:
            return False
        with typed(self.path, "taking room on the disk"):
            again(allocate, self._fd, length)
        return True

    def write_direct(self, data: memoryview, offset: int) -> None:
        """Write past the page cache. Memory, `offset` and length are multiples of 4096.

        What the file system does not take so is written in the usual way.
        """
        written = 0
        with typed(self.path, "writing"):
            try:
                while written < len(data):
                    count = again(
                        system.files.pwrite, self._direct_fd, data[written:], offset + written
                    )
                    written += count - count % _PAGE
                    if not count or count % _PAGE:
                        break
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
        self.write(data[written:], offset + written)

    def reserve(self, length: int) -> None:
        """Raise ResourceExhaustedError when the disk has no room for a file of `length` bytes beside the old one."""
        check_room(self.path, self._directory, length)

    def truncate(self, length: int) -> None:
        """Make the file exactly `length` bytes long."""
        with typed(self.path, "setting the length"):
            again(system.files.ftruncate, self._fd, length)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()
            return
        try:
            self._commit()
        except BaseException:
            self._discard()
            raise

    def _commit(self) -> None:
        if self._durable:
            with typed(self.path, "fsync"):
                again(system.files.fsync, self._fd)
        self._close_direct()
        fd, self._fd = self._fd, -1
        with typed(self.path, "closing"):
            close(fd)
        with typed(self.path, "renaming the temporary file to it"):
            again(system.files.replace, self._temporary, self.path)
        own.discard(os.path.basename(self._temporary))
        self._temporary = ""
        if self._durable:
            with typed(self.path, "fsync of its directory"):
                sync_directory(self._directory)

    def _close_direct(self) -> None:
        """What it wrote is synced, or not wanted: an error of closing says nothing."""
        fd, self._direct_fd = self._direct_fd, -1
        if fd >= 0:
            with suppress(OSError):
                close(fd)

    def _discard(self) -> None:
        """Remove the temporary; what fails here is left to the sweep of the next save."""
        temporary, self._temporary = self._temporary, ""
        self._close_direct()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                close(fd)
        if temporary:
            with suppress(OSError):
                again(system.files.unlink, temporary)
            own.discard(os.path.basename(temporary))


def write_at(path: StrPath, fd: int, data: Buffer, offset: int) -> None:
    """Write all of `data` at `offset` of an open file; errors name `path`."""
    view = memoryview(data)
    with typed(path, "writing"):
        while view.nbytes:
            written = again(system.files.pwrite, fd, view, offset)
            if written <= 0:
                raise OSError(errno.ENOSPC, "the device takes no more bytes")
            view = view[written:]
            offset += written


def write_each_at(path: StrPath, fd: int, pieces: Sequence[Any], offset: int, length: int) -> None:
    """Write at most 1,024 pieces, of `length` bytes together, to an open file; errors name `path`."""
    with typed(path, "writing"):
        done = again(system.files.pwritev, fd, pieces, offset)
    if done < length:
        write_at(path, fd, b"".join(pieces)[done:], offset + done)


@contextmanager
def set_aside(path: StrPath, token: str, *, durable: bool = True) -> Iterator[None]:
    """Take away `path` while files whose names hold `token` are removed, then remove it.

    Meanwhile it bears the name of a temporary with that token, so that `sweep` finishes what a crash leaves. When
    `durable`, no loss of power brings `path` back without those files.
    """
    name = temporary_name(token)
    aside = os.path.join(os.path.dirname(path) or ".", name)
    with owned(name):
        with typed(path, "renaming it before its removal"):
            again(system.files.replace, path, aside)
            if durable:
                sync_directory(os.path.dirname(path) or ".")
        yield
        remove_file(aside)
