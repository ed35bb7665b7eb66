"""Other colour spaces of images, their edges and slopes, how alike two are, and resizing with borders."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model import images as whole
from ckpt.ops import (
    casting,
    constants,
    contraction,
    convolution,
    elementwise,
    joining,
    reduction,
    reversing,
    shaping,
)

YIQ = [
    [0.299, 0.59590059, 0.2115],
    [0.587, -0.27455667, -0.52273617],
    [0.114, -0.32134392, 0.31119955],
]
FROM_YIQ = [
    [1.0, 1.0, 1.0],
    [0.95598634, -0.27201283, -1.10674021],
    [0.6208248, -0.64720424, 1.70423049],
]
YUV = [
    [0.299, -0.14714119, 0.61497538],
    [0.587, -0.28886916, -0.51496512],
    [0.114, 0.43601035, -0.10001026],
]
FROM_YUV = [[1.0, 1.0, 1.0], [0.0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0.0]]
"""Rows: red, green, blue (or the reverse). Source: the NTSC and PAL definitions, ITU-R BT.470."""
SOBEL = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], np.float32)


def _mixed(images: Any, matrix: list[list[float]]) -> Tensor:
    images = convert.convert_to_tensor(images, name="images")
    kernel = constants.constant(matrix, dtype=images.dtype, name="kernel")
    return contraction.tensordot(images, kernel, [[(images.shape.rank or 1) - 1], [0]])


def rgb_to_yiq(images: Any) -> Tensor:
    """Images [..., 3] of red, green and blue as luma and the two chroma values of NTSC."""
    return _mixed(images, YIQ)


def yiq_to_rgb(images: Any) -> Tensor:
    """Images [..., 3] of NTSC's luma and chroma as red, green and blue."""
    return _mixed(images, FROM_YIQ)


def rgb_to_yuv(images: Any) -> Tensor:
    """Images [..., 3] of red, green and blue as luma and the two chroma values of PAL."""
    return _mixed(images, YUV)


def yuv_to_rgb(images: Any) -> Tensor:
    """Images [..., 3] of PAL's luma and chroma as red, green and blue."""
    return _mixed(images, FROM_YUV)


def image_gradients(image: Any) -> tuple[Tensor, Tensor]:
    """(differences to the next row, to the next column) of images [batch, rows, columns, channels]; 0 at the end.

    Raises ValueError for another rank.
    """
    image = convert.convert_to_tensor(image)
    if image.shape.rank != 4:
        raise ValueError(
            f"image_gradients expects a 4D tensor [batch_size, h, w, d], not {image.shape}."
        )
    dy = image[:, 1:] - image[:, :-1]
    dx = image[:, :, 1:] - image[:, :, :-1]
    return (
        reversing.pad(dy, [[0, 0], [0, 1], [0, 0], [0, 0]]),
        reversing.pad(dx, [[0, 0], [0, 0], [0, 1], [0, 0]]),
    )


def sobel_edges(image: Any) -> Tensor:
    """The Sobel slopes along rows and columns: [batch, rows, columns, channels, 2]."""
    image = convert.convert_to_tensor(image)
    static, depth = image.shape, image.shape.as_list()[3]
    kernels = np.stack([SOBEL, SOBEL.T], axis=-1)[:, :, None, :]
    filters = constants.constant(np.tile(kernels, (1, 1, depth, 1)), dtype=image.dtype)
    wide = reversing.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
    found = convolution.depthwise_conv2d_native(
        wide, filters, strides=[1, 1, 1, 1], padding="VALID"
    )
    shape = joining.concat([shaping.shape(image), [2]], 0)
    found = shaping.reshape(found, shape)
    found.set_shape(static.concatenate([2]))
    return found


def psnr(a: Any, b: Any, max_val: float, name: str | None = None) -> Tensor:
    """The peak signal-to-noise ratio of images [..., rows, columns, channels], in decibels: float32 [...]."""
    with name_scope(name, "PSNR", [a, b]):
        kind = convert.convert_to_tensor(a).dtype
        limit = casting.cast(max_val, kind)
        limit, a, b = (whole.convert_image_dtype(v, dtypes.float32) for v in (limit, a, b))
        error = reduction.reduce_mean(elementwise.squared_difference(a, b), [-3, -2, -1])
        peak = 20 * elementwise.log(limit) / math.log(10.0)
        found: Tensor = elementwise.sub(
            peak, np.float32(10 / math.log(10)) * elementwise.log(error), name="psnr"
        )
        return found


def _fitted(images: Tensor, *targets: int) -> tuple[Any, Any]:
    """(the size of images that fit into the target, how many rows and columns of zeros are before them), in float32."""
    known = images.shape.as_list()[1:3]
    if None not in known:
        sizes = [np.float32(n) for n in known]
        ratio = max(n / np.float32(t) for n, t in zip(sizes, targets, strict=True))
        exact = [n / ratio for n in sizes]
        before = [max(0, math.floor((t - n) / np.float32(2))) for n, t in zip(exact, targets, strict=True)]  # fmt: skip
        return [math.floor(n) for n in exact], before
    actual = [casting.cast(n, dtypes.float32) for n in joining.unstack(shaping.shape(images)[1:3])]
    ratio = elementwise.maximum(*[n / float(t) for n, t in zip(actual, targets, strict=True)])
    fitted = [n / ratio for n in actual]
    gaps = [elementwise.floor((float(t) - n) / 2) for n, t in zip(fitted, targets, strict=True)]
    whole_gaps = [casting.cast(elementwise.maximum(gap, 0.0), dtypes.int32) for gap in gaps]
    rounded = [casting.cast(elementwise.floor(n), dtypes.int32) for n in fitted]
    return joining.stack(rounded), whole_gaps


def resize_image_with_pad(
    image: Any, target_height: int, target_width: int, method: Any = whole.ResizeMethod.BILINEAR,
    align_corners: bool = False,
) -> Tensor:  # fmt: skip
    """Images as large as fits into the target size with their own proportions, in the middle of zeros."""
    with name_scope(None, "resize_image_with_pad", [image]):
        image = convert.convert_to_tensor(image, name="image")
        is_single = image.shape.rank == 3
        images = shaping.expand_dims(image, 0) if is_single else image
        size, (top, left) = _fitted(images, target_height, target_width)
        small = whole.resize_images(images, size, method, align_corners)
        padded = whole.pad_to_bounding_box(small, top, left, target_height, target_width)
        return shaping.squeeze(padded, [0]) if is_single else padded
