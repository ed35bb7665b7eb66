"""Readers: operations that read the records of files, whose names they take from a queue."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes, file_systems
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.texts import text_of
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops.reader_state import FixedLength, Lines, Once, Reader, Records

PLACE = {"container": "", "shared_name": ""}
NO_GRADIENT = "what is read from files has no derivative"


def _reader(ctx, container, shared_name, kind, opened, is_once=False):
    name = shared_name or ctx.node.name
    return ctx.resource("reader", container, name, lambda: Reader(kind, name, opened, is_once))


@op("TextLineReaderV2", "-> reader_handle: resource", skip_header_lines=0, **PLACE)
def text_line_reader(ctx, *, skip_header_lines, container, shared_name):
    """Reads lines, without the first `skip_header_lines` of each file."""
    return _reader(
        ctx, container, shared_name, "TextLineReader", lambda path: Lines(path, skip_header_lines)
    )


@op(
    "FixedLengthRecordReaderV2", "-> reader_handle: resource", header_bytes=0, record_bytes=Attr("int"),
    footer_bytes=0, hop_bytes=0, **PLACE, encoding="",
)  # fmt: skip
def fixed_length_record_reader(
    ctx, *, header_bytes, record_bytes, footer_bytes, hop_bytes, container, shared_name, encoding
):
    """Reads records of `record_bytes`, each `hop_bytes` (0: its length) behind the one before."""
    sizes = {
        "header_bytes": header_bytes,
        "footer_bytes": footer_bytes,
        "hop_bytes": hop_bytes,
    }
    wrong = [f"{name} must be >= 0 not {size}" for name, size in sizes.items() if size < 0]
    if record_bytes <= 0:
        wrong.append(f"record_bytes must be > 0 not {record_bytes}")
    if wrong:
        raise InvalidArgumentError(None, None, "; ".join(wrong))
    return _reader(
        ctx, container, shared_name, "FixedLengthRecordReader",
        lambda path: FixedLength(path, header_bytes, record_bytes, footer_bytes, hop_bytes, encoding),
    )  # fmt: skip


@op("TFRecordReaderV2", "-> reader_handle: resource", **PLACE, compression_type="")
def tf_record_reader(ctx, *, container, shared_name, compression_type):
    """Reads the records of TFRecord files."""
    return _reader(
        ctx, container, shared_name, "TFRecordReader", lambda path: Records(path, compression_type)
    )


@op("IdentityReaderV2", "-> reader_handle: resource", **PLACE)
def identity_reader(ctx, *, container, shared_name):
    """Gives the names themselves."""
    return _reader(
        ctx, container, shared_name, "IdentityReader", lambda path: Once(path, lambda name: name), True
    )  # fmt: skip


@op("WholeFileReaderV2", "-> reader_handle: resource", **PLACE)
def whole_file_reader(ctx, *, container, shared_name):
    """Gives all bytes of each file."""
    return _reader(
        ctx, container, shared_name, "WholeFileReader", lambda path: Once(path, _whole), True
    )


def _whole(path):
    name = text_of(path)
    with (
        file_systems.file_system(name).open(name, "rb") as file,
        file_systems.typed(name, "reading"),
    ):
        return file.read()


def _next_work(ctx, queue):
    """Takes the next name from the queue."""
    if queue.promise.dtypes != [dtypes.string]:
        found = ", ".join(dtype.name for dtype in queue.promise.dtypes)
        raise InvalidArgumentError(
            None, None, f"A reader takes names from a queue of single strings, {queue} holds ({found})"
        )  # fmt: skip

    def take():
        (name,) = queue.take(1, False, ctx.wait)[0]
        if np.size(name) != 1:
            raise InvalidArgumentError(
                None, None, f"{queue} gave {np.size(name)} names where a reader takes one"
            )
        return np.asarray(name, object).reshape(()).item()

    return take


QUEUED = "reader_handle: resource, queue_handle: resource"


@op("ReaderReadV2", f"{QUEUED} -> key: string, value: string")
def read_op(ctx, reader, queue):
    """The next record, of the next file where this one has ended. Waits for names; raises OutOfRangeError behind the last."""
    with reader.alone(ctx.wait):
        return reader.read(1, _next_work(ctx, queue))[0]


@op("ReaderReadUpToV2", f"{QUEUED}, num_records: int64 -> keys: string, values: string")
def read_up_to_op(ctx, reader, queue, num_records):
    """Up to `num_records` records of one file, at least one. Waits for names; raises OutOfRangeError behind the last."""
    with reader.alone(ctx.wait):
        records = reader.read(int(num_records), _next_work(ctx, queue))
    columns = np.empty((2, len(records)), object)
    columns[0, :], columns[1, :] = zip(*records, strict=True)
    return columns[0], columns[1]


@op("ReaderNumRecordsProducedV2", "reader_handle: resource -> records_produced: int64")
def num_records_produced(ctx, reader):
    """How many records the reader has given."""
    with reader.alone(ctx.wait):
        return np.int64(reader.produced)


@op("ReaderNumWorkUnitsCompletedV2", "reader_handle: resource -> units_completed: int64")
def num_work_units_completed(ctx, reader):
    """How many files the reader has come to the end of."""
    with reader.alone(ctx.wait):
        return np.int64(reader.finished)


@op("ReaderSerializeStateV2", "reader_handle: resource -> state: string")
def serialize_state(ctx, reader):
    """Where the reader is, as a ReaderBaseState message. Raises UnimplementedError for readers that are inside a file."""
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    reader.check_has_state("SerializeState")
    with reader.alone(ctx.wait):
        message = messages.ReaderBaseState(
            work_started=reader.started, work_finished=reader.finished,
            num_records_produced=reader.produced,
            current_work=reader.work,
        )  # fmt: skip
        return message.SerializeToString()


@op("ReaderRestoreStateV2", "reader_handle: resource, state: string ->")
def restore_state(ctx, reader, state):
    """Put the reader where it was. Raises InvalidArgumentError for bytes that are no state of it."""
    from google.protobuf.message import DecodeError  # as above

    from ckpt.wire import messages

    reader.check_has_state("RestoreState")
    data = state.item() if isinstance(state, np.ndarray) else state
    try:
        message = messages.ReaderBaseState.FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(
            None, None, f"Could not parse state for {reader}: {data!r}"
        ) from error
    started, finished = message.work_started, message.work_finished
    if not 0 <= finished <= started <= finished + 1 or message.num_records_produced < 0:
        raise InvalidArgumentError(
            None, None,
            f"Impossible state for {reader}: {started} files begun, {finished} ended, "
            f"{message.num_records_produced} records",
        )  # fmt: skip
    with reader.alone(ctx.wait):
        reader.reset()
        reader.started, reader.finished = started, finished
        reader.produced, reader.work = message.num_records_produced, message.current_work
    return ()


@op("ReaderResetV2", "reader_handle: resource ->")
def reset_op(ctx, reader):
    """Let the reader begin anew, with the next name of its queue."""
    with reader.alone(ctx.wait):
        reader.reset()
    return ()


MAKERS = (
    text_line_reader, fixed_length_record_reader, tf_record_reader, identity_reader, whole_file_reader,
)  # fmt: skip
for _opdef in MAKERS:
    _opdef.shape(lambda: [()])
    _opdef.no_gradient(NO_GRADIENT)
for _opdef in (num_records_produced, num_work_units_completed, serialize_state):
    _opdef.shape(lambda reader: [()])
    _opdef.waits().no_gradient(NO_GRADIENT)
for _opdef in (restore_state, reset_op):
    _opdef.shape(lambda *inputs: [])
    _opdef.waits().no_gradient(NO_GRADIENT)
for _opdef in (*MAKERS, read_op, read_up_to_op):
    if _opdef is not identity_reader:
        _opdef.reads_files()  # which ones, their queue says
read_op.shape(lambda reader, queue: [(), ()])
read_op.waits().no_gradient(NO_GRADIENT)
read_up_to_op.shape(lambda reader, queue, num_records: [(None,), (None,)])
read_up_to_op.waits().no_gradient(NO_GRADIENT)
