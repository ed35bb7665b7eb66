"""Write a file beside its target, then rename it; open a file suspiciously. Must not know any format.

A reader of the target sees the old file or the new one, whole, whatever happens to the writer. Every file
operation is looked up in `files` at the moment of the call, so that a test can make any one of them fail.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ckpt.core.disk_blocks import allocate
from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    ResourceExhaustedError,
    from_os_error,
)

if TYPE_CHECKING:
    from typing import Self

Buffer = bytes | bytearray | memoryview
StrPath = str | os.PathLike[str]
T = TypeVar("T")

files: Any = os  # the seam: tests put an object here that fails at operation N

TEMPORARY = re.compile(r"\.ckpt-tmp-([0-9a-f]{8})-([0-9]{1,10})-([0-9a-f]{16})")
_ABANDONED_AFTER = 24 * 3600  # seconds; for temporaries of writers whose process we cannot look up
_NO_DIRECTORY_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_PAGE = 4096
_own: set[str] = set()  # the temporaries that this process is writing


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
        _own.add(name)
        try:
            with _typed(self.path, f"creating a temporary file in {self._directory}"):
                self._fd = _again(files.open, temporary, flags, 0o666)
        except BaseException:
            _own.discard(name)
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
            self._direct_fd = _again(files.open, self._temporary, flags)
        except OSError:
            return False
        with _typed(self.path, "taking room on the disk"):
            _again(allocate, self._fd, length)
        return True

    def write_direct(self, data: memoryview, offset: int) -> None:
        """Write past the page cache. Memory, `offset` and length are multiples of 4096.

        What the file system does not take so is written in the usual way.
        """
        written = 0
        with _typed(self.path, "writing"):
            try:
                while written < len(data):
                    count = _again(files.pwrite, self._direct_fd, data[written:], offset + written)
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
        with _typed(self.path, "setting the length"):
            _again(files.ftruncate, self._fd, length)

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
            with _typed(self.path, "fsync"):
                _again(files.fsync, self._fd)
        self._close_direct()
        fd, self._fd = self._fd, -1
        with _typed(self.path, "closing"):
            _close(fd)
        with _typed(self.path, "renaming the temporary file to it"):
            _again(files.replace, self._temporary, self.path)
        _own.discard(os.path.basename(self._temporary))
        self._temporary = ""
        if self._durable:
            with _typed(self.path, "fsync of its directory"):
                sync_directory(self._directory)

    def _close_direct(self) -> None:
        """What it wrote is synced, or not wanted: an error of closing says nothing."""
        fd, self._direct_fd = self._direct_fd, -1
        if fd >= 0:
            with suppress(OSError):
                _close(fd)

    def _discard(self) -> None:
        """Remove the temporary; what fails here is left to the sweep of the next save."""
        temporary, self._temporary = self._temporary, ""
        self._close_direct()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                _close(fd)
        if temporary:
            with suppress(OSError):
                _again(files.unlink, temporary)
            _own.discard(os.path.basename(temporary))


class InputFile:
    """A regular file opened for reading at offsets; any number of threads may read at once.

    A symbolic link that the user named is resolved once; `follow=False` refuses links, for names that come
    from our own files. FIFOs, devices, sockets and directories are refused without waiting for them.
    """

    def __init__(self, path: StrPath, *, follow: bool = True) -> None:
        self.path = os.fspath(path)
        self._fd = -1
        with _typed(self.path, "opening"):
            real, mode = self.path, _again(files.lstat, self.path).st_mode
            if follow and stat.S_ISLNK(mode):
                real = os.path.realpath(self.path)
                mode = _again(files.lstat, real).st_mode
            self._check(mode)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._fd = _again(files.open, real, flags)
        try:
            with _typed(self.path, "reading its length"):
                found = _again(files.fstat, self._fd)
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
        self._check_range(offset, length)
        pieces = []
        with _typed(self.path, "reading"):
            while length:
                piece = _again(files.pread, self._fd, length, offset)
                if not piece:
                    raise self._shrunk(offset)
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        return b"".join(pieces)

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises DataLossError when the file does not hold that many bytes."""
        self._check_range(offset, len(view))
        with _typed(self.path, "reading"):
            while view.nbytes:
                count = _again(files.preadv, self._fd, [view], offset)
                if count <= 0:
                    raise self._shrunk(offset)
                view = view[count:]
                offset += count

    def read_into_each(self, buffers: Sequence[Any], offset: int, length: int) -> None:
        """Fill at most 1,024 buffers, of `length` bytes together, one after the other from `offset`.

        Raises DataLossError when the file does not hold that many bytes.
        """
        self._check_range(offset, length)
        with _typed(self.path, "reading"):
            done = _again(files.preadv, self._fd, buffers, offset)
        for buffer in buffers if done < length else ():
            view = memoryview(buffer).cast("B")
            skipped = min(done, len(view))
            done -= skipped
            offset += skipped
            self.read_into(view[skipped:], offset)
            offset += len(view) - skipped

    def map(self) -> mmap:
        """The whole file as memory, read-only. Raises InvalidArgumentError for an empty file."""
        with _typed(self.path, "mapping"):
            return mmap(self._fd, self.size, access=ACCESS_READ)

    def _check_range(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DataLossError(
                None,
                None,
                f"{self.path}: expected bytes {offset} to {offset + length}, the file has {self.size}; "
                "it is damaged or was cut short",
            )

    def _shrunk(self, offset: int) -> DataLossError:
        return DataLossError(
            None, None, f"{self.path}: became shorter while it was read, ends before byte {offset}"
        )

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with _typed(self.path, "closing"):
                _close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_file(target: StrPath, data: Buffer, *, durable: bool = True) -> None:
    """Make `data` the whole content of `target`, atomically."""
    with NewFile(target, durable=durable) as new:
        new.write(data, 0)


def read_file(path: StrPath, *, limit: int, follow: bool = True) -> bytes:
    """The whole content of a regular file. Raises DataLossError when it is longer than `limit` bytes."""
    with InputFile(path, follow=follow) as file:
        if file.size > limit:
            raise DataLossError(
                None, None, f"{file.path}: has {file.size} bytes, expected at most {limit}"
            )
        return file.read(0, file.size)


def write_at(path: StrPath, fd: int, data: Buffer, offset: int) -> None:
    """Write all of `data` at `offset` of an open file; errors name `path`."""
    view = memoryview(data)
    with _typed(path, "writing"):
        while view.nbytes:
            written = _again(files.pwrite, fd, view, offset)
            if written <= 0:
                raise OSError(errno.ENOSPC, "the device takes no more bytes")
            view = view[written:]
            offset += written


def write_each_at(path: StrPath, fd: int, pieces: Sequence[Any], offset: int, length: int) -> None:
    """Write at most 1,024 pieces, of `length` bytes together, to an open file; errors name `path`."""
    with _typed(path, "writing"):
        done = _again(files.pwritev, fd, pieces, offset)
    if done < length:
        write_at(path, fd, b"".join(pieces)[done:], offset + done)


def check_room(path: StrPath, directory: StrPath, length: int) -> None:
    """Raise ResourceExhaustedError when fewer than `length` bytes are free in `directory`.

    A file system that cannot tell is left to say so when it is written to.
    """
    with suppress(OSError):
        found = _again(files.statvfs, directory)
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
    with _typed(directory, "listing"):
        return sorted(_again(files.listdir, directory))


def modified(path: StrPath) -> float:
    """When the file was last written, in seconds since the epoch. Raises NotFoundError."""
    with _typed(path, "reading its time"):
        return float(_again(files.stat, path).st_mtime)


def exists(path: StrPath) -> bool:
    """True when something has this name, be it a link to nothing. Raises OpError where nobody can tell."""
    return _mode(files.lstat, path) is not None


def is_file(path: StrPath) -> bool:
    """True when this is a regular file or a link to one. Raises OpError where nobody can tell."""
    mode = _mode(files.stat, path)
    return mode is not None and stat.S_ISREG(mode)


def is_directory(path: StrPath) -> bool:
    """True when this is a directory or a link to one. Raises OpError where nobody can tell."""
    mode = _mode(files.stat, path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(look: Callable[[StrPath], os.stat_result], path: StrPath) -> int | None:
    """None when there is no such file. An error of the disk does not mean that: then an older one would be taken."""
    with _typed(path, "looking for it"):
        try:
            return _again(look, path).st_mode
        except OSError as error:
            if error.errno in _NO_SUCH_FILE:
                return None
            raise


def remove_file(path: StrPath) -> None:
    """Remove a file; one that is not there is no error."""
    with _typed(path, "deleting"), suppress(FileNotFoundError):
        _again(files.unlink, path)


def move_file(source: StrPath, target: StrPath, *, durable: bool = True) -> None:
    """Rename a file, also into another directory of the same file system. Raises members of the OpError family."""
    with _typed(target, f"renaming {os.fspath(source)} to it"):
        _again(files.replace, source, target)
        if durable:
            sync_directory(os.path.dirname(target) or ".")


@contextmanager
def set_aside(path: StrPath, token: str, *, durable: bool = True) -> Iterator[None]:
    """Take away `path` while files whose names hold `token` are removed, then remove it.

    Meanwhile it bears the name of a temporary with that token, so that `sweep` finishes what a crash leaves. When
    `durable`, no loss of power brings `path` back without those files.
    """
    name = temporary_name(token)
    aside = os.path.join(os.path.dirname(path) or ".", name)
    with owned(name):
        with _typed(path, "renaming it before its removal"):
            _again(files.replace, path, aside)
            if durable:
                sync_directory(os.path.dirname(path) or ".")
        yield
        remove_file(aside)


def temporaries(directory: StrPath) -> set[str]:
    """The tokens of the temporaries that lie in a directory: the saves that are under way, or were cut short."""
    found = (TEMPORARY.fullmatch(name) for name in names_in(directory))
    return {match[3] for match in found if match}


def make_directory(directory: StrPath, *, parents: bool = False, durable: bool = True) -> None:
    """Make a directory, and with `parents` those above it; one that is there is no error.

    Raises NotFoundError when the directory above is missing, AlreadyExistsError when a file has the name.
    """
    path = os.fspath(directory)
    above = os.path.dirname(path)
    if parents and above not in ("", path) and not is_directory(above):
        make_directory(above, parents=True, durable=durable)
    with _typed(path, "making the directory"):
        try:
            _again(files.mkdir, path)
        except FileExistsError:
            if not is_directory(path):
                raise
            # an empty one may be what a writer left that was killed before it had synced the directory above
            with suppress(PermissionError):
                if _again(files.listdir, path):
                    return
        if durable:
            with suppress(PermissionError):  # of a directory above that is not ours
                sync_directory(os.path.join(path, os.pardir))


def sync_directory(directory: StrPath) -> None:
    """Make renames and removals in `directory` durable, where its file system can do that."""
    fd = _again(files.open, directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _again(files.fsync, fd)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FSYNC:
            raise
    finally:
        _close(fd)


def sweep(directory: StrPath) -> None:
    """Remove temporaries in `directory` whose writer is dead, after the files whose names hold their tokens.

    Never raises: it is only housekeeping.
    """
    with suppress(OSError):
        names = _again(files.listdir, directory)
        for name in names:
            match = TEMPORARY.fullmatch(name)
            if match:
                path = os.path.join(directory, name)
                with suppress(OSError):
                    if is_abandoned(match, path, _written):
                        for other in names:
                            if f".{match[3]}-" in other:
                                files.unlink(os.path.join(directory, other))
                        files.unlink(path)


def new_token() -> str:
    """Sixteen hexadecimal digits that name one save."""
    return os.urandom(8).hex()


def temporary_name(token: str) -> str:
    """The name that a file of this process bears until it is whole."""
    return f".ckpt-tmp-{_here()}-{os.getpid()}-{token}"


@contextmanager
def owned(name: str) -> Iterator[None]:
    """While the block runs, this process writes the temporary `name`: no sweep of its own takes it away."""
    _own.add(name)
    try:
        yield
    finally:
        _own.discard(name)


def is_abandoned(temporary: re.Match[str], path: str, modified: Callable[[str], float]) -> bool:
    """Whether the writer of a temporary (a match of TEMPORARY) is dead; `modified(path)` says when it last wrote."""
    name, where, pid = temporary[0], temporary[1], int(temporary[2])
    if name in _own:
        return False
    if where != _here():
        return bool(time.time() - modified(path) > _ABANDONED_AFTER)
    if pid == os.getpid():
        return True  # not one of ours: removing it had failed, or its writer had our number
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _written(path: str) -> float:
    return float(files.lstat(path).st_mtime)


def _here() -> str:
    """A tag of the space that process ids belong to: this machine, this container."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{zlib.crc32(f'{os.uname().nodename}:{space}'.encode()):08x}"


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


def _close(fd: int) -> None:
    # After EINTR the descriptor is closed already on Linux; closing again could hit another thread's file.
    with suppress(InterruptedError):
        files.close(fd)


def _again(call: Callable[..., T], *args: Any) -> T:
    """Call until no signal interrupts."""
    while True:
        try:
            return call(*args)
        except InterruptedError:
            continue


class _typed:
    """`with _typed(path, doing)`: what the system raises in the block becomes an OpError that names both.

    A class, not a generator: a read of a slice passes a dozen of them.
    """

    __slots__ = ("_doing", "_path")

    def __init__(self, path: StrPath, doing: str) -> None:
        self._path = path
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise from_os_error(error, os.fspath(self._path), self._doing) from error
        if isinstance(error, ValueError):  # a NUL in a path
            found = f"{self._path!r}: {self._doing} failed: {error}"
            raise FailedPreconditionError(None, None, found) from error
