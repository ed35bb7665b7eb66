"""Images in another size: nearest neighbour, bilinear, bicubic, area.

Each method but the nearest is linear along rows and along columns, so that one matrix per axis says it all, and its
transpose is the gradient. Source of the sampling rules: TensorFlow's core/kernels/image/resize_*_op.cc and
core/kernels/image/image_resizer_state.h.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import shaping

PIXELS = REAL - {dtypes.uint32, dtypes.uint64}
TABLE_SIZE = 1 << 10
"""How many steps between two pixels the bicubic weights are computed for."""
MANY_CHANNELS, FEW_TERMS = 8, 256
"""Where bilinear resizing is a product of matrices: from so many channels on, below so many products for a new pixel."""
SAMPLING = {"align_corners": False, "half_pixel_centers": False}


def _scale(size: int, count: int, align: bool) -> np.float32:
    if align and count > 1:
        return np.float32((size - 1) / np.float32(count - 1))
    return np.float32(size / np.float32(count))


def _places(size: int, count: int, align: bool, half: bool):
    """Where the centre of each new pixel lies among the old ones."""
    steps = np.arange(count, dtype=np.float32)
    if half:
        return (steps + np.float32(0.5)) * _scale(size, count, align) - np.float32(0.5)
    return steps * _scale(size, count, align)


class _Axis(NamedTuple):
    """How one axis is resized: [new, old] `weights`, and which old pixels a new one reaches, be it with weight 0."""

    weights: Any
    reach: Any

    @property
    def transposed(self):
        """The way back, of gradients."""
        return _Axis(self.weights.T, self.reach.T)

    def times(self, x):
        """The product of `weights` and [batch, old, values]; what is not finite goes no further than TensorFlow's."""
        if np.isfinite(x).all():
            return np.matmul(self.weights, x)
        rows = zip(self.weights, self.reach, strict=True)
        return np.stack([np.matmul(row[own], x[:, own]) for row, own in rows], 1)


def _axis(size: int, columns, weights):
    """Each new pixel as the sum of the old ones at `columns` [new, terms], times `weights`."""
    matrix = np.zeros((len(columns), size), np.float32)
    reach = np.zeros(matrix.shape, bool)
    places = np.arange(len(columns))[:, None], columns
    np.add.at(matrix, places, weights)
    reach[places] = True
    return _Axis(matrix, reach)


def _neighbours(size: int, count: int, align: bool, half: bool):
    """For each new pixel the old ones before and behind it, and the share of the one behind."""
    place = _places(size, count, align, half)
    low = np.floor(place)
    before = np.clip(low, 0, size - 1).astype(np.int64)
    behind = np.clip(np.ceil(place), 0, size - 1).astype(np.int64)
    return before, behind, (place - low).astype(np.float32)


def _bilinear(size: int, count: int, align: bool, half: bool):
    before, behind, share = _neighbours(size, count, align, half)
    columns, weights = np.stack([before, behind], 1), np.stack([1 - share, share], 1)
    return _axis(size, columns, weights)


def _between_neighbours(images, rows, columns):
    """Each new pixel from its four neighbours: (before, behind, share) of its row and of its column.

    What is not finite goes no further.
    """
    x = _floating(images)
    depth = x.shape[3]
    (above, below, down), (left, right, across) = rows, columns
    down, across = down[:, None], np.repeat(across, depth)
    found = np.empty((len(x), len(above), len(left), depth), x.dtype)
    for image, result in zip(x, found, strict=True):  # one image at a time stays in the cache
        lines = image[:, left].reshape(len(image), -1)
        step = image[:, right].reshape(len(image), -1) - lines
        step *= across
        lines += step
        top = lines[above]
        step = lines[below] - top
        step *= down
        np.add(top, step, out=result.reshape(len(above), -1))
    return found


def _suits_products(images, counts) -> bool:
    """Whether products of matrices are faster: with many channels and few pixels; what is not finite they spread."""
    batch, height, width, depth = images.shape
    terms = width + height * width / counts[1]
    suits = batch > 0 and depth >= MANY_CHANNELS and terms < FEW_TERMS
    return suits and bool(np.isfinite(images).all())


