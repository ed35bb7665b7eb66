"""Writes our HDF5 files: plans the layout, then writes every byte itself, checksummed while in cache.

HDF5 only shapes the structure, in memory (hdf5_structure). Must not know graphs, sessions or prefixes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ckpt.core import dtypes
from ckpt.core.checksum import crc32c
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.storage import Output, create
from ckpt.formats import partition, string_payload
from ckpt.formats.base import SliceSpec, StrPath, TensorEntry
from ckpt.formats.hdf5_index import (
    BLOCK,
    HEADER,
    USER_BLOCK,
    Blob,
    Index,
    Part,
    Tensor,
    blocks_of,
    pack_header,
    pack_index,
)
from ckpt.formats.hdf5_paths import PRIVATE, dataset_paths
from ckpt.formats.hdf5_structure import ALIGNED_FROM, Dataset, SparseFile, build

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = np.ndarray[Any, Any]

# Creating a named dataset took about 35 us in a probe, so this many cost a save some 35 ms; the threshold itself
# was chosen, not tuned.
NAMED_UP_TO = 1000
_PACKED_NAME = 255  # longest name in bytes that the table of packed variables holds
_GRAIN = 64  # packed variables start at multiples of this: a cache line, and any dtype's alignment
_LARGE = 1024 * 1024  # pieces from this size on are written by threads
_TASK = 8  # blocks that a thread writes before it takes the next task
# A file takes one write at a time, but checksums are computed meanwhile: two threads hide them.
_THREADS = 2
_COALESCED = 64 * 1024  # pieces up to this size are gathered before they are written

Layout = Literal["auto", "named"]


@dataclass(slots=True)
class _Piece:
    """One box of one tensor: where its bytes come from and, once planned, where they go."""

    starts: tuple[int, ...]
    shape: tuple[int, ...]
    arrays: list[Array]  # their bytes, one after the other, are the piece
    length: int
    offset: int = 0
    crcs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Planned:
    name: str
    dtype: str
    shape: tuple[int, ...]
    pieces: list[_Piece]

    def tensor(self) -> Tensor:
        return Tensor(
            self.name,
            self.dtype,
            self.shape,
            tuple(
                Part(
                    p.starts,
                    p.shape,
                    p.offset,
                    p.length,
                    tuple(p.crcs) or (0,) * blocks_of(p.length),
                )
                for p in self.pieces
            ),
        )


def write(
    path: StrPath,
    tensors: Iterable[TensorEntry],
    *,
    metadata: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
    metagraph: bytes | None = None,
    layout: Layout = "auto",
    durable: bool = True,
    threads: int | None = None,
) -> None:
    """Write a checkpoint to `path`, atomically: old or new, whole, whatever happens.

    Entries that share a name are parts of one tensor; parts that complete it are joined. `aliases` are further
    names of tensors. `layout="named"` makes every tensor a dataset of its own even when there are thousands.
    Raises InvalidArgumentError listing everything that cannot be written, ResourceExhaustedError when the disk
    is full, and other members of the OpError family; then `path` is as it was.
    """
    planned = _planned(path, tensors)
    plan = _Plan(planned, metadata or {}, aliases or {}, metagraph, layout)
    _check_texts(path, plan.index())
    plan.place()
    with create(path, durable=durable) as file:
        file.reserve(plan.size)
        plan.write_to(file, threads or _THREADS)


class _Plan:
    """Everything about one file: first what is in it, after `place` also where."""

    def __init__(
        self,
        planned: list[_Planned],
        metadata: Mapping[str, str],
        aliases: Mapping[str, str],
        metagraph: bytes | None,
        layout: Layout,
    ) -> None:
        self.planned = planned
        self.metagraph = metagraph
        self._metadata = metadata
        self._aliases = aliases
        self._metagraph_blob = (
            None if metagraph is None else Blob(0, len(metagraph), crc32c(metagraph))
        )
        self._structure_crc = 0
        self._packed = [] if layout == "named" else _to_pack(planned)
        packed = {id(p) for p in self._packed}
        self._named = [p for p in planned if id(p) not in packed and _is_whole(p)]
        self._parts = [p for p in planned if not _is_whole(p)]
        paths = dataset_paths(p.name for p in self._named)
        self._paths = paths
        self._index_offset = 0
        self._file: SparseFile = SparseFile()

    @property
    def size(self) -> int:
        """Bytes of the file; known once everything is placed."""
        return self._file.size

    def index(self) -> Index:
        """The index as far as known; its packed length never changes."""
        return Index(
            tensors={p.name: p.tensor() for p in self.planned},
            metadata=self._metadata,
            aliases=self._aliases,
            paths={name: path for name, path in self._paths.items() if name != path},
            metagraph=self._metagraph_blob,
            structure_crc=self._structure_crc,
        )

    def place(self) -> None:
        """Build the HDF5 structure and learn every offset."""
        self._index_length = len(pack_index(self.index()))
        wanted: list[tuple[Dataset, Callable[[int], None]]] = []
        for p in self._named:
            wanted.append((_dataset(self._paths[p.name], p, p.pieces[0]), _setter(p.pieces[0])))
        parts = [(p, piece) for p in self._parts for piece in p.pieces]
        for number, (p, piece) in enumerate(parts):
            wanted.append((_part_dataset(number, p, piece), _setter(piece)))
        wanted += self._private_datasets()
        self._file, offsets = build([dataset for dataset, _ in wanted], USER_BLOCK)
        for (_, place), offset in zip(wanted, offsets, strict=True):
            place(offset)

    def _private_datasets(self) -> Iterator[tuple[Dataset, Callable[[int], None]]]:
        if self._packed:
            starts, length = _arena(self._packed)
            yield (
                _bytes_dataset("arena", length),
                lambda base: _place_arena(self._packed, starts, base),
            )
            table = _table(self._packed, starts)
            yield (
                Dataset(f"{PRIVATE}/table", table.dtype, table.shape, content=table),
                lambda _: None,
            )
        if self.metagraph is not None:
            yield _bytes_dataset("metagraph", len(self.metagraph)), self._place_metagraph
        yield _bytes_dataset("index", self._index_length), self._place_index

    def _place_metagraph(self, offset: int) -> None:
        if self._metagraph_blob is not None:
            self._metagraph_blob = replace(self._metagraph_blob, offset=offset)

    def _place_index(self, offset: int) -> None:
        self._index_offset = offset

    def write_to(self, file: Output, threads: int) -> None:
        """Values and structure in ascending order, then the index, then the header."""
        large = [piece for p in self.planned for piece in p.pieces if _is_large(piece)]
        _write_large(file, large, threads)
        stream = _Stream(file)
        end, crc = HEADER, 0
        for offset, length, put in sorted(self._sources(stream), key=lambda source: source[:2]):
            gap = self._file.bytes_at(end, offset - end)
            crc = crc32c(gap, crc)
            stream.put(gap, end)
            put()
            end = offset + length
        tail = self._file.bytes_at(end, self._file.size - end)
        self._structure_crc = crc32c(tail, crc)
        stream.put(tail, end)
        stream.flush()
        file.truncate(self._file.size)
        index = pack_index(self.index())
        file.write(index, self._index_offset)
        file.write(pack_header(self._index_offset, index, self._file.size), 0)

    def _sources(self, stream: _Stream) -> Iterator[tuple[int, int, Callable[[], None]]]:
        for p in self.planned:
            for piece in p.pieces:
                if piece.length:
                    yield piece.offset, piece.length, lambda piece=piece: _put_piece(stream, piece)  # type: ignore[misc]
        yield self._index_offset, self._index_length, lambda: None  # a hole, filled last
        blob, data = self._metagraph_blob, self.metagraph
        if blob is not None and data:
            yield blob.offset, blob.length, lambda: stream.put(data, blob.offset)


class _Stream:
    """Writes pieces in ascending order, gathering small neighbours into one system call."""

    def __init__(self, file: Output) -> None:
        self._file = file
        self._gathered = bytearray()
        self._start = 0

    def put(self, data: bytes | memoryview, offset: int) -> None:
        """Write `data` at `offset`, now or with its neighbours."""
        if self._start + len(self._gathered) != offset or len(self._gathered) + len(data) > BLOCK:
            self.flush()
            self._start = offset
        if len(data) <= _COALESCED:
            self._gathered += data
            return
        self.flush()
        self._file.write(data, offset)
        self._start = offset + len(data)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            self._file.write(bytes(self._gathered), self._start)
            self._start += len(self._gathered)
            self._gathered.clear()


def _is_large(piece: _Piece) -> bool:
    return piece.length >= _LARGE and len(piece.arrays) == 1 and _is_ready(_plain(piece.arrays[0]))


def _write_large(file: Output, pieces: list[_Piece], threads: int) -> None:
    """Write pieces whose bytes lie ready in memory, several blocks at a time."""
    if not pieces:
        return
    from concurrent.futures import ThreadPoolExecutor

    tasks = []
    for piece in pieces:
        view = _bytes_of(_plain(piece.arrays[0]))
        piece.crcs = [0] * blocks_of(piece.length)
        tasks += [(piece, view, first) for first in range(0, len(piece.crcs), _TASK)]

    def write_blocks(task: tuple[_Piece, memoryview, int]) -> None:
        piece, view, first = task
        for number in range(first, min(first + _TASK, len(piece.crcs))):
            block = view[number * BLOCK : (number + 1) * BLOCK]
            piece.crcs[number] = crc32c(block)
            file.write(block, piece.offset + number * BLOCK)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(write_blocks, tasks):  # the first error cancels what has not begun
            pass


def _put_piece(stream: _Stream, piece: _Piece) -> None:
    if piece.crcs:
        return  # a large one, written before
    offset, left, crc = piece.offset, BLOCK, 0
    for array in piece.arrays:
        for view in _views(array):
            while len(view):
                part = view[:left]
                crc = crc32c(part, crc)
                stream.put(part, offset)
                offset += len(part)
                left -= len(part)
                view = view[len(part) :]
                if not left:
                    piece.crcs.append(crc)
                    left, crc = BLOCK, 0
    if left < BLOCK:
        piece.crcs.append(crc)


def _views(array: Array) -> Iterator[memoryview]:
    """The bytes of an array, row-major and little-endian; converted in cache-sized pieces where needed."""
    array = _plain(array)
    if _is_ready(array):
        yield _bytes_of(array)
        return
    pieces = np.nditer(
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=[array.dtype.newbyteorder("<")],
        casting="equiv",
        order="C",
        buffersize=BLOCK // array.itemsize,
    )
    for piece in pieces:
        yield memoryview(np.ascontiguousarray(piece).view(np.uint8))


def _plain(array: Array) -> Array:
    """A view of the same bits whose dtype numpy can iterate and swap."""
    if array.dtype.names:  # a quantized integer: one field
        array = array[array.dtype.names[0]]
    if array.dtype.isbuiltin == 2:  # bfloat16 and the like, which ml_dtypes registers
        array = array.view(f"u{array.itemsize}")
    return array


def _is_ready(array: Array) -> bool:
    return bool(array.flags.c_contiguous and array.dtype == array.dtype.newbyteorder("<"))


def _bytes_of(array: Array) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))


def _planned(path: StrPath, tensors: Iterable[TensorEntry]) -> list[_Planned]:
    """What to write, in order of first appearance. Raises InvalidArgumentError with every problem."""
    problems: list[str] = []
    groups: dict[str, list[tuple[Array, str, SliceSpec | None]]] = {}
    for entry in tensors:
        try:
            entry.name.encode()
            array = np.asarray(entry.array)
            described = (array, _dtype_name(array), entry.slice_spec)
            groups.setdefault(entry.name, []).append(described)
        except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
            problems.append(f"  {entry.name!r}: {error}")
    planned = []
    for name, group in groups.items():
        try:
            planned.append(_joined(name, group))
        except (TypeError, ValueError) as error:
            problems.append(f"  {name!r}: {error}")
    if problems:
        raise InvalidArgumentError(
            None,
            None,
            f"{path} cannot hold {len(problems)} of the tensors given:\n" + "\n".join(problems),
        )
    return planned


def _dtype_name(array: Array) -> str:
    try:
        return dtypes.as_dtype(array.dtype).name
    except TypeError:
        raise TypeError(f"has dtype {array.dtype}, which no checkpoint holds") from None


def _joined(name: str, group: list[tuple[Array, str, SliceSpec | None]]) -> _Planned:
    found = sorted({dtype for _, dtype, _ in group})
    if len(found) > 1:
        raise ValueError(f"parts have different dtypes: {', '.join(found)}")
    dtype = found[0]
    if all(spec is None for *_, spec in group):
        if len(group) > 1:
            raise ValueError(f"is given {len(group)} times")
        array = group[0][0]
        return _Planned(
            name, dtype, array.shape, [_piece((0,) * array.ndim, array.shape, dtype, [array])]
        )
    parts = [(array, spec) for array, _, spec in group]
    full_shape, boxes, joined = partition.join(parts)
    if joined is not None:
        rank = len(full_shape)
        return _Planned(name, dtype, full_shape, [_piece((0,) * rank, full_shape, dtype, joined)])
    pieces = [_piece(starts, array.shape, dtype, [array]) for starts, array in boxes]
    return _Planned(name, dtype, full_shape, pieces)


def _piece(
    starts: tuple[int, ...], shape: tuple[int, ...], dtype: str, arrays: list[Array]
) -> _Piece:
    if dtype == "string":
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        arrays = [string_payload.encode(whole)]
    return _Piece(starts, shape, arrays, sum(array.nbytes for array in arrays))


def _is_whole(planned: _Planned) -> bool:
    return len(planned.pieces) == 1 and planned.pieces[0].shape == planned.shape


def _to_pack(planned: list[_Planned]) -> list[_Planned]:
    """The small variables, when they are too many to be datasets of their own."""
    small = [p for p in planned if _is_whole(p) and p.pieces[0].length < ALIGNED_FROM]
    if len(small) <= NAMED_UP_TO:
        return []
    return [p for p in small if len(p.name.encode()) <= _PACKED_NAME and "\0" not in p.name]


def _arena(packed: list[_Planned]) -> tuple[list[int], int]:
    """Where each packed variable starts in the arena, and the arena's length."""
    starts, end = [], 0
    for p in packed:
        starts.append(end)
        end += -(-p.pieces[0].length // _GRAIN) * _GRAIN
    return starts, max(end, ALIGNED_FROM)  # so long that HDF5 aligns it


def _place_arena(packed: list[_Planned], starts: list[int], base: int) -> None:
    for p, start in zip(packed, starts, strict=True):
        p.pieces[0].offset = base + start if p.pieces[0].length else 0


def _table(packed: list[_Planned], starts: list[int]) -> NDArray[np.void]:
    """The HDF5 table that tells tools without our index what the arena holds."""
    import h5py

    names = [p.name.encode() for p in packed]
    shapes = [",".join(map(str, p.shape)).encode() for p in packed]
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
    table["dtype"] = [p.dtype.encode() for p in packed]
    table["shape"] = shapes
    table["offset"] = starts
    table["length"] = [p.pieces[0].length for p in packed]
    return table


def _dataset(path: str, planned: _Planned, piece: _Piece) -> Dataset:
    """The dataset that shows a piece: its own type where HDF5 has one, else raw bits and a note."""
    if planned.dtype == "string":
        shape = ",".join(map(str, piece.shape))
        return Dataset(
            path, np.dtype(np.uint8), (piece.length,), {"ckpt.dtype": "string", "ckpt.shape": shape}
        )
    kind = np.dtype(dtypes.as_dtype(planned.dtype).as_numpy_dtype)
    if kind.names:  # a quantized integer
        return Dataset(path, kind[0].newbyteorder("<"), piece.shape, {"ckpt.dtype": planned.dtype})
    if kind.isbuiltin == 2:
        bits = np.dtype(f"<u{kind.itemsize}")
        return Dataset(path, bits, piece.shape, {"ckpt.dtype": planned.dtype})
    return Dataset(path, kind.newbyteorder("<"), piece.shape)


def _part_dataset(number: int, planned: _Planned, piece: _Piece) -> Dataset:
    made = _dataset(f"{PRIVATE}/parts/{number}", planned, piece)
    starts = ",".join(map(str, piece.starts))
    return replace(made, notes={**made.notes, "ckpt.starts": starts})


def _bytes_dataset(name: str, length: int) -> Dataset:
    return Dataset(f"{PRIVATE}/{name}", np.dtype(np.uint8), (length,))


def _setter(piece: _Piece) -> Callable[[int], None]:
    def place(offset: int) -> None:
        piece.offset = offset

    return place


def _check_texts(path: StrPath, index: Index) -> None:
    """Raise InvalidArgumentError for metadata or aliases that could not be read back."""
    problems = [
        f"  alias {a!r} of {b!r}: no such tensor"
        for a, b in index.aliases.items()
        if b not in index.tensors
    ]
    problems += [f"  alias {a!r}: is a tensor itself" for a in index.aliases if a in index.tensors]
    for texts in (index.metadata, index.aliases):
        for key, value in texts.items():
            try:
                key.encode(), value.encode()
            except (AttributeError, UnicodeEncodeError):
                problems.append(f"  {key!r} = {value!r}: expected text that UTF-8 can hold")
    if problems:
        raise InvalidArgumentError(None, None, f"{path} cannot hold:\n" + "\n".join(problems))
