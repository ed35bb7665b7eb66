"""Comparisons, logic and selection by condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import NUMERIC, REAL, bool_, string
from ckpt.core.errors import ShapeError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor, operator
from ckpt.graph.scopes import name_scope
from ckpt.ops import constants, indexing, operators, unbroadcasting
from ckpt.ops.families import comparison, same_shape

ANYTHING = NUMERIC | {bool_, string}

less = comparison("Less", "less", REAL)
less_equal = comparison("LessEqual", "less_equal", REAL)
greater = comparison("Greater", "greater", REAL)
greater_equal = comparison("GreaterEqual", "greater_equal", REAL)


def _equality(type_name, function):
    def kernel(x, y, *, incompatible_shape_error):
        try:
            return np.asarray(function(x, y)).astype(bool)
        except ValueError:
            if incompatible_shape_error:
                raise
            return np.bool_(type_name == "NotEqual")

    opdef = op(type_name, "x: T, y: T -> z: bool", T=ANYTHING, incompatible_shape_error=True)(
        kernel
    )

    @opdef.shape
    def rule(x, y, *, incompatible_shape_error):
        try:
            found = broadcast(x.shape, y.shape)
        except ShapeError:
            if incompatible_shape_error:
                raise
            return [()]
        is_known = x.shape.is_fully_defined() and y.shape.is_fully_defined()
        return [found if incompatible_shape_error or is_known else TensorShape(None)]

    return opdef.no_gradient("a truth value has no derivative")


equal_op = _equality("Equal", np.equal)
not_equal_op = _equality("NotEqual", np.not_equal)


def equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x == y, element by element with broadcasting."""
    return equal_op(x, y, name=name)


def not_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x != y, element by element with broadcasting."""
    return not_equal_op(x, y, name=name)


def _logical(type_name, function):
    opdef = op(type_name, "x: bool, y: bool -> z: bool")(function)
    opdef.shape(lambda x, y: [broadcast(x.shape, y.shape)])
    return opdef.no_gradient("a truth value has no derivative")


logical_and = _logical("LogicalAnd", lambda xp, x, y: xp.logical_and(x, y))
logical_or = _logical("LogicalOr", lambda xp, x, y: xp.logical_or(x, y))


@op("LogicalNot", "x: bool -> y: bool")
def logical_not(xp, x):
    """not x, element by element."""
    return xp.logical_not(x)


logical_not.shape(same_shape)
logical_not.no_gradient("a truth value has no derivative")


def logical_xor(x: Any, y: Any, name: str = "LogicalXor") -> Tensor:
    """True where exactly one of x and y is."""
    return logical_and(logical_or(x, y), logical_not(logical_and(x, y)), name=name)


for _method, _function, _name in (
    ("__lt__", less, "Less"),
    ("__le__", less_equal, "LessEqual"),
    ("__gt__", greater, "Greater"),
    ("__ge__", greater_equal, "GreaterEqual"),
):
    operator(_method)(
        lambda x, y, function=_function, name=_name: operators.applied(name, x, y, function)
    )


@op("Select", "condition: bool, t: T, e: T -> output: T")
def select(condition, t, e):
    """`t` where the condition holds, else `e`; a vector condition chooses whole rows."""
    condition = np.asarray(condition)
    if condition.ndim and condition.ndim < np.ndim(t):
        condition = condition.reshape(condition.shape + (1,) * (np.ndim(t) - condition.ndim))
    return np.where(condition, t, e)


@select.shape
def select_shape(condition, t, e):
    found = t.shape.merge_with(e.shape)
    rank = condition.shape.rank
    if rank is not None and rank > 1:
        condition.shape.assert_is_compatible_with(found)
    elif rank == 1 and found.sizes:
        TensorShape.of(found.sizes[:1]).assert_is_compatible_with(condition.shape)
    return [found]


@select.grad
def select_grad(node, dy):
    condition, t = node.inputs[0], node.inputs[1]
    nothing = constants.zeros_like(t)
    return [None, select(condition, dy, nothing), select(condition, nothing, dy)]


@op("SelectV2", "condition: bool, t: T, e: T -> output: T")
def select_v2(xp, condition, t, e):
    """`t` where the condition holds, else `e`, with broadcasting of all three."""
    return xp.where(condition, t, e)


@select_v2.shape
def select_v2_shape(condition, t, e):
    return [broadcast(broadcast(t.shape, e.shape), condition.shape)]


@select_v2.grad
def select_v2_grad(node, dy):
    condition, t, e = node.inputs
    nothing = constants.zeros((), dtype=dy.dtype.base_dtype)
    d_t, d_e = select_v2(condition, dy, nothing), select_v2(condition, nothing, dy)
    y = node.outputs[0]
    return [
        None,
        unbroadcasting.unbroadcast(t, y, d_t, None)[0],
        unbroadcasting.unbroadcast(e, y, d_e, None)[0],
    ]


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """`x` where the condition holds, else `y`; with neither, the indices [n, rank] of the true elements.

    Raises ValueError when only one of x and y is given.
    """
    if x is None and y is None:
        with name_scope(name, "Where", [condition]) as scope:
            condition = convert.convert_to_tensor(condition, name="condition")
            return indexing.where_op(condition, name=scope)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return select(condition, x, y, name=name)
