"""PNG by the specification: every filter, depth, colour type, interlacing; damaged and hostile bytes."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ckpt.ops import png

PILLOW = pytest.importorskip("PIL.Image")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def file_of(header, *parts):
    return png.SIGNATURE + chunk(b"IHDR", header) + b"".join(parts) + chunk(b"IEND", b"")


def header(width, height, depth, colour, interlacing=0):
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlacing)


def lines_of(kinds, pixels, step):
    """The filtered lines of `pixels` [rows, bytes], written as the specification says it, byte by byte."""
    lines = []
    for row, kind in enumerate(kinds):
        line = [kind]
        for i, value in enumerate(pixels[row].tolist()):
            left = int(pixels[row, i - step]) if i >= step else 0
            above = int(pixels[row - 1, i]) if row else 0
            corner = int(pixels[row - 1, i - step]) if row and i >= step else 0
            guess = left + above - corner
            nearest = min((left, above, corner), key=lambda v, g=guess: abs(g - v))
            line.append((value - (0, left, above, (left + above) // 2, nearest)[kind]) % 256)
        lines.append(bytes(line))
    return b"".join(lines)


@pytest.fixture(params=["with Pillow", "without Pillow"])
def pillow(request, monkeypatch):
    if request.param == "without Pillow":
        monkeypatch.setitem(sys.modules, "PIL", None)


@pytest.mark.parametrize("colour", [png.GREY, png.RGB, png.GREY_ALPHA, png.RGBA])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kinds", [[0] * 7, [1] * 7, [2] * 7, [3] * 7, [4] * 7, [0, 4, 2, 3, 1, 4, 3]])  # fmt: skip
def test_every_filter(pillow, colour, depth, kinds):
    samples = png.SAMPLES[colour]
    kind = np.dtype(f">u{depth // 8}")
    image = np.random.default_rng(0).integers(0, 2**depth, (7, 5, samples)).astype(kind)
    data = lines_of(kinds, image.reshape(7, -1).view(np.uint8), samples * depth // 8)
    made = file_of(header(5, 7, depth, colour), chunk(b"IDAT", zlib.compress(data)))
    np.testing.assert_array_equal(png.decoded(made, 0, is_wide=depth == 16), image)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_of_grey_are_scaled_and_opaque_pixels_have_libpngs_alpha(depth):
    values = np.random.default_rng(1).integers(0, 2**depth, (3, 11)).astype(np.uint8)
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    packed = np.packbits(bits.reshape(3, -1), axis=1)
    made = file_of(
        header(11, 3, depth, png.GREY), chunk(b"IDAT", zlib.compress(lines_of([0] * 3, packed, 1)))
    )
    scaled = values * (255 // (2**depth - 1))
    np.testing.assert_array_equal(png.decoded(made, 0, is_wide=False)[..., 0], scaled)
    found = png.decoded(made, 4, is_wide=True)
    np.testing.assert_array_equal(found[..., :3], np.repeat(scaled[..., None].astype(int), 3, 2) * 257)  # fmt: skip
    assert (found[..., 3] == (2**depth - 1) * 257).all()


def interlaced(image):
    """Adam7, by the specification's table of starts and steps."""
    data = b""
    for row, column, down, right in png.ADAM7:
        part = image[row::down, column::right]
        if part.size:
            data += lines_of([4] * len(part), part.reshape(len(part), -1), image.shape[2])
    return data


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 5), (9, 8), (17, 13)])
def test_interlaced(pillow, size):
    image = np.random.default_rng(2).integers(0, 256, (*size, 3)).astype(np.uint8)
    made = file_of(header(size[1], size[0], 8, png.RGB, 1), chunk(b"IDAT", zlib.compress(interlaced(image))))  # fmt: skip
    np.testing.assert_array_equal(png.decoded(made, 3, is_wide=False), image)


def paletted(transparent=b""):
    places = np.array([[0, 1, 2], [2, 3, 0]], np.uint8)
    colours = bytes([9, 8, 7, 200, 100, 50, 1, 2, 3, 255, 254, 253])
    extra = [chunk(b"tRNS", transparent)] if transparent else []
    data = chunk(b"IDAT", zlib.compress(lines_of([0, 0], places, 1)))
    made = file_of(header(3, 2, 8, png.PALETTE), chunk(b"PLTE", colours), *extra, data)
    return made, np.frombuffer(colours, np.uint8).reshape(-1, 3)[places], places


