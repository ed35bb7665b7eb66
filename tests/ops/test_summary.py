"""Values packed for TensorBoard."""

import io
import struct
import wave
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import summary
from tests.conformance.ops import case, conformance, normal

PNG = "the bytes of a PNG are the compressor's choice"
ONE = summary.scalar_summary
REMOVED = "TensorFlow 2 took it out of new graphs"
WIDE = np.array([1, 2, -3, 0, 1e30, -1e25, 7, 7.5, 1e-13], np.float64)
PIXELS = np.arange(48, dtype=np.uint8).reshape(2, 2, 4, 3)
METADATA = b"\n\x06\n\x04text"

TestSummaries = conformance([
    case(ONE, "loss", np.float32(1.5), grad=0),
    case(ONE, ["a", "b"], np.array([1, 2], np.int64), grad=0),
    case(ONE, "a", [1.0, 2.0], raises=InvalidArgumentError, match="not the same shape"),
    case(summary.histogram_summary, "h", WIDE, grad=0),
    case(summary.histogram_summary, "h", np.array([], np.float32), grad=0),
    case(summary.histogram_summary, "h", np.array([[1, 2], [3, 250]], np.uint8), grad=0),
    case(summary.histogram_summary, "h", [np.nan], raises=InvalidArgumentError, match="Nan in summary histogram for: "),
    case(summary.histogram_summary, "h", [np.inf], raises=InvalidArgumentError, match="Infinity in Histogram for: "),
    case(summary.histogram_summary, ["a", "b"], [1.0], raises=InvalidArgumentError, match="scalar"),
    case(summary.image_summary, "i", PIXELS, grad=0, unasked=PNG),
    case(summary.image_summary, "i", normal(2, 2), raises=InvalidArgumentError, match="must be 4-D"),
    case(summary.image_summary, "i", normal(1, 2, 2, 2), raises=InvalidArgumentError, match="last dim 1, 3, or 4"),
    case(summary.image_summary, "i", np.zeros((1, 0, 1, 1), np.uint8), raises=InvalidArgumentError, match="non-zero"),
    case(summary.audio_summary_v2, "a", normal(4, 5, 2), np.float32(8), grad=0),
    case(summary.audio_summary_v2, "a", normal(2, 5), np.float32(8), max_outputs=1, grad=0),
    case(summary.audio_summary_v2, "a", normal(2), np.float32(8), raises=InvalidArgumentError, match="3-D or 2-D"),
    case(summary.audio_summary_v2, "a", normal(1, 2), np.float32(0), raises=InvalidArgumentError, match="must be > 0"),
    case(summary.audio_summary_v2, "a", normal(1, 2, 0), np.float32(1), raises=InvalidArgumentError, match="channels"),
    case(summary.audio_summary, "a", normal(1, 5), sample_rate=8.0, grad=0, unasked=REMOVED),
    case(summary.tensor_summary, normal(2, 3), grad=0),
    case(summary.tensor_summary_v2, "t", np.array([b"x", b"y"], object), METADATA, grad=0),
    case(summary.tensor_summary_v2, "t", np.array([[1, 2]]), b"", grad=0),
    case(summary.tensor_summary_v2, "t", 1, ["", ""], raises=InvalidArgumentError, match="must be scalar"),
    case(summary.merge_summary, [b"\n\x08\n\x01a\x15\x00\x00\x80?", b""], grad=0),
    case(summary.merge_summary, [b"\x01garbage"], raises=InvalidArgumentError, match="Could not parse"),
    case(summary.merge_summary, [b"\n\x08\n\x01a\x15\x00\x00\x80?"] * 2, raises=InvalidArgumentError, match="Duplicate tag a"),
])  # fmt: skip


def values(found):
    with tf.Session() as session:
        return tf.Summary.FromString(session.run(found)).value


def pixels_of(image):
    """The rows of an unfiltered PNG."""
    data = image.encoded_image_string
    place = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[place - 4 : place])
    rows = np.frombuffer(zlib.decompress(data[place + 4 : place + 4 + length]), np.uint8)
    return rows.reshape(image.height, -1)[:, 1:].reshape(image.height, image.width, -1)


