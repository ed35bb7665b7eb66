"""The variables of a graph by what they are for, and the operations that initialise them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.graph import stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation
from ckpt.model.selection import expanded
from ckpt.ops import control


def all_variables() -> list[Any]:
    """Deprecated spelling of `global_variables`."""
    return global_variables()


def global_variables(scope: str | None = None) -> list[Any]:
    """The variables shared between machines: the default collection."""
    return stack.get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Any]:
    """The variables of this process only, counters of metrics for instance."""
    return stack.get_default_graph().get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Any]:
    """The variables that inference needs."""
    return stack.get_default_graph().get_collection(GraphKeys.MODEL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """The variables that optimizers change."""
    return stack.get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Any]:
    """The variables whose moving averages are kept."""
    return stack.get_default_graph().get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)


def variables_initializer(var_list: Sequence[Any] | None, name: str = "init") -> Operation:
    """An operation that initialises all variables of the list."""
    if var_list:
        chosen = expanded(var_list, global_variables() + local_variables())
        return control.group(*[v.initializer for v in chosen], name=name)
    return control.group(name=name)


def global_variables_initializer() -> Operation:
    """An operation that initialises all global variables."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation:
    """An operation that initialises all local variables."""
    return variables_initializer(local_variables())


initialize_variables = variables_initializer
initialize_all_variables = global_variables_initializer
initialize_local_variables = local_variables_initializer
