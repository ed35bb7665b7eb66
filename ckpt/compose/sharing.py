"""Two parts of a merged graph with one variable: whatever used the second uses the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ckpt.compose.parts import Parts
from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.renaming import renamed
from ckpt.graph.selection import exclusive, node_of, without
from ckpt.graph.variable_defs import variable_defs, without_variables


def checked_shares(
    parts: Parts, share: Sequence[tuple[str, str]], problems: list[str]
) -> dict[str, str]:
    """From each variable that is replaced to the one that it becomes, by full node names, chains resolved.

    What does not exist, is no variable, or has another dtype or shape is added to `problems`.
    """
    found: dict[str, str] = {}
    for kept, replaced in share:
        try:
            first, second = _variable(parts, kept), _variable(parts, replaced)
        except GraphError as error:
            problems.append(str(error))
            continue
        problems += _differences(parts, first, second)
        if second in found or first == second:
            problems.append(f"'{second}' is shared twice")
        found[second] = first
    for name in list(found):
        path = {name}
        while found[name] in found and found[name] not in path:
            path.add(found[name])
            found[name] = found[found[name]]
        if found[name] in path:
            problems.append(f"the shared variables go in a circle through '{name}'")
    return found


def _variable(parts: Parts, text: str) -> str:
    part, rest = parts.split(text)
    return f"{part.name}/{part.variable(rest)}"


def _differences(parts: Parts, first: str, second: str) -> list[str]:
    nodes = []
    for text in (first, second):
        part, rest = parts.split(text)
        nodes.append(part.nodes[rest])
    one, two = nodes
    found = []
    if (one.op == "VarHandleOp") != (two.op == "VarHandleOp"):
        found.append(f"{first} is a {one.op}, {second} a {two.op}: they cannot be one variable")
    for key, what in (("dtype", "dtype"), ("shape", "shape")):
        if one.attr.get(key) != two.attr.get(key):
            found.append(
                f"{first} has {what} {_text(one.attr.get(key))}, {second} has {_text(two.attr.get(key))}: "
                "they cannot be one variable"
            )
    return found


def _text(value: object) -> str:
    return str(getattr(value, "name", value))


def shared(meta: defs.MetaGraphDef, shares: Mapping[str, str]) -> defs.MetaGraphDef:
    """The MetaGraph with the shared variables replaced: their nodes, initializers and collection entries are gone."""
    if not shares:
        return meta
    meta = without(meta, _initialization(meta, shares))
    graph = meta.graph_def
    nodes = tuple(node for node in graph.node if node.name not in shares)
    collections = without_variables(meta.collection_def, shares)
    kept = replace(meta, graph_def=replace(graph, node=nodes), collection_def=collections)
    return renamed(kept, lambda name: shares.get(name, name))


def _initialization(meta: defs.MetaGraphDef, shares: Mapping[str, str]) -> set[str]:
    """The nodes that only initialise the replaced variables."""
    initializers = {
        node_of(variable.initializer_name)
        for variable in variable_defs(meta)
        if node_of(variable.variable_name) in shares and variable.initializer_name
    }
    return exclusive(meta.graph_def, initializers, shares)
