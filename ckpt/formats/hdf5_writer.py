"""Writes our HDF5 files: every byte itself, checksummed while it is in the processor's cache.

hdf5_plan says what lies where. Must not know graphs, sessions or prefixes.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from ckpt.core.checksum import crc32c
from ckpt.core.collector import paused
from ckpt.core.storage import Output, create
from ckpt.formats.array_bytes import bytes_of
from ckpt.formats.base import StrPath, TensorEntry
from ckpt.formats.hdf5_arena import Arena
from ckpt.formats.hdf5_contents import Box, check_texts, contents_of
from ckpt.formats.hdf5_filters import check_compression
from ckpt.formats.hdf5_header import pack_header
from ckpt.formats.hdf5_layout import BLOCK, HEADER, blocks_of
from ckpt.formats.hdf5_plan import Layout, Plan
from ckpt.formats.hdf5_structure import ALIGNMENT

_STEP = 4 * BLOCK  # bytes of one write: with their source they fit a core's cache
_COALESCED = 64 * 1024  # pieces up to this size are gathered before they are written
_LARGE = 1024 * 1024  # boxes from this size on are written by several threads
_SEGMENT = 4 * 1024 * 1024  # bytes that a thread writes before it takes the next task
_THREADS = 2  # a file takes one write at a time; meanwhile the other thread computes checksums


def write(
    path: StrPath,
    tensors: Iterable[TensorEntry],
    *,
    metadata: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
    metagraph: bytes | None = None,
    layout: Layout = "auto",
    compression: str | None = None,
    durable: bool = True,
    threads: int | None = None,
) -> None:
    """Write a checkpoint to `path`, atomically: old or new, whole, whatever happens.

    Entries that share a name are parts of one tensor; parts that complete it are joined. `aliases` are further
    names of tensors. `layout="named"` makes every tensor a dataset of its own even when there are thousands.
    `compression` is "deflate" (or "deflate:9"), or with the hdf5plugin package "zstd", "lz4", "blosc2" or "bitshuffle".
    `durable=False` leaves it to the system when the bytes reach the disk. Raises InvalidArgumentError listing
    everything that cannot be written, ResourceExhaustedError when the disk is full, and other members of the
    OpError family; then `path` is as it was.
    """
    check_compression(compression)
    with paused():
        contents = contents_of(path, tensors)
        check_texts(path, contents.rows, metadata or {}, aliases or {})
    with create(path, durable=durable) as file:
        with paused():
            texts = metadata or {}, aliases or {}
            plan = Plan(contents, *texts, metagraph, layout, compression, file.write)
        file.reserve(plan.structure.size)
        is_direct = durable and file.open_direct()
        segment = _direct_writer(file) if is_direct else _writer(file)
        _write_large(plan, segment, threads or _THREADS)
        _write_rest(file, plan)


def _write_rest(file: Output, plan: Plan) -> None:
    """Values that are not written yet and structure in ascending order, then the index, then the header."""
    structure, stream = plan.structure, _Stream(file)
    end, crc = HEADER, 0
    for offset, length, put in sorted(_sources(stream, plan), key=lambda source: source[:2]):
        gap = structure.bytes_at(end, offset - end)
        stream.put(gap, end)
        crc = put(crc32c(gap, crc))
        end = offset + length
    tail = structure.bytes_at(end, structure.size - end)
    stream.put(tail, end)
    stream.flush()
    file.truncate(structure.size)
    index = plan.index(crc32c(tail, crc))
    file.write(index, plan.index_offset)
    file.write(pack_header(plan.index_offset, index, structure.size), 0)


_Put = Callable[[int], int]
"""Writes something; takes and returns the running checksum of the bytes that are under no other one."""


def _sources(stream: _Stream, plan: Plan) -> Iterator[tuple[int, int, _Put]]:
    """Offset, length and writer of everything that is not HDF5's structure."""
    arena = plan.arena
    if arena.rows:
        yield arena.offset, arena.length, lambda crc: _put_arena(stream, arena, crc)
    for box in plan.boxes.values():
        if box.chunks is not None:  # written already
            places = zip(box.chunks.offsets, box.chunks.lengths, strict=True)
            yield from ((offset, length, _nothing) for offset, length in places)
        elif box.length:
            yield box.offset, box.length, lambda crc, box=box: _put_box(stream, box, crc)  # type: ignore[misc]
    yield plan.index_offset, plan.index_length, _nothing  # a hole, filled last
    graph = plan.metagraph
    if graph:

        def put_graph(crc: int) -> int:
            stream.put(graph, plan.metagraph_offset)
            return crc

        yield plan.metagraph_offset, len(graph), put_graph


