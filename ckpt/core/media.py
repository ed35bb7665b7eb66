"""Pictures and sound as files: PNG and WAV. Must not know tensors or summaries.

Sources: W3C, Portable Network Graphics, second edition; Microsoft and IBM, Multimedia Programming Interface 1.0 (RIFF).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

_COLOUR_TYPES = {
    1: 0,
    2: 4,
    3: 2,
    4: 6,
}  # by channels: grey, grey with alpha, colour, colour with alpha


def png_bytes(pixels: Any) -> bytes:
    """A PNG file of `pixels`: uint8 or uint16, [height, width, channels] with 1 to 4 channels."""
    height, width, channels = pixels.shape
    samples = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">")))
    rows = samples.reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], 1)  # each row: no filter
    header = struct.pack(
        ">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, _COLOUR_TYPES[channels], 0, 0, 0
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        _chunk(b"IHDR", header),
        _chunk(b"IDAT", zlib.compress(filtered.tobytes())),
        _chunk(b"IEND", b""),
    ))  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def wav_bytes(frames: Any, sample_rate: int) -> bytes:
    """A WAV file of 16-bit samples. `frames`: floats in [-1, 1] (what is outside is cut), [frames, channels]; rate in Hz."""
    channels = frames.shape[1]
    scaled = np.nan_to_num(frames.astype(np.float64)) * 32768
    rounded = np.trunc(scaled + np.copysign(0.5, scaled))  # halves away from zero
    data = np.clip(rounded, -32768, 32767).astype("<i2").tobytes()
    layout = struct.pack(
        "<HHIIHH", 1, channels, sample_rate, sample_rate * channels * 2, channels * 2, 16
    )
    body = b"".join((
        b"WAVEfmt ", struct.pack("<I", len(layout)), layout, b"data", struct.pack("<I", len(data)), data,
    ))  # fmt: skip
    return b"RIFF" + struct.pack("<I", len(body)) + body
