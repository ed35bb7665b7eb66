"""Files in remote stores, through fsspec: put whole, read by ranges. Must not know any format.

A store need not rename. Stores whose PUT is all or nothing (object stores: S3, GCS, Azure, `memory://`) get every file by
one PUT, or by a multipart upload that its last request commits; any other store gets it under a unique name beside
the target first and then moves it. Writers of several files put the one that names the others last, and a mark before
them all, by which the next writer finds what a dead process left.
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ckpt.core import atomic, local_files, system, temporaries
from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    PermissionDeniedError,
    UnavailableError,
    UnimplementedError,
    from_os_error,
)
from ckpt.core.input_file import check_range, whole
from ckpt.core.system import Buffer

if TYPE_CHECKING:
    from typing import Self

# stores that show an object only when all of it has arrived, by fsspec's names
_WHOLE_OBJECTS = {"memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci"}
_ONE_REQUEST = 8 * 1024 * 1024  # bytes up to which a file is put by one request
_AHEAD = 8 * 1024 * 1024  # bytes fetched at once when reads follow each other
_HEAD = 8 * 1024  # bytes fetched on opening, which hold the header of any format
_CHUNKS = 8  # fetched pieces that are kept
_LONGEST_NAME = 4096  # bytes of a mark
_END = b"\n"  # of a mark
_CHAIN = "::"  # between fsspec's chained URLs
_LARGEST_INDEX = 64 * 1024 * 1024  # bytes of a file that names others


class Upload:
    """A context manager: the file is gathered in a local temporary file and put whole at the end.

    With a `token`, other files whose names hold it belong to this one: until it is there, a mark in the store says so.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.path = url
        self._store, self._name = store_of(url)
        self._is_whole = not _WHOLE_OBJECTS.isdisjoint(_protocols(self._store))
        self._mark = marked(url, token) if token else nullcontext()
        self._temporary = ""
        self._fd = -1
        self._length = 0

    def __enter__(self) -> Self:
        if not self._is_whole:
            sweep(self.path.rpartition("/")[0])
        self._mark.__enter__()
        try:
            with system.typed(self.path, "creating a temporary file for the upload"):
                self._fd, self._temporary = tempfile.mkstemp(prefix="ckpt-upload-")
                self._forget_name()
        except BaseException as error:
            self._mark.__exit__(type(error), error, None)
            raise
        return self

    def _forget_name(self) -> None:
        """Where an open file can be opened again without its name, it goes with this process, however that ends."""
        nameless = f"/proc/self/fd/{self._fd}"
        if os.path.exists(nameless):
            os.unlink(self._temporary)
            self._temporary = nameless

    def reserve(self, length: int) -> None:
        """Raise ResourceExhaustedError when the local temporary file has no room for `length` bytes."""
        local_files.check_room(self.path, tempfile.gettempdir(), length)

    def write(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset` of the temporary file."""
        atomic.write_at(self.path, self._fd, data, offset)
        self._length = max(self._length, offset + memoryview(data).nbytes)

    def write_each(self, pieces: Sequence[Any], offset: int, length: int) -> None:
        """Write at most 1,024 pieces, of `length` bytes together, one after the other from `offset`."""
        atomic.write_each_at(self.path, self._fd, pieces, offset, length)
        self._length = max(self._length, offset + length)

    def open_direct(self, length: int) -> bool:
        """False: the temporary file is read again at once."""
        return False

    def write_direct(self, data: memoryview, offset: int) -> None:
        """The same as `write`."""
        self.write(data, offset)

    def truncate(self, length: int) -> None:
        """Make the file exactly `length` bytes long."""
        with system.typed(self.path, "setting the length"):
            system.again(system.files.ftruncate, self._fd, length)
        self._length = length

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._put()
        except BaseException as failure:
            self._mark.__exit__(type(failure), failure, failure.__traceback__)
            raise
        else:
            self._mark.__exit__(kind, error, trace)
        finally:
            with suppress(OSError):
                os.close(self._fd)
            with suppress(OSError):
                os.unlink(self._temporary)

    def _put(self) -> None:
        if self._is_whole:
            self._put_as(self._name)
        else:
            self._put_beside()
        with typed(self.path, "checking what was uploaded"):
            length = self._store.info(self._name)["size"]
        if length != self._length:
            raise DataLossError(
                None, None, f"{self.path}: put {self._length} bytes, the store holds {length}"
            )

    def _put_beside(self) -> None:
        name = temporaries.temporary_name(temporaries.new_token())
        beside = f"{self._name.rpartition('/')[0]}/{name}"
        with temporaries.owned(name):
            try:
                self._put_as(beside)
                with typed(self.path, "moving the uploaded file to it"):
                    self._store.mv(beside, self._name)
            except OpError:
                with suppress(Exception):
                    self._store.rm_file(beside)
                raise

    def _put_as(self, name: str) -> None:
        with typed(self.path, "uploading"):
            if self._length <= _ONE_REQUEST:
                self._store.pipe_file(name, os.pread(self._fd, self._length, 0))
            else:
                self._store.put_file(self._temporary, name)


class Download:
    """A remote file read by ranges; reads that follow each other fetch ahead. Threads may share it."""

    def __init__(self, url: str) -> None:
        self.path = url
        self._store, self._name = store_of(url)
        with typed(url, "opening"):
            found = self._store.info(self._name)
        if found["type"] != "file":
            raise FailedPreconditionError(
                None, None, f"{url}: expected a file, found a {found['type']}"
            )
        self.size: int = found["size"]
        self._lock = Lock()
        self._chunks: OrderedDict[int, bytes] = OrderedDict()
        self._ends: OrderedDict[int, None] = OrderedDict()  # where recent reads ended
        self._head = self._fetch(0, min(_HEAD, self.size)) if self.size else b""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Raises DataLossError when the file does not hold them."""
        check_range(self, offset, length)
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        with self._lock:
            found = self._remembered(offset, length)
            follows = offset in self._ends
            self._ends[offset + length] = None
            if len(self._ends) > 64:
                self._ends.popitem(last=False)
        if found is not None:
            return found
        ahead = min(max(length, _AHEAD), self.size - offset) if follows else length
        data = self._fetch(offset, ahead)
        if ahead > length:
            with self._lock:
                self._chunks[offset] = data
                if len(self._chunks) > _CHUNKS:
                    self._chunks.popitem(last=False)
        return data[:length]

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises DataLossError when the file does not hold that many bytes."""
        view[:] = self.read(offset, len(view))

    def read_into_each(self, buffers: Sequence[Any], offset: int, length: int) -> None:
        """Fill buffers, of `length` bytes together, one after the other from `offset`. Raises DataLossError."""
        data = memoryview(self.read(offset, length))
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            view[:], data = data[: len(view)], data[len(view) :]

    def map(self) -> None:
        """None: a remote file is no memory."""

    def _remembered(self, offset: int, length: int) -> bytes | None:
        for start, data in self._chunks.items():
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        return None

    def _fetch(self, offset: int, length: int) -> bytes:
        with typed(self.path, "reading"):
            data: bytes = self._store.cat_file(self._name, start=offset, end=offset + length)
        if len(data) != length:
            # the file was long enough when it was opened: this says nothing about its content
            raise UnavailableError(
                None,
                None,
                f"{self.path}: asked for {length} bytes from {offset}, got {len(data)}; the connection was cut, or "
                "the file was replaced while it was read; try again",
            )
        return data

    def close(self) -> None:
        """Forget what was fetched; closing twice is allowed."""
        with self._lock:
            self._chunks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exists(url: str) -> bool:
    """True when there is a file or anything below this name."""
    store, name = store_of(url)
    with typed(url, "looking for it"):
        return bool(store.exists(name))


def is_file(url: str) -> bool:
    """True when there is a file of this name."""
    return _type(url) == "file"


def is_directory(url: str) -> bool:
    """True when anything lies below this name."""
    return _type(url) == "directory"


def _type(url: str) -> str:
    store, name = store_of(url)
    try:
        with typed(url, "looking for it"):
            return str(store.info(name)["type"])
    except NotFoundError:
        return ""


def names_in(url: str) -> list[str]:
    """The names directly below this one, sorted. Raises NotFoundError when there are none."""
    store, name = store_of(url)
    with typed(url, "listing"):
        found = store.ls(name, detail=False)
    return sorted({entry.rstrip("/").rpartition("/")[2] for entry in found})


def modified(url: str) -> float:
    """When the file was last written, in seconds since the epoch. Raises NotFoundError."""
    store, name = store_of(url)
    with typed(url, "reading its time"):
        found: datetime = store.modified(name)
    return found.timestamp()


def remove_file(url: str) -> None:
    """Remove a file; one that is not there is no error."""
    store, name = store_of(url)
    with suppress(NotFoundError), typed(url, "deleting"):
        store.rm_file(name)


@contextmanager
def marked(url: str, token: str) -> Iterator[None]:
    """Have a mark beside `url` while files whose names hold `token`, and that `url` names, are put or removed.

    The mark says which file that is, so that `sweep` can tell whether they are part of something whole.
    """
    directory, _, target = url.rpartition("/")
    name = temporaries.temporary_name(token)
    mark = f"{directory}/{name}"
    store, path = store_of(mark)
    try:
        with temporaries.owned(name):
            with typed(url, "putting a mark beside it"):
                store.pipe_file(path, target.encode() + _END)
            yield
    except BaseException:
        sweep(directory)  # which takes this mark, and what belongs to it, for abandoned now
        raise
    with suppress(OpError):  # the next sweep removes it
        remove_file(mark)


def sweep(directory: str) -> None:
    """Remove the marks and temporaries in `directory` whose writers are dead, and what belongs to them. Never raises."""
    with suppress(OpError):
        names = names_in(directory)
        for name in names:
            mark = temporaries.TEMPORARY.fullmatch(name)
            path = f"{directory}/{name}"
            if mark and temporaries.is_abandoned(mark, path, modified):
                belonging = [other for other in names if f".{mark[3]}-" in other]
                if belonging and not _is_committed(directory, name, mark[3]):
                    for other in belonging:
                        remove_file(f"{directory}/{other}")
                remove_file(path)


def _is_committed(directory: str, mark: str, token: str) -> bool:
    """Whether the file that a mark tells of is there and names files with this token. Raises OpError where nobody can tell."""
    with Download(f"{directory}/{mark}") as file:
        told = whole(file, _LONGEST_NAME)
    if not told.endswith(_END):
        return True  # the writer died while it put the mark: it had not touched any file yet
    target = told.removesuffix(_END).decode("utf-8", "replace")
    try:
        with Download(f"{directory}/{target}") as file:
            return token.encode() in whole(file, _LARGEST_INDEX)
    except NotFoundError:
        return False


def tokens_in(directory: str) -> set[str]:
    """The tokens of the marks and temporaries below this name."""
    return {
        match[3] for match in map(temporaries.TEMPORARY.fullmatch, names_in(directory)) if match
    }


def move_file(source: str, target: str) -> None:
    """Rename a file within one store."""
    store, name = store_of(target)
    with typed(target, f"moving {source} to it"):
        store.mv(store_of(source)[1], name)


def make_directory(url: str) -> None:
    """Make a directory and those above it, in stores that have directories."""
    store, name = store_of(url)
    if _WHOLE_OBJECTS.isdisjoint(_protocols(store)):
        with typed(url, "making the directory"):
            store.makedirs(name, exist_ok=True)


def store_of(url: str) -> tuple[Any, str]:
    """fsspec's file system for `url` and the name in it; listings are never answered from a cache."""
    scheme = url.partition("://")[0]
    if _CHAIN in url:
        raise InvalidArgumentError(
            None,
            None,
            f"{url}: fsspec takes `::` for a chain of file systems, and would leave out what follows; give another name",
        )
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UnimplementedError(
            None,
            None,
            f"{url}: remote files need the package fsspec: pip install 'ckpt[remote]'",
        ) from error
    with typed(url, "reaching the store"):
        try:
            store, name = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            # a package is missing, or nobody knows the scheme
            raise UnimplementedError(
                None, None, f"{url}: fsspec cannot open {scheme}:// here: {error}"
            ) from error
    return store, name


def _protocols(store: Any) -> set[str]:
    return {store.protocol} if isinstance(store.protocol, str) else set(store.protocol)


@contextmanager
def typed(url: str, doing: str) -> Iterator[None]:
    """Failures of a store as members of the OpError family that name the URL."""
    try:
        yield
    except OpError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(
            None, None, f"{url}: {doing} failed: no such file, directory or bucket"
        ) from error
    except PermissionError as error:
        raise PermissionDeniedError(None, None, f"{url}: {doing} failed: {error}") from error
    except (ConnectionError, TimeoutError) as error:
        raise UnavailableError(
            None, None, f"{url}: {doing} failed: {error or type(error).__name__}; try again"
        ) from error
    except OSError as error:
        raise from_os_error(error, url, doing) from error
    except Exception as error:
        text = f"{url}: {doing} failed: {type(error).__name__}: {error}"
        raise UnavailableError(None, None, text) from error