def _nothing(crc: int) -> int:
    return crc


def _put_box(stream: _Stream, box: Box, crc: int) -> int:
    if box.crcs:
        return crc  # written before
    offset = box.offset
    for view in box.steps(_STEP):
        box.crcs += [crc32c(view[at : at + BLOCK]) for at in range(0, len(view), BLOCK)]
        stream.put(view, offset)
        offset += len(view)
    box.let_go()
    return crc


def _put_arena(stream: _Stream, arena: Arena, crc: int) -> int:
    for offset, data in arena.writes():
        stream.put(data, offset)
    return crc32c(bytes(arena.padding), crc)


class _Stream:
    """Writes pieces in ascending order, gathering small neighbours into one system call."""

    def __init__(self, file: Output) -> None:
        self._file = file
        self._gathered = bytearray()
        self._start = 0

    def put(self, data: bytes | memoryview, offset: int) -> None:
        """Write `data` at `offset`, now or with its neighbours."""
        if self._start + len(self._gathered) != offset or len(self._gathered) + len(data) > _STEP:
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


_Segment = Callable[[Box, int, memoryview], None]
"""Writes the bytes of a box that begin `start` bytes into it, and notes their checksums."""


def _write_large(plan: Plan, write_segment: _Segment, threads: int) -> None:
    """Write large boxes whose bytes lie ready. One thread computes checksums while the other's bytes are written."""
    tasks: list[tuple[Box, int]] = []
    for box in plan.boxes.values():
        if box.length >= _LARGE and box.is_ready and box.chunks is None:
            box.crcs = [0] * blocks_of(box.length)
            tasks += [(box, start) for start in range(0, box.length, _SEGMENT)]

    def write(task: tuple[Box, int]) -> None:
        box, start = task
        write_segment(box, start, bytes_of(box.arrays[0])[start : start + _SEGMENT])

    if len(tasks) <= 1 or threads == 1:
        for box, start in tasks:
            write((box, start))
            if start + _SEGMENT >= box.length:
                box.let_go()
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(write, tasks):  # the first error cancels what has not begun
            pass


def _writer(file: Output) -> _Segment:
    """Writes in the usual way: the system copies each piece while it is still in the processor's cache."""

    def write_segment(box: Box, start: int, source: memoryview) -> None:
        for low in range(0, len(source), _STEP):
            view = source[low : low + _STEP]
            _note_crcs(box, start + low, view)
            file.write(view, box.offset + start + low)

    return write_segment


def _direct_writer(file: Output) -> _Segment:
    """Writes past the page cache, by way of aligned memory; what does not fill a page goes the usual way."""
    local = threading.local()

    def write_segment(box: Box, start: int, source: memoryview) -> None:
        if not hasattr(local, "memory"):
            local.memory = memoryview(mmap.mmap(-1, _SEGMENT))
        held = local.memory[: len(source)]
        for at in range(0, len(held), BLOCK):
            held[at : at + BLOCK] = source[at : at + BLOCK]
            _note_crcs(box, start + at, held[at : at + BLOCK])
        full = len(held) // ALIGNMENT * ALIGNMENT
        file.write_direct(held[:full], box.offset + start)
        file.write(held[full:], box.offset + start + full)

    return write_segment


def _note_crcs(box: Box, start: int, view: memoryview) -> None:
    for at in range(0, len(view), BLOCK):
        box.crcs[(start + at) // BLOCK] = crc32c(view[at : at + BLOCK])