def test_floats_of_an_image_are_scaled_together():
    batch = np.array([[1, 2, 4, np.nan], [-1, 0, 0.5, 1], [0, 0, 0, 0]], np.float32)
    found = values(tf.summary.image("i", batch.reshape(3, 1, 4, 1)))
    assert [value.tag for value in found] == ["i/image/0", "i/image/1", "i/image/2"]
    rows = [pixels_of(value.image).ravel().tolist() for value in found]
    assert rows == [[63, 127, 255, 255], [1, 128, 191, 255], [0, 0, 0, 0]]
    (one,) = values(tf.summary.image("j", tf.constant(PIXELS), max_outputs=1))
    assert one.tag == "j/image"
    np.testing.assert_array_equal(pixels_of(one.image), PIXELS[0])


def test_sounds_are_16_bit():
    (one,) = values(tf.summary.audio("a", np.array([[0.5, -1, 2]], np.float32), 8, max_outputs=1))
    assert (one.tag, one.audio.sample_rate, one.audio.length_frames) == ("a/audio", 8, 3)
    with wave.open(io.BytesIO(one.audio.encoded_audio_string)) as found:
        assert np.frombuffer(found.readframes(3), "<i2").tolist() == [16384, -32768, 32767]


@given(arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e30, 1e30)))
def test_a_histogram_counts_every_value_between_its_limits(numbers):
    with tf.Graph().as_default():
        (found,) = values(tf.summary.histogram("h", tf.constant(numbers)))
    histogram = found.histo
    limits, counts = np.array(histogram.bucket_limit), np.array(histogram.bucket)
    assert counts.sum() == histogram.num == len(numbers)
    assert (np.diff(limits) > 0).all()
    lower = np.concatenate([[-np.inf], limits[:-1]])
    for low, high, count in zip(lower, limits, counts, strict=True):
        assert ((numbers >= low) & (numbers < high)).sum() == count


def test_names_tags_and_families():
    first = tf.summary.scalar("a b/c$", 3.0, family="fam!")
    second = tf.summary.scalar("x", 1.0)
    third = tf.summary.scalar("x", 2.0)
    assert [first.op.name, second.op.name, third.op.name] == ["fam_/a_b/c_", "x", "x_1"]
    assert [values(one)[0].tag for one in (first, second, third)] == [
        "fam_/fam_/a_b/c_",
        "x",
        "x_1",
    ]
    assert tf.get_collection(tf.GraphKeys.SUMMARIES) == [first, second, third]
    elsewhere = tf.summary.histogram("y", [1.0], collections=["mine"])
    assert tf.get_collection("mine") == [elsewhere]
    assert [value.tag for value in values(tf.summary.merge_all())] == [
        "fam_/fam_/a_b/c_",
        "x",
        "x_1",
    ]
    assert [value.tag for value in values(tf.summary.merge_all("mine"))] == ["y"]
    assert [value.tag for value in values(tf.summary.merge_all(scope="fam_"))] == [
        "fam_/fam_/a_b/c_"
    ]
    assert tf.summary.merge_all("nothing") is None


def test_texts_and_tensors_say_who_is_to_show_them():
    (text,) = values(tf.summary.text("t", ["x", "y"]))
    assert text.metadata.plugin_data.plugin_name == "text"
    assert list(text.tensor.string_val) == [b"x", b"y"]
    with pytest.raises(ValueError, match="dtype string, got <dtype: 'int32'>"):
        tf.summary.text("t", [1])
    (tensor,) = values(
        tf.summary.tensor_summary("n", [1, 2], summary_description="why", display_name="shown")
    )
    assert (tensor.metadata.display_name, tensor.metadata.summary_description) == ("shown", "why")
    np.testing.assert_array_equal(tf.make_ndarray(tensor.tensor), [1, 2])


def test_the_description_in_a_node():
    node = tf.NodeDef(op="TensorSummary", name="n")
    node.attr["description"].s = b'{"type_hint": "x"}'
    assert tf.summary.get_summary_description(node).type_hint == "x"
    with pytest.raises(ValueError, match="Can't get_summary_description on Add"):
        tf.summary.get_summary_description(tf.NodeDef(op="Add"))
