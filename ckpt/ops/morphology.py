"""Greyscale dilation and erosion of images by a structuring function for each channel, with gradients.

Source: Serra 1982, "Image Analysis and Mathematical Morphology".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import REAL
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import elementwise, reversing
from ckpt.ops.windows import Axis, axis_of, window_count

GEOMETRY = {
    "T": REAL,
    "strides": Attr("list(int)", minimum=4),
    "rates": Attr("list(int)", minimum=4),
    "padding": Attr("string", allowed=frozenset({"SAME", "VALID"})),
}


def _axes(image, filters, strides, rates, padding) -> tuple[Axis, Axis]:
    if len(filters) != 3 or len(image) != 4 or image[3] != filters[2]:
        raise InvalidArgumentError(
            None, None, f"input and filter must be [batch, rows, columns, depth] and [rows, columns, depth] of the "
            f"same depth: {list(image)} vs {list(filters)}"
        )  # fmt: skip
    rows, columns = (
        axis_of(image[i + 1], filters[i], strides[i + 1], padding, dilation=rates[i + 1])
        for i in range(2)
    )
    return rows, columns


def _taps(axes: tuple[Axis, Axis]):
    """For each offset in the window: its number, its two indices, the elements of the image, the windows."""
    rows, columns = axes
    for i, in_rows, out_rows in rows.taps():
        for j, in_columns, out_columns in columns.taps():
            number = i * columns.window + j
            yield number, (i, j), (slice(None), in_rows, in_columns), (slice(None), out_rows, out_columns)  # fmt: skip


def _lowest(kind) -> Any:
    return np.iinfo(kind).min if kind.kind in "iu" else np.finfo(kind).min


def _largest(x, filters, axes: tuple[Axis, Axis]):
    """For each window the largest sum and the number of the first offset that has it (-1: none is in the image)."""
    shape = (x.shape[0], axes[0].count, axes[1].count, x.shape[3])
    best = np.full(shape, _lowest(x.dtype), x.dtype)
    place = np.full(shape, -1, np.int32)
    for number, offset, inside, windows in _taps(axes):
        sums = x[inside] + filters[offset]
        wins = sums > best[windows]
        best[windows] = np.where(wins, sums, best[windows])
        place[windows] = np.where(wins, number, place[windows])
    return best, place


def _working(*arrays):
    """The arrays in the dtype that the arithmetic is done in: float32 for 16-bit floats."""
    if arrays[0].dtype.kind not in "iu" and arrays[0].dtype.itemsize == 2:
        return [a.astype(np.float32) for a in arrays]
    return arrays


@op("Dilation2D", "input: T, filter: T -> output: T", **GEOMETRY)
def dilation2d_op(x, filters, *, strides, rates, padding):
    """output[b, i, j, c] = max over di, dj of input[b, s·i + r·di, s·j + r·dj, c] + filter[di, dj, c].

    input: [batch, rows, columns, depth], filter: [rows, columns, depth]; what lies outside the image never wins.
    """
    kind = x.dtype
    x, filters = _working(x, filters)
    axes = _axes(x.shape, filters.shape, strides, rates, padding)
    best, _ = _largest(x, filters, axes)
    return best.astype(kind, copy=False)


@dilation2d_op.shape
def dilation2d_shape(x, filters, *, strides, rates, padding):
    batch, *image, depth = x.shape.with_rank(4).sizes
    *window, inner = filters.shape.with_rank(3).sizes
    if depth is not None and inner is not None and depth != inner:
        raise ShapeError(f"Dimensions must be equal, but are {depth} and {inner}")
    if len(strides) != 4 or len(rates) != 4:
        raise ShapeError(f"Dilation2D requires 4 strides and 4 rates, got {strides} and {rates}")
    counts = [
        window_count(image[i], window[i], strides[i + 1], padding, dilation=rates[i + 1])
        for i in range(2)
    ]
    return [(batch, *counts, inner if depth is None else depth)]


@op("Dilation2DBackpropInput", "input: T, filter: T, out_backprop: T -> in_backprop: T", **GEOMETRY)
def dilation2d_backprop_input_op(x, filters, dy, *, strides, rates, padding):
    """The gradient of Dilation2D by its input: each element of `out_backprop` goes to where the maximum was."""
    kind = x.dtype
    x, filters, dy = _working(x, filters, dy)
    axes = _axes(x.shape, filters.shape, strides, rates, padding)
    _, place = _largest(x, filters, axes)
    _check(dy, place)
    dx = np.zeros(x.shape, x.dtype)
    for number, _, inside, windows in _taps(axes):
        dx[inside] += np.where(place[windows] == number, dy[windows], dx.dtype.type(0))
    return dx.astype(kind, copy=False)


@op(
    "Dilation2DBackpropFilter", "input: T, filter: T, out_backprop: T -> filter_backprop: T", **GEOMETRY
)  # fmt: skip
def dilation2d_backprop_filter_op(x, filters, dy, *, strides, rates, padding):
    """The gradient of Dilation2D by its filter: each element of `out_backprop` goes to the offset that won."""
    kind = x.dtype
    x, filters, dy = _working(x, filters, dy)
    axes = _axes(x.shape, filters.shape, strides, rates, padding)
    _, place = _largest(x, filters, axes)
    _check(dy, place)
    found = np.zeros(filters.shape, x.dtype)
    for number, offset, _, windows in _taps(axes):
        wins = place[windows] == number
        found[offset] = np.where(wins, dy[windows], found.dtype.type(0)).sum((0, 1, 2))
    return found.astype(kind, copy=False)


def _check(dy, place) -> None:
    if dy.shape != place.shape:
        raise InvalidArgumentError(
            None, None, f"out_backprop has shape {list(dy.shape)}, but the windows are {list(place.shape)} "
            "[batch, rows, columns, depth]"
        )  # fmt: skip


dilation2d_backprop_input_op.shape(lambda x, filters, dy: [x.shape])
dilation2d_backprop_filter_op.shape(lambda x, filters, dy: [filters.shape])
for _gradient in (dilation2d_backprop_input_op, dilation2d_backprop_filter_op):
    _gradient.no_gradient(UNDEFINED)


@dilation2d_op.grad
def dilation2d_grad(node, dy):
    more = {name: node.attrs[name] for name in ("strides", "rates", "padding")}
    return [
        dilation2d_backprop_input_op(*node.inputs, dy, **more),
        dilation2d_backprop_filter_op(*node.inputs, dy, **more),
    ]


def dilation2d(
    input: Any, filter: Any = None, strides: Any = None, rates: Any = None, padding: Any = None,
    name: str | None = None, filters: Any = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The greyscale dilation of images [batch, rows, columns, depth] by a filter [rows, columns, depth]: max-sums.

    `strides` and `rates` have four members, the outer ones 1.
    """
    return dilation2d_op(
        input,
        filter if filters is None else filters,
        strides=list(strides),
        rates=list(rates if dilations is None else dilations),
        padding=padding,
        name=name,
    )


def erosion2d(
    value: Any, kernel: Any, strides: Any, rates: Any, padding: Any, name: str | None = None
) -> Tensor:
    """The greyscale erosion of images by a kernel: the least of value - kernel in each window, mirrored dilation."""
    with name_scope(name, "erosion2d", [value, kernel]) as scope:
        value = convert.convert_to_tensor(value, name="value")
        kernel = convert.convert_to_tensor(kernel, name="kernel")
        dilated = dilation2d(
            elementwise.neg(value), reversing.reverse(kernel, [0, 1]), strides, rates, padding, scope
        )  # fmt: skip
        return elementwise.neg(dilated)
