"""Readers as objects: `tf.TextLineReader` and its kin. Where they are belongs to a session."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckpt.core import dtypes
from ckpt.formats.record_files import TFRecordOptions
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.model.queues import QueueBase
from ckpt.ops import readers


class ReaderRead(NamedTuple):
    """A record: string scalars."""

    key: Tensor
    value: Tensor


class ReaderReadUpTo(NamedTuple):
    """Several records: strings [count]."""

    keys: Tensor
    values: Tensor


class ReaderBase:
    """What all readers do: they take names of files from a queue and give their records, a key and a value each."""

    def __init__(self, reader_ref: Tensor, supports_serialize: bool = False) -> None:
        self._reader_ref = reader_ref
        self._supports_serialize = supports_serialize

    @property
    def reader_ref(self) -> Tensor:
        """The handle of the reader."""
        return self._reader_ref

    @property
    def supports_serialize(self) -> bool:
        """Whether the reader's state can be kept and restored."""
        return self._supports_serialize

    def read(self, queue: Any, name: str | None = None) -> ReaderRead:
        """The next record, of the next file where one has ended; `queue` is a queue of strings, or its handle.

        Running it waits for names, and raises OutOfRangeError when the queue is closed and empty.
        """
        return ReaderRead(*readers.read_op(self._reader_ref, _handle(queue), name=name))

    def read_up_to(self, queue: Any, num_records: Any, name: str | None = None) -> ReaderReadUpTo:
        """Up to `num_records` records of one file, at least one.

        Running it waits for names, and raises OutOfRangeError when the queue is closed and empty.
        """
        count = convert.convert_to_tensor(num_records, dtypes.int64)
        return ReaderReadUpTo(
            *readers.read_up_to_op(self._reader_ref, _handle(queue), count, name=name)
        )

    def num_records_produced(self, name: str | None = None) -> Tensor:
        """How many records have been read, an int64."""
        found: Tensor = readers.num_records_produced(self._reader_ref, name=name)
        return found

    def num_work_units_completed(self, name: str | None = None) -> Tensor:
        """How many files have been read to their end, an int64."""
        found: Tensor = readers.num_work_units_completed(self._reader_ref, name=name)
        return found

    def serialize_state(self, name: str | None = None) -> Tensor:
        """The state of the reader as a string; running it is an UnimplementedError unless `supports_serialize`."""
        found: Tensor = readers.serialize_state(self._reader_ref, name=name)
        return found

    def restore_state(self, state: Any, name: str | None = None) -> Operation:
        """The operation that puts the reader where it was when `state` was made."""
        made: Operation = readers.restore_state(
            self._reader_ref, convert.convert_to_tensor(state, dtypes.string), name=name
        )
        return made

    def reset(self, name: str | None = None) -> Operation:
        """The operation that lets the reader begin anew."""
        made: Operation = readers.reset_op(self._reader_ref, name=name)
        return made


def _handle(queue: Any) -> Any:
    return queue.queue_ref if isinstance(queue, QueueBase) else queue


class TextLineReader(ReaderBase):
    """Reads the lines of text files; keys are `file:number` from 1. `skip_header_lines` of each file are left out."""

    def __init__(self, skip_header_lines: int | None = None, name: str | None = None) -> None:
        super().__init__(
            readers.text_line_reader(skip_header_lines=skip_header_lines or 0, name=name)
        )


class FixedLengthRecordReader(ReaderBase):
    """Reads records of `record_bytes` each between a header and a footer; keys are `file:number` from 0.

    A record begins `hop_bytes` behind the one before (its length when 0 or None). `encoding` is "GZIP", "ZLIB" or none.
    """

    def __init__(
        self, record_bytes: int, header_bytes: int | None = None, footer_bytes: int | None = None,
        hop_bytes: int | None = None, name: str | None = None, encoding: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            readers.fixed_length_record_reader(
                record_bytes=record_bytes, header_bytes=header_bytes or 0, footer_bytes=footer_bytes or 0,
                hop_bytes=hop_bytes or 0, encoding=encoding or "", name=name,
            )
        )  # fmt: skip


class TFRecordReader(ReaderBase):
    """Reads the records of TFRecord files; keys are `file:offset`. `options` is a TFRecordOptions, for the compression."""

    def __init__(self, name: str | None = None, options: Any = None) -> None:
        kind = TFRecordOptions.get_compression_type_string(options)
        super().__init__(readers.tf_record_reader(compression_type=kind, name=name))


class WholeFileReader(ReaderBase):
    """Reads whole files; keys are their names."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(readers.whole_file_reader(name=name), supports_serialize=True)


class IdentityReader(ReaderBase):
    """Gives the names in the queue as keys and values."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(readers.identity_reader(name=name), supports_serialize=True)
