"""JPEG and GIF images as arrays, and JPEG back, through Pillow. Knows bytes and arrays only.

Pillow is the extra `images`; every function here needs it, and says so.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ckpt.core.errors import UnimplementedError

JPEG_START = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
EXTENSION, IMAGE, TRAILER, CONTROL = 0x21, 0x2C, 0x3B, 0xF9
DISPOSALS = 0b00011100
"""The bits of a control block that say what becomes of a frame before the next."""


class BadImage(ValueError):
    """The bytes are no image that Pillow can decode."""


def _pillow(task: str) -> Any:
    """The module PIL.Image. Raises UnimplementedError where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UnimplementedError(
            None, None, f"{task} needs the package Pillow: pip install 'ckpt[images]'"
        ) from error
    return Image


@contextmanager
def _opened(images: Any, contents: bytes, kind: str) -> Iterator[Any]:
    """The image as Pillow has it. Whatever Pillow finds wrong with it is raised as BadImage."""
    try:
        with images.open(io.BytesIO(contents), formats=[kind]) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, images.DecompressionBombError) as error:  # fmt: skip
        raise BadImage(str(error)) from error


def jpeg_decoded(contents: bytes, channels: int = 0, ratio: int = 1, *, is_cut: bool = False) -> Any:  # fmt: skip
    """The image [height, width, channels] in uint8, smaller by `ratio` (1, 2, 4, 8). Raises BadImage.

    `channels` is 1 (grey), 3 (RGB) or 0: as the image has them, four printing colours as RGB. `is_cut` lets pass what
    ends early: what is missing is grey. Pillow decodes with the exact transform (TensorFlow's INTEGER_ACCURATE).
    """
    images = _pillow("Decoding JPEG images")
    with _opened(images, contents + JPEG_END if is_cut else contents, "JPEG") as image:
        if image.mode == "CMYK" and channels == 1:
            raise BadImage("an image of four printing colours has no grey values")
        mode = {1: "L", 3: "RGB"}.get(channels, image.mode)
        size = tuple(max(1, n // ratio) for n in image.size)
        image.draft(mode if image.mode != "CMYK" else "CMYK", size)
        found = np.asarray(image)
    if image.mode == "CMYK":  # Pillow inverts what Adobe's programs have inverted
        inks = 255 - found.astype(np.uint16)
        return (inks[..., :3] * inks[..., 3:] // 255).astype(np.uint8)
    if channels == 3 and found.ndim == 2:
        return np.repeat(found[..., None], 3, axis=2)
    return found.reshape(*found.shape[:2], -1)


def jpeg_shape(contents: bytes) -> tuple[int, int, int]:
    """Height, width and channels of a JPEG image; its pixels are not decoded. Raises BadImage."""
    with _opened(_pillow("Reading JPEG images"), contents, "JPEG") as image:
        width, height = image.size
        return height, width, len(image.getbands())


def jpeg_encoded(
    image: Any, *, quality: int, progressive: bool = False, optimize: bool = False,
    chroma_downsampling: bool = True, density: tuple[int, int, int] = (1, 300, 300), xmp: bytes = b"",
) -> bytes:  # fmt: skip
    """A JPEG image of [height, width, 1 or 3 channels] in uint8; `density` is (1 inch or 2 cm, x, y)."""
    images = _pillow("Encoding JPEG images")
    written = io.BytesIO()
    images.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
        written, "JPEG", quality=max(1, quality), progressive=progressive, optimize=optimize,
        subsampling=2 if chroma_downsampling else 0, **({"xmp": xmp} if xmp else {}),
    )  # fmt: skip
    data = bytearray(written.getvalue())
    data[13:18] = struct.pack(">BHH", *density)  # in the JFIF header, which comes first
    return bytes(data)


def gif_decoded(contents: bytes) -> Any:
    """All frames [frames, height, width, 3] in uint8, each drawn over those before it. Raises BadImage."""
    images = _pillow("Decoding GIF images")
    frames = []
    with _opened(images, _without_disposals(contents), "GIF") as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
    return np.stack(frames)


def _without_disposals(contents: bytes) -> bytes:
    """The same file whose frames all stay: TensorFlow pays no heed to what a frame says should become of it.

    Source: GIF89a specification, clauses 18 to 26.
    """
    data = bytearray(contents)
    place = 13 + _table(data, 10)
    while place + 1 < len(data) and data[place] != TRAILER:
        if data[place] == EXTENSION:
            if data[place + 1] == CONTROL and place + 3 < len(data):
                data[place + 3] &= ~DISPOSALS
            place += 2
        elif data[place] == IMAGE and place + 9 < len(data):
            place += 11 + _table(data, place + 9)
        else:
            break
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1
    return bytes(data)


def _table(data: bytearray, place: int) -> int:
    """How many bytes the colour table takes that the flags at `place` announce."""
    flags = data[place] if place < len(data) else 0
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
