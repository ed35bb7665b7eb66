"""Variables: where state lives, reading it and assigning to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.cells import Cell
from ckpt.core.dtypes import NUMERIC
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr


@op("VariableV2", "-> ref: &dtype", shape=Attr("shape"), container="", shared_name="")
def variable_v2(ctx, *, dtype, shape, container, shared_name):
    """A variable of this session: a reference to where its value lives."""
    name = shared_name or ctx.node.name
    return ctx.resource(
        "variable", container, name, lambda: Cell(ctx.node.name, dtype, shape.sizes)
    )


variable_v2.shape(lambda *, shape: [shape])
variable_v2.is_resource = True
variable_v2.no_gradient("a variable has no inputs")


@op("Assign", "ref: &T, value: T -> output_ref: &T", validate_shape=True, use_locking=True)
def assign_op(ref, value, *, validate_shape):
    """Set the variable to `value` and return its reference. Raises InvalidArgumentError for another shape."""
    if validate_shape:
        ref.check_shape(value)
    ref.write(value)
    return ref


@assign_op.shape
def assign_shape(ref, value, *, validate_shape):
    return [ref.shape.merge_with(value.shape) if validate_shape else value.shape]


assign_op.stateful()
assign_op.no_gradient("assignments are not differentiable")


def _update(type_name, function, doc):
    def kernel(ref, value):
        held = ref.read()
        ref.check_shape(value)
        ref.write(function(held, value))
        return ref

    kernel.__doc__ = doc
    opdef = op(type_name, "ref: &T, value: T -> output_ref: &T", T=NUMERIC, use_locking=False)(
        kernel
    )
    opdef.shape(lambda ref, value: [ref.shape.merge_with(value.shape)])
    opdef.stateful()
    return opdef.no_gradient("assignments are not differentiable")


assign_add_op = _update(
    "AssignAdd", np.add, "Add `value` to the variable and return its reference."
)
assign_sub_op = _update(
    "AssignSub", np.subtract, "Subtract `value` from the variable and return its reference."
)


@op("IsVariableInitialized", "ref: &dtype -> is_initialized: bool")
def is_variable_initialized_op(ref):
    """True once the variable has a value."""
    return np.bool_(ref.value is not None)


is_variable_initialized_op.shape(lambda ref: [()])
is_variable_initialized_op.stateful()
is_variable_initialized_op.no_gradient("a truth value has no derivative")


def assign(
    ref: Any,
    value: Any,
    validate_shape: Any = None,
    use_locking: Any = None,
    name: str | None = None,
) -> Tensor:
    """Set the variable `ref` to `value` when run; returns its reference."""
    if hasattr(ref, "assign") and not isinstance(ref, Tensor) and not hasattr(ref, "_ref"):
        return ref.assign(value, name=name)
    return assign_op(
        reference(ref),
        value,
        use_locking=True if use_locking is None else use_locking,
        name=name,
        validate_shape=True if validate_shape is None else validate_shape,
    )


def assign_add(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Tensor:
    """Add `value` to the variable `ref` when run; returns its reference."""
    return assign_add_op(reference(ref), value, use_locking=bool(use_locking), name=name)


def assign_sub(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Tensor:
    """Subtract `value` from the variable `ref` when run; returns its reference."""
    return assign_sub_op(reference(ref), value, use_locking=bool(use_locking), name=name)


def is_variable_initialized(ref: Any, name: str | None = None) -> Tensor:
    """A bool tensor: does the variable have a value?"""
    return is_variable_initialized_op(reference(ref), name=name)


def reference(variable: Any) -> Any:
    """The reference tensor behind a variable; a reference tensor itself."""
    return variable._ref() if hasattr(variable, "_ref") else variable
