"""WAV files against the standard library's reader and writer; tests/oracle compares them with TensorFlow's."""

import io
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.media import wav_samples
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal


def run(value):
    with tf.Session() as session:
        return session.run(value)


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


def written(samples, rate):
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return held.getvalue()


SAMPLES = (normal(50, 2) * 9000).astype(np.int16)
FILE = written(SAMPLES, 22050)


CONTENTS = np.array([FILE], object).reshape(())
AUDIO = (SAMPLES / 32768).astype(np.float32)
TestSounds = conformance([
    case(OPS["DecodeWav"], CONTENTS, expect=[AUDIO, np.int32(22050)], grad=0),
    case(OPS["DecodeWav"], CONTENTS, desired_channels=1, desired_samples=20, expect=[AUDIO[:20, :1], np.int32(22050)], grad=0),
    case(OPS["DecodeWav"], [FILE], raises=ValueError, match="rank 0"),
    case(OPS["EncodeWav"], AUDIO, 22050, expect=CONTENTS, grad=0),
    case(OPS["EncodeWav"], AUDIO[0], 22050, raises=ValueError, match="rank 2"),
])  # fmt: skip


def test_a_file_of_the_standard_library_is_read():
    audio, rate = run(tf.audio.decode_wav(FILE))
    np.testing.assert_array_equal(audio, AUDIO)
    assert rate == 22050


def test_channels_and_samples_as_asked_for():
    audio = tf.audio.decode_wav(FILE, desired_channels=3, desired_samples=60).audio
    assert audio.shape.as_list() == [60, 3]
    found = run(audio)
    np.testing.assert_array_equal(found[:50, 2], found[:50, 1])
    assert not found[50:].any()


def test_what_is_written_is_what_the_standard_library_writes():
    assert run(tf.audio.encode_wav(AUDIO, 22050)) == FILE


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 43), st.integers(0, 255))
def test_a_wrong_byte_of_the_header_is_read_or_refused(at, value):
    hostile = FILE[:at] + bytes([value]) + FILE[at + 1 :]
    try:
        samples, _ = wav_samples(hostile)
    except ValueError:
        return
    assert samples.nbytes <= len(hostile)


@pytest.mark.parametrize("end", [0, 11, 30, 43, 100])
def test_a_file_cut_short_is_refused(end):
    with pytest.raises(tf.errors.InvalidArgumentError, match="too short"):
        run(tf.audio.decode_wav(FILE[:end]).audio)


def test_sounds_that_no_file_holds_are_refused():
    for audio, rate, message in (
        (np.zeros((3, 0)), 8000, "1 to 32767 channels, got 0"),
        (np.zeros((3, 1)), 0, "must be positive, got 0"),
        (np.zeros((1, 20000)), 2**31 - 1, "do not fit"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            run(tf.audio.encode_wav(audio.astype(np.float32), rate))
    with pytest.raises(ValueError, match="rank 2"):
        tf.audio.encode_wav([0.5], 8000)
    with pytest.raises(ValueError, match="must be non-negative, got -2"):
        tf.audio.decode_wav(FILE, desired_channels=-2)
    unknown = tf.placeholder_with_default(np.array([FILE], object), None)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be scalar"):
        run(tf.audio.decode_wav(unknown).audio)
