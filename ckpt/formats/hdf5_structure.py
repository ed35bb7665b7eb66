"""Builds the HDF5 structure of a file in memory, without the values: which bytes, and where values go.

HDF5 reports success for writes that were lost, so it never touches the disk here: its file driver is ours.
Must not know the index or checksums.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ckpt.core.errors import InternalError, OpError
from ckpt.formats import hdf5_filters
from ckpt.formats.hdf5_index import Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from h5py.h5d import DatasetID
    from h5py.h5f import FileID
    from h5py.h5p import PropDCID

ALIGNED_FROM = 64 * 1024  # datasets of at least this many bytes ...
ALIGNMENT = 4096  # ... start at a multiple of this, as O_DIRECT and mmap want it

_PAGE = 64 * 1024
HDF5_MAX_RANK = 32


class Filtered(Protocol):
    """The values of a dataset that is compressed, chunk by chunk."""

    compression: str
    chunk: tuple[int, ...]

    def chunks(self, pipeline: Pipeline) -> Iterator[tuple[tuple[int, ...], bytes]]:
        """First index and stored bytes of each chunk, for the filters that HDF5 will find described."""
        ...

    def put(self, data: bytes, offset: int) -> None:
        """Write the stored bytes of the next chunk to where HDF5 expects them."""
        ...


def _nowhere(offset: int) -> None:
    """What is not to be placed."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset to be: `type` is what HDF5 shows; `notes` become string attributes; `content` is a table's.

    `place` is told the absolute offset of the values, 0 where there are none.
    """

    path: str
    type: np.dtype[Any]
    shape: tuple[int, ...]
    place: Callable[[int], None] = _nowhere
    notes: Mapping[str, str] = field(default_factory=dict)
    content: np.ndarray[Any, Any] | None = None
    filtered: Filtered | None = None


class SparseFile:
    """A file in memory that keeps only the pages written; the face that HDF5's file object driver wants.

    It never raises for what HDF5 asks: an exception inside that driver can kill the process.
    """

    def __init__(self) -> None:
        self.size = 0
        self._at = 0
        # bytes that somebody else keeps, and where HDF5 wants them
        self._foreign: bytes | None = None
        self._foreign_at: int | None = None
        self._pages: dict[int, bytearray] = {}

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to an offset; from the end for `whence` 2, as HDF5 asks the size."""
        self._at = self.size + offset if whence == 2 else offset
        return self._at

    def tell(self) -> int:
        """The offset of the next read or write."""
        return self._at

    def write(self, data: Any) -> int:
        """Keep the bytes at the current offset."""
        view = memoryview(data).cast("B")
        if self._foreign is not None and view == self._foreign:
            self._foreign_at, self._foreign = self._at, None
            self._at += len(view)
            self.size = max(self.size, self._at)
            return len(view)
        done = 0
        while done < len(view):
            number, start = divmod(self._at + done, _PAGE)
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = bytearray(_PAGE)
            piece = view[done : done + _PAGE - start]
            page[start : start + len(piece)] = piece
            done += len(piece)
        self._at += done
        self.size = max(self.size, self._at)
        return done

    def place_of(self, data: bytes, write: Callable[[], object]) -> int:
        """Where HDF5 puts `data` when `write` hands it over; the bytes are not kept here."""
        self._foreign, self._foreign_at = data, None
        write()
        if self._foreign_at is None:
            raise InternalError(None, None, "HDF5 did not write the chunk that it was given")
        return self._foreign_at

    def readinto(self, target: Any) -> int:
        """Fill `target`; what was never written is zero."""
        view = memoryview(target).cast("B")
        view[:] = self.bytes_at(self._at, len(view))
        self._at += len(view)
        return len(view)

    def bytes_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; what was never written is zero."""
        pieces = []
        while length:
            number, start = divmod(offset, _PAGE)
            count = min(length, _PAGE - start)
            page = self._pages.get(number)
            pieces.append(bytes(count) if page is None else bytes(page[start : start + count]))
            offset += count
            length -= count
        return b"".join(pieces)

    def truncate(self, size: int) -> int:
        """HDF5 sets the final length with this."""
        self.size = size
        return size

    def flush(self) -> None:
        """Nothing to do."""


def build(datasets: Iterable[Dataset], user_block: int) -> SparseFile:
    """The structure of a file that holds these datasets; each is told its offset before the next is asked for.

    Groups are made as paths need them. The work is done away from the main thread, where Python runs the handlers of
    signals: one that raises, as that of Ctrl-C does, inside HDF5's file driver would be lost or kill the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return _built(datasets, user_block)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_built, datasets, user_block).result()


