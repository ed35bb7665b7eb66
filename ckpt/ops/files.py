"""Whole files as operations: reading, writing, and which files there are. Paths may be URLs (`core/file_systems.py`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import file_systems, gfile, storage
from ckpt.core.texts import bytes_of, text_of
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor

NO_GRADIENT = "files are not differentiable"


def _text(value):
    value = value.item() if isinstance(value, np.ndarray) else value
    return text_of(value)


@op("ReadFile", "filename: string -> contents: string")
def read_file_op(filename):
    """All bytes of a file. Raises NotFoundError when there is none."""
    path = _text(filename)
    with (
        file_systems.file_system(path).open(path, "rb") as file,
        file_systems.typed(path, "reading"),
    ):
        return file.read()


read_file_op.shape(lambda filename: [()])
read_file_op.stateful()  # a file may change from run to run
read_file_op.reads_files("filename").no_gradient(NO_GRADIENT)


@op("WriteFile", "filename: string, contents: string ->")
def write_file_op(filename, contents):
    """Make `contents` all that is in a file, whole or not at all; directories that are missing are made."""
    path = _text(filename)
    directory = storage.split(path)[0]
    if not gfile.isdir(directory):
        gfile.makedirs(directory)
    data = contents.item() if isinstance(contents, np.ndarray) else contents
    storage.write_file(path, data)
    return ()


write_file_op.shape(lambda filename, contents: [])
write_file_op.stateful()
write_file_op.writes_files("filename").no_gradient(NO_GRADIENT)


@op("MatchingFiles", "pattern: string -> filenames: string")
def matching_files_op(pattern):
    """The files that match any of the patterns (of `*`, `?`, `[…]`), sorted."""
    patterns = [_text(part) for part in np.ravel(np.asarray(pattern, object))]
    found = sorted({name for part in patterns for name in gfile.glob(part)})
    names = np.empty(len(found), object)
    names[:] = [bytes_of(name) for name in found]
    return names


matching_files_op.shape(lambda pattern: [(None,)])
matching_files_op.stateful()
matching_files_op.reads_files("pattern").no_gradient(NO_GRADIENT)


def read_file(filename: Any, name: str | None = None) -> Tensor:
    """All bytes of a file as a string scalar. Raises NotFoundError, when running, where there is none."""
    found: Tensor = read_file_op(filename, name=name)
    return found


def write_file(filename: Any, contents: Any, name: str | None = None) -> Operation:
    """The operation that makes `contents` all that is in a file; directories that are missing are made."""
    made: Operation = write_file_op(filename, contents, name=name)
    return made


def matching_files(pattern: Any, name: str | None = None) -> Tensor:
    """The names [count] of the files that match a pattern, or any of several, sorted."""
    found: Tensor = matching_files_op(pattern, name=name)
    return found
