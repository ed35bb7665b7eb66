"""Values and norms kept within limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, NUMERIC
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import colocate_with, name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.ops import (
    activation,
    casting,
    compare,
    complex_numbers,
    constants,
    control,
    elementwise,
    indexing,
    joining,
    reduction,
    shaping,
    unbroadcasting,
)


@op("ClipByValue", "t: T, clip_value_min: T, clip_value_max: T -> output: T", T=NUMERIC)
def clip_by_value_op(xp, t, low, high):
    """`t` with values below `clip_value_min` or above `clip_value_max` replaced by these."""
    return xp.minimum(xp.maximum(t, low), high)


@clip_by_value_op.shape
def clip_by_value_shape(t, low, high):
    return [t.shape]


@clip_by_value_op.grad
def clip_by_value_grad(node, dy):
    t, low, high = node.inputs
    nothing = constants.zeros_like(dy)
    below, above = compare.less(t, low), compare.greater(t, high)
    inside = compare.select_v2(compare.logical_or(below, above), nothing, dy)
    return [
        inside,
        unbroadcasting.unbroadcast(low, t, compare.select_v2(below, dy, nothing), None)[0],
        unbroadcasting.unbroadcast(high, t, compare.select_v2(above, dy, nothing), None)[0],
    ]


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """`t` with values below or above the limits replaced by these. Raises ValueError where that changes the shape."""
    with name_scope(name, "clip_by_value", [t, clip_value_min, clip_value_max]) as scope:
        values = convert.convert_to_tensor(
            t.values if isinstance(t, IndexedSlices) else t, name="t"
        )
        low = elementwise.minimum(values, clip_value_max)
        values.shape.assert_is_compatible_with(low.shape)
        found = elementwise.maximum(low, clip_value_min, name=scope)
        values.shape.assert_is_compatible_with(found.shape)
        if isinstance(t, IndexedSlices):
            return IndexedSlices(found, t.indices, t.dense_shape)
        return found


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """`t` scaled so that its norm (along `axes`) is at most `clip_norm`."""
    with name_scope(name, "clip_by_norm", [t, clip_norm]) as scope:
        values = convert.convert_to_tensor(
            t.values if isinstance(t, IndexedSlices) else t, name="t"
        )
        squares = reduction.reduce_sum(values * values, axes, keepdims=True)
        is_positive = compare.greater(squares, 0)
        safe = compare.select(is_positive, squares, constants.ones_like(squares))
        norm = compare.select(is_positive, elementwise.sqrt(safe), squares)
        scaled = values * clip_norm
        values.shape.assert_is_compatible_with(scaled.shape)
        clipped = control.identity(scaled / elementwise.maximum(norm, clip_norm), name=scope)
        if isinstance(t, IndexedSlices):
            return IndexedSlices(clipped, t.indices, t.dense_shape)
        return clipped


def _checked_list(t_list: Any) -> list[Any]:
    if (
        isinstance(t_list, (str, bytes))
        or not hasattr(t_list, "__iter__")
        or isinstance(t_list, Tensor)
    ):
        raise TypeError(f"`t_list` should be a sequence of tensors. Received {type(t_list)}.")
    return [
        t
        if t is None or isinstance(t, IndexedSlices)
        else convert.convert_to_tensor(t, name=f"t_{i}")
        for i, t in enumerate(t_list)
    ]


def global_norm(t_list: Any, name: str | None = None) -> Tensor:
    """The norm of all tensors of a list together; None entries are left out."""
    members = _checked_list(t_list)
    with name_scope(name, "global_norm", members):
        halves = []
        for t in members:
            if t is not None:
                values = t.values if isinstance(t, IndexedSlices) else t
                with colocate_with(values):
                    halves.append(activation.l2_loss(values))
        half = reduction.reduce_sum(joining.stack(halves))
        two = constants.constant(2.0, dtype=half.dtype.base_dtype)
        return elementwise.sqrt(half * two, name="global_norm")


def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """(the tensors scaled so that their norm together is at most `clip_norm`, that norm before)."""
    members = _checked_list(t_list)
    if use_norm is None:
        use_norm = global_norm(members, name)
    with name_scope(name, "clip_by_global_norm", [*members, clip_norm]) as scope:
        limit = elementwise.minimum(
            1.0 / use_norm,
            constants.constant(1.0, dtype=use_norm.dtype.base_dtype) / clip_norm,
        )
        # Infinite norms must give NaN (inf - inf): nothing sensible can be done with such gradients.
        scale = clip_norm * limit + (use_norm - use_norm)
        found: list[Any] = []
        for i, t in enumerate(members):
            if t is None:
                found.append(None)
                continue
            values = t.values if isinstance(t, IndexedSlices) else t
            with colocate_with(values):
                clipped = control.identity(values * scale, name=f"{scope}_{i}")
            found.append(
                IndexedSlices(clipped, t.indices, t.dense_shape)
                if isinstance(t, IndexedSlices)
                else clipped
            )
    return found, use_norm


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Tensor:
    """`t` scaled so that its norm divided by its number of elements is at most `clip_norm`."""
    with name_scope(name, "clip_by_average_norm", [t, clip_norm]) as scope:
        t = convert.convert_to_tensor(t, name="t")
        count = casting.cast(shaping.size(t), dtypes.float32)
        squares = t * t
        axes = indexing.range_(shaping.rank(t))
        inverse = elementwise.rsqrt(reduction.reduce_sum(squares, axes))
        scaled = t * clip_norm
        limit = elementwise.minimum(inverse * count, constants.constant(1.0) / clip_norm)
        return control.identity(scaled * limit, name=scope)


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`value` clipped to what both dtypes can hold, then cast; of complex numbers the real part becomes a real number.

    Raises TypeError for truth values and strings, which have no range.
    """
    with name_scope(name, "saturate_cast", [value]) as scope:
        value = convert.convert_to_tensor(value, name="value")
        dtype = dtypes.as_dtype(dtype).base_dtype
        if value.dtype.base_dtype in COMPLEX:
            if dtype in COMPLEX:
                return casting.cast(value, dtype, name=scope)
            value = complex_numbers.real(value)
        held = value.dtype.base_dtype
        low, high = _common_range(held, dtype.real_dtype)
        limits = (convert.convert_to_tensor(v, dtype=held) for v in (low, high))
        return casting.cast(clip_by_value_op(value, *limits, name="clamp"), dtype, name=scope)


def _common_range(held: Any, target: Any) -> tuple[Any, Any]:
    """The least and the greatest value of `held` that `target` can hold."""
    low, high = max(held.min, target.min), min(held.max, target.max)
    if not held.is_floating:
        return low, high
    kind = held.as_numpy_dtype
    least, most = kind(low), kind(high)
    if float(least) < low:  # rounded out of the target's range
        least = np.nextafter(least, kind(0))
    if float(most) > high:
        most = np.nextafter(most, kind(0))
    return least, most
