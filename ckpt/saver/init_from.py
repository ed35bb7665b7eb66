"""Initial values from a checkpoint: `tf.train.init_from_checkpoint`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.core import renames
from ckpt.core.dtypes import DType
from ckpt.core.errors import SelectionError
from ckpt.core.near_names import Named
from ckpt.core.shapes import TensorShape
from ckpt.core.spelling import scopes_of, similar
from ckpt.core.suggestions import Suggestions, suggest
from ckpt.core.system import StrPath
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import device
from ckpt.model.partitioned import PartitionedVariable
from ckpt.model.selection import expanded, name_of
from ckpt.model.shared_variables import created_by_get_variable
from ckpt.model.variable_collections import global_variables
from ckpt.model.variables import Variable
from ckpt.ops import io
from ckpt.saver import readers, restore_errors
from ckpt.saver.object_names import best_way
from ckpt.saver.saveables import of_variable

Assignments = Mapping[Any, Any] | Iterable[Any] | str


@dataclass(frozen=True, slots=True)
class Start:
    """A variable, or all parts of one, that gets the values of the tensor `source`; `said` is what asks for it."""

    source: str
    parts: tuple[Variable, ...]
    said: str

    @property
    def shape(self) -> TensorShape:
        """The shape of the whole."""
        info = self.parts[0]._get_save_slice_info()
        return self.parts[0].shape if info is None else TensorShape(info.full_shape)

    @property
    def dtype(self) -> DType:
        """The dtype of its values."""
        return self.parts[0].dtype.base_dtype

    @property
    def name(self) -> str:
        """The name of the whole."""
        info = self.parts[0]._get_save_slice_info()
        return self.parts[0].name if info is None else str(info.full_name)

    @property
    def named(self) -> Named:
        """What is looked for in the checkpoint."""
        sizes = self.shape.sizes
        return Named(self.source, self.dtype.name, None if sizes is None else tuple(sizes))


def init_from_checkpoint(
    ckpt_dir_or_file: StrPath, assignment_map: Assignments, *, rename: Any = None
) -> None:
    """Make running the initializers of variables take their values from a checkpoint; nothing is read before that.

    `assignment_map` maps names in the checkpoint to variables: `{"scope/": "new_scope/"}` all variables of
    `get_variable` in `new_scope`, whose names begin with `scope/` in the checkpoint (`"/"` is the root on either side);
    `{"a": "b"}` the variable of that name; `{"a": variable}`; `{"a": parts}`, a list or PartitionedVariable. Pairs may
    stand for the dict. Variables and patterns may too, as in a Saver: `["@trainable", "!**/bias"]` takes what these select
    from the tensors of the same names. `rename` are rules from the names in the checkpoint to those that stand in the
    map, or that the variables have (docs/restoring.md).

    Raises one ValueError listing everything that names what the checkpoint or the graph lacks, or that has another shape or
    dtype, with the rules that would help; SelectionError, which is one too, for patterns and rules that match nothing;
    TypeError for what is no variable; NotFoundError when there is no checkpoint. Then no variable has changed.
    """
    path = readers.checkpoint_file(ckpt_dir_or_file)
    starts, problems = _starts(assignment_map)
    held = Held(path, rename, {one.source for one in starts})
    check_any(path, [*starts, *problems])
    held.check(starts, problems)
    held.start(starts)


def check_any(path: StrPath, asked: Collection[Any]) -> None:
    """Raise a ValueError when nothing is asked for: to take nothing is always an error, or training starts anew unseen."""
    if not asked:
        raise ValueError(
            f"{path}: no variable would get its initial value from it, which is always an error: "
            "name variables, scopes or patterns"
        )


class Held:
    """What a checkpoint holds, under the names that `rename` gives: only collisions on those of `wanted` count."""

    def __init__(self, path: StrPath, rename: Any, wanted: set[str]) -> None:
        reader = readers.load_checkpoint(path)
        self.path = str(path)
        self._shapes = reader.get_variable_to_shape_map()
        self._dtypes = reader.get_variable_to_dtype_map()
        self._has_rules = bool(rename)
        own = {name: name for name in self._shapes}
        called = {} if wanted <= own.keys() else reader.graph_names()
        by_graph = {called.get(key, key): key for key in own}
        if rename is None:
            self.sources: dict[str, str] = {**by_graph, **own}
        else:
            ways = [by_graph, own] if called else [own]
            self.sources = best_way(
                ways, lambda names: _renamed(self.path, names, rename, wanted), wanted
            )

    def shape(self, source: str) -> list[int] | None:
        """The shape of the tensor of this name; None where there is none."""
        return self._shapes[self.sources[source]] if source in self.sources else None

    def check(self, starts: Sequence[Start], problems: Sequence[str] = ()) -> None:
        """Raise one ValueError with all `problems`, and with all that `starts` ask for and is not here, or not like this."""
        missing = {
            one.source: (one.named, one.said) for one in starts if one.source not in self.sources
        }
        differing = {
            one.name: list(self._differences(one)) for one in starts if one.source in self.sources
        }
        others = [*problems, *(line for lines in differing.values() for line in lines)]
        if not missing and not others:
            return
        wrong = len(missing) + len(problems) + sum(map(bool, differing.values()))
        raise restore_errors.no_initial_values(
            self.path,
            f"{wrong} of {len(starts) + len(problems)}",
            missing,
            others,
            self._suggestions([one.named for one in starts]) if missing else Suggestions(),
            list(self._shapes),
            has_rules=self._has_rules,
        )

    def start(self, starts: Sequence[Start]) -> None:
        """Make the initializers of these variables read the checkpoint."""
        for one in starts:
            for part in one.parts:
                _take(part, self.path, self.sources[one.source])

    def _differences(self, one: Start) -> Iterator[str]:
        shape, dtype = self.shape(one.source), self._dtypes[self.sources[one.source]]
        if not one.shape.is_compatible_with(shape):
            yield (
                f"Shape of variable {one.name} ({one.shape}) doesn't match with shape of tensor {one.source} "
                f"({shape}) from checkpoint reader ({one.said})."
            )
        if dtype.base_dtype != one.dtype:
            yield (
                f"Dtype of variable {one.name} ({one.dtype.name}) doesn't match with dtype of tensor {one.source} "
                f"({dtype.name}) from checkpoint reader ({one.said})."
            )

    def _suggestions(self, wanted: Sequence[Named]) -> Suggestions:
        held = [
            Named(name, self._dtypes[source].name, tuple(self._shapes[source]))
            for name, source in self.sources.items()
        ]
        return suggest(wanted, held, shown=restore_errors.SHOWN)


def _renamed(
    path: str, names: Iterable[str], rename: Any, wanted: Collection[str]
) -> Mapping[str, str]:
    """Name after the rules -> one of `names`. Raises SelectionError that names the file."""
    try:
        return renames.renamed(names, rename, wanted=wanted).sources
    except SelectionError as error:
        raise SelectionError(f"{path}: {error}") from error


def by_name(variables: Iterable[Variable]) -> dict[str, list[Variable]]:
    """The variables under their names, the parts of one together under that of the whole; none twice."""
    found: dict[str, list[Variable]] = {}
    for variable in dict.fromkeys(variables):
        found.setdefault(name_of(variable), []).append(variable)
    return found


def _starts(assignment_map: Assignments) -> tuple[list[Start], list[str]]:
    """What an assignment map asks for, and what is wrong with its entries."""
    pairs: list[Any]
    if isinstance(assignment_map, Mapping):
        pairs = list(assignment_map.items())
    elif isinstance(assignment_map, str):
        return _selected([assignment_map]), []
    elif not isinstance(assignment_map, Iterable):
        raise TypeError(
            f"assignment_map is a dict, pairs, or variables and patterns, not {assignment_map!r}"
        )
    else:
        pairs = list(assignment_map)
        if any(isinstance(member, (str, Variable, PartitionedVariable)) for member in pairs):
            return _selected(pairs), []
    starts: list[Start] = []
    problems: list[str] = []
    known = by_name(created_by_get_variable())
    for source, target in pairs:
        try:
            starts += _of_entry(source, target, known)
        except ValueError as error:
            problems.append(str(error))
    return starts, problems


def _selected(members: Sequence[Any]) -> list[Start]:
    """One for each variable that is given, or that a pattern among `members` selects from the global variables."""
    variables: list[Any] = []
    for member in expanded(members, global_variables()):
        variables += _parts(member, member)
    return [
        Start(name, tuple(parts), f"variable {name}") for name, parts in by_name(variables).items()
    ]


def _of_entry(source: Any, target: Any, known: Mapping[str, list[Variable]]) -> list[Start]:
    """What one entry of a map asks for; `known` are the variables that have names.

    Raises ValueError for a name that none of them has and for what is no name, TypeError for what is no variable.
    """
    if not isinstance(source, str):
        raise ValueError(f"{source!r}: {target!r}: the name of a tensor is a text")
    if not isinstance(target, str):
        return [Start(source, _parts(source, target), f"{source!r}: {_shown(target)}")]
    said = f"{source!r}: {target!r}"
    if not target.endswith("/"):
        parts = known.get(target) or [
            variable for some in known.values() for variable in some if variable.op.name == target
        ]
        if parts:
            return [Start(source, tuple(parts), said)]
    scope = target.removesuffix("/")
    if not source.endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {scope} should map to scope only {source}. "
            f"Should be 'scope/': 'other_scope/'. ({said} names no variable of get_variable{similar(target, known)})"
        )
    found = {n: parts for n, parts in known.items() if not scope or n.startswith(scope + "/")}
    if not found:
        near = similar(scope, sorted(scopes_of(known)))
        raise ValueError(f"{said}: no variable of get_variable is in {scope}/{near}")
    prefix = "" if source == "/" else source
    return [
        Start(prefix + name[len(scope) + 1 if scope else 0 :], tuple(parts), said)
        for name, parts in sorted(found.items())
    ]


def _shown(target: Any) -> str:
    members = target if isinstance(target, (list, tuple, PartitionedVariable)) else [target]
    return ", ".join(dict.fromkeys(map(name_of, members)))


def _parts(source: Any, target: Any) -> tuple[Variable, ...]:
    members: Sequence[Any] = (
        list(target) if isinstance(target, (list, tuple, PartitionedVariable)) else [target]
    )
    wrong = [member for member in members if not isinstance(member, Variable)]
    if wrong or not members:
        raise TypeError(f"{source!r}: expected a variable, its parts, or a name; got {target!r}")
    return tuple(members)


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
