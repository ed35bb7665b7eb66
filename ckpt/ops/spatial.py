"""Convolution and pooling in any number of dimensions, dilated and separable: functions over the operations below.

Knows no kernel. The rule for sizes and paddings is TensorFlow's (python/ops/nn_ops.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.graph import convert
from ckpt.graph.opdef import opdef_of
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import convolution, joining, pooling, pooling3d, shaping, volumes


def _either(new: Any, old: Any, default: Any = None) -> Any:
    found = new if new is not None else old
    return default if found is None else found


def conv1d(
    value: Any = None, filters: Any = None, stride: Any = None, padding: Any = None, use_cudnn_on_gpu: Any = None,
    data_format: str | None = None, name: str | None = None, input: Any = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The convolution of sequences [batch, width, channels] ("NWC", or "NCW") with filters [width, channels, outputs].

    Raises ValueError for another data format.
    """
    value = _either(input, value)
    first = _channels_first(data_format, ("NHWC", "NWC"), ("NCHW", "NCW"))
    with name_scope(name, "conv1d", [value, filters]):
        strides, spread = _pair(stride, first), _pair(dilations, first)
        axis = 2 if first else 1
        wide = shaping.expand_dims(value, axis)
        filters = shaping.expand_dims(filters, 0)
        found = convolution.conv2d(
            wide,
            filters,
            strides,
            padding,
            data_format="NCHW" if first else "NHWC",
            dilations=spread,
        )
        return shaping.squeeze(found, [axis])


def _pair(value: Any, first: bool) -> list[int]:
    """One number for the width, given in any of three ways, as one per axis of an image of one row."""
    if value is None:
        value = 1
    values = [value] if isinstance(value, int) else [int(v) for v in value]
    if len(values) not in (1, 3):
        raise ValueError(f"`stride` must be of length 1 or 3, got {len(values)}")
    step = values[0] if len(values) == 1 else values[2 if first else 1]
    return [1, 1, 1, step] if first else [1, 1, step, 1]


def _channels_first(data_format: str | None, last: tuple[str, ...], first: tuple[str, ...]) -> bool:
    if data_format is None or data_format in last:
        return False
    if data_format in first:
        return True
    raise ValueError(f"data_format must be one of {', '.join(last + first)}; got {data_format!r}")


def conv1d_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME", data_format: str = "NWC",
    dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The transposed convolution of sequences to `output_shape`; filters: [width, output channels, input channels]."""
    first = _channels_first(data_format, ("NHWC", "NWC"), ("NCHW", "NCW"))
    with name_scope(name, "conv1d_transpose", [input, filters, output_shape]) as scope:
        axis = 2 if first else 1
        shape = joining.concat([output_shape[:axis], [1], output_shape[axis:]], 0)
        found = convolution.conv2d_transpose(
            shaping.expand_dims(input, axis), shaping.expand_dims(filters, 0), shape, _pair(strides, first), padding,
            data_format="NCHW" if first else "NHWC", dilations=_pair(dilations, first),
        )  # fmt: skip
        return shaping.squeeze(found, [axis], name=scope)


def _is_first(data_format: str | None) -> bool:
    return data_format is not None and data_format.startswith("NC")


def _spatial_list(value: Any, count: int, name: str) -> list[int]:
    if value is None:
        return [1] * count
    found = constant_value(convert.convert_to_tensor(value)) if isinstance(value, Tensor) else value
    values = [int(v) for v in np.asarray(found).reshape(-1)]
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise ValueError(f"{name} should be of length {count}, but was {len(values)}: {values}")
    if any(v < 1 for v in values):
        raise ValueError(f"all values of {name} must be positive, got {values}")
    return values


def convolution_(
    input: Any, filter: Any = None, padding: Any = None, strides: Any = None, dilation_rate: Any = None,
    name: str | None = None, data_format: str | None = None, filters: Any = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The convolution of [batch, ..., channels] with filters [..., channels, outputs], in one to three dimensions.

    Raises ValueError for another number of dimensions, and for strides together with dilation.
    """
    filter = _either(filters, filter)
    with name_scope(name, "convolution", [input, filter]) as scope:
        input = convert.convert_to_tensor(input, name="input")
        filter = convert.convert_to_tensor(filter, name="filter")
        rank = filter.shape.rank
        if rank is None and input.shape.rank is None:
            raise ValueError("rank of input or filter must be known")
        count = (rank if rank is not None else input.shape.rank) - 2
        if not 1 <= count <= 3:
            raise ValueError(f"Input tensor must be of rank 3, 4 or 5 but was {count + 2}.")
        strides = _spatial_list(strides, count, "strides")
        spread = _spatial_list(_either(dilations, dilation_rate), count, "dilations")
        if any(s > 1 for s in strides) and any(d > 1 for d in spread):
            raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
        return _convolved(input, filter, count, strides, padding, spread, data_format, scope)


