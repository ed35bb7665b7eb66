"""The functions of `ckpt.core.gfile` under TensorFlow 1's names, `tf.gfile`, with the arguments that they have there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ckpt.core import gfile
from ckpt.core.file_systems import FileStatistics
from ckpt.core.gfile import GFile, Path

FastGFile = Open = GFile


def Copy(oldpath: Path, newpath: Path, overwrite: bool = False) -> None:
    """Copy a file. Raises AlreadyExistsError unless `overwrite`, NotFoundError."""
    gfile.copy(oldpath, newpath, overwrite)


def DeleteRecursively(dirname: Path) -> None:
    """Delete a directory with all that is in it. Raises NotFoundError."""
    gfile.rmtree(dirname)


def Exists(filename: Path) -> bool:
    """True when there is a file or directory of this path."""
    return gfile.exists(filename)


def Glob(filename: Any) -> list[str]:
    """The paths that match a pattern, or any of several."""
    return gfile.glob(filename)


def IsDirectory(dirname: Path) -> bool:
    """True when the path is a directory."""
    return gfile.isdir(dirname)


def ListDirectory(dirname: Path) -> list[str]:
    """The names in a directory. Raises NotFoundError."""
    return gfile.listdir(dirname)


def MakeDirs(dirname: Path) -> None:
    """Make a directory and its parents. Raises FailedPreconditionError when a file is in the way."""
    gfile.makedirs(dirname)


def MkDir(dirname: Path) -> None:
    """Make one directory. Raises NotFoundError when its parent is missing."""
    gfile.mkdir(dirname)


def Remove(filename: Path) -> None:
    """Delete a file. Raises NotFoundError, FailedPreconditionError for a directory."""
    gfile.remove(filename)


def Rename(oldname: Path, newname: Path, overwrite: bool = False) -> None:
    """Rename a file or directory. Raises AlreadyExistsError unless `overwrite`, NotFoundError."""
    gfile.rename(oldname, newname, overwrite)


def Stat(filename: Path) -> FileStatistics:
    """Length in bytes, time in nanoseconds, kind. Raises NotFoundError."""
    return gfile.stat(filename)


def Walk(top: Path, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """(directory, its directories, its files) for a tree, from the top or from below."""
    return gfile.walk(top, in_order)
