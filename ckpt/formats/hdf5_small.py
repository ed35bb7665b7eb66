"""Many small tensors at once: neighbours in one read, each verified before its values are handed on.

A tensor costs about a microsecond here, so what can be done by column is done by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import engine
from ckpt.formats.array_bytes import plain
from ckpt.formats.hdf5_blocks import Blocks
from ckpt.formats.hdf5_index import Index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpt.formats.base import Target

    Array = np.ndarray[Any, Any]
    Numbers = NDArray[np.int64]

_SMALL = 64 * 1024  # tensors up to this size count as small
_RUN = 1024 * 1024  # bytes of neighbours read at once
_MOST = 512  # tensors read at once: one system call takes 1,024 buffers, and a gap follows each
_GAP = 4096  # bytes between neighbours that are read and thrown away


class SmallTensors(NamedTuple):
    """Those of the tensors asked for that are small and lie in one file, by ascending offset."""

    columns: Index
    numbers: Numbers  # in what was asked for
    rows: Numbers
    offsets: Numbers
    lengths: Numbers


@cache
def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """How numpy calls a dtype of ours."""
    kind: np.dtype[Any] = np.dtype(dtypes.as_dtype(dtype).as_numpy_dtype)
    return kind


def small_tensors(index: Index, rows: Sequence[int | None]) -> SmallTensors:
    """Choose the small ones; `rows` has None for what is not in this file."""
    wanted = np.array([-1 if row is None else row for row in rows], np.int64)
    numbers = np.flatnonzero(wanted >= 0)
    wanted = wanted[numbers]
    first = np.asarray(index.first, np.int64)[wanted]
    lengths = np.asarray(index.lengths, np.int64)[first]
    fits = (lengths > 0) & (lengths <= _SMALL) & (np.asarray(index.splits)[wanted] == 0)
    fits &= np.array([dtype not in ("string", "bool") for dtype in index.dtypes], bool)[wanted]
    if index.chunks:
        fits &= ~np.isin(first, list(index.chunks))
    offsets = np.asarray(index.offsets, np.int64)[first]
    order = np.flatnonzero(fits)
    order = order[np.argsort(offsets[order], kind="stable")]
    return SmallTensors(index, numbers[order], wanted[order], offsets[order], lengths[order])


def read_small(blocks: Blocks, small: SmallTensors, target: Target) -> None:
    """Hand the values to `target`. Raises DataLossError."""
    index, offsets, lengths = small.columns, small.offsets, small.lengths
    firsts = np.asarray(index.first, np.int64)[small.rows]
    crcs = np.asarray(index.crcs, np.uint32)[np.asarray(index.crc_ends, np.int64)[firsts]].tolist()
    gaps = (offsets[1:] - offsets[:-1] - lengths[:-1]).tolist()
    thrown_away = memoryview(bytearray(_GAP))
    checksum = engine()
    numbers, rows = small.numbers.tolist(), small.rows.tolist()
    for begin, end in _runs(offsets, lengths):
        shapes = map(index.shapes.__getitem__, rows[begin:end])
        kinds = [numpy_dtype(index.dtypes[row]) for row in rows[begin:end]]
        arrays = list(map(np.empty, shapes, kinds))
        own = [
            plain(a) if kind.isbuiltin != 1 else a for a, kind in zip(arrays, kinds, strict=True)
        ]
        buffers: list[Any] = [None] * (2 * len(own) - 1)
        buffers[::2] = own
        buffers[1::2] = map(thrown_away.__getitem__, map(slice, gaps[begin : end - 1]))
        base = int(offsets[begin])
        blocks.read_raw(index.file, base, int(offsets[end - 1] + lengths[end - 1]) - base, buffers)
        found = list(map(checksum, own))
        if found != crcs[begin:end]:
            wrong = next(n for n, crc in enumerate(found, begin) if crc != crcs[n])
            where = int(offsets[wrong]), int(lengths[wrong])
            raise blocks.mismatch(_name_of(index, rows[wrong]), index.file, *where, crcs[wrong])
        target.put(numbers[begin:end], arrays)


def _runs(offsets: Numbers, lengths: Numbers) -> Iterator[tuple[int, int]]:
    """First and last position of tensors that are read at once: close behind each other, and none twice."""
    ends = offsets + lengths
    gaps = offsets[1:] - ends[:-1]
    cuts = np.flatnonzero((gaps < 0) | (gaps > _GAP)) + 1
    for begin, end in pairwise([0, *cuts.tolist(), len(offsets)]):
        while begin < end:
            stop = int(np.searchsorted(ends[:end], offsets[begin] + _RUN, "right"))
            stop = min(max(stop, begin + 1), begin + _MOST)
            yield begin, stop
            begin = stop


def _name_of(index: Index, row: int) -> str:
    return next(name for name, own in index.rows.items() if own == row)
