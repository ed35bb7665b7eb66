"""What operations of imported graphs may do with files: read what the caller of the run names, save where a Saver does.

Decided when a run is planned, before anything runs and for all nodes at once, also those inside functions. Knows no
operation but those that pass names of files on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from ckpt.core.defs import Func
from ckpt.core.errors import PermissionDeniedError
from ckpt.graph.file_use import HOW_TO_ALLOW, FileUse, import_of, may_use_files
from ckpt.graph.function import FuncGraph, body_of
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.origins import Imported
from ckpt.graph.static import constant_value
from ckpt.run import flow
from ckpt.run.state import SessionState

_SHOWN = 20  # nodes in one error


class Name(Enum):
    """Where the name of a file comes from."""

    FED = "as the caller of the run gave it"
    JOINED = "from what the caller gave and constants of the graph"
    CONSTANT = "from constants of the graph"
    OTHER = "from anything else"


_ARRANGED = frozenset(
    {"Identity", "StopGradient", "Switch", "RefSwitch", "Enter", "RefEnter", "Reshape", "ExpandDims", "Squeeze"}
)  # fmt: skip
"""They give the names that are their first input."""

_JOINED = frozenset(
    {"Pack", "StringJoin", "ShardedFilename", "Select", "SelectV2", "StaticRegexFullMatch"}
)
"""They make names of all their inputs; so do Savers for shards."""


def check(nodes: Collection[Operation], fed: Collection[Tensor], state: SessionState) -> None:
    """Raise PermissionDeniedError listing the imported nodes that would use files that the caller did not name.

    `nodes` is all that a run needs, `fed` what its caller gives. A node of a function counts as imported also where the
    node that calls it is.
    """
    graph = next(iter(nodes)).graph if nodes else None
    if graph is None or may_use_files(graph):
        return
    walk = _Walk(fed)
    walk.add_all(nodes)
    refused = list(walk.refused(is_saving=state.saves()))
    if refused:
        raise _refusal(refused)


@dataclass(eq=False)
class _Place:
    """The nodes of the run, or of a function that it calls; `names` says where names come from, of arguments at first."""

    nodes: Collection[Operation]
    names: dict[Tensor, Name]
    given: dict[Tensor, Name] = field(default_factory=dict)
    caller: Imported | None = None


class _Walk:
    """The nodes of a run and those of all functions that they call, however deep."""

    def __init__(self, fed: Collection[Tensor]) -> None:
        self._given = dict.fromkeys(fed, Name.FED)
        self._places: dict[FuncGraph | None, _Place] = {}
        self._pending: list[FuncGraph | None] = []

    def add_all(self, nodes: Collection[Operation]) -> None:
        """Find the functions, and what is known of their arguments wherever they are called."""
        self._places[None] = _Place(nodes, {}, self._given)
        self._pending.append(None)
        while self._pending:
            place = self._places[self._pending.pop()]
            place.names = dict(place.given)
            for node in place.nodes:
                if node.opdef is not None and node.opdef.functions:
                    for body, given in _called(node, place.names):
                        self._call(body, given, place.caller or import_of(node))

    def _call(self, body: FuncGraph, given: Mapping[Tensor, Name], caller: Imported | None) -> None:
        known = self._places.get(body)
        if known is None:
            self._places[body] = _Place(body.get_operations(), {}, dict(given), caller)
            self._pending.append(body)
            return
        both = {tensor: _both(name, given[tensor]) for tensor, name in known.given.items()}
        if both != known.given or (caller is not None and known.caller is None):
            known.given, known.caller = both, known.caller or caller
            self._pending.append(body)

    def refused(self, *, is_saving: bool) -> Iterator[tuple[Operation, Imported, str]]:
        """The nodes that must not run, with what they would do."""
        for place in self._places.values():
            users = [n for n in place.nodes if n.opdef is not None and n.opdef.files is not None]
            for node in sorted(users, key=_number):
                use, noted = _use(node), import_of(node) or place.caller
                if noted is None or not use.concerns(node):
                    continue
                found = [_where_from(node._inputs[i], place.names) for i in use.inputs]
                allowed = {Name.FED, Name.JOINED} if use.saves else {Name.FED}
                is_allowed = not use.writes or (use.saves and is_saving)
                if not (is_allowed and found and allowed.issuperset(found)):
                    yield node, noted, _wish(node, found, allowed)


def _number(node: Operation) -> int:
    return node.node_id


def _use(node: Operation) -> FileUse:
    assert node.opdef is not None  # as in `refused`
    assert node.opdef.files is not None
    return node.opdef.files


def _called(
    node: Operation, names: dict[Tensor, Name]
) -> Iterator[tuple[FuncGraph, dict[Tensor, Name]]]:
    """The functions of a node, with what is known of the names that are their arguments."""
    assert node.opdef is not None  # the caller knows
    bodies = [body for key in node.opdef.functions for body in _bodies(node, key)]
    is_choice = node.type.endswith(("If", "Case"))
    arguments = node._inputs[1:] if is_choice else node._inputs
    for body in bodies:
        given = dict.fromkeys(body.inputs, Name.OTHER)
        if node.type in flow.TYPES and len(arguments) == len(body.inputs):
            for place, inner in enumerate(body.inputs):
                if node.type not in flow.LOOPS or _is_fixed(node, place):
                    given[inner] = _where_from(arguments[place], names)
        yield body, given


def _bodies(node: Operation, key: str) -> list[FuncGraph]:
    """The functions that an attribute names; who calls one that is not there fails with that."""
    value, graph = node.attrs[key], node.graph
    return [
        body_of(graph, func)
        for func in (value if isinstance(value, list) else [value])
        if isinstance(func, Func) and (func.name in graph._bodies or func.name in graph._functions)
    ]


def _is_fixed(loop: Operation, place: int) -> bool:
    """Whether a variable of a loop is the same in each iteration."""
    return all(
        b.inputs[place : place + 1] == b.outputs[place : place + 1] for b in _bodies(loop, "body")
    )


def _where_from(tensor: Tensor, names: dict[Tensor, Name]) -> Name:
    """Where a name comes from, given that of some tensors; what is found out is noted in `names`."""
    pending = [tensor]
    begun: set[Tensor] = set()
    while pending:
        current = pending[-1]
        if current in names:
            pending.pop()
            continue
        sources = _sources(current.op)
        missing = [t for t in sources if t not in names]
        if not missing or current in begun:
            names[current] = _combined(current.op, [names.get(t, Name.OTHER) for t in sources])
        else:
            begun.add(current)
            pending += missing
    return names[tensor]


def _sources(op: Operation) -> tuple[Tensor, ...]:
    if op.type in _ARRANGED:
        return op._inputs[:1]
    return op._inputs if op.type in _JOINED else ()


def _combined(op: Operation, found: list[Name]) -> Name:
    if op.type == "Const":
        return Name.CONSTANT
    if op.type in _ARRANGED:
        return found[0]
    if op.type not in _JOINED or Name.OTHER in found:
        return Name.OTHER
    kinds = set(found)
    if kinds == {Name.CONSTANT}:
        return Name.CONSTANT
    return Name.FED if op.type == "Pack" and kinds == {Name.FED} else Name.JOINED


def _both(first: Name, second: Name) -> Name:
    """What holds for a name that comes from one or the other."""
    if first is second:
        return first
    return Name.JOINED if {first, second} == {Name.FED, Name.JOINED} else Name.OTHER


def _wish(node: Operation, found: Iterable[Name], allowed: Collection[Name]) -> str:
    """What a node would do with which files."""
    use = _use(node)
    named = [use.named_by_attr(node)] if use.attr else []
    for place, name in zip(use.inputs, found, strict=True):
        tensor = node._inputs[place]
        if name not in allowed or use.writes:
            value = constant_value(tensor) if name is Name.CONSTANT else None
            named.append(f"what '{tensor.name}' names" if value is None else _shown(value))
    return f"{'write' if use.writes else 'read'} {', '.join(named) or 'what its queue names'}"


def _shown(names: Any) -> str:
    texts = [
        repr(n.decode("utf-8", "replace") if isinstance(n, bytes) else n)
        for n in np.ravel(np.asarray(names, object)).tolist()
    ]
    return ", ".join(texts[:3]) + (" …" if len(texts) > 3 else "")


def _refusal(refused: list[tuple[Operation, Imported, str]]) -> PermissionDeniedError:
    """The error that lists these nodes."""
    lines = [
        f"  {node.type} '{node.name}'{_function(node)}, of {noted.source}, would {wish}"
        for node, noted, wish in refused[:_SHOWN]
    ]
    if len(refused) > _SHOWN:
        lines.append(f"  … and {len(refused) - _SHOWN} more")
    node = refused[0][0]
    return PermissionDeniedError(
        None,
        node,
        f"{len(refused)} operation{'s' * (len(refused) > 1)} of an imported graph would use files that the caller of this run does not name; nothing "
        "was run:\n" + "\n".join(lines) + f"\n{HOW_TO_ALLOW}.",
    )


def _function(node: Operation) -> str:
    return f" in function '{node.graph.name}'" if isinstance(node.graph, FuncGraph) else ""
