"""Strings in other forms: case, encodings, templates, printing."""

import sys

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops import text_forms
from tests.conformance.ops import case, conformance

WORDS = np.array([["aÉ".encode(), b"xYz"], [b"", "straße".encode()]], object)
BROKEN = np.array([b"a\xffb", b"ok\x01"], object)
IDS = np.array([0, 2, 0, 2])
FOUR = np.array([b"a", b"b", b"c", b"d"], object)
THIRDS = np.array([1 / 3, 1e-9, 1e20, 0.1, np.inf, -np.nan], np.float32)


def formatted(*inputs, template="{}", **attrs):
    return text_forms.string_format(template, list(inputs), **attrs)


TestForms = conformance([
    *[case(OPS[name], WORDS, encoding=encoding, grad=0) for name in ("StringLower", "StringUpper") for encoding in ("", "utf-8")],
    case(OPS["StringLower"], WORDS, encoding="latin-1", raises=InvalidArgumentError, match="utf-8"),
    *[case(OPS["UnicodeTranscode"], WORDS, input_encoding="UTF-8", output_encoding=encoding, grad=0)
      for encoding in ("UTF-8", "UTF-16-BE", "UTF-32-BE")],
    *[case(OPS["UnicodeTranscode"], BROKEN, input_encoding="UTF-8", output_encoding="UTF-8", grad=0, **more)
      for more in ({"errors": "ignore"}, {"replacement_char": 63}, {"replace_control_characters": True})],
    case(OPS["UnicodeTranscode"], BROKEN, input_encoding="UTF-8", output_encoding="UTF-8", errors="strict",
         raises=InvalidArgumentError, match="Invalid formatting"),
    case(OPS["UnsortedSegmentJoin"], FOUR, IDS, 3, separator="-", grad=0),
    case(OPS["UnsortedSegmentJoin"], FOUR.reshape(2, 2), np.array([1, 1]), 2, grad=0),
    case(OPS["UnsortedSegmentJoin"], FOUR, IDS, 2, raises=InvalidArgumentError, match="out of range"),
])  # fmt: skip


def after_printing(x):
    with tf.control_dependencies([OPS["PrintV2"]("a row", end=".")]):
        return tf.identity(x)


TestTemplates = conformance([
    case(after_printing, np.arange(3), expect=np.arange(3), grad=0),
    case(OPS["StringFormat"], [], template="nothing", grad=0),
    *[case(formatted, x, grad=0) for x in (
        np.arange(10), np.arange(6), np.arange(12).reshape(3, 4), np.arange(12).reshape(2, 2, 3), THIRDS,
        THIRDS.astype(np.float64), np.array([True, False]), FOUR, np.float32(1.5), np.zeros(0, np.float32),
        np.arange(200).reshape(2, 10, 10))],
    case(formatted, np.arange(100).reshape(10, 10), summarize=2, grad=0),
    case(formatted, np.arange(10), summarize=-1, grad=0),
    case(formatted, np.arange(3), np.float32(2), template="a [p] b [p]", placeholder="[p]", grad=0),
    case(formatted, np.arange(3), template="none", raises=ValueError, match="expects 0 tensors"),
])  # fmt: skip


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_printing_writes_tensors_in_nests(capsys, stream):
    line = tf.print(
        "a {}",
        tf.range(3),
        [tf.constant(1), "x"],
        {"k": tf.constant(2.5)},
        output_stream=getattr(sys, stream),
    )
    with tf.Session() as session:
        session.run(line)
    assert (
        getattr(capsys.readouterr(), "out" if stream == "stdout" else "err")
        == "a {} [0 1 2] [1, 'x'] {'k': 2.5}\n"
    )


def test_a_text_alone_is_printed_as_it_is(capsys):
    """As in TensorFlow; beside others it stands in quotes."""
    text = tf.constant("a {} b")
    with tf.Session() as session:
        session.run([tf.print(text)])
        session.run([tf.print(text, text)])
    assert capsys.readouterr().err == 'a {} b\n"a {} b" "a {} b"\n'


def test_nodes_take_the_names_that_they_are_given():
    tf.reset_default_graph()
    line = tf.print(tf.constant(1), name="said")
    joined = tf.reduce_join([["a", "b"]], 0, name="joined")
    turned = tf.image.transpose_image(tf.zeros([2, 3, 1]), name="turned")
    assert [line.name, line.inputs[0].op.name] == ["said", "said_format"]
    assert [joined.op.name, turned.op.name] == ["ReduceJoin/joined", "turned/turned"]


def test_printing_into_a_file_adds_lines(tmp_path):
    path = tmp_path / "lines.txt"
    line = tf.print(tf.constant([1, 2]), output_stream=f"file://{path}", end=";")
    with tf.Session() as session:
        session.run(line)
        session.run(line)
    assert path.read_text() == "[1 2];[1 2];"


def test_printing_refuses_unknown_streams():
    with pytest.raises(ValueError, match="output stream"):
        tf.print("x", output_stream=3)


def test_splitting_as_python_splits():
    with tf.Session() as session:
        found = session.run(tf.strings.split(["a b  c", "d"]))
        cut = session.run(tf.strings.split(["a,b,c"], ",", maxsplit=1))
    assert found.values.tolist() == [b"a", b"b", b"c", b"d"]
    assert cut.values.tolist() == [b"a", b"b,c"]
