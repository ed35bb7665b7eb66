"""Convolution and pooling in any number of dimensions, dilated and separable: functions over the operations below.

Knows no kernel. The rule for sizes and paddings is TensorFlow's (python/ops/nn_ops.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import blocks, convolution, dilation, joining, pooling, pooling3d, shaping, volumes


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
    with name_scope(name, "conv1d", [value, filters]) as scope:
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
            name=scope,
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
        wide = shaping.expand_dims(input, axis)
        filters = shaping.expand_dims(filters, 0)
        shape = joining.concat([output_shape[:axis], [1], output_shape[axis:]], 0)
        found = convolution.conv2d_transpose(
            wide, filters, shape, _pair(strides, first), padding, data_format="NCHW" if first else "NHWC",
            dilations=_pair(dilations, first), name=scope,
        )  # fmt: skip
        return shaping.squeeze(found, [axis])


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
        first = _is_first(data_format)

        def one(part: Any, _: int, kind: Any) -> Tensor:
            return _convolved(part, filter, count, strides, kind, first, scope)

        if all(d == 1 for d in spread):
            return one(input, count, padding)
        return dilation.with_space_to_batch(
            input, spread, padding, one, filter_shape=filter.shape.as_list(),
            data_format="NC" if first else None,
        )  # fmt: skip


def _convolved(input, filter, count, strides, padding, first, name) -> Tensor:
    if count == 1:
        return conv1d(input, filter, strides, padding, data_format="NCW" if first else "NWC", name=name)  # fmt: skip
    if count == 2:
        return convolution.conv2d(input, filter, strides, padding, data_format="NCHW" if first else "NHWC",
                                  name=name)  # fmt: skip
    return volumes.conv3d(input, filter, strides, padding, "NCDHW" if first else "NDHWC", name=name)


def atrous_conv2d(
    value: Any, filters: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """`conv2d` with filters spread so that neighbours are `rate` elements apart."""
    return convolution_(input=value, filter=filters, padding=padding, dilation_rate=np.broadcast_to(rate, (2,)),
                        name=name)  # fmt: skip


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """The transpose of `atrous_conv2d`; filters: [rows, columns, output channels, input channels].

    Raises ValueError for a rate below 1 and a padding that is neither "SAME" nor "VALID".
    """
    if padding not in ("SAME", "VALID"):
        raise ValueError(f'padding must be "SAME" or "VALID", got {padding!r}')
    if rate < 1:
        raise ValueError(f"rate must be at least 1, got {rate}")
    with name_scope(name, "atrous_conv2d_transpose", [value, filters, output_shape]):
        value = convert.convert_to_tensor(value, name="value")
        filters = convert.convert_to_tensor(filters, name="filters")
        if rate == 1:
            return convolution.conv2d_transpose(value, filters, output_shape, [1, 1, 1, 1], padding)
        shape = convert.convert_to_tensor(output_shape, name="output_shape")
        known = constant_value(shape)
        sizes: Any = shape if known is None else [int(size) for size in known]
        window = _window(filters)
        spread = [(w - 1) * rate if padding == "SAME" else 0 for w in window]
        before = [s // 2 for s in spread]
        after = [s - b for s, b in zip(spread, before, strict=True)]
        padded = [sizes[i + 1] + before[i] + after[i] for i in range(2)]
        extra = [(rate - size % rate) % rate for size in padded]
        parts = blocks.space_to_batch(value, [[0, extra[0]], [0, extra[1]]], rate)
        inner = [
            rate * rate * sizes[0], (padded[0] + extra[0]) // rate, (padded[1] + extra[1]) // rate, sizes[3],
        ]  # fmt: skip
        found = convolution.conv2d_backprop_input_op(
            inner, filters, parts, strides=[1, 1, 1, 1], padding="VALID"
        )
        crops = [[before[i], after[i] + extra[i]] for i in range(2)]
        return blocks.batch_to_space(found, crops, rate)


def _window(filters: Tensor) -> list[Any]:
    """The rows and columns of filters: numbers where they are known."""
    static = filters.shape.with_rank(4).as_list()
    return [static[i] if static[i] is not None else shaping.shape(filters)[i] for i in range(2)]


def depthwise_conv2d(
    input: Any, filter: Any, strides: Any, padding: Any, rate: Any = None, name: str | None = None,
    data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """Each channel of `input` convolved with its own filters; `rate` (or `dilations`) spreads the filters.

    filter: [rows, columns, channels, multiplier].
    """
    with name_scope(name, "depthwise", [input, filter]) as scope:
        input = convert.convert_to_tensor(input, name="tensor_in")
        filter = convert.convert_to_tensor(filter, name="filter_in")
        return _depthwise(
            input, filter, strides, padding, _either(dilations, rate, [1, 1]), data_format, scope
        )


def _depthwise(input, filter, strides, padding, rate, data_format, name) -> Tensor:
    def one(part: Any, _: int, kind: Any) -> Tensor:
        return convolution.depthwise_conv2d_native(
            part, filter, strides, kind, data_format or "NHWC", name=name
        )

    shape = shaping.shape(filter)
    return dilation.with_space_to_batch(
        input, rate, padding, one, filter_shape=shape, data_format=data_format
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
        between = _depthwise(
            input, depthwise_filter, strides, padding, list(rate), data_format, "depthwise"
        )
        return convolution.conv2d(
            between, pointwise_filter, [1, 1, 1, 1], "VALID", data_format=data_format, name=scope
        )


def pool(
    input: Any, window_shape: Any, pooling_type: str, padding: Any, dilation_rate: Any = None, strides: Any = None,
    name: str | None = None, data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """The largest ("MAX") or the mean ("AVG") of each window of [batch, ..., channels], in one to three dimensions.

    Raises ValueError for other kinds and dimensions, and for strides together with dilation.
    """
    with name_scope(name, f"{pooling_type.lower()}_pool", [input]) as scope:
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
            return pooled(part, window, strides, pooling_type, kind, first, scope)

        return dilation.with_space_to_batch(
            input, spread, padding, one, filter_shape=window, data_format="NC" if first else None
        )


def pooled(
    x: Tensor, window: list[int], strides: list[int], kind: str, padding: str, first: bool,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    if len(window) == 3:
        three = pooling3d.max_pool3d if kind == "MAX" else pooling3d.avg_pool3d
        return three(x, window, strides, padding, "NCDHW" if first else "NDHWC", name=name)
    two = pooling.max_pool if kind == "MAX" else pooling.avg_pool
    layout = "NCHW" if first else "NHWC"
    if len(window) == 2:
        return two(x, window, strides, padding, data_format=layout, name=name)
    axis = 3 if first else 2
    found = two(shaping.expand_dims(x, axis), [*window, 1], [*strides, 1], padding, data_format=layout,
                name=name)  # fmt: skip
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


def _pool_of_any_rank(kind: str) -> Any:
    def pool_v2(
        input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = None, name: str | None = None
    ) -> Tensor:  # fmt: skip
        x = convert.convert_to_tensor(input)
        rank = x.shape.rank
        if rank not in (3, 4, 5):
            raise ValueError(
                f"`input.shape.rank` must be 3, 4 or 5. Received: input.shape={x.shape} of rank {rank}."
            )
        layout = data_format or {3: "NWC", 4: "NHWC", 5: "NDHWC"}[rank]
        if rank == 3:
            one = max_pool1d if kind == "MAX" else avg_pool1d
            return one(x, ksize, strides, padding, layout, name or f"{kind.title()}Pool1d")
        if rank == 4:
            two = pooling.max_pool if kind == "MAX" else pooling.avg_pool
            return two(x, ksize, strides, padding, layout, name or f"{kind.title()}Pool2d")
        three = pooling3d.max_pool3d if kind == "MAX" else pooling3d.avg_pool3d
        return three(x, ksize, strides, padding, layout, name or f"{kind.title()}Pool3D")

    pool_v2.__doc__ = (
        f"`{kind.lower()}_pool` of sequences, images or volumes, by the rank of `input`."
    )
    pool_v2.__name__ = f"{kind.lower()}_pool_v2"
    return pool_v2


max_pool_v2 = _pool_of_any_rank("MAX")
avg_pool_v2 = _pool_of_any_rank("AVG")


def conv_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME", data_format: str | None = None,
    dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The transposed convolution in one to three dimensions. Raises ValueError for another number."""
    with name_scope(name, "conv_transpose", [input, filters, output_shape]) as scope:
        known = (
            output_shape.shape.as_list()[0]
            if isinstance(output_shape, Tensor)
            else len(output_shape)
        )
        count = (known or 0) - 2
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
