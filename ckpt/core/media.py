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


def wav_samples(data: bytes) -> tuple[Any, int]:
    """(the samples of a WAV file as int16 [frames, channels], how many frames a second has).

    Only uncompressed samples of 16 bits are read; other chunks are passed over, without a byte of filling after those of
    odd length. Raises ValueError for a file that is not one, is cut short, or holds other samples.
    """
    _expect(data, 0, b"RIFF")
    _expect(data, 8, b"WAVE")
    _expect(data, 12, b"fmt ")
    (length,) = struct.unpack("<I", _part(data, 16, 4))
    if length not in (16, 18):
        raise ValueError(f"Bad format chunk size for WAV: Expected 16 or 18, but got{length}")
    kind, channels, rate, per_second, per_frame, bits = struct.unpack("<HHIIHH", _part(data, 20, 16))  # fmt: skip
    if kind != 1:
        raise ValueError(f"Bad audio format for WAV: Expected 1 (PCM), but got{kind}")
    if channels < 1:
        raise ValueError("Bad number of channels for WAV: Expected at least 1, but got 0")
    if bits != 16:
        raise ValueError(f"Can only read 16-bit WAV files, but received {bits}")
    if per_frame != 2 * channels:
        raise ValueError(
            f"Bad bytes per sample in WAV header: Expected {2 * channels} but got {per_frame}"
        )
    if per_second != per_frame * rate:
        raise ValueError(
            f"Bad bytes per second in WAV header: Expected {per_frame * rate} but got {per_second} "
            f"(sample_rate={rate}, bytes_per_sample={per_frame})"
        )
    found = None
    at = 20 + length
    while at < len(data):
        chunk, (size,) = _part(data, at, 4), struct.unpack("<I", _part(data, at + 4, 4))
        if chunk == b"data":
            if found is not None:
                raise ValueError("More than one data chunk found in WAV")
            whole = size // per_frame * per_frame
            found = np.frombuffer(_part(data, at + 8, whole), "<i2").reshape(-1, channels)
        at += 8 + size
    if found is None:
        raise ValueError("No data chunk found in WAV")
    return found, rate


def _part(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise ValueError("Data too short when trying to read string")
    return data[at : at + count]


def _expect(data: bytes, at: int, word: bytes) -> None:
    found = _part(data, at, len(word))
    if found != word:
        shown = found.decode("latin-1")
        raise ValueError(f"Header mismatch: Expected {word.decode()} but found {shown}")
