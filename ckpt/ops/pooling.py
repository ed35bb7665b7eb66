"""Pooling: the largest or the mean of each window of an image, and their gradients.

Gradients are those of TensorFlow's python/ops/nn_grad.py. Kernels work on [batch, rows, columns, channels].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, REAL
from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import constants, shaping
from ckpt.ops.windows import (
    Axis,
    axis_of,
    channels_back,
    channels_last,
    explicit_pairs,
    front_list,
    front_padding,
    join_shape,
    refuse_outer,
    spatial,
    split_shape,
    window_count,
)

POOLED = REAL - {dtypes.uint32, dtypes.uint64}
FORMATS = frozenset({"NHWC", "NCHW"})
WINDOWS = {
    "ksize": Attr("list(int)", minimum=4),
    "strides": Attr("list(int)", minimum=4),
    "padding": Attr("string", allowed=frozenset({"SAME", "VALID"})),
    "data_format": Attr("string", "NHWC", FORMATS),
}
EXPLICIT = {
    **WINDOWS,
    "padding": Attr("string", allowed=frozenset({"SAME", "VALID", "EXPLICIT"})),
    "explicit_paddings": Attr("list(int)", []),
}


def _axes(image, ksize, strides, padding, data_format, explicit_paddings=()) -> tuple[Axis, Axis]:
    """The windows along rows and columns of an image of these sizes [batch, rows, columns, channels]."""
    refuse_outer(ksize, data_format, "Windows")
    refuse_outer(strides, data_format, "Strides")
    sizes = zip(
        image[1:3], spatial(ksize, data_format), spatial(strides, data_format),
        explicit_pairs(explicit_paddings, data_format), strict=True,
    )  # fmt: skip
    rows, columns = (axis_of(n, k, s, padding, pair) for n, k, s, pair in sizes)
    return rows, columns


def _pool_shape(x, ksize, strides, padding, data_format, explicit_paddings=()):
    batch, *image, depth = split_shape(x.shape, data_format)
    if len(ksize) != 4 or len(strides) != 4:
        raise ValueError(
            f"Pooling requires 4 window sizes and 4 strides, got {ksize} and {strides}"
        )
    pairs = explicit_pairs(explicit_paddings, data_format)
    counts = [
        window_count(n, k, s, padding, pair)
        for n, k, s, pair in zip(
            image, spatial(ksize, data_format), spatial(strides, data_format), pairs, strict=True
        )
    ]
    return [join_shape(batch, *counts, depth, data_format)]


def along(x, axis: int, windows: Axis, function):
    """`function` (np.maximum, np.add) of the elements of each window along one axis."""
    before, one = (slice(None),) * axis, None
    taps = list(windows.taps())
    if all(out == slice(0, windows.count) for _, _, out in taps) and taps:
        parts = [x[(*before, inside)] for _, inside, _ in taps]
        if len(parts) == 1:
            return parts[0]
        one = function(parts[0], parts[1])
        for part in parts[2:]:
            function(one, part, out=one)
        return one
    shape = (*x.shape[:axis], windows.count, *x.shape[axis + 1 :])
    one = np.full(shape, 0 if function is np.add else _least(x.dtype), x.dtype)
    for _, inside, out in taps:
        view = one[(*before, out)]
        function(view, x[(*before, inside)], out=view)
    return one


def _least(dtype):
    return np.iinfo(dtype).min if dtype.kind in "iu" else dtype.type(-np.inf)


@op("MaxPool", "input: T -> output: T", T=Attr("type", dtypes.float32, POOLED),
    **{**EXPLICIT, "data_format": Attr("string", "NHWC", FORMATS)})  # fmt: skip
def max_pool_op(x, *, ksize, strides, padding, explicit_paddings, data_format):
    """The largest element of each window, for each channel by itself; padding never wins.

    input: [batch, rows, columns, channels] (or as data_format says).
    """
    x = channels_last(x, data_format)
    if 3 in _pooled_depth(ksize, data_format):
        return _max_over_depth(x, ksize, strides, data_format)
    rows, columns = _axes(x.shape, ksize, strides, padding, data_format, explicit_paddings)
    y = along(along(x, 1, rows, np.maximum), 2, columns, np.maximum)
    return channels_back(y if y.base is None else y.copy(), data_format)


def _pooled_depth(ksize, data_format) -> tuple[int, ...]:
    return (3,) if ksize[1 if data_format == "NCHW" else 3] != 1 else ()


def _max_over_depth(x, ksize, strides, data_format):
    """The largest of groups of neighbouring channels: the only other pooling that TensorFlow has."""
    depth = 1 if data_format == "NCHW" else 3
    size = ksize[depth]
    if (
        [k for i, k in enumerate(ksize) if i != depth] != [1, 1, 1]
        or strides[depth] != size
        or x.shape[3] % size
    ):
        raise UnimplementedError(
            None, None, f"Depthwise max pooling requires windows of one pixel, the depth window as depth stride "
            f"and a depth that it divides; got ksize {ksize}, strides {strides}, depth {x.shape[3]}"
        )  # fmt: skip
    return channels_back(x.reshape(*x.shape[:3], -1, size).max(axis=4), data_format)


@max_pool_op.shape
def max_pool_shape(x, *, ksize, strides, padding, explicit_paddings, data_format):
    found = _pool_shape(x, ksize, strides, padding, data_format, explicit_paddings)[0]
    depth = 1 if data_format == "NCHW" else 3
    if ksize[depth] != 1 and found[depth] is not None:
        found = (*found[:depth], found[depth] // strides[depth], *found[depth + 1 :])
    return [found]


@max_pool_op.grad
def max_pool_op_grad(node, dy):
    more = {name: node.attrs[name] for name in EXPLICIT}
    return [max_pool_grad_op(node.inputs[0], node.outputs[0], dy, **more)]


def winners(x, y, rows: Axis, columns: Axis):
    """For each offset in the windows: where in the image, which windows, and whether that element is the first
    of its window to be the largest."""
    free = None
    for _, in_rows, out_rows in rows.taps():
        for _, in_columns, out_columns in columns.taps():
            wins = x[:, in_rows, in_columns] == y[:, out_rows, out_columns]
            if free is None:
                free = np.ones(y.shape, np.bool_)
            left = free[:, out_rows, out_columns]
            wins &= left
            left ^= wins
            yield (slice(None), in_rows, in_columns), (slice(None), out_rows, out_columns), wins


def check_pooled(array, image, rows: Axis, columns: Axis, name: str) -> None:
    expected = (image[0], rows.count, columns.count, image[3])
    if array.shape != expected:
        raise InvalidArgumentError(
            None, None, f"Expected {name} of shape {list(expected)} [batch, rows, columns, channels], "
            f"got {list(array.shape)}"
        )  # fmt: skip


@op("MaxPoolGrad", "orig_input: T, orig_output: T, grad: T -> output: T",
    T=Attr("type", dtypes.float32, REAL), **EXPLICIT)  # fmt: skip
def max_pool_grad_op(x, y, dy, *, ksize, strides, padding, explicit_paddings, data_format):
    """The gradient of MaxPool by its input: each `grad` goes to the first of the largest elements of its window."""
    x, y, dy = (channels_last(a, data_format) for a in (x, y, dy))
    if 3 in _pooled_depth(ksize, data_format):
        return channels_back(_depth_gradient(x, y, dy), data_format)
    rows, columns = _axes(x.shape, ksize, strides, padding, data_format, explicit_paddings)
    check_pooled(y, x.shape, rows, columns, "orig_output")
    check_pooled(dy, x.shape, rows, columns, "grad")
    whole = rows.is_whole and columns.is_whole
    dx = np.empty(x.shape, dy.dtype) if whole else np.zeros(x.shape, dy.dtype)
    for inside, out, wins in winners(x, y, rows, columns):
        if whole:
            np.multiply(dy, wins, out=dx[inside])
        else:
            dx[inside] += np.where(wins, dy[out], dy.dtype.type(0))
    return channels_back(dx, data_format)


def _depth_gradient(x, y, dy):
    grouped = x.reshape(*y.shape, -1)
    first = np.expand_dims(np.argmax(grouped == y[..., None], axis=4), 4)
    dx = np.zeros(grouped.shape, dy.dtype)
    np.put_along_axis(dx, first, dy[..., None], axis=4)
    return dx.reshape(x.shape)


@max_pool_grad_op.shape
def max_pool_grad_shape(x, y, dy, *, ksize):
    return [x.shape.with_rank(4)]


@op("MaxPoolGradGrad", "orig_input: T, orig_output: T, grad: T -> output: T", T=REAL, **WINDOWS)
def max_pool_grad_grad_op(x, y, dz, *, ksize, strides, padding, data_format):
    """The gradient of MaxPoolGrad by its `grad`: of each window the element of `grad` where the largest one is."""
    x, y, dz = (channels_last(a, data_format) for a in (x, y, dz))
    rows, columns = _axes(x.shape, ksize, strides, padding, data_format)
    check_pooled(y, x.shape, rows, columns, "orig_output")
    found = np.zeros(y.shape, dz.dtype)
    for inside, out, wins in winners(x, y, rows, columns):
        found[out] += np.where(wins, dz[inside], dz.dtype.type(0))
    return channels_back(found, data_format)


@max_pool_grad_grad_op.shape
def max_pool_grad_grad_shape(x, y, dz, *, ksize):
    return [y.shape.with_rank(4)]


def _link(one, other):
    """Attach the gradient of `one` by its `grad`, which is the `other`; by what both choose there is none."""

    @one.grad
    def rule(node, dz):
        x, y, _ = node.inputs
        more = {name: node.attrs[name] for name in WINDOWS}
        return [constants.zeros_like(x), constants.zeros_like(y), other(x, y, dz, **more)]


_link(max_pool_grad_op, max_pool_grad_grad_op)
_link(max_pool_grad_grad_op, max_pool_grad_op)


def members(windows: Axis):
    """How many elements of the image each window holds, padding left out."""
    counts = np.zeros(windows.count, np.int64)
    for _, _, out in windows.taps():
        counts[out] += 1
    return counts


def _shares(rows: Axis, columns: Axis, kind):
    """By what the sum of each window is divided, for broadcasting with [batch, rows, columns, channels]."""
    sizes = np.outer(members(rows), members(columns))
    if sizes.size and sizes.min() == sizes.max():
        return kind.type(sizes.flat[0])
    return sizes.astype(kind)[:, :, None]


def working(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


@op("AvgPool", "value: T -> output: T", T=FLOATING, **WINDOWS)
def avg_pool_op(x, *, ksize, strides, padding, data_format):
    """The mean of each window, for each channel by itself; padding does not count.

    value: [batch, rows, columns, channels] (or as data_format says).
    """
    kind = x.dtype
    x = working(channels_last(x, data_format))
    rows, columns = _axes(x.shape, ksize, strides, padding, data_format)
    y = along(along(x, 1, rows, np.add), 2, columns, np.add)
    y = y / _shares(rows, columns, y.dtype)
    return channels_back(y.astype(kind, copy=False), data_format)


@avg_pool_op.shape
def avg_pool_shape(x, *, ksize, strides, padding, data_format):
    return _pool_shape(x, ksize, strides, padding, data_format)


@avg_pool_op.grad
def avg_pool_op_grad(node, dy):
    more = {name: node.attrs[name] for name in WINDOWS}
    return [avg_pool_grad_op(shaping.shape(node.inputs[0]), dy, **more)]


def spread(dy, axis: int, windows: Axis):
    """Each window's value added to every element of the window, along one axis."""
    before = (slice(None),) * axis
    shape = (*dy.shape[:axis], windows.size, *dy.shape[axis + 1 :])
    dx = np.empty(shape, dy.dtype) if windows.is_whole else np.zeros(shape, dy.dtype)
    for _, inside, out in windows.taps():
        if windows.is_whole:
            dx[(*before, inside)] = dy
        else:
            dx[(*before, inside)] += dy[(*before, out)]
    return dx


