"""PNG images as arrays, and back. Knows bytes and arrays only.

Source: ISO/IEC 15948, "Portable Network Graphics (PNG): Functional specification"; for grey values of colours and for
opaque images the conventions of libpng, which decodes for TensorFlow.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8), RGB: (8, 16), GREY_ALPHA: (8, 16), RGBA: (8, 16)}  # fmt: skip
SHARES = (9797, 19234, 3737)
"""Red, green and blue in a grey value, in 32768ths: 0.299, 0.587 and the rest, rounded down."""
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))  # fmt: skip
"""First row and column, then steps of rows and columns, of the seven passes of an interlaced image."""


class BadPng(ValueError):
    """The bytes are no whole and valid PNG image."""


@dataclass(frozen=True)
class Header:
    """What the IHDR chunk says: sizes in pixels, bits of a sample, one of the colour types, interlacing."""

    width: int
    height: int
    depth: int
    colour: int
    is_interlaced: bool

    @property
    def bits(self) -> int:
        """Bits of one pixel."""
        return self.depth * SAMPLES[self.colour]


def decoded(contents: bytes, channels: int, *, is_wide: bool) -> Any:
    """The image [height, width, channels] in uint8, or in uint16 where `is_wide`. Raises BadPng.

    `channels` is 1 (grey), 3 (RGB), 4 (RGBA), or 0: as the image has them.
    """
    header, chunks = _chunks(contents)
    depth, colour = header.depth, header.colour
    samples = _samples(header, contents, b"".join(chunks.get(b"IDAT", [])))
    transparent = b"".join(chunks.get(b"tRNS", []))
    has_alpha = colour in (GREY_ALPHA, RGBA) or (colour == PALETTE and bool(transparent))
    wants_alpha = channels == 4 or (not channels and has_alpha)
    alpha = _alpha(header, samples, transparent) if wants_alpha else None
    if colour == PALETTE:
        values = _looked_up(b"".join(chunks.get(b"PLTE", [])), samples)
    else:
        values = samples[..., : 3 if colour in (RGB, RGBA) else 1]
        values = values * np.uint8(255 // (2**depth - 1)) if depth < 8 else values
    if channels == 1 and values.shape[2] == 3:
        values = _grey(values)
    elif channels >= 3 and values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    values, alpha = (_at_width(v, is_wide=is_wide) for v in (values, alpha))
    found = values if alpha is None else np.concatenate([values, alpha], axis=2)
    return np.ascontiguousarray(found)


def _chunks(contents: bytes) -> tuple[Header, dict[bytes, list[bytes]]]:
    """The header, and the data of all chunks by their types; each is checked against its sum."""
    place, chunks = len(SIGNATURE), dict[bytes, list[bytes]]()
    while b"IEND" not in chunks:
        start = place + 8
        if start > len(contents):
            raise BadPng("it ends before its end chunk")
        length, kind = struct.unpack(">I4s", contents[place:start])
        data = contents[start : start + length]
        check = contents[start + length : start + length + 4]
        if len(check) < 4 or struct.unpack(">I", check)[0] != zlib.crc32(kind + data):
            raise BadPng(f"its chunk {kind!r} is cut off or damaged")
        chunks.setdefault(kind, []).append(data)
        place = start + length + 4
    head = b"".join(chunks.get(b"IHDR", []))
    if len(head) != 13:
        raise BadPng("it has no header")
    width, height, depth, colour, packing, filtering, interlacing = struct.unpack(">IIBBBBB", head)
    is_known = depth in DEPTHS.get(colour, ()) and packing == filtering == 0 and interlacing <= 1
    if not is_known or not width or not height or max(width, height) >= 2**31:
        raise BadPng("its header is invalid")
    return Header(width, height, depth, colour, interlacing == 1), chunks


def _samples(header: Header, contents: bytes, data: bytes) -> Any:
    """The samples as they are stored: [height, width, samples], not scaled, palette indices not looked up.

    Pillow, where it is installed, is faster for bytes; elsewhere, and for other depths, it is done here.
    """
    if header.depth == 8:
        try:
            from PIL import Image
        except ImportError:
            pass
        else:
            return _samples_by_pillow(Image, header, contents)
    whole = (header.height, header.width)
    passes = ADAM7 if header.is_interlaced else ((0, 0, 1, 1),)
    parts = [(row, column, down, right, _count(whole[0], row, down), _count(whole[1], column, right))
             for row, column, down, right in passes]  # fmt: skip
    sizes = [rows * (1 + _stride(header, n)) if n else 0 for *_, rows, n in parts]
    flat = _inflated(data, sum(sizes))
    kind = np.uint16 if header.depth == 16 else np.uint8
    found, start = np.empty((*whole, SAMPLES[header.colour]), kind), 0
    for (row, column, down, right, rows, columns), size in zip(parts, sizes, strict=True):
        if size:
            lines = flat[start : start + size].reshape(rows, -1)
            found[row::down, column::right] = _pixels(header, lines, columns)
        start += size
    return found


def _samples_by_pillow(images: Any, header: Header, contents: bytes) -> Any:
    import io

    try:
        with images.open(io.BytesIO(contents), formats=["PNG"]) as image:
            found = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, images.DecompressionBombError) as error:
        raise BadPng(str(error)) from error
    return found.reshape(header.height, header.width, -1)


def _count(size: int, first: int, step: int) -> int:
    return max(0, -(-(size - first) // step))


def _stride(header: Header, columns: int) -> int:
    return (columns * header.bits + 7) // 8


def _inflated(data: bytes, size: int) -> Any:
    """`size` bytes out of the compressed data; no more memory is taken whatever the data says."""
    try:
        found = zlib.decompressobj().decompress(data, size)
    except zlib.error as error:
        raise BadPng(str(error)) from error
    if len(found) < size:
        raise BadPng(f"it holds {len(found)} bytes of pixels, not {size}")
    return np.frombuffer(found, np.uint8)


def _pixels(header: Header, lines: Any, columns: int) -> Any:
    """The samples [rows, columns, samples] of one pass."""
    kinds, step = lines[:, 0], max(1, header.bits // 8)
    if kinds.max(initial=0) > 4:
        raise BadPng(f"it has a line of the unknown filter {kinds.max()}")
    plain = lines[:, 1:].reshape(len(lines), -1, step)
    plain = _unfiltered(kinds, plain) if kinds.any() else plain
    plain = plain.reshape(len(lines), -1)
    if header.depth == 16:
        return np.ascontiguousarray(plain).view(">u2").reshape(len(lines), columns, -1)
    if header.depth == 8:
        return plain.reshape(len(lines), columns, -1)
    bits = np.unpackbits(plain, axis=1).reshape(len(lines), -1, header.depth)
    weights = 1 << np.arange(header.depth - 1, -1, -1, dtype=np.uint8)
    return (bits @ weights)[:, :columns, None]


def _unfiltered(kinds: Any, lines: Any) -> Any:
    """The bytes [rows, pixels, bytes of a pixel] of which the lines hold differences (clause 9).

    A pixel depends on its left, upper and upper left neighbour: all pixels of one antidiagonal are computed at once.
    """
    rows, columns, _ = lines.shape
    found = np.empty_like(lines)
    before, last, now = (np.zeros((rows + 1, lines.shape[2]), np.int16) for _ in range(3))
    for wave in range(rows + columns - 1):
        low, high = max(0, wave - columns + 1), min(rows, wave + 1)
        left, above, corner = last[low + 1 : high + 1], last[low:high], before[low:high]
        by_left, by_above = np.abs(above - corner), np.abs(left - corner)
        by_corner = np.abs(left + above - 2 * corner)
        is_left = (by_left <= by_above) & (by_left <= by_corner)
        nearest = np.where(is_left, left, np.where(by_above <= by_corner, above, corner))
        guesses: Any = [np.int16(0), left, above, (left + above) >> 1, nearest]
        at = np.arange(low, high)
        guess = np.choose(kinds[low:high, None], guesses)
        now[low + 1 : high + 1] = (lines[at, wave - at] + guess) & 255
        found[at, wave - at] = now[low + 1 : high + 1]
        before, last, now = last, now, before
    return found


def _looked_up(palette: bytes, places: Any) -> Any:
    if not palette or len(palette) % 3:
        raise BadPng("its palette is missing or cut off")
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette) // 3] = np.frombuffer(palette, np.uint8).reshape(-1, 3)[:256]
    return colours[places[..., 0]]


def _alpha(header: Header, samples: Any, transparent: bytes) -> Any:
    """How opaque each pixel is: [height, width, 1]; libpng's value for opaque pixels of fewer than 8 bits."""
    if header.colour in (GREY_ALPHA, RGBA):
        return samples[..., -1:]
    if header.colour == PALETTE and transparent:
        table = np.full(256, 255, np.uint8)
        table[: len(transparent)] = np.frombuffer(transparent[:256], np.uint8)
        return table[samples[..., :1]].reshape(*samples.shape[:2], 1)
    opaque = samples.dtype.type(65535 if header.depth == 16 else 255)
    if transparent:
        if len(transparent) != 2 * samples.shape[2]:
            raise BadPng("its transparent colour is cut off")
        clear = np.frombuffer(transparent, ">u2") & (2**header.depth - 1)
        return np.where((samples == clear).all(axis=2, keepdims=True), samples.dtype.type(0), opaque)  # fmt: skip
    value = opaque if header.depth == 16 else np.uint8(2**header.depth - 1)
    return np.full((*samples.shape[:2], 1), value, samples.dtype)


