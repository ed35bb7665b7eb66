"""The index of our HDF5 files as msgpack: built from columns, parsed into columns. Loads no numpy and no h5py.

Every field is checked for type, number and mutual agreement, and no list is made before the bytes for it were seen.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise, repeat
from math import prod
from operator import add, gt, mul
from typing import Any

from ckpt.core.collector import paused
from ckpt.formats.hdf5_index import (
    ITEM_SIZE,
    STRING_END,
    Blob,
    Chunks,
    Index,
    Pipeline,
    blocks_of,
    damaged,
)

MOST_TENSORS = 1 << 17  # of one file: what takes 64 MiB and a second to read, be it hostile
_MAX_RANK = 64  # numpy's limit
_MAX_LIST = 4096  # msgpack allocates lists from their announced length
_MAX_LISTS = 4096  # descriptions of filters are the most
_MAX_MAPS = 64
_FEW_ENTRIES = 1 << 16
_MAX_FILTERS = 8
_MAX_CHUNK = 1 << 24  # bytes of one chunk when it is not filtered
_SMALL = 1 << 30  # bytes that a compressed tensor may have whatever it takes in the file
_MAX_RATIO = 1100  # of what it takes there: deflate reaches 1032
_WIDTHS = {"B": 1, "I": 4, "Q": 8}


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
            data,
            max_array_len=_MAX_LIST,
            max_ext_len=0,
            # the maps of an index have an entry per tensor at most, and a tensor takes 31 bytes or more
            max_map_len=_FEW_ENTRIES + len(data) // 32,
            strict_map_key=True,
            list_hook=_Counter(_MAX_LISTS).take,
            object_hook=_Counter(_MAX_MAPS).take,
        )
        with paused():
            return _Columns(fields).index()
    except (ValueError, KeyError, TypeError, OverflowError, struct.error) as error:
        # msgpack's own errors are ValueErrors too
        reason = (
            f"has no field {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        )
        raise damaged(path, f"the index is malformed: {reason}", "not written by ckpt") from error


class _Counter:
    """Stops after so many lists or maps: an empty one takes 64 times its bytes."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, made: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError("has more lists or maps than an index needs")
        return made


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
        count = len(names)
        if count > MOST_TENSORS:
            raise ValueError(f"holds {count} tensors, expected at most {MOST_TENSORS}")
        rows = dict(zip(names, range(count), strict=True))
        if len(rows) != count:
            raise ValueError("holds a tensor name twice")
        dtypes = self._dtypes(count)
        ranks = self._column("ranks", "B", count)
        shapes = _cut(self._column("dims", "Q", sum(ranks)).tolist(), ranks)
        _check_shapes(names, shapes)
        splits = self._column("splits", "I", count)
        total = sum(map(max, splits, repeat(1)))
        lengths = self._column("lengths", "Q", total)  # no list of `total` before this
        owners: Sequence[int] = range(count)
        boxes: dict[int, tuple[int, ...]] = {}
        first: Sequence[int] = owners
        if any(splits):
            owners = [n for n, split in enumerate(splits) for _ in range(split or 1)]
            first = list(accumulate(map(max, splits, repeat(1)), initial=0))[:-1]
            boxes = self._boxes(names, shapes, splits, owners)
        sizes = (
            [
                boxes[n][len(boxes[n]) // 2 :] if n in boxes else shapes[o]
                for n, o in enumerate(owners)
            ]
            if boxes
            else shapes
        )
        chunks = self._chunks(sizes, lengths)
        _check_lengths(names, dtypes, owners, sizes, lengths, chunks)
        ends = self._crc_ends(lengths, chunks)
        return Index(
            rows=rows,
            dtypes=dtypes,
            shapes=shapes,
            splits=splits,
            first=first,
            boxes=boxes,
            offsets=self._column("offsets", "Q", total),
            lengths=lengths,
            crcs=self._column("crcs", "I", ends[-1]),
            crc_ends=ends,
            chunks=chunks,
            metadata=self._strings("metadata"),
            aliases=self._aliases(rows),
            paths=self._strings("paths"),
            metagraph=self._metagraph(),
            structure_crc=self._column("structure_crc", "I", 1)[0],
            block=self.block,
        )

    def _aliases(self, rows: Mapping[str, int]) -> dict[str, str]:
        aliases = self._strings("aliases")
        dangling = [f"{a!r} -> {b!r}" for a, b in aliases.items() if b not in rows or a in rows]
        if dangling:
            raise ValueError(f"aliases of nothing, or of themselves: {', '.join(dangling[:5])}")
        return aliases

    def _dtypes(self, count: int) -> list[str]:
        names = self._list("dtype_names")
        if not all(type(n) is str and n in ITEM_SIZE for n in names):
            raise ValueError(f"unknown dtypes in {str(names)[:200]}")
        codes = self._column("dtypes", "B", count)
        if count and max(codes) >= len(names):
            raise ValueError("a tensor has no dtype")
        return list(map(names.__getitem__, codes))

    def _boxes(
        self,
        names: list[str],
        shapes: list[tuple[int, ...]],
        splits: Sequence[int],
        owners: Sequence[int],
    ) -> dict[int, tuple[int, ...]]:
        """First index and size of each part of a tensor that is cut, by the number of the part."""
        cut = [(n, owner) for n, owner in enumerate(owners) if splits[owner]]
        counts = [2 * len(shapes[owner]) for _, owner in cut]
        boxes = _cut(self._column("boxes", "Q", sum(counts)).tolist(), counts)
        for (_, owner), box in zip(cut, boxes, strict=True):
            rank = len(box) // 2
            if any(map(gt, map(add, box[:rank], box[rank:]), shapes[owner])):
                raise ValueError(
                    f"tensor {names[owner]!r} of shape {shapes[owner]} has a part outside it"
                )
        return {n: box for (n, _), box in zip(cut, boxes, strict=True)}

    def _crc_ends(self, lengths: Sequence[int], chunks: Mapping[int, Chunks]) -> list[int]:
        below = self.block - 1
        counts = [(length + below) // self.block for length in lengths]
        for n, own in chunks.items():
            counts[n] = len(own.lengths)
        return list(accumulate(counts, initial=0))

    def _chunks(
        self, shapes: Sequence[tuple[int, ...]], lengths: Sequence[int]
    ) -> dict[int, Chunks]:
        """The chunks of the parts whose layout is not 0, which is the number of a pipeline."""
        layouts = self._column("layouts", "B", len(lengths))
        filtered = [n for n, layout in enumerate(layouts) if layout] if any(layouts) else []
        if not filtered:
            return {}
        pipelines = [_pipeline(pipeline) for pipeline in self._list("filters")]
        if max(layouts) > len(pipelines):
            raise ValueError("a part has filters that are not described")
        ranks = [len(shapes[n]) for n in filtered]
        sizes = _cut(self._column("chunk_shapes", "Q", sum(ranks)).tolist(), ranks)
        counts = [_chunks_of(shapes[n], size) for n, size in zip(filtered, sizes, strict=True)]
        offsets = self._column("chunk_offsets", "Q", sum(counts))
        stored = self._column("chunk_lengths", "Q", sum(counts))
        found: dict[int, Chunks] = {}
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


def _check_lengths(
    names: list[str],
    dtypes: list[str],
    owners: Sequence[int],
    shapes: Sequence[tuple[int, ...]],
    lengths: Sequence[int],
    chunks: Mapping[int, Chunks],
) -> None:
    """Raise ValueError unless each part is as long as its shape, and chunks are no longer than memory allows."""
    items = list(map(ITEM_SIZE.__getitem__, dtypes))
    expected = list(map(mul, map(prod, shapes), map(items.__getitem__, owners)))
    if not chunks and expected == list(lengths):
        return
    for n, (owner, shape, length) in enumerate(zip(owners, shapes, lengths, strict=True)):
        if n in chunks:
            if expected[n] > max(_SMALL, length * _MAX_RATIO):
                raise ValueError(
                    f"tensor {names[owner]!r} would grow from {length} bytes to {expected[n]}, more than any "
                    "compression gives"
                )
            fits = 0 < prod(chunks[n].shape) * items[owner] <= _MAX_CHUNK
        elif dtypes[owner] == "string":
            fits = length >= prod(shape) * STRING_END
        else:
            fits = length == expected[n]
        if not fits:
            raise ValueError(
                f"tensor {names[owner]!r} takes {length} bytes, which does not fit {shape} of {dtypes[owner]}"
            )
