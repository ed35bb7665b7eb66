"""Whether variables have values, and what to use where they have none. Must not know optimizers or files."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, device, name_scope
from ckpt.model.selection import expanded
from ckpt.model.variable_collections import global_variables, local_variables
from ckpt.ops import compare, constants, indexing, joining, scatter, shaping, state
from ckpt.ops.reduction import reduce_prod


def initialized_value(variable: Any, initial: Any = None) -> Any:
    """The variable's value, or where it has none yet `initial` (its initial value)."""
    if initial is None:
        initial = variable.initial_value
    control_flow: Any = importlib.import_module("ckpt.model.branches")  # it knows variables
    with control_dependencies(None):
        found = control_flow.cond(
            state.is_variable_initialized(variable),
            variable.read_value,
            lambda: initial,
        )
    found.set_shape(variable.shape)
    return found


def is_variable_initialized(variable: Any) -> Tensor:
    """A bool tensor: does the variable have a value?"""
    return state.is_variable_initialized(variable)


def report_uninitialized_variables(
    var_list: Sequence[Any] | None = None, name: str = "report_uninitialized_variables"
) -> Any:
    """A 1-D string tensor with the names of the variables that have no value when it is run.

    All global and local variables when `var_list` is None; patterns in it select among these.
    """
    var_list = _chosen(var_list)
    if var_list is None:
        var_list = global_variables() + local_variables()
        if not var_list:
            var_list = [
                node.outputs[0]
                for node in stack.get_default_graph().get_operations()
                if node.type in ("Variable", "VariableV2", "AutoReloadVariable")
            ]
    with name_scope(name), device("/cpu:0"):
        if not var_list:
            return constants.constant(np.array([], object), dtype=dtypes.string)
        missing = compare.logical_not(
            joining.stack([state.is_variable_initialized(v) for v in var_list])
        )
        names = constants.constant([v.op.name for v in var_list])
        return indexing.boolean_mask(names, missing)


def assert_variables_initialized(var_list: Sequence[Any] | None = None) -> Any:
    """An operation that fails when run while one of the variables has no value; None when there are none.

    All global and local variables when `var_list` is None; patterns in it select among these.
    """
    var_list = _chosen(var_list)
    if var_list is None:
        var_list = global_variables() + local_variables()
    if not var_list:
        var_list = [
            node.outputs[0]
            for node in stack.get_default_graph().get_operations()
            if node.type in ("Variable", "VariableV2", "AutoReloadVariable")
        ]
    if not var_list:
        return None
    ranks = []
    for variable in var_list:
        # A rank that is known asks nothing of the variable, nor does an Identity that nobody uses.
        read = shaping.expand_dims(variable, 0)
        with colocate_with(variable.op), stack.get_default_graph().control_dependencies([read]):
            ranks.append(shaping.rank_op(variable))
    return ranks[0] if len(ranks) == 1 else joining.stack(ranks)


def _chosen(var_list: Sequence[Any] | None) -> Sequence[Any] | None:
    """`var_list` with the variables that its patterns select. Raises SelectionError (a ValueError)."""
    if not var_list:
        return var_list
    return expanded(var_list, global_variables() + local_variables())


def batch_scatter_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Any:
    """Set slices of a variable where `indices` has leading batch axes that are those of the variable, when run."""
    with name_scope(name):
        indices = convert.convert_to_tensor(indices, name="indices")
        sizes = shaping.shape(indices)
        count = indices.shape.rank
        if count is None:
            raise ValueError("batch_scatter_update needs indices of known rank")
        axes = []
        for axis in range(count - 1):
            length = sizes[axis]
            lead = np.ones(axis, np.int32)
            tail = np.ones(count - axis - 1, np.int32)
            steps = indexing.range_(
                constants.constant(0, indices.dtype), _as(length, indices.dtype)
            )
            column = shaping.reshape(steps, joining.concat([lead, [length], tail], 0))
            axes.append(shaping.broadcast_to(column, sizes))
        points = joining.stack([*axes, indices], axis=-1)
        flat = shaping.reshape(points, [reduce_prod(sizes), count])
        rest = shaping.shape(updates)[count:]
        parts = shaping.reshape(updates, joining.concat([[reduce_prod(sizes)], rest], 0))
        return scatter.scatter_nd_update(ref, flat, parts, use_locking, name)


def _as(tensor: Any, dtype: Any) -> Any:
    from ckpt.ops.casting import cast  # one use

    return cast(tensor, dtype)
