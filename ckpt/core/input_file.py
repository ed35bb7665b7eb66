"""Local files opened for reading, suspiciously. Must not know any format."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, Any

from ckpt.core import system
from ckpt.core.errors import DataLossError, FailedPreconditionError
from ckpt.core.system import StrPath, again, close, typed

if TYPE_CHECKING:
    from typing import Self

    from ckpt.core.storage import Input


class InputFile:
    """A regular file opened for reading at offsets; any number of threads may read at once.

    A symbolic link that the user named is resolved once; `follow=False` refuses links, for names that come
    from our own files. FIFOs, devices, sockets and directories are refused without waiting for them.
    """

    def __init__(self, path: StrPath, *, follow: bool = True) -> None:
        self.path = os.fspath(path)
        self._fd = -1
        with typed(self.path, "opening"):
            real, mode = self.path, again(system.files.lstat, self.path).st_mode
            if follow and stat.S_ISLNK(mode):
                real = os.path.realpath(self.path)
                mode = again(system.files.lstat, real).st_mode
            self._check(mode)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._fd = again(system.files.open, real, flags)
        try:
            with typed(self.path, "reading its length"):
                found = again(system.files.fstat, self._fd)
            self._check(found.st_mode)
        except BaseException:
            self.close()
            raise
        self.size: int = found.st_size

    def _check(self, mode: int) -> None:
        if not stat.S_ISREG(mode):
            raise FailedPreconditionError(
                None, None, f"{self.path}: expected a regular file, found {_kind_of(mode)}"
            )

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Raises DataLossError when the file does not hold them."""
        check_range(self, offset, length)
        pieces = []
        with typed(self.path, "reading"):
            while length:
                piece = again(system.files.pread, self._fd, length, offset)
                if not piece:
                    raise self._shrunk(offset)
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        return b"".join(pieces)

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises DataLossError when the file does not hold that many bytes."""
        check_range(self, offset, len(view))
        with typed(self.path, "reading"):
            while view.nbytes:
                count = again(system.files.preadv, self._fd, [view], offset)
                if count <= 0:
                    raise self._shrunk(offset)
                view = view[count:]
                offset += count

    def read_into_each(self, buffers: Sequence[Any], offset: int, length: int) -> None:
        """Fill at most 1,024 buffers, of `length` bytes together, one after the other from `offset`.

        Raises DataLossError when the file does not hold that many bytes.
        """
        check_range(self, offset, length)
        with typed(self.path, "reading"):
            done = again(system.files.preadv, self._fd, buffers, offset)
        for buffer in buffers if done < length else ():
            view = memoryview(buffer).cast("B")
            skipped = min(done, len(view))
            done -= skipped
            offset += skipped
            self.read_into(view[skipped:], offset)
            offset += len(view) - skipped

    def map(self) -> mmap:
        """The whole file as memory, read-only. Raises InvalidArgumentError for an empty file."""
        with typed(self.path, "mapping"):
            return mmap(self._fd, self.size, access=ACCESS_READ)

    def _shrunk(self, offset: int) -> DataLossError:
        return DataLossError(
            None, None, f"{self.path}: became shorter while it was read, ends before byte {offset}"
        )

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with typed(self.path, "closing"):
                close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def whole(file: Input, limit: int) -> bytes:
    """All bytes of an open file. Raises DataLossError when there are more than `limit`."""
    if file.size > limit:
        raise DataLossError(
            None, None, f"{file.path}: has {file.size} bytes, expected at most {limit}"
        )
    return file.read(0, file.size)


def check_range(file: Input, offset: int, length: int) -> None:
    """Raise DataLossError where an open file does not have these bytes."""
    if offset < 0 or length < 0 or offset + length > file.size:
        raise DataLossError(
            None,
            None,
            f"{file.path}: expected bytes {offset} to {offset + length}, the file has {file.size}; "
            "it is damaged or was cut short",
        )


def _kind_of(mode: int) -> str:
    for test, kind in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return kind
    return "a device"
