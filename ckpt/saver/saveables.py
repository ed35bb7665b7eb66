"""Variables as saveable objects: what is written for them, and the assignments that take the values back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.graph import stack
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import device
from ckpt.model.resource_variable import ResourceVariable
from ckpt.model.saveable import SaveableObject, SaveSpec
from ckpt.model.variables import Variable
from ckpt.ops import control, resource, shaping, state

REFERENCES = frozenset({"Variable", "VariableV2", "AutoReloadVariable"})
"""Operations whose output is a variable that can be assigned to."""


class ReferenceSaveable(SaveableObject):
    """A variable that assignments reach by its reference. `value` is the tensor to write, the reference if not given."""

    def __init__(
        self, reference: Tensor, slice_spec: str, name: str, op: Any, value: Tensor | None = None
    ) -> None:
        spec = SaveSpec(
            reference if value is None else value, slice_spec, name, reference.dtype.base_dtype
        )
        super().__init__(op, [spec], name)
        self._reference = reference

    def restore(
        self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None
    ) -> Operation:
        """The assignment."""
        tensor = _shaped(restored_tensors, restored_shapes)
        is_checked = restored_shapes is None and self._reference.shape.is_fully_defined()
        with stack.get_default_graph().colocate_with(self._reference.op):
            assigned: Tensor = state.assign_op(
                self._reference, tensor, validate_shape=is_checked, name="Assign"
            )
        return assigned.op


class ResourceSaveable(SaveableObject):
    """A variable behind a handle. `value` is the tensor to write; None reads the variable when the Saver is built."""

    def __init__(
        self, handle: Tensor, dtype: Any, slice_spec: str, name: str, op: Any, value: Tensor | None
    ) -> None:
        def read() -> Tensor:
            with device(handle.device):
                found = op.read_value()
                with device("/device:CPU:0"):
                    return control.identity(found)  # type: ignore[no-any-return]

        spec = SaveSpec(read if value is None else value, slice_spec, name, dtype, handle.device)
        super().__init__(op, [spec], name)
        self._handle = handle

    def restore(
        self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None
    ) -> Operation:
        """The assignment. Raises ValueError where the shapes are known to differ."""
        tensor = _shaped(restored_tensors, restored_shapes)
        with device(self._handle.device):
            tensor = control.identity(tensor)
            found: Operation = resource.assign_variable(self._handle, tensor)
        return found


def _shaped(tensors: Sequence[Tensor], shapes: Sequence[Any] | None) -> Tensor:
    if shapes is None:
        return tensors[0]
    found: Tensor = shaping.reshape(tensors[0], shapes[0])
    return found


def of_variable(name: str, variable: Any, slice_spec: str = "") -> SaveableObject:
    """The saveable of a Variable, or of the tensor of one, under `name`. Raises TypeError for anything else."""
    if isinstance(variable, ResourceVariable):
        value = None if slice_spec else variable._as_graph_element()
        return ResourceSaveable(variable.handle, variable.dtype, slice_spec, name, variable, value)
    if isinstance(variable, Variable):
        value = variable._snapshot if slice_spec else None
        return ReferenceSaveable(variable._ref(), slice_spec, name, variable, value)
    if isinstance(variable, Tensor) and variable.op.type in REFERENCES:
        return ReferenceSaveable(variable, slice_spec, name, variable)
    if isinstance(variable, Tensor) and variable.op.type == "ReadVariableOp":
        handle = variable.op.inputs[0]
        return ResourceSaveable(handle, variable.dtype, slice_spec, name, handle, variable)
    raise TypeError(
        f"names_to_saveables must be a dict mapping string names to variables. Not a variable: {variable!r}"
    )
