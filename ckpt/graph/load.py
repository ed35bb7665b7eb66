"""Plain data into a live graph: core.defs -> Graph, with a prefix and an input map; all nodes or none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core import defs, dtypes
from ckpt.core.collector import paused
from ckpt.core.defs import split_input
from ckpt.core.errors import CkptError, GraphError, ShapeError
from ckpt.core.limits import graph_elements
from ckpt.core.shapes import TensorShape
from ckpt.graph.devices import device_text
from ckpt.graph.graph import Graph
from ckpt.graph.input_map import InputMap
from ckpt.graph.load_checks import check, check_versions, utf8
from ckpt.graph.load_names import Names
from ckpt.graph.node_attrs import guessed_dtypes, input_problem, known_attrs, understood
from ckpt.graph.node_order import in_order
from ckpt.graph.opdef import OpDef
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.origins import Origin
from ckpt.graph.renaming import calling

SPARE_OUTPUTS = 1 << 18
"""Outputs of nodes that declare how many they have (Split, Unpack), beyond those that others take."""


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
    mapped = InputMap(input_map or {})
    names = Names(graph, graph_def.node, prefix, unique=unique)
    check_versions(graph_def)
    is_in_order = check(graph, graph_def, names, mapped)
    loader = _Loader(graph, graph_def, names, mapped, made_at)
    with graph._lock, paused():
        loader.add_library(graph_def.library)
        loader.add_all(is_in_order)
    if unused_inputs is not None:
        unused_inputs.extend(
            key for key in mapped if key not in mapped.used and not _exists(key, loader.added)
        )
    return loader.added


def _exists(key: str, added: Mapping[str, Operation]) -> bool:
    """Whether the imported graph has what the key of an input map names."""
    node, index = split_input(key)
    if node not in added:
        return False
    return index < max(1, len(added[node]._outputs))


class _Loader:
    """One import of a GraphDef that was checked: adds nodes in an order where inputs exist."""

    def __init__(
        self,
        graph: Graph,
        graph_def: defs.GraphDef,
        names: Names,
        input_map: InputMap,
        made_at: Origin,
    ) -> None:
        self.graph = graph
        self.nodes = graph_def.node
        self.names = names
        self.input_map = input_map
        self.known = {node.name for node in self.nodes} if input_map else frozenset[str]()
        self.made_at = made_at
        self.added: dict[str, Operation] = {}
        self.standing: list[Operation] = []
        self.merges: list[tuple[defs.NodeDef, Operation, list[tuple[int, str]]]] = []
        self.outputs_left: float | None = None  # that attributes may declare; None before any did

    def add_library(self, library: Sequence[defs.FunctionDef]) -> None:
        """Add the functions that are not there; one whose name another function has gets a new name, as do its callers."""
        known = self.graph._functions
        renamed: dict[str, str] = {}
        new = [function for function in library if not self._has(function)]
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

    def add_all(self, is_in_order: bool) -> None:
        """Add the nodes, or none of them."""
        node = self.nodes[0] if self.nodes else None
        try:
            for node in self.nodes if is_in_order else in_order(self.nodes, self.input_map.has):
                self._add(node)
            for node, merge, waiting in self.merges:
                self._close_loop(node, merge, waiting)
        except Exception as error:
            self._undo()
            is_told = isinstance(error, CkptError) and not isinstance(error, ShapeError)
            if is_told or node is None or f"'{node.name}'" in str(error):
                raise
            raise GraphError(
                f"node '{node.name}' (op: '{node.op}') has attributes that its operation cannot take: "
                f"{type(error).__name__} {error}"
            ) from error
        if self.merges:
            self.graph.touch()
        for operation in self.standing:
            self._note_stand_ins(operation)

    def _close_loop(
        self, node: defs.NodeDef, merge: Operation, waiting: Sequence[tuple[int, str]]
    ) -> None:
        """Give a Merge the inputs that were made after it."""
        inputs = list(merge._inputs)
        for position, text in waiting:
            inputs[position] = self._output(*split_input(text))
        merge._inputs = tuple(inputs)
        if merge.opdef is not None:
            problem = input_problem(node, merge.opdef, inputs, merge.attrs)
            if problem:
                raise _wrong_inputs(node, problem)

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
        inputs: list[Tensor] = []
        controls: list[Operation] = []
        waiting: list[tuple[int, str]] = []
        for text in node.input:
            source, index = split_input(text)
            mapped = self.input_map.taken(text) if self.input_map else None
            if index < 0:
                controls.append(mapped.op if mapped is not None else self.added[source])
            elif mapped is not None:
                inputs.append(mapped)
            elif source in self.added:
                inputs.append(self._output(source, index))
            else:
                waiting.append((len(inputs) + len(waiting), text))
        for position, _ in waiting:
            inputs.insert(position, inputs[0])  # until that is made which comes round the loop
        opdef = understood(node)
        attrs = known_attrs(opdef, node.attr) if opdef else node.attr
        if opdef is not None and "_output_shapes" in attrs:  # found anew
            attrs = {key: value for key, value in attrs.items() if key != "_output_shapes"}
        if "_class" in attrs:
            attrs = {**attrs, "_class": [self._colocation(group) for group in attrs["_class"]]}
        stands_for = attrs.get("_stands_for")
        if isinstance(stands_for, list):
            names = map(utf8, stands_for)
            full_names = [self.names.full_tensor(name) if name else "" for name in names]
            attrs = {**attrs, "_stands_for": full_names}
        full = self.names.full(node.name)
        self.graph._names_in_use.setdefault(full.lower(), 1)
        operation = self._make(node, opdef, inputs, attrs, full)
        if controls or self.graph._scopes.controllers:
            operation._control_inputs = self._waits(operation, controls)
        if node.device:
            operation.device = device_text(node.device)
        if isinstance(stands_for, list):
            self.standing.append(operation)
        self.added[node.name] = operation
        if waiting:
            self.merges.append((node, operation, waiting))

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
                raise _wrong_inputs(node, problem)
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
        text = utf8(group)
        if not text.startswith("loc:@"):
            return text
        name = text[len("loc:@") :]
        mapped = self.input_map.of_node(name) if self.input_map else None
        if mapped is not None and name not in self.known:
            return f"loc:@{mapped.op.name}"
        return f"loc:@{self.names.full(name)}"


def _wrong_inputs(node: defs.NodeDef, problem: str) -> GraphError:
    return GraphError(f"node '{node.name}' (op: '{node.op}'): {problem}")
