"""Files and folders by path or URL: the functions of `tf.io.gfile`, and the file object `GFile`.

Paths are str, bytes or os.PathLike. Every failure is a typed error of `ckpt.core.errors`; what is no path is a TypeError.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ckpt.core.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    from_os_error,
)
from ckpt.core.file_systems import FileStatistics, file_system, scheme_of, typed

if TYPE_CHECKING:
    from typing import Self

Path = str | bytes | os.PathLike[str]

_MODES = ("r", "w", "a", "r+", "w+", "a+")


def _text(path: Any) -> str:
    if isinstance(path, (str, bytes, os.PathLike)):
        return os.fsdecode(path)
    raise TypeError(f"Expected binary or unicode string, got {path!r}")


def exists(path: Path) -> bool:
    """True when there is a file or directory of this path."""
    name = _text(path)
    return bool(name) and file_system(name).exists(name)


def isdir(path: Path) -> bool:
    """True when the path is a directory."""
    name = _text(path)
    return file_system(name).isdir(name)


def listdir(path: Path) -> list[str]:
    """The names in a directory, sorted, without their path. Raises NotFoundError when it is no directory."""
    name = _text(path)
    return file_system(name).listdir(name)


def mkdir(path: Path) -> None:
    """Make one directory; one that is there already is no error. Raises NotFoundError when its parent is missing."""
    name = _text(path)
    file_system(name).mkdir(name)


def makedirs(path: Path) -> None:
    """Make a directory and its parents. Raises FailedPreconditionError when a file is in the way."""
    name = _text(path)
    file_system(name).makedirs(name)


def remove(path: Path) -> None:
    """Delete a file. Raises NotFoundError when there is none, FailedPreconditionError for a directory."""
    name = _text(path)
    file_system(name).remove(name)


def rmtree(path: Path) -> None:
    """Delete a directory with all that is in it, or a file. Raises NotFoundError when there is none."""
    name = _text(path)
    file_system(name).rmtree(name)


def rename(src: Path, dst: Path, overwrite: bool = False) -> None:
    """Rename a file or directory. Raises AlreadyExistsError when `dst` exists, unless `overwrite`."""
    source, target = _text(src), _text(dst)
    _check_free(target, overwrite)
    files = file_system(source)
    if scheme_of(source) == scheme_of(target):
        files.move(source, target)
    else:
        copy(source, target, overwrite=True)
        files.remove(source)


def copy(src: Path, dst: Path, overwrite: bool = False) -> None:
    """Copy a file, from one file system to another too. Raises AlreadyExistsError unless `overwrite`, NotFoundError."""
    source, target = _text(src), _text(dst)
    if isdir(source):
        raise InvalidArgumentError(None, None, f"{source}: is a directory, it cannot be copied")
    with file_system(source).open(source, "rb") as reading:
        _check_free(target, overwrite)
        if overwrite and exists(target) and _same(source, target):
            return
        with file_system(target).open(target, "wb") as writing:
            try:
                shutil.copyfileobj(reading, writing, 1 << 20)
            except OSError as error:
                raise from_os_error(error, target, f"copying {source} to it") from error


def _same(source: str, target: str) -> bool:
    if scheme_of(source) or scheme_of(target):
        return source == target
    return os.path.samefile(source, target)


def _check_free(target: str, overwrite: bool) -> None:
    if not overwrite and exists(target):
        raise AlreadyExistsError(
            None, None, f"{target}: file already exists; overwrite=True replaces it"
        )


def stat(path: Path) -> FileStatistics:
    """Length in bytes, time in nanoseconds, kind. Raises NotFoundError."""
    name = _text(path)
    return file_system(name).stat(name)


def join(path: Path, *paths: Path) -> Any:
    """The parts of a path put together: as `os.path.join`, of URLs too. Bytes when `path` is bytes."""
    parts = [_text(part) for part in (path, *paths)]
    found = parts[0]
    for part in parts[1:]:
        if scheme_of(part) or part.startswith("/") or not found:
            found = part
        else:
            found = found + part if found.endswith("/") else f"{found}/{part}"
    return os.fsencode(found) if isinstance(path, bytes) else found


def glob(pattern: Any) -> list[str]:
    """The paths that match a pattern (or any of several), sorted: `*`, `?` and `[...]`, none of which matches "/"."""
    patterns = [pattern] if isinstance(pattern, (str, bytes, os.PathLike)) else list(pattern)
    return [path for one in patterns for path in _matching(_text(one))]


def _matching(pattern: str) -> list[str]:
    if not _has_magic(pattern):
        return [pattern] if exists(pattern) else []
    folder, slash, last = pattern.rstrip("/").rpartition("/")
    if not slash:
        folder = "."
    elif not folder or (scheme_of(pattern) and not scheme_of(folder)):
        folder += "/"  # the root
    folders = _matching(folder) if _has_magic(folder) else [folder]
    return [
        join(base, name)
        for base in folders
        if isdir(base)
        for name in (fnmatch.filter(listdir(base), last) if _has_magic(last) else [last])
        if exists(join(base, name))
    ]


def _has_magic(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")


def walk(
    top: Path, topdown: bool = True, onerror: Any = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """(directory, its directories, its files) for a tree, from the top or from below; nothing for what is no directory.

    Links to directories are not followed. Errors of listing go to `onerror`, or are passed over without one.
    """
    here = _text(top)
    try:
        names = listdir(here)
    except NotFoundError as error:
        if onerror is not None:
            onerror(error)
        return
    folders = [name for name in names if isdir(join(here, name))]
    files = [name for name in names if name not in set(folders)]
    if topdown:
        yield here, folders, files
    for name in folders:
        below = join(here, name)
        if scheme_of(below) or not os.path.islink(below):
            yield from walk(below, topdown, onerror)
    if not topdown:
        yield here, folders, files


class GFile:
    """A file that is opened when it is first read or written. Text is UTF-8; a mode with "b" reads bytes.

    `mode` is r, w, a, r+, w+ or a+, perhaps with b. Raises InvalidArgumentError for another mode; reading what is not
    open for reading is a PermissionDeniedError, a missing file a NotFoundError at the first read. Source:
    https://www.tensorflow.org/api_docs/python/tf/io/gfile/GFile.
    """

    def __init__(self, name: Path, mode: str = "r", encoding: str = "utf-8") -> None:
        self.name = _text(name)
        self.mode = mode
        self._plain_mode = mode.replace("b", "")
        if self._plain_mode not in _MODES:
            raise InvalidArgumentError(
                None,
                None,
                f"{self.name}: mode {mode!r} is not 'r' or 'w' or 'a' or 'r+' or 'w+' or 'a+'",
            )
        self._is_binary = "b" in mode
        self._encoding = encoding
        self._file: BinaryIO | None = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            mode = self._plain_mode[0] + "b" + self._plain_mode[1:]
            self._file = file_system(self.name).open(self.name, mode)
        return self._file

    def _reading(self) -> BinaryIO:
        if self._plain_mode in ("w", "a"):
            raise PermissionDeniedError(None, None, f"{self.name}: File isn't open for reading")
        return self._opened()

    def _writing(self) -> BinaryIO:
        if self._plain_mode == "r":
            raise PermissionDeniedError(None, None, f"{self.name}: File isn't open for writing")
        return self._opened()

    def size(self) -> int:
        """The length of the file in bytes, as others see it: what is not flushed does not count."""
        return stat(self.name).length

    def write(self, file_content: str | bytes) -> None:
        """Append text (as UTF-8) or bytes at the position."""
        if isinstance(file_content, str):
            file_content = file_content.encode(self._encoding)
        elif not isinstance(file_content, (bytes, bytearray, memoryview)):
            raise TypeError(f"Expected binary or unicode string, got {file_content!r}")
        file = self._writing()
        with typed(self.name, "writing"):
            file.write(file_content)

    def _given(self, data: bytes) -> Any:
        return data if self._is_binary else data.decode(self._encoding)

    def read(self, n: int = -1) -> Any:
        """`n` bytes from the position, or all that follow: text, or bytes where the mode has "b"."""
        file = self._reading()
        with typed(self.name, "reading"):
            data = file.read() if n == -1 else file.read(n)
        return self._given(data)

    def readline(self) -> Any:
        """The next line with its line feed; empty at the end of the file."""
        file = self._reading()
        with typed(self.name, "reading"):
            data = file.readline()
        return self._given(data)

    def readlines(self) -> list[Any]:
        """All lines that follow."""
        return list(self)

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Go to `offset` bytes from the start, the position (whence 1) or the end (whence 2).

        Raises InvalidArgumentError for another `whence` and a place before the start, OutOfRangeError behind the end.
        """
        if offset is None and position is None:
            raise TypeError("seek(): offset argument required")
        offset = position if offset is None else offset
        if whence not in (0, 1, 2):
            raise InvalidArgumentError(
                None, None, f"Invalid whence argument: {whence}. Valid values are 0, 1, or 2."
            )
        file = self._reading()
        start = (0, file.tell(), self.size())[whence]
        target = start + int(offset or 0)
        if target < 0:
            raise InvalidArgumentError(
                None, None, f"{self.name}: seeking to a negative position: {target}"
            )
        if target > self.size():
            file.seek(self.size())
            raise OutOfRangeError(
                None, None, f"{self.name}: {target} is behind the end, reached end of file"
            )
        file.seek(target)

    def tell(self) -> int:
        """The position in bytes."""
        return self._opened().tell()

    def seekable(self) -> bool:
        """True: every file can be read from any place."""
        return True

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        if self._file is not None:
            with typed(self.name, "writing"):
                self._file.flush()

    def close(self) -> None:
        """Write what is left and close the file; using it again opens it anew."""
        file, self._file = self._file, None
        if file is not None:
            with typed(self.name, "closing"):
                file.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:  # None too when the mode was refused
            self.close()
