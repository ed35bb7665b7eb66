"""Operations made dilated: space is dealt out to the batch, the plain operation runs, and space is put together again.

Knows no kernel. The nodes are TensorFlow's: SpaceToBatchND, the operation, BatchToSpaceND.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import blocks, constants, division, joining, shaping


def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """(paddings, crops), both [axes, 2], that make the padded `input_shape` divisible by `block_shape`.

    `base_paddings` are made in any case; what is added to them is cropped again. Raises ValueError where the number
    of axes is unknown.
    """
    with name_scope(name, "required_space_to_batch_paddings", [input_shape, block_shape]):
        sizes = convert.convert_to_tensor(input_shape, dtype=dtypes.int32, name="input_shape")
        block = convert.convert_to_tensor(block_shape, dtype=dtypes.int32, name="block_shape")
        count = block.shape.with_rank(1).as_list()[0]
        if count is None:
            raise ValueError("the length of block_shape must be known while the graph is built")
        if base_paddings is None:
            base_paddings = constants.zeros([count, 2], dtype=dtypes.int32)
        base = convert.convert_to_tensor(base_paddings, dtype=dtypes.int32, name="base_paddings")
        known = [constant_value(t) for t in (sizes, block, base)]
        if all(value is not None for value in known):
            return _known_paddings(*known)
        return _paddings_when_run(sizes, block, base, count)


def _known_paddings(sizes: Any, block: Any, base: Any) -> tuple[Tensor, Tensor]:
    start, end = base[:, 0], base[:, 1]
    extra = -(sizes + start + end) % block
    paddings = np.stack([start, end + extra], axis=1)
    crops = np.stack([np.zeros_like(extra), extra], axis=1)
    return constants.constant(paddings, name="paddings"), constants.constant(crops, name="crops")


def _paddings_when_run(
    sizes: Tensor, block: Tensor, base: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    start, end = base[:, 0], base[:, 1]
    whole = sizes + start + end
    extra = division.floor_mod(
        block - division.floor_mod(whole, block, name="mod"), block, name="mod"
    )
    end = end + extra
    paddings = joining.stack([[start[i], end[i]] for i in range(count)], name="paddings")
    crops = joining.stack([[0, extra[i]] for i in range(count)], name="crops")
    return paddings, crops


def with_space_to_batch(
    input: Any, dilation_rate: Any, padding: Any, op: Callable[..., Any], filter_shape: Any = None,
    spatial_dims: Any = None, data_format: str | None = None,
) -> Any:  # fmt: skip
    """`op` on the interleaved parts of `input` that are `dilation_rate` apart: a dilated `op`.

    `op(input, num_spatial_dims, padding)` gets the parts as one larger batch, padded already. `padding` is "VALID",
    "SAME" (then with the sizes of the filter in `filter_shape`), or a pair per axis. Raises ValueError where sizes
    are missing or `spatial_dims` are not increasing axes.
    """
    input = convert.convert_to_tensor(input, name="input")
    rate = convert.convert_to_tensor(dilation_rate, dtype=dtypes.int32, name="dilation_rate")
    known = constant_value(rate)
    if known is None or rate.shape.rank != 1 or not known.size:
        raise ValueError(
            "dilation_rate must be a vector of one number or more that is known when the graph is built"
        )
    rates = [int(r) for r in known]
    if min(rates) < 1:
        raise ValueError(f"dilation_rate must be positive, but saw: {rates}")
    first = 2 if data_format is not None and data_format.startswith("NC") else 1
    dims = list(spatial_dims) if spatial_dims is not None else _following(first, len(rates))
    if sorted(set(dims)) != dims or dims[0] < 1:
        raise ValueError(
            "spatial_dims must be a monotonically increasing sequence of positive integers, "
            f"but saw: {dims}"
        )
    if max(rates) == 1:
        return op(input, len(rates), padding)
    base = _base_paddings(padding, rates, filter_shape, data_format)
    paddings, crops = required_space_to_batch_paddings(_sizes(input, dims), rate, base)
    block = _adjusted(rates, 1, dims)
    paddings = _adjusted(paddings, 0, dims)
    crops = _adjusted(crops, 0, dims)
    parts = blocks.space_to_batch_nd(input, block, paddings)
    return blocks.batch_to_space_nd(op(parts, len(rates), "VALID"), block, crops)


def _following(first: int, count: int) -> list[int]:
    return list(range(first, first + count))


def _sizes(input: Tensor, dims: list[int]) -> Any:
    """The sizes of the axes `dims`: numbers where all are known, otherwise a tensor."""
    static = input.shape.with_rank_at_least(dims[-1] + 1).sizes
    if static is not None and all(static[d] is not None for d in dims):
        return [static[d] for d in dims]
    whole = shaping.shape(input)
    return joining.stack([whole[d] for d in dims])


def _base_paddings(
    padding: Any, rates: list[int], filter_shape: Any, data_format: str | None
) -> Any:
    """The paddings [axes, 2] that the operation itself would make."""
    if not isinstance(padding, str):
        pairs = list(padding)
        if len(pairs) == len(rates) + 2:
            first = 2 if data_format is not None and data_format.startswith("NC") else 1
            pairs = pairs[first : first + len(rates)]
        return np.array(pairs, np.int32)
    if padding == "VALID":
        return np.zeros((len(rates), 2), np.int32)
    if padding != "SAME":
        raise ValueError(f"Invalid padding method {padding!r}")
    if filter_shape is None:
        raise ValueError("filter_shape must be specified for SAME padding")
    sizes = convert.convert_to_tensor(filter_shape, name="filter_shape")
    known = constant_value(sizes)
    window: Any = sizes if known is None else known
    window = window[: len(rates)]
    extra = (window - 1) * np.array(rates, np.int32)
    before = extra // 2
    return joining.stack([[before[i], extra[i] - before[i]] for i in range(len(rates))])


def _adjusted(value: Any, fill: int, dims: list[int]) -> Any:
    """Rows of `value`, one for each axis of `dims`, with rows of `fill` for the axes before and between."""
    last = dims[-1]
    known = value if isinstance(value, list) else constant_value(value)
    if known is not None:
        rows = np.full((last, *np.shape(known)[1:]), fill, np.int32)
        rows[[d - 1 for d in dims]] = known
        return rows
    parts: list[Any] = []
    place = 0
    while place < len(dims):
        gap = dims[place] - (dims[place - 1] if place else 0) - 1
        if gap:
            parts.append(np.full((gap, 2), fill, np.int32))
        end = place + 1
        while end < len(dims) and dims[end] == dims[end - 1] + 1:
            end += 1
        parts.append(value[place:end])
        place = end
    return joining.concat(parts, 0)
