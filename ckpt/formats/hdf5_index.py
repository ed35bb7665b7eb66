"""The user block and the index of our HDF5 files: parse, validate, build. Loads no numpy and no h5py.

The layout is in docs/formats/ckpt-hdf5.md. Everything here treats its bytes as hostile: checksum before
parsing, and no number is believed before it was checked against the bytes present.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise, repeat
from math import prod
from operator import add, gt, mul
from typing import Any, NamedTuple

from ckpt.core.checksum import crc32c
from ckpt.core.collector import paused
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.core.storage import Input

MAGIC = b"\x89CKPT-H5\r\n\x1a\n\0\0\0\0"
VERSION = 1
USER_BLOCK = 4096  # bytes before the HDF5 superblock; HDF5 wants no less for an alignment of 4096
HEADER = 512  # bytes of it that are ours
BLOCK = 128 * 1024  # bytes under one checksum: what a slice reads at least

Pipeline = tuple[tuple[int, tuple[int, ...]], ...]

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
_MAX_FILTERS = 8
_MAX_CHUNK = 1 << 24  # bytes of one chunk when it is not filtered
_ZEROS = [(0,) * rank for rank in range(256)]
_WIDTHS = {"B": 1, "I": 4, "Q": 8}


class Chunks(NamedTuple):
    """How a part is cut and filtered: chunks of `shape`, in row-major order of the grid, the last ones padded.

    `pipeline` names HDF5's filters as (number, parameters), in the order that a writer applies them.
    """

    shape: tuple[int, ...]
    pipeline: Pipeline
    offsets: Sequence[int]
    lengths: Sequence[int]


class Part(NamedTuple):
    """A box of a tensor: `length` bytes from `offset`, row-major, or chunks of so many bytes in all.

    `starts` and `shape` place the box in the tensor; `crcs` holds one CRC32C per block of bytes, or per chunk.
    """

    starts: tuple[int, ...]
    shape: tuple[int, ...]
    offset: int
    length: int
    crcs: Sequence[int]
    chunks: Chunks | None = None
    file: int = 0  # which of a reader's files; not stored


class Tensor(NamedTuple):
    """One named tensor; a whole tensor has one part, a tensor with missing parts may have any number."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def is_whole(self) -> bool:
        """True when one part is the whole tensor."""
        return len(self.parts) == 1 and self.parts[0].shape == self.shape

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the file."""
        return sum([part.length for part in self.parts])


class Blob(NamedTuple):
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
    """How many blocks, and so checksums, cover `length` bytes."""
    return -(-length // block)


def pack_header(index_offset: int, index: bytes, file_length: int) -> bytes:
    """The first 512 bytes of a file."""
    fields = _HEADER.pack(
        MAGIC, VERSION, 0, index_offset, len(index), file_length, crc32c(index)
    ).ljust(HEADER - 4, b"\0")
    return fields + struct.pack("<I", crc32c(fields))


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


def ranges(index: Index) -> Iterator[tuple[int, int]]:
    """Offset and length of every checksummed piece that is not empty, in the order of the index."""
    for tensor in index.tensors.values():
        for part in tensor.parts:
            if part.chunks is not None:
                yield from zip(part.chunks.offsets, part.chunks.lengths, strict=True)
            elif part.length:
                yield part.offset, part.length
    if index.metagraph is not None and index.metagraph.length:
        yield index.metagraph.offset, index.metagraph.length


def pack_index(fields: Mapping[str, Any]) -> bytes:
    """The bytes of an index: columns as `column` makes them, and plain maps."""
    import msgpack

    packed: bytes = msgpack.packb(fields)
    return packed


def column(code: str, values: Iterable[int]) -> bytes:
    """Integers as little-endian bytes: `B`, `I` or `Q`, of 1, 4 or 8 bytes each."""
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def parse_index(data: bytes, path: str) -> Index:
    """The index in `data`, every field checked for type, number and mutual agreement."""
    import msgpack

    try:
        fields = msgpack.unpackb(
            data, max_array_len=_MAX_LIST, max_ext_len=0, max_map_len=len(data), strict_map_key=True
        )
        with paused():
            return _Columns(fields).index()
    except (ValueError, KeyError, TypeError, OverflowError, struct.error) as error:
        # msgpack's own errors are ValueErrors too
        reason = (
            f"has no field {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        )
        raise _damaged(path, f"the index is malformed: {reason}", "not written by ckpt") from error


class _Columns:
    """The unpacked msgpack map; any method may raise ValueError, KeyError or TypeError.

    Twenty thousand tensors are read in some 20 ms, so what is done per tensor is done by C functions over columns.
    """

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ValueError("is not a map")
        self._fields = fields
        self.block = self._integer("block")

    def index(self) -> Index:
        names = self._names()
        tensors = dict(zip(names, self._tensors(names), strict=True))
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

    def _tensors(self, names: list[str]) -> list[Tensor]:
        count = len(names)
        known = self._dtype_names()
        codes = self._column("dtypes", "B", count)
        if count and max(codes) >= len(known):
            raise ValueError("a tensor has no dtype")
        dtypes = [known[code] for code in codes]
        ranks = self._column("ranks", "B", count)
        shapes = _cut(self._column("dims", "Q", sum(ranks)).tolist(), ranks)
        _check_shapes(names, shapes)
        splits = self._column("splits", "I", count)
        starts = list(map(_ZEROS.__getitem__, ranks))
        groups: list[tuple[Part, ...]]
        if not any(splits):
            parts = self._parts(starts, shapes, dtypes)
            _check_parts(names, dtypes, parts)
            groups = list(zip(parts))  # each part in a tuple of its own
        else:
            groups = self._split_parts(names, dtypes, ranks, shapes, splits)
        return list(map(Tensor._make, zip(names, dtypes, shapes, groups, strict=True)))

    def _split_parts(
        self,
        names: list[str],
        dtypes: list[str],
        ranks: Sequence[int],
        shapes: list[tuple[int, ...]],
        splits: Sequence[int],
    ) -> list[tuple[Part, ...]]:
        """The parts of each tensor where some tensors have several, or one that is not all of it."""
        self._column("offsets", "Q", sum(split or 1 for split in splits))  # no list before this
        owners = [n for n, split in enumerate(splits) for _ in range(split or 1)]
        cut = [2 * rank for rank, split in zip(ranks, splits, strict=True) for _ in range(split)]
        boxes = iter(_cut(self._column("boxes", "Q", sum(cut)).tolist(), cut))
        starts, sizes = [], []
        for n in owners:
            box = next(boxes) if splits[n] else _ZEROS[ranks[n]] + shapes[n]
            starts.append(box[: ranks[n]])
            sizes.append(box[ranks[n] :])
        parts = self._parts(starts, sizes, [dtypes[n] for n in owners])
        _check_parts([names[n] for n in owners], [dtypes[n] for n in owners], parts)
        groups: list[list[Part]] = [[] for _ in names]
        for n, part in zip(owners, parts, strict=True):
            if any(map(gt, map(add, part.starts, part.shape), shapes[n])):
                raise ValueError(f"tensor {names[n]!r} of shape {shapes[n]} has a part outside it")
            groups[n].append(part)
        return list(map(tuple, groups))

    def _parts(
        self, starts: list[tuple[int, ...]], shapes: list[tuple[int, ...]], dtypes: list[str]
    ) -> list[Part]:
        count = len(shapes)
        offsets = self._column("offsets", "Q", count)
        lengths = self._column("lengths", "Q", count)
        layouts = self._column("layouts", "B", count)
        chunks = self._chunks(layouts, shapes, lengths) if any(layouts) else [None] * count
        below = self.block - 1
        counts = [
            (length + below) // self.block if one is None else len(one.lengths)
            for length, one in zip(lengths, chunks, strict=True)
        ]
        ends = list(accumulate(counts, initial=0))
        crcs = self._column("crcs", "I", ends[-1])
        own = list(map(crcs.__getitem__, map(slice, ends, ends[1:])))
        return list(
            map(
                Part._make,
                zip(starts, shapes, offsets, lengths, own, chunks, repeat(0, count), strict=True),
            )
        )

    def _chunks(
        self, layouts: Sequence[int], shapes: list[tuple[int, ...]], lengths: Sequence[int]
    ) -> list[Chunks | None]:
        """The chunks of the parts whose layout is not 0, which is the number of a pipeline."""
        pipelines = [_pipeline(pipeline) for pipeline in self._list("filters")]
        filtered = [n for n, layout in enumerate(layouts) if layout]
        if max(layouts) > len(pipelines):
            raise ValueError("a part has filters that are not described")
        ranks = [len(shapes[n]) for n in filtered]
        sizes = _cut(self._column("chunk_shapes", "Q", sum(ranks)).tolist(), ranks)
        counts = [_chunks_of(shapes[n], size) for n, size in zip(filtered, sizes, strict=True)]
        offsets = self._column("chunk_offsets", "Q", sum(counts))
        stored = self._column("chunk_lengths", "Q", sum(counts))
        found: list[Chunks | None] = [None] * len(layouts)
        first = 0
        for n, size, count in zip(filtered, sizes, counts, strict=True):
            own = slice(first, first + count)
            found[n] = Chunks(size, pipelines[layouts[n] - 1], offsets[own], stored[own])
            if sum(stored[own]) != lengths[n] or not all(stored[own]):
                raise ValueError("the chunks of a part do not have its length")
            first += count
        return found

    def _names(self) -> list[str]:
        blob = self._fields["names"]
        if not isinstance(blob, bytes):
            raise ValueError("names is not binary")
        ends = self._column("name_ends", "Q", None).tolist()
        starts = [0, *ends]
        if any(map(gt, starts, ends)) or starts[-1] != len(blob):
            raise ValueError("name_ends does not fit names")
        if blob.isascii():
            return list(map(blob.decode().__getitem__, map(slice, starts, ends)))
        return [blob[a:b].decode() for a, b in pairwise(starts)]

    def _dtype_names(self) -> list[str]:
        names = self._list("dtype_names")
        if not all(type(n) is str and n in ITEM_SIZE for n in names):
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

    def _list(self, key: str) -> list[Any]:
        value = self._fields[key]
        if not isinstance(value, list):
            raise ValueError(f"{key} is not a list")
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
        numbers = array(code)
        numbers.frombytes(data)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers


def _cut(numbers: list[int], counts: Sequence[int]) -> list[tuple[int, ...]]:
    """The numbers in tuples of so many each."""
    ends = list(accumulate(counts))
    return list(map(tuple, map(numbers.__getitem__, map(slice, [0, *ends], ends))))


def _pipeline(value: Any) -> Pipeline:
    steps = []
    for number, parameters in value:
        numbers = (number, *parameters)
        if not all(type(n) is int and 0 <= n < 1 << 32 for n in numbers):
            raise ValueError("a filter is no list of numbers")
        steps.append((number, tuple(parameters)))
    if not 0 < len(steps) <= _MAX_FILTERS:
        raise ValueError(f"{len(steps)} filters, expected 1 to {_MAX_FILTERS}")
    return tuple(steps)


def _chunks_of(shape: tuple[int, ...], size: tuple[int, ...]) -> int:
    """How many chunks of `size` cover `shape`."""
    if not shape or not all(size):
        raise ValueError("the chunks of a part are empty, or it has no axes")
    return prod(map(blocks_of, shape, size))


def _check_shapes(names: list[str], shapes: list[tuple[int, ...]]) -> None:
    if not shapes:
        return
    if max(map(len, shapes)) <= _MAX_RANK and min(sizes := list(map(prod, shapes))) > 0:
        if max(sizes) * 16 < 1 << 63:
            return
    for name, shape in zip(names, shapes, strict=True):
        # numpy multiplies the sizes of empty arrays too, leaving out the zeros
        if len(shape) > _MAX_RANK or prod(n or 1 for n in shape) * 16 >= 1 << 63:
            raise ValueError(f"tensor {name!r} has the impossible shape {shape}")


def _check_parts(names: list[str], dtypes: list[str], parts: list[Part]) -> None:
    """Raise ValueError unless each part is as long as its shape, and chunks are no longer than memory allows."""
    sizes = list(
        map(mul, map(prod, [part.shape for part in parts]), map(ITEM_SIZE.__getitem__, dtypes))
    )
    if sizes == [part.length for part in parts] and not any([part.chunks for part in parts]):
        return
    for name, dtype, size, part in zip(names, dtypes, sizes, parts, strict=True):
        if part.chunks is not None:
            fits = 0 < prod(part.chunks.shape) * ITEM_SIZE[dtype] <= _MAX_CHUNK
        elif dtype == "string":
            fits = part.length >= prod(part.shape) * STRING_END
        else:
            fits = part.length == size
        if not fits:
            raise ValueError(
                f"tensor {name!r} takes {part.length} bytes, which does not fit {part.shape} of {dtype}"
            )


def _check_ranges(index: Index, own: tuple[int, int], file_length: int, path: str) -> None:
    """Raise DataLossError unless all pieces lie behind the user block, in the file, and apart."""
    pieces = sorted([*ranges(index), own])
    ends = [offset + length for offset, length in pieces]
    if any(map(gt, [USER_BLOCK, *ends], [offset for offset, _ in pieces])):
        raise _damaged(
            path, f"{_overlapping(index, own)} overlap, or lie in the header", "the index is wrong"
        )
    if ends[-1] > file_length:
        raise _damaged(
            path, f"a piece ends at byte {ends[-1]} of {file_length}", "the index is wrong"
        )


def _overlapping(index: Index, own: tuple[int, int]) -> str:
    """Which pieces do: only an error asks."""
    pieces = [(*own, "the index"), (0, USER_BLOCK, "the user block")]
    for tensor in index.tensors.values():
        found = ranges(Index({tensor.name: tensor}))
        pieces += [(offset, length, f"tensor {tensor.name!r}") for offset, length in found]
    pieces += [
        (offset, length, "the MetaGraph") for offset, length in ranges(replace(index, tensors={}))
    ]
    pieces.sort()
    return next(f"{a[2]} and {b[2]}" for a, b in pairwise(pieces) if a[0] + a[1] > b[0])


def _damaged(path: str, found: str, meaning: str) -> DataLossError:
    return DataLossError(None, None, f"{path}: {found} ({meaning}); restore it from a copy")
