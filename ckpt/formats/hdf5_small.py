"""Many small tensors at once: neighbours in one read, each verified before its values are handed on.

A tensor costs some two microseconds here, so what can be done by column is done by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import engine
from ckpt.formats.hdf5_blocks import Blocks
from ckpt.formats.hdf5_index import Index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpt.formats.base import Target

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
    crc_at = np.asarray(index.crc_ends, np.int64)[firsts]
    crcs = np.asarray(index.crcs, np.uint32)[crc_at].tolist()
    checksum = engine()
    numbers, rows = small.numbers.tolist(), small.rows.tolist()
    for start, stop in _runs(small.offsets, small.lengths):
        base = int(small.offsets[start])
        starts = (small.offsets[start:stop] - base).tolist()
        lengths = small.lengths[start:stop].tolist()
        memory = memoryview(bytearray(starts[-1] + lengths[-1]))
        blocks.read_raw(index.file, base, memory)
        own = zip(
            numbers[start:stop], rows[start:stop], crcs[start:stop], starts, lengths, strict=True
        )
        for number, row, crc, at, length in own:
            if checksum(memory[at : at + length], 0) != crc:
                raise blocks.mismatch(_name_of(index, row), index.file, base + at, length, crc)
            target.put(
                number, np.ndarray(index.shapes[row], numpy_dtype(index.dtypes[row]), memory, at)
            )


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
