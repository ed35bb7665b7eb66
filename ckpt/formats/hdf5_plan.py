"""What one of our files will hold and where: from named arrays to boxes, datasets, offsets and index columns.

Must not write: hdf5_writer does. HDF5 shapes the structure, in memory (hdf5_structure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, chain
from struct import pack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import crc32c
from ckpt.core.errors import InvalidArgumentError
from ckpt.formats import partition, string_payload
from ckpt.formats.array_bytes import is_ready, plain
from ckpt.formats.base import SliceSpec, StrPath, TensorEntry
from ckpt.formats.hdf5_chunks import chunk_shape, stored_chunks
from ckpt.formats.hdf5_columns import column, pack_index
from ckpt.formats.hdf5_index import Pipeline
from ckpt.formats.hdf5_layout import BLOCK, MOST_TENSORS, USER_BLOCK, blocks_of
from ckpt.formats.hdf5_paths import PRIVATE, dataset_paths
from ckpt.formats.hdf5_structure import ALIGNED_FROM, HDF5_MAX_RANK, Dataset, build

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = np.ndarray[Any, Any]

# Creating a named dataset took about 35 us in a probe, so this many cost a save some 35 ms; the threshold itself
# was chosen, not tuned.
NAMED_UP_TO = 1000
GRAIN = 64  # packed variables start at multiples of this: a cache line, and any dtype's alignment
_ORIGINS = [(0,) * rank for rank in range(65)]  # numpy has at most 64 axes
_PACKED_NAME = 255  # longest name in bytes that the table of packed variables holds

Layout = Literal["auto", "named"]
Write = Callable[[bytes, int], None]


@dataclass(slots=True)
class Box:
    """A tensor, or one part of it: where its bytes come from and, once planned and written, where they went."""

    name: str
    dtype: str
    full_shape: tuple[int, ...]
    starts: tuple[int, ...]
    shape: tuple[int, ...]
    arrays: tuple[Array, ...]  # plain; their bytes, one after the other, are those of the box
    length: int
    is_ready: bool  # the memory of one array is the bytes
    offset: int = 0
    crcs: list[int] = field(default_factory=list)
    chunks: WrittenChunks | None = None


class WrittenChunks:
    """The chunks of a box that is compressed: made, and written, while HDF5 lays out the file."""

    def __init__(self, box: Box, compression: str, write: Write) -> None:
        self._box = box
        self._write = write
        self.compression = compression
        self.chunk = chunk_shape(box.shape, box.arrays[0].itemsize)
        self.pipeline: Pipeline = ()
        self.offsets: list[int] = []
        self.lengths: list[int] = []
        box.length = 0

    def chunks(self, pipeline: Pipeline) -> Iterator[tuple[tuple[int, ...], bytes]]:
        """First index and stored bytes of each."""
        self.pipeline = pipeline
        return stored_chunks(self._box.arrays, self._box.shape, self.chunk, pipeline)

    def put(self, data: bytes, offset: int) -> None:
        """Write the next one."""
        self._box.crcs.append(crc32c(data))
        self._box.length += len(data)
        self.offsets.append(offset)
        self.lengths.append(len(data))
        self._write(data, offset)


class Plan:
    """Everything about one file: first what is in it, after `place` also where."""

    def __init__(
        self,
        tensors: dict[str, list[Box]],
        metadata: Mapping[str, str],
        aliases: Mapping[str, str],
        metagraph: bytes | None,
        layout: Layout,
        compression: str | None,
        write: Write,
    ) -> None:
        self.boxes = [box for boxes in tensors.values() for box in boxes]
        self.metagraph = metagraph
        self.metagraph_offset = 0
        self.index_offset = 0
        is_whole = list(map(_is_whole, tensors.values()))
        whole = [boxes[0] for boxes, one in zip(tensors.values(), is_whole, strict=True) if one]
        self.packed = [] if layout == "named" else _to_pack(whole)
        packed = set(map(id, self.packed))
        self._named = [box for box in whole if id(box) not in packed]
        cut = [boxes for boxes, one in zip(tensors.values(), is_whole, strict=True) if not one]
        self._parts = [box for boxes in cut for box in boxes]
        if compression is not None:
            for box in [*self._named, *self._parts]:
                if _is_compressible(box):
                    box.chunks = WrittenChunks(box, compression, write)
        self._paths = dataset_paths(box.name for box in self._named)
        self._fields = _fixed_fields(tensors, is_whole, self.boxes)
        self._fields["metadata"] = dict(metadata)
        self._fields["aliases"] = dict(aliases)
        self._fields["paths"] = {name: path for name, path in self._paths.items() if name != path}
        self.index_length = (
            0  # depends on names, dtypes, shapes and filters only, not on where things lie
        )
        self.structure = build(self._datasets(), USER_BLOCK)

    @property
    def arena(self) -> tuple[int, int]:
        """Offset and end of the packed boxes, which follow each other at multiples of 64."""
        if not self.packed:
            return 0, 0
        return self._arena_offset, self._arena_offset + self._arena_length

    def index(self, structure_crc: int) -> bytes:
        """The bytes of the index; before everything is written, as many bytes."""
        graph = self.metagraph
        found = {
            **self._fields,
            "offsets": column("Q", [box.offset for box in self.boxes]),
            "lengths": column("Q", [box.length for box in self.boxes]),
            "crcs": column("I", [crc for box in self.boxes for crc in _crcs(box)]),
            "metagraph": None
            if graph is None
            else pack("<QQI", self.metagraph_offset, len(graph), crc32c(graph)),
            "structure_crc": column("I", [structure_crc]),
        }
        if any([box.chunks for box in self.boxes]):
            found |= _chunk_fields([box.chunks for box in self.boxes])
        return pack_index(found)

    def _datasets(self) -> Iterator[Dataset]:
        """All of them; the index comes last, when its length is known."""
        for box in self._named:
            yield _dataset(self._paths[box.name], box)
        for number, box in enumerate(self._parts):
            yield _part_dataset(number, box)
        if self.packed:
            sizes = [-(-box.length // GRAIN) * GRAIN for box in self.packed]
            starts = list(accumulate(sizes, initial=0))
            self._arena_length = max(starts.pop(), ALIGNED_FROM)  # so long that HDF5 aligns it

            def place_arena(base: int) -> None:
                self._arena_offset = base
                for box, start in zip(self.packed, starts, strict=True):
                    box.offset = base + start if box.length else 0

            yield _bytes_dataset("arena", self._arena_length, place_arena)
            table = _table(self.packed, starts)
            yield Dataset(f"{PRIVATE}/table", table.dtype, table.shape, content=table)
        if self.metagraph is not None:
            yield _bytes_dataset("metagraph", len(self.metagraph), self._place_metagraph)
        self.index_length = len(self.index(0))
        yield _bytes_dataset("index", self.index_length, self._place_index)

    def _place_metagraph(self, offset: int) -> None:
        self.metagraph_offset = offset

    def _place_index(self, offset: int) -> None:
        self.index_offset = offset


def boxes_of(path: StrPath, tensors: Iterable[TensorEntry]) -> dict[str, list[Box]]:
    """What to write, in order of first appearance. Raises InvalidArgumentError with every problem."""
    problems: list[str] = []
    found: dict[str, list[Box]] = {}
    parts: dict[str, list[tuple[Array, str, SliceSpec | None]]] = {}
    kinds: dict[Any, tuple[str, bool]] = {}  # few, and asked for each tensor
    for name, array, spec in tensors:
        try:
            if not name.isascii():
                name.encode()
            array = np.asarray(array)
            kind = array.dtype
            if kind not in kinds:
                kinds[kind] = (
                    _dtype_name(array),
                    kind.isbuiltin == 1 and kind == kind.newbyteorder("<"),
                )
            dtype, is_plain = kinds[kind]
            if spec is None and name not in found:
                shape = array.shape
                if is_plain and dtype != "string":
                    ready = array.flags.c_contiguous
                    box = Box(
                        name,
                        dtype,
                        shape,
                        _ORIGINS[len(shape)],
                        shape,
                        (array,),
                        array.nbytes,
                        ready,
                    )
                else:
                    box = _box(name, dtype, shape, _ORIGINS[len(shape)], shape, (array,))
                found[name] = [box]
            else:
                found.setdefault(name, [])
                parts.setdefault(name, []).append((array, dtype, spec))
        except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
            problems.append(f"  {name!r}: {error}")
    for name, group in parts.items():
        try:
            if found[name]:
                raise ValueError(f"is given {len(group) + 1} times")
            found[name] = _joined(name, group)
        except (TypeError, ValueError) as error:
            problems.append(f"  {name!r}: {error}")
    if len(found) > MOST_TENSORS:
        problems.append(
            f"  {len(found)} tensors are more than the {MOST_TENSORS} of one file; give a shard_size"
        )
    if problems:
        raise InvalidArgumentError(
            None,
            None,
            f"{path} cannot hold {len(problems)} of the tensors given:\n" + "\n".join(problems),
        )
    return found


def check_texts(
    path: StrPath, names: Mapping[str, Any], metadata: Mapping[str, str], aliases: Mapping[str, str]
) -> None:
    """Raise InvalidArgumentError for metadata or aliases that could not be read back."""
    problems = [
        f"  alias {a!r} of {b!r}: no such tensor" for a, b in aliases.items() if b not in names
    ]
    problems += [f"  alias {a!r}: is a tensor itself" for a in aliases if a in names]
    for texts in (metadata, aliases):
        for key, value in texts.items():
            try:
                key.encode(), value.encode()
            except (AttributeError, UnicodeEncodeError):
                problems.append(f"  {key!r} = {value!r}: expected text that UTF-8 can hold")
    if problems:
        raise InvalidArgumentError(None, None, f"{path} cannot hold:\n" + "\n".join(problems))


def _dtype_name(array: Array) -> str:
    try:
        return dtypes.as_dtype(array.dtype).name
    except TypeError:
        raise TypeError(f"has dtype {array.dtype}, which no checkpoint holds") from None


def _joined(name: str, group: list[tuple[Array, str, SliceSpec | None]]) -> list[Box]:
    found = sorted({dtype for _, dtype, _ in group})
    if len(found) > 1:
        raise ValueError(f"parts have different dtypes: {', '.join(found)}")
    dtype = found[0]
    full_shape, boxes, joined = partition.join([(array, spec) for array, _, spec in group])
    if joined is not None:
        return [_box(name, dtype, full_shape, (0,) * len(full_shape), full_shape, tuple(joined))]
    return [_box(name, dtype, full_shape, at, array.shape, (array,)) for at, array in boxes]


def _box(
    name: str,
    dtype: str,
    full_shape: tuple[int, ...],
    starts: tuple[int, ...],
    shape: tuple[int, ...],
    arrays: tuple[Array, ...],
) -> Box:
    if dtype == "string":
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        arrays = (string_payload.encode(whole),)
    elif arrays[0].dtype.isbuiltin != 1:
        arrays = tuple([plain(array) for array in arrays])
    length = arrays[0].nbytes if len(arrays) == 1 else sum([array.nbytes for array in arrays])
    ready = len(arrays) == 1 and is_ready(arrays[0])
    return Box(name, dtype, full_shape, starts, shape, arrays, length, ready)


def _is_whole(boxes: list[Box]) -> bool:
    return len(boxes) == 1 and boxes[0].shape == boxes[0].full_shape


def _to_pack(whole: list[Box]) -> list[Box]:
    """The small variables, when they are too many to be datasets of their own."""
    small = [box for box in whole if box.length < ALIGNED_FROM]
    if len(small) <= NAMED_UP_TO:
        return []
    return [box for box in small if len(box.name.encode()) <= _PACKED_NAME and "\0" not in box.name]


def _fixed_fields(
    tensors: dict[str, list[Box]], is_whole: list[bool], boxes: list[Box]
) -> dict[str, Any]:
    """The columns of the index that do not depend on where things lie."""
    names = [name.encode() for name in tensors]
    first = [group[0] for group in tensors.values()]
    kinds = sorted({box.dtype for box in first})
    codes = {kind: code for code, kind in enumerate(kinds)}
    groups = list(zip(tensors.values(), is_whole, strict=True))
    split = [group for group, one in groups if not one]
    return {
        "block": BLOCK,
        "names": b"".join(names),
        "name_ends": column("Q", accumulate(map(len, names))),
        "dtype_names": kinds,
        "dtypes": bytes([codes[box.dtype] for box in first]),
        "ranks": bytes([len(box.full_shape) for box in first]),
        "dims": column("Q", chain.from_iterable([box.full_shape for box in first])),
        "splits": column("I", [0 if one else len(group) for group, one in groups]),
        "boxes": column("Q", [n for group in split for b in group for n in (*b.starts, *b.shape)]),
        "layouts": bytes(len(boxes)),
    }


def _table(packed: list[Box], starts: list[int]) -> NDArray[np.void]:
    """The HDF5 table that tells tools without our index what the arena holds."""
    import h5py

    names = [box.name.encode() for box in packed]
    text = {shape: ",".join(map(str, shape)).encode() for shape in {box.shape for box in packed}}
    shapes = [text[box.shape] for box in packed]
    kind = np.dtype(
        [
            ("name", h5py.string_dtype("utf-8", max(map(len, names), default=0) or 1)),
            ("dtype", "S20"),
            ("shape", f"S{max(map(len, shapes), default=0) or 1}"),
            ("offset", "<u8"),
            ("length", "<u8"),
        ]
    )
    table = np.zeros(len(packed), kind)
    table["name"] = names
    table["dtype"] = [box.dtype for box in packed]
    table["shape"] = shapes
    table["offset"] = starts
    table["length"] = [box.length for box in packed]
    return table


def _is_compressible(box: Box) -> bool:
    return (
        box.length >= ALIGNED_FROM and box.dtype != "string" and 0 < len(box.shape) <= HDF5_MAX_RANK
    )


def _crcs(box: Box) -> list[int]:
    """Its checksums, or as many zeros before it is written."""
    return box.crcs or [0] * blocks_of(box.length)


def _chunk_fields(chunks: list[WrittenChunks | None]) -> dict[str, Any]:
    """The columns of the index that describe compressed boxes."""
    pipelines = list(dict.fromkeys(one.pipeline for one in chunks if one))
    filtered = [one for one in chunks if one]
    return {
        "layouts": bytes([pipelines.index(one.pipeline) + 1 if one else 0 for one in chunks]),
        "filters": pipelines,
        "chunk_shapes": column("Q", [n for one in filtered for n in one.chunk]),
        "chunk_offsets": column("Q", [offset for one in filtered for offset in one.offsets]),
        "chunk_lengths": column("Q", [length for one in filtered for length in one.lengths]),
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
