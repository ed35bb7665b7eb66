"""Evenly spaced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    constants,
    division,
    elementwise,
    indexing,
    joining,
    partitioning,
    reduction,
    shaping,
    slicing,
)


@op(
    "LinSpace",
    "start: T, stop: T, num: Tidx -> output: T",
    T=FLOATING,
    Tidx=Attr("type", dtypes.int32, INDEX),
)
def lin_space_op(start, stop, num):
    """`num` evenly spaced values from `start` to `stop`, both included."""
    for value, name in ((start, "start"), (stop, "stop"), (num, "num")):
        if np.ndim(value):
            raise InvalidArgumentError(
                None, None, f"{name} must be a scalar, not shape {list(np.shape(value))}"
            )
    count = int(num)
    if count <= 0:
        raise InvalidArgumentError(None, None, f"Requires num > 0: {count}")
    kind = np.asarray(start).dtype
    if count == 1:
        return np.array([start], kind)
    step = (np.float64(stop) - np.float64(start)) / (count - 1)
    found = (np.float64(start) + step * np.arange(count)).astype(kind)
    found[-1] = stop
    return found


@lin_space_op.shape
def lin_space_shape(start, stop, num):
    value = constant_value(num)
    if value is not None and int(value) <= 0:
        raise ShapeError(f"Requires num > 0: {int(value)}")
    return [(None if value is None else int(value),)]


@lin_space_op.grad
def lin_space_grad(node, dy):
    num = node.inputs[2]
    steps = elementwise.maximum(num - 1, constants.constant(1, dtype=num.dtype.base_dtype))
    places = indexing.range_(constants.zeros((), num.dtype.base_dtype), num)
    towards = casting.cast(places, dy.dtype) / casting.cast(steps, dy.dtype)
    return [reduction.reduce_sum(dy * (1 - towards)), reduction.reduce_sum(dy * towards), None]


def lin_space(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Tensor:
    """`num` evenly spaced values from `start` to `stop`, both included; between arrays along a new `axis`.

    Integers are taken as floats. Raises InvalidArgumentError (ShapeError where it is known earlier) for `num` < 1.
    """
    with name_scope(name, "LinSpace", [start, stop, num]) as scope:
        first = convert.convert_to_tensor(start, name="start")
        last = convert.convert_to_tensor(stop, name="stop", dtype=first.dtype.base_dtype)
        first, last = division.as_floating(first, last)
        if first.shape.rank == last.shape.rank == 0:
            return lin_space_op(first, last, num, name=scope)
        return _between_arrays(first, last, num, axis)


def _between_arrays(first: Tensor, last: Tensor, num: Any, axis: int) -> Tensor:
    shape = partitioning.broadcast_dynamic_shape(shaping.shape(first), shaping.shape(last))
    first, last = (
        shaping.expand_dims(shaping.broadcast_to(value, shape), axis) for value in (first, last)
    )
    rank = first.shape.rank
    if rank is None:
        raise ValueError("the ranks of start and stop must be known")
    steps = elementwise.maximum(convert.convert_to_tensor(num, dtypes.int32) - 1, 1)
    step = (last - first) / casting.cast(steps, first.dtype)
    places = casting.cast(indexing.range_(1, steps), first.dtype)
    along = [-1 if a == axis % rank else 1 for a in range(rank)]
    inner = first + step * shaping.reshape(places, along)
    every = joining.concat([first, inner, last], axis)
    sizes = [num if a == axis % rank else -1 for a in range(rank)]
    return slicing.slice_(every, [0] * rank, joining.stack(sizes))
