"""What hangs on an object by its attributes: variables under the names that TensorFlow's object-based checkpoints use.

A variable is named by the shortest way to it, however many ways there are: `net/weights/.ATTRIBUTES/VARIABLE_VALUE`.
Slots of optimizers follow their variable: `net/weights/.OPTIMIZER_SLOT/optimizer/m/…`. Source of the notation:
https://www.tensorflow.org/guide/checkpoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from ckpt.core.tensor_roles import OBJECT_KEY
from ckpt.model.layer import Layer
from ckpt.model.partitioned import PartitionedVariable
from ckpt.model.rnn_cell import RNNCell
from ckpt.model.saveable import SaveableObject
from ckpt.model.variables import Variable
from ckpt.optimize.optimizers import Optimizer


class Trackable:
    """Base of objects whose attributes are tracked: variables, optimizers, layers, other such objects, lists and dicts."""

    def _children(self) -> dict[str, Any]:
        return {name: child for name, child in vars(self).items() if is_trackable(child)}


def is_trackable(value: Any) -> bool:
    """True for what a checkpoint can find variables in."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) for key in value) and any(map(is_trackable, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_trackable, value))
    if isinstance(value, (Trackable, Variable, PartitionedVariable, SaveableObject, Optimizer)):
        return True
    return isinstance(value, (RNNCell, Layer))


def variables_of(root: Any) -> dict[str, Any]:
    """Every variable that can be reached from `root`, by its key in a checkpoint."""
    paths: dict[int, str] = {id(root): ""}
    reached: list[tuple[str, Any]] = []
    waiting = deque([("", root)])
    while waiting:
        path, value = waiting.popleft()
        reached.append((path, value))
        for name, child in _children_of(value):
            if id(child) not in paths:
                paths[id(child)] = _joined(path, name)
                waiting.append((paths[id(child)], child))
    found = {f"{path}/{OBJECT_KEY}": value for path, value in reached if _is_leaf(value)}
    for path, optimizer in reached:
        if isinstance(optimizer, Optimizer):
            leaves = [(place, value) for place, value in reached if isinstance(value, Variable)]
            found.update(_slots(path, optimizer, leaves))
    return found


def _is_leaf(value: Any) -> bool:
    return isinstance(value, (Variable, PartitionedVariable, SaveableObject))


def _children_of(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Trackable):
        return value._children().items()
    if isinstance(value, (RNNCell, Layer)):
        return value._checkpoint_dependencies
    if isinstance(value, Optimizer):
        return [(name, variable) for (name, _), variable in value._non_slots.items()]
    if isinstance(value, Mapping):
        return [(str(name), child) for name, child in value.items() if is_trackable(child)]
    if isinstance(value, (list, tuple)):
        return [(str(n), child) for n, child in enumerate(value) if is_trackable(child)]
    return []


def _slots(
    path: str, optimizer: Optimizer, variables: Iterable[tuple[str, Variable]]
) -> Iterable[tuple[str, Any]]:
    for place, variable in variables:
        for slot in optimizer.get_slot_names():
            held = optimizer.get_slot(variable, slot)
            if held is not None:
                yield f"{place}/.OPTIMIZER_SLOT/{path}/{slot}/{OBJECT_KEY}", held


def _joined(path: str, name: str) -> str:
    escaped = name.replace(".", "..").replace("/", ".S")
    return f"{path}/{escaped}" if path else escaped
