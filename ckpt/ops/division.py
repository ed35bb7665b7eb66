"""Division element by element, in its many ways, and what is left over."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, FLOATING, INDEX, INTEGER, NUMERIC, REAL, bool_
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import casting, elementwise, operators
from ckpt.ops.families import binary

FIELD = FLOATING | COMPLEX

real_div = binary(
    "RealDiv", "true_divide", NUMERIC, lambda x, y, z, dz: _quotient_grad(real_div, x, y, dz)
)


def _quotient_grad(divide: Any, x: Tensor, y: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    x, y = elementwise.conj_of(x), elementwise.conj_of(y)
    return divide(dz, y), dz * divide(divide(-x, y), y)


def refuse_zero(x: Any, y: Any) -> None:
    """Raise InvalidArgumentError where whole numbers `x` are divided by a zero in `y`."""
    if y.dtype.kind in "iu" and x.size and np.any(np.equal(y, 0)):  # no x, no division
        raise InvalidArgumentError(None, None, "Integer division by zero")


def _div(x, y):
    if x.dtype.kind in "iu":
        refuse_zero(x, y)
        quotient = np.floor_divide(x, y)
        return quotient + ((np.mod(x, y) != 0) & ((x < 0) != (y < 0))).astype(x.dtype)
    return np.divide(x, y)


def _floor_div(x, y):
    refuse_zero(x, y)
    return np.floor_divide(x, y) if x.dtype.kind in "iu" else np.floor(np.divide(x, y))


def _floor_mod(x, y):
    refuse_zero(x, y)
    return np.mod(x, y)


def _truncate_div(x, y):
    quotient = _div(x, y)
    return np.trunc(quotient) if quotient.dtype.kind in "fV" else quotient


def _truncate_mod(x, y):
    refuse_zero(x, y)
    return np.fmod(x, y)


div_op = binary("Div", _div, NUMERIC, lambda x, y, z, dz: _quotient_grad(div_op, x, y, dz))
truncate_div = binary("TruncateDiv", _truncate_div, NUMERIC, lambda x, y, z, dz: (None, None))
floor_div = binary("FloorDiv", _floor_div, NUMERIC, lambda x, y, z, dz: (None, None))
floor_mod = binary(
    "FloorMod", _floor_mod, REAL, lambda x, y, z, dz: (dz, dz * elementwise.neg(floor_div(x, y)))
)
mod_op = binary("Mod", _truncate_mod, FLOATING | INDEX, UNDEFINED)
truncate_mod = binary("TruncateMod", _truncate_mod, FLOATING | INDEX, UNDEFINED)
div_no_nan_op = binary(
    "DivNoNan",
    lambda x, y: np.where(
        np.equal(y, 0), x.dtype.type(0), np.divide(x, np.where(np.equal(y, 0), y.dtype.type(1), y))
    ).astype(x.dtype),
    FIELD,
    lambda x, y, z, dz: (div_no_nan(dz, y), dz * div_no_nan(div_no_nan(-x, y), y)),
)


def as_floating(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors of one dtype, integers among them as floats: float32 up to 16 bits, else float64."""
    dtype = tensors[0].dtype.base_dtype
    if dtype not in INTEGER:
        return tensors
    target = dtypes.float32 if dtype.size <= 2 else dtypes.float64
    return tuple(casting.cast(x, target) for x in tensors)


def true_divide(x: Tensor, y: Tensor, name: str) -> Tensor:
    """x / y of tensors, integers as floats. Raises TypeError for truth values."""
    if x.dtype.base_dtype == bool_:
        raise TypeError(f"`x` and `y` must be numeric, got {x.dtype.base_dtype.name}")
    return real_div(*as_floating(x, y), name=name)


def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python 3 divides: integers become float32 or float64 first."""
    with name_scope(name, "truediv", [x, y]) as scope:
        return true_divide(*operators.operands(x, y), name=scope)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python 3 divides."""
    if name is not None:
        return truediv(x, y, name)
    return convert.convert_to_tensor(x) / y


def div(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python 2 divides: integers round down."""
    with name_scope(name, "div", [x, y]) as scope:
        x, y = operators.operands(x, y)
        if x.dtype.is_integer:
            return floor_div(x, y, name=scope)
        return real_div(x, y, name=scope)


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x // y, rounded towards minus infinity."""
    with name_scope(name, "floordiv", [x, y]) as scope:
        return floor_div(*operators.operands(x, y), name=scope)


def div_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where y is 0; integers are divided as floats."""
    with name_scope(name, "div_no_nan", [x, y]) as scope:
        return div_no_nan_op(*as_floating(*operators.operands(x, y)), name=scope)
