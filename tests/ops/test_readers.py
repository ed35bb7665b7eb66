"""Readers: rows over a file of the repository, and files of every shape; what TensorFlow 2.21 gives was asked of it."""

import gzip
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import (
    CancelledError,
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    UnimplementedError,
)
from ckpt.formats.tfrecord import framed
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from ckpt.ops.reader_state import FixedLength
from tests.conformance.ops import case, conformance

VOCABULARY = str(Path(__file__).parent / "vocabulary.txt")
CONTENT = Path(VOCABULARY).read_bytes()
LINES = CONTENT.decode().splitlines()


def strings(*values):
    return np.array([v if isinstance(v, bytes) else v.encode() for v in values], object)


def read(kind, count, *names, **attrs):
    """What a reader gives of the files `names`, which each run puts into its queue anew."""
    queue = OPS["FIFOQueueV2"](component_types=[tf.string], shapes=[[]], capacity=10)
    reader = OPS[kind](**attrs)
    names = strings(*names)
    with get_default_graph().control_dependencies([OPS["QueueEnqueueManyV2"](queue, [names])]):
        if count is None:
            return OPS["ReaderReadV2"](reader, queue)
        return OPS["ReaderReadUpToV2"](reader, queue, np.int64(count))


def lines_of(*names):
    return read("TextLineReaderV2", 100, *names, skip_header_lines=1)


def pieces_of(*names):
    return read(
        "FixedLengthRecordReaderV2",
        100,
        *names,
        record_bytes=4,
        header_bytes=1,
        footer_bytes=1,
        hop_bytes=5,
    )


def whole(*names):
    return read("WholeFileReaderV2", None, *names)


def same(*names):
    return read("IdentityReaderV2", None, *names)


def counts(*names):
    queue = OPS["FIFOQueueV2"](component_types=[tf.string], shapes=[[]], capacity=10)
    reader = OPS["IdentityReaderV2"]()
    with get_default_graph().control_dependencies(
        [OPS["QueueEnqueueManyV2"](queue, [strings(*names)])]
    ):
        key, _ = OPS["ReaderReadV2"](reader, queue)
    with get_default_graph().control_dependencies([key]):
        state = OPS["ReaderSerializeStateV2"](reader)
    with get_default_graph().control_dependencies([state]):
        reset = OPS["ReaderResetV2"](reader)
    with get_default_graph().control_dependencies([reset]):
        back = OPS["ReaderRestoreStateV2"](reader, state)
    with get_default_graph().control_dependencies([back]):
        found = (
            OPS["ReaderNumRecordsProducedV2"](reader),
            OPS["ReaderNumWorkUnitsCompletedV2"](reader),
        )
    with get_default_graph().control_dependencies(list(found)):
        last = OPS["ReaderResetV2"](reader)
    with get_default_graph().control_dependencies([last]):
        return (state, *map(tf.identity, found))


def records(path):
    return read("TFRecordReaderV2", 9, path)


def records_written(data):
    """The values of a TFRecord file that holds `data`."""
    path = str(Path(tempfile.gettempdir()) / f"ckpt-records-{os.getpid()}")
    with get_default_graph().control_dependencies([tf.write_file(path, data)]):
        return read("TFRecordReaderV2", 9, path)[1]


PIECES = [CONTENT[i : i + 4] for i in range(1, len(CONTENT) - 4, 5)]

TestReaders = conformance([
    case(lines_of, VOCABULARY, expect=(
        strings(*(f"{VOCABULARY}:{i + 1}" for i in range(1, len(LINES)))), strings(*LINES[1:])), grad=0),
    case(pieces_of, VOCABULARY, expect=(
        strings(*(f"{VOCABULARY}:{i}" for i in range(len(PIECES)))), strings(*PIECES)), grad=0),
    case(whole, VOCABULARY, expect=(strings(VOCABULARY)[0], strings(CONTENT)[0]), grad=0),
    case(same, "a", expect=(strings("a")[0], strings("a")[0]), grad=0),
    case(counts, "a", expect=(strings(b'\x08\x01\x10\x01\x18\x01"\x01a')[0], np.int64(1), np.int64(1)), grad=0),
    case(records_written, strings(framed(b"x") + framed(b"yy"))[0], expect=strings("x", "yy"), grad=0),
    case(records, VOCABULARY, raises=DataLossError, match="corrupted record at 0"),
    case(whole, VOCABULARY + "x", raises=NotFoundError, match="vocabulary.txtx"),
])  # fmt: skip


