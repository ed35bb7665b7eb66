"""Resource variables: a handle to where state lives, reads and writes in the order of control dependencies."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.cells import Cell, renewed
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import UNKNOWN, TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.signature import ANY, Attr
from ckpt.ops import constants, indexing
from ckpt.ops.state import INDEX_TYPE, counted

_PASSING = frozenset(
    {"Identity", "Enter", "RefEnter", "Switch", "RefSwitch", "Merge", "NextIteration", "Exit"}
)


def handle_node(handle: Tensor) -> Operation | None:
    """The VarHandleOp behind a handle, or None when it came some other way."""
    source: Tensor | None = handle
    while source is not None and source.op.type != "VarHandleOp":
        source = _handed_on_from(source)
    return None if source is None else source.op


def _handed_on_from(handle: Tensor) -> Tensor | None:
    """The tensor that a handle is taken from as it is: an input, or what an argument of a function stands for."""
    node = handle.op
    if node.type == "Placeholder" and node.graph.is_building_function:
        return node.graph.outer_of(handle)  # type: ignore[attr-defined]  # a FuncGraph
    return node.inputs[0] if node.type in _PASSING and node.inputs else None


def handle_shape(handle: Tensor) -> TensorShape:
    """The static shape of the variable behind a handle, as far as it is known."""
    source: Tensor | None = handle
    while source is not None:
        said: TensorShape | None = source.__dict__.get("_handle_shape")
        if said is not None:
            return said
        if source.op.type == "VarHandleOp":
            shape: TensorShape = source.op.attrs["shape"]
            return shape
        source = _handed_on_from(source)
    return UNKNOWN


@op(
    "VarHandleOp",
    "-> resource: resource",
    container="",
    shared_name="",
    debug_name="",
    dtype=ANY,
    shape=Attr("shape"),
    allowed_devices=Attr("list(string)", []),
)
def var_handle(ctx, *, container, shared_name, dtype, shape):
    """The handle of a variable of this session; handles of one shared name are one variable."""
    name = shared_name or ctx.node.name
    return ctx.resource("variable", container, name, lambda: Cell(name, dtype, shape.sizes))


var_handle.shape(lambda: [()])
var_handle.is_resource = True
var_handle.no_gradient("a handle has no inputs")


@op("ReadVariableOp", "resource: resource -> value: dtype", dtype=ANY)
def read_variable(resource):
    """The value of the variable."""
    return resource.read()


read_variable.shape(lambda resource: [handle_shape(resource)])
read_variable.stateful()


@read_variable.grad
def read_variable_grad(node, dy):
    return [dy]


@op("AssignVariableOp", "resource: resource, value: dtype ->", dtype=ANY, validate_shape=False)
def assign_variable(resource, value, *, dtype, validate_shape):
    """Set the variable to `value`. Raises InvalidArgumentError for another dtype, or shape where that is checked."""
    if resource.dtype.base_dtype != dtype:
        raise InvalidArgumentError(
            None,
            None,
            f"Trying to assign variable with wrong dtype. Expected {resource.dtype.name} got {dtype.name}",
        )
    if validate_shape:
        resource.check_shape(value)
    resource.write(value)
    return ()


assign_variable.stateful()
assign_variable.no_gradient("assignments are not differentiable")


@assign_variable.shape
def assign_variable_shape(resource, value):
    handle_shape(resource).merge_with(value.shape)
    return []


def _update(type_name, function, doc):
    def kernel(resource, value):
        with renewed(resource) as ((new, old),):
            if new.shape != np.shape(value):
                raise InvalidArgumentError(
                    None,
                    None,
                    f"Cannot update variable with shape {list(new.shape)} using a Tensor with shape "
                    f"{list(np.shape(value))}, shapes must be equal.",
                )
            function(new if old is None else old, value, out=new)
        return ()

    kernel.__doc__ = doc
    opdef = op(type_name, "resource: resource, value: dtype ->", dtype=ANY)(kernel)
    opdef.shape(assign_variable_shape)
    opdef.stateful()
    return opdef.no_gradient("assignments are not differentiable")


assign_add_variable = _update("AssignAddVariableOp", np.add, "Add `value` to the variable.")
assign_sub_variable = _update(
    "AssignSubVariableOp", np.subtract, "Subtract `value` from the variable."
)


@op("VarIsInitializedOp", "resource: resource -> is_initialized: bool")
def var_is_initialized(resource):
    """True once the variable has a value."""
    return np.bool_(resource.value is not None)


var_is_initialized.shape(lambda resource: [()])
var_is_initialized.stateful()
var_is_initialized.no_gradient("a truth value has no derivative")


@op("DestroyResourceOp", "resource: resource ->", ignore_lookup_error=True)
def destroy_resource(resource):
    """Forget the value of the variable."""
    if isinstance(resource, Cell):
        resource.value = None
    return ()


destroy_resource.stateful()
destroy_resource.no_gradient("forgetting is not differentiable")


@op(
    "VariableShape",
    "input: resource -> output: out_type",
    out_type=Attr("type", dtypes.int32, dtypes.INDEX),
)
def variable_shape(resource, *, out_type):
    """The shape of the variable's value."""
    return np.array(np.shape(resource.read()), out_type.as_numpy_dtype)


variable_shape.shape(lambda resource: [(handle_shape(resource).rank,)])
variable_shape.stateful()
variable_shape.no_gradient("a shape is made of integers")


@op("ResourceCountUpTo", "resource: resource -> output: T", T=INDEX_TYPE, limit=Attr("int"))
def resource_count_up_to(resource, *, limit):
    """The variable's value, then one more is stored. Raises OutOfRangeError at `limit`."""
    return counted(resource, limit)


resource_count_up_to.shape(lambda resource: [handle_shape(resource).with_rank(0)])
resource_count_up_to.stateful()
resource_count_up_to.no_gradient("counting is not differentiable")


@op(
    "ResourceGather",
    "resource: resource, indices: Tindices -> output: dtype",
    batch_dims=0,
    validate_indices=True,
    dtype=ANY,
    Tindices=INDEX_TYPE,
)
def resource_gather(resource, indices, *, batch_dims):
    """The rows `indices` of the variable, without reading the others."""
    value = resource.read()
    size = value.shape[batch_dims]
    bad = (indices < 0) | (indices >= size)
    if np.any(bad):
        raise InvalidArgumentError(
            None, None, f"indices = {np.asarray(indices)[bad].reshape(-1)[0]} is not in [0, {size})"
        )
    if not batch_dims:
        return value[indices]
    lead = np.ix_(*[np.arange(n) for n in value.shape[:batch_dims]])
    tail = (1,) * (indices.ndim - batch_dims)
    return value[(*[i.reshape(i.shape + tail) for i in lead], indices)]


@resource_gather.shape
def resource_gather_shape(resource, indices, *, batch_dims):
    whole = handle_shape(resource)
    if whole.sizes is None or indices.shape.sizes is None:
        return [None]
    return [(*indices.shape.sizes, *whole.sizes[batch_dims + 1 :])]


resource_gather.stateful()


@resource_gather.grad
def resource_gather_grad(node, dy):
    handle, indices = node.inputs
    whole = handle_shape(handle)
    known = whole.is_fully_defined()
    shape = constants.constant(whole.as_list(), dtypes.int32) if known else variable_shape(handle)
    return [indexing.rows_gradient(dy, indices, shape), None]
