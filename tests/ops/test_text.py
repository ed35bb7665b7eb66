"""Strings: joined, split, converted, searched."""

import numpy as np

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