def _convolved(input, filter, count, strides, padding, spread, data_format, name) -> Tensor:
    first = _is_first(data_format)
    if count == 1:
        return conv1d(input, filter, strides, padding, data_format="NCW" if first else "NWC", dilations=spread,
                      name=name)  # fmt: skip
    if count == 2:
        return convolution.conv2d(input, filter, strides, padding, data_format="NCHW" if first else "NHWC",
                                  dilations=spread, name=name)  # fmt: skip
    return volumes.conv3d(
        input, filter, strides, padding, "NCDHW" if first else "NDHWC", spread, name
    )


def atrous_conv2d(
    value: Any, filters: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """`conv2d` with filters spread so that neighbours are `rate` elements apart."""
    return convolution_(input=value, filter=filters, padding=padding, dilation_rate=np.broadcast_to(rate, (2,)),
                        name=name)  # fmt: skip


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """The transpose of `atrous_conv2d`; filters: [rows, columns, output channels, input channels]."""
    with name_scope(name, "atrous_conv2d_transpose", [value, filters, output_shape]) as scope:
        return convolution.conv2d_transpose(
            value,
            filters,
            output_shape,
            [1, 1, 1, 1],
            padding,
            dilations=[1, rate, rate, 1],
            name=scope,
        )


def separable_conv2d(
    input: Any, depthwise_filter: Any, pointwise_filter: Any, strides: Any, padding: Any, rate: Any = None,
    name: str | None = None, data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """Each channel convolved by itself, then all channels mixed by filters [1, 1, channels, outputs].

    Raises ValueError when the two filters do not fit each other.
    """
    rate = _either(dilations, rate, [1, 1])
    data_format = data_format or "NHWC"
    with name_scope(name, "separable_conv2d", [input, depthwise_filter, pointwise_filter]) as scope:
        input = convert.convert_to_tensor(input, name="tensor_in")
        depthwise_filter = convert.convert_to_tensor(depthwise_filter, name="depthwise_filter")
        pointwise_filter = convert.convert_to_tensor(pointwise_filter, name="pointwise_filter")
        rows, columns, *_ = pointwise_filter.shape.with_rank(4).sizes
        if rows not in (1, None) or columns not in (1, None):
            raise ValueError(f"pointwise_filter must be 1 by 1, got shape {pointwise_filter.shape}")
        between = convolution.depthwise_conv2d_native(
            input, depthwise_filter, strides, padding, data_format, list(rate), name="depthwise"
        )
        return convolution.conv2d(
            between, pointwise_filter, [1, 1, 1, 1], "VALID", data_format=data_format, name=scope
        )


def with_space_to_batch(
    input: Any, dilation_rate: Any, padding: Any, op: Callable[..., Any], filter_shape: Any = None,
    spatial_dims: Any = None, data_format: str | None = None,
) -> Any:  # fmt: skip
    """`op` on the interleaved parts of `input` that are `dilation_rate` apart: a dilated `op`.

    `op(input, num_spatial_dims, padding)` gets the parts as one larger batch. Raises ValueError where the padding
    cannot be found without `filter_shape`.
    """
    input = convert.convert_to_tensor(input, name="input")
    rates = constant_value(convert.convert_to_tensor(dilation_rate, name="dilation_rate"))
    if rates is None:
        raise ValueError("dilation_rate must be known when the graph is built")
    rates = [int(v) for v in np.asarray(rates).reshape(-1)]
    if any(rate < 1 for rate in rates):
        raise ValueError(f"dilation_rate must be positive, but saw: {rates}")
    start = 2 if _is_first(data_format) else 1
    dims = (
        sorted(spatial_dims) if spatial_dims is not None else list(range(start, start + len(rates)))
    )
    if spatial_dims is not None and (list(spatial_dims) != dims or any(d < 1 for d in dims)):
        raise ValueError(
            "spatial_dims must be a monotonically increasing sequence of positive integers"
        )
    if all(rate == 1 for rate in rates):
        return op(input, len(rates), padding)
    block, begin, end = _block(dims, rates, padding, filter_shape)
    space = [_axis_size(input, dim) for dim in range(1, max(dims) + 1)]
    paddings, crops = _paddings(space, block, begin, end)
    parts = opdef_of("SpaceToBatchND")(input, block, paddings)
    result = op(parts, len(rates), "VALID")
    joined = opdef_of("BatchToSpaceND")(result, block, crops)
    return joined


def _block(dims: list[int], rates: list[int], padding: str, filter_shape: Any):
    """(block shape, padding before, padding after) for the axes 1 to the last spatial one."""
    last = max(dims)
    block, begin, end = [1] * last, [0] * last, [0] * last
    if padding == "SAME":
        if filter_shape is None:
            raise ValueError("filter_shape must be specified for SAME padding")
        known = constant_value(convert.convert_to_tensor(filter_shape))
        if known is None:
            raise ValueError("filter_shape must be known when the graph is built")
    elif padding != "VALID":
        raise ValueError(f"Invalid padding method {padding!r}")
    for place, (dim, rate) in enumerate(zip(dims, rates, strict=True)):
        block[dim - 1] = rate
        if padding == "SAME":
            extra = (int(known[place]) - 1) * rate
            begin[dim - 1], end[dim - 1] = extra // 2, extra - extra // 2
    return block, begin, end


def _axis_size(tensor: Tensor, dim: int) -> Any:
    sizes = tensor.shape.sizes
    if sizes is not None and sizes[dim] is not None:
        return sizes[dim]
    return shaping.shape(tensor)[dim]


def _paddings(
    space: list[Any], block: list[int], begin: list[int], end: list[int]
) -> tuple[Any, Any]:
    """The paddings that make each axis a multiple of its block, and the crops that undo what is too much."""
    paddings, crops = [], []
    for size, step, before, after in zip(space, block, begin, end, strict=True):
        extra = (step - (size + before + after) % step) % step
        paddings.append([before, after + extra])
        crops.append([0, extra])
    if all(isinstance(v, int) for pair in paddings for v in pair):
        return paddings, crops
    stacked = [joining.stack([joining.stack(p) for p in pairs]) for pairs in (paddings, crops)]
    return stacked[0], stacked[1]


def pool(
    input: Any, window_shape: Any, pooling_type: str, padding: Any, dilation_rate: Any = None, strides: Any = None,
    name: str | None = None, data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The largest ("MAX") or the mean ("AVG") of each window of [batch, ..., channels], in one to three dimensions.

    Raises ValueError for other kinds and dimensions, and for strides together with dilation.
    """
    with name_scope(name, f"{pooling_type.lower()}_pool", [input]):
        input = convert.convert_to_tensor(input, name="input")
        if pooling_type not in ("MAX", "AVG"):
            raise ValueError(f"pooling_type must be MAX or AVG, got {pooling_type!r}")
        window = [int(v) for v in window_shape]
        count = len(window)
        if not 1 <= count <= 3:
            raise ValueError(f"window_shape must have 1 to 3 members, got {window}")
        input.shape.with_rank(count + 2)
        strides = _spatial_list(strides, count, "strides")
        spread = _spatial_list(_either(dilations, dilation_rate), count, "dilation_rate")
        if any(s > 1 for s in strides) and any(d > 1 for d in spread):
            raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
        if any(s > w for s, w in zip(strides, window, strict=True)) and padding == "SAME":
            raise ValueError(
                "strides > window_shape not supported due to inconsistency between CPU and GPU"
            )
        first = _is_first(data_format)

        def one(part: Any, _: int, kind: str) -> Tensor:
            return pooled(part, window, strides, pooling_type, kind, first)

        start = 2 if first else 1
        found = with_space_to_batch(
            input,
            spread,
            padding,
            one,
            filter_shape=window,
            spatial_dims=range(start, start + count),
        )
        return found


def pooled(
    x: Tensor, window: list[int], strides: list[int], kind: str, padding: str, first: bool
) -> Tensor:
    if len(window) == 3:
        three = pooling3d.max_pool3d if kind == "MAX" else pooling3d.avg_pool3d
        return three(x, window, strides, padding, "NCDHW" if first else "NDHWC")
    two = pooling.max_pool if kind == "MAX" else pooling.avg_pool
    if len(window) == 2:
        return two(x, window, strides, padding, data_format="NCHW" if first else "NHWC")
    axis = 2 if first else 1
    found = two(shaping.expand_dims(x, axis), [1, *window], [1, *strides], padding,
                data_format="NCHW" if first else "NHWC")  # fmt: skip
    return shaping.squeeze(found, [axis])


def _pool1d(kind: str):
    def pool1d(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: str = "NWC",
        name: str | None = None,
    ) -> Tensor:
        with name_scope(name, f"{kind.title()}Pool1d", [input]):
            first = _channels_first(data_format, ("NWC",), ("NCW",))
            window, step = (_pair(v, first)[3 if first else 2] for v in (ksize, strides))
            return pooled(convert.convert_to_tensor(input), [window], [step], kind, padding, first)

    pool1d.__doc__ = f"`{kind.lower()}_pool` of sequences [batch, width, channels]."
    return pool1d


max_pool1d = _pool1d("MAX")
avg_pool1d = _pool1d("AVG")


def conv_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME", data_format: str | None = None,
    dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The transposed convolution in one to three dimensions. Raises ValueError for another number."""
    with name_scope(name, "conv_transpose", [input, filters, output_shape]) as scope:
        count = (convert.convert_to_tensor(output_shape).shape.as_list()[0] or 0) - 2
        first = _is_first(data_format)
        if count == 1:
            return conv1d_transpose(input, filters, output_shape, strides, padding, "NCW" if first else "NWC",
                                    dilations, scope)  # fmt: skip
        if count == 2:
            return convolution.conv2d_transpose(input, filters, output_shape, strides, padding,
                                                "NCHW" if first else "NHWC", scope, dilations=dilations)  # fmt: skip
        if count == 3:
            return volumes.conv3d_transpose(input, filters, output_shape, strides, padding,
                                            "NCDHW" if first else "NDHWC", scope, dilations=dilations)  # fmt: skip
        raise ValueError(f"output_shape must have 3, 4 or 5 members, got {count + 2}")
