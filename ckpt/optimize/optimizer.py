"""What all optimizers are: gradients, slots named as TensorFlow names them, and the order of it all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.model import initializers
from ckpt.model.gradients import gradients
from ckpt.model.scopes import get_variable_scope, variable_scope
from ckpt.model.selection import expanded
from ckpt.model.shared_variables import count_as_created
from ckpt.model.variable_collections import trainable_variables
from ckpt.model.variables import Variable
from ckpt.ops import constants, control, distinct, segments, shaping, state


class Optimizer:
    """Base of all optimizers: a subclass says its slots (`_create_slots`) and its update (`_apply_dense`).

    Raises ValueError without a name.
    """

    GATE_NONE = 0
    GATE_OP = 1
    GATE_GRAPH = 2

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking = use_locking
        self._name = name
        self._slots: dict[str, dict[Any, Any]] = {}
        self._non_slots: dict[tuple[str, Graph | None], Any] = {}

    def get_name(self) -> str:
        """The name."""
        return self._name

    def minimize(
        self,
        loss: Any,
        global_step: Any = None,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: Any = None,
    ) -> Operation:
        """An operation that makes one step towards a smaller `loss` and increments `global_step`.

        Raises ValueError when no variable has a gradient.
        """
        pairs = self.compute_gradients(
            loss,
            var_list,
            gate_gradients,
            aggregation_method,
            colocate_gradients_with_ops,
            grad_loss,
        )
        if not any(grad is not None for grad, _ in pairs):
            raise ValueError(
                f"No gradients provided for any variable, check your graph for ops that do not support gradients, "
                f"between variables {[str(v) for _, v in pairs]} and loss {loss}."
            )
        return self.apply_gradients(pairs, global_step=global_step, name=name)

    def compute_gradients(
        self,
        loss: Any,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: Any = None,
    ) -> list[tuple[Any, Any]]:
        """(gradient, variable) for each trainable variable (or each of `var_list`); the gradient may be None."""
        if gate_gradients not in (Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH. "
                f"Not {gate_gradients}"
            )
        self._check_dtypes([loss] if grad_loss is None else [loss, grad_loss])
        variables = (
            trainable_variables()
            if var_list is None
            else expanded(_flat(var_list), trainable_variables())
        )
        if var_list is None:
            variables = variables + stack.get_default_graph().get_collection(
                GraphKeys.TRAINABLE_RESOURCE_VARIABLES
            )
        if not variables:
            raise ValueError("No variables to optimize.")
        grads = gradients(
            loss,
            variables,
            grad_ys=grad_loss,
            gate_gradients=gate_gradients == Optimizer.GATE_OP,
            aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )
        if gate_gradients == Optimizer.GATE_GRAPH:
            grads = control.tuple_(grads)
        pairs = list(zip(grads, variables, strict=True))
        self._check_dtypes([v for g, v in pairs if g is not None and v.dtype != dtypes.resource])
        return pairs

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None
    ) -> Operation:
        """An operation that applies the gradients and then increments `global_step`.

        Raises ValueError when there is no gradient at all, TypeError for a gradient that is no tensor.
        """
        pairs = tuple(grads_and_vars)
        if not pairs:
            raise ValueError("No variables provided.")
        converted = [(_as_gradient(grad), variable) for grad, variable in pairs]
        variables = [v for g, v in converted if g is not None]
        if not variables:
            raise ValueError(
                f"No gradients provided for any variable: {[str(v) for _, v in converted]}."
            )
        with control_dependencies(None):
            self._create_slots(variables)
        with name_scope(name, self._name) as scope:
            self._prepare()
            updates = []
            for grad, variable in converted:
                if grad is not None:
                    with name_scope("update_" + variable.op.name), colocate_with(variable.op):
                        updates.append(self._update(grad, variable))
            return self._finished(updates, global_step, scope)

    def _finished(self, updates: list[Any], global_step: Any, scope: str) -> Operation:
        if global_step is None:
            done = self._finish(updates, scope)
        else:
            with (
                control_dependencies([self._finish(updates, "update")]),
                colocate_with(global_step.op),
            ):
                by_handle = state.is_resource_like(global_step)
                one_name = "Const" if by_handle else "value"
                one = constants.constant(1, dtype=global_step.dtype.base_dtype, name=one_name)
                if by_handle:
                    done = global_step.assign_add(one, name=scope, read_value=False)
                else:
                    done = state.assign_add(global_step, one, name=scope).op
        train_ops = stack.get_default_graph().get_collection_ref(GraphKeys.TRAIN_OP)
        if done not in train_ops:
            train_ops.append(done)
        return done

    def _update(self, grad: Any, variable: Any) -> Any:
        is_resource = state.is_resource_like(variable)
        if not isinstance(grad, IndexedSlices):
            apply = self._resource_apply_dense if is_resource else self._apply_dense
            done = apply(grad, variable)
        elif is_resource:
            done = self._resource_apply_sparse_duplicate_indices(
                grad.values, variable, grad.indices
            )
        else:
            done = self._apply_sparse_duplicate_indices(grad, variable)
        if variable.constraint is not None:
            with control_dependencies([done]):
                return variable.assign(variable.constraint(variable.read_value())).op
        return done.op if isinstance(done, Tensor) else done

    def get_slot(self, var: Any, name: str) -> Any:
        """The slot `name` of a variable, or None."""
        return self._slots.get(name, {}).get(_key(var))

    def get_slot_names(self) -> list[str]:
        """The names of the slots, sorted."""
        return sorted(self._slots)

    def variables(self) -> list[Any]:
        """All variables of this optimizer in the default graph, sorted by name."""
        graph = stack.get_default_graph()
        found = [v for (_, g), v in self._non_slots.items() if g is graph]
        found += [
            slot for slots in self._slots.values() for slot in slots.values() if slot.graph is graph
        ]
        return sorted(found, key=lambda v: v.name)

    def _check_dtypes(self, tensors: Sequence[Any]) -> None:
        valid = {dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64}
        for tensor in tensors:
            base = (
                convert.convert_to_tensor(tensor).dtype.base_dtype
                if not hasattr(tensor, "dtype")
                else tensor.dtype.base_dtype
            )
            if base not in valid:
                raise ValueError(
                    f"Invalid type {base} for {getattr(tensor, 'name', tensor)}, expected: floating point."
                )

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        """Make the slots of the variables; none by default."""

    def _prepare(self) -> None:
        """Make the tensors that updates share; none by default."""

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        """The update of one variable."""
        raise TypeError(
            f"{type(self).__name__} does not say how to apply a gradient; define _apply_dense"
        )

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        """The update of one resource variable."""
        raise TypeError(
            f"{type(self).__name__} does not say how to apply a gradient to a resource variable; "
            "define _resource_apply_dense"
        )

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        """The update of rows of which some may be named twice: by default by the sum of their gradients."""
        rows, indices = _added_up(grad.values, grad.indices)
        return self._apply_sparse(IndexedSlices(rows, indices, grad.dense_shape), var)

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        """The update of some rows, each named once; by default that of the whole variable."""
        return self._apply_dense(convert.convert_to_tensor(grad), var)

    def _resource_apply_sparse_duplicate_indices(
        self, grad: Tensor, handle: Any, indices: Tensor
    ) -> Any:
        """The update of rows of a resource variable of which some may be named twice."""
        rows, once = _added_up(grad, indices)
        return self._resource_apply_sparse(rows, handle, once)

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        """The update of some rows of a resource variable, each named once; by default that of the whole variable."""
        slices = IndexedSlices(grad, indices, shaping.shape(handle))
        return self._resource_apply_dense(convert.convert_to_tensor(slices), handle)

    def _finish(self, update_ops: list[Any], name_scope: str) -> Operation:
        """What follows the updates; grouping them by default."""
        return control.group(*update_ops, name=name_scope)

    def _slot_dict(self, slot_name: str) -> dict[Any, Any]:
        return self._slots.setdefault(slot_name, {})

    def _zeros_slot(self, var: Any, slot_name: str, op_name: str) -> Any:
        return self._get_or_make_slot(var, None, slot_name, op_name)

    def _get_or_make_slot(self, var: Any, value: Any, slot_name: str, op_name: str) -> Any:
        slots = self._slot_dict(slot_name)
        key = _key(var)
        if key not in slots:
            slots[key] = make_slot(var, op_name, value)
        return slots[key]

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Any) -> Any:
        key = (name, colocate_with.graph)
        if key not in self._non_slots:
            with _colocated(colocate_with.op):
                self._non_slots[key] = Variable(
                    initial_value,
                    name=name,
                    trainable=False,
                    use_resource=state.is_resource_like(colocate_with),
                )
        return self._non_slots[key]

    def _get_non_slot_variable(self, name: str, graph: Graph | None = None) -> Any:
        return self._non_slots.get((name, graph))

    def _call_if_callable(self, value: Any) -> Any:
        return value() if callable(value) else value


_colocated = colocate_with


def make_slot(primary: Any, name: str, value: Any = None, *, is_beside: bool = True) -> Any:
    """A variable of the shape of `primary`, named `<primary>/<name>`, not trainable; zeros unless `value` is given.

    Where an imported graph has that name already, the slots of the optimizer that trained it, it gets a suffix.
    It stands on the device of `primary` unless `is_beside` is False, and is a resource variable where `primary` is one.
    That of a part is saved as a part of the slot that the whole variable would have, in variable scopes too.
    """
    beside = colocate_with(primary.op) if is_beside else nullcontext()
    with variable_scope(None, primary.op.name + "/" + name), beside:
        dtype = primary.dtype.base_dtype
        initial = (lambda: initializers.Zeros()(primary.shape, dtype)) if value is None else value
        scope = get_variable_scope()
        with name_scope(None), control_dependencies(None):
            # The slash re-enters the scope's own name instead of making it unique once more.
            slot = Variable(
                initial,
                name=_free_name(primary.graph, scope.name) + "/",
                trainable=False,
                dtype=dtype,
                use_resource=state.is_resource_like(primary),
            )
    info = primary._get_save_slice_info() if hasattr(primary, "_get_save_slice_info") else None
    if info is not None:
        before, _, own = slot.op.name.rpartition(primary.op.name + "/")
        whole = f"{before}{info.full_name}/{own}"
        slot._set_save_slice_info(
            type(info)(whole, info.full_shape, info.var_offset, info.var_shape)
        )
    count_as_created(slot)
    return slot


def _free_name(graph: Graph, name: str) -> str:
    """The name, or where a node has it already the same with the first number that is free."""
    base, number = re.sub(r"_\d+$", "", name), 0
    while _has(graph, name):
        number += 1
        name = f"{base}_{number}"
    return name


def _has(graph: Graph, name: str) -> bool:
    try:
        graph.get_operation_by_name(name)
    except KeyError:
        return False
    return True


def _key(variable: Any) -> Any:
    return (variable.graph, variable.op.name)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [member for part in value for member in _flat(part)]
    return [value]


def _as_gradient(grad: Any) -> Any:
    if grad is None or isinstance(grad, IndexedSlices):
        return grad
    try:
        return convert.convert_to_tensor(grad)
    except TypeError:
        raise TypeError(
            f"Gradient must be convertible to a Tensor or IndexedSlices, or None: {grad}"
        ) from None


def _added_up(values: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, indices) with the rows of one index added up and each index once."""
    once, places = distinct.unique(indices)
    count = shaping.shape(once)[0]
    return segments.unsorted_segment_sum(values, places, count), once
