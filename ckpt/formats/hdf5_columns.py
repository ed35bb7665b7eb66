"""The index of our HDF5 files as msgpack: built from columns, parsed into an Index. Loads no numpy and no h5py.

Every field is checked for type, number and mutual agreement: what whole tensors have by `hdf5_layout.Columns`, what parts
and chunks have here.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, repeat
from math import prod
from operator import add, gt
from typing import Any

from ckpt.core.collector import paused
from ckpt.formats.counter import Counter
from ckpt.formats.hdf5_index import Blob, Chunks, Index, Pipeline, damaged
from ckpt.formats.hdf5_layout import (
    ITEM_SIZE,
    MAX_FIELDS,
    MAX_LIST,
    MOST_ENTRIES,
    MOST_PARTS,
    MOST_TENSORS,
    Columns,
    blocks_of,
    check_length,
    check_shape,
    cut,
    flat_fields,
)

_MAX_LISTED = 1 << 16  # lists and what is in them: descriptions of filters are the most
_MAX_FILTERS = 8
_MAX_CHUNK = 1 << 24  # bytes of one chunk when it is not filtered
_SMALL = 1 << 30  # bytes that a compressed tensor may have whatever it takes in the file
_MAX_RATIO = 1100  # of what it takes there: deflate reaches 1032


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
    try:
        with paused():
            return _index_of(Columns(_fields(data)))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        # msgpack's own errors are ValueErrors too
        reason = (
            f"has no field {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        )
        raise damaged(path, f"the index is malformed: {reason}", "not written by ckpt") from error


def _fields(data: bytes) -> Any:
    if (fields := flat_fields(data)) is not None:
        return fields
    import msgpack

    return msgpack.unpackb(
        data,
        max_array_len=MAX_LIST,
        max_ext_len=0,
        max_map_len=MOST_ENTRIES,
        strict_map_key=True,
        list_hook=Counter(_MAX_LISTED).take_with_entries,
        object_hook=Counter(MOST_ENTRIES + 2 * MAX_FIELDS).take_with_entries,
    )


def _index_of(columns: Columns) -> Index:
    whole = columns.whole()
    if whole is None:
        return _Parts(columns).index()
    kinds, kind_of = whole
    lengths = columns.column("lengths", "Q", columns.count)
    return Index(
        rows=columns.rows,
        dtypes=[kinds[number][0] for number in kind_of],
        shapes=[kinds[number][1] for number in kind_of],
        splits=columns.column("splits", "I", columns.count),
        first=range(columns.count),
        boxes={},
        offsets=columns.column("offsets", "Q", columns.count),
        lengths=lengths,
        crcs=columns.column("crcs", "I", None),
        crc_ends=_crc_ends(lengths, columns.block, {}),
        chunks={},
        **_common(columns),
    )


def _common(columns: Columns) -> dict[str, Any]:
    return {
        "metadata": columns.metadata,
        "aliases": columns.aliases,
        "paths": columns.paths,
        "metagraph": None if columns.metagraph is None else Blob(*columns.metagraph),
        "structure_crc": columns.structure_crc,
        "block": columns.block,
    }


def _crc_ends(lengths: Sequence[int], block: int, chunks: Mapping[int, Chunks]) -> list[int]:
    """Where the checksums of each part begin, and where the last end."""
    below = block - 1
    counts = [(length + below) // block for length in lengths]
    for n, own in chunks.items():
        counts[n] = len(own.lengths)
    return list(accumulate(counts, initial=0))


class _Parts:
    """An index some of whose tensors are cut into parts, or whose parts are chunks. Methods raise as those of Columns."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._names = columns.names
        self._shapes = columns.shapes()
        self._splits = columns.column("splits", "I", columns.count)
        total = sum(map(max, self._splits, repeat(1)))
        if total > MOST_TENSORS or sum(self._splits) > MOST_PARTS:
            raise ValueError(
                f"holds {total} tensors and parts, {sum(self._splits)} of them parts of tensors that are cut, "
                f"expected at most {MOST_TENSORS} and {MOST_PARTS}"
            )
        self._lengths = columns.column("lengths", "Q", total)  # no list of `total` before this
        self._owners = [n for n, split in enumerate(self._splits) for _ in range(split or 1)]

    def index(self) -> Index:
        columns = self._columns
        names, codes = columns.dtypes()
        dtypes = [names[code] for code in codes]
        self._check_shapes()
        boxes = self._boxes()
        sizes = [
            boxes[n][len(boxes[n]) // 2 :] if n in boxes else self._shapes[owner]
            for n, owner in enumerate(self._owners)
        ]
        chunks = self._chunks(sizes)
        self._check_lengths(dtypes, sizes, chunks)
        ends = _crc_ends(self._lengths, columns.block, chunks)
        return Index(
            rows=columns.rows,
            dtypes=dtypes,
            shapes=self._shapes,
            splits=self._splits,
            first=list(accumulate(map(max, self._splits, repeat(1)), initial=0))[:-1],
            boxes=boxes,
            offsets=columns.column("offsets", "Q", len(self._lengths)),
            lengths=self._lengths,
            crcs=columns.column("crcs", "I", ends[-1]),
            crc_ends=ends,
            chunks=chunks,
            **_common(columns),
        )

    def _check_shapes(self) -> None:
        for name, shape in zip(self._names, self._shapes, strict=True):
            try:
                check_shape(shape)
            except ValueError as error:
                raise ValueError(f"tensor {name!r} {error}") from None

    def _boxes(self) -> dict[int, tuple[int, ...]]:
        """First index and size of each part of a tensor that is cut, by the number of the part."""
        parts = [(n, owner) for n, owner in enumerate(self._owners) if self._splits[owner]]
        counts = [2 * len(self._shapes[owner]) for _, owner in parts]
        boxes = cut(self._columns.column("boxes", "Q", sum(counts)).tolist(), counts)
        for (_, owner), box in zip(parts, boxes, strict=True):
            rank = len(box) // 2
            if any(map(gt, map(add, box[:rank], box[rank:]), self._shapes[owner])):
                raise ValueError(
                    f"tensor {self._names[owner]!r} of shape {self._shapes[owner]} has a part outside it"
                )
        return {n: box for (n, _), box in zip(parts, boxes, strict=True)}

    def _chunks(self, shapes: Sequence[tuple[int, ...]]) -> dict[int, Chunks]:
        """The chunks of the parts whose layout is not 0, which is the number of a pipeline."""
        columns, lengths = self._columns, self._lengths
        layouts = columns.column("layouts", "B", len(lengths))
        filtered = [n for n, layout in enumerate(layouts) if layout]
        if not filtered:
            return {}
        pipelines = [_pipeline(pipeline) for pipeline in columns.items("filters")]
        if max(layouts) > len(pipelines):
            raise ValueError("a part has filters that are not described")
        ranks = [len(shapes[n]) for n in filtered]
        sizes = cut(columns.column("chunk_shapes", "Q", sum(ranks)).tolist(), ranks)
        counts = [_chunks_of(shapes[n], size) for n, size in zip(filtered, sizes, strict=True)]
        offsets = columns.column("chunk_offsets", "Q", sum(counts))
        stored = columns.column("chunk_lengths", "Q", sum(counts))
        found: dict[int, Chunks] = {}
        first = 0
        for n, size, count in zip(filtered, sizes, counts, strict=True):
            own = slice(first, first + count)
            found[n] = Chunks(size, pipelines[layouts[n] - 1], offsets[own], stored[own])
            if sum(stored[own]) != lengths[n] or not all(stored[own]):
                raise ValueError("the chunks of a part do not have its length")
            first += count
        return found

    def _check_lengths(
        self,
        dtypes: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
        chunks: Mapping[int, Chunks],
    ) -> None:
        """Raise ValueError unless each part is as long as its shape, and chunks are no longer than memory allows."""
        for n, (owner, shape, length) in enumerate(
            zip(self._owners, shapes, self._lengths, strict=True)
        ):
            dtype = dtypes[owner]
            try:
                if n in chunks:
                    _check_chunks(chunks[n], dtype, shape, length)
                else:
                    check_length(dtype, shape, length)
            except ValueError as error:
                raise ValueError(f"tensor {self._names[owner]!r} {error}") from None


def _check_chunks(chunks: Chunks, dtype: str, shape: tuple[int, ...], length: int) -> None:
    item = ITEM_SIZE[dtype]
    if prod(shape) * item > max(_SMALL, length * _MAX_RATIO):
        raise ValueError(
            f"would grow from {length} bytes to {prod(shape) * item}, more than any compression gives"
        )
    if not 0 < prod(chunks.shape) * item <= _MAX_CHUNK:
        raise ValueError(f"has chunks of {chunks.shape} of {dtype}")


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