def _grey(values: Any) -> Any:
    """The grey values of colours; of 8 bits they are rounded down, of 16 to the nearest."""
    half = 16384 if values.dtype.itemsize == 2 else 0
    total = values.astype(np.int64) @ np.array(SHARES)
    return ((total + half) >> 15).astype(values.dtype)[..., None]


def _at_width(values: Any, *, is_wide: bool) -> Any:
    """The values in 16 or in 8 bits."""
    if values is None or (values.dtype.itemsize == 2) == is_wide:
        return values
    return values.astype(np.uint16) * np.uint16(257) if is_wide else (values >> 8).astype(np.uint8)


def encoded(image: Any, compression: int = -1) -> bytes:
    """A PNG image of [height, width, 1 to 4 channels] in uint8 or uint16; `compression` is zlib's level."""
    height, width, channels = image.shape
    depth = 8 * image.dtype.itemsize
    colour = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels]
    lines = np.ascontiguousarray(image.astype(image.dtype.newbyteorder(">"))).view(np.uint8)
    lines = _filtered(lines.reshape(height, width, -1))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), compression)),
        (b"IEND", b""),
    ]
    written = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]  # fmt: skip
    return SIGNATURE + b"".join(written)


def _filtered(lines: Any) -> Any:
    """Each line as it is, as differences to the left, or to above: whichever is smallest in sum (clause 12.8)."""
    left, above = np.zeros_like(lines), np.zeros_like(lines)
    left[:, 1:], above[1:] = lines[:, :-1], lines[:-1]
    choices = np.stack([lines, lines - left, lines - above]).reshape(3, len(lines), -1)
    sums = np.abs(choices.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    kinds = np.argmin(sums, axis=0)
    best = choices[kinds, np.arange(len(lines))]
    return np.concatenate([kinds.astype(np.uint8)[:, None], best], axis=1)
