"""Datasets of files: lines, records, records of one length; what is missing or damaged; the position within a file."""

import gzip
import zlib

import pytest

from ckpt.core.errors import DataLossError, InvalidArgumentError, NotFoundError, OutOfRangeError
from ckpt.formats.tfrecord import RecordWriter, framed
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from ckpt.graph.specs import TensorSpec
from ckpt.model.dataset import Dataset
from ckpt.model.dataset_files import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset
from ckpt.model.dataset_iterators import make_saveable_from_iterator
from ckpt.run.session import Session


def elements(make):
    """All elements of the dataset that `make()` describes in a graph of its own."""
    with Graph().as_default(), Session() as session:
        following = make().make_one_shot_iterator().get_next()
        found = []
        try:
            while True:
                found.append(session.run(following))
        except OutOfRangeError:
            return found


COMPRESSED = {"": lambda data: data, "GZIP": gzip.compress, "ZLIB": zlib.compress}
compressions = pytest.mark.parametrize("kind", list(COMPRESSED))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file")


def written(path, data, kind=""):
    with open(path, "wb") as file:
        file.write(COMPRESSED[kind](data))
    return path


@compressions
@pytest.mark.parametrize(
    ("text", "lines"),
    [(b"a\r\nb\n\nc", [b"a", b"b", b"", b"c"]), (b"", []), (b"\n", [b""]), (b"x\ry\n", [b"x\ry"])],
)
def test_lines(path, text, lines, kind):
    written(path, text, kind)
    assert elements(lambda: TextLineDataset([path, path], kind)) == lines + lines


def test_long_lines_go_through_several_reads(path):
    lines = [bytes([65 + i]) * 200_000 for i in range(5)]
    written(path, b"\n".join(lines))
    assert elements(lambda: TextLineDataset(path)) == lines


@compressions
def test_records(path, kind):
    written(path, framed(b"one") + framed(b"") + framed(b"x" * 3_000_000), kind)
    assert elements(lambda: TFRecordDataset([path], kind)) == [b"one", b"", b"x" * 3_000_000]


@compressions
def test_records_of_one_length(path, kind):
    written(path, b"HHaabbccF", kind)
    make = lambda: FixedLengthRecordDataset(path, 2, 2, 1, compression_type=kind)  # noqa: E731
    assert elements(make) == [b"aa", b"bb", b"cc"]


def test_records_of_one_length_in_an_older_graph(path):
    written(path, b"Haabb")

    def make():
        variant = OPS["FixedLengthRecordDataset"]([path], 1, 2, 0, 0)
        return Dataset(variant, TensorSpec([], "string"))

    assert elements(make) == [b"aa", b"bb"]


def test_names_may_be_a_dataset_and_files_may_be_interleaved(tmp_path):
    paths = [written(str(tmp_path / name), f"{name}1\n{name}2\n".encode()) for name in "ab"]
    one_by_one = [b"a1", b"a2", b"b1", b"b2"]
    assert elements(lambda: TextLineDataset(Dataset.from_tensor_slices(paths))) == one_by_one
    in_turn = elements(lambda: TextLineDataset(paths, num_parallel_reads=2))
    assert in_turn == [b"a1", b"b1", b"a2", b"b2"]


DAMAGED = [
    (lambda path: TFRecordDataset(path), framed(b"record")[:-1], DataLossError, "truncated record"),
    (lambda path: TFRecordDataset(path), framed(b"re")[:-5] + b"x" + framed(b"re")[-4:], DataLossError, "corrupted record"),
    (lambda path: FixedLengthRecordDataset(path, 2), b"abc", InvalidArgumentError, "body length 3 bytes"),
    (lambda path: FixedLengthRecordDataset(path, 2, 3, 3), b"abc", InvalidArgumentError, "body length -3 bytes"),
    (lambda path: FixedLengthRecordDataset(path, 0), b"", InvalidArgumentError, "record_bytes"),
    (lambda path: FixedLengthRecordDataset(path, 1, -1), b"", InvalidArgumentError, "header_bytes"),
    (lambda path: TextLineDataset(path, "BZIP"), b"", InvalidArgumentError, "Unsupported compression_type"),
    (lambda path: TextLineDataset(path, "GZIP"), b"no gzip", DataLossError, "damaged"),
    (lambda path: TextLineDataset(path + "x"), b"", NotFoundError, "No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "data", "error", "match"), DAMAGED)
def test_what_is_missing_or_damaged(path, make, data, error, match):
    written(path, data)
    with pytest.raises(error, match=match):
        elements(lambda: make(path))


def test_a_missing_file_is_passed_over_by_the_next_call(path):
    written(path, b"a\n")
    with Graph().as_default(), Session() as session:
        following = TextLineDataset([path + "x", path]).make_one_shot_iterator().get_next()
        with pytest.raises(NotFoundError):
            session.run(following)
        assert session.run(following) == b"a"


@compressions
@pytest.mark.parametrize("passed", [0, 1, 4, 5, 9, 10])
def test_the_position_within_files_is_saved(path, kind, passed):
    with RecordWriter(path, kind) as writer:
        for i in range(5):
            writer.write(b"%d" % i * i)
    written(path + "text", b"".join(b"%d" % i * i + b"\n" for i in range(5)), kind)
    written(path + "fixed", b"abcdefghij", kind)
    for dataset in (
        lambda: TFRecordDataset([path, path], kind),
        lambda: TextLineDataset([path + "text"] * 2, kind),
        lambda: FixedLengthRecordDataset(path + "fixed", 1, compression_type=kind),
    ):
        with Graph().as_default(), Session() as session:
            iterator = dataset().make_initializable_iterator()
            following, saveable = iterator.get_next(), make_saveable_from_iterator(iterator)
            again = saveable.restore([saveable.specs[0].tensor], None)
            session.run(iterator.initializer)
            for _ in range(passed):
                session.run(following)
            position = session.run(saveable.specs[0].tensor)
            rest = [session.run(following) for _ in range(10 - passed)]
            session.run(iterator.initializer)
            session.run(again, {saveable.specs[0].tensor: position})
            assert [session.run(following) for _ in range(10 - passed)] == rest
            with pytest.raises(OutOfRangeError):
                session.run(following)
