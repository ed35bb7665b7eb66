"""Patches cut out of images and volumes: the windows of a convolution as rows of one long depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import NUMERIC, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.ops import constants, segments, shaping
from ckpt.ops.windows import axis_of, window_count

PADDING = Attr("string", allowed=frozenset({"SAME", "VALID"}))


def _cut(x: Any, windows: list[Any]) -> Any:
    """[batch, counts..., windows..., depth] of an array [batch, spatial..., depth]; zeros outside of it."""
    count = len(windows)
    pads = [(w.before, max(w.after, 0)) for w in windows]
    wide = np.pad(x, [(0, 0), *pads, (0, 0)])
    places: list[Any] = []
    for i, w in enumerate(windows):
        at = np.arange(w.count)[:, None] * w.stride + np.arange(w.window) * w.dilation
        shape = [1] * (2 * count)
        shape[i], shape[count + i] = at.shape
        places.append(at.reshape(shape))
    chosen: tuple[Any, ...] = (slice(None), *np.broadcast_arrays(*places))
    found = wide[chosen]
    return found.reshape(len(x), *(w.count for w in windows), -1)


def _windows(sizes: Any, ksizes: Any, strides: Any, rates: Any, padding: str) -> list[Any]:
    return [
        axis_of(int(n), k, s, padding, dilation=r)
        for n, k, s, r in zip(sizes, ksizes[1:-1], strides[1:-1], rates[1:-1], strict=True)
    ]


def _check_outer(**lists: Any) -> None:
    for name, values in lists.items():
        if values[0] != 1 or values[-1] != 1:
            raise InvalidArgumentError(
                None, None, f"{name} must be 1 in batch and depth, got {list(values)}"
            )


def _patch_shape(x, ksizes, strides, rates, padding):
    sizes = x.shape.with_rank(len(ksizes)).sizes or (None,) * len(ksizes)
    counts = [
        window_count(n, k, s, padding, dilation=r)
        for n, k, s, r in zip(sizes[1:-1], ksizes[1:-1], strides[1:-1], rates[1:-1], strict=True)
    ]
    depth = None if sizes[-1] is None else sizes[-1] * int(np.prod(ksizes))
    return [(sizes[0], *counts, depth)]


def _patch_gradient(
    x: Tensor, dy: Tensor, ksizes: Any, strides: Any, rates: Any, padding: str
) -> Tensor:
    """Each element gets the sum over the patches that it is in: which ones is known from the shape."""
    sizes: list[Any] = x.shape.as_list()
    if None in sizes[1:]:
        raise ValueError(
            f"the gradient of extracted patches needs a known image size, got {x.shape}"
        )
    whole = int(np.prod(sizes[1:]))
    numbers = np.arange(1, whole + 1).reshape(1, *sizes[1:])
    at = _cut(numbers, _windows(sizes[1:-1], ksizes, strides, rates, padding)).reshape(-1) - 1
    rows = shaping.transpose(shaping.reshape(dy, [-1, at.size]))
    total = segments.unsorted_segment_sum(rows, constants.constant(at), whole)
    return shaping.reshape(shaping.transpose(total), shaping.shape(x))


@op(
    "ExtractImagePatches", "images: T -> patches: T",
    ksizes=Attr("list(int)", minimum=4), strides=Attr("list(int)", minimum=4), rates=Attr("list(int)", minimum=4),
    T=NUMERIC | {dtypes.bool_}, padding=PADDING,
)  # fmt: skip
def extract_image_patches_op(x, *, ksizes, strides, rates, padding):
    """The windows of images, each as one row: [batch, rows, columns, window rows * window columns * depth]."""
    _check_outer(ksizes=ksizes, strides=strides, rates=rates)
    return _cut(x, _windows(x.shape[1:3], ksizes, strides, rates, padding))


@extract_image_patches_op.shape
def extract_image_patches_shape(x, *, ksizes, strides, rates, padding):
    return _patch_shape(x, ksizes, strides, rates, padding)


@extract_image_patches_op.grad
def extract_image_patches_grad(node, dy):
    attrs = [node.attrs[key] for key in ("ksizes", "strides", "rates", "padding")]
    return [_patch_gradient(node.inputs[0], dy, *attrs)]


@op(
    "ExtractVolumePatches", "input: T -> patches: T",
    ksizes=Attr("list(int)", minimum=5), strides=Attr("list(int)", minimum=5), T=REAL, padding=PADDING,
)  # fmt: skip
def extract_volume_patches_op(x, *, ksizes, strides, padding):
    """The windows of volumes, each as one row: [batch, planes, rows, columns, window elements * depth]."""
    _check_outer(ksizes=ksizes, strides=strides)
    return _cut(x, _windows(x.shape[1:4], ksizes, strides, [1] * 5, padding))


@extract_volume_patches_op.shape
def extract_volume_patches_shape(x, *, ksizes, strides, padding):
    return _patch_shape(x, ksizes, strides, [1] * 5, padding)


@extract_volume_patches_op.grad
def extract_volume_patches_grad(node, dy):
    attrs = [node.attrs[key] for key in ("ksizes", "strides", "padding")]
    return [_patch_gradient(node.inputs[0], dy, attrs[0], attrs[1], [1] * 5, attrs[2])]


def extract_image_patches(
    images: Any, ksizes: Any = None, strides: Any = None, rates: Any = None, padding: str | None = None,
    name: str | None = None, sizes: Any = None,
) -> Tensor:  # fmt: skip
    """The windows of images, each as one row: [batch, rows, columns, window rows * window columns * depth]."""
    return extract_image_patches_op(
        images, ksizes=ksizes if sizes is None else sizes, strides=strides, rates=rates,
        padding=padding, name=name,
    )  # fmt: skip


def extract_volume_patches(
    input: Any, ksizes: Any, strides: Any, padding: str, name: str | None = None
) -> Tensor:
    """The windows of volumes, each as one row: [batch, planes, rows, columns, window elements * depth]."""
    return extract_volume_patches_op(
        input, ksizes=ksizes, strides=strides, padding=padding, name=name
    )
