"""Whole files as operations, and sparse tensors that a session keeps under numbers."""

from pathlib import Path

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError, NotFoundError
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from tests.conformance.ops import case, conformance

HERE = Path(__file__).parent
VOCABULARY = HERE / "vocabulary.txt"


def contents(path):
    return tf.read_file(str(path))


def matching(patterns):
    return tf.matching_files([str(HERE / pattern) for pattern in patterns])


def written_and_read(text):
    """What a file holds after it was written; the row's file is one that TensorFlow may write too."""
    path = "/tmp/ckpt-written-and-read.txt"  # both implementations write the same
    with get_default_graph().control_dependencies([tf.write_file(path, text)]):
        return tf.read_file(path)


INDICES = np.array([[0, 1], [2, 0], [2, 2]], np.int64)
VALUES = np.array([1.5, 2.5, 3.5], np.float32)
SHAPE = np.array([3, 4], np.int64)


def kept_one(indices, values, shape):
    numbers = OPS["AddSparseToTensorsMap"](indices, values, shape, shared_name="kept")
    return OPS["TakeManySparseFromTensorsMap"](
        tf.expand_dims(numbers, 0), dtype=dtypes.float32, shared_name="kept"
    )


def kept_many(indices, values, shape):
    numbers = OPS["AddManySparseToTensorsMap"](indices, values, shape, shared_name="kept")
    return OPS["TakeManySparseFromTensorsMap"](numbers, dtype=dtypes.float32, shared_name="kept")


def batch_of_one(indices, values, shape):
    return (
        np.column_stack([np.zeros(len(values), np.int64), indices]),
        values,
        np.array([1, *shape]),
    )


TestFiles = conformance([
    case(contents, VOCABULARY, expect=np.array(VOCABULARY.read_bytes(), object)[()], grad=0),
    case(contents, HERE / "nothing", raises=NotFoundError, match="nothing"),
    case(written_and_read, np.array(b"a\0b", object), expect=np.array(b"a\0b", object)[()], grad=0),
    case(matching, ["vocab*.txt", "test_files.p?", "none*"],
         expect=np.array([str(HERE / name).encode() for name in ("test_files.py", "vocabulary.txt")], object), grad=0),
    case(kept_one, INDICES, VALUES, SHAPE, like=batch_of_one, grad=0),
    case(kept_many, INDICES, VALUES, SHAPE, like=lambda i, v, s: (i, v, s), grad=0),
    case(kept_one, INDICES[:, :1], VALUES, SHAPE, raises=InvalidArgumentError, match="Not a sparse tensor"),
    case(kept_many, INDICES + 1, VALUES, SHAPE, raises=InvalidArgumentError, match=r"must be in \[0, 3\)"),
])  # fmt: skip


def test_a_file_is_written_whole_with_its_directories(tmp_path):
    path = tmp_path / "new" / "file"
    with tf.Graph().as_default(), tf.Session() as session:
        session.run(tf.write_file(str(path), b"one"))
        session.run(tf.write_file(str(path), "ä"))
        assert session.run(tf.read_file(str(path))) == "ä".encode()
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_file_is_read_anew_in_each_run(tmp_path):
    path = tmp_path / "file"
    with tf.Graph().as_default(), tf.Session() as session:
        got = tf.read_file(str(path))
        for text in (b"one", b"two"):
            path.write_bytes(text)
            assert session.run(got) == text


def test_kept_tensors_are_taken_once_and_missing_ones_are_named():
    with tf.Graph().as_default(), tf.Session() as session:
        number = OPS["AddSparseToTensorsMap"](INDICES, VALUES, SHAPE, shared_name="kept")
        numbers = tf.placeholder(tf.int64, [None])
        take = OPS["TakeManySparseFromTensorsMap"](
            numbers, dtype=dtypes.float32, shared_name="kept"
        )
        first = session.run(number)
        session.run(take, {numbers: [first]})
        with pytest.raises(
            InvalidArgumentError, match="Unable to find SparseTensor: 0, 9 in map: kept"
        ):
            session.run(take, {numbers: [first, 9]})
        with pytest.raises(InvalidArgumentError, match="at least 1"):
            session.run(take, {numbers: []})


def test_kept_tensors_of_a_batch_may_differ_in_size_but_not_in_rank():
    with tf.Graph().as_default(), tf.Session() as session:
        indices, shape = tf.placeholder(tf.int64, [None, None]), tf.placeholder(tf.int64, [None])
        number = OPS["AddSparseToTensorsMap"](indices, [1.0], shape, shared_name="kept")
        take = OPS["TakeManySparseFromTensorsMap"]([0, 1], dtype=dtypes.float32, shared_name="kept")
        for size in (3, 5):
            session.run(number, {indices: [[2]], shape: [size]})
        assert session.run(take)[2].tolist() == [2, 5]
        take = OPS["TakeManySparseFromTensorsMap"]([2, 3], dtype=dtypes.float32, shared_name="kept")
        session.run(number, {indices: [[2]], shape: [3]})
        session.run(number, {indices: [[2, 0]], shape: [3, 3]})
        with pytest.raises(InvalidArgumentError, match="Inconsistent rank"):
            session.run(take)


def test_a_vocabulary_is_read_anew_in_each_run(tmp_path):
    """What files hold is no constant, though their names are."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("a\nb\n")
    new.write_text("b\n")
    with tf.Graph().as_default(), tf.Session() as session:
        remapping, _ = OPS["GenerateVocabRemapping"](
            str(new), str(old), new_vocab_offset=0, num_new_vocab=1
        )
        assert session.run(remapping) == [1]
        old.write_text("b\na\n")
        assert session.run(remapping) == [0]
