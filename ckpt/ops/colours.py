"""Colours: between RGB and HSV, contrast, hue and saturation. Images are [..., channels].

Source of the formulas: Smith 1978, "Color gamut transform pairs"; of the operations: TensorFlow's image_ops.
"""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.signature import Attr
from ckpt.ops import indexing, reduction, reversing
from ckpt.ops.division import div_no_nan
from ckpt.ops.families import same_shape

KINDS = Attr("type", dtypes.float32, dtypes.FLOATING)
NARROW = Attr("type", dtypes.float32, frozenset({dtypes.float16, dtypes.float32}))


def _wide(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _to_hsv(images):
    if images.ndim < 1 or images.shape[-1] != 3:
        raise InvalidArgumentError(
            None, None, f"last dimension must be size 3 but is {list(images.shape)}"
        )
    x = _wide(images)
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value = x.max(-1)
    spread = value - x.min(-1)
    saturation = np.where(value > 0, spread / np.where(value > 0, value, 1), 0)
    unit = 1 / np.where(spread > 0, 6 * spread, 1)
    hue = np.where(
        red == value, unit * (green - blue),
        np.where(green == value, unit * (blue - red) + 2 / 6, unit * (red - green) + 4 / 6),
    )  # fmt: skip
    hue = np.where(spread > 0, np.where(hue < 0, hue + 1, hue), 0)
    return np.stack([hue, saturation, value], -1).astype(x.dtype)


def _to_rgb(images):
    if images.ndim < 1 or images.shape[-1] != 3:
        raise InvalidArgumentError(
            None, None, f"last dimension must be size 3 but is {list(images.shape)}"
        )
    x = _wide(images)
    turn, saturation, value = x[..., 0] * 6, x[..., 1], x[..., 2]
    ramps = np.stack([np.abs(turn - 3) - 1, 2 - np.abs(turn - 2), 2 - np.abs(turn - 4)], -1)
    return (((np.clip(ramps, 0, 1) - 1) * saturation[..., None] + 1) * value[..., None]).astype(
        x.dtype
    )


@op("RGBToHSV", "images: T -> output: T", T=KINDS)
def rgb_to_hsv(images):
    """Hue, saturation and value of RGB colours in [0, 1]."""
    return _to_hsv(images).astype(images.dtype, copy=False)


@op("HSVToRGB", "images: T -> output: T", T=KINDS)
def hsv_to_rgb(images):
    """RGB colours of hue, saturation and value in [0, 1]."""
    return _to_rgb(images).astype(images.dtype, copy=False)


@op("AdjustContrastv2", "images: T, contrast_factor: float32 -> output: T", T=NARROW)
def adjust_contrast_op(images, contrast_factor):
    """(x - mean) * contrast_factor + mean, with the mean of each channel of each image."""
    x = images.astype(np.float32)
    mean = x.mean((-3, -2), keepdims=True)
    return ((x - mean) * np.float32(contrast_factor) + mean).astype(images.dtype)


@op("AdjustHue", "images: T, delta: float32 -> output: T", T=NARROW)
def adjust_hue_op(images, delta):
    """Colours with their hue turned by `delta` of a whole turn."""
    hsv = _to_hsv(images.astype(np.float32))
    hsv[..., 0] = (hsv[..., 0] + np.float32(delta)) % 1
    return _to_rgb(hsv).astype(images.dtype)


@op("AdjustSaturation", "images: T, scale: float32 -> output: T", T=NARROW)
def adjust_saturation_op(images, scale):
    """Colours with their saturation times `scale`, at most 1."""
    hsv = _to_hsv(images.astype(np.float32))
    hsv[..., 1] = np.clip(hsv[..., 1] * np.float32(scale), 0, 1)
    return _to_rgb(hsv).astype(images.dtype)


def _three_channels(images):
    rank = images.shape.rank
    return [images.shape if rank is None else images.shape.merge_with([None] * (rank - 1) + [3])]


for _opdef in (rgb_to_hsv, hsv_to_rgb):
    _opdef.shape(_three_channels)
for _opdef in (adjust_contrast_op, adjust_hue_op, adjust_saturation_op):
    _opdef.shape(same_shape)
for _opdef in (adjust_contrast_op, adjust_hue_op, adjust_saturation_op):
    _opdef.no_gradient(UNDEFINED)
hsv_to_rgb.no_gradient("TensorFlow says that there is none")


@rgb_to_hsv.grad
def rgb_to_hsv_grad(node, dy):
    """With p and q the colours after the largest one: hue = (p - q) / 6 spread + a constant, saturation = spread / value."""
    (x,) = node.inputs
    dtype = x.dtype.base_dtype
    largest, least = (
        indexing.one_hot(place, 3, dtype=dtype)
        for place in (reduction.argmax(x, -1), reduction.argmin(x, -1))
    )
    value, low = (reduction.reduce_sum(x * mask, -1, keepdims=True) for mask in (largest, least))
    spread = value - low
    of_spread = largest - least
    of_distance = reversing.roll(largest, 1, -1) - reversing.roll(largest, 2, -1)  # of p - q
    slope = div_no_nan(reduction.reduce_sum(x * of_distance, -1, keepdims=True), spread)
    of_hue = div_no_nan(of_distance - slope * of_spread, 6 * spread)
    of_saturation = div_no_nan(of_spread - div_no_nan(spread, value) * largest, value)
    d_hue, d_saturation, d_value = (dy[..., i : i + 1] for i in range(3))
    return [d_hue * of_hue + d_saturation * of_saturation + d_value * largest]
