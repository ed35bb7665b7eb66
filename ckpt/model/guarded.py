"""Initial values that depend on other variables, made such that they can be computed before those have values.

A copy of what computes the value takes, in the place of each reference variable, that variable's value where it has one
and its initial value where it has none. So all initializers may run in any order, and each alone, as in TensorFlow.
"""

from __future__ import annotations

from typing import Any

from ckpt.core.defs import Func
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.model.initialized import initialized_value
from ckpt.model.variable_collections import global_variables, local_variables
from ckpt.run.dataflow import TYPES as IMPORTED_FLOW

_SAFE = frozenset({"IsVariableInitialized", "VarIsInitializedOp", "ReadVariableOp"})
"""These need no guard: they ask for no value, or their initializers run in order."""
_VARIABLES = frozenset({"Variable", "VariableV2"})


class _Unguardable(Exception):  # caught in this file
    """Part of the computation cannot be copied."""


def guarded(value: Tensor, name: str) -> Tensor:
    """What to assign to the variable `name` for the initial value `value`; `value` itself where nothing is to be guarded.

    Copies are called like their originals, `_` and `name` appended. What assigns, branches or loops is not copied:
    such a value needs its variables.
    """
    if not value.op._inputs and not value.dtype._is_ref_dtype:
        return value
    try:
        return _Guard(value.graph, name).of(value)
    except _Unguardable:
        return value


class _Guard:
    """Walks a computation once, inputs first; `outputs` are those of what was replaced."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name
        self.outputs: dict[Operation, list[Tensor]] = {}

    def of(self, value: Tensor) -> Tensor:
        order = self._order(value.op)
        if not any(op.type in _VARIABLES for op in order):
            return value
        self._check_copies(order)
        for op in order:
            if op.type in _VARIABLES:
                self._replace_variable(op)
            elif any(t.op in self.outputs for t in op._inputs):
                self.outputs[op] = self._copy(op)
        return self._now(value)

    def _order(self, end: Operation) -> list[Operation]:
        """The operations that the value depends on, inputs first, those of a node as it takes them."""
        order: list[Operation] = []
        state: dict[Operation, bool] = {}  # False: its inputs are looked at, True: done
        stack = [end]
        while stack:
            op = stack[-1]
            if op in state:
                stack.pop()
                if not state[op]:
                    state[op] = True
                    order.append(op)
                continue
            state[op] = False
            if _is_left_alone(op):
                continue
            for tensor in reversed(op._inputs):
                if tensor.op not in state:
                    stack.append(tensor.op)
                elif not state[tensor.op]:
                    raise _Unguardable  # a cycle
        return order

    def _check_copies(self, order: list[Operation]) -> None:
        """Raise _Unguardable before anything is added, where something depends on a variable and cannot be copied."""
        affected = {op for op in order if op.type in _VARIABLES}
        for op in order:
            if (
                op not in affected
                and any(t.op in affected for t in op._inputs)
                and not _is_left_alone(op)
            ):
                if op.type in IMPORTED_FLOW or op.opdef is None or op.opdef.has_ref_inputs:
                    raise _Unguardable
                affected.add(op)

    def _replace_variable(self, op: Operation) -> None:
        found = _variable_of(op)
        if found is not None:
            assigned = found.initializer.inputs[1]  # guarded itself
            self.outputs[op] = [initialized_value(found, assigned)]

    def _copy(self, op: Operation) -> list[Tensor]:
        inputs = [self._now(t) for t in op._inputs]
        name = self.graph.claimed_name(f"{op.name}_{self.name}")
        return self.graph.add(op.type, op.opdef, inputs, dict(op.attrs), name)._outputs

    def _now(self, tensor: Tensor) -> Tensor:
        found = self.outputs.get(tensor.op)
        return tensor if found is None else found[tensor.value_index]


def _is_left_alone(op: Operation) -> bool:
    """Whether the node is taken as it is: nothing to guard, or a branch, loop or call, which stays one."""
    return op.type in _SAFE or any(isinstance(value, Func) for value in op.attrs.values())


def _variable_of(op: Operation) -> Any:
    """The global or local variable that the operation holds; the newest are looked at first. None where it is none."""
    for variable in (*reversed(global_variables()), *local_variables()):
        if getattr(variable, "op", None) is op:
            return None if variable.initial_value is None else variable
    return None
