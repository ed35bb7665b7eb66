"""Batches of SequenceExamples."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance

T = tf.train


def ints(*values):
    return T.Feature(int64_list=T.Int64List(value=values))


def floats(*values):
    return T.Feature(float_list=T.FloatList(value=values))


def words(*values):
    return T.Feature(bytes_list=T.BytesList(value=values))


def message(context, lists):
    made = {key: T.FeatureList(feature=steps) for key, steps in lists.items()}
    return T.SequenceExample(
        context=T.Features(feature=context), feature_lists=T.FeatureLists(feature_list=made)
    ).SerializeToString(deterministic=True)


FIRST = message(
    {"u": ints(7), "v": words(b"q")},
    {"x": [ints(1, 2), ints(3, 4)], "y": [floats(1), floats(), floats(2, 3)]},
)
SECOND = message({"u": ints(8)}, {"x": [ints(5, 6)]})
BATCH = np.array([FIRST, SECOND], object)
CONTEXT = {
    "u": tf.FixedLenFeature([], tf.int64), "v": tf.VarLenFeature(tf.string),
    "w": tf.FixedLenFeature([2], tf.float32, default_value=[1.0, 2.0]),
}  # fmt: skip
LISTS = {
    "x": tf.FixedLenSequenceFeature([2], tf.int64), "y": tf.VarLenFeature(tf.float32),
    "z": tf.FixedLenSequenceFeature([], tf.string, allow_missing=True),
}  # fmt: skip


def flat(found):
    parts = []
    for group in found:
        for key in sorted(group):
            value = group[key]
            parts += (
                [value.indices, value.values, value.dense_shape]
                if isinstance(value, tf.SparseTensor)
                else [value]
            )
    return parts  # fmt: skip


def batch(serialized, context=None, lists=None, names=None):
    return flat(tf.io.parse_sequence_example(serialized, context, lists, example_names=names))


def by_attributes(serialized):
    """The operation of graphs of TensorFlow 1.15, whose keys are attributes."""
    found = OPS["ParseSequenceExample"](
        serialized, np.array([], object), [], feature_list_dense_missing_assumed_empty=["z"],
        context_sparse_keys=["v"], context_dense_keys=[], feature_list_sparse_keys=["y"],
        feature_list_dense_keys=["x", "z"], Ncontext_sparse=1, context_sparse_types=[tf.string],
        Nfeature_list_sparse=1, Nfeature_list_dense=2, feature_list_dense_types=[tf.int64, tf.string],
        feature_list_sparse_types=[tf.float32], feature_list_dense_shapes=[[2], []],
    )  # fmt: skip
    return [tensor for group in found for tensor in group]


def ragged(serialized):
    """Ragged features as values and where their rows end."""
    none, no_flags = np.array([], object), np.array([], bool)
    found = OPS["ParseSequenceExampleV2"](
        serialized, none, none, none, [b"v"], none, none, [b"y"], no_flags, [],
        context_ragged_value_types=[tf.string], context_ragged_split_types=[tf.int32],
        feature_list_ragged_value_types=[tf.float32], feature_list_ragged_split_types=[tf.int64],
    )  # fmt: skip
    return [tensor for group in found for tensor in group]


TestParseSequenceExample = conformance([
    case(batch, BATCH, CONTEXT, LISTS, grad=0, expect=(
        np.array([7, 8]), np.array([[0, 0]]), np.array([b"q"], object), np.array([2, 1]),
        np.array([[1, 2], [1, 2]], np.float32),
        np.array([[[1, 2], [3, 4]], [[5, 6], [0, 0]]]),
        np.array([[0, 0, 0], [0, 2, 0], [0, 2, 1]]), np.array([1, 2, 3], np.float32), np.array([2, 3, 2]),
        np.zeros((2, 0), object), np.array([2, 1]), np.array([0, 0]),
    )),
    case(batch, BATCH, CONTEXT, grad=0),
    case(batch, BATCH, None, LISTS, grad=0),
    case(batch, BATCH[:0], CONTEXT, {"y": LISTS["y"]}, grad=0, unasked="TensorFlow's batches hold something"),
    case(by_attributes, BATCH, grad=0),
    case(ragged, BATCH, grad=0, expect=(
        np.array([b"q"], object), np.array([0, 1, 1], np.int32),
        np.array([1, 2, 3], np.float32), np.array([0, 3, 3]), np.array([0, 1, 1, 3]),
    )),
    case(batch, BATCH, None, {"q": tf.FixedLenSequenceFeature([], tf.int64)}, raises=InvalidArgumentError, match="'q'|q"),
    case(batch, BATCH, None, {"x": tf.FixedLenSequenceFeature([3], tf.int64)}, raises=InvalidArgumentError, match="x"),
    case(batch, BATCH, {"u": tf.FixedLenFeature([], tf.float32)}, raises=InvalidArgumentError, match="Data types don't match"),
    case(batch, BATCH, {"v": tf.FixedLenFeature([], tf.string)}, names=[b"one", b"two"], raises=InvalidArgumentError, match="two"),
    case(batch, np.array([b"\xff\xff"], object), CONTEXT, raises=InvalidArgumentError, match="parse SequenceExample"),
])  # fmt: skip


def test_something_must_be_asked_for():
    with pytest.raises(ValueError, match="at least one"):
        tf.io.parse_sequence_example(BATCH)
