"""Many small tensors at once: neighbours in one read, each verified before its values are handed on.

A tensor costs some two microseconds here, so what can be done by column is done by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import engine
from ckpt.formats.hdf5_blocks import Blocks
from ckpt.formats.hdf5_index import Index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpt.formats.base import Target

    Array = np.ndarray[Any, Any]
    Numbers = NDArray[np.int64]

_SMALL = 64 * 1024  # tensors up to this size count as small
_RUN = 1024 * 1024  # bytes of neighbours read at once
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
    index = small.columns
    firsts = np.asarray(index.first, np.int64)[small.rows]
    crcs = np.asarray(index.crcs, np.uint32)[np.asarray(index.crc_ends, np.int64)[firsts]].tolist()
    checksum = engine()
    numbers, rows = small.numbers.tolist(), small.rows.tolist()
    scratch = memoryview(bytearray(_RUN + _SMALL))
    for begin, end in _runs(small.offsets, small.lengths):
        base = int(small.offsets[begin])
        starts = (small.offsets[begin:end] - base).tolist()
        ends = (small.offsets[begin:end] - base + small.lengths[begin:end]).tolist()
        memory = scratch[: ends[-1]]
        blocks.read_raw(index.file, base, memory)
        found = list(map(checksum, map(memory.__getitem__, map(slice, starts, ends))))
        if found != crcs[begin:end]:
            wrong = next(n for n, crc in enumerate(found, begin) if crc != crcs[n])
            where = int(small.offsets[wrong]), int(small.lengths[wrong])
            raise blocks.mismatch(_name_of(index, rows[wrong]), index.file, *where, crcs[wrong])
        shapes = map(index.shapes.__getitem__, rows[begin:end])
        kinds = map(numpy_dtype, map(index.dtypes.__getitem__, rows[begin:end]))
        views: Iterator[Array] = map(np.ndarray, shapes, kinds, repeat(memory), starts)
        target.put(numbers[begin:end], [view.copy() for view in views])


def _runs(offsets: Numbers, lengths: Numbers) -> Iterator[tuple[int, int]]:
    """First and last position of tensors that lie close enough to be read at once."""
    ends = offsets + lengths
    gaps = np.flatnonzero(offsets[1:] > ends[:-1] + _GAP) + 1
    for begin, end in zip([0, *gaps.tolist()], [*gaps.tolist(), len(offsets)], strict=True):
        while begin < end:
            stop = int(np.searchsorted(ends[:end], offsets[begin] + _RUN, "right"))
            stop = max(stop, begin + 1)
            yield begin, stop
            begin = stop


def _name_of(index: Index, row: int) -> str:
    return next(name for name, own in index.rows.items() if own == row)
