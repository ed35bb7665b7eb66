"""TFRecord files: byte strings one after the other, each with checksums. Must not know what a record means.

Byte layout: docs/formats/tfrecord.md.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ckpt.core import file_systems
from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, FailedPreconditionError, InvalidArgumentError

if TYPE_CHECKING:
    from typing import Self

_LENGTH = struct.Struct("<Q")
_CHECK = struct.Struct("<I")
HEADER = _LENGTH.size + _CHECK.size
"""Bytes before a record: its length and the length's checksum."""
FOOTER = _CHECK.size
"""Bytes behind a record: its checksum."""
_MASK_DELTA = 0xA282EAD8  # Source: TensorFlow's documentation of TFRecord, "masked_crc"
_CHUNK = 1 << 20
MAX_EXPANSION = 200  # how much longer than its compressed file a record may be ...
_ALWAYS_ALLOWED = 1 << 30  # ... or so many bytes
COMPRESSIONS = ("", "GZIP", "ZLIB")
WINDOW = {"GZIP": 16, "ZLIB": 0}  # what zlib adds to the window size for the wrapper of RFC 1952


def masked_crc(data: bytes) -> int:
    """The CRC32C of `data`, turned and shifted so that a checksum of checksums stays one."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """The bytes that stand for `record` in an uncompressed file."""
    length = _LENGTH.pack(len(record))
    return b"".join(
        (length, _CHECK.pack(masked_crc(length)), record, _CHECK.pack(masked_crc(record)))
    )


class ByteSource(Protocol):
    """Bytes one after the other."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none only at the end."""


class Inflated:
    """The content of a compressed stream. A file may hold several streams one after the other."""

    def __init__(self, file: BinaryIO, path: str, window_bits: int) -> None:
        self._file = file
        self._path = path
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        self._pending = b""
        self._has_begun = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer only at the end. Raises DataLossError for damage."""
        parts: list[bytes] = []
        while size > 0:
            part = self._some(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes, or what is left."""
        while size > 0 and (part := self._some(min(size, _CHUNK))):
            size -= len(part)

    def _some(self, size: int) -> bytes:
        """Some of the next bytes, none only at the end."""
        while True:
            if self._stream.eof:
                self._pending = self._stream.unused_data
                self._stream = zlib.decompressobj(self._window_bits)
                self._has_begun = False
            data = self._pending or self._file.read(_CHUNK)
            if not data:
                if self._has_begun:
                    raise DataLossError(None, None, f"{self._path}: the compressed data ends early")
                return b""
            self._has_begun = True
            try:
                found = self._stream.decompress(data, size)
            except zlib.error as error:
                raise DataLossError(
                    None, None, f"{self._path}: the compressed data is damaged ({error})"
                ) from error
            self._pending = self._stream.unconsumed_tail
            if found:
                return found


def checked_compression(name: str) -> str:
    """The name, "" for none. Raises InvalidArgumentError for others."""
    if name in ("NONE", None):
        return ""
    if name not in COMPRESSIONS:
        raise InvalidArgumentError(
            None,
            None,
            f"Files of records are compressed by GZIP, ZLIB or not at all, not by {name!r}",
        )
    return name


def source_of(file: BinaryIO, path: str, compression: str, *, window_bits: int = 15) -> ByteSource:
    """The bytes of a file, or of what it holds compressed. Raises InvalidArgumentError for an unknown compression."""
    kind = checked_compression(compression)
    return Inflated(file, path, window_bits + WINDOW[kind]) if kind else file


def _left_in(file: BinaryIO) -> int:
    """Bytes from where an open file is read next to its end."""
    at = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(at)
    return max(end - at, 0)


