"""Accumulators of gradients: operations that make them, give to them and take from them. What waits ends with its run."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops.accumulator_state import Dense, Sparse

NUMBERS = frozenset(dtypes.as_dtype(name) for name in (
    "float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "qint8", "quint8", "qint32", "bfloat16",
    "qint16", "quint16", "uint16", "complex128", "float16", "uint32", "uint64",
))  # fmt: skip
MADE = {
    "dtype": Attr("type", allowed=NUMBERS), "shape": Attr("shape"), "container": "", "shared_name": "",
    "reduction_type": Attr("string", "MEAN", allowed=frozenset(("MEAN", "SUM"))),
}  # fmt: skip
ADDED_UP = frozenset((dtypes.float16, dtypes.float32, dtypes.float64))
"""What can be accumulated when run: as in TensorFlow, which defines the operations for more."""


def _accumulator(ctx, kind, dtype, shape, container, shared_name, reduction_type):
    if dtype not in ADDED_UP:
        raise InvalidArgumentError(
            None, None, f"gradients of {dtype.name} cannot be accumulated: use float16, float32 or float64"
        )  # fmt: skip
    name = shared_name or ctx.node.name
    sizes = as_shape(shape).sizes
    return ctx.resource(
        kind.__name__, container, name, lambda: kind(name, reduction_type == "MEAN", sizes)
    )


def _define_maker(type_name, output, kind, doc):
    @op(type_name, f"-> handle: {output}", **MADE)
    def kernel(ctx, *, dtype, shape, container, shared_name, reduction_type):
        return _accumulator(ctx, kind, dtype, shape, container, shared_name, reduction_type)

    kernel.__doc__ = doc
    kernel.shape(lambda: [(2,)])
    return kernel.no_gradient("an accumulator has no derivative")


DENSE = "An accumulator of dense gradients: an average is taken once there are enough of them."
conditional_accumulator = _define_maker("ConditionalAccumulator", "&string", Dense, DENSE)
resource_conditional_accumulator = _define_maker(
    "ResourceConditionalAccumulator", "resource", Dense, DENSE
)
sparse_conditional_accumulator = _define_maker(
    "SparseConditionalAccumulator", "&string", Sparse,
    "An accumulator of gradients that are rows with indices: an average is taken once there are enough of them.",
)  # fmt: skip


def _step(value, name):
    if np.ndim(value):
        raise InvalidArgumentError(
            None, None, f"Argument {name} must be scalar, but had bad shape {list(np.shape(value))}"
        )
    return int(value)


GRADIENT = {"dtype": Attr("type", allowed=NUMBERS)}


def _define_by_handle(prefix, handle):
    """The operations on an accumulator of dense gradients, by reference or by handle."""

    @op(f"{prefix}AccumulatorApplyGradient", f"{handle}, local_step: int64, gradient: dtype ->", **GRADIENT)  # fmt: skip
    def apply(accumulator, local_step, gradient):
        """Add a gradient, unless it is of an earlier time step than the accumulator's."""
        accumulator.give(_step(local_step, "local_step"), np.asarray(gradient))
        return ()

    @op(f"{prefix}AccumulatorNumAccumulated", f"{handle} -> num_accumulated: int32")
    def count(accumulator):
        """How many gradients were added since the last were taken."""
        return np.int32(accumulator.count)

    @op(f"{prefix}AccumulatorSetGlobalStep", f"{handle}, new_global_step: int64 ->")
    def begin(accumulator, new_global_step):
        """Set the time step of the accumulator."""
        accumulator.begin(_step(new_global_step, "new_global_step"))
        return ()

    @op(f"{prefix}AccumulatorTakeGradient", f"{handle}, num_required: int32 -> average: dtype", **GRADIENT)  # fmt: skip
    def take(ctx, accumulator, num_required):
        """The average, once `num_required` gradients were added; the accumulator begins its next time step."""
        return accumulator.take(_step(num_required, "num_required"), ctx.wait)

    apply.shape(_apply_shape)
    begin.shape(_begin_shape)
    count.shape(lambda handle: [()])
    take.shape(_take_shape)
    return apply, count, begin, take.waits()


def _apply_shape(handle, local_step, gradient):
    local_step.shape.assert_has_rank(0)
    return []


def _begin_shape(handle, new_global_step):
    new_global_step.shape.assert_has_rank(0)
    return []


