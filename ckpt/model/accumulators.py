"""Accumulators of gradients as objects: `tf.ConditionalAccumulator` and its kin. What they hold belongs to a session."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckpt.core import dtypes as all_dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.slices import IndexedSlices
from ckpt.ops import accumulators, casting


class SparseAccumulatorTakeGradient(NamedTuple):
    """The average of gradients that are rows, under the name that TensorFlow gives it."""

    indices: Tensor
    values: Tensor
    shape: Tensor


class ConditionalAccumulatorBase:
    """What all accumulators do: hold gradients of one time step or later until there are enough to take their average.

    An accumulator begins at time step 0; each average that is taken begins the next.
    """

    def __init__(self, dtype: Any, shape: Any, accumulator_ref: Tensor) -> None:
        self._dtype = all_dtypes.as_dtype(dtype)
        self._shape = TensorShape(None) if shape is None else as_shape(shape)
        self._accumulator_ref = accumulator_ref

    @property
    def accumulator_ref(self) -> Tensor:
        """The handle of the accumulator."""
        return self._accumulator_ref

    @property
    def name(self) -> str:
        """The name of the operation that makes the accumulator, without its scopes."""
        return self._accumulator_ref.op.name.rpartition("/")[2]

    @property
    def dtype(self) -> DType:
        """The dtype of the gradients."""
        return self._dtype

    def num_accumulated(self, name: str | None = None) -> Tensor:
        """How many gradients were added since the last were taken, an int32."""
        found: Tensor = self._operation("AccumulatorNumAccumulated")(
            self._accumulator_ref, name=name or f"{self.name}_NumAccumulated"
        )
        return found

    def set_global_step(self, new_global_step: Any, name: str | None = None) -> Operation:
        """The operation that sets the time step of the accumulator; it logs a warning where that is an earlier one."""
        made: Operation = self._operation("AccumulatorSetGlobalStep")(
            self._accumulator_ref, _as_step(new_global_step), name=name
        )
        return made

    def _operation(self, type_name: str) -> Any:
        by_handle = self._accumulator_ref.dtype == all_dtypes.resource
        for opdef in accumulators.by_resource if by_handle else accumulators.by_reference:
            if opdef.type.endswith(type_name):
                return opdef
        raise LookupError(f"there is no operation {type_name} on accumulators")


class ConditionalAccumulator(ConditionalAccumulatorBase):
    """An accumulator of dense gradients of one shape.

    Raises ValueError for a `reduction_type` other than "MEAN" and "SUM", TypeError for a dtype that is no number.
    """

    def __init__(
        self, dtype: Any, shape: Any = None, shared_name: str | None = None, name: str = "conditional_accumulator",
        reduction_type: str = "MEAN",
    ) -> None:  # fmt: skip
        made = accumulators.resource_conditional_accumulator(
            dtype=dtype, shape=shape, shared_name=shared_name or "", name=name, reduction_type=reduction_type
        )  # fmt: skip
        super().__init__(dtype, shape, made)

    def apply_grad(self, grad: Any, local_step: Any = 0, name: str | None = None) -> Operation:
        """The operation that adds a gradient which was computed at `local_step`; running it drops one of an earlier step.

        Raises ValueError for a gradient of another shape or dtype.
        """
        gradient = convert.convert_to_tensor(grad, self._dtype)
        gradient.get_shape().assert_is_compatible_with(self._shape)
        made: Operation = accumulators.resource_apply_gradient(
            self._accumulator_ref, _as_step(local_step), gradient, name=name
        )
        return made

    def take_grad(self, num_required: Any, name: str | None = None) -> Tensor:
        """The mean (or sum) of the gradients. Running it waits until there are `num_required` of them.

        Then the accumulator is empty, and at its next time step. Running it raises InvalidArgumentError for a number below 1.
        """
        found: Tensor = accumulators.resource_take_gradient(
            self._accumulator_ref, num_required, dtype=self._dtype, name=name
        )
        found.set_shape(self._shape)
        return found


class SparseConditionalAccumulator(ConditionalAccumulatorBase):
    """An accumulator of gradients that are rows with indices (IndexedSlices). The mean of a row is over those that have it.

    `shape` is that of the whole gradients; what is None in it may be any size. Raises ValueError for a `reduction_type`
    other than "MEAN" and "SUM", TypeError for a dtype that is no number.
    """

    def __init__(
        self, dtype: Any, shape: Any = None, shared_name: str | None = None,
        name: str = "sparse_conditional_accumulator", reduction_type: str = "MEAN",
    ) -> None:  # fmt: skip
        made = accumulators.sparse_conditional_accumulator(
            dtype=dtype, shape=shape, shared_name=shared_name or "", name=name, reduction_type=reduction_type
        )  # fmt: skip
        super().__init__(dtype, shape, made)

    def apply_indexed_slices_grad(
        self, grad: IndexedSlices, local_step: Any = 0, name: str | None = None
    ) -> Operation:
        """The operation that adds the rows of IndexedSlices; see `apply_grad`."""
        return self.apply_grad(
            grad_indices=grad.indices, grad_values=grad.values, grad_shape=grad.dense_shape, local_step=local_step,
            name=name,
        )  # fmt: skip

    def apply_grad(
        self, grad_indices: Any, grad_values: Any, grad_shape: Any = None, local_step: Any = 0, name: str | None = None
    ) -> Operation:  # fmt: skip
        """The operation that adds rows which were computed at `local_step`; running it drops those of an earlier step.

        `grad_indices` [rows] says which rows of the whole gradient `grad_values` [rows, ...] are, `grad_shape` its shape
        where that is known. Running it raises InvalidArgumentError where these do not fit together, or the accumulator.
        """
        step = _as_step(local_step)
        indices = casting.cast(grad_indices, all_dtypes.int64)
        shape = casting.cast([] if grad_shape is None else grad_shape, all_dtypes.int64)
        made: Operation = accumulators.sparse_apply_gradient(
            self._accumulator_ref, step, indices, grad_values, shape, dtype=self._dtype,
            has_known_shape=grad_shape is not None, name=name,
        )  # fmt: skip
        return made

    def take_grad(
        self, num_required: Any, name: str | None = None
    ) -> SparseAccumulatorTakeGradient:
        """Indices, rows and shape of the average. Running it waits until there are `num_required` gradients.

        Then the accumulator is empty, and at its next time step. Running it raises InvalidArgumentError for a number below 1.
        """
        return SparseAccumulatorTakeGradient(
            *accumulators.sparse_take_gradient(
                self._accumulator_ref, num_required, dtype=self._dtype, name=name
            )
        )

    def take_indexed_slices_grad(self, num_required: Any, name: str | None = None) -> IndexedSlices:
        """The average as IndexedSlices; see `take_grad`."""
        indices, values, shape = self.take_grad(num_required, name)
        return IndexedSlices(values, indices, shape)


def _as_step(value: Any) -> Tensor:
    """A time step as an int64."""
    step: Tensor = casting.cast(convert.convert_to_tensor(value), all_dtypes.int64)
    return step
