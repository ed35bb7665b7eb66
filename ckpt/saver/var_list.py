"""What a Saver saves: from None, a list or a dict to saveable objects, sorted by their names in the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ckpt.core import nest
from ckpt.core.errors import GraphError
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.model.partitioned import PartitionedVariable
from ckpt.model.saveable import SaveableObject
from ckpt.model.selection import expanded
from ckpt.model.variables import Variable
from ckpt.saver.saveables import REFERENCES, of_variable


def saveable_objects(graph: Graph | None = None, scope: str | None = None) -> list[Any]:
    """What a Saver without var_list takes: the global variables and the saveable objects of the graph; with `scope`
    those whose names begin as that expression says.
    """
    graph = graph or stack.get_default_graph()
    return graph.get_collection(GraphKeys.GLOBAL_VARIABLES, scope) + graph.get_collection(
        GraphKeys.SAVEABLE_OBJECTS, scope
    )


def selected(var_list: Any) -> Any:
    """`var_list` with the patterns in it replaced by what they select among the saveable objects; lists in a list are
    its members, as in TensorFlow.

    Raises SelectionError (a ValueError) for patterns that cannot be understood or match nothing.
    """
    if isinstance(var_list, (list, tuple)):
        var_list = nest.flatten(var_list)
    is_list = isinstance(var_list, (list, set))
    if isinstance(var_list, str) or (is_list and any(isinstance(m, str) for m in var_list)):
        return expanded(var_list, saveable_objects())
    return var_list


def saveables(var_list: Any) -> list[SaveableObject]:
    """The objects for a list of variables or a dict from names in the checkpoint to variables, sorted by name.

    A variable may be a Variable, its tensor, a SaveableObject, or the parts of one (a list of them, or a
    PartitionedVariable). Raises TypeError for what is no variable, ValueError for two variables of one name or one
    variable twice.
    """
    named = _named(var_list)
    found: list[SaveableObject] = []
    seen: dict[int, str] = {}
    for name in sorted(named):
        for saveable in _of(name, named[name]):
            key = id(saveable.op)
            if key in seen:
                raise GraphError(
                    f"The same saveable will be restored with two names: {seen[key]} and {name}"
                )
            seen[key] = name
            found.append(saveable)
    return found


def _named(var_list: Any) -> dict[str, Any]:
    if isinstance(var_list, Mapping):
        for name in var_list:
            if not isinstance(name, str):
                raise TypeError(
                    "names_to_saveables must be a dict mapping string names to variables. "
                    f"Name is not a string: {name!r}"
                )
        return dict(var_list)
    if not isinstance(var_list, (list, tuple, set)):
        raise TypeError(f"Variables to save should be passed in a dict or a list. Got {var_list!r}")
    return _by_name(var_list)


def _by_name(variables: Iterable[Any]) -> dict[str, Any]:
    """Variables under the names of their operations; the parts of one together, under the name of the whole."""
    found: dict[str, Any] = {}
    for variable in variables:
        info = _slice_info(variable)
        if info is None:
            name = _name_of(variable)
            if name in found:
                raise GraphError(f"At least two variables have the same name: {name}")
            found[name] = variable
            continue
        parts = found.setdefault(info.full_name, [])
        if not isinstance(parts, list):
            raise GraphError(f"Mixing slices and non-slices with the same name: {info.full_name}")
        parts.append(variable)
    return found


def _name_of(variable: Any) -> str:
    if isinstance(variable, (SaveableObject, PartitionedVariable)):
        return str(variable.name)
    if isinstance(variable, Tensor) and variable.op.type == "ReadVariableOp":
        return variable.op.inputs[0].op.name
    if isinstance(variable, Variable) or (
        isinstance(variable, Tensor) and variable.op.type in REFERENCES
    ):
        return variable.op.name
    raise TypeError(f"Variable to save is not a Variable: {variable!r}")


def _of(name: str, value: Any) -> list[SaveableObject]:
    """The saveables of what is to be saved under `name`: several for the parts of a variable."""
    if isinstance(value, SaveableObject):
        return [value]
    if not isinstance(value, (list, tuple, PartitionedVariable)):
        return [of_variable(name, value)]
    return [of_variable(name, part, info.spec) for part, info in _checked_parts(name, list(value))]


def _checked_parts(name: str, parts: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each part with where it lies. Raises ValueError for parts of different variables, and for what is none."""
    found = []
    wholes: dict[str, None] = {}
    for part in parts:
        info = _slice_info(part)
        if info is None:
            if not isinstance(part, Variable):
                raise GraphError(f"{name}: Slices must all be Variables: {part!r}")
            raise GraphError(f"{name}: Slices must all be slices: {part.name} is a whole variable")
        wholes[info.full_name] = None
        found.append((part, info))
    if len(wholes) > 1:
        raise GraphError(f"{name}: Slices must all be from the same tensor: {' != '.join(wholes)}")
    return found


def _slice_info(variable: Any) -> Any:
    getter = getattr(variable, "_get_save_slice_info", None)
    return getter() if getter is not None else None
