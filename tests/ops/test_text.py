"""Strings: joined, split, converted, searched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops import text
from tests.conformance.ops import case, conformance


def words(*values):
    return np.array([v if isinstance(v, bytes) else v.encode() for v in values], object)


TABLE = np.array([[b"a", b"b"], [b"c", b"d"]], object)

TestStrings = conformance([
    case(lambda a: text.string_join([a, "x"], separator="-"), words("p", "q"), expect=words("p-x", "q-x"), grad=0,
         title="string_join"),
    case(text.string_split_op, words("a b", "", "c  d"), " ", grad=0, skip_empty=True,
         expect=[np.array([[0, 0], [0, 1], [2, 0], [2, 1]]), words("a", "b", "c", "d"), np.array([3, 2])]),
    case(text.string_split_op, words("a,b", ",c"), ",", grad=0, skip_empty=False,
         expect=[np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), words("a", "b", "", "c"), np.array([2, 2])]),
    case(text.string_split_op, words("", "a,,b,"), ",", grad=0, skip_empty=False,
         expect=[np.array([[1, 0], [1, 1], [1, 2], [1, 3]]), words("a", "", "b", ""), np.array([2, 4])]),
    case(text.string_split_v2_op, words(" a b ", "c"), "", grad=0,
         expect=[np.array([[0, 0], [0, 1], [1, 0]]), words("a", "b", "c"), np.array([2, 2])]),
    case(text.substr, words("hello", "world"), 1, 3, expect=words("ell", "orl"), grad=0),
    case(text.substr, words("ab"), 5, 1, raises=InvalidArgumentError, match="out of range"),
    case(text.reduce_join, TABLE, axis=0, separator=".", expect=words("a.c", "b.d"), grad=0),
    case(text.reduce_join, TABLE, [0, 1], expect=np.array(b"acbd", object), grad=0),
    case(text.reduce_join, TABLE, [1, 0], expect=np.array(b"abcd", object), grad=0),
    case(text.reduce_join, TABLE, expect=np.array(b"abcd", object), grad=0),
    case(text.as_string, np.array([1.5, -2]), precision=2, expect=words("1.50", "-2.00"), grad=0),
    case(text.as_string, np.array([7, 42]), width=4, fill="0", expect=words("0007", "0042"), grad=0),
    case(text.as_string, np.array([True, False]), expect=words("true", "false"), grad=0),
    case(text.string_to_number, words("1.5", " -2e3"), expect=np.array([1.5, -2000], np.float32), grad=0),
    case(text.string_to_number, words("1.5"), out_type=np.int32, raises=InvalidArgumentError, match="could not correctly"),
    case(text.encode_base64, words(b"\xff\xfe"), expect=words("__4"), grad=0),
    case(text.decode_base64, words("__4", "__4="), expect=words(b"\xff\xfe", b"\xff\xfe"), grad=0),
    case(text.regex_replace, words("a1b22"), r"(\d)", r"<\1>", expect=words("a<1>b<2><2>"), grad=0),
    case(text.regex_full_match, words("ab", "abc"), "a.", expect=np.array([True, False]), grad=0),
    case(OPS["StaticRegexFullMatch"], words("ab", "abc"), pattern="a.", expect=np.array([True, False]), grad=0),
    case(OPS["ShardedFilename"], "model", 3, 12, expect=np.array(b"model-00003-of-00012", object), grad=0),
    case(text.string_length, words("ä"), expect=np.array([2], np.int32), grad=0),
    case(text.string_length, words("ä"), unit="UTF8_CHAR", expect=np.array([1], np.int32), grad=0),
    case(text.string_strip, words(" a "), expect=words("a"), grad=0),
])  # fmt: skip


TestTokens = conformance([
    case(text.string_split, words("a"), sep=",", delimiter=";", raises=ValueError, match="both"),
    case(text.string_split, words("a"), result_type="RaggedTensor", raises=ValueError, match="ragged",
         unasked="there are no ragged tensors here"),
    case(text.string_split, np.array([[b"a"]], object), raises=ValueError, match="rank 1"),
    case(lambda x: list(text.string_split(x).values.op.outputs), words("a b", "c"), grad=0, title="string_split",
         expect=[np.array([[0, 0], [0, 1], [1, 0]]), words("a", "b", "c"), np.array([2, 2])]),
])  # fmt: skip


def split_plainly(line, marks, skip_empty):
    parts = [b""]
    for place in range(len(line)):
        byte = line[place : place + 1]
        if byte in (marks[i : i + 1] for i in range(len(marks))):
            parts.append(b"")
        else:
            parts[-1] += byte
    kept = [part for part in parts if part or not skip_empty]
    return kept if line else []


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text("ab,]^", max_size=8), max_size=4),
    st.sampled_from([b",", b"]^", b"^,"]),
    st.booleans(),
)
def test_strings_are_split_at_each_mark(lines, marks, skip_empty):
    strings = words(*lines)
    indices, values, shape = text.string_split_op.kernel(strings, marks, skip_empty=skip_empty)
    expected = [split_plainly(line, marks, skip_empty) for line in strings.tolist()]
    assert values.tolist() == [part for row in expected for part in row]
    assert indices.tolist() == [[i, j] for i, row in enumerate(expected) for j in range(len(row))]
    assert shape.tolist() == [len(lines), max(map(len, expected), default=0)]
    assert (indices.dtype, shape.dtype) == (np.int64, np.int64)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (1, 1), (2, 0)])
def test_functions_of_strings_keep_every_shape(shape):
    strings = np.full(shape, b"hello", object)
    found = text.substr_op.kernel(strings, np.array([1]).reshape((1,) * len(shape)), 2, unit="BYTE")
    assert found.shape == shape
    assert found.dtype == object
    assert set(found.ravel().tolist()) <= {b"el"}


@pytest.mark.parametrize("wrong", ["1_0", "", "1.5", "+ 1", "2147483648", "0x1", "1\0"])
def test_what_spells_no_integer_is_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="could not correctly"):
        text.string_to_number_op.kernel(words(wrong), out_type=dtypes.int32)
