"""The arena of a file: its small tensors one after the other, gathered into large writes. Must not know other tensors.

A tensor costs about a microsecond here, so what is done per tensor is done by C functions over columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ckpt.core.checksum import engine
from ckpt.formats.hdf5_contents import Contents
from ckpt.formats.hdf5_structure import ALIGNED_FROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

T = TypeVar("T")

# Creating a named dataset took about 35 us in a probe, so this many cost a save some 35 ms; the threshold itself
# was chosen, not tuned.
NAMED_UP_TO = 1000
GRAIN = 64  # packed tensors start at multiples of this: a cache line, and any dtype's alignment
_WRITE = 512 * 1024  # bytes of one write: they stay in a core's cache
_MOST = 512  # tensors of one write: a system call takes 1,024 pieces, and zeros follow each
_LONGEST_NAME = 255  # in bytes: what the table of packed tensors holds


def packable(contents: Contents) -> list[int]:
    """The rows of the small tensors, when they are too many to be datasets of their own."""
    names, is_whole = contents.names, np.asarray(contents.splits) == 0
    rows: list[int] = np.flatnonzero(
        is_whole & (np.asarray(contents.lengths) < ALIGNED_FROM)
    ).tolist()
    if len(rows) <= NAMED_UP_TO:
        return []
    if max(map(len, names)) <= _LONGEST_NAME and b"\0" not in b"".join(names):
        return rows
    return [n for n in rows if len(names[n]) <= _LONGEST_NAME and b"\0" not in names[n]]


class Arena:
    """The tensors of these rows, each at a multiple of 64; `length` is that of the dataset that holds them."""

    def __init__(self, contents: Contents, rows: Sequence[int]) -> None:
        self.rows = rows
        self.offset = 0
        self.lengths: Numbers = np.array(contents.lengths, np.int64)[rows]
        self.crcs: NDArray[np.uint32] = np.zeros(len(rows), np.uint32)
        sizes = -(-self.lengths // GRAIN) * GRAIN
        self._ends = np.cumsum(sizes)
        self._starts = self._ends - sizes
        self._contents = contents
        filled = int(self._ends[-1]) if len(rows) else 0
        self.length = max(filled, ALIGNED_FROM) if len(rows) else 0  # so long that HDF5 aligns it

    def place(self, offset: int) -> None:
        """Note where the arena begins in the file."""
        self.offset = offset

    @property
    def offsets(self) -> Numbers:
        """Where each tensor lies in the file, 0 for an empty one."""
        found: Numbers = np.where(self.lengths > 0, self._starts + self.offset, 0)
        return found

    @property
    def padding(self) -> int:
        """Bytes of the arena that are zeros between and behind the tensors."""
        return self.length - int(self.lengths.sum())

    def runs(self) -> Iterator[tuple[int, int, list[Any]]]:
        """Offset, length and pieces of one large write after the other; with each, the checksums of its tensors are noted."""
        checksum, values = engine(), self._own(self._contents.values)
        pads = (-self.lengths % GRAIN).tolist()
        count, begin = len(self.rows), 0
        while begin < count:
            end = int(np.searchsorted(self._ends, self._starts[begin] + _WRITE, "right"))
            end = min(max(end, begin + 1), begin + _MOST, count)
            held = values[begin:end]
            own: list[Any] = [b"".join(v[0].steps(_WRITE)) if type(v) is list else v for v in held]
            self.crcs[begin:end] = list(map(checksum, own))
            pieces: list[Any] = [b""] * (2 * len(own))
            pieces[::2] = own
            pieces[1::2] = map(_ZEROS.__getitem__, pads[begin:end])
            start = int(self._starts[begin])
            yield self.offset + start, int(self._ends[end - 1]) - start, pieces
            begin = end

    def rest(self) -> tuple[bytes, int]:
        """What follows the last tensor, and where."""
        end = int(self._ends[-1])
        return bytes(self.length - end), self.offset + end

    def _own(self, column: Sequence[T]) -> Sequence[T]:
        """What a column of the contents says of the tensors here."""
        if len(self.rows) == len(column):
            return column
        return [column[row] for row in self.rows]

    def table(self) -> NDArray[np.void]:
        """The HDF5 table that tells tools without our index what the arena holds."""
        import h5py

        contents = self._contents
        kinds = {dtype: dtype.encode() for dtype in set(contents.dtypes)}
        shapes = {shape: ",".join(map(str, shape)).encode() for shape in set(contents.shapes)}
        columns = {
            "name": np.array(self._own(contents.names)),
            "dtype": np.array(list(map(kinds.__getitem__, self._own(contents.dtypes))), "S20"),
            "shape": np.array(list(map(shapes.__getitem__, self._own(contents.shapes)))),
            "offset": self._starts.astype("<u8"),
            "length": self.lengths.astype("<u8"),
        }
        fields = {key: column.dtype for key, column in columns.items()}
        fields["name"] = h5py.string_dtype("utf-8", columns["name"].itemsize)
        table = np.zeros(len(self.rows), list(fields.items()))
        for key, column in columns.items():
            table[key] = column
        return table


_ZEROS = [bytes(count) for count in range(GRAIN)]
