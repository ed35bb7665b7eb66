"""What one of our files will hold and where: from named arrays to boxes, datasets, offsets and index columns.

Must not write: hdf5_writer does. HDF5 shapes the structure, in memory (hdf5_structure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain
from struct import pack
from typing import Any, Literal

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import crc32c
from ckpt.formats.hdf5_arena import Arena, packable
from ckpt.formats.hdf5_columns import column, pack_index
from ckpt.formats.hdf5_contents import Box, Contents, Write, WrittenChunks
from ckpt.formats.hdf5_layout import (
    BLOCK,
    MOST_INDEX,
    MOST_PARTS,
    USER_BLOCK,
    TooMuch,
    check_amounts,
)
from ckpt.formats.hdf5_paths import PRIVATE, dataset_paths
from ckpt.formats.hdf5_structure import ALIGNED_FROM, HDF5_MAX_RANK, Dataset, build

Layout = Literal["auto", "named"]


class Plan:
    """Everything about one file: what is in it and where. Checksums are noted in it while the file is written.

    Making it raises TooMuch where no reader would take the file.
    """

    def __init__(
        self,
        contents: Contents,
        metadata: Mapping[str, str],
        aliases: Mapping[str, str],
        metagraph: bytes | None,
        layout: Layout,
        compression: str | None,
        write: Write,
    ) -> None:
        self.metagraph = metagraph
        self.metagraph_offset = 0
        self.index_offset = 0
        self.arena = Arena(contents, [] if layout == "named" else packable(contents))
        first = _first_parts(contents.splits)
        self._part_count = first[-1]
        self._packed = np.array(first, np.int64)[self.arena.rows]  # the numbers of these parts
        self.boxes = _boxes(contents, set(self.arena.rows), first)
        self._named = [box for box in self.boxes.values() if box.shape == box.full_shape]
        self._parts = [box for box in self.boxes.values() if box.shape != box.full_shape]
        if compression is not None:
            for box in self.boxes.values():
                if _is_compressible(box):
                    box.chunks = WrittenChunks(box, compression, write)
        self._paths = dataset_paths(box.name for box in self._named)
        self._fields = _fixed_fields(contents)
        self._fields["metadata"] = dict(metadata)
        self._fields["aliases"] = dict(aliases)
        self._fields["paths"] = {name: path for name, path in self._paths.items() if name != path}
        check_amounts(self._fields)
        if self._part_count > MOST_PARTS and sum(contents.splits) > MOST_PARTS:
            raise TooMuch(
                f"{sum(contents.splits)} parts of tensors that are cut, expected at most {MOST_PARTS}"
            )
        # depends on names, dtypes, shapes and filters only, not on where things lie
        self.index_length = 0
        self.structure = build(self._datasets(), USER_BLOCK)
        if self.index_length > MOST_INDEX:
            raise TooMuch(f"an index of {self.index_length} bytes, expected at most {MOST_INDEX}")
        for box in self.boxes.values():
            if box.chunks:
                box.let_go()  # written meanwhile

    def index(self, structure_crc: int) -> bytes:
        """The bytes of the index; before everything is written, as many bytes."""
        graph = self.metagraph
        found = {
            **self._fields,
            **self._place_fields(),
            "metagraph": None
            if graph is None
            else pack("<QQI", self.metagraph_offset, len(graph), crc32c(graph)),
            "structure_crc": column("I", [structure_crc]),
        }
        filtered = {number: box.chunks for number, box in self.boxes.items() if box.chunks}
        if filtered:
            found |= _chunk_fields(filtered, self._part_count)
        return pack_index(found)

    def _place_fields(self) -> dict[str, bytes]:
        """The columns of the index that say where parts lie, and their checksums."""
        offsets, lengths = np.zeros((2, self._part_count), "<i8")  # as bytes, the same as u64
        offsets[self._packed], lengths[self._packed] = self.arena.offsets, self.arena.lengths
        for number, box in self.boxes.items():
            offsets[number], lengths[number] = box.offset, box.length
        counts = -(-lengths // BLOCK)
        for number, box in self.boxes.items():
            if box.chunks:
                counts[number] = len(box.crcs)
        ends = np.cumsum(counts)
        crcs = np.zeros(ends[-1] if len(ends) else 0, "<u4")
        is_filled = self.arena.lengths > 0
        crcs[ends[self._packed][is_filled] - 1] = self.arena.crcs[is_filled]
        for number, box in self.boxes.items():
            if box.crcs:
                crcs[ends[number] - counts[number] : ends[number]] = box.crcs
        return {
            "offsets": offsets.tobytes(),
            "lengths": lengths.tobytes(),
            "crcs": crcs.tobytes(),
        }

    def _datasets(self) -> Iterator[Dataset]:
        """All of them; the index comes last, when its length is known."""
        for box in self._named:
            yield _dataset(self._paths[box.name], box)
        for number, box in enumerate(self._parts):
            yield _part_dataset(number, box)
        if self.arena.rows:
            yield _bytes_dataset("arena", self.arena.length, self.arena.place)
            table = self.arena.table()
            yield Dataset(f"{PRIVATE}/table", table.dtype, table.shape, content=table)
        if self.metagraph is not None:
            yield _bytes_dataset("metagraph", len(self.metagraph), self._place_metagraph)
        self.index_length = len(self.index(0))
        yield _bytes_dataset("index", self.index_length, self._place_index)

    def _place_metagraph(self, offset: int) -> None:
        self.metagraph_offset = offset

    def _place_index(self, offset: int) -> None:
        self.index_offset = offset


def _first_parts(splits: Sequence[int]) -> Sequence[int]:
    """The number of each tensor's first part, and how many parts there are."""
    if not any(splits):
        return range(len(splits) + 1)
    return list(accumulate([split or 1 for split in splits], initial=0))