def _cubic(a: float):
    """The weights of the two pixels on one side, for each step between two pixels (Keys 1981)."""
    x = np.arange(TABLE_SIZE + 1, dtype=np.float32) / np.float32(TABLE_SIZE)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return near.astype(np.float32), far.astype(np.float32)


def _bicubic(size: int, count: int, align: bool, half: bool):
    near, far = _cubic(-0.5 if half else -0.75)
    place = _places(size, count, align, half)
    low = np.floor(place)
    step = np.rint((place - low) * TABLE_SIZE).astype(np.int64)
    wanted = low.astype(np.int64)[:, None] + np.arange(-1, 3)
    columns = np.clip(wanted, 0, size - 1)
    weights = np.stack([far[step], near[step], near[TABLE_SIZE - step], far[TABLE_SIZE - step]], 1)
    if half:
        weights = np.where(wanted == columns, weights, 0)
        weights = weights / weights.sum(1, keepdims=True)
    return _axis(size, columns, weights)


def _area(size: int, count: int, align: bool, half: bool):
    scale = _scale(size, count, align)
    if scale == 0:  # one pixel, repeated
        return _axis(size, np.zeros((count, 1), np.int64), 1)
    edges = np.arange(count + 1, dtype=np.float32) * scale
    low, high = edges[:-1, None], edges[1:, None]
    old = np.arange(size, dtype=np.float32)
    overlap = np.clip(np.minimum(high, old + 1) - np.maximum(low, old), 0, None)
    beyond = np.clip(high[:, 0] - size, 0, None)
    overlap[:, -1] += np.minimum(beyond, scale)
    return _Axis((overlap / scale).astype(np.float32), overlap > 0)


def _floating(images):
    return np.asarray(images, np.float64 if images.dtype == np.float64 else np.float32)


def _applied(images, rows, columns):
    """`images` [batch, rows, columns, channels], each axis resized."""
    x = _floating(images)
    batch, height, width, depth = x.shape
    x = rows.times(x.reshape(batch, height, width * depth))
    x = columns.times(x.reshape(-1, width, depth))
    return x.reshape(batch, len(rows.weights), len(columns.weights), depth)


def _sizes(images, size) -> tuple[int, int]:
    count = tuple(int(v) for v in size)
    if len(count) != 2 or min(count) <= 0:
        raise InvalidArgumentError(
            None, None, f"output dimensions must be positive, got {list(count)}"
        )
    if images.ndim != 4 or 0 in images.shape[1:3]:
        raise InvalidArgumentError(
            None, None, f"input must be 4-dimensional and not empty, got {list(images.shape)}"
        )
    return count


def resized_shape(images, size):
    batch, _, _, depth = images.shape.with_rank(4).sizes
    rows, columns = constant_value_as_shape(size).with_rank(2).sizes
    return [(batch, rows, columns, depth)]


def _linear(type_name, weights, doc, attrs):
    def resized(images, size, align, half):
        counts = _sizes(images, size)
        if weights is _bilinear and counts == images.shape[1:3]:
            return images.astype(np.float32)
        is_near = weights is _bilinear and not _suits_products(images, counts)
        of_axis, apply = (_neighbours, _between_neighbours) if is_near else (weights, _applied)
        pairs = zip(images.shape[1:3], counts, strict=True)
        found = apply(images, *(of_axis(n, m, align, half) for n, m in pairs))
        return found.astype(np.float32, copy=False)

    def centred(images, size, *, align_corners, half_pixel_centers):
        return resized(images, size, align_corners, half_pixel_centers)

    def plain(images, size, *, align_corners):
        return resized(images, size, align_corners, False)

    kernel = centred if "half_pixel_centers" in attrs else plain
    kernel.__doc__ = doc
    opdef = op(type_name, "images: T, size: int32 -> resized_images: float32", T=PIXELS, **attrs)(
        kernel
    )
    opdef.shape(resized_shape)
    return opdef


def _linear_grad(type_name, weights, kinds, doc):
    def kernel(grads, original_image, *, align_corners, half_pixel_centers):
        pairs = zip(original_image.shape[1:3], grads.shape[1:3], strict=True)
        axes = (weights(n, m, align_corners, half_pixel_centers).transposed for n, m in pairs)
        return _applied(grads, *axes).astype(original_image.dtype)

    kernel.__doc__ = doc
    opdef = op(type_name, "grads: float32, original_image: T -> output: T", T=kinds, **SAMPLING)(
        kernel
    )
    opdef.shape(lambda grads, original: [original.shape.with_rank(4)])
    undefined = type_name != "ResizeBilinearGrad"
    return opdef.no_gradient(UNDEFINED if undefined else "TensorFlow stops here")


