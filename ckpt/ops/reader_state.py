"""Readers of files whose names come from a queue: where each one is, and what it has read. Must not know nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from ckpt.core import file_systems
from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.core.texts import text_of
from ckpt.formats import tfrecord

Wait = Callable[[threading.Condition], None]
Record = tuple[bytes, bytes]
"""The key, which names file and place, and the value."""

_CHUNK = 1 << 16


class Source(Protocol):
    """The records of one file."""

    def read(self) -> Record | None:
        """The next record, None behind the last."""

    def close(self) -> None:
        """Close the file."""


def _opened(path: bytes) -> tuple[str, BinaryIO]:
    name = text_of(path)
    return name, file_systems.file_system(name).open(name, "rb")


class Lines:
    """The lines of a text file without their ends (a carriage return belongs to it); keys count them from 1."""

    def __init__(self, path: bytes, skipped: int) -> None:
        self._path = path
        self._name, self._file = _opened(path)
        self._number = 0
        for _ in range(skipped):
            if self.read() is None:
                break

    def read(self) -> Record | None:
        """The next line."""
        with file_systems.typed(self._name, "reading"):
            line = self._file.readline()
        if not line:
            return None
        self._number += 1
        return b"%s:%d" % (self._path, self._number), line.removesuffix(b"\n").removesuffix(b"\r")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FixedLength:
    """Records of one length between a header and a footer, each `hop` bytes behind the one before; keys count from 0."""

    def __init__(
        self, path: bytes, header: int, record: int, footer: int, hop: int, encoding: str
    ) -> None:
        self._path = path
        self._name, self._file = _opened(path)
        self._bytes = tfrecord.source_of(self._file, self._name, encoding)
        self._record = record
        self._footer = footer
        self._hop = hop or record
        self._held = b""
        self._at = 0
        self._number = 0
        self._skip(header)

    def read(self) -> Record | None:
        """The next record; there is none where less than it and the footer is left."""
        if not self._holds(self._record + self._footer):
            return None
        value = self._held[self._at : self._at + self._record]
        key = b"%s:%d" % (self._path, self._number)
        self._number += 1
        self._skip(self._hop)
        return key, value

    def _skip(self, count: int) -> None:
        while count and self._holds(1):
            step = min(count, len(self._held) - self._at)
            self._at += step
            count -= step

    def _holds(self, count: int) -> bool:
        """True when the next `count` bytes are in memory; what is there before is forgotten."""
        if len(self._held) - self._at < count:
            with file_systems.typed(self._name, "reading"):
                parts, missing = [self._held[self._at :]], count - (len(self._held) - self._at)
                while missing > 0:
                    part = self._bytes.read(max(_CHUNK, min(missing, 16 * _CHUNK)))
                    if not part:
                        break
                    parts.append(part)
                    missing -= len(part)
            self._held, self._at = b"".join(parts), 0
        return len(self._held) - self._at >= count

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Records:
    """The records of a TFRecord file; keys are where they begin in the uncompressed bytes."""

    def __init__(self, path: bytes, compression: str) -> None:
        self._path = path
        name = text_of(path)
        self._reader = tfrecord.RecordReader(name, compression)

    def read(self) -> Record | None:
        """The next record. Raises DataLossError for a damaged one."""
        key = b"%s:%d" % (self._path, self._reader.offset)
        with file_systems.typed(self._reader.path, "reading"):
            value = self._reader.read()
        return None if value is None else (key, value)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class Once:
    """One record made of the name of a file."""

    def __init__(self, path: bytes, value_of: Callable[[bytes], bytes]) -> None:
        self._path = path
        self._value_of = value_of

    def read(self) -> Record | None:
        """The record."""
        return self._path, self._value_of(self._path)

    def close(self) -> None:
        """Nothing to close."""


class _Failed:
    """What is left of a file that could not be read further."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self) -> Record | None:
        """Raise what went wrong."""
        raise self._error

    def close(self) -> None:
        """Nothing to close."""


class Reader:
    """Reads one file after the other, by one thread at a time."""

    def __init__(
        self, kind: str, name: str, opened: Callable[[bytes], Source], is_once: bool
    ) -> None:
        self.kind = kind
        self.name = name
        self.is_once = is_once  # one record a file, which is finished with it
        self.started = self.finished = self.produced = 0
        self.work = b""
        self._open = opened
        self._source: Source | None = None
        self._changed = threading.Condition()
        self._is_busy = self._is_over = False

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"

    @contextmanager
    def alone(self, wait: Wait):
        """Nobody else uses the reader in the block; waits for who does."""
        with self._changed:
            while self._is_busy:
                wait(self._changed)
            self._is_busy = True
        try:
            yield self
        finally:
            with self._changed:
                self._is_busy = False
                if self._is_over:
                    self._let_go()
                self._changed.notify_all()

    def end_of_session(self) -> None:
        """Let all who wait ask whether they still may, and close the file, at once or when who reads it has ended."""
        with self._changed:
            self._is_over = True
            if not self._is_busy:
                self._let_go()
            self._changed.notify_all()

    def _let_go(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def read(self, count: int, next_work: Callable[[], bytes]) -> list[Record]:
        """Up to `count` records of one file, at least one; `next_work` gives the name of the next file.

        What `next_work` raises ends it: that there is no more, as a rule.
        """
        if count <= 0:
            raise InvalidArgumentError(None, None, f"num_records must be positive, got {count}")
        found: list[Record] = []
        while not found:
            if self._source is None:
                self._start(next_work)
            while len(found) < count and self._source is not None:
                try:
                    record = self._source.read()
                except Exception as error:
                    source, self._source = self._source, None
                    source.close()
                    if found:  # they come first
                        self._source = _Failed(error)
                        break
                    self.finished += 1  # the next read takes the next file
                    raise
                if record is not None:
                    found.append(record)
                if record is None or self.is_once:
                    self._finish()
        self.produced += len(found)
        return found

    def _start(self, next_work: Callable[[], bytes]) -> None:
        if self.started == self.finished:
            self.work = b""  # should there be no more
            self.work = next_work()
            self.started += 1
        try:
            self._source = self._open(self.work)
        except Exception:
            self.finished += 1  # the next read takes the next file
            raise

    def _finish(self) -> None:
        self._let_go()
        self.finished += 1

    def reset(self) -> None:
        """Begin anew."""
        self._let_go()
        self.started = self.finished = self.produced = 0
        self.work = b""

    def check_has_state(self, doing: str) -> None:
        """Raise UnimplementedError for readers that are inside a file."""
        if not self.is_once:
            raise UnimplementedError(
                None, None, f"Reader {doing}: {self} is inside a file, which has no state that can be kept"
            )  # fmt: skip
