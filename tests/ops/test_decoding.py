"""Strings that hold numbers, records of text, tensors and examples; what TensorFlow 2.21 gives was asked of it."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops.decoding import csv_fields
from tests.conformance.ops import case, conformance

T = tf.train


def text(*values):
    return np.array([v if isinstance(v, bytes) else v.encode() for v in values], object)


def scalar(value):
    return text(value).reshape(())


def ints(*values):
    return T.Feature(int64_list=T.Int64List(value=values))


def floats(*values):
    return T.Feature(float_list=T.FloatList(value=values))


def words(*values):
    return T.Feature(bytes_list=T.BytesList(value=values))


def example(**features):
    return T.Example(features=T.Features(feature=features)).SerializeToString(deterministic=True)


FIRST = example(a=ints(1, 2), b=floats(1.5), c=words(b"x", b"y"))
SECOND = example(a=ints(3, 4), c=words())
THIRD = example(a=ints(5, 6), b=T.Feature())
SEQUENCE = T.SequenceExample(
    context=T.Features(feature={"u": ints(7), "v": words(b"q")}),
    feature_lists=T.FeatureLists(feature_list={
        "x": T.FeatureList(feature=[ints(1, 2), ints(3, 4)]),
        "y": T.FeatureList(feature=[floats(1), floats(), floats(2, 3)]),
    }),
).SerializeToString(deterministic=True)  # fmt: skip


def flat(found):
    """The parts of what a parser returns: sparse tensors as three."""
    if isinstance(found, tuple) and not hasattr(found, "dense_shape"):
        return [part for one in found for part in flat(one)]
    parts = []
    for key in sorted(found):
        value = found[key]
        if isinstance(value, tf.SparseTensor):
            parts += [value.indices, value.values, value.dense_shape]
        else:
            parts.append(value)
    return parts


MIXED = {
    "a": tf.FixedLenFeature([2], tf.int64),
    "b": tf.FixedLenFeature([], tf.float32, default_value=7.0),
    "c": tf.VarLenFeature(tf.string),
}


def batch(serialized, features=None, names=None):
    return flat(
        tf.parse_example(serialized, MIXED if features is None else features, example_names=names)
    )


def one(serialized, features=None):
    return flat(tf.parse_single_example(serialized, MIXED if features is None else features))


def sequence(serialized, context=None, lists=None):
    return flat(tf.parse_single_sequence_example(serialized, context, lists))


def version_two(serialized, names=(), ragged=("a",), splits=tf.int64):
    """The node that newer graphs parse with: c is sparse, b dense, a ragged."""
    none = np.empty(0, object)
    found = OPS["ParseExampleV2"](
        serialized, text(*names) if names else none, text("c"), text("b"), text(*ragged) if ragged else none,
        [np.float32(7.0)], num_sparse=1, sparse_types=[tf.string], ragged_value_types=[tf.int64] * len(ragged),
        ragged_split_types=[splits] * len(ragged), dense_shapes=[[]],
    )  # fmt: skip
    return [tensor for part in found for tensor in part]


def there_and_back(value):
    return tf.parse_tensor(tf.serialize_tensor(value), tf.as_dtype(value.dtype))


PADDED = {
    "a": tf.FixedLenSequenceFeature([2], tf.int64, allow_missing=True),
    "b": tf.FixedLenSequenceFeature([], tf.float32, allow_missing=True, default_value=-1.0),
}
SPARSE = {"s": tf.SparseFeature("ix", "va", tf.float32, 10)}
PLANE = {"s": tf.SparseFeature(["i", "j"], "va", tf.float32, [10, 5])}
LISTS = {
    "x": tf.FixedLenSequenceFeature([2], tf.int64),
    "y": tf.VarLenFeature(tf.float32),
    "z": tf.FixedLenSequenceFeature([], tf.string, allow_missing=True),
}
I64 = lambda *values: np.array(values, np.int64)  # noqa: E731
F32 = lambda *values: np.array(values, np.float32)  # noqa: E731
NONE = np.empty((0, 2), np.int64)
ROWS = np.array(["1,2.5,a", '3,,"b,""c"" "'], object)
DEFAULTS = [[0], [1.5], [""]]


def raw(data, kind=tf.int16, **attrs):
    return tf.decode_raw(data, kind, **attrs)


def rows(records, defaults=None, **attrs):
    return tf.decode_csv(records, DEFAULTS if defaults is None else defaults, **attrs)


ONE = dict(grad=0)
BAD = dict(raises=InvalidArgumentError)

CELLS = np.array([[0, 0], [0, 1]], np.int64)

TestVersionTwo = conformance([
    case(version_two, text(FIRST, SECOND, THIRD), **ONE, expect=[
        CELLS, text("x", "y"), I64(3, 2), F32(1.5, 7, 7), I64(1, 2, 3, 4, 5, 6), I64(0, 2, 4, 6)]),
    case(version_two, text(SECOND, FIRST), splits=tf.int32, **ONE, expect=[
        CELLS + np.array([[1, 0]]), text("x", "y"), I64(2, 2), F32(7, 1.5), I64(3, 4, 1, 2), np.array([0, 2, 4], np.int32)]),
    case(version_two, text(FIRST), ragged=(), **ONE, expect=[CELLS, text("x", "y"), I64(1, 2), F32(1.5)]),
    case(version_two, scalar(FIRST), ragged=(), **ONE, expect=[I64(0, 1)[:, None], text("x", "y"), I64(2), np.float32(1.5)]),
    case(version_two, scalar(FIRST), **ONE, expect=[
        I64(0, 1)[:, None], text("x", "y"), I64(2), np.float32(1.5), I64(1, 2), I64()]),
    case(version_two, np.empty(0, object), **ONE, expect=[NONE, np.empty(0, object), I64(0, 0), F32(), I64(), I64(0)]),
    case(version_two, text(example(a=floats(1.0))), names=("first",), match="Name: first, Key: a.*Data types don't match", **BAD),
    case(version_two, text("no message"), match="Could not parse [Ee]xample", **BAD),
])  # fmt: skip

TestDecoding = conformance([
    case(raw, text("abcd", "efgh"), expect=np.array([[25185, 25699], [26213, 26727]], np.int16), **ONE),
    case(raw, scalar("abcd"), kind=tf.int32, little_endian=False, expect=np.array([1633837924], np.int32), **ONE),
    case(raw, scalar("abcdefgh"), kind=tf.complex64, little_endian=False,
         expect=np.frombuffer(b"abcdefgh", ">c8").astype(np.complex64), **ONE),
    case(raw, scalar(b""), expect=np.array([], np.int16), **ONE),
    case(raw, text("abc", "efgh"), match="element 1 has size 4 != 3", **BAD),
    case(raw, text("abc"), match="length 3 that is not a multiple of 2, the size of int16", **BAD),
    case(rows, text(*ROWS), expect=[np.array([1, 3], np.int32), F32(2.5, 1.5), text("a", 'b,"c" ')], **ONE),
    case(rows, scalar("NA;2"), [[7], [0]], field_delim=";", na_value="NA", expect=[np.int32(7), np.int32(2)], **ONE),
    case(rows, scalar("1,2,3"), [[0], [0]], select_cols=[0, 2], expect=[np.int32(1), np.int32(3)], **ONE),
    case(rows, scalar('"1";2'), [[""], [0]], field_delim=";", use_quote_delim=False,
         expect=[scalar('"1"'), np.int32(2)], **ONE),
    case(rows, scalar(" 1 ,1e3, 1.5 "), [[0], [0.0], [0.0]], expect=[np.int32(1), np.float32(1000), np.float32(1.5)], **ONE),
    case(rows, scalar("1,2"), [[0]], match="Expect 1 fields but have 2 in record 0", **BAD),
    case(rows, scalar("x"), [[0]], match="Field 0 in record 0 is not a valid int32: x", **BAD),
    case(rows, scalar("99999999999"), [[0]], match="not a valid int32", **BAD),
    case(rows, scalar("1 2"), [[0.0]], match="not a valid float: 1 2", **BAD),
    case(rows, scalar("1;;2"), [[0], [0]], field_delim=";;", match="only 1 char", **BAD),
    case(rows, scalar('"a'), [[""]], match="Quoted field has to end", **BAD),
    case(rows, scalar('"a"b'), [[""]], match="has to be escaped", **BAD),
    case(rows, scalar('a"b'), [[""]], match="Unquoted fields cannot have", **BAD),
    case(there_and_back, np.array([[1, 2], [3, 4]], np.int32), like=lambda v: v, **ONE),
    case(there_and_back, np.float32(2.5), like=lambda v: v, **ONE),
    case(there_and_back, text("a", "b"), like=lambda v: v, **ONE),
    case(tf.serialize_tensor, np.array([[1, -2]], np.int32),
         expect=scalar(b'\x08\x03\x12\x08\x12\x02\x08\x01\x12\x02\x08\x02"\x08\x01\0\0\0\xfe\xff\xff\xff'), **ONE),
    case(tf.parse_tensor, scalar(b"zz\xff"), tf.float32, match="Could not parse `serialized`", **BAD),
    case(tf.parse_tensor, text("a", "b"), tf.float32, match="to be a scalar", **BAD),
    case(batch, text(FIRST, SECOND, THIRD), expect=[
        np.array([[1, 2], [3, 4], [5, 6]]), F32(1.5, 7, 7), np.array([[0, 0], [0, 1]]), text("x", "y"), I64(3, 2)], **ONE),
    case(batch, text()[:0], expect=[np.empty((0, 2), np.int64), F32(), NONE, text(), I64(0, 0)], **ONE),
    case(one, scalar(FIRST), expect=[I64(1, 2), np.float32(1.5), np.array([[0], [1]]), text("x", "y"), I64(2)], **ONE),
    case(batch, text(example(a=ints(1, 2, 3, 4)), example(a=ints(5, 6), b=floats(1))), PADDED,
         expect=[np.array([[[1, 2], [3, 4]], [[5, 6], [0, 0]]]), F32(-1, 1).reshape(2, 1)], **ONE),
    case(one, scalar(example(a=ints(1, 2, 3, 4))), PADDED, expect=[np.array([[1, 2], [3, 4]]), F32()], **ONE),
    case(batch, text(example(ix=ints(3, 1), va=floats(1, 2)), example()), SPARSE,
         expect=[np.array([[0, 1], [0, 3]]), F32(2, 1), I64(2, 10)], **ONE),
    case(one, scalar(example(ix=ints(3, 1), va=floats(1, 2))), SPARSE,
         expect=[np.array([[1], [3]]), F32(2, 1), I64(10)], **ONE),
    case(batch, text(example(i=ints(1, 2), j=ints(3, 4), va=floats(1, 2))), PLANE,
         expect=[np.array([[0, 1, 3], [0, 2, 4]]), F32(1, 2), I64(1, 10, 5)], **ONE),
    case(batch, text(SECOND), {"b": tf.FixedLenFeature([], tf.float32)}, names=["nm"],
         match=r"Name: nm, Feature: b \(data type: float\) is required", **BAD),
    case(batch, text(FIRST), {"b": tf.FixedLenFeature([], tf.int64)},
         match="Key: b.  Data types don't match. Data type: float but expected type: int64", **BAD),
    case(batch, text(FIRST), {"a": tf.FixedLenFeature([3], tf.int64)},
         match=r"Values size: 2 but output shape: \[3\]", **BAD),
    case(batch, text(example(a=ints(1, 2, 3))), PADDED, match="not a multiple of stride length. Saw 3", **BAD),
    case(batch, text(b"zz"), match="Could not parse Example", **BAD),
    case(sequence, scalar(SEQUENCE), {"u": tf.FixedLenFeature([], tf.int64), "v": tf.VarLenFeature(tf.string),
                                      "w": tf.FixedLenFeature([], tf.float32, 3.0)}, LISTS, expect=[
        np.int64(7), np.array([[0]]), text("q"), I64(1), np.float32(3),
        np.array([[1, 2], [3, 4]]), np.array([[0, 0], [2, 0], [2, 1]]), F32(1, 2, 3), I64(3, 2), text()], **ONE),
    case(sequence, scalar(SEQUENCE), None, {"zz": tf.FixedLenSequenceFeature([], tf.int64)},
         match="Feature list 'zz' is required", **BAD),
    case(sequence, scalar(SEQUENCE), None, {"x": tf.FixedLenSequenceFeature([3], tf.int64)},
         match="Key: x, Index: 0", **BAD),
])  # fmt: skip


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        min_size=1,
        max_size=6,
    )
)
def test_fields_are_what_was_written(fields):
    written = io.StringIO()
    csv.writer(written, lineterminator="", quoting=csv.QUOTE_ALL).writerow(fields)
    assert csv_fields(written.getvalue().encode(), b",", True) == [f.encode() for f in fields]


@pytest.mark.parametrize(
    ("features", "match"),
    [
        ({}, "cannot be None or falsy"),
        ({"a": 3}, "Unsupported int 3 for key 'a'"),
        ({"a": tf.FixedLenFeature([], None)}, "Missing type for feature a"),
        ({"a": tf.FixedLenFeature(None, tf.int64)}, "Missing shape for feature a"),
        ({"a": tf.FixedLenFeature([None, 2], tf.int64)}, "Consider using FixedLenSequenceFeature"),
        ({"a": tf.FixedLenFeature([2, None], tf.int64)}, "need to be known"),
        ({"a": tf.FixedLenSequenceFeature([], tf.int64)}, "requires allow_missing"),
        (
            {"a": tf.VarLenFeature(tf.int64), "s": tf.SparseFeature("ix", "a", tf.float32, 3)},
            "Conflicting type",
        ),
    ],
)
def test_features_that_cannot_be_are_refused(features, match):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=match):
        tf.parse_example([FIRST], features)


def test_parsers_need_features():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="at least one should have"):
        tf.parse_single_sequence_example(SEQUENCE)


def test_types_of_operations_are_tensorflows():
    with tf.Graph().as_default() as graph:
        tf.parse_example([FIRST], MIXED)
        tf.parse_single_example(FIRST, MIXED)
        types = {node.type for node in graph.get_operations()}
    assert {"ParseExample", "ParseSingleExample"} <= types <= set(OPS)
