"""The user block and the index of our HDF5 files: parse, validate, build. Loads no numpy and no h5py.

The layout is in docs/formats/ckpt-hdf5.md. Everything here treats its bytes as hostile: checksum before
parsing, and no number is believed before it was checked against the bytes present.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import prod
from typing import Any

from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.core.storage import Input

MAGIC = b"\x89CKPT-H5\r\n\x1a\n\0\0\0\0"
VERSION = 1
USER_BLOCK = 4096  # bytes before the HDF5 superblock; HDF5 wants no less for an alignment of 4096
HEADER = 512  # bytes of it that are ours
BLOCK = 512 * 1024  # bytes under one checksum, and of one read or write: fits a core's cache

RAW = 0  # layout: the bytes lie at offset
FILTERED = 1  # layout: to be read through HDF5; reserved

# bytes of one element; a test holds this equal to core.dtypes, which would load numpy
ITEM_SIZE = {
    "float16": 2, "float32": 4, "float64": 8, "bfloat16": 2,
    "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
    "bool": 1, "complex64": 8, "complex128": 16, "string": 0,
    "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e4m3b11fnuz": 1,
    "float8_e5m2fnuz": 1, "int4": 1, "uint4": 1, "int2": 1, "uint2": 1,
    "qint8": 1, "quint8": 1, "qint16": 2, "quint16": 2, "qint32": 4,
}  # fmt: skip
STRING_END = 8  # bytes that a string tensor stores per element besides the characters

_HEADER = struct.Struct(
    "<16sIIQQQI"
)  # magic, version, zero, index offset, index length, file length, index crc
_MAX_INDEX = 1 << 30
_MAX_RANK = 64  # numpy's limit
_MAX_LIST = 4096  # msgpack allocates lists from their announced length
_WIDTHS = {"B": 1, "I": 4, "Q": 8}


@dataclass(frozen=True, slots=True)
class Part:
    """A box of a tensor whose bytes lie in one piece, row-major, in `length` bytes from `offset`.

    `starts` and `shape` place the box in the tensor; `crcs` holds one CRC32C per BLOCK bytes.
    """

    starts: tuple[int, ...]
    shape: tuple[int, ...]
    offset: int
    length: int
    crcs: tuple[int, ...]
    layout: int = RAW
    file: int = 0  # which of a reader's files; not stored


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named tensor; a whole tensor has one part, a tensor with missing parts may have any number."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def is_whole(self) -> bool:
        """True when one part is the whole tensor."""
        return len(self.parts) == 1 and self.parts[0].shape == self.shape


@dataclass(frozen=True, slots=True)
class Blob:
    """A piece of the file under one checksum that is no tensor."""

    offset: int
    length: int
    crc: int
    file: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """All that is known of a file without reading a tensor."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    metagraph: Blob | None = None
    structure_crc: int = 0
    block: int = BLOCK


