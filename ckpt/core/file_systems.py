"""File systems by URL: the local one, and through fsspec (where it is installed) every other. Must not know checkpoints.

Each offers the same few methods, and raises the typed errors of `ckpt.core.errors`, as TensorFlow's file systems do.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from ckpt.core import remote
from ckpt.core.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    from_os_error,
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class FileStatistics:
    """What `stat` says about a file: its length in bytes, its time in nanoseconds, whether it is a directory."""

    length: int
    mtime_nsec: int
    is_directory: bool


class FileSystem(Protocol):
    """What a file system offers; paths are as the user wrote them."""

    def exists(self, path: str) -> bool:
        """True for a file and for a directory."""
        ...

    def isdir(self, path: str) -> bool:
        """True for a directory."""
        ...

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted, without their path. Raises NotFoundError."""
        ...

    def mkdir(self, path: str) -> None:
        """Make one directory; its parent must exist. One that is there already is no error."""
        ...

    def makedirs(self, path: str) -> None:
        """Make a directory and its parents. Raises FailedPreconditionError when a file is in the way."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file. Raises NotFoundError, FailedPreconditionError for a directory."""
        ...

    def rmtree(self, path: str) -> None:
        """Delete a directory with all that is in it, or a file. Raises NotFoundError."""
        ...

    def move(self, source: str, target: str) -> None:
        """Rename, replacing a file at `target`."""
        ...

    def stat(self, path: str) -> FileStatistics:
        """Length, time and kind. Raises NotFoundError."""
        ...

    def open(self, path: str, mode: str) -> BinaryIO:
        """A binary file object; `mode` is rb, wb, ab, or r+b."""
        ...


def scheme_of(path: str) -> str:
    """The scheme of a URL; "" for a plain path."""
    match = _SCHEME.match(path)
    return match[1].lower() if match else ""


def file_system(path: str) -> FileSystem:
    """The file system that `path` lies on. Raises UnimplementedError for a scheme that nothing here can open."""
    scheme = scheme_of(path)
    return LOCAL if scheme in ("", "file") else _Remote(path)


class _Local:
    """Files of this machine; `file://` URLs are its paths too."""

    def exists(self, path: str) -> bool:
        """True for a file and for a directory; a link to nothing is nothing."""
        return os.path.exists(_plain(path))

    def isdir(self, path: str) -> bool:
        """True for a directory."""
        return os.path.isdir(_plain(path))

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        if not self.isdir(path):
            raise NotFoundError(None, None, f"Could not find directory {path}")
        with typed(path, "listing"):
            return sorted(os.listdir(_plain(path)))

    def mkdir(self, path: str) -> None:
        """Make one directory."""
        with typed(path, "making the directory"):
            try:
                os.mkdir(_plain(path))
            except FileExistsError:
                if not self.isdir(path):
                    raise

    def makedirs(self, path: str) -> None:
        """Make a directory and its parents."""
        with typed(path, "making the directory"):
            try:
                os.makedirs(_plain(path), exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise FailedPreconditionError(
                    None, None, f"{error.filename or path} is not a directory"
                ) from error

    def remove(self, path: str) -> None:
        """Delete a file."""
        with typed(path, "deleting"):
            os.unlink(_plain(path))

    def rmtree(self, path: str) -> None:
        """Delete a directory with all that is in it, or a file; of a link, the link."""
        plain = _plain(path)
        if not os.path.lexists(plain):
            raise NotFoundError(None, None, f"{path} not found")
        with typed(path, "deleting"):
            if os.path.isdir(plain) and not os.path.islink(plain):
                shutil.rmtree(plain)
            else:
                os.unlink(plain)

    def move(self, source: str, target: str) -> None:
        """Rename, replacing a file."""
        with typed(source, f"renaming to {target}"):
            os.replace(_plain(source), _plain(target))

    def stat(self, path: str) -> FileStatistics:
        """Length, time and kind."""
        with typed(path, "reading its properties"):
            found = os.stat(_plain(path))
        return FileStatistics(found.st_size, found.st_mtime_ns, self.isdir(path))

    def open(self, path: str, mode: str) -> BinaryIO:
        """A binary file object."""
        with typed(path, "opening"):
            return open(_plain(path), mode)  # type: ignore[return-value]  # a binary mode


class _Remote:
    """Every URL that fsspec knows."""

    def __init__(self, path: str) -> None:
        self._fs, _ = remote.store_of(path)

    def exists(self, path: str) -> bool:
        """True for a file and for a directory."""
        with remote.typed(path, "looking for it"):
            return bool(self._fs.exists(path))

    def isdir(self, path: str) -> bool:
        """True for a directory."""
        with remote.typed(path, "looking for it"):
            return bool(self._fs.isdir(path))

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        if not self.isdir(path):
            raise NotFoundError(None, None, f"Could not find directory {path}")
        with remote.typed(path, "listing"):
            found = self._fs.ls(path, detail=False)
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def mkdir(self, path: str) -> None:
        """Make one directory."""
        parent = path.rstrip("/").rpartition("/")[0]
        if scheme_of(parent + "/") and _SCHEME.sub("", parent) and not self.exists(parent):
            raise NotFoundError(None, None, f"{path}: its parent directory does not exist")
        self.makedirs(path)

    def makedirs(self, path: str) -> None:
        """Make a directory and its parents."""
        with remote.typed(path, "making the directory"):
            if self._fs.isfile(path):
                raise FailedPreconditionError(None, None, f"{path} is not a directory")
            self._fs.makedirs(path, exist_ok=True)

    def remove(self, path: str) -> None:
        """Delete a file."""
        with remote.typed(path, "deleting"):
            if self._fs.isdir(path):
                raise FailedPreconditionError(None, None, f"{path}: is a directory")
            self._fs.rm_file(path)

    def rmtree(self, path: str) -> None:
        """Delete a directory with all that is in it, or a file."""
        with remote.typed(path, "deleting"):
            if not self._fs.exists(path):
                raise NotFoundError(None, None, f"{path} not found")
            self._fs.rm(path, recursive=True)

    def move(self, source: str, target: str) -> None:
        """Rename, replacing a file."""
        with remote.typed(source, f"renaming to {target}"):
            self._fs.mv(source, target, recursive=self._fs.isdir(source))

    def stat(self, path: str) -> FileStatistics:
        """Length, time and kind; the time is 0 where the file system has none."""
        with remote.typed(path, "reading its properties"):
            found = self._fs.info(path)
            try:
                time = self._fs.modified(path).timestamp()
            except (NotImplementedError, OSError, KeyError, AttributeError):
                time = 0.0
        return FileStatistics(
            int(found.get("size") or 0), int(time * 1e9), found["type"] == "directory"
        )

    def open(self, path: str, mode: str) -> BinaryIO:
        """A binary file object."""
        with remote.typed(path, "opening"):
            return self._fs.open(path, mode)  # type: ignore[no-any-return]  # fsspec carries no types


LOCAL: FileSystem = _Local()


def _plain(path: str) -> str:
    return path.removeprefix("file://")


@contextmanager
def typed(path: str, doing: str) -> Iterator[None]:
    """Turn the errors of the operating system into typed ones that name the path and what was being done."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, path, doing) from error
    except ValueError as error:  # a NUL in a path, a mode that the file system does not know
        raise InvalidArgumentError(None, None, f"{path!r}: {doing} failed: {error}") from error