@op("AvgPoolGrad", "orig_input_shape: int32, grad: T -> output: T", T=FLOATING, **WINDOWS)
def avg_pool_grad_op(orig_input_shape, dy, *, ksize, strides, padding, data_format):
    """The gradient of AvgPool by its input, which has the shape `orig_input_shape`."""
    kind = dy.dtype
    sizes = tuple(int(v) for v in orig_input_shape)
    image = (sizes[0], sizes[2], sizes[3], sizes[1]) if data_format == "NCHW" else sizes
    dy = working(channels_last(dy, data_format))
    rows, columns = _axes(image, ksize, strides, padding, data_format)
    check_pooled(dy, image, rows, columns, "grad")
    dx = spread(spread(dy / _shares(rows, columns, dy.dtype), 2, columns), 1, rows)
    return channels_back(dx.astype(kind, copy=False), data_format)


@avg_pool_grad_op.shape
def avg_pool_grad_shape(orig_input_shape, dy, *, ksize):
    return [constant_value_as_shape(orig_input_shape).with_rank(4)]


@avg_pool_grad_op.grad
def avg_pool_grad_op_grad(node, dz):
    more = {name: node.attrs[name] for name in WINDOWS}
    return [None, avg_pool_op(dz, **more)]


def max_pool(
    value: Any = None, ksize: Any = None, strides: Any = None, padding: Any = None,
    data_format: str | None = "NHWC", name: str | None = None, input: Any = None,
) -> Tensor:  # fmt: skip
    """The largest element of each window of images [batch, rows, columns, channels].

    `padding` is "SAME", "VALID" or a pair per axis. Raises ValueError for windows that do not fit.
    """
    value = value if input is None else input
    data_format = data_format or "NHWC"
    with name_scope(name, "MaxPool", [value]) as scope:
        kind, explicit = front_padding(padding, data_format)
        return max_pool_op(
            value, ksize=front_list(ksize, data_format, "ksize"), strides=front_list(strides, data_format, "strides"),
            padding=kind, explicit_paddings=explicit, data_format=data_format, name=scope,
        )  # fmt: skip


def max_pool2d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = "NHWC", name: str | None = None
) -> Tensor:  # fmt: skip
    """`max_pool`, named `MaxPool2d`."""
    return max_pool(input, ksize, strides, padding, data_format, name or "MaxPool2d")


def avg_pool(
    value: Any = None, ksize: Any = None, strides: Any = None, padding: Any = None,
    data_format: str | None = "NHWC", name: str | None = None, input: Any = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of images [batch, rows, columns, channels]; padding does not count.

    Raises ValueError for windows that do not fit.
    """
    value = value if input is None else input
    data_format = data_format or "NHWC"
    with name_scope(name, "AvgPool", [value]) as scope:
        value = convert.convert_to_tensor(value, name="input")
        return avg_pool_op(
            value, ksize=front_list(ksize, data_format, "ksize"), strides=front_list(strides, data_format, "strides"),
            padding=padding.upper(), data_format=data_format, name=scope,
        )  # fmt: skip