class Files:
    """A reader in a session whose queue holds these files and is closed."""

    def __init__(self, reader, *names, closed=True):
        self.reader = reader
        self.queue = tf.FIFOQueue(20, tf.string, shapes=[()], name="q")
        self.record = reader.read(self.queue)
        self.session = tf.Session()
        self.session.run(self.queue.enqueue_many([strings(*map(str, names))]))
        if closed:
            self.session.run(self.queue.close())

    def run(self, fetches=None):
        return self.session.run(self.record if fetches is None else fetches)

    def all(self, fetches=None):
        found = []
        with pytest.raises(OutOfRangeError, match="is closed and has insufficient elements"):
            while True:
                found.append(tuple(self.run(fetches)))
        return found

    def counts(self):
        return [
            int(v)
            for v in self.run(
                [self.reader.num_records_produced(), self.reader.num_work_units_completed()]
            )
        ]


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


def written(path, data):
    path.write_bytes(data)
    return path


def test_lines_end_with_line_feeds_and_perhaps_carriage_returns(tmp_path):
    first = written(tmp_path / "a", b"h1\nline one\r\n\na\rb\nlast\r")
    empty, second = written(tmp_path / "b", b""), written(tmp_path / "c", b"x\n")
    files = Files(tf.TextLineReader(), first, empty, second)
    values = [value for _, value in files.all()]
    assert values == [b"h1", b"line one", b"", b"a\rb", b"last", b"x"]
    assert files.counts() == [6, 3]


def test_keys_name_file_and_line(tmp_path):
    path = written(tmp_path / "a", b"h\n1\n2\n")
    files = Files(tf.TextLineReader(skip_header_lines=1), path, path)
    assert [key.decode() for key, _ in files.all()] == [f"{path}:2", f"{path}:3"] * 2


def test_more_headers_than_lines_leave_nothing(tmp_path):
    path = written(tmp_path / "a", b"h\n")
    assert Files(tf.TextLineReader(skip_header_lines=5), path).all() == []


def test_several_records_are_of_one_file(tmp_path):
    paths = [written(tmp_path / "a", b"1\n2\n3\n"), written(tmp_path / "b", b"4\n")]
    files = Files(tf.TextLineReader(), *paths)
    some = files.reader.read_up_to(files.queue, 2)
    assert [values.tolist() for _, values in files.all(some)] == [[b"1", b"2"], [b"3"], [b"4"]]
    with pytest.raises(InvalidArgumentError, match="must be positive, got 0"):
        files.run(files.reader.read_up_to(files.queue, 0))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3, 2, 2), [b"abc", b"def"]),
        ((3, 2, 2, 1), [b"abc", b"bcd", b"cde", b"def"]),
        ((3, 2, 2, 5), [b"abc"]),
        ((4, 2, 2), [b"abcd"]),
        ((10, 2, 2), []),
    ],
)
def test_records_of_one_length(tmp_path, sizes, expected):
    path = written(tmp_path / "a", b"HHabcdefFF")
    files = Files(tf.FixedLengthRecordReader(*sizes), path)
    assert files.all() == [(f"{path}:{i}".encode(), value) for i, value in enumerate(expected)]
    assert files.counts() == [len(expected), 1]


def test_compressed_records_of_one_length(tmp_path):
    path = written(tmp_path / "a", gzip.compress(b"HHabcdefFF"))
    files = Files(tf.FixedLengthRecordReader(3, 2, 2, encoding="GZIP"), path)
    assert [value for _, value in files.all()] == [b"abc", b"def"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    st.binary(max_size=60), st.integers(0, 5), st.integers(1, 9), st.integers(0, 5), st.integers(0, 12)
)  # fmt: skip
def test_records_are_where_the_sizes_say(tmp_path, data, header, record, footer, hop):
    path = written(tmp_path / "a", data)
    source = FixedLength(str(path).encode(), header, record, footer, hop, "")
    found = list(iter(source.read, None))
    source.close()
    starts = range(header, len(data) - footer - record + 1, hop or record)
    assert [value for _, value in found] == [data[start : start + record] for start in starts]