def blocks_of(length: int, block: int = BLOCK) -> int:
    """How many checksums cover `length` bytes."""
    return -(-length // block)


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
    header = file.read(0, min(HEADER, file.size))
    if len(header) < HEADER or header[:16] != MAGIC:
        raise _damaged(
            file.path, "the first 512 bytes are not a ckpt header", "another file or a damaged one"
        )
    if struct.unpack_from("<I", header, HEADER - 4)[0] != crc32c(header[: HEADER - 4]):
        raise _damaged(
            file.path, "the header does not match its checksum", "the first 512 bytes are damaged"
        )
    _, version, _, offset, length, file_length, crc = _HEADER.unpack_from(header)
    if version != VERSION:
        raise UnimplementedError(
            None,
            None,
            f"{file.path}: has layout version {version}, this ckpt reads version {VERSION}; use a newer ckpt",
        )
    if file_length != file.size:
        raise _damaged(
            file.path, f"the file has {file.size} bytes, expected {file_length}", "cut or extended"
        )
    if length > _MAX_INDEX or offset < USER_BLOCK or offset + length > file_length:
        raise _damaged(
            file.path, f"the index lies at {offset}+{length}, outside the file", "damaged header"
        )
    data = file.read(offset, length)
    if crc32c(data) != crc:
        raise _damaged(
            file.path, "the index does not match its checksum", "bytes of the index are damaged"
        )
    index = parse_index(data, file.path)
    _check_ranges(index, (offset, length), file_length, file.path)
    return index, (offset, length)


def ranges(index: Index) -> Iterator[tuple[int, int, str]]:
    """Offset, length and owner of every checksummed piece that is not empty, in the order of the index."""
    for tensor in index.tensors.values():
        for part in tensor.parts:
            if part.length:
                yield part.offset, part.length, f"tensor {tensor.name!r}"
    if index.metagraph is not None and index.metagraph.length:
        yield index.metagraph.offset, index.metagraph.length, "the MetaGraph"


def pack_index(index: Index) -> bytes:
    """The bytes of an index. Their number depends on names, dtypes and shapes only, not on where things lie."""
    import msgpack

    tensors = list(index.tensors.values())
    parts = [part for tensor in tensors for part in tensor.parts]
    names = [tensor.name.encode() for tensor in tensors]
    dtypes = sorted({tensor.dtype for tensor in tensors})
    codes = {dtype: code for code, dtype in enumerate(dtypes)}
    split = [tensor for tensor in tensors if not tensor.is_whole]
    boxes = [n for t in split for part in t.parts for n in (*part.starts, *part.shape)]
    blob = index.metagraph
    packed: bytes = msgpack.packb(
        {
            "block": index.block,
            "names": b"".join(names),
            "name_ends": _column("Q", accumulate(map(len, names))),
            "dtype_names": dtypes,
            "dtypes": _column("B", (codes[t.dtype] for t in tensors)),
            "ranks": _column("B", (len(t.shape) for t in tensors)),
            "dims": _column("Q", (n for t in tensors for n in t.shape)),
            "splits": _column("I", (0 if t.is_whole else len(t.parts) for t in tensors)),
            "boxes": _column("Q", boxes),
            "offsets": _column("Q", (part.offset for part in parts)),
            "lengths": _column("Q", (part.length for part in parts)),
            "layouts": _column("B", (part.layout for part in parts)),
            "crcs": _column("I", (crc for part in parts for crc in part.crcs)),
            "metagraph": None
            if blob is None
            else struct.pack("<QQI", blob.offset, blob.length, blob.crc),
            "structure_crc": struct.pack("<I", index.structure_crc),
            "metadata": dict(index.metadata),
            "aliases": dict(index.aliases),
            "paths": dict(index.paths),
        }
    )
    return packed


def parse_index(data: bytes, path: str) -> Index:
    """The index in `data`, every field checked for type, number and mutual agreement."""
    import msgpack

    try:
        fields = msgpack.unpackb(
            data, max_array_len=_MAX_LIST, max_ext_len=0, max_map_len=len(data), strict_map_key=True
        )
        return _Columns(fields).index()
    except (ValueError, KeyError, TypeError, OverflowError, StopIteration) as error:
        # msgpack's own errors are ValueErrors too
        reason = (
            f"has no field {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        )
        raise _damaged(path, f"the index is malformed: {reason}", "not written by ckpt") from error


class _Columns:
    """The unpacked msgpack map; any method may raise ValueError, KeyError or TypeError."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ValueError("is not a map")
        self._fields = fields
        self.block = self._integer("block")

    def index(self) -> Index:
        names = self._names()
        tensors = {tensor.name: tensor for tensor in self._tensors(names)}
        if len(tensors) != len(names):
            raise ValueError("holds a tensor name twice")
        aliases = self._strings("aliases")
        dangling = [
            f"{a!r} -> {b!r}" for a, b in aliases.items() if b not in tensors or a in tensors
        ]
        if dangling:
            raise ValueError(f"aliases of nothing, or of themselves: {', '.join(dangling[:5])}")
        return Index(
            tensors=tensors,
            metadata=self._strings("metadata"),
            aliases=aliases,
            paths=self._strings("paths"),
            metagraph=self._metagraph(),
            structure_crc=self._column("structure_crc", "I", 1)[0],
            block=self.block,
        )

    def _tensors(self, names: list[str]) -> Iterator[Tensor]:
        count = len(names)
        dtype_names = self._dtype_names()
        codes = self._column("dtypes", "B", count)
        ranks = self._column("ranks", "B", count)
        dims = iter(self._column("dims", "Q", sum(ranks)))
        splits = self._column("splits", "I", count)
        total = sum(n or 1 for n in splits)
        boxes = iter(
            self._column(
                "boxes", "Q", sum(2 * rank * n for rank, n in zip(ranks, splits, strict=True))
            )
        )
        parts = self._parts(total)
        for name, code, rank, split in zip(names, codes, ranks, splits, strict=True):
            shape = _taken(dims, rank)
            dtype = dtype_names[code] if code < len(dtype_names) else ""
            _check_shape(name, dtype, shape)
            if not split:
                own = [_placed(next(parts), (0,) * rank, shape)]
            else:
                own = [
                    _placed(next(parts), _taken(boxes, rank), _taken(boxes, rank))
                    for _ in range(split)
                ]
            for part in own:
                _check_part(name, dtype, shape, part)
            yield Tensor(name, dtype, shape, tuple(own))

    def _parts(self, total: int) -> Iterator[Part]:
        offsets = self._column("offsets", "Q", total)
        lengths = self._column("lengths", "Q", total)
        layouts = self._column("layouts", "B", total)
        ends = list(accumulate((blocks_of(length, self.block) for length in lengths), initial=0))
        crcs = self._column("crcs", "I", ends[-1])
        for offset, length, layout, (first, last) in zip(
            offsets, lengths, layouts, pairwise(ends), strict=True
        ):
            yield Part((), (), offset, length, tuple(crcs[first:last]), layout)

    def _names(self) -> list[str]:
        blob = self._fields["names"]
        if not isinstance(blob, bytes):
            raise ValueError("names is not binary")
        ends = self._column("name_ends", "Q", None)
        starts = [0, *ends]
        if any(a > b for a, b in pairwise(starts)) or starts[-1] != len(blob):
            raise ValueError("name_ends does not fit names")
        return [blob[a:b].decode() for a, b in pairwise(starts)]

    def _dtype_names(self) -> list[str]:
        names = self._fields["dtype_names"]
        if not isinstance(names, list) or not all(type(n) is str and n in ITEM_SIZE for n in names):
            raise ValueError(f"unknown dtypes in {str(names)[:200]}")
        return names

    def _metagraph(self) -> Blob | None:
        data = self._fields["metagraph"]
        return None if data is None else Blob(*struct.unpack("<QQI", data))

    def _integer(self, key: str) -> int:
        value = self._fields[key]
        if type(value) is not int or not 4096 <= value <= 1 << 24:
            raise ValueError(f"{key} is {str(value)[:40]}, expected 4096 to {1 << 24}")
        return value

    def _strings(self, key: str) -> dict[str, str]:
        value = self._fields[key]
        if not isinstance(value, dict) or not all(
            type(k) is str and type(v) is str for k, v in value.items()
        ):
            raise ValueError(f"{key} is not a map of strings")
        return value

    def _column(self, key: str, code: str, count: int | None) -> array[int]:
        data = self._fields[key]
        if not isinstance(data, bytes) or count not in (None, len(data) / _WIDTHS[code]):
            raise ValueError(f"{key} is not {count} integers of {_WIDTHS[code]} bytes")
        column = array(code)
        column.frombytes(data)
        if sys.byteorder == "big":
            column.byteswap()
        return column


def _column(code: str, values: Any) -> bytes:
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _taken(numbers: Iterator[int], count: int) -> tuple[int, ...]:
    return tuple(next(numbers) for _ in range(count))


def _placed(part: Part, starts: tuple[int, ...], shape: tuple[int, ...]) -> Part:
    return Part(starts, shape, part.offset, part.length, part.crcs, part.layout)


def _check_shape(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    if not dtype:
        raise ValueError(f"tensor {name!r} has no dtype")
    # numpy multiplies the sizes of empty arrays too, leaving out the zeros
    if len(shape) > _MAX_RANK or prod(n or 1 for n in shape) * 16 >= 1 << 63:
        raise ValueError(f"tensor {name!r} has the impossible shape {shape}")


def _check_part(name: str, dtype: str, shape: tuple[int, ...], part: Part) -> None:
    if any(a + n > full for a, n, full in zip(part.starts, part.shape, shape, strict=True)):
        raise ValueError(f"tensor {name!r} of shape {shape} has a part outside it")
    if part.layout != RAW:
        raise ValueError(f"tensor {name!r} has the unknown layout {part.layout}")
    count = prod(part.shape)
    fits = (
        part.length >= count * STRING_END
        if dtype == "string"
        else part.length == count * ITEM_SIZE[dtype]
    )
    if not fits:
        raise ValueError(
            f"tensor {name!r} takes {part.length} bytes, which does not fit {part.shape} of {dtype}"
        )


def _check_ranges(index: Index, own: tuple[int, int], file_length: int, path: str) -> None:
    """Raise DataLossError unless all pieces lie behind the user block, in the file, and apart."""
    pieces = sorted([*ranges(index), (*own, "the index")])
    end, owner = USER_BLOCK, "the user block"
    for offset, length, name in pieces:
        if offset < end:
            raise _damaged(path, f"{name} overlaps {owner}", "the index is wrong")
        end, owner = offset + length, name
    if end > file_length:
        raise _damaged(path, f"{owner} ends at byte {end} of {file_length}", "the index is wrong")


def _damaged(path: str, found: str, meaning: str) -> DataLossError:
    return DataLossError(None, None, f"{path}: {found} ({meaning}); restore it from a copy")