def _link(forward, backward):
    @forward.grad
    def rule(node, dy):
        image = node.inputs[0]
        if image.dtype.base_dtype not in backward.attrs["T"].allowed:
            return [None, None]
        more = {key: node.attrs[key] for key in SAMPLING}
        return [backward(dy, image, **more), None]


resize_bilinear_op = _linear(
    "ResizeBilinear", _bilinear, "Images in another size, linear between pixels.", SAMPLING
)
resize_bilinear_grad_op = _linear_grad(
    "ResizeBilinearGrad",
    _bilinear,
    dtypes.FLOATING,
    "The gradient of ResizeBilinear by its images.",
)
resize_bicubic_op = _linear(
    "ResizeBicubic", _bicubic, "Images in another size, cubic between pixels.", SAMPLING
)
resize_bicubic_grad_op = _linear_grad(
    "ResizeBicubicGrad", _bicubic, frozenset({dtypes.float32, dtypes.float64}),
    "The gradient of ResizeBicubic by its images.",
)  # fmt: skip
_link(resize_bilinear_op, resize_bilinear_grad_op)
_link(resize_bicubic_op, resize_bicubic_grad_op)
resize_area_op = _linear(
    "ResizeArea",
    _area,
    "Images in another size; each new pixel is the mean of what it covers.",
    {"align_corners": False},
)
resize_area_op.no_gradient(UNDEFINED)


def _nearest(size: int, count: int, align: bool, half: bool):
    scale = _scale(size, count, align)
    steps = np.arange(count, dtype=np.float32)
    place = (steps + np.float32(0.5) if half else steps) * scale
    # Halves are rounded away from zero, as C's roundf does.
    found = np.floor(place + np.float32(0.5)) if align else np.floor(place)
    return np.clip(found.astype(np.int64), 0, size - 1)


@op("ResizeNearestNeighbor", "images: T, size: int32 -> resized_images: T", T=PIXELS, **SAMPLING)
def resize_nearest_op(images, size, *, align_corners, half_pixel_centers):
    """Images in another size; each new pixel is the old one nearest to it."""
    count = _sizes(images, size)
    rows, columns = (_nearest(n, m, align_corners, half_pixel_centers)
                     for n, m in zip(images.shape[1:3], count, strict=True))  # fmt: skip
    return images[:, rows[:, None], columns]


resize_nearest_op.shape(resized_shape)
NEAREST_GRAD = frozenset({dtypes.uint8, dtypes.int8, dtypes.int32}) | dtypes.FLOATING


@op("ResizeNearestNeighborGrad", "grads: T, size: int32 -> output: T", T=NEAREST_GRAD, **SAMPLING)
def resize_nearest_grad_op(grads, size, *, align_corners, half_pixel_centers):
    """The gradient of ResizeNearestNeighbor by its images, which have the rows and columns `size`."""
    height, width = (int(v) for v in size)
    rows = _nearest(height, grads.shape[1], align_corners, half_pixel_centers)
    columns = _nearest(width, grads.shape[2], align_corners, half_pixel_centers)
    found = np.zeros((grads.shape[0], height, width, grads.shape[3]), grads.dtype)
    np.add.at(found, (slice(None), rows[:, None], columns), grads)
    return found


resize_nearest_grad_op.shape(resized_shape)


@resize_nearest_op.grad
def resize_nearest_rule(node, dy):
    image = node.inputs[0]
    sizes = image.shape.with_rank(4).sizes[1:3]
    size = list(sizes) if None not in sizes else shaping.shape(image)[1:3]
    return [resize_nearest_grad_op(dy, size, **{key: node.attrs[key] for key in SAMPLING}), None]


@resize_nearest_grad_op.grad
def resize_nearest_grad_rule(node, dz):
    return [
        resize_nearest_op(
            dz, shaping.shape(node.inputs[0])[1:3], **{k: node.attrs[k] for k in SAMPLING}
        ),
        None,
    ]
