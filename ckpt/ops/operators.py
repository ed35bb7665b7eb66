"""Python's arithmetic operators on tensors: each is a node that is named after the operator."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.core.dtypes import bool_
from ckpt.graph import convert
from ckpt.graph.operation import Tensor, operator
from ckpt.graph.scopes import name_scope
from ckpt.ops import casting, division, elementwise, matmul


def applied(name: str, x: Any, y: Any, function: Any) -> Any:
    """What Python's operator gives that is the operation `function` of both sides, called `name`."""
    with name_scope(None, name, [x, y]) as scope:
        x, y = operands(x, y)
        return function(x, y, name=scope)


def operands(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both sides of a binary operator as tensors: a plain value takes the dtype of the tensor beside it."""
    if isinstance(x, Tensor):
        if isinstance(y, Tensor):
            return x, y  # the operation says whether they go together
        return x, convert.convert_to_tensor(y, dtype=x.dtype.base_dtype, name="y")
    if isinstance(y, Tensor):
        return convert.convert_to_tensor(x, dtype=y.dtype.base_dtype, name="x"), y
    left = convert.convert_to_tensor(x, name="x") if hasattr(x, "dtype") else None
    if left is not None:
        return left, convert.convert_to_tensor(y, dtype=left.dtype.base_dtype, name="y")
    right = convert.convert_to_tensor(y, name="y")
    return convert.convert_to_tensor(x, dtype=right.dtype.base_dtype, name="x"), right


@operator("__add__")
def _add_operator(x, y):
    return applied("add", x, y, elementwise.add)


@operator("__sub__")
def _sub_operator(x, y):
    return applied("sub", x, y, elementwise.sub)


@operator("__mul__")
def _mul_operator(x, y):
    return applied("mul", x, y, _multiply)


def _multiply(x: Tensor, y: Tensor, name: str) -> Tensor:
    """x * y; of truth values whether both hold, computed in int32 as TensorFlow does."""
    if x.dtype.base_dtype == bool_:
        x, y = (casting.cast(side, dtypes.int32) for side in (x, y))
        return casting.cast(elementwise.mul(x, y, name=name), bool_)
    return elementwise.mul(x, y, name=name)


@operator("__truediv__")
def _truediv_operator(x, y):
    return applied("truediv", x, y, division.true_divide)


@operator("__div__")
def _div_operator(x, y):
    return applied("div", x, y, division.div_op)


@operator("__floordiv__")
def _floordiv_operator(x, y):
    return applied("floordiv", x, y, division.floor_div)


@operator("__mod__")
def _mod_operator(x, y):
    return applied("mod", x, y, division.floor_mod)


@operator("__pow__")
def _pow_operator(x, y):
    return applied("pow", x, y, elementwise.pow_op)


@operator("__matmul__")
def _matmul_operator(x, y):
    return applied("matmul", x, y, matmul.matmul)


@operator("__neg__")
def _neg_operator(x):
    return elementwise.neg(x)


@operator("__abs__")
def _abs_operator(x):
    return elementwise.abs_(x)
