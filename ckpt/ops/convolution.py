"""Convolution in two dimensions, plain and depthwise, and the products that are its gradients.

Gradients are those of TensorFlow's python/ops/nn_grad.py. Kernels work on [batch, rows, columns, channels].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import FLOATING, int32
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import patches, shaping
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

GEOMETRY = {
    "strides": Attr("list(int)"),
    "padding": Attr("string", allowed=frozenset({"SAME", "VALID", "EXPLICIT"})),
    "explicit_paddings": Attr("list(int)", []),
    "data_format": Attr("string", "NHWC", frozenset({"NHWC", "NCHW"})),
    "dilations": Attr("list(int)", [1, 1, 1, 1]),
}
CONVOLVED = FLOATING | {int32}


def _axes(
    image, filters, strides, padding, explicit_paddings, data_format, dilations
) -> tuple[Axis, Axis]:
    """The windows along rows and columns for an image and filters of these sizes."""
    refuse_outer(strides, data_format, "Strides")
    refuse_outer(dilations, data_format, "Dilations")
    sizes = zip(
        image[1:3], filters[:2], spatial(strides, data_format), explicit_pairs(explicit_paddings, data_format),
        spatial(dilations, data_format), strict=True,
    )  # fmt: skip
    rows, columns = (axis_of(n, k, s, padding, pair, d) for n, k, s, pair, d in sizes)
    return rows, columns


def _working(*arrays):
    """The arrays in the dtype that the arithmetic is done in: float32 for 16-bit floats."""
    if arrays[0].dtype.itemsize == 2:
        return [a.astype(np.float32) for a in arrays]
    return arrays


def _sizes(values, data_format) -> tuple[int, ...]:
    """The shape in `values` as (batch, rows, columns, channels)."""
    found = tuple(int(v) for v in values)
    if len(found) != 4:
        raise InvalidArgumentError(None, None, f"sizes must have 4 elements, got {list(found)}")
    if data_format == "NCHW":
        return found[0], found[2], found[3], found[1]
    return found


def _check_output(dy, image, filters, rows: Axis, columns: Axis, depth: int) -> None:
    expected = (image[0], rows.count, columns.count, depth)
    if dy.shape != expected:
        raise InvalidArgumentError(
            None, None, f"out_backprop has shape {list(dy.shape)}, but an input of {list(image)} and filters of "
            f"{list(filters)} give {list(expected)} [batch, rows, columns, channels]"
        )  # fmt: skip


@op("Conv2D", "input: T, filter: T -> output: T", T=CONVOLVED, use_cudnn_on_gpu=True, **GEOMETRY)
def conv2d_op(x, filters, *, strides, padding, explicit_paddings, data_format, dilations):
    """output[b, i, j, o] = sum over di, dj, c of input[b, s·i + d·di, s·j + d·dj, c] * filter[di, dj, c, o].

    input: [batch, rows, columns, channels] (or as data_format says), filter: [rows, columns, channels, outputs].
    """
    kind = x.dtype
    x, filters = _working(channels_last(x, data_format), filters)
    axes = _axes(
        x.shape, filters.shape, strides, padding, explicit_paddings, data_format, dilations
    )
    y = patches.convolve(np.ascontiguousarray(x), filters, *axes)
    return channels_back(y.astype(kind, copy=False), data_format)


@conv2d_op.shape
def conv2d_shape(x, filters, *, strides, padding, explicit_paddings, data_format, dilations):
    batch, *image, depth = split_shape(x.shape, data_format)
    *window, inner, outputs = filters.shape.with_rank(4).sizes
    if depth is not None and inner and depth % inner:
        raise ShapeError(
            f"Depth of input ({depth}) is not a multiple of input depth of filter ({inner})"
        )
    counts = _counts(image, window, strides, padding, explicit_paddings, data_format, dilations)
    return [join_shape(batch, *counts, outputs, data_format)]


def _counts(image, window, strides, padding, explicit_paddings, data_format, dilations):
    if len(strides) != 4 or len(dilations) != 4:
        raise ShapeError(
            f"Conv2D requires 4 strides and 4 dilations, got {strides} and {dilations}"
        )
    pairs = explicit_pairs(explicit_paddings, data_format)
    return [
        window_count(n, k, s, padding, pair, d)
        for n, k, s, pair, d in zip(
            image,
            window,
            spatial(strides, data_format),
            pairs,
            spatial(dilations, data_format),
            strict=True,
        )
    ]


@op(
    "Conv2DBackpropInput", "input_sizes: int32, filter: T, out_backprop: T -> output: T",
    T=CONVOLVED, use_cudnn_on_gpu=True, **GEOMETRY,
)  # fmt: skip
def conv2d_backprop_input_op(
    input_sizes, filters, dy, *, strides, padding, explicit_paddings, data_format, dilations
):
    """The gradient of Conv2D by its input, which has the shape `input_sizes`; also the transposed convolution."""
    kind = dy.dtype
    sizes = _sizes(input_sizes, data_format)
    filters, dy = _working(filters, channels_last(dy, data_format))
    axes = _axes(sizes, filters.shape, strides, padding, explicit_paddings, data_format, dilations)
    _check_output(dy, sizes, filters.shape, *axes, filters.shape[3])
    dx = patches.input_gradient(sizes, filters, dy, *axes)
    return channels_back(dx.astype(kind, copy=False), data_format)


@op(
    "Conv2DBackpropFilter", "input: T, filter_sizes: int32, out_backprop: T -> output: T",
    T=FLOATING, use_cudnn_on_gpu=True, **GEOMETRY,
)  # fmt: skip
def conv2d_backprop_filter_op(
    x, filter_sizes, dy, *, strides, padding, explicit_paddings, data_format, dilations
):
    """The gradient of Conv2D by its filters, which have the shape `filter_sizes`."""
    kind = x.dtype
    sizes = tuple(int(v) for v in filter_sizes)
    x, dy = _working(channels_last(x, data_format), channels_last(dy, data_format))
    axes = _axes(x.shape, sizes, strides, padding, explicit_paddings, data_format, dilations)
    _check_output(dy, x.shape, sizes, *axes, sizes[3])
    return patches.filter_gradient(np.ascontiguousarray(x), sizes, dy, *axes).astype(
        kind, copy=False
    )


def _sized_by(position):
    """The shape rule of a gradient whose shape is the value of the input at `position`."""

    def rule(*inputs):
        return [constant_value_as_shape(inputs[position]).with_rank(4)]

    return rule


for _gradient, _position in ((conv2d_backprop_input_op, 0), (conv2d_backprop_filter_op, 1)):
    _gradient.shape(_sized_by(_position))


def link_gradients(forward, by_input, by_filter):
    """Attach the gradients of a convolution and of its two gradients, which are convolutions again."""

    def geometry(node):
        return {name: node.attrs[name] for name in forward.attrs if name != "T"}

    @forward.grad
    def forward_grad(node, dy):
        x, filters = node.inputs
        more = geometry(node)
        if forward is depthwise_op:
            dx = by_input(shaping.shape(x), filters, dy, **more)
            return [dx, by_filter(x, shaping.shape(filters), dy, **more)]
        shape_x, shape_filters = shaping.shape_n([x, filters])
        return [by_input(shape_x, filters, dy, **more), by_filter(x, shape_filters, dy, **more)]

    @by_input.grad
    def by_input_grad(node, dz):
        _, filters, dy = node.inputs
        more = geometry(node)
        return [
            None,
            by_filter(dz, shaping.shape(filters), dy, **more),
            forward(dz, filters, **more),
        ]

    @by_filter.grad
    def by_filter_grad(node, dz):
        x, _, dy = node.inputs
        more = geometry(node)
        return [by_input(shaping.shape(x), dz, dy, **more), None, forward(x, dz, **more)]


link_gradients(conv2d_op, conv2d_backprop_input_op, conv2d_backprop_filter_op)


MANY_FILTERS = 8
"""From so many filters a channel on, numpy is fast along the axis of filters; below it takes one after the other."""


@op("DepthwiseConv2dNative", "input: T, filter: T -> output: T", T=FLOATING, **GEOMETRY)
def depthwise_op(x, filters, *, strides, padding, explicit_paddings, data_format, dilations):
    """Each channel convolved with its own filters: output channel c·m + q is input channel c with filter q of m.

    input: [batch, rows, columns, channels], filter: [rows, columns, channels, m].
    """
    kind = x.dtype
    x, filters = _working(channels_last(x, data_format), filters)
    _check_depth(x.shape[3], filters.shape)
    rows, columns = _axes(
        x.shape, filters.shape, strides, padding, explicit_paddings, data_format, dilations
    )
    y = np.zeros((x.shape[0], rows.count, columns.count, *filters.shape[2:]), x.dtype)
    if filters.shape[3] < MANY_FILTERS:
        for q in range(filters.shape[3]):
            _one_filter_each(x, filters[..., q], rows, columns, y[..., q])
    else:
        taps = [(r, c) for r in rows.taps() for c in columns.taps()]
        for image, result in zip(x, y, strict=True):  # one image at a time stays in the cache
            for (i, in_rows, out_rows), (j, in_columns, out_columns) in taps:
                result[out_rows, out_columns] += image[in_rows, in_columns, :, None] * filters[i, j]
    y = y.reshape(*y.shape[:3], -1)
    return channels_back(y.astype(kind, copy=False), data_format)


def _one_filter_each(x, filters, rows, columns, y) -> None:
    """Write to `y` the images [batch, rows, columns, channels], each channel convolved with its filter [rows, columns].

    Columns and channels are one axis, along which the filter's weights repeat: numpy is fast along long axes.
    """
    depth, total = x.shape[3], np.empty((rows.count, columns.count * x.shape[3]), x.dtype)
    taps = [
        (in_rows, out_rows, in_columns, slice(out.start * depth, out.stop * depth), np.tile(filters[i, j], out.stop - out.start))
        for i, in_rows, out_rows in rows.taps() for j, in_columns, out in columns.taps()
    ]  # fmt: skip
    for image, result in zip(x, y, strict=True):  # one image at a time stays in the cache
        total[:] = 0
        for in_rows, out_rows, in_columns, places, weights in taps:
            part = image[in_rows, in_columns]
            total[out_rows, places] += part.reshape(len(part), -1) * weights
        result[:] = total.reshape(result.shape)


def _check_depth(depth, filters) -> None:
    if depth != filters[2]:
        raise InvalidArgumentError(
            None, None, f"input and filter must have the same depth: {depth} vs {filters[2]}"
        )


@depthwise_op.shape
def depthwise_shape(x, filters, *, strides, padding, explicit_paddings, data_format, dilations):
    batch, *image, depth = split_shape(x.shape, data_format)
    *window, inner, multiplier = filters.shape.with_rank(4).sizes
    if depth is not None and inner is not None and depth != inner:
        raise ShapeError(f"Dimensions must be equal, but are {depth} and {inner}")
    depth = inner if depth is None else depth
    outputs = None if depth is None or multiplier is None else depth * multiplier
    counts = _counts(image, window, strides, padding, explicit_paddings, data_format, dilations)
    return [join_shape(batch, *counts, outputs, data_format)]


@op(
    "DepthwiseConv2dNativeBackpropInput", "input_sizes: int32, filter: T, out_backprop: T -> output: T",
    T=FLOATING, **GEOMETRY,
)  # fmt: skip
def depthwise_backprop_input_op(
    input_sizes, filters, dy, *, strides, padding, explicit_paddings, data_format, dilations
):
    """The gradient of DepthwiseConv2dNative by its input, which has the shape `input_sizes`."""
    kind = dy.dtype
    sizes = _sizes(input_sizes, data_format)
    filters, dy = _working(filters, channels_last(dy, data_format))
    _check_depth(sizes[3], filters.shape)
    rows, columns = _axes(
        sizes, filters.shape, strides, padding, explicit_paddings, data_format, dilations
    )
    _check_output(dy, sizes, filters.shape, rows, columns, filters.shape[2] * filters.shape[3])
    dy = dy.reshape(*dy.shape[:3], *filters.shape[2:])
    dx = np.zeros(sizes, dy.dtype)
    taps = [(r, c) for r in rows.taps() for c in columns.taps()]
    for image, result in zip(dx, dy, strict=True):
        for (i, in_rows, out_rows), (j, in_columns, out_columns) in taps:
            for q in range(filters.shape[3]):
                image[in_rows, in_columns] += (
                    result[out_rows, out_columns, :, q] * filters[i, j, :, q]
                )
    return channels_back(dx.astype(kind, copy=False), data_format)


@op(
    "DepthwiseConv2dNativeBackpropFilter", "input: T, filter_sizes: int32, out_backprop: T -> output: T",
    T=FLOATING, **GEOMETRY,
)  # fmt: skip
def depthwise_backprop_filter_op(
    x, filter_sizes, dy, *, strides, padding, explicit_paddings, data_format, dilations
):
    """The gradient of DepthwiseConv2dNative by its filters, which have the shape `filter_sizes`."""
    kind = x.dtype
    sizes = tuple(int(v) for v in filter_sizes)
    x, dy = _working(channels_last(x, data_format), channels_last(dy, data_format))
    _check_depth(x.shape[3], sizes)
    rows, columns = _axes(
        x.shape, sizes, strides, padding, explicit_paddings, data_format, dilations
    )
    _check_output(dy, x.shape, sizes, rows, columns, sizes[2] * sizes[3])
    dy = dy.reshape(*dy.shape[:3], *sizes[2:])
    found = np.zeros(sizes, x.dtype)
    for i, in_rows, out_rows in rows.taps():
        for j, in_columns, out_columns in columns.taps():
            found[i, j] = np.einsum(
                "nhwc,nhwcq->cq", x[:, in_rows, in_columns], dy[:, out_rows, out_columns]
            )
    return found.astype(kind, copy=False)


for _gradient, _position in ((depthwise_backprop_input_op, 0), (depthwise_backprop_filter_op, 1)):
    _gradient.shape(_sized_by(_position))
link_gradients(depthwise_op, depthwise_backprop_input_op, depthwise_backprop_filter_op)


def _front_geometry(strides, padding, data_format, dilations) -> dict[str, Any]:
    data_format = data_format or "NHWC"
    padding, explicit = front_padding(padding, data_format)
    return {
        "strides": front_list(strides, data_format, "strides"),
        "padding": padding,
        "explicit_paddings": explicit,
        "data_format": data_format,
        "dilations": front_list(
            [1, 1, 1, 1] if dilations is None else dilations, data_format, "dilations"
        ),
    }


def _filters(filter: Any, filters: Any) -> Any:
    if filter is not None and filters is not None:
        raise ValueError("Cannot specify both 'filter' and 'filters'")
    return filter if filters is None else filters


def conv2d(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None, use_cudnn_on_gpu: bool = True,
    data_format: str | None = "NHWC", dilations: Any = None, name: str | None = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """The convolution of images [batch, rows, columns, channels] with filters [rows, columns, channels, outputs].

    `padding` is "SAME", "VALID" or a pair per axis. Raises ValueError for shapes and strides that do not fit.
    """
    more = _front_geometry(strides, padding, data_format, dilations)
    return conv2d_op(
        input, _filters(filter, filters), use_cudnn_on_gpu=use_cudnn_on_gpu, name=name, **more
    )


def conv2d_backprop_input(
    input_sizes: Any, filter: Any = None, out_backprop: Any = None, strides: Any = None, padding: Any = None,
    use_cudnn_on_gpu: bool = True, data_format: str | None = "NHWC", dilations: Any = None,
    name: str | None = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` by an input of the shape `input_sizes`."""
    more = _front_geometry(strides, padding, data_format, dilations)
    return conv2d_backprop_input_op(
        input_sizes,
        _filters(filter, filters),
        out_backprop,
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        name=name,
        **more,
    )


