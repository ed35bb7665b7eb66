"""Pictures and sound as files, read again by others."""

import io
import struct
import wave
import zlib

import numpy as np
import pytest

from ckpt.core.media import png_bytes, wav_bytes


def chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place = 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + body)
        yield kind, body
        place += 12 + length


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_pixels_of_a_png(channels, colour, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (3, 5, channels), dtype)
    found = list(chunks(png_bytes(pixels)))
    assert [kind for kind, _ in found] == [b"IHDR", b"IDAT", b"IEND"]
    bits = 8 * np.dtype(dtype).itemsize
    assert struct.unpack(">IIBBBBB", found[0][1]) == (5, 3, bits, colour, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(found[1][1]), np.uint8).reshape(3, -1)
    assert not rows[:, 0].any()
    big_endian = np.dtype(dtype).newbyteorder(">")
    samples = np.ascontiguousarray(rows[:, 1:]).view(big_endian)
    np.testing.assert_array_equal(samples.reshape(3, 5, channels), pixels)


def test_the_samples_of_a_wav():
    frames = np.array([[0.5, -1], [2, -2], [np.nan, 0.25]], np.float32)
    with wave.open(io.BytesIO(wav_bytes(frames, 44100))) as found:
        assert found.getparams()[:4] == (2, 2, 44100, 3)
        samples = np.frombuffer(found.readframes(3), "<i2").reshape(3, 2)
    np.testing.assert_array_equal(samples, [[16384, -32768], [32767, -32768], [0, 8192]])


def test_halves_of_a_sample_are_rounded_away_from_zero():
    steps = np.array([0.4, 0.5, 1.5, -0.4, -0.5, -1.5, 0.6]) / 32768
    samples = np.frombuffer(wav_bytes(steps[:, np.newaxis], 8)[44:], "<i2")
    np.testing.assert_array_equal(samples, [0, 1, 2, 0, -1, -2, 1])  # TensorFlow's, asked
