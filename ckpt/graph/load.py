"""Plain data into a live graph: core.defs -> Graph, with a prefix and an input map; all nodes or none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core import defs, dtypes, versions
from ckpt.core.collector import paused
from ckpt.core.defs import split_input
from ckpt.core.errors import CkptError, GraphError, ShapeError
from ckpt.core.limits import graph_elements
from ckpt.core.shapes import TensorShape
from ckpt.graph.devices import device_text
from ckpt.graph.graph import Graph
from ckpt.graph.node_attrs import (
    attr_problems,
    guessed_dtypes,
    input_problem,
    known_attrs,
    understood,
)
from ckpt.graph.node_order import in_order
from ckpt.graph.opdef import OPS, OpDef
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.origins import Origin
from ckpt.graph.renaming import calling

SPARE_OUTPUTS = 1 << 18
"""Outputs of nodes that declare how many they have (Split, Unpack), beyond those that others take."""
_VALID_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_VALID_NAMES = re.compile(rf"(?:{_VALID_NAME.pattern}\n)*")


def load_graph(
    graph: Graph,
    graph_def: defs.GraphDef,
    prefix: str = "",
    input_map: Mapping[str, Tensor] | None = None,
    unused_inputs: list[str] | None = None,
    *,
    unique: bool = False,
    made_at: Origin | None = None,
) -> dict[str, Operation]:
    """Add the nodes of `graph_def` to `graph` under `prefix` (a full scope name, no slash at the end).

    A name that `graph` has already is an error, or, with `unique`, gets a number. `made_at` is the origin of the nodes; they
    may use no files where it is left out.

    `input_map` replaces inputs, by their name in `graph_def`, by tensors of `graph`; keys that nothing used are
    appended to `unused_inputs`. Returns the new operations by their original names. Either all nodes are added or,
    on GraphError (all problems at once), none.
    """
    made_at = graph.imported("a GraphDef") if made_at is None else made_at
    loader = _Loader(graph, graph_def, prefix, dict(input_map or {}), unique, made_at)
    _check_versions(graph_def)
    loader.check()
    with graph._lock, paused():
        loader.add_library()
        loader.add_all()
    if unused_inputs is not None:
        unused_inputs.extend(
            key
            for key in loader.input_map
            if key not in loader.used and not _exists(key, loader.added)
        )
    return loader.added


def _exists(key: str, added: Mapping[str, Operation]) -> bool:
    """Whether the imported graph has what the key of an input map names."""
    node, index = split_input(key)
    if node not in added:
        return False
    return index < max(1, len(added[node]._outputs))


def _check_versions(graph_def: defs.GraphDef) -> None:
    if graph_def.min_consumer > versions.GRAPH_DEF_VERSION:
        raise GraphError(
            f"GraphDef min consumer version {graph_def.min_consumer} above current version "
            f"{versions.GRAPH_DEF_VERSION} for TensorFlow {versions.VERSION}.  Please upgrade TensorFlow."
        )
    if graph_def.producer < versions.GRAPH_DEF_VERSION_MIN_PRODUCER:
        raise GraphError(
            f"GraphDef producer version {graph_def.producer} below min producer "
            f"{versions.GRAPH_DEF_VERSION_MIN_PRODUCER} supported by TensorFlow {versions.VERSION}.  "
            "Please regenerate your graph."
        )


class _Loader:
    """One import: checks everything first, then adds nodes in an order where inputs exist."""

    def __init__(
        self,
        graph: Graph,
        graph_def: defs.GraphDef,
        prefix: str,
        input_map: dict[str, Tensor],
        unique: bool,
        made_at: Origin,
    ) -> None:
        self.graph = graph
        self.nodes = graph_def.node
        self.library = graph_def.library
        self.prefix = prefix
        self.input_map = input_map
        self.used: set[str] = set()
        self.names: set[str] = set()
        self.added: dict[str, Operation] = {}
        self.standing: list[Operation] = []
        self.numbered = self._numbered() if unique else {}
        self.is_in_order = False
        self.late: list[tuple[Operation, int, str]] = []  # inputs made after what takes them
        self.made_at = made_at
        self.outputs_left: float | None = None  # that attributes may declare; None before any did

    def check(self) -> None:
        """Raise GraphError listing wrong and duplicate names, missing inputs, missing attributes and taken names."""
        if self._is_sound():
            return
        problems: list[str] = []
        names = self.names = set()
        for node in self.nodes:
            if not _VALID_NAME.fullmatch(node.name):
                problems.append(f"Node '{node.name}': Node name contains invalid characters")
            if node.name in names:
                problems.append(f"Node '{node.name}' is not unique")
            names.add(node.name)
        for node in self.nodes:
            for text in node.input:
                source, _ = split_input(text)
                if source not in names and not self._is_mapped(text):
                    problems.append(f"Node '{node.name}': Unknown input node '{text}'")
            full = self._full(node.name)
            if full in self.graph._by_name:  # never of those that are numbered
                problems.append(f"Node name '{full}' already exists in the Graph")
            problems += attr_problems(node)
            problems += self._group_problems(node, names)
        if len(problems) == 1:
            raise GraphError(problems[0])
        if problems:
            raise GraphError(
                f"graph_def is invalid: {len(problems)} problems\n  "
                + "\n  ".join(problems[:50])
                + ("\n  …" if len(problems) > 50 else "")  # a screenful
            )

    def _is_sound(self) -> bool:
        """Whether there is certainly no problem, in one walk, which also finds out whether inputs stand first."""
        names, late = self.names, set[str]()
        groups: list[Any] = []
        for node in self.nodes:
            for text in node.input:
                if text not in names:
                    source = split_input(text)[0]
                    if source not in names and not self._is_mapped(text):
                        late.add(source)
            names.add(node.name)
            opdef = OPS.get(node.op)
            if opdef is not None and not opdef.required <= node.attr.keys():
                return False
            if "_class" in node.attr:
                groups.append(node.attr["_class"])
        self.is_in_order = not late
        taken = self.graph._by_name
        return (
            len(names) == len(self.nodes)
            and _are_valid(names)
            and late <= names
            and names.issuperset(_grouped(groups))
            and not (taken and any(self._full(name) in taken for name in names))
        )

    def add_library(self) -> None:
        """Add the functions that are not there; one whose name another function has gets a new name, as do its callers."""
        known = self.graph._functions
        renamed: dict[str, str] = {}
        new = [function for function in self.library if not self._has(function)]
        for function in new:
            name, number = function.name, 0
            while name in self.graph._bodies or (name in known and known[name] is not function):
                number += 1
                name = f"{function.name}_{number}"
            if name != function.name:
                renamed[function.name] = name
        for function in new:
            nodes = (
                tuple(calling(node, renamed) for node in function.node_def)
                if renamed
                else function.node_def
            )
            name = renamed.get(function.name, function.name)
            self.graph.function_imports[name] = self.made_at
            known[name] = replace(function, name=name, node_def=nodes) if renamed else function
        if renamed:
            self.nodes = tuple(calling(node, renamed) for node in self.nodes)

    def _has(self, function: defs.FunctionDef) -> bool:
        """Whether the graph has this very function; it is then called by several nodes."""
        name = function.name
        if name not in self.graph._functions and name not in self.graph._bodies:
            return False
        from ckpt.graph.library import function_def  # the library loads through this module
        from ckpt.wire.metagraph_values import packb  # needed only where names meet

        body = self.graph._bodies.get(name)
        held = self.graph._functions[name] if body is None else function_def(body)
        if packb(held) != packb(function):
            return False
        if body is not None:
            body.is_shared = True
        return True

    def _group_problems(self, node: defs.NodeDef, names: set[str]) -> list[str]:
        """The colocation groups that name no node."""
        groups = node.attr.get("_class")
        if groups is None:
            return []
        try:
            texts = [_text(group) for group in groups]
        except (TypeError, UnicodeDecodeError):
            return [f"Node '{node.name}': attribute '_class' is no list of names: {groups!r:.80}"]
        found = []
        for text in texts:
            name = text.removeprefix("loc:@")
            is_mapped = name in self.input_map or f"{name}:0" in self.input_map
            if name != text and name not in names and not is_mapped:
                found.append(
                    f"Node '{node.name}' expects to be colocated with unknown node '{name}'"
                )
        return found

    def _full(self, name: str) -> str:
        if name in self.numbered:
            return self.numbered[name]
        return f"{self.prefix}/{name}" if self.prefix else name

    def _full_tensor(self, name: str) -> str:
        node, colon, index = name.rpartition(":")
        return f"{self._full(node)}{colon}{index}"

    def _numbered(self) -> dict[str, str]:
        """The names of those nodes whose own the graph has already, as a node or as the beginning of one's name."""
        self.numbered = {}
        in_use, nodes = self.graph._names_in_use, self.graph._by_name
        full = {node.name: self._full(node.name) for node in self.nodes}
        if not nodes or (self.prefix and not any(n.lower() in in_use for n in full.values())):
            return {}
        taken = {*nodes, *full.values()}
        scopes = {parent for name in nodes for parent in _parents(name)}
        found = {}
        for original, name in full.items():
            number, unique = 0, name
            while unique in scopes or (unique in taken if number else unique in nodes):
                number += 1
                unique = f"{name}_{number}"
            if number:
                taken.add(unique)
                found[original] = unique
        return found

    def _is_mapped(self, text: str) -> bool:
        return bool(self.input_map) and any(key in self.input_map for key in _spellings(text))

    def _mapped(self, text: str) -> Tensor | None:
        for key in _spellings(text):
            if key in self.input_map:
                self.used.add(key)
                return self.input_map[key]
        return None

    def add_all(self) -> None:
        ordered = self.nodes if self.is_in_order else in_order(self.nodes, self._is_mapped)
        node = ordered[0] if ordered else None
        try:
            for node in ordered:
                self._add(node)
            for operation, place, text in self.late:
                inputs = list(operation._inputs)
                inputs[place] = self._output(*split_input(text))
                operation._inputs = tuple(inputs)
        except Exception as error:
            self._undo()
            is_told = isinstance(error, CkptError) and not isinstance(error, ShapeError)
            if is_told or node is None or f"'{node.name}'" in str(error):
                raise
            raise GraphError(
                f"node '{node.name}' (op: '{node.op}') has attributes that its operation cannot take: "
                f"{type(error).__name__} {error}"
            ) from error
        if self.late:
            self.graph.touch()
        for operation in self.standing:
            self._note_stand_ins(operation)

    def _note_stand_ins(self, operation: Operation) -> None:
        """A node raised from imported control flow goes on to compute its tensors."""
        for name, made in zip(operation.attrs["_stands_for"], operation._outputs, strict=False):
            source, _, index = name.rpartition(":")
            node = self.graph._by_name.get(source)
            if node is None or index != "0" or node.type not in ("Merge", "Exit"):
                continue  # only the ends of branches and loops have others that stand for them
            if node._outputs[0].dtype == made.dtype:
                self.graph.stand_ins[node._outputs[0]] = made

    def _undo(self) -> None:
        gone = set(self.added.values())
        self.graph._nodes = [node for node in self.graph._nodes if node not in gone]
        for node in gone:
            self.graph._by_name.pop(node.name, None)
        for number, node in enumerate(self.graph._nodes):
            node.node_id = number
        self.graph.touch()

    def _add(self, node: defs.NodeDef) -> None:
        inputs: list[Any] = []
        controls: list[Operation] = []
        later: dict[int, str] | None = None  # by their places; there another tensor stands for now
        for text in node.input:
            source, index = split_input(text)
            mapped = self._mapped(text) if self.input_map else None
            if index < 0:
                controls.append(self.added[source] if mapped is None else mapped.op)
            elif mapped is not None:
                inputs.append(mapped)
            elif source in self.added:
                inputs.append(self._output(source, index))
            else:
                later = {**(later or {}), len(inputs): text}
                inputs.append(None)
        if later:
            stand_in = next(tensor for tensor in inputs if tensor is not None)
            inputs = [stand_in if tensor is None else tensor for tensor in inputs]
        opdef = understood(node)
        attrs = known_attrs(opdef, node.attr) if opdef else node.attr
        if opdef is not None and "_output_shapes" in attrs:  # found anew
            attrs = {key: value for key, value in attrs.items() if key != "_output_shapes"}
        if "_class" in attrs:
            attrs = {**attrs, "_class": [self._colocation(group) for group in attrs["_class"]]}
        stands_for = attrs.get("_stands_for")
        if isinstance(stands_for, list):
            names = map(_text, stands_for)
            full_names = [self._full_tensor(name) if name else "" for name in names]
            attrs = {**attrs, "_stands_for": full_names}
        full = self._full(node.name)
        self.graph._names_in_use.setdefault(full.lower(), 1)
        operation = self._make(node, opdef, inputs, attrs, full)
        if controls or self.graph._scopes.controllers:
            operation._control_inputs = self._waits(operation, controls)
        if node.device:
            operation.device = device_text(node.device)
        if isinstance(stands_for, list):
            self.standing.append(operation)
        self.added[node.name] = operation
        if later:
            self.late += [(operation, place, text) for place, text in later.items()]

    def _waits(self, operation: Operation, controls: Sequence[Operation]) -> tuple[Operation, ...]:
        """What an imported node waits for: its own control inputs, then all of the scopes around, as in TensorFlow."""
        scopes = self.graph._scopes.controllers
        around = [c for controller in scopes for c in controller.control_inputs]
        return tuple(dict.fromkeys((*controls, *operation._control_inputs, *around)))

    def _make(
        self,
        node: defs.NodeDef,
        opdef: OpDef | None,
        inputs: list[Tensor],
        attrs: Mapping[str, Any],
        full: str,
    ) -> Operation:
        if opdef is not None:
            problem = input_problem(node, opdef, inputs, attrs)
            if problem:
                raise GraphError(f"node '{node.name}' (op: '{node.op}'): {problem}")
            if opdef.output_numbers:
                self._declare(node.name, sum(int(attrs[key]) for key in opdef.output_numbers))
            return self.graph.add(node.op, opdef, inputs, attrs, full, made_at=self.made_at)
        kinds = guessed_dtypes(node)
        return self.graph.add(node.op, None, inputs, attrs, full, kinds, self.made_at)

    def _declare(self, name: str, count: int) -> None:
        """Take so many outputs for a node. Raises GraphError where a few bytes declare more than memory holds."""
        if self.outputs_left is None:
            used = sum(len(node.input) for node in self.nodes)
            self.outputs_left = used + SPARE_OUTPUTS if graph_elements() is not None else math.inf
        self.outputs_left -= count
        if self.outputs_left < 0:
            raise GraphError(
                f"node '{name}' has {count} outputs; a graph may have {SPARE_OUTPUTS} that nothing uses. If it is to have "
                "more, read it in `with ckpt.allow_large_graphs():`"
            )

    def _output(self, source: str, index: int) -> Tensor:
        operation = self.added[source]
        if operation.opdef is None:
            self._declare(source, max(0, index + 1 - len(operation._outputs)))
            while len(operation._outputs) <= index:
                operation._outputs.append(
                    Tensor(operation, len(operation._outputs), dtypes.variant, TensorShape.of(None))
                )
        if index >= len(operation._outputs):
            raise GraphError(
                f"'{source}:{index}' does not exist: {source} has {len(operation._outputs)} outputs"
            )
        return operation._outputs[index]

    def _colocation(self, group: Any) -> str:
        text = group.decode() if isinstance(group, bytes) else str(group)
        if not text.startswith("loc:@"):
            return text
        name = text[len("loc:@") :]
        if name not in self.names:
            mapped = self.input_map.get(name) or self.input_map.get(f"{name}:0")
            if mapped is not None:
                return f"loc:@{mapped.op.name}"
        return f"loc:@{self._full(name)}"


def _parents(name: str) -> list[str]:
    """The scopes that a name lies in: `a` and `a/b` of `a/b/c`."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _spellings(text: str) -> tuple[str, ...]:
    """The keys of an input map that mean this input: `node` and `node:0` are the same."""
    if text.startswith("^"):
        return (text,)
    if text.endswith(":0"):
        return (text, text[:-2])
    return (text,) if ":" in text else (text, f"{text}:0")


def _are_valid(names: set[str]) -> bool:
    """Whether all are names that nodes can have."""
    lines = "\n".join(names) + "\n"
    return not names or (
        _VALID_NAMES.fullmatch(lines) is not None and lines.count("\n") == len(names)
    )


def _grouped(groups: Iterable[Any]) -> set[str]:
    """The nodes that `_class` attributes name; an impossible name where one is no list of names."""
    try:
        texts = {_text(group) for value in groups for group in value}
    except (TypeError, UnicodeDecodeError):
        return {""}
    return {text[5:] for text in texts if text.startswith("loc:@")}
