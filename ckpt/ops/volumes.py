"""Convolution in three dimensions and the products that are its gradients.

Kernels work on [batch, planes, rows, columns, channels]. Gradients are those of TensorFlow's python/ops/nn_grad.py.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError, UnimplementedError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops.convolution import link_gradients
from ckpt.ops.windows import Axis, axis_of, window_count

GEOMETRY = {
    "strides": Attr("list(int)", minimum=5),
    "padding": Attr("string", allowed=frozenset({"SAME", "VALID"})),
    "data_format": Attr("string", "NDHWC", frozenset({"NDHWC", "NCDHW"})),
    "dilations": Attr("list(int)", [1, 1, 1, 1, 1]),
}
PATCH_BYTES = 1 << 22
TO_LAST = (0, 2, 3, 4, 1)
TO_FIRST = (0, 4, 1, 2, 3)


def is_first(data_format: str) -> bool:
    """True where the channels are the second axis."""
    return data_format == "NCDHW"


def inner(values, data_format: str) -> tuple[int, ...]:
    """The three spatial members of a list with one member per axis. Raises UnimplementedError unless the rest is 1."""
    first = 2 if is_first(data_format) else 1
    rest = [v for i, v in enumerate(values) if not first <= i < first + 3]
    if len(values) != 5 or rest != [1, 1]:
        raise UnimplementedError(
            None,
            None,
            f"windows, strides and dilations must be 1 for batch and channels, got {list(values)}",
        )
    return tuple(values[first : first + 3])


def last(x, data_format: str):
    """`x` as [batch, planes, rows, columns, channels]; a view."""
    return x.transpose(TO_LAST) if is_first(data_format) else x


def back(y, data_format: str):
    """`y` of [batch, planes, rows, columns, channels] in the order of `data_format`, contiguous."""
    return np.ascontiguousarray(y.transpose(TO_FIRST)) if is_first(data_format) else y


def sizes_last(sizes, data_format: str) -> tuple[Any, ...]:
    """Sizes in the order of `data_format` as (batch, planes, rows, columns, channels)."""
    return tuple(sizes[i] for i in TO_LAST) if is_first(data_format) else tuple(sizes)


def sizes_back(sizes, data_format: str) -> tuple[Any, ...]:
    """The opposite of `sizes_last`."""
    return tuple(sizes[i] for i in TO_FIRST) if is_first(data_format) else tuple(sizes)


def _axes(volume, window, strides, padding, data_format, dilations) -> list[Axis]:
    places = zip(
        volume[1:4],
        window[:3],
        inner(strides, data_format),
        inner(dilations, data_format),
        strict=True,
    )
    return [axis_of(n, k, s, padding, dilation=d) for n, k, s, d in places]  # fmt: skip


def _working(x):
    return np.ascontiguousarray(x, np.float32 if x.dtype.itemsize == 2 else x.dtype)


def _padded(x, axes: list[Axis]):
    pads = [(0, 0), *((a.before, max(a.after, 0)) for a in axes), (0, 0)]
    return np.pad(x, pads) if any(map(any, pads)) else x


def _patch_matrices(x, axes: list[Axis]):
    """(slice of the batch, matrix [positions, window elements]) until the batch is through."""
    wide = _padded(x, axes)
    n, *steps, c = wide.strides
    counts, window = [a.count for a in axes], [a.window for a in axes]
    view = as_strided(
        wide, (x.shape[0], *counts, *window, x.shape[4]),
        (n, *(s * a.stride for s, a in zip(steps, axes, strict=True)),
         *(s * a.dilation for s, a in zip(steps, axes, strict=True)), c), writeable=False,
    )  # fmt: skip
    width = int(np.prod(window)) * x.shape[4]
    each = max(int(np.prod(counts)) * width * x.dtype.itemsize, 1)
    step = max(1, PATCH_BYTES // each)
    for start in range(0, x.shape[0], step):
        part = slice(start, min(start + step, x.shape[0]))
        yield part, np.ascontiguousarray(view[part]).reshape(-1, width)


def taps(axes: list[Axis]):
    """For each offset in the windows: the offset, the slices of the elements there, those of the windows."""
    for combination in itertools.product(*[list(a.taps()) for a in axes]):
        yield (
            tuple(t[0] for t in combination),
            (slice(None), *(t[1] for t in combination)),
            (slice(None), *(t[2] for t in combination)),
        )


def _check(dy, volume, filters, axes) -> None:
    expected = (volume[0], *(a.count for a in axes), filters[4])
    if dy.shape != expected:
        raise InvalidArgumentError(
            None, None, f"out_backprop has shape {list(dy.shape)}, but an input of {list(volume)} and filters of "
            f"{list(filters)} give {list(expected)} [batch, planes, rows, columns, channels]"
        )  # fmt: skip


@op("Conv3D", "input: T, filter: T -> output: T", T=FLOATING, **GEOMETRY)
def conv3d_op(x, filters, *, strides, padding, data_format, dilations):
    """Convolution of volumes [batch, planes, rows, columns, channels] (or as data_format says).

    filter: [planes, rows, columns, channels, outputs].
    """
    kind = x.dtype
    x, filters = _working(last(x, data_format)), _working(filters)
    if x.shape[4] != filters.shape[3]:
        raise InvalidArgumentError(
            None,
            None,
            f"input and filter must have the same depth: {x.shape[4]} vs {filters.shape[3]}",
        )
    axes = _axes(x.shape, filters.shape, strides, padding, data_format, dilations)
    y = np.empty((x.shape[0], *(a.count for a in axes), filters.shape[4]), x.dtype)
    matrix = filters.reshape(-1, filters.shape[4])
    for part, patches in _patch_matrices(x, axes):
        np.matmul(patches, matrix, out=y[part].reshape(-1, matrix.shape[1]))
    return back(y.astype(kind, copy=False), data_format)


@conv3d_op.shape
def conv3d_shape(x, filters, *, strides, padding, data_format, dilations):
    batch, *volume, depth = sizes_last(x.shape.with_rank(5).sizes, data_format)
    *window, wanted, outputs = filters.shape.with_rank(5).sizes
    if None not in (depth, wanted) and depth != wanted:
        raise ShapeError(f"Dimensions must be equal, but are {depth} and {wanted}")
    steps, spread = inner(strides, data_format), inner(dilations, data_format)
    counts = [
        window_count(n, k, s, padding, dilation=d)
        for n, k, s, d in zip(volume, window, steps, spread, strict=True)
    ]
    return [sizes_back((batch, *counts, outputs), data_format)]


@op(
    "Conv3DBackpropInputV2", "input_sizes: Tshape, filter: T, out_backprop: T -> output: T", T=FLOATING,
    Tshape=Attr("type", dtypes.int32, INDEX), **GEOMETRY,
)  # fmt: skip
def conv3d_backprop_input_op(input_sizes, filters, dy, *, strides, padding, data_format, dilations):
    """The gradient of Conv3D by its input, which has the shape `input_sizes`; also the transposed convolution."""
    kind = dy.dtype
    sizes = sizes_last([int(v) for v in input_sizes], data_format)
    filters, dy = _working(filters), _working(last(dy, data_format))
    axes = _axes(sizes, filters.shape, strides, padding, data_format, dilations)
    _check(dy, sizes, filters.shape, axes)
    dx = np.zeros(sizes, dy.dtype)
    flat = dy.reshape(-1, dy.shape[4])
    shape = (*dy.shape[:4], sizes[4])
    for offset, inside, out in taps(axes):
        share = np.matmul(flat, filters[offset].T).reshape(shape)
        dx[inside] += share[out]
    return back(dx.astype(kind, copy=False), data_format)


@op(
    "Conv3DBackpropFilterV2",
    "input: T, filter_sizes: int32, out_backprop: T -> output: T",
    T=FLOATING,
    **GEOMETRY,
)
def conv3d_backprop_filter_op(x, filter_sizes, dy, *, strides, padding, data_format, dilations):
    """The gradient of Conv3D by its filters, which have the shape `filter_sizes`."""
    kind = x.dtype
    sizes = tuple(int(v) for v in filter_sizes)
    x, dy = _working(last(x, data_format)), _working(last(dy, data_format))
    axes = _axes(x.shape, sizes, strides, padding, data_format, dilations)
    _check(dy, x.shape, sizes, axes)
    total = np.zeros((int(np.prod(sizes[:4])), sizes[4]), x.dtype)
    for part, patches in _patch_matrices(x, axes):
        total += np.matmul(patches.T, dy[part].reshape(-1, sizes[4]))
    return total.reshape(sizes).astype(kind, copy=False)


conv3d_backprop_input_op.shape(
    lambda sizes, filters, dy: [constant_value_as_shape(sizes).with_rank(5)]
)
conv3d_backprop_filter_op.shape(lambda x, sizes, dy: [constant_value_as_shape(sizes).with_rank(5)])


link_gradients(conv3d_op, conv3d_backprop_input_op, conv3d_backprop_filter_op)


def front_list(value: Any, data_format: str, name: str) -> list[int]:
    """An argument given as one int, three ints or one per axis, as one per axis."""
    values = [value] if isinstance(value, int) else [int(v) for v in value]
    if len(values) == 1:
        values *= 3
    if len(values) == 3:
        return [1, 1, *values] if is_first(data_format) else [1, *values, 1]
    if len(values) != 5:
        raise ValueError(f"{name} should be of length 1, 3 or 5, but was {len(values)}")
    return values


def _geometry(strides, padding, data_format, dilations) -> dict[str, Any]:
    data_format = data_format or "NDHWC"
    return {
        "strides": front_list(strides, data_format, "strides"),
        "padding": padding.upper() if isinstance(padding, str) else padding,
        "data_format": data_format,
        "dilations": front_list(
            [1] * 5 if dilations is None else dilations, data_format, "dilations"
        ),
    }


def _either(new: Any, old: Any) -> Any:
    return old if new is None else new


def conv3d(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None, data_format: str | None = "NDHWC",
    dilations: Any = None, name: str | None = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """The convolution of volumes [batch, planes, rows, columns, channels] with filters [..., channels, outputs]."""
    more = _geometry(strides, padding, data_format, dilations)
    return conv3d_op(input, _either(filters, filter), name=name, **more)


def conv3d_backprop_filter_v2(
    input: Any, filter_sizes: Any, out_backprop: Any, strides: Any, padding: Any, data_format: str = "NDHWC",
    dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv3d` by filters of the shape `filter_sizes`."""
    more = _geometry(strides, padding, data_format, dilations)
    return conv3d_backprop_filter_op(input, filter_sizes, out_backprop, name=name, **more)


def conv3d_transpose(
    value: Any, filter: Any = None, output_shape: Any = None, strides: Any = None, padding: Any = "SAME",
    data_format: str | None = "NDHWC", name: str | None = None, input: Any = None, filters: Any = None,
    dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The transposed convolution of `value` to the shape `output_shape`.

    filter: [planes, rows, columns, output channels, input channels].
    """
    value, filter = _either(input, value), _either(filters, filter)
    with name_scope(name, "conv3d_transpose", [value, filter, output_shape]) as scope:
        more = _geometry(strides, padding, data_format, dilations)
        return conv3d_backprop_input_op(output_shape, filter, value, name=scope, **more)
