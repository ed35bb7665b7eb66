"""Frames drawn into images, and glimpses cut out of them. The rules of rounding are TensorFlow's, found by running it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value

COLOURS = np.array([
    [1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1],
    [0.5, 0.5, 0, 1], [0.5, 0, 0, 1], [0, 0, 0.5, 1], [0, 1, 1, 1], [1, 0, 1, 1],
], np.float32)  # fmt: skip
"""Yellow, blue, red, lime, purple, olive, maroon, navy, aqua, fuchsia: those of the frames in turn."""

NO_GRADIENT = "TensorFlow says that there is none"
IMAGE = Attr("type", dtypes.float32, frozenset({dtypes.float32, dtypes.float16}))


def _framed(images, boxes, colours):
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        raise InvalidArgumentError(
            None, None, f"images must be [batch, height, width, 1, 3 or 4 channels], got {list(images.shape)}"
        )  # fmt: skip
    if boxes.ndim != 3 or boxes.shape[0] != images.shape[0] or boxes.shape[2] != 4:
        raise InvalidArgumentError(
            None, None, f"boxes must be [{images.shape[0]}, boxes, 4] for these images, got {list(boxes.shape)}"
        )  # fmt: skip
    if colours.shape[1] < images.shape[3]:
        raise InvalidArgumentError(
            None, None, f"colors must have equal or more channels than the image provided: {list(colours.shape)} for "
            f"{images.shape[3]} channels"
        )  # fmt: skip
    found = images.copy()
    for image, frames in zip(found, boxes, strict=True):
        for i, frame in enumerate(frames):
            _frame(image, frame, colours[i % len(colours), : images.shape[3]])
    return found


def _frame(image, box, colour) -> None:
    """Draw the border of a box given in shares of the image; parts outside are left out."""
    if not np.all(np.isfinite(box)):
        return
    height, width = image.shape[:2]
    scale = np.array([height - 1, width - 1] * 2, np.float32)
    top, left, bottom, right = (int(v) for v in np.trunc(box * scale))
    if top > bottom or left > right or top >= height or left >= width or bottom < 0 or right < 0:
        return
    rows = slice(max(top, 0), min(bottom, height - 1) + 1)
    columns = slice(max(left, 0), min(right, width - 1) + 1)
    for row in (top, bottom):
        if 0 <= row < height:
            image[row, columns] = colour
    for column in (left, right):
        if 0 <= column < width:
            image[rows, column] = colour


@op("DrawBoundingBoxes", "images: T, boxes: float32 -> output: T", T=IMAGE)
def draw_bounding_boxes_op(images, boxes):
    """The images with a frame for each box [top, left, bottom, right], in ten colours by turns."""
    grey = images.shape[-1] == 1
    return _framed(images, boxes, np.ones((1, 1), np.float32) if grey else COLOURS)


@op("DrawBoundingBoxesV2", "images: T, boxes: float32, colors: float32 -> output: T", T=IMAGE)
def draw_bounding_boxes_v2_op(images, boxes, colours):
    """The images with a frame for each box [top, left, bottom, right], in the given colours by turns."""
    if colours.ndim != 2:
        raise InvalidArgumentError(
            None, None, f"colors must be [colours, channels], got {list(colours.shape)}"
        )
    return _framed(images, boxes, colours if colours.size else COLOURS)


def _drawn_shape(images, *_):
    sizes = images.shape.with_rank_at_least(3).sizes
    if sizes is not None and sizes[-1] not in (None, 1, 3, 4):
        raise ShapeError(
            f"Channel depth should be either 1 (GRY), 3 (RGB), or 4 (RGBA), not {sizes[-1]}"
        )
    return [images.shape]


for _opdef in (draw_bounding_boxes_op, draw_bounding_boxes_v2_op):
    _opdef.shape(_drawn_shape)
draw_bounding_boxes_op.no_gradient(NO_GRADIENT)
draw_bounding_boxes_v2_op.no_gradient(UNDEFINED)


def draw_bounding_boxes(
    images: Any, boxes: Any, name: str | None = None, colors: Any = None
) -> Tensor:
    """The images [batch, height, width, 1, 3 or 4] with a frame for each box [batch, boxes, 4].

    A box is [top, left, bottom, right] in shares of the image; `colors` [colours, channels] are taken by turns.
    """
    if colors is None:
        return draw_bounding_boxes_op(images, boxes, name=name)
    return draw_bounding_boxes_v2_op(images, boxes, colors, name=name)


GLIMPSE = {"centered": True, "normalized": True, "uniform_noise": True, "noise": "uniform"}
SIGNATURE = "input: float32, size: int32, offsets: float32 -> glimpse: float32"


def _glimpses(images, size, corners, uniform_noise: bool, noise: str):
    """Windows of this size at `corners` [batch, 2]; noise where they reach beyond the image."""
    height, width = (int(v) for v in size)
    found = _noise(images, (height, width), "uniform" if uniform_noise else noise)
    for image, glimpse, (top, left) in zip(images, found, corners.tolist(), strict=True):
        rows = slice(max(top, 0), max(min(top + height, image.shape[0]), 0))
        columns = slice(max(left, 0), max(min(left + width, image.shape[1]), 0))
        part = image[rows, columns]
        if part.size:
            y, x = rows.start - top, columns.start - left
            glimpse[y : y + part.shape[0], x : x + part.shape[1]] = part
    return found


def _noise(images, size, kind: str):
    """What fills the outside: zeros, or values spread as those of the images; other ones in every run."""
    shape = (images.shape[0], *size, images.shape[3])
    if kind == "zero" or not images.size:
        return np.zeros(shape, images.dtype)
    draw = np.random.default_rng()
    if kind == "uniform":
        return draw.uniform(images.min(), images.max(), shape).astype(images.dtype)
    if kind != "gaussian":
        raise InvalidArgumentError(
            None, None, f"noise must be uniform, gaussian or zero, got {kind!r}"
        )
    found = draw.normal(images.mean((1, 2)), images.std((1, 2)), (*size, *shape[::3]))
    low, high = images.min((1, 2)), images.max((1, 2))
    return np.clip(found, low, high).transpose(2, 0, 1, 3).astype(images.dtype)


def _checked_glimpse(images, size, offsets) -> None:
    if images.ndim != 4 or np.shape(size) != (2,) or np.shape(offsets) != (images.shape[0], 2):
        raise InvalidArgumentError(
            None, None, f"input, size and offsets must be [batch, height, width, channels], [2] and [batch, 2], got "
            f"{list(images.shape)}, {list(np.shape(size))} and {list(np.shape(offsets))}"
        )  # fmt: skip
    if np.any(np.asarray(size) < 0):
        raise InvalidArgumentError(None, None, f"size must not be negative, got {size.tolist()}")


@op("ExtractGlimpse", SIGNATURE, **GLIMPSE)
def extract_glimpse_op(images, size, offsets, *, centered, normalized, uniform_noise, noise):
    """Windows around `offsets` (y, x), which are half as far from the centre as they say where `centered`."""
    _checked_glimpse(images, size, offsets)
    image = np.array(images.shape[1:3], np.float32)
    places = offsets * image if normalized else offsets
    if centered:
        places = places / 2 + image / 2
    corners = np.trunc(places - np.asarray(size, np.float32) / 2).astype(np.int64)
    return _glimpses(images, size, corners, uniform_noise, noise)


@op("ExtractGlimpseV2", SIGNATURE, **GLIMPSE)
def extract_glimpse_v2_op(images, size, offsets, *, centered, normalized, uniform_noise, noise):
    """Windows at `offsets` (y, x): in pixels, or in shares of the image, then around them where `centered`."""
    _checked_glimpse(images, size, offsets)
    image = np.array(images.shape[1:3], np.float32)
    places = offsets * image if normalized else offsets
    if centered and normalized:
        places = places / 2 + image / 2 - np.asarray(size, np.float32) / 2
    elif centered:
        places = places + image / 2
    return _glimpses(images, size, np.trunc(places).astype(np.int64), uniform_noise, noise)


def _glimpse_shape(images, size, offsets):
    batch, _, _, channels = images.shape.with_rank(4).sizes
    known = constant_value(size)
    inner = (None, None) if known is None else tuple(int(v) for v in known)
    return [(offsets.shape.with_rank(2).sizes[0] if batch is None else batch, *inner, channels)]


for _opdef in (extract_glimpse_op, extract_glimpse_v2_op):
    _opdef.shape(_glimpse_shape)
extract_glimpse_op.no_gradient(NO_GRADIENT)
extract_glimpse_v2_op.no_gradient(UNDEFINED)


def extract_glimpse(
    input: Any, size: Any, offsets: Any, centered: bool = True, normalized: bool = True,
    uniform_noise: bool = True, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Windows of `size` [height, width] of images [batch, height, width, channels] around `offsets` [batch, 2] (y, x).

    With `centered` (0, 0) is the centre of the image, otherwise its upper left corner; with `normalized` 1 is its
    edge. What lies outside is noise, uniform or Gaussian, of the images' range: other numbers in every run.
    """
    noise = "uniform" if uniform_noise else "gaussian"
    return extract_glimpse_op(
        input, size, offsets, centered=centered, normalized=normalized, uniform_noise=uniform_noise, noise=noise,
        name=name,
    )  # fmt: skip
