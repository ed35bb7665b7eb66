"""Variables: where state lives, reading it and assigning to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.cells import Cell, renewed
from ckpt.core.dtypes import INDEX, NUMERIC
from ckpt.core.errors import OutOfRangeError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import ANY, Attr

INDEX_TYPE = Attr("type", allowed=INDEX)


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
        with renewed(ref) as ((new, old),):
            ref.check_shape(value)
            function(new if old is None else old, value, out=new)
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


@op("Variable", "-> ref: &dtype", shape=Attr("shape"), container="", shared_name="")
def variable_op(ctx, *, dtype, shape, container, shared_name):
    """The first version of VariableV2: a shape without axes means that nothing is known."""
    sizes = shape.sizes or None
    name = shared_name or ctx.node.name
    return ctx.resource("variable", container, name, lambda: Cell(ctx.node.name, dtype, sizes))


variable_op.shape(lambda *, shape: [shape if shape.sizes else None])
variable_op.is_resource = True
variable_op.no_gradient("a variable has no inputs")


@op("TemporaryVariable", "-> ref: &dtype", shape=Attr("shape"), var_name="")
def temporary_variable(ctx, *, dtype, shape, var_name):
    """A variable that lives until DestroyTemporaryVariable; its memory starts as zeros."""
    cell = Cell(var_name or ctx.node.name, dtype, shape.sizes)
    cell.write(np.zeros(shape.as_tuple(), dtype.as_numpy_dtype))
    return cell


temporary_variable.shape(lambda *, shape: [shape])
temporary_variable.stateful()
temporary_variable.no_gradient("a variable has no inputs")


@op("DestroyTemporaryVariable", "ref: &T -> value: T", T=ANY, var_name=Attr("string"))
def destroy_temporary_variable(ref):
    """The last value of a temporary variable, which is then forgotten."""
    with ref.lock:
        value, ref.value = ref.read(), None
    return value


destroy_temporary_variable.shape(lambda ref: [ref.shape])
destroy_temporary_variable.stateful()
destroy_temporary_variable.no_gradient("temporary variables are not differentiable")


@op("CountUpTo", "ref: &T -> output: T", T=INDEX_TYPE, limit=Attr("int"))
def count_up_to_op(ref, *, limit):
    """The variable's value, then one more is stored. Raises OutOfRangeError at `limit`."""
    return counted(ref, limit)


count_up_to_op.shape(lambda ref: [ref.shape.with_rank(0)])
count_up_to_op.stateful()
count_up_to_op.no_gradient("counting is not differentiable")


def counted(cell: Any, limit: int) -> Any:
    """The value of a counter, which then grows by one. Raises OutOfRangeError when it has reached `limit`."""
    with cell.lock:
        value = cell.read()
        if value >= limit:
            raise OutOfRangeError(None, None, f"Reached limit of {limit}")
        cell.write(np.asarray(value + 1, value.dtype))
    return value


def assign(
    ref: Any,
    value: Any,
    validate_shape: Any = None,
    use_locking: Any = None,
    name: str | None = None,
) -> Tensor:
    """Set the variable `ref` to `value` when run; returns its reference."""
    if is_resource_like(ref):
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
    if is_resource_like(ref):
        return ref.assign_add(value, name=name)
    return assign_add_op(reference(ref), value, use_locking=bool(use_locking), name=name)


def assign_sub(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Tensor:
    """Subtract `value` from the variable `ref` when run; returns its reference."""
    if is_resource_like(ref):
        return ref.assign_sub(value, name=name)
    return assign_sub_op(reference(ref), value, use_locking=bool(use_locking), name=name)


def is_variable_initialized(ref: Any, name: str | None = None) -> Tensor:
    """A bool tensor: does the variable have a value?"""
    if is_resource_like(ref):
        return ref.is_initialized(name=name)
    return is_variable_initialized_op(reference(ref), name=name)


def count_up_to(ref: Any, limit: int, name: str | None = None) -> Tensor:
    """The value of the counter `ref`, which then grows by one; an OutOfRangeError when run at `limit`."""
    if is_resource_like(ref):
        return ref.count_up_to(limit)
    return count_up_to_op(reference(ref), limit=limit, name=name)


def is_resource_like(variable: Any) -> bool:
    """True for a variable that is reached through a handle and not by reference."""
    return hasattr(variable, "handle") and not isinstance(variable, Tensor)


def reference(variable: Any) -> Any:
    """The reference tensor behind a variable; a reference tensor itself."""
    return variable._ref() if hasattr(variable, "_ref") else variable
