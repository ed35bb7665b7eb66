"""Optimizers of which each update, of a whole variable or of rows, is one operation. Must not know any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.graph import convert
from ckpt.graph.opdef import OPS, OpDef
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.slices import IndexedSlices
from ckpt.ops import casting, state
from ckpt.optimize.optimizer import Optimizer


def applied(kind: str, variables: Sequence[Any], *inputs: Any, **attrs: Any) -> Operation:
    """The node of the update `kind` of the first variable, by reference or by handle."""
    opdef: OpDef = OPS[f"Resource{kind}" if state.is_resource_like(variables[0]) else kind]
    made = opdef(*map(state.reference, variables), *inputs, **attrs)
    return made.op if isinstance(made, Tensor) else made


def in_dtype_of(value: Any, var: Any) -> Any:
    """A tensor or variable in the dtype of `var`."""
    return casting.cast(value, var.dtype.base_dtype)


class FusedOptimizer(Optimizer):
    """Base of the optimizers that have an operation for dense gradients and one for rows, with inputs of one kind.

    A subclass says its update's name in `_kind`, the slots that go in after the variable in `_state`, the tensors that
    it prepares in `_scalars` (name of the node: value), and where the gradient goes among them in `_inputs`.
    """

    _kind: str
    _state: tuple[str, ...] = ()

    def __init__(self, use_locking: bool, name: str, **scalars: Any) -> None:
        super().__init__(use_locking, name)
        self._scalars = scalars
        self._tensors: dict[str, Any] = {}

    def _prepare(self) -> None:
        for name, value in self._scalars.items():
            self._tensors[name] = convert.convert_to_tensor(
                self._call_if_callable(value), name=name
            )

    def _inputs(self, var: Any, *gradient: Any) -> list[Any]:
        """What goes in after the state: by default all scalars, then the gradient."""
        return [*(in_dtype_of(tensor, var) for tensor in self._tensors.values()), *gradient]

    def _applied(self, prefix: str, var: Any, *gradient: Any) -> Operation:
        return applied(
            prefix + self._kind,
            [var, *(self.get_slot(var, name) for name in self._state)],
            *self._inputs(var, *gradient),
            use_locking=self._use_locking,
        )

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        return self._applied("Apply", var, grad)

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        return self._applied("Apply", handle, grad)

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        return self._applied("SparseApply", var, grad.values, grad.indices)

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        return self._applied("SparseApply", handle, grad, indices)

    def _filled_slot(self, var: Any, initializer: Any, slot_name: str, op_name: str) -> Any:
        """The slot, filled by an initializer when it is made."""
        dtype = var.dtype.base_dtype
        return self._get_or_make_slot(
            var, lambda: initializer(var.shape, dtype), slot_name, op_name
        )
