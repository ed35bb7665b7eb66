"""Pooling of volumes, and its gradients. Kernels work on [batch, planes, rows, columns, channels].

Gradients are those of TensorFlow's python/ops/nn_grad.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import constants, pooling, shaping
from ckpt.ops.volumes import back, front_list, inner, last, sizes_back, sizes_last, taps
from ckpt.ops.windows import Axis, axis_of, window_count

WINDOWS = {
    "ksize": Attr("list(int)", minimum=5),
    "strides": Attr("list(int)", minimum=5),
    "padding": Attr("string", allowed=frozenset({"SAME", "VALID"})),
    "data_format": Attr("string", "NDHWC", frozenset({"NDHWC", "NCDHW"})),
}
NARROW = frozenset({dtypes.float16, dtypes.bfloat16, dtypes.float32})
NARROW_GRAD = Attr("type", dtypes.float32, NARROW)


def _axes(volume, ksize, strides, padding, data_format) -> list[Axis]:
    places = zip(volume[1:4], inner(ksize, data_format), inner(strides, data_format), strict=True)
    return [axis_of(n, k, s, padding) for n, k, s in places]


def _pool_shape(x, *, ksize, strides, padding, data_format):
    batch, *volume, depth = sizes_last(x.shape.with_rank(5).sizes, data_format)
    counts = [
        window_count(n, k, s, padding)
        for n, k, s in zip(
            volume, inner(ksize, data_format), inner(strides, data_format), strict=True
        )
    ]
    return [sizes_back((batch, *counts, depth), data_format)]


def _over(x, axes: list[Axis], function):
    for place, axis in enumerate(axes, start=1):
        x = pooling.along(x, place, axis, function)
    return x


def _more(node) -> dict[str, Any]:
    return {key: node.attrs[key] for key in WINDOWS}


@op("MaxPool3D", "input: T -> output: T", T=NARROW, **WINDOWS)
def max_pool3d_op(x, *, ksize, strides, padding, data_format):
    """The largest element of each window, for each channel by itself; padding never wins."""
    x = last(x, data_format)
    y = _over(x, _axes(x.shape, ksize, strides, padding, data_format), np.maximum)
    return back(y if y.base is None and y.flags.c_contiguous else y.copy(), data_format)


max_pool3d_op.shape(_pool_shape)


@max_pool3d_op.grad
def max_pool3d_op_grad(node, dy):
    return [max_pool3d_grad_op(node.inputs[0], node.outputs[0], dy, **_more(node))]


def _winners(x, y, axes: list[Axis]):
    """For each offset: where in the volume, which windows, and whether that element is the window's first largest."""
    free = np.ones(y.shape, np.bool_)
    for _, inside, out in taps(axes):
        wins = (x[inside] == y[out]) & free[out]
        free[out] ^= wins
        yield inside, out, wins


def _check(array, volume, axes, name) -> None:
    expected = (volume[0], *(a.count for a in axes), volume[4])
    if array.shape != expected:
        raise InvalidArgumentError(
            None, None, f"Expected {name} of shape {list(expected)} [batch, planes, rows, columns, channels], "
            f"got {list(array.shape)}"
        )  # fmt: skip


@op("MaxPool3DGrad", "orig_input: TInput, orig_output: TInput, grad: T -> output: T", T=NARROW_GRAD,
    TInput=NARROW_GRAD, **WINDOWS)  # fmt: skip
def max_pool3d_grad_op(x, y, dy, *, ksize, strides, padding, data_format):
    """The gradient of MaxPool3D: each `grad` goes to the first of the largest elements of its window."""
    x, y, dy = (last(a, data_format) for a in (x, y, dy))
    axes = _axes(x.shape, ksize, strides, padding, data_format)
    _check(y, x.shape, axes, "orig_output")
    _check(dy, x.shape, axes, "grad")
    dx = np.zeros(x.shape, dy.dtype)
    for inside, out, wins in _winners(x, y, axes):
        dx[inside] += np.where(wins, dy[out], dy.dtype.type(0))
    return back(dx, data_format)


max_pool3d_grad_op.shape(lambda x, y, dy: [x.shape.with_rank(5)])


