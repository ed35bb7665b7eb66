"""Compressed strings, examples as JSON, sparse tensors as strings."""

import gzip
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import DataLossError, InvalidArgumentError, ShapeError
from tests.conformance.ops import case, conformance


def text(*values):
    return np.array(values, object)


JSON = b'{"features": {"feature": {"a": {"floatList": {"value": [1.5]}}, "b": {"bytesList": {"value": ["eHk="]}}}}}'

TestDecodeCompressed = conformance([
    case(tf.io.decode_compressed, text(zlib.compress(b"hello"), zlib.compress(b"")), "ZLIB", expect=text(b"hello", b""), grad=0),
    case(tf.io.decode_compressed, text(gzip.compress(b"a\0", mtime=0)), "GZIP", expect=text(b"a\0"), grad=0),
    case(tf.io.decode_compressed, text(b"as it is"), expect=text(b"as it is"), grad=0),
    case(tf.io.decode_compressed, text(b"nothing"), "GZIP", raises=DataLossError, match="no|not GZIP"),
    case(tf.io.decode_compressed, text(zlib.compress(b"hello")[:-2]), "ZLIB", raises=DataLossError, match="not ZLIB", unasked="TensorFlow does not check the sum at the end"),
    case(tf.io.decode_compressed, text(b""), "BZIP", raises=InvalidArgumentError, match="Only ZLIB, GZIP"),
])  # fmt: skip


def parsed(strings):
    found = tf.parse_example(
        tf.io.decode_json_example(strings),
        {"a": tf.FixedLenFeature([], tf.float32), "b": tf.FixedLenFeature([], tf.string)},
    )
    return [found["a"], found["b"]]


TestDecodeJsonExample = conformance([
    case(parsed, text(JSON), expect=(np.array([1.5], np.float32), text(b"xy")), grad=0),
    case(tf.io.decode_json_example, text(b'{"features"'), raises=InvalidArgumentError, match="JSON"),
    case(tf.io.decode_json_example, text(b'{"nothing": 1}'), raises=InvalidArgumentError, match="JSON"),
])  # fmt: skip

INDICES, SHAPE = np.array([[0, 0], [0, 3], [2, 1]], np.int64), np.array([3, 5], np.int64)


def parts(sparse):
    return [sparse.indices, sparse.values, sparse.dense_shape]


def round_trip(values, many):
    sparse = tf.SparseTensor(INDICES, values, SHAPE)
    if many:
        strings = tf.serialize_many_sparse(sparse)
        return parts(tf.deserialize_many_sparse(strings, values.dtype, rank=2))
    strings = tf.stack([tf.serialize_sparse(sparse)] * 2)
    return parts(tf.io.deserialize_many_sparse(strings, values.dtype, rank=3))


TWICE = np.concatenate([np.insert(INDICES, 0, i, axis=1) for i in range(2)])
WORDS = text(b"a", b"", b"x" * 300)
TestSparseStrings = conformance([
    *[case(round_trip, v, True, expect=(INDICES, v, SHAPE), grad=0)
      for v in (np.array([1.5, 2, 3], np.float32), np.array([1, 2, 3], np.int32), np.array([True, False, True]), WORDS)],
    *[case(round_trip, v, False, expect=(TWICE, np.concatenate([v, v]), np.array([2, 3, 5])), grad=0)
      for v in (np.array([1.5, 2, 3], np.float64), WORDS)],
    case(lambda v: tf.serialize_sparse(tf.SparseTensor(INDICES, v, SHAPE)), np.array([1, 2, 3], np.int64), grad=0),
    case(lambda v: tf.serialize_sparse(tf.SparseTensor(INDICES, v, SHAPE)), WORDS, grad=0),
    case(lambda v: tf.serialize_many_sparse(tf.SparseTensor(INDICES[:, :1], v, SHAPE[:1])), np.array([1.0, 2, 3]),
         raises=InvalidArgumentError, match="should be > 1"),
    case(tf.deserialize_many_sparse, np.array([[b"a", b"b", b"c"]], object), tf.int32, raises=InvalidArgumentError),
    case(tf.deserialize_many_sparse, np.array([[b"a", b"b"]], object), tf.int32, raises=ShapeError),
])  # fmt: skip


@pytest.mark.parametrize("dtype", [tf.int32, tf.string])
def test_another_dtype_is_refused(dtype):
    with tf.Graph().as_default(), tf.Session() as session:
        strings = tf.serialize_many_sparse(tf.SparseTensor(INDICES, [1.0, 2.0, 3.0], SHAPE))
        with pytest.raises(InvalidArgumentError, match="float32"):
            session.run(parts(tf.deserialize_many_sparse(strings, dtype)))


@given(st.lists(st.binary(max_size=200), max_size=5), st.data())
def test_strings_that_are_cut_off_are_refused_or_hold_less(words, data):
    with tf.Graph().as_default(), tf.Session() as session:
        indices = np.arange(len(words), dtype=np.int64)[:, None]
        values = tf.constant(words or [], tf.string)
        strings = session.run(tf.serialize_sparse(tf.SparseTensor(indices, values, [9])))
        whole = bytes(strings[1])
        end = data.draw(st.integers(0, len(whole)))
        strings[1] = whole[:end]
        found = tf.deserialize_many_sparse(strings[None], tf.string)
        try:
            values = session.run(found.values).tolist()
        except InvalidArgumentError:
            assert end < len(whole)
        else:
            assert values == words or end < len(whole)
