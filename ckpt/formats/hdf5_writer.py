"""Writes our HDF5 files: every byte itself, checksummed while it is in the processor's cache.

hdf5_plan says what lies where. Must not know graphs, sessions or prefixes.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ckpt.core.checksum import crc32c, engine
from ckpt.core.collector import paused
from ckpt.core.storage import Output, create
from ckpt.formats.array_bytes import bytes_of, pieces
from ckpt.formats.base import StrPath, TensorEntry
from ckpt.formats.hdf5_filters import check_compression
from ckpt.formats.hdf5_header import pack_header
from ckpt.formats.hdf5_layout import BLOCK, HEADER, blocks_of
from ckpt.formats.hdf5_plan import GRAIN, Box, Layout, Plan, boxes_of, check_texts
from ckpt.formats.hdf5_structure import ALIGNMENT

_STEP = 4 * BLOCK  # bytes of one write: with their source they fit a core's cache
_COALESCED = 64 * 1024  # pieces up to this size are gathered before they are written
_LARGE = 1024 * 1024  # boxes from this size on are written by several threads
_SEGMENT = 4 * 1024 * 1024  # bytes that a thread writes before it takes the next task
_AHEAD = 4  # writes under way while the next is gathered
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
        boxes = boxes_of(path, tensors)
        check_texts(path, boxes, metadata or {}, aliases or {})
    with create(path, durable=durable) as file:
        with paused():
            texts = metadata or {}, aliases or {}
            plan = Plan(boxes, *texts, metagraph, layout, compression, file.write)
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
    begin, end = plan.arena
    if plan.packed:
        yield begin, end - begin, lambda crc: _put_arena(stream, plan, crc)
    for box in plan.boxes:
        if box.chunks is not None:  # written already
            places = zip(box.chunks.offsets, box.chunks.lengths, strict=True)
            yield from ((offset, length, _nothing) for offset, length in places)
        elif box.length and not begin <= box.offset < end:
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
    for view in _steps(box):
        box.crcs += [crc32c(view[at : at + BLOCK]) for at in range(0, len(view), BLOCK)]
        stream.put(view, offset)
        offset += len(view)
    return crc


def _put_arena(stream: _Stream, plan: Plan, crc: int) -> int:
    """The packed boxes, which are small, gathered into large writes; another thread writes meanwhile."""
    padding = 0
    with ThreadPoolExecutor(1) as pool:
        under_way: deque[Future[None]] = deque()
        for offset, buffers, zeros in _gathered(plan):
            padding += zeros
            if len(under_way) == _AHEAD:
                under_way.popleft().result()
            under_way.append(pool.submit(stream.write, b"".join(buffers), offset))
        for future in under_way:
            future.result()
    return crc32c(bytes(padding), crc)


def _gathered(plan: Plan) -> Iterator[tuple[int, list[Any], int]]:
    """Offset, buffers and number of padding bytes of each write of about _STEP."""
    offset, end = plan.arena
    buffers: list[Any] = []
    size = padding = 0
    checksum = engine()
    for box in plan.packed:
        if not box.length:
            continue
        data = box.arrays[0] if box.is_ready else b"".join(_steps(box))
        box.crcs = [checksum(data, 0)]
        pad = -box.length % GRAIN
        buffers += (data, _ZEROS[:pad])
        padding += pad
        size += box.length + pad
        if size >= _STEP:
            yield offset, buffers, padding
            offset += size
            buffers, size, padding = [], 0, 0
    left = end - offset - size
    yield offset, [*buffers, bytes(left)], padding + left


_ZEROS = bytes(GRAIN)


def _steps(box: Box) -> Iterator[memoryview]:
    """The bytes of a box, in pieces of _STEP; each is overwritten by the next."""
    if box.is_ready:
        view = bytes_of(box.arrays[0])
        for start in range(0, box.length, _STEP):
            yield view[start : start + _STEP]
        return
    held = memoryview(bytearray(min(_STEP, box.length)))
    filled = 0
    for array in box.arrays:
        for view in pieces(array, _STEP):
            while len(view):
                taken = min(len(view), len(held) - filled)
                held[filled : filled + taken] = view[:taken]
                filled, view = filled + taken, view[taken:]
                if filled == len(held):
                    yield held
                    filled = 0
    if filled:
        yield held[:filled]


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

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write `data` now; may be called by another thread."""
        self._file.write(data, offset)

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
    for box in plan.boxes:
        if box.length >= _LARGE and box.is_ready and box.chunks is None:
            box.crcs = [0] * blocks_of(box.length)
            tasks += [(box, start) for start in range(0, box.length, _SEGMENT)]

    def write(task: tuple[Box, int]) -> None:
        box, start = task
        write_segment(box, start, bytes_of(box.arrays[0])[start : start + _SEGMENT])

    if len(tasks) <= 1 or threads == 1:
        for task in tasks:
            write(task)
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
