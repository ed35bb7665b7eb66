"""The first 512 bytes of our HDF5 files, and from there to the index: two small reads. Loads no numpy and no h5py.

Bytes are treated as hostile: checksum before parsing, and no number is believed before it was checked against the
bytes present.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import pairwise

from ckpt.core.checksum import crc32c
from ckpt.core.errors import UnimplementedError
from ckpt.core.storage import Input
from ckpt.formats.hdf5_columns import parse_index
from ckpt.formats.hdf5_index import Index, damaged
from ckpt.formats.hdf5_layout import (
    HEADER,
    MAGIC,
    USER_BLOCK,
    VERSION,
    LaterVersion,
    Malformed,
    parse_header,
)

_HEADER = struct.Struct("<16sIIQQQI")
"""Magic, version, zero, offset and length of the index, length of the file, CRC of the index."""
_REMEMBERED = 1 << 20
"""Bytes up to which an index is kept for the next time that the file is opened."""


def pack_header(index_offset: int, index: bytes, file_length: int) -> bytes:
    """The first 512 bytes of a file."""
    fields = _HEADER.pack(
        MAGIC, VERSION, 0, index_offset, len(index), file_length, crc32c(index)
    ).ljust(HEADER - 4, b"\0")
    return fields + struct.pack("<I", crc32c(fields))


def identity_of(file: Input) -> int:
    """The checksum of the header without its own checksum, which differs for files that differ anywhere.

    With its own checksum it would be the same for every file: that is what a CRC does.
    """
    return crc32c(file.read(0, min(file.size, HEADER - 4)))


def read_index(file: Input) -> tuple[Index, tuple[int, int]]:
    """The index of an open file, and where it lies: two reads. Raises DataLossError or UnimplementedError."""
    try:
        own, crc = parse_header(file.read(0, min(HEADER, file.size)), file.size)
    except LaterVersion as error:
        raise UnimplementedError(
            None, None, f"{file.path}: {error.found}; {error.meaning}"
        ) from None
    except Malformed as error:
        raise damaged(file.path, error.found, error.meaning) from None
    data = file.read(*own)
    if crc32c(data) != crc:
        raise damaged(
            file.path, "the index does not match its checksum", "bytes of the index are damaged"
        )
    understand = _understood if len(data) <= _REMEMBERED else _understood.__wrapped__
    return understand(data, own, file.size, file.path), own


@lru_cache(maxsize=2)
def _understood(data: bytes, own: tuple[int, int], file_length: int, path: str) -> Index:
    """The index in `data`, checked. The same bytes mean the same: opening a file again costs less."""
    index = parse_index(data, path)
    _check_ranges(index, own, file_length, path)
    return index


def _check_ranges(index: Index, own: tuple[int, int], file_length: int, path: str) -> None:
    """Raise DataLossError unless all pieces lie behind the user block, in the file, and apart."""
    end = index.extent(own)
    if end is None:
        where = _overlapping(index, own)
        raise damaged(path, f"{where} overlap, or lie in the header", "the index is wrong")
    if end > file_length:
        raise damaged(path, f"a piece ends at byte {end} of {file_length}", "the index is wrong")


def _overlapping(index: Index, own: tuple[int, int]) -> str:
    """Which pieces do: only an error asks."""
    if index.has_many_chunks():
        return "some of the chunks"
    pieces = [(*own, "the index"), (0, USER_BLOCK, "the user block")]
    for name in index.rows:
        for part in index.tensor(name).parts:
            places = [(part.offset, part.length)]
            if part.chunks is not None:
                places = list(zip(part.chunks.offsets, part.chunks.lengths, strict=True))
            pieces += [(offset, length, f"tensor {name!r}") for offset, length in places if length]
    if index.metagraph is not None:
        pieces.append((index.metagraph.offset, index.metagraph.length, "the MetaGraph"))
    pieces.sort()
    return next(f"{a[2]} and {b[2]}" for a, b in pairwise(pieces) if a[0] + a[1] > b[0])