def test_impossible_sizes_are_all_named():
    reader = tf.FixedLengthRecordReader(0, header_bytes=-1, hop_bytes=-2)
    with tf.Session() as session, pytest.raises(InvalidArgumentError) as raised:
        session.run(reader.reset())
    for part in (
        "header_bytes must be >= 0 not -1",
        "hop_bytes must be >= 0 not -2",
        "record_bytes must be > 0",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize("kind", ["", "ZLIB", "GZIP"])
def test_records_of_tfrecord_files(tmp_path, kind):
    path = tmp_path / "a"
    with tf.python_io.TFRecordWriter(path, kind) as writer:
        writer.write(b"x")
        writer.write(b"yy")
    files = Files(tf.TFRecordReader(options=tf.python_io.TFRecordOptions(kind)), path, path)
    assert files.all() == [(f"{path}:0".encode(), b"x"), (f"{path}:17".encode(), b"yy")] * 2


def test_files_are_closed_with_the_session(tmp_path):
    files = Files(tf.TextLineReader(), written(tmp_path / "a", b"1\n2\n"))
    files.run()
    reader = files.session.state.resource("reader", "", "TextLineReaderV2", lambda: None)
    source = reader._source
    files.session.close()
    assert source._file.closed


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "a"
    with tf.python_io.TFRecordWriter(path) as writer:
        writer.write(b"x")
        writer.write(b"yy")
    written(path, path.read_bytes()[:-1])
    files = Files(tf.TFRecordReader(), path)
    assert files.run()[1] == b"x"
    with pytest.raises(DataLossError, match=rf"{path}: truncated record at 17"):
        files.run()
    assert files.counts() == [1, 1]


def test_records_before_a_damaged_one_are_given_first(tmp_path):
    path = tmp_path / "a"
    with tf.python_io.TFRecordWriter(path) as writer:
        writer.write(b"x")
        writer.write(b"yy")
    written(path, path.read_bytes()[:-1])
    files = Files(tf.TFRecordReader(), path, path)
    some = files.reader.read_up_to(files.queue, 5)
    for number in (1, 2):
        assert files.run(some)[1].tolist() == [b"x"]
        with pytest.raises(DataLossError, match="truncated record at 17"):
            files.run(some)
        assert files.counts() == [number, number]


def test_a_missing_file_is_an_error_and_the_next_one_is_read(tmp_path):
    path = written(tmp_path / "a", b"1\n")
    files = Files(tf.TextLineReader(), tmp_path / "none", path)
    with pytest.raises(NotFoundError, match="none"):
        files.run()
    assert [value for _, value in files.all()] == [b"1"]


def test_state_is_kept_and_restored():
    files = Files(tf.IdentityReader(), "a", "b", "c")
    files.run()
    state = files.run(files.reader.serialize_state())
    assert state == b'\x08\x01\x10\x01\x18\x01"\x01a'
    files.run()
    files.run(files.reader.restore_state(state))
    assert files.counts() == [1, 1]
    assert files.run()[0] == b"c"
    files.run(files.reader.reset())
    assert files.counts() == [0, 0]
    for bad in (b"zz", state + b"x"):
        with pytest.raises(InvalidArgumentError, match="Could not parse state for IdentityReader"):
            files.run(files.reader.restore_state(bad))
    with pytest.raises(InvalidArgumentError, match="Impossible state"):
        files.run(files.reader.restore_state(b"\x08\x05"))


def test_readers_inside_files_have_no_state(tmp_path):
    files = Files(tf.TextLineReader(), written(tmp_path / "a", b"1\n"))
    assert not files.reader.supports_serialize
    with pytest.raises(UnimplementedError, match="TextLineReader"):
        files.run(files.reader.serialize_state())


def test_names_are_single_strings():
    reader = tf.IdentityReader()
    numbers, pairs = tf.FIFOQueue(3, tf.int32), tf.FIFOQueue(3, tf.string)
    with tf.Session() as session:
        session.run([numbers.enqueue(3), pairs.enqueue([["a", "b"]])])
        with pytest.raises(InvalidArgumentError, match=r"single strings, .* holds \(int32\)"):
            session.run(reader.read(numbers))
        with pytest.raises(InvalidArgumentError, match="gave 2 names"):
            session.run(reader.read(pairs))


def test_a_reader_that_waits_ends_with_its_session():
    """Two runs: one waits for a name, the other for the reader."""
    files = Files(tf.IdentityReader(), closed=False)
    errors = []

    def run():
        try:
            files.run()
        except CancelledError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue = files.session.state.resource("queue", "", "q", lambda: None)
    while not queue._takes:
        pass
    files.session.close()
    for thread in threads:
        thread.join(20)
    assert len(errors) == 2


def test_a_pipeline_from_files_to_batches(tmp_path):
    for number in range(3):
        written(tmp_path / str(number), b"".join(b"%d%d\n" % (number, i) for i in range(4)))
    names = tf.train.string_input_producer(
        [str(tmp_path / str(i)) for i in range(3)], num_epochs=2, shuffle=False
    )
    _, line = tf.TextLineReader().read(names)
    batch = tf.train.batch([tf.string_to_number(line, tf.int32)], 8)
    coord = tf.train.Coordinator()
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        threads = tf.train.start_queue_runners(session, coord)
        found = [number for _ in range(3) for number in session.run(batch).tolist()]
        with pytest.raises(OutOfRangeError):
            session.run(batch)
        coord.request_stop()
        coord.join(threads, stop_grace_period_secs=20)
    once = [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert found == once * 2
