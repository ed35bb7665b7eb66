"""What the index of one of our HDF5 files says: the vocabulary of the layout. Loads no numpy and no h5py.

The layout is in docs/formats/ckpt-hdf5.md. Must not know how an index is stored: hdf5_layout does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from operator import add
from typing import NamedTuple

from ckpt.core.errors import DataLossError
from ckpt.formats.hdf5_layout import ITEM_SIZE, USER_BLOCK, extent

_FEW_CHUNKS = 1 << 16

Pipeline = tuple[tuple[int, tuple[int, ...]], ...]


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
    """All that is known of a file without reading a tensor, as columns: one row per tensor, parts numbered through.

    `first` is the number of each row's first part; `boxes` (first index, then size, per axis) is for parts of tensors
    that are cut. The checksums of part n are those from `crc_ends[n]` to `crc_ends[n + 1]`.
    """

    rows: Mapping[str, int]
    dtypes: Sequence[str]
    shapes: Sequence[tuple[int, ...]]
    splits: Sequence[int]
    first: Sequence[int]
    boxes: Mapping[int, tuple[int, ...]]
    offsets: Sequence[int]
    lengths: Sequence[int]
    crcs: Sequence[int]
    crc_ends: Sequence[int]
    chunks: Mapping[int, Chunks]
    metadata: Mapping[str, str]
    aliases: Mapping[str, str]
    paths: Mapping[str, str]
    metagraph: Blob | None
    structure_crc: int
    block: int
    file: int = 0  # which of a reader's files; not stored

    def tensor(self, name: str) -> Tensor:
        """The row of that name. Raises KeyError."""
        row = self.rows[name]
        shape, split, first = self.shapes[row], self.splits[row], self.first[row]
        parts: tuple[Part, ...]
        if not split:
            parts = (self._part(first, (0,) * len(shape), shape),)
        else:
            cut = len(shape)
            numbers = range(first, first + split)
            boxes = [(number, self.boxes[number]) for number in numbers]
            parts = tuple([self._part(n, box[:cut], box[cut:]) for n, box in boxes])
        return Tensor(name, self.dtypes[row], shape, parts)

    def _part(self, number: int, starts: tuple[int, ...], shape: tuple[int, ...]) -> Part:
        crcs = self.crcs[self.crc_ends[number] : self.crc_ends[number + 1]]
        chunks = self.chunks.get(number)
        return Part(
            starts, shape, self.offsets[number], self.lengths[number], crcs, chunks, self.file
        )

    def sizes(self) -> list[int]:
        """Bytes that each row takes in the file."""
        if not any(self.splits):
            return list(self.lengths)
        ends = map(add, self.first, [split or 1 for split in self.splits])
        return [sum(self.lengths[a:b]) for a, b in zip(self.first, ends, strict=True)]

    def expanded(self) -> int:
        """Bytes that all compressed parts take in memory, chunks as a whole."""
        owner = {}
        rows = zip(self.first, self.splits, strict=True) if self.chunks else ()
        for row, (first, split) in enumerate(rows):
            for number in range(first, first + (split or 1)):
                owner[number] = row
        return sum(
            len(chunks.lengths) * prod(chunks.shape) * ITEM_SIZE[self.dtypes[owner[number]]]
            for number, chunks in self.chunks.items()
        )

    def ranges(self) -> list[tuple[int, int]]:
        """Offset and length of every checksummed piece that is not empty, in file order."""
        found = self._raw_ranges()
        for chunks in self.chunks.values():
            found += zip(chunks.offsets, chunks.lengths, strict=True)
        return sorted(found)

    def _raw_ranges(self) -> list[tuple[int, int]]:
        """Those that are no chunks, in any order."""
        pairs = zip(self.offsets, self.lengths, strict=True)
        if not self.chunks:
            found = [pair for pair in pairs if pair[1]]
        else:
            found = [pair for n, pair in enumerate(pairs) if pair[1] and n not in self.chunks]
        if self.metagraph is not None and self.metagraph.length:
            found.append((self.metagraph.offset, self.metagraph.length))
        return found

    def has_many_chunks(self) -> bool:
        """True when there are so many that tuples of them would take six times as much memory as arrays."""
        return sum([len(chunks.lengths) for chunks in self.chunks.values()]) > _FEW_CHUNKS

    def extent(self, own: tuple[int, int]) -> int | None:
        """Where the last piece ends, the index at `own` among them; None when two overlap or one lies in the user block."""
        if not self.has_many_chunks():
            return extent([*self.ranges(), own])
        import numpy as np  # such a file has gigabytes of values, or is hostile

        chunks = self.chunks.values()
        others = [*self._raw_ranges(), own, (0, USER_BLOCK)]
        starts, ends = (
            np.concatenate([*[np.frombuffer(column, "u8") for column in columns], more])  # type: ignore[call-overload]  # they are memoryviews
            for columns, more in (
                ([one.offsets for one in chunks], np.array([at for at, _ in others], "u8")),
                ([one.lengths for one in chunks], np.array([size for _, size in others], "u8")),
            )
        )
        ends += starts
        is_apart = bool((ends >= starts).all())
        starts.sort()
        ends.sort()  # pieces lie apart when each time the next begins after as many have ended as had begun
        return int(ends[-1]) if is_apart and (ends[:-1] <= starts[1:]).all() else None


def damaged(path: str, found: str, meaning: str) -> DataLossError:
    """The error for a file whose header or index is wrong."""
    return DataLossError(None, None, f"{path}: {found} ({meaning}); restore it from a copy")