class RecordReader:
    """Reads the records of one file in order; `offset` is where the next begins (in the uncompressed bytes).

    A record of a compressed file may take `max_expansion` times the bytes of that file, or 1 GiB if that is more.
    """

    def __init__(
        self,
        path: str,
        compression: str = "",
        *,
        window_bits: int = 15,
        max_expansion: int = MAX_EXPANSION,
    ) -> None:
        checked_compression(compression)
        self.path = path
        self.offset = 0
        self._file = file_systems.file_system(path).open(path, "rb")
        self._source = source_of(self._file, path, compression, window_bits=window_bits)
        self._longest: int | None = None
        if isinstance(self._source, Inflated):
            size = _left_in(self._file) if self._file.seekable() else 0
            self._longest = max(_ALWAYS_ALLOWED, max_expansion * size)

    def read(self) -> bytes | None:
        """The next record, None behind the last. Raises DataLossError for a damaged or truncated one."""
        header = self._bytes(HEADER)
        if not header:
            return None
        if len(header) < HEADER:
            raise self._damage("truncated record", f"{len(header)} of {HEADER} bytes of its header")
        (length,) = _LENGTH.unpack_from(header)
        if _CHECK.unpack_from(header, _LENGTH.size)[0] != masked_crc(header[: _LENGTH.size]):
            raise self._damage("corrupted record", "the checksum of its length is wrong")
        if self._longest is not None and length > self._longest:
            raise self._damage(
                "record too long",
                f"it claims {length} bytes, more than the {self._longest} that a compressed file of this size may hold; "
                "if they are there, read it with a larger max_expansion",
            )
        record = self._bytes(length)
        footer = self._bytes(FOOTER) if len(record) == length else b""
        if len(footer) < FOOTER:
            raise self._damage("truncated record", f"{len(record)} of {length} bytes are there")
        if _CHECK.unpack(footer)[0] != masked_crc(record):
            raise self._damage("corrupted record", f"the checksum of its {length} bytes is wrong")
        self.offset += HEADER + length + FOOTER
        return record

    def seek(self, offset: int) -> None:
        """Have the record that begins at `offset` (in the uncompressed bytes) come next, before anything was read."""
        if isinstance(self._source, Inflated):
            self._source.skip(offset)
        else:
            self._file.seek(offset)
        self.offset = offset

    def _bytes(self, length: int) -> bytes:
        """`length` bytes, or what is left; memory grows with what is there, not with what a header claims."""
        if length <= _CHUNK:
            return self._source.read(length)
        if self._longest is None and self._file.seekable():  # then it is known what is there
            return self._source.read(min(length, _left_in(self._file)))
        parts: list[bytes] = []
        while length:
            part = self._source.read(min(length, _CHUNK))
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _damage(self, what: str, found: str) -> DataLossError:
        return DataLossError(None, None, f"{self.path}: {what} at {self.offset}: {found}")

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        while (record := self.read()) is not None:
            yield record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RecordWriter:
    """Writes records to a file that it makes anew; what `flush` has returned from can be read by others.

    With a `flush_mode`, zlib's number, a compressed stream is flushed so by `flush`, and every `input_buffer` bytes.
    """

    def __init__(
        self,
        path: str,
        compression: str = "",
        *,
        level: int = -1,
        window_bits: int = 15,
        memory_level: int = 8,
        strategy: int = 0,
        flush_mode: int = zlib.Z_NO_FLUSH,
        input_buffer: int = 1 << 18,
    ) -> None:
        kind = checked_compression(compression)
        self.path = path
        self._flush_mode = flush_mode
        self._input_buffer = input_buffer
        self._unflushed = 0
        self._stream = (
            zlib.compressobj(
                level, zlib.DEFLATED, window_bits + WINDOW[kind], memory_level, strategy
            )
            if kind
            else None
        )
        self._file: BinaryIO | None = file_systems.file_system(path).open(path, "wb")

    def write(self, record: bytes) -> None:
        """Append one record. Raises FailedPreconditionError when closed."""
        file = self._opened()
        data = framed(record)
        with file_systems.typed(self.path, "writing"):
            file.write(data if self._stream is None else self._compressed(self._stream, data))

    def _compressed(self, stream: zlib._Compress, data: bytes) -> bytes:
        """The next compressed bytes; with a flush mode, what came before is flushed once the input buffer is full."""
        before = b""
        if self._flush_mode != zlib.Z_NO_FLUSH:
            if self._unflushed and self._unflushed + len(data) > self._input_buffer:
                before = stream.flush(self._flush_mode)
                self._unflushed = 0
            self._unflushed += len(data)
        return before + stream.compress(data)

    def flush(self) -> None:
        """Hand over to the file system what was written; a compressed stream keeps its last block unless flush_mode says
        otherwise. Raises FailedPreconditionError when closed."""
        file = self._opened()
        with file_systems.typed(self.path, "writing"):
            if self._stream is not None and self._flush_mode != zlib.Z_NO_FLUSH:
                file.write(self._stream.flush(self._flush_mode))
            file.flush()

    def close(self) -> None:
        """End the file; closing twice is allowed."""
        file, self._file = self._file, None
        if file is None:
            return
        with file_systems.typed(self.path, "writing"), file:
            if self._stream is not None:
                file.write(self._stream.flush())

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise FailedPreconditionError(None, None, f"{self.path}: Writer is closed")
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