def _take_shape(handle, num_required):
    num_required.shape.assert_has_rank(0)
    made_by = handle.op
    is_known = made_by.type in ("ConditionalAccumulator", "ResourceConditionalAccumulator")
    return [as_shape(made_by.attrs["shape"]) if is_known else None]


by_reference = _define_by_handle("", "handle: &string")
by_resource = _define_by_handle("Resource", "handle: resource")
apply_gradient, num_accumulated, set_global_step, take_gradient = by_reference
(
    resource_apply_gradient,
    resource_num_accumulated,
    resource_set_global_step,
    resource_take_gradient,
) = by_resource


@op("SparseAccumulatorApplyGradient",
    "handle: &string, local_step: int64, gradient_indices: int64, gradient_values: dtype, gradient_shape: int64 ->",
    **GRADIENT, has_known_shape=Attr("bool"))  # fmt: skip
def sparse_apply_gradient(
    accumulator, local_step, gradient_indices, gradient_values, gradient_shape, *, has_known_shape
):
    """Add rows of a gradient, unless it is of an earlier time step than the accumulator's."""
    indices, rows = np.asarray(gradient_indices), np.asarray(gradient_values)
    shape = np.asarray(gradient_shape).reshape(-1).tolist() if has_known_shape else None
    _check_rows(indices, rows, shape)
    _check_shape(accumulator.sizes, rows, shape)
    accumulator.give(_step(local_step, "local_step"), (indices, rows))
    return ()


def _check_rows(indices, rows, shape):
    """Raise InvalidArgumentError unless these are rows, one for each index, each index one of `shape`."""
    if indices.ndim != 1:
        raise InvalidArgumentError(
            None, None, f"Input indices should be vector but received shape: {list(indices.shape)}"
        )
    if not rows.ndim:
        raise InvalidArgumentError(None, None, "Values cannot be 0-dimensional.")
    if len(indices) != len(rows):
        raise InvalidArgumentError(
            None, None, f"Expected {len(indices)} non-empty input values, got {len(rows)}"
        )
    for place in np.flatnonzero(indices < 0)[:1].tolist():
        raise InvalidArgumentError(
            None, None, f"the index of slice {place} is {indices[place]}: it must not be negative"
        )
    if shape:
        for place in np.flatnonzero(indices >= shape[0])[:1].tolist():
            raise InvalidArgumentError(
                None, None, f"Shape mismatch: index of slice {place} exceeded limits of shape; index is {indices[place]} "
                f"exceeded {shape[0]}"
            )  # fmt: skip


def _check_shape(sizes, rows, shape):
    """Raise InvalidArgumentError where the gradient's shape, or its rows, are not those that the accumulator holds."""
    if not sizes:  # not known, or a scalar's: any shape will do
        return
    if shape is not None and len(shape) < len(sizes):
        raise InvalidArgumentError(
            None, None, f"Shape mismatch: expected shape rank at least {len(sizes)}, got {len(shape)}"
        )  # fmt: skip
    if rows.ndim < len(sizes):
        raise InvalidArgumentError(
            None, None, f"Shape mismatch: expected values rank {len(sizes)}, got {rows.ndim}"
        )
    for axis, size in enumerate(sizes):
        if shape is not None and size is not None and shape[axis] != size:
            raise InvalidArgumentError(
                None, None, f"Shape mismatch: expected shape dim {axis} to be {size}, got {shape[axis]}"
            )  # fmt: skip
        if axis and size is not None and rows.shape[axis] != size:
            raise InvalidArgumentError(
                None, None, f"Shape mismatch: expected values dim {axis} to be {size}, got {rows.shape[axis]}"
            )  # fmt: skip


sparse_apply_gradient.shape(lambda *inputs: [])


@op("SparseAccumulatorTakeGradient",
    "handle: &string, num_required: int32 -> indices: int64, values: dtype, shape: int64", **GRADIENT)  # fmt: skip
def sparse_take_gradient(ctx, accumulator, num_required):
    """The average of the rows, once `num_required` gradients were added; the accumulator begins its next time step."""
    return accumulator.take(_step(num_required, "num_required"), ctx.wait)


sparse_take_gradient.waits().shape(lambda handle, num_required: [TensorShape(None)] * 3)

for _opdef in (*by_reference, *by_resource, sparse_apply_gradient, sparse_take_gradient):
    _opdef.stateful().no_gradient("an accumulator has no derivative")
