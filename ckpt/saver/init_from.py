"""Initial values from a checkpoint: `tf.train.init_from_checkpoint`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.core.atomic import StrPath
from ckpt.core.shapes import TensorShape
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import device
from ckpt.model.partitioned import PartitionedVariable
from ckpt.model.scopes import created_by_get_variable
from ckpt.model.variables import Variable
from ckpt.ops import io
from ckpt.saver import readers
from ckpt.saver.saveables import of_variable

Assignments = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class _Assignment:
    """A variable, or all parts of one, that gets the values of the tensor `source`; `said` is the entry that says so."""

    source: str
    parts: tuple[Variable, ...]
    said: str

    @property
    def shape(self) -> TensorShape:
        info = self.parts[0]._get_save_slice_info()
        return self.parts[0].shape if info is None else TensorShape(info.full_shape)

    @property
    def name(self) -> str:
        info = self.parts[0]._get_save_slice_info()
        return self.parts[0].name if info is None else str(info.full_name)


def init_from_checkpoint(ckpt_dir_or_file: StrPath, assignment_map: Assignments) -> None:
    """Make running the initializers of variables take their values from a checkpoint; nothing is read before that.

    `assignment_map` maps names in the checkpoint to variables: `{"scope/": "new_scope/"}` all variables of
    `get_variable` in `new_scope`, whose names begin with `scope/` in the checkpoint (`"/"` is the root on either side);
    `{"a": "b"}` the variable of that name; `{"a": variable}`; `{"a": parts}`, a list or PartitionedVariable. Pairs may
    stand for the dict. Raises ValueError listing every entry that names what the checkpoint or the graph lacks, or that
    has another shape; TypeError for what is no variable; NotFoundError when there is no checkpoint. Then no variable
    has changed.
    """
    path = readers.checkpoint_file(ckpt_dir_or_file)
    held = readers.load_checkpoint(path).get_variable_to_shape_map()
    pairs = assignment_map.items() if isinstance(assignment_map, Mapping) else assignment_map
    wanted = [one for source, target in pairs for one in _assignments(source, target, held, path)]
    problems = [problem for one in wanted if (problem := _problem(one, held, path))]
    if problems:
        raise ValueError("\n".join(problems))
    for one in wanted:
        for part in one.parts:
            _take(part, path, one.source)


def _assignments(source: Any, target: Any, held: Any, path: str) -> list[_Assignment]:
    if not isinstance(target, str):
        return [_Assignment(source, _parts(source, target), f"{source!r}: {target!r}")]
    variables = created_by_get_variable()
    said = f"{source!r}: {target!r}"
    if not target.endswith("/"):
        parts = tuple(v for v in variables if target in (v.op.name, _full_name(v)))
        if parts:
            return [_Assignment(source, parts, said)]
    scope = target.removesuffix("/")
    if not str(source).endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {scope} should map to scope only {source}. "
            f"Should be 'scope/': 'other_scope/'. ({said} names no variable of get_variable)"
        )
    by_name: dict[str, list[Variable]] = {}
    for variable in variables:
        if not scope or _full_name(variable).startswith(scope + "/"):
            by_name.setdefault(_full_name(variable), []).append(variable)
    prefix = "" if source == "/" else source
    return [
        _Assignment(prefix + name[len(scope) + 1 if scope else 0 :], tuple(parts), said)
        for name, parts in sorted(by_name.items())
    ]


def _full_name(variable: Variable) -> str:
    info = variable._get_save_slice_info()
    return variable.op.name if info is None else str(info.full_name)


def _parts(source: Any, target: Any) -> tuple[Variable, ...]:
    members: Sequence[Any] = (
        list(target) if isinstance(target, (list, tuple, PartitionedVariable)) else [target]
    )
    wrong = [member for member in members if not isinstance(member, Variable)]
    if wrong or not members:
        raise TypeError(f"{source!r}: expected a variable, its parts, or a name; got {target!r}")
    return tuple(members)


def _problem(one: _Assignment, held: Mapping[str, list[int]], path: str) -> str:
    if one.source not in held:
        known = ", ".join(f"{name} {shape}" for name, shape in sorted(held.items()))
        return (
            f"Tensor {one.source} ({one.said}) is not found in {path} checkpoint; it holds {known}"
        )
    if not one.shape.is_compatible_with(held[one.source]):
        return (
            f"Shape of variable {one.name} ({one.shape}) doesn't match with shape of tensor {one.source} "
            f"({held[one.source]}) from checkpoint reader ({one.said})."
        )
    return ""


def _take(variable: Variable, path: str, source: str) -> None:
    """Make the initializer of a variable read the tensor `source`."""
    info = variable._get_save_slice_info()
    spec = "" if info is None else info.spec
    with device("/cpu:0"):
        values: list[Tensor] = io.restore_v2(
            path,
            [source],
            [spec],
            dtypes=[variable.dtype.base_dtype],
            name="checkpoint_initializer",
        )
    initialize_with(variable, values[0])


def initialize_with(variable: Variable, value: Tensor) -> None:
    """Make the initializer of a variable set it to `value`."""
    variable._initializer_op = of_variable(variable.op.name, variable).restore([value], None)
    value.set_shape(variable.shape)
    variable._initial_value = value
