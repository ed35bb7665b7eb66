"""A scope of a graph as a graph of its own: what it takes from outside is unbound until an import says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ckpt.core import defs
from ckpt.core.scope_names import scope_prefix
from ckpt.core.texts import text_of
from ckpt.graph.renaming import renamed_node
from ckpt.graph.selection import node_of

UNBOUND_INPUTS = "unbound_inputs"
"""The collection that lists the unbound inputs of an exported scope."""

_UNBOUND = "$unbound_inputs_"


def scoped_graph(graph_def: defs.GraphDef, scope: str, unbound: list[str]) -> defs.GraphDef:
    """The nodes inside a scope, their names without it. Inputs from outside are renamed and added to `unbound`.

    Nodes outside are not waited for any more, and colocation groups that they head are left.
    """
    prefix = scope_prefix(scope)
    inside = [node for node in graph_def.node if node.name.startswith(prefix)]
    return replace(graph_def, node=tuple(_inner(node, prefix, unbound) for node in inside))


def _inner(node: defs.NodeDef, prefix: str, unbound: list[str]) -> defs.NodeDef:
    inputs = []
    for text in node.input:
        name = node_of(text)
        if name.startswith(prefix):
            inputs.append(text.replace(prefix, "", 1))
        elif not text.startswith("^"):
            inputs.append(f"{_UNBOUND}{text}")
            if inputs[-1] not in unbound:
                unbound.append(inputs[-1])
    attr: Mapping[str, Any] = node.attr
    groups = node.attr.get("_class")
    if isinstance(groups, list):
        kept = [group for group in groups if _is_inside(group, prefix)]
        attr = {key: value for key, value in node.attr.items() if key != "_class"}
        attr = {**attr, "_class": kept} if kept else attr
    renamed = renamed_node(
        replace(node, attr=attr, input=()), lambda name: name.removeprefix(prefix)
    )
    return replace(renamed, input=tuple(inputs))


def _is_inside(group: Any, prefix: str) -> bool:
    text = text_of(group)
    return not text.startswith("loc:@") or text.startswith(f"loc:@{prefix}")


def check_bound(
    meta: defs.MetaGraphDef, input_map: Mapping[str, Any], collection: str | None
) -> None:
    """Raise ValueError listing the unbound inputs of an exported scope that `input_map` does not name."""
    listed = meta.collection_def.get(collection or "")
    if listed is None:
        return
    names = [v.decode() if isinstance(v, bytes) else str(v) for v in listed.value]
    missing = [name for name in names if name not in input_map]
    if missing:
        raise ValueError(
            f"Graph contains unbound inputs: {', '.join(names)}. Must provide these inputs through input_map."
        )