def _built(datasets: Iterable[Dataset], user_block: int) -> SparseFile:
    file = SparseFile()
    try:
        handle = _create(file, user_block)
        try:
            maker = _Maker(file, handle)
            for dataset in datasets:
                dataset.place(maker.add(dataset))
        finally:
            handle.close()  # while `file` lives: HDF5 writes into it here
    except OpError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise InternalError(None, None, f"HDF5 cannot hold this checkpoint: {error}") from error
    return file


def _create(file: SparseFile, user_block: int) -> FileID:
    from h5py import h5f, h5fd, h5p

    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5fd.fileobj_driver, file)
    # a fixed version: readable by HDF5 1.10 and later, and the same bytes whatever HDF5 is installed
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    access.set_alignment(ALIGNED_FROM, ALIGNMENT)
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_userblock(user_block)
    creation.set_obj_track_times(False)  # of the root group
    return h5f.create(b"checkpoint", h5f.ACC_TRUNC, fcpl=creation, fapl=access)


class _Maker:
    """Adds datasets, and the groups above them, to a file that HDF5 has open."""

    def __init__(self, file: SparseFile, handle: FileID) -> None:
        from h5py import h5p, h5t

        self._file = file
        self._handle = handle
        self._groups = {""}
        self._contiguous = _dataset_creation()
        self._grouping = h5p.create(h5p.GROUP_CREATE)
        self._grouping.set_obj_track_times(False)
        self._linking = h5p.create(h5p.LINK_CREATE)
        self._linking.set_char_encoding(h5t.CSET_UTF8)

    def add(self, dataset: Dataset) -> int:
        """Make it and return the offset of its values."""
        from h5py import h5d, h5s, h5t

        self._add_groups(dataset.path.rpartition("/")[0])
        shape, notes = dataset.shape, dict(dataset.notes)
        if len(shape) > HDF5_MAX_RANK:
            notes["ckpt.shape"] = ",".join(map(str, shape))
            shape = (prod(shape),)
        space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
        kind = h5t.py_create(dataset.type, logical=True)
        creation = self._contiguous
        if dataset.filtered is not None:
            creation = _filtered_creation(dataset.filtered)
        made = h5d.create(self._handle, dataset.path.encode(), kind, space, creation, self._linking)
        for key, text in notes.items():
            _note(made, key, text)
        if dataset.filtered is not None:
            self._put_chunks(made, dataset.filtered, hdf5_filters.pipeline_of(creation))
            return 0
        if dataset.content is not None and dataset.content.size:
            made.write(h5s.ALL, h5s.ALL, dataset.content)
        return int(made.get_offset()) if prod(shape) else 0

    def _put_chunks(self, made: DatasetID, filtered: Filtered, pipeline: Pipeline) -> None:
        for place, data in filtered.chunks(pipeline):
            offset = self._file.place_of(data, partial(made.write_direct_chunk, place, data))
            filtered.put(data, offset)

    def _add_groups(self, path: str) -> None:
        """The groups of a path. HDF5 would make them too, but with the time of day in them."""
        from h5py import h5g

        missing = []
        while path not in self._groups:
            missing.append(path)
            self._groups.add(path)
            path = path.rpartition("/")[0]
        for group in reversed(missing):
            h5g.create(self._handle, group.encode(), lcpl=self._linking, gcpl=self._grouping)


def _dataset_creation() -> PropDCID:
    from h5py import h5d, h5p

    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_layout(h5d.CONTIGUOUS)
    creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    return creation


def _filtered_creation(filtered: Filtered) -> PropDCID:
    from h5py import h5d, h5p

    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(filtered.chunk)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    hdf5_filters.add_filters(creation, filtered.compression)
    return creation


def _note(made: DatasetID, key: str, text: str) -> None:
    from h5py import h5a, h5s, h5t

    value = np.array(text.encode(), dtype=f"S{max(len(text.encode()), 1)}")
    attribute = h5a.create(
        made, key.encode(), h5t.py_create(value.dtype, logical=True), h5s.create(h5s.SCALAR)
    )
    attribute.write(value)
