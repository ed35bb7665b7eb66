"""Pooling that says where each largest element was, and pooling whose windows are inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, REAL
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops.pooling import FORMATS, POOLED, max_pool_grad_op, max_pool_op
from ckpt.ops.windows import axis_of, window_count

PADDING = Attr("string", allowed=frozenset({"SAME", "VALID"}))
PLACES = {
    "ksize": Attr("list(int)", minimum=4), "strides": Attr("list(int)", minimum=4), "padding": PADDING,
    "include_batch_in_index": False,
}  # fmt: skip


@op("MaxPoolWithArgmax", "input: T -> output: T, argmax: Targmax", T=REAL,
    Targmax=Attr("type", dtypes.int64, INDEX), **PLACES)  # fmt: skip
def max_pool_with_argmax_op(x, *, ksize, strides, padding, Targmax, include_batch_in_index):
    """(the largest element of each window, its place in the flattened image, the first of equals)."""
    batch, height, width, depth = x.shape
    rows, columns = (
        axis_of(n, ksize[i], strides[i], padding) for i, n in ((1, height), (2, width))
    )
    found = np.zeros((batch, rows.count, columns.count, depth), x.dtype)
    places = np.zeros(found.shape, np.int64)
    is_set = np.zeros(found.shape, bool)
    numbers = np.arange(height * width * depth).reshape(height, width, depth)
    for _, in_rows, out_rows in rows.taps():
        for _, in_columns, out_columns in columns.taps():
            inside, out = (slice(None), in_rows, in_columns), (slice(None), out_rows, out_columns)
            better = ~is_set[out] | (x[inside] > found[out])
            found[out] = np.where(better, x[inside], found[out])
            places[out] = np.where(better, numbers[in_rows, in_columns], places[out])
            is_set[out] = True
    if include_batch_in_index:
        places += (np.arange(batch) * numbers.size)[:, None, None, None]
    return found, places.astype(Targmax.as_numpy_dtype)


@max_pool_with_argmax_op.shape
def max_pool_with_argmax_shape(x, *, ksize, strides, padding):
    return [_pooled(x, ksize, strides, padding)] * 2


def _pooled(x: Tensor, ksize: Any, strides: Any, padding: str) -> Any:
    sizes = x.shape.with_rank(4).as_list()
    counts = [window_count(sizes[i], ksize[i], strides[i], padding) for i in (1, 2)]
    return (sizes[0], *counts, sizes[3])


@max_pool_with_argmax_op.grad
def max_pool_with_argmax_grad(node, dy, _):
    attrs = {key: node.attrs[key] for key in PLACES}
    return [max_pool_grad_with_argmax_op(node.inputs[0], dy, node.outputs[1], **attrs)]


@op("MaxPoolGradWithArgmax", "input: T, grad: T, argmax: Targmax -> output: T", T=REAL,
    Targmax=Attr("type", allowed=INDEX), **PLACES)  # fmt: skip
def max_pool_grad_with_argmax_op(x, dy, places, *, include_batch_in_index):
    """Each `grad` at the place where its window was largest."""
    at = places.astype(np.int64)
    if not include_batch_in_index:
        at = at + (np.arange(len(x)) * x[0].size)[:, None, None, None]
    found = np.zeros(x.size, dy.dtype)
    np.add.at(found, at.reshape(-1), dy.reshape(-1))
    return found.reshape(x.shape)


max_pool_grad_with_argmax_op.shape(lambda x, dy, places: [x.shape])
max_pool_grad_with_argmax_op.no_gradient("only TensorFlow's GPU kernels have it")

V2 = {"padding": PADDING, "data_format": Attr("string", "NHWC", FORMATS)}


def _sizes(value: Any) -> list[int]:
    return [int(n) for n in value]


@op("MaxPoolV2", "input: T, ksize: int32, strides: int32 -> output: T",
    T=Attr("type", dtypes.float32, POOLED), **V2)  # fmt: skip
def max_pool_v2_op(x, ksize, strides, *, padding, data_format):
    """The largest element of each window; the windows are inputs."""
    return max_pool_op.kernel(
        x, ksize=_sizes(ksize), strides=_sizes(strides), padding=padding, explicit_paddings=[],
        data_format=data_format,
    )  # fmt: skip


@max_pool_v2_op.shape
def max_pool_v2_shape(x, ksize, strides, *, padding, data_format):
    windows, steps = constant_value(ksize), constant_value(strides)
    if windows is None or steps is None:
        x.shape.with_rank(4)
        return [(None,) * 4]
    return max_pool_op.shape_rule(
        x, ksize=_sizes(windows), strides=_sizes(steps), padding=padding, explicit_paddings=[],
        data_format=data_format,
    )  # fmt: skip


@max_pool_v2_op.grad
def max_pool_v2_grad(node, dy):
    x, ksize, strides = node.inputs
    attrs = {key: node.attrs[key] for key in V2}
    return [max_pool_grad_v2_op(x, node.outputs[0], dy, ksize, strides, **attrs), None, None]


@op("MaxPoolGradV2", "orig_input: T, orig_output: T, grad: T, ksize: int32, strides: int32 -> output: T",
    T=Attr("type", dtypes.float32, REAL), **V2)  # fmt: skip
def max_pool_grad_v2_op(x, y, dy, ksize, strides, *, padding, data_format):
    """The gradient of MaxPoolV2 by its input."""
    return max_pool_grad_op.kernel(
        x, y, dy, ksize=_sizes(ksize), strides=_sizes(strides), padding=padding, explicit_paddings=[],
        data_format=data_format,
    )  # fmt: skip


max_pool_grad_v2_op.shape(lambda x, y, dy, ksize, strides: [x.shape.with_rank(4)])
max_pool_grad_v2_op.no_gradient("the windows of a second derivative must be known: use MaxPool")


def max_pool_with_argmax(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC", Targmax: Any = None,
    name: str | None = None, output_dtype: Any = None, include_batch_in_index: bool = False,
) -> Any:  # fmt: skip
    """(the largest element of each window, its place in the flattened image [rows, columns, channels]).

    With `include_batch_in_index` the place is that in the whole batch. Raises ValueError for another data format.
    """
    if data_format != "NHWC":
        raise ValueError("`data_format` values other than 'NHWC' are not supported.")
    kind = Targmax if output_dtype is None else output_dtype
    return max_pool_with_argmax_op(
        input, ksize=ksize, strides=strides, padding=padding, name=name,
        Targmax=dtypes.int64 if kind is None else kind, include_batch_in_index=include_batch_in_index,
    )  # fmt: skip
