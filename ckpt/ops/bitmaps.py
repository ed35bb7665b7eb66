"""BMP images as arrays. Knows bytes and arrays only.

Source: Microsoft, "Bitmap Storage" (BITMAPFILEHEADER and BITMAPINFOHEADER); which of it is read is TensorFlow's choice:
uncompressed pixels of 8, 24 or 32 bits, of which 8 bits are grey values.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

SIGNATURE = b"BM"
HEADER = 30


class BadBitmap(ValueError):
    """The bytes are no BMP image, or one that TensorFlow does not read."""


def decoded(contents: bytes, channels: int) -> Any:
    """The image [height, width, channels] in uint8; `channels` is 3, 4 or 0: as the image has them. Raises BadBitmap."""
    if len(contents) < HEADER:
        raise BadBitmap(
            f"Incomplete bmp content, requires at least 32 bytes to find the header size, width, height, and bpp, got {len(contents)} bytes"
        )
    start, _, width, height, _, bits = struct.unpack("<IIiiHH", contents[10:HEADER])
    inherent = bits // 8
    if inherent not in (1, 3, 4):
        raise BadBitmap(f"Number of channels inherent in the image must be 1, 3 or 4, was {inherent}")  # fmt: skip
    if width <= 0 or not height:
        raise BadBitmap(f"The BMP image is {width} wide and {height} high")
    rows, stride = abs(height), (width * bits + 31) // 32 * 4
    if start + rows * stride > len(contents):
        raise BadBitmap(f"Incomplete bmp content, requires at least {start + rows * stride} bytes, got {len(contents)} bytes")  # fmt: skip
    lines = np.frombuffer(contents, np.uint8, rows * stride, start).reshape(rows, stride)
    found = lines[:, : width * inherent].reshape(rows, width, inherent)
    if height > 0:  # the lowest line comes first
        found = found[::-1]
    colours = found[..., 2::-1] if inherent >= 3 else found
    if channels >= 3 and inherent == 1:
        colours = np.repeat(found, 3, axis=2)
    if (channels or inherent) == 4:
        opaque = np.full((*found.shape[:2], 1), 255, np.uint8)
        alpha = found[..., 3:] if inherent == 4 else opaque
        return np.concatenate([colours, alpha], axis=2)
    return np.ascontiguousarray(colours)