def conv2d_backprop_filter(
    input: Any, filter_sizes: Any, out_backprop: Any, strides: Any, padding: Any,
    use_cudnn_on_gpu: bool = True, data_format: str | None = "NHWC", dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` by filters of the shape `filter_sizes`."""
    more = _front_geometry(strides, padding, data_format, dilations)
    return conv2d_backprop_filter_op(
        input, filter_sizes, out_backprop, use_cudnn_on_gpu=use_cudnn_on_gpu, name=name, **more
    )


def conv2d_transpose(
    value: Any = None, filter: Any = None, output_shape: Any = None, strides: Any = None, padding: Any = "SAME",
    data_format: str = "NHWC", name: str | None = None, input: Any = None, filters: Any = None,
    dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The transposed convolution ("deconvolution") of `value` to the shape `output_shape`.

    filter: [rows, columns, output channels, input channels].
    """
    value = value if input is None else input
    filter = _filters(filter, filters)
    with name_scope(name, "conv2d_transpose", [value, filter, output_shape]) as scope:
        more = _front_geometry(strides, padding, data_format, dilations)
        return conv2d_backprop_input_op(output_shape, filter, value, name=scope, **more)


def depthwise_conv2d_native(
    input: Any, filter: Any, strides: Any, padding: Any, data_format: str | None = "NHWC", dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Each channel of `input` convolved with its own filters [rows, columns, channels, multiplier]."""
    return depthwise_op(
        input, filter, name=name, **_front_geometry(strides, padding, data_format, dilations)
    )


def depthwise_conv2d_native_backprop_input(
    input_sizes: Any, filter: Any, out_backprop: Any, strides: Any, padding: Any,
    data_format: str | None = "NHWC", dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `depthwise_conv2d_native` by an input of the shape `input_sizes`."""
    more = _front_geometry(strides, padding, data_format, dilations)
    return depthwise_backprop_input_op(input_sizes, filter, out_backprop, name=name, **more)


def depthwise_conv2d_native_backprop_filter(
    input: Any, filter_sizes: Any, out_backprop: Any, strides: Any, padding: Any,
    data_format: str | None = "NHWC", dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `depthwise_conv2d_native` by filters of the shape `filter_sizes`."""
    more = _front_geometry(strides, padding, data_format, dilations)
    return depthwise_backprop_filter_op(input, filter_sizes, out_backprop, name=name, **more)
