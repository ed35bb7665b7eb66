"""Writes our HDF5 files: every byte itself, checksummed while it is in the processor's cache.

hdf5_plan says what lies where. Must not know graphs, sessions or prefixes.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

from ckpt.core.checksum import crc32c
from ckpt.core.collector import paused
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.storage import Output, create
from ckpt.core.system import typed
from ckpt.formats.array_bytes import bytes_of
from ckpt.formats.base import StrPath, TensorEntry
from ckpt.formats.hdf5_arena import Arena
from ckpt.formats.hdf5_contents import Box, check_texts, contents_of
from ckpt.formats.hdf5_filters import check_compression
from ckpt.formats.hdf5_header import pack_header
from ckpt.formats.hdf5_layout import BLOCK, HEADER, TooMuch, blocks_of
from ckpt.formats.hdf5_plan import Layout, Plan
from ckpt.formats.hdf5_structure import ALIGNMENT

_STEP = 2 * BLOCK
"""Bytes of one write: they fit a core's cache, and pages of the page cache that are never slow to come."""
_COALESCED = 64 * 1024  # pieces up to this size are gathered before they are written
_LARGE = 1024 * 1024  # boxes from this size on are written by several threads
_SEGMENT = 16 * 1024 * 1024  # bytes that a thread writes before it takes the next task
_DIRECT = 2 * 1024 * 1024  # bytes of one write past the page cache
_THREADS = 2  # a file takes one write at a time; meanwhile the other thread computes checksums

_planning = threading.Lock()
"""HDF5 works for one thread at a time: threads that plan files in turns are done sooner than two that wait at every call.
A plan that compresses works for long without HDF5."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().update(_planning=threading.Lock()))


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
            try:
                with nullcontext() if compression else _planning:
                    plan = Plan(contents, *texts, metagraph, layout, compression, file.write)
            except TooMuch as error:
                raise InvalidArgumentError(
                    None, None, f"{path} cannot hold so much: {error}; give a shard_size"
                ) from error
        file.reserve(plan.structure.size)
        is_direct = durable and file.open_direct(plan.structure.size)
        segment = _direct_writer(file) if is_direct else _writer(file)
        _write_large(plan, segment, threads or _THREADS)
        _write_arena(file, plan.arena)
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


def _write_arena(file: Output, arena: Arena) -> None:
    for offset, length, pieces in arena.runs():
        file.write_each(pieces, offset, length)
    if arena.rows:
        file.write(*arena.rest())


_Put = Callable[[int], int]
"""Writes something; takes and returns the running checksum of the bytes that are under no other one."""


def _sources(stream: _Stream, plan: Plan) -> Iterator[tuple[int, int, _Put]]:
    """Offset, length and writer of everything that is not HDF5's structure."""
    arena = plan.arena
    if arena.rows:  # written already
        yield arena.offset, arena.length, lambda crc: crc32c(bytes(arena.padding), crc)
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
    tasks: list[Callable[[], None]] = []
    for box in plan.boxes.values():
        if box.length >= _LARGE and box.is_ready and box.chunks is None:
            box.crcs = [0] * blocks_of(box.length)
            left = list(range(0, box.length, _SEGMENT))
            tasks += [partial(_write_segment, write_segment, box, start, left) for start in left]
    if threads == 1 or len(tasks) < 2:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda task: task(), tasks):  # the first error cancels what has not begun
            pass


def _write_segment(write: _Segment, box: Box, start: int, left: list[int]) -> None:
    """Write one of the segments of a box; of those that are `left`, the last one lets go of it."""
    write(box, start, bytes_of(box.arrays[0])[start : start + _SEGMENT])
    left.remove(start)
    if not left:
        box.let_go()


def _writer(file: Output) -> _Segment:
    """Writes in the usual way: the system copies each piece while it is still in the processor's cache.

    Pieces end at multiples of their size, so that each is few pages of the page cache. Longer ones would be huge pages,
    which are slow to come where a virtual machine's host has taken back what was free.
    """

    def write_segment(box: Box, start: int, source: memoryview) -> None:
        offset = box.offset + start
        low = noted = 0
        while low < len(source):
            high = min(low + _STEP - (offset + low) % _STEP, len(source))
            whole = min(-(-high // BLOCK) * BLOCK, len(source))
            _note_crcs(box, start + noted, source[noted:whole])
            file.write(source[low:high], offset + low)
            low, noted = high, whole

    return write_segment


def _direct_writer(file: Output) -> _Segment:
    """Writes past the page cache, by way of aligned memory; what does not fill a page goes the usual way."""
    local = threading.local()

    def write_segment(box: Box, start: int, source: memoryview) -> None:
        if not hasattr(local, "memory"):
            with typed(file.path, "taking memory to write it from"):
                local.memory = memoryview(mmap.mmap(-1, _DIRECT))
        for low in range(0, len(source), _DIRECT):
            piece = source[low : low + _DIRECT]
            held = local.memory[: len(piece)]
            for at in range(0, len(held), BLOCK):
                held[at : at + BLOCK] = piece[at : at + BLOCK]
                _note_crcs(box, start + low + at, held[at : at + BLOCK])
            full = len(held) // ALIGNMENT * ALIGNMENT
            offset = box.offset + start + low
            file.write_direct(held[:full], offset)
            file.write(held[full:], offset + full)

    return write_segment


def _note_crcs(box: Box, start: int, view: memoryview) -> None:
    for at in range(0, len(view), BLOCK):
        box.crcs[(start + at) // BLOCK] = crc32c(view[at : at + BLOCK])
