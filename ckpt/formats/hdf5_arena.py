"""The arena of a file: its small tensors one after the other, gathered into large writes. Must not know other tensors.

A tensor costs about a microsecond here, so what is done per tensor is done by C functions over columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core.checksum import engine
from ckpt.formats.hdf5_contents import Contents
from ckpt.formats.hdf5_structure import ALIGNED_FROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

# Creating a named dataset took about 35 us in a probe, so this many cost a save some 35 ms; the threshold itself
# was chosen, not tuned.
NAMED_UP_TO = 1000
GRAIN = 64  # packed tensors start at multiples of this: a cache line, and any dtype's alignment
_WRITE = 256 * 1024  # bytes of one write: they stay in a core's cache
_LONGEST_NAME = 255  # in bytes: what the table of packed tensors holds


def packable(contents: Contents) -> list[int]:
    """The rows of the small tensors, when they are too many to be datasets of their own."""
    sizes = zip(contents.lengths, contents.splits, strict=True)
    rows = [n for n, (length, split) in enumerate(sizes) if length < ALIGNED_FROM and not split]
    if len(rows) <= NAMED_UP_TO:
        return []
    names = contents.names
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

    def writes(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of one large write after the other; with each, the checksums of its tensors are noted."""
        checksum, values = engine(), self._contents.values
        limits = np.arange(_WRITE, self.length, _WRITE)
        cuts = sorted({0, *np.searchsorted(self._ends, limits).tolist(), len(self.rows)})
        pads = (-self.lengths % GRAIN).tolist()
        for begin, end in pairwise(cuts):
            held = [values[row] for row in self.rows[begin:end]]
            own: list[Any] = [b"".join(v[0].steps(_WRITE)) if type(v) is list else v for v in held]
            self.crcs[begin:end] = list(map(checksum, own))
            buffers: list[Any] = [b""] * (2 * len(own))
            buffers[::2] = own
            buffers[1::2] = map(_ZEROS.__getitem__, pads[begin:end])
            yield self.offset + int(self._starts[begin]), b"".join(buffers)
        left = self.length - int(self._ends[-1])
        if left:
            yield self.offset + int(self._ends[-1]), bytes(left)

    def table(self) -> NDArray[np.void]:
        """The HDF5 table that tells tools without our index what the arena holds."""
        import h5py

        contents = self._contents
        kinds = {dtype: dtype.encode() for dtype in set(contents.dtypes)}
        shapes = {shape: ",".join(map(str, shape)).encode() for shape in set(contents.shapes)}
        columns = {
            "name": np.array([contents.names[row] for row in self.rows]),
            "dtype": np.array([kinds[contents.dtypes[row]] for row in self.rows], "S20"),
            "shape": np.array([shapes[contents.shapes[row]] for row in self.rows]),
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