def _boxes(contents: Contents, packed: set[int], first: Sequence[int]) -> dict[int, Box]:
    """The parts that are not packed, by their numbers."""
    if len(packed) == len(contents.rows):
        return {}
    left = [(name, row) for name, row in contents.rows.items() if row not in packed]
    return {
        number: box
        for name, row in left
        for number, box in enumerate(contents.boxes(name), first[row])
    }


def _fixed_fields(contents: Contents) -> dict[str, Any]:
    """The columns of the index that do not depend on where things lie."""
    kinds = sorted(set(contents.dtypes))
    codes = {kind: code for code, kind in enumerate(kinds)}
    splits = zip(contents.rows, contents.splits, strict=True)
    cut = [contents.boxes(name) for name, split in splits if split]
    return {
        "block": BLOCK,
        "names": b"".join(contents.names),
        "name_ends": column("Q", accumulate(map(len, contents.names))),
        "dtype_names": kinds,
        "dtypes": bytes(map(codes.__getitem__, contents.dtypes)),
        "ranks": bytes(map(len, contents.shapes)),
        "dims": column("Q", chain.from_iterable(contents.shapes)),
        "splits": column("I", contents.splits),
        "boxes": column("Q", [n for parts in cut for b in parts for n in (*b.starts, *b.shape)]),
        "layouts": bytes(_first_parts(contents.splits)[-1]),
    }


def _is_compressible(box: Box) -> bool:
    return (
        box.length >= ALIGNED_FROM and box.dtype != "string" and 0 < len(box.shape) <= HDF5_MAX_RANK
    )


def _chunk_fields(filtered: dict[int, WrittenChunks], part_count: int) -> dict[str, Any]:
    """The columns of the index that describe compressed boxes, given by their numbers."""
    found = filtered.values()
    pipelines = list(dict.fromkeys([chunks.pipeline for chunks in found]))
    layouts = bytearray(part_count)
    for number, chunks in filtered.items():
        layouts[number] = pipelines.index(chunks.pipeline) + 1
    return {
        "layouts": bytes(layouts),
        "filters": pipelines,
        "chunk_shapes": column("Q", [n for chunks in found for n in chunks.chunk]),
        "chunk_offsets": column("Q", [offset for chunks in found for offset in chunks.offsets]),
        "chunk_lengths": column("Q", [length for chunks in found for length in chunks.lengths]),
    }


def _dataset(path: str, box: Box) -> Dataset:
    """The dataset that shows a box: its own type where HDF5 has one, else raw bits and a note."""
    place = partial(setattr, box, "offset")
    if box.dtype == "string":
        shape = ",".join(map(str, box.shape))
        notes = {"ckpt.dtype": "string", "ckpt.shape": shape}
        return Dataset(path, np.dtype(np.uint8), (box.length,), place, notes)
    kind = np.dtype(dtypes.as_dtype(box.dtype).as_numpy_dtype)
    notes = {"ckpt.dtype": box.dtype}
    if kind.names:  # a quantized integer
        kind = kind[0]
    elif kind.isbuiltin == 2:
        kind = np.dtype(f"<u{kind.itemsize}")
    else:
        notes = {}
    return Dataset(path, kind.newbyteorder("<"), box.shape, place, notes, filtered=box.chunks)


def _part_dataset(number: int, box: Box) -> Dataset:
    made = _dataset(f"{PRIVATE}/parts/{number}", box)
    starts = ",".join(map(str, box.starts))
    return replace(made, notes={**made.notes, "ckpt.starts": starts})


def _bytes_dataset(name: str, length: int, place: Callable[[int], None]) -> Dataset:
    return Dataset(f"{PRIVATE}/{name}", np.dtype(np.uint8), (length,), place)
