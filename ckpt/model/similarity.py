"""How alike two images are by their structure, at one scale and at several.

Sources: Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural
similarity"; Wang, Simoncelli, Bovik 2003, "Multiscale structural similarity for image quality assessment".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model import images
from ckpt.ops import (
    activation,
    casting,
    constants,
    convolution,
    division,
    elementwise,
    joining,
    pooling,
    reduction,
    reversing,
    shaping,
)

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponents of the five scales (Wang et al. 2003, section 3.2)."""


def _window(size: int, sigma: float, depth: int) -> Tensor:
    """A Gaussian of `size` by `size`, of sum 1, for each channel: [size, size, depth, 1]."""
    places = np.arange(size) - (size - 1) / 2
    line = np.exp(-(places**2) / (2 * sigma**2))
    plane = np.outer(line, line) / line.sum() ** 2
    return constants.constant(np.tile(plane[:, :, None, None], (1, 1, depth, 1)).astype(np.float32))


class _Measure:
    """The window, and the two constants that keep quotients of small numbers still."""

    def __init__(self, limit: Tensor, size: int, sigma: float, depth: int, k1: float, k2: float) -> None:  # fmt: skip
        self.window = _window(size, sigma, depth)
        self.first = elementwise.square(k1 * limit)
        self.second = elementwise.square(k2 * limit)

    def mean(self, image: Tensor) -> Tensor:
        """The weighted mean around each place that the window fits at."""
        return convolution.depthwise_conv2d_native(image, self.window, [1, 1, 1, 1], "VALID")

    def __call__(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """(similarity, its part without luminance) at each place: [batch, rows, columns, channels]."""
        mean_a, mean_b = self.mean(a), self.mean(b)
        product = mean_a * mean_b * 2.0
        squares = elementwise.square(mean_a) + elementwise.square(mean_b)
        luminance = (product + self.first) / (squares + self.first)
        together = self.mean(a * b) * 2.0
        apart = self.mean(elementwise.square(a) + elementwise.square(b))
        rest = (together - product + self.second) / (apart - squares + self.second)
        return luminance * rest, rest


def _prepared(a: Any, b: Any, max_val: Any, least: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """The images as float32, the limit that belongs to that, the number of channels. Raises ValueError where they cannot be compared."""
    a = convert.convert_to_tensor(a, name="img1")
    b = convert.convert_to_tensor(b, name="img2")
    for image in (a, b):
        shape = image.shape.with_rank_at_least(3)
        small = [s for s in (shape.sizes or ())[-3:-1] if s is not None and s < least]
        if small:
            raise ValueError(
                f"images of shape {shape} are too small: at least {least} rows and columns are needed"
            )
    if a.dtype != b.dtype:
        raise ValueError(f"images must be of one dtype, got {a.dtype.name} and {b.dtype.name}")
    whole = a.shape[-3:].merge_with(b.shape[-3:])
    depth = whole.as_list()[2]
    if depth is None:
        raise ValueError("the number of channels must be known while the graph is built")
    limit = images.convert_image_dtype(casting.cast(max_val, a.dtype), dtypes.float32)
    return (
        images.convert_image_dtype(a, dtypes.float32),
        images.convert_image_dtype(b, dtypes.float32),
        limit,
        depth,
    )


def _as_batch(image: Tensor) -> tuple[Tensor, Any]:
    """The images in one batch, and the sizes of the axes before the last three."""
    rank = image.shape.rank
    if rank == 4:
        return image, None
    shape = shaping.shape(image)
    return shaping.reshape(image, joining.concat([[-1], shape[-3:]], 0)), shape[:-3]


def _unbatched(values: Tensor, outer: Any) -> Tensor:
    if outer is None:
        return values
    return shaping.reshape(values, joining.concat([outer, shaping.shape(values)[1:]], 0))


def ssim(
    img1: Any, img2: Any, max_val: Any, filter_size: int = 11, filter_sigma: float = 1.5, k1: float = 0.01,
    k2: float = 0.03, return_index_map: bool = False,
) -> Tensor:  # fmt: skip
    """The structural similarity of images [..., rows, columns, channels], at most 1: float32 [...].

    `max_val` is the range of the values. With `return_index_map` the similarity at each place: [..., rows, columns].
    Raises ValueError for images of other sizes or dtypes, or smaller than the window.
    """
    with name_scope(None, "SSIM", [img1, img2]):
        a, b, limit, depth = _prepared(img1, img2, max_val, filter_size)
        a, outer = _as_batch(a)
        b, _ = _as_batch(b)
        measure = _Measure(limit, filter_size, filter_sigma, depth, k1, k2)
        similarity, _ = measure(a, b)
        axes = [-1] if return_index_map else [-3, -2, -1]
        return _unbatched(reduction.reduce_mean(similarity, axes), outer)


def _halved(image: Tensor) -> Tensor:
    """Means of two by two places; an odd last row or column is repeated."""
    sizes = shaping.shape(image)[1:3]
    static = image.shape.as_list()[1:3]
    if None in static or any(s % 2 for s in static if s is not None):
        odd = division.floor_mod(sizes, 2)
        none = [constants.constant(0), constants.constant(0)]
        pads = joining.stack([none, [0, odd[0]], [0, odd[1]], none])
        known = [None if s is None else s + s % 2 for s in static]
        batch, depth = image.shape.as_list()[0], image.shape.as_list()[3]
        image = reversing.pad(image, pads, mode="SYMMETRIC")
        image.set_shape([batch, *known, depth])
    return pooling.avg_pool(image, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")


def ssim_multiscale(
    img1: Any, img2: Any, max_val: Any, power_factors: Sequence[float] = WEIGHTS, filter_size: int = 11,
    filter_sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03,
) -> Tensor:  # fmt: skip
    """The structural similarity of images [..., rows, columns, channels] over several scales: float32 [...].

    Each scale halves the images; its contrast counts with an exponent of `power_factors`, the last scale's luminance
    too. Raises ValueError for images that are smaller than the window at the last scale, or not alike in size.
    """
    with name_scope(None, "MS-SSIM", [img1, img2]):
        count = len(power_factors)
        a, b, limit, depth = _prepared(img1, img2, max_val, ((filter_size - 1) << (count - 1)) + 1)
        a, outer = _as_batch(a)
        b, _ = _as_batch(b)
        measure = _Measure(limit, filter_size, filter_sigma, depth, k1, k2)
        parts = []
        for scale in range(count):
            if scale:
                a, b = _halved(a), _halved(b)
            similarity, rest = measure(a, b)
            kept = similarity if scale == count - 1 else rest
            parts.append(activation.relu(reduction.reduce_mean(kept, [-3, -2])))
        powers = elementwise.pow_(
            joining.stack(parts, axis=-1), np.array(power_factors, np.float32)
        )
        channels = reduction.reduce_prod(powers, [-1])
        return _unbatched(reduction.reduce_mean(channels, [-1]), outer)
