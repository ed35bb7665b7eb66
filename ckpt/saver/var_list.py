"""What a Saver saves: from None, a list or a dict to names in the checkpoint and the tensors behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.model.variables import Variable


@dataclass(frozen=True, slots=True)
class Saveable:
    """One entry of a save: the name in the checkpoint, the slice it is (or ""), the variable's reference tensor."""

    name: str
    slice_spec: str
    reference: Tensor
    variable: Any

    @property
    def order(self) -> tuple[str, str]:
        """Entries are saved in this order."""
        return (self.name, self.slice_spec)


def saveable_objects(graph: Graph | None = None) -> list[Any]:
    """What a Saver without var_list takes: the global variables and the saveable objects of the graph."""
    graph = graph or stack.get_default_graph()
    return graph.get_collection(GraphKeys.GLOBAL_VARIABLES) + graph.get_collection(
        GraphKeys.SAVEABLE_OBJECTS
    )


def saveables(var_list: Any) -> list[Saveable]:
    """The entries for a list of variables or a dict from names in the checkpoint to variables, sorted by name.

    Raises TypeError for what is no variable, ValueError for two variables of one name or one variable twice.
    """
    named = _named(var_list)
    found: list[Saveable] = []
    seen: dict[int, str] = {}
    for name in sorted(named):
        for variable in named[name]:
            before = seen.setdefault(id(variable), name)
            entry = _saveable(name, variable)
            if before != name or sum(e.variable is variable for e in found):
                raise ValueError(
                    f"The same saveable will be restored with two names: {before} and {name}"
                )
            found.append(entry)
    return found


def _named(var_list: Any) -> dict[str, list[Any]]:
    if isinstance(var_list, Mapping):
        found: dict[str, list[Any]] = {}
        for name, value in var_list.items():
            if not isinstance(name, str):
                raise TypeError(f"var_list names its variables by strings, not {name!r}")
            found[name] = list(value) if isinstance(value, (list, tuple)) else [value]
        return found
    if not isinstance(var_list, (list, tuple, set)):
        raise TypeError(
            f"var_list must be a list or a dict of variables, not {type(var_list).__name__}"
        )
    return _named_by_operation(list(var_list))


def _named_by_operation(variables: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for variable in variables:
        if isinstance(variable, str) or not hasattr(variable, "op"):
            raise TypeError(f"Variable to save is not a Variable: {variable!r}")
        info = _slice_info(variable)
        if info is not None:
            found.setdefault(info.full_name, []).append(variable)
            continue
        name = variable.op.name
        if name in found:
            raise ValueError(f"At least two variables have the same name: {name}")
        found[name] = [variable]
    return found


def _slice_info(variable: Any) -> Any:
    getter = getattr(variable, "_get_save_slice_info", None)
    return getter() if getter is not None else None


def _saveable(name: str, variable: Any) -> Saveable:
    if isinstance(variable, Variable):
        reference = variable._ref()
    elif isinstance(variable, Tensor):
        reference = variable
    else:
        raise TypeError(
            f"names_to_saveables must be a dict mapping string names to variables. Not a variable: {variable!r}"
        )
    if not reference.dtype._is_ref_dtype:
        raise TypeError(f"{name}: {variable!r} is no variable, so it cannot be saved and restored")
    info = _slice_info(variable)
    return Saveable(name, "" if info is None else info.spec, reference, variable)
