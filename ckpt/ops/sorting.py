"""Sorting along an axis, on top of the largest elements."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import casting, compare, constants, division, elementwise, indexing, largest, shaping


def _sorted(values: Any, axis: int, direction: str, want_values: bool) -> Tensor:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"Argument `direction` should be one of 'ASCENDING' or 'DESCENDING'. Received: direction={direction}"
        )
    values = convert.convert_to_tensor(values, name="values")
    at = axis if not isinstance(axis, Tensor) else constant_value(axis)
    rank = values.shape.rank
    if rank is not None and at is not None and not -rank <= int(at) < rank:
        raise ValueError(
            f"slice index {int(at)} of dimension 0 out of bounds: values has rank {rank}"
        )
    is_last = at is not None and int(at) in (-1, None if rank is None else rank - 1)
    order = None if is_last else _last_swapped_with(axis if at is None else int(at), values)
    moved = values if order is None else shaping.transpose(values, order)
    is_up = direction == "ASCENDING"
    keys = _turned(moved) if is_up else moved
    found, places = largest.top_k(keys, shaping.shape(moved)[-1])
    result = (_turned(found) if is_up else found) if want_values else places
    return result if order is None else shaping.transpose(result, order)


def _last_swapped_with(axis: Any, values: Tensor) -> Any:
    """The order of the axes that puts `axis` last and the last one in its place; its own inverse."""
    rank = values.shape.rank
    if rank is not None and not isinstance(axis, Tensor):
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]
        return order
    count = shaping.rank(values)
    at = division.floor_mod(casting.cast(axis, dtypes.int32), count)
    places = indexing.range_(count)
    last = count - 1
    is_axis, is_last = (compare.equal(places, place) for place in (at, last))
    swapped = compare.select_v2(is_axis, last, places)
    return compare.select_v2(is_last, at, swapped)


def _turned(x: Tensor) -> Tensor:
    """`x` in the opposite order: -x, or for unsigned integers the distance from the greatest one."""
    if x.dtype.is_unsigned:
        return elementwise.sub(constants.constant(x.dtype.max, dtype=x.dtype.base_dtype), x)
    if x.dtype.is_integer:
        return elementwise.sub(constants.constant(-1, dtype=x.dtype.base_dtype), x)
    return elementwise.neg(x)


def sort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None
) -> Tensor:
    """The elements along `axis` in order. Raises ValueError for an unknown direction."""
    with name_scope(name, "sort"):
        return _sorted(values, axis, direction, True)


def argsort(
    values: Any,
    axis: int = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: str | None = None,
) -> Tensor:
    """The positions that sort the elements along `axis`; equal elements keep their order."""
    with name_scope(name, "argsort"):
        return casting.cast(_sorted(values, axis, direction, False), dtypes.int32)
