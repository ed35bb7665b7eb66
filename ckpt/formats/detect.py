"""Which format is this file? By its content, never by its name. Loads no numpy and no h5py."""

from __future__ import annotations

import os

from ckpt.core.errors import InvalidArgumentError
from ckpt.core.storage import exists, is_directory, is_file, open_input
from ckpt.formats import hdf5
from ckpt.formats.base import Format, StrPath, TensorReader
from ckpt.formats.hdf5 import FOREIGN_HDF5, HDF5, SHARDED_HDF5
from ckpt.formats.hdf5_volumes import open_checkpoint
from ckpt.formats.missing import MissingCheckpointError

FORMATS: list[Format] = [SHARDED_HDF5, HDF5, FOREIGN_HDF5]

_HEAD = 4096


def open_reader(path: StrPath, *, max_expansion: int | None = None) -> TensorReader:
    """Open the checkpoint that `path` names: a file of any known format, or a prefix.

    Raises NotFoundError when there is none, InvalidArgumentError when its format is unknown, DataLossError
    when it is damaged. `max_expansion` is how much larger than their file compressed values may be, in our files.
    """
    name = resolve(path)
    file = open_input(name)
    try:
        head = file.read(0, min(file.size, _HEAD))
        is_own = HDF5.recognises(head) or SHARDED_HDF5.recognises(head)
    except BaseException:
        file.close()
        raise
    if is_own:
        return hdf5.open_reader(name, max_expansion=max_expansion, file=file)
    file.close()
    return recognise(name).open(name)


def read_metadata(path: StrPath) -> dict[str, str]:
    """What the writer of a checkpoint noted in it. Loads no numpy for our own files. Raises what `open_reader` raises."""
    name = resolve(path)
    known = recognise(name)
    if known in (HDF5, SHARDED_HDF5):
        checkpoint = open_checkpoint(name)
        checkpoint.close()
        return dict(checkpoint.metadata)
    with known.open(name) as reader:
        return dict(reader.metadata())


def resolve(path: StrPath) -> str:
    """The file to open for `path`: that of the prefix, itself, or that beside the `.meta` file; in this order.

    Raises MissingCheckpointError when there is none, InvalidArgumentError for a directory.
    """
    name = os.fsdecode(path)
    existing = _existing(name)
    if not existing and name.endswith(".meta"):
        name = name.removesuffix(".meta")
        existing = _existing(name)
    elif not existing and (is_file(name) or (exists(name) and not is_directory(name))):
        return name
    for file, known in existing:
        if known.recognises(_head_of(file)):
            return file
    if existing:
        return existing[0][0]
    if is_directory(name):
        raise InvalidArgumentError(
            None, None, f"{name}: is a directory; give a file or a prefix, see latest_checkpoint"
        )
    raise MissingCheckpointError(name, [name, *(file for file, _ in _files_of(name))])


def _files_of(prefix: str) -> list[tuple[str, Format]]:
    return [(prefix + suffix, known) for known in FORMATS for suffix in known.suffixes]


def _existing(prefix: str) -> list[tuple[str, Format]]:
    return [(file, known) for file, known in _files_of(prefix) if exists(file)]


def recognise(path: StrPath) -> Format:
    """The format of a file. Raises an InvalidArgumentError (ForeignFileError, when it is one that others read) or
    DataLossError that says what it is instead.
    """
    head = _head_of(path)
    for known in FORMATS:
        if known.recognises(head):
            return known
    from ckpt.formats.foreign import error_for  # only an error needs it

    names = ", ".join(known.name for known in FORMATS if known is not FOREIGN_HDF5)
    raise error_for(os.fspath(path), head, names)


def _head_of(path: StrPath) -> bytes:
    with open_input(path) as file:
        return file.read(0, min(file.size, _HEAD))
