"""Files by path or by URL: the one seam between local disks and remote stores. Must not know any format.

Local paths go to `atomic`, `input_file` and `local_files`, URLs such as `s3://bucket/dir/model` to `remote`, through
fsspec. Both sides offer the same few operations; a file is written whole or not at all, and is read at offsets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ckpt.core import atomic, local_files, temporaries
from ckpt.core.atomic import NewFile
from ckpt.core.input_file import InputFile, whole
from ckpt.core.system import Buffer, StrPath

if TYPE_CHECKING:
    from mmap import mmap
    from types import TracebackType
    from typing import Self

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Input(Protocol):
    """A file opened for reading at offsets; any number of threads may read at once."""

    path: str
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes. Raises DataLossError when the file does not hold them."""
        ...

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises DataLossError when the file does not hold that many bytes."""
        ...

    def read_into_each(self, buffers: Sequence[Any], offset: int, length: int) -> None:
        """Fill at most 1,024 buffers, of `length` bytes together, one after the other from `offset`.

        Raises DataLossError when the file does not hold that many bytes.
        """
        ...

    def map(self) -> mmap | None:
        """The file as read-only memory, where there is such a thing."""
        ...

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        ...

    def __enter__(self) -> Self:
        """The file itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Close it."""
        ...


class Output(Protocol):
    """A file being written: leaving the block commits it whole; an exception leaves the target as it was."""

    path: str

    def reserve(self, length: int) -> None:
        """Raise ResourceExhaustedError when there is no room for a file of `length` bytes."""
        ...

    def write(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset`."""
        ...

    def write_each(self, pieces: Sequence[Any], offset: int, length: int) -> None:
        """Write at most 1,024 pieces, of `length` bytes together, one after the other from `offset`."""
        ...

    def open_direct(self, length: int) -> bool:
        """True when `write_direct` may be used: it writes past the page cache, which a sync then need not empty.

        `length` is that of the whole file. Raises ResourceExhaustedError when there is no room for it.
        """
        ...

    def write_direct(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`; its memory, its length and `offset` are multiples of 4096."""
        ...

    def truncate(self, length: int) -> None:
        """Make the file exactly `length` bytes long."""
        ...

    def __enter__(self) -> Self:
        """The file itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Commit, or discard after an exception."""
        ...


def is_remote(path: StrPath) -> bool:
    """True for a URL: what begins with a scheme and `://`."""
    return _URL.match(os.fspath(path)) is not None


def create(target: StrPath, *, durable: bool = True, token: str | None = None) -> Output:
    """A context manager that writes `target` whole or not at all; `durable=False` skips fsync on local disks.

    `token` is part of the temporary name that a local file bears meanwhile, or of a mark in a remote store.
    """
    if is_remote(target):
        from ckpt.core import remote

        return remote.Upload(os.fspath(target), token)
    return NewFile(target, durable=durable, token=token)


def open_input(path: StrPath, *, follow: bool = True) -> Input:
    """Open a file for reading at offsets; `follow=False` refuses symbolic links."""
    if is_remote(path):
        from ckpt.core import remote

        return remote.Download(os.fspath(path))
    return InputFile(path, follow=follow)


def write_file(target: StrPath, data: Buffer, *, durable: bool = True) -> None:
    """Make `data` the whole content of `target`, atomically."""
    with create(target, durable=durable) as new:
        new.write(data, 0)


def read_file(path: StrPath, *, limit: int) -> bytes:
    """The whole content of a file. Raises DataLossError when it is longer than `limit` bytes."""
    with open_input(path) as file:
        return whole(file, limit)


def exists(path: StrPath) -> bool:
    """True when there is anything of this name; a dangling link counts."""
    if is_remote(path):
        from ckpt.core import remote

        return remote.exists(os.fspath(path))
    return local_files.exists(path)


def is_directory(path: StrPath) -> bool:
    """True for a directory; in a remote store, when anything lies below this name."""
    if is_remote(path):
        from ckpt.core import remote

        return remote.is_directory(os.fspath(path))
    return local_files.is_directory(path)


def is_file(path: StrPath) -> bool:
    """True for a regular file, or a link to one."""
    if is_remote(path):
        from ckpt.core import remote

        return remote.is_file(os.fspath(path))
    return local_files.is_file(path)


def names_in(directory: StrPath) -> list[str]:
    """The names in a directory, sorted. Raises NotFoundError when it is missing."""
    if is_remote(directory):
        from ckpt.core import remote

        return remote.names_in(os.fspath(directory))
    return local_files.names_in(directory)


def modified(path: StrPath) -> float:
    """When the file was last written, in seconds since the epoch. Raises NotFoundError."""
    if is_remote(path):
        from ckpt.core import remote

        return remote.modified(os.fspath(path))
    return local_files.modified(path)


def check_room(path: StrPath, length: int) -> None:
    """Raise ResourceExhaustedError when the disk of `path` has no room for `length` more bytes; of stores nobody knows."""
    if not is_remote(path):
        local_files.check_room(path, split(os.fspath(path))[0], length)


def remove_file(path: StrPath) -> None:
    """Remove a file; one that is not there is no error."""
    if is_remote(path):
        from ckpt.core import remote

        remote.remove_file(os.fspath(path))
    else:
        local_files.remove_file(path)


def move_file(source: StrPath, target: StrPath, *, durable: bool = True) -> None:
    """Rename a file within one file system or store."""
    if is_remote(target):
        from ckpt.core import remote

        remote.move_file(os.fspath(source), os.fspath(target))
    else:
        local_files.move_file(source, target, durable=durable)


@contextmanager
def set_aside(path: StrPath, token: str, *, durable: bool = True) -> Iterator[None]:
    """Take away `path` while files whose names hold `token` are removed, so that a crash leaves nothing for good."""
    if is_remote(path):
        from ckpt.core import remote

        with remote.marked(os.fspath(path), token):
            remove_file(path)
            yield
        return
    with atomic.set_aside(path, token, durable=durable):
        yield


def sweep(directory: StrPath) -> None:
    """Remove what dead writers left in a directory; never raises. On local disks every writer of a file does it anyway."""
    if is_remote(directory):
        from ckpt.core import remote

        remote.sweep(os.fspath(directory))


def tokens_in(directory: StrPath) -> set[str]:
    """The tokens of the files that are being written in a directory."""
    if is_remote(directory):
        from ckpt.core import remote

        return remote.tokens_in(os.fspath(directory))
    return temporaries.tokens_in(directory)


def resolved(path: StrPath) -> str:
    """The path without symbolic links; a URL as it is."""
    return os.fspath(path) if is_remote(path) else os.path.realpath(path)


def make_directory(directory: StrPath, *, parents: bool = False, durable: bool = True) -> None:
    """Make a directory; one that is there is no error. Stores without directories need none."""
    if is_remote(directory):
        from ckpt.core import remote

        remote.make_directory(os.fspath(directory))
    else:
        local_files.make_directory(directory, parents=parents, durable=durable)


def split(path: str) -> tuple[str, str]:
    """The directory ("." where none is named) and the last part of a path or URL."""
    if is_remote(path):
        scheme, _, rest = path.partition("://")
        head, _, name = rest.rpartition("/")
        return f"{scheme}://{head}", name
    return os.path.dirname(path) or ".", os.path.basename(path)


def is_name_part(text: str) -> bool:
    """True when the name of a file can hold this: it has no separator and no NUL."""
    return not any(mark in text for mark in "/\0")


def joined(directory: StrPath, name: str) -> str:
    """The path of `name` in `directory`."""
    return os.path.join(os.fspath(directory), name)