@max_pool3d_grad_op.grad
def max_pool3d_grad_op_grad(node, dz):
    x, y, _ = node.inputs
    return [
        constants.zeros_like(x), constants.zeros_like(y), max_pool3d_grad_grad_op(x, y, dz, **_more(node)),
    ]  # fmt: skip


@op("MaxPool3DGradGrad", "orig_input: T, orig_output: T, grad: T -> output: T", T=REAL, **WINDOWS)
def max_pool3d_grad_grad_op(x, y, dz, *, ksize, strides, padding, data_format):
    """The gradient of MaxPool3DGrad by its `grad`: of each window the element where the largest one is."""
    x, y, dz = (last(a, data_format) for a in (x, y, dz))
    axes = _axes(x.shape, ksize, strides, padding, data_format)
    _check(y, x.shape, axes, "orig_output")
    found = np.zeros(y.shape, dz.dtype)
    for inside, out, wins in _winners(x, y, axes):
        found[out] += np.where(wins, dz[inside], dz.dtype.type(0))
    return back(found, data_format)


max_pool3d_grad_grad_op.shape(lambda x, y, dz: [y.shape.with_rank(5)])


@max_pool3d_grad_grad_op.grad
def max_pool3d_grad_grad_op_grad(node, dw):
    x, y, _ = node.inputs
    return [
        constants.zeros_like(x),
        constants.zeros_like(y),
        max_pool3d_grad_op(x, y, dw, **_more(node)),
    ]


def _shares(axes: list[Axis], kind):
    """By what the sum of each window is divided, for broadcasting with [batch, planes, rows, columns, channels]."""
    planes, rows, columns = (pooling.members(a) for a in axes)
    return (planes[:, None, None] * rows[:, None] * columns)[..., None].astype(kind)


@op("AvgPool3D", "input: T -> output: T", T=FLOATING, **WINDOWS)
def avg_pool3d_op(x, *, ksize, strides, padding, data_format):
    """The mean of each window, for each channel by itself; padding does not count."""
    kind = x.dtype
    x = pooling.working(last(x, data_format))
    axes = _axes(x.shape, ksize, strides, padding, data_format)
    y = _over(x, axes, np.add) / _shares(axes, x.dtype)
    return back(y.astype(kind, copy=False), data_format)


avg_pool3d_op.shape(_pool_shape)


@avg_pool3d_op.grad
def avg_pool3d_op_grad(node, dy):
    return [avg_pool3d_grad_op(shaping.shape(node.inputs[0]), dy, **_more(node))]


@op("AvgPool3DGrad", "orig_input_shape: int32, grad: T -> output: T", T=FLOATING, **WINDOWS)
def avg_pool3d_grad_op(orig_input_shape, dy, *, ksize, strides, padding, data_format):
    """The gradient of AvgPool3D by its input, which has the shape `orig_input_shape`."""
    kind = dy.dtype
    volume = sizes_last([int(v) for v in orig_input_shape], data_format)
    dy = pooling.working(last(dy, data_format))
    axes = _axes(volume, ksize, strides, padding, data_format)
    _check(dy, volume, axes, "grad")
    dx = dy / _shares(axes, dy.dtype)
    for place, axis in enumerate(axes, start=1):
        dx = pooling.spread(dx, place, axis)
    return back(dx.astype(kind, copy=False), data_format)


avg_pool3d_grad_op.shape(lambda shape, dy: [constant_value_as_shape(shape).with_rank(5)])


@avg_pool3d_grad_op.grad
def avg_pool3d_grad_op_grad(node, dz):
    return [None, avg_pool3d_op(dz, **_more(node))]


def _front(opdef, default):
    def pool(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: str | None = "NDHWC",
        name: str | None = None,
    ) -> Tensor:
        data_format = data_format or "NDHWC"
        with name_scope(name, default, [input]) as scope:
            input = convert.convert_to_tensor(input, name="input")
            return opdef(
                input, ksize=front_list(ksize, data_format, "ksize"), padding=padding.upper(),
                strides=front_list(strides, data_format, "strides"), data_format=data_format, name=scope,
            )  # fmt: skip

    pool.__doc__ = opdef.__doc__
    return pool


max_pool3d = _front(max_pool3d_op, "MaxPool3D")
avg_pool3d = _front(avg_pool3d_op, "AvgPool3D")
