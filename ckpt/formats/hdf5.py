"""The format `hdf5`: one HDF5 file that is a whole model. The description only; loads no numpy and no h5py."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ckpt.core.errors import UnimplementedError
from ckpt.core.storage import open_input
from ckpt.formats.base import Format, StrPath, TensorEntry
from ckpt.formats.hdf5_layout import FORMAT, MAGIC
from ckpt.formats.shard_index import SHARD_MAGIC

if TYPE_CHECKING:
    from ckpt.core.storage import Input
    from ckpt.formats.hdf5_reader import Hdf5Reader

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = (0, 512, 1024, 2048)
"""Where HDF5 allows its signature, as far as a head of 4 KiB shows it."""


def open_reader(
    path: StrPath, *, max_expansion: int | None = None, file: Input | None = None
) -> Hdf5Reader:
    """Open one of our `.h5` or `.index` files by its own path; `detect.open_reader` takes prefixes and other formats."""
    from ckpt.formats.hdf5_reader import Hdf5Reader

    return Hdf5Reader(path, max_expansion=max_expansion, file=file)


def write(
    path: StrPath,
    tensors: Iterable[TensorEntry],
    *,
    metadata: Mapping[str, str] | None = None,
    durable: bool = True,
) -> None:
    """Write one of our `.h5` files; `hdf5_writer.write` has more options."""
    from ckpt.formats.hdf5_writer import write as write_hdf5

    write_hdf5(path, tensors, metadata=metadata, durable=durable)


def _is_foreign(head: bytes) -> bool:
    from ckpt.formats.foreign import is_beginning_damaged  # asked only of what is none of our files

    is_hdf5 = any(head.startswith(SIGNATURE, at) for at in _USER_BLOCKS)
    return is_hdf5 and not is_beginning_damaged(head)


def _open_foreign(path: StrPath) -> Hdf5Reader:
    from ckpt.formats.foreign import ForeignHdf5Error  # only an error needs it

    found = f"{os.fspath(path)}: is an HDF5 file without ckpt's user block"
    way_in = "read it with h5py, and give the arrays to ckpt.save(prefix, {name: array})"
    with open_input(path) as file:
        head = file.read(0, min(file.size, _USER_BLOCKS[1]))
    if not head.strip(b"\0"):
        lost = "written by another program, or by ckpt and its first bytes were lost"
        raise UnimplementedError(None, None, f"{found}, {lost}: {way_in}")
    raise ForeignHdf5Error(None, None, f"{found}, written by another program: {way_in}")


HDF5 = Format(
    name=FORMAT,
    suffixes=(".h5",),
    recognises=lambda head: head.startswith(MAGIC),
    open=open_reader,
    write=write,
    layout="docs/formats/ckpt-hdf5.md",
)
SHARDED_HDF5 = Format(
    name="sharded hdf5",
    suffixes=(".index",),
    recognises=lambda head: head.startswith(SHARD_MAGIC),
    open=open_reader,
    write=None,
    layout="docs/formats/ckpt-hdf5.md",
)
FOREIGN_HDF5 = Format(
    name="foreign hdf5",
    suffixes=(),
    recognises=_is_foreign,
    open=_open_foreign,
    write=None,
    layout="docs/formats/ckpt-hdf5.md",
)
