"""Numbers that are known before a graph runs as plain integers, the others as tensors: one formula serves both."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.static import constant_value
from ckpt.ops import casting, elementwise, shaping


def plain(value: Any, name: str) -> Any:
    """The int32 scalar `value` as an integer where it is known.

    Raises ValueError for another rank, and TypeError for a dtype that is not one of integers.
    """
    tensor = convert.convert_to_tensor(value, name=name)
    tensor.shape.assert_has_rank(0)
    if not tensor.dtype.is_integer:
        raise TypeError(f"{name} must be an integer. Got {tensor.dtype!r}")
    known = constant_value(tensor)
    return casting.cast(tensor, dtypes.int32) if known is None else int(known)


def size(x: Tensor, axis: int) -> Any:
    """How long `x` is along `axis`."""
    known = None if x.shape.rank is None else x.shape[axis].value
    return shaping.shape(x)[axis] if known is None else known


def at_least(value: Any, low: int) -> Any:
    """The larger of `value` and `low`."""
    return elementwise.maximum(value, low) if isinstance(value, Tensor) else max(value, low)


def static(value: Any) -> int | None:
    """The integer, or None for a tensor, as static shapes spell it."""
    return None if isinstance(value, Tensor) else value
