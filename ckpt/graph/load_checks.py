"""What is wrong with a GraphDef is found before any of it is added to a graph: names, inputs, attributes, versions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ckpt.core import defs, versions
from ckpt.core.defs import split_input
from ckpt.core.errors import GraphError
from ckpt.graph.graph import Graph
from ckpt.graph.input_map import InputMap
from ckpt.graph.load_names import Names
from ckpt.graph.node_attrs import attr_problems
from ckpt.graph.opdef import OPS
from ckpt.graph.unique_names import are_valid, is_valid

_SHOWN = 50  # problems: a screenful


def check_versions(graph_def: defs.GraphDef) -> None:
    """Raise GraphError for a GraphDef that a much later TensorFlow wrote, or a much earlier one."""
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


def check(graph: Graph, graph_def: defs.GraphDef, names: Names, input_map: InputMap) -> bool:
    """Raise GraphError listing wrong and duplicate names, missing inputs, missing attributes and taken names.

    True where the inputs of each node stand before it.
    """
    is_sound, is_in_order = _soundness(graph, graph_def, names, input_map)
    if not is_sound:
        problems = _problems(graph, graph_def, names, input_map)
        if len(problems) == 1:
            raise GraphError(problems[0])
        if problems:
            raise GraphError(
                f"graph_def is invalid: {len(problems)} problems\n  "
                + "\n  ".join(problems[:_SHOWN])
                + ("\n  …" if len(problems) > _SHOWN else "")
            )
    return is_in_order


def _soundness(
    graph: Graph, graph_def: defs.GraphDef, names: Names, input_map: InputMap
) -> tuple[bool, bool]:
    """Whether there is certainly no problem, and whether inputs stand first: both in one walk."""
    known, late = set[str](), set[str]()
    groups: list[Any] = []
    is_complete = True
    for node in graph_def.node:
        for text in node.input:
            if text not in known:
                source = split_input(text)[0]
                if source not in known and not input_map.has(text):
                    late.add(source)
        known.add(node.name)
        opdef = OPS.get(node.op)
        if opdef is not None and not opdef.required <= node.attr.keys():
            is_complete = False
        if "_class" in node.attr:
            groups.append(node.attr["_class"])
    taken = graph._by_name
    is_sound = (
        is_complete
        and len(known) == len(graph_def.node)
        and are_valid(known)
        and late <= known
        and known.issuperset(_grouped(groups))
        and not (taken and any(names.full(name) in taken for name in known))
    )
    return is_sound, not late


def _grouped(groups: Iterable[Any]) -> set[str]:
    """The nodes that `_class` attributes name; an impossible name where one is no list of names."""
    try:
        texts = {utf8(group) for value in groups for group in value}
    except (TypeError, UnicodeDecodeError):
        return {""}
    return {text[5:] for text in texts if text.startswith("loc:@")}


def _problems(
    graph: Graph, graph_def: defs.GraphDef, names: Names, input_map: InputMap
) -> list[str]:
    problems: list[str] = []
    known = set[str]()
    for node in graph_def.node:
        if not is_valid(node.name, False):
            problems.append(f"Node '{node.name}': Node name contains invalid characters")
        if node.name in known:
            problems.append(f"Node '{node.name}' is not unique")
        known.add(node.name)
    for node in graph_def.node:
        for text in node.input:
            if split_input(text)[0] not in known and not input_map.has(text):
                problems.append(f"Node '{node.name}': Unknown input node '{text}'")
        full = names.full(node.name)
        if full in graph._by_name:  # never of those that are numbered
            problems.append(f"Node name '{full}' already exists in the Graph")
        problems += attr_problems(node)
        problems += _group_problems(node, known, input_map)
    return problems


def _group_problems(node: defs.NodeDef, known: set[str], input_map: InputMap) -> list[str]:
    """The colocation groups that name no node."""
    groups = node.attr.get("_class")
    if groups is None:
        return []
    try:
        texts = [utf8(group) for group in groups]
    except (TypeError, UnicodeDecodeError):
        return [f"Node '{node.name}': attribute '_class' is no list of names: {groups!r:.80}"]
    found = []
    for text in texts:
        name = text.removeprefix("loc:@")
        if name != text and name not in known and input_map.of_node(name) is None:
            found.append(f"Node '{node.name}' expects to be colocated with unknown node '{name}'")
    return found


def utf8(value: Any) -> str:
    """A text from a text or its bytes. Raises UnicodeDecodeError."""
    return value.decode() if isinstance(value, bytes) else str(value)