def test_palette(pillow):
    made, expected, _ = paletted()
    np.testing.assert_array_equal(png.decoded(made, 0, is_wide=False), expected)
    grey = png.decoded(made, 1, is_wide=False)
    assert grey.tolist()[0] == [[8], [124], [1]]


def test_palette_with_transparent_entries_has_alpha(pillow):
    made, expected, places = paletted(bytes([0, 128]))
    found = png.decoded(made, 0, is_wide=False)
    np.testing.assert_array_equal(found[..., :3], expected)
    np.testing.assert_array_equal(found[..., 3], np.array([0, 128, 255, 255])[places])
    np.testing.assert_array_equal(png.decoded(made, 3, is_wide=False), expected)


@pytest.mark.parametrize(("colour", "clear"), [(png.GREY, [5]), (png.RGB, [5, 6, 7])])
def test_a_transparent_colour_counts_only_where_alpha_is_asked_for(pillow, colour, clear):
    image = np.full((2, 2, len(clear)), 9, np.uint8)
    image[0, 1] = clear
    data = chunk(b"IDAT", zlib.compress(lines_of([1, 1], image.reshape(2, -1), len(clear))))
    made = file_of(header(2, 2, 8, colour), chunk(b"tRNS", np.array(clear, ">u2").tobytes()), data)
    assert png.decoded(made, 0, is_wide=False).shape[2] == len(clear)
    assert png.decoded(made, 4, is_wide=False)[..., 3].tolist() == [[255, 0], [255, 255]]


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)),
    ),
    st.integers(-1, 9),
)
def test_what_was_encoded_is_decoded(image, compression):
    data = png.encoded(image, compression)
    found = png.decoded(data, 0, is_wide=image.dtype == np.uint16)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)
    if image.dtype == np.uint8:
        with PILLOW.open(io.BytesIO(data)) as read:
            np.testing.assert_array_equal(np.asarray(read).reshape(image.shape), image)


def test_16_bits_lose_their_lower_half_and_grey_is_rounded_before():
    image = np.array([[[17202, 36332, 27603]]], np.uint16)
    data = png.encoded(image)
    assert png.decoded(data, 3, is_wide=False).tolist() == [[[67, 141, 107]]]
    assert png.decoded(data, 1, is_wide=True).tolist() == [[[29617]]]
    assert png.decoded(data, 1, is_wide=False).tolist() == [[[115]]]


def test_cut_off_anywhere_is_refused(pillow):
    data = png.encoded(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    for end in range(len(data)):
        with pytest.raises(png.BadPng):
            png.decoded(data[:end], 0, is_wide=False)


@settings(max_examples=60)
@given(st.data())
def test_damage_is_refused_or_does_no_harm(data):
    good = bytearray(png.encoded(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)))
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        png.decoded(bytes(good), 3, is_wide=False)
    except png.BadPng:
        pass


@pytest.mark.parametrize(
    "head",
    [header(0, 4, 8, 2), header(5, 0, 8, 2), header(5, 4, 3, 2), header(5, 4, 8, 5), header(5, 4, 8, 2, 7), b""],
)  # fmt: skip
def test_hostile_headers(head):
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    with pytest.raises(png.BadPng, match="header"):
        png.decoded(file_of(head, data), 0, is_wide=False)


def test_a_huge_image_of_few_bytes_takes_no_memory(pillow):
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    with pytest.raises(png.BadPng):
        png.decoded(file_of(header(2**30, 2**30, 8, 2), data), 0, is_wide=False)


def test_too_few_pixels_and_unknown_filters_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    short = file_of(header(5, 4, 8, png.RGB), chunk(b"IDAT", zlib.compress(bytes(10))))
    with pytest.raises(png.BadPng, match="holds 10 bytes of pixels, not 64"):
        png.decoded(short, 0, is_wide=False)
    wrong = file_of(header(1, 1, 8, png.GREY), chunk(b"IDAT", zlib.compress(bytes([9, 0]))))
    with pytest.raises(png.BadPng, match="unknown filter 9"):
        png.decoded(wrong, 0, is_wide=False)


def test_a_palette_is_needed():
    data = chunk(b"IDAT", zlib.compress(bytes(2)))
    with pytest.raises(png.BadPng, match="palette"):
        png.decoded(file_of(header(1, 1, 8, png.PALETTE), data), 0, is_wide=False)
