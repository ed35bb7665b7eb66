"""What the Saver of a saved model saves: names in the checkpoint and the variables behind them, from plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ckpt.core import defs
from ckpt.core.texts import text_of
from ckpt.graph.keys import GraphKeys
from ckpt.graph.selection import exclusive, needed, node_of, saver_nodes, without
from ckpt.graph.variable_defs import nodes_beside, variable_defs, variables_by_node

VARIABLE_TYPES = ("Variable", "VariableV2", "VarHandleOp")
"""The operations that are variables."""

_PASSING = {"Identity", "ReadVariableOp"}  # between a variable and the node that saves it


@dataclass(frozen=True, slots=True)
class Saving:
    """One entry of a checkpoint: its name, and the nodes of the variables (several for a partitioned one)."""

    key: str
    variables: tuple[str, ...]


def savings(meta: defs.MetaGraphDef) -> list[Saving]:
    """What the Saver of this MetaGraph saves, without tables and other objects that are no variables.

    Without a Saver it is what a new one would save: the variables of its collections under their own names.
    """
    found: dict[str, list[str]] = {}
    if meta.saver_def is None or not meta.saver_def.save_tensor_name:
        for name, definition in variables_by_node(meta).items():
            part = definition.save_slice_info_def
            found.setdefault(name if part is None else part.full_name, []).append(name)
    else:
        nodes = {node.name: node for node in meta.graph_def.node}
        for saving in needed(meta.graph_def, [node_of(meta.saver_def.save_tensor_name)]):
            if nodes[saving].op == "SaveV2":
                for key, variable in _saved_by(nodes[saving], nodes):
                    found.setdefault(key, []).append(variable)
    return [Saving(key, tuple(found[key])) for key in sorted(found)]


def _saved_by(save: defs.NodeDef, nodes: Mapping[str, defs.NodeDef]) -> Iterable[tuple[str, str]]:
    """(name in the checkpoint, node of the variable) for what one SaveV2 saves."""
    names = nodes[node_of(save.input[1])].attr.get("value")
    if not isinstance(names, np.ndarray):
        return
    tensors = [text for text in save.input[3:] if not text.startswith("^")]
    for name, text in zip(names.reshape(-1), tensors, strict=True):
        variable = _variable_behind(text, nodes)
        if variable is not None:
            yield text_of(name), variable


def _variable_behind(text: str, nodes: Mapping[str, defs.NodeDef]) -> str | None:
    node = nodes[node_of(text)]
    while node.op in _PASSING:
        node = nodes[node_of(node.input[0])]
    return node.name if node.op in VARIABLE_TYPES else None


def saver_only(meta: defs.MetaGraphDef) -> set[str]:
    """The nodes that are there for Savers alone: they save and restore, and nothing else takes them."""
    graph = meta.graph_def
    keep = {node.name for node in graph.node if node.op in VARIABLE_TYPES}
    keep |= {name for variable in variable_defs(meta) for name in nodes_beside(variable)}
    roots = set() if meta.saver_def is None else set(saver_nodes(meta.saver_def))
    return exclusive(graph, roots | _machinery(meta), keep)


def _machinery(meta: defs.MetaGraphDef) -> set[str]:
    """Saves and what reports them done; restoring assignments that initialise no variable, and what groups them."""
    nodes = {node.name: node for node in meta.graph_def.node}
    initializers = {node_of(variable.initializer_name) for variable in variable_defs(meta)}
    found = {name for name, node in nodes.items() if node.op == "SaveV2"}
    found |= {
        name
        for name, node in nodes.items()
        if node.op in ("Assign", "AssignVariableOp")
        and name not in initializers
        and _source(node.input[1], nodes) == "RestoreV2"
    }
    waiting = [node for node in meta.graph_def.node if any(t.startswith("^") for t in node.input)]
    for node in waiting:
        controls = [text[1:] for text in node.input if text.startswith("^")]
        if node.op in ("NoOp", "Identity") and all(name in found for name in controls):
            found.add(node.name)
    return found


def _source(text: str, nodes: Mapping[str, defs.NodeDef]) -> str:
    """The type of operation that made a tensor, seen through identities and reshapes."""
    node = nodes[node_of(text)]
    while node.op in ("Identity", "Reshape"):
        node = nodes[node_of(node.input[0])]
    return node.op


def without_other_savers(meta: defs.MetaGraphDef) -> defs.MetaGraphDef:
    """The MetaGraph without the nodes of Savers other than its own, and without these in the collection of Savers."""
    keep = set() if meta.saver_def is None else needed(meta.graph_def, saver_nodes(meta.saver_def))
    others = saver_only(replace(meta, saver_def=None)) - keep
    found = without(meta, others)
    collections = dict(found.collection_def)
    listed = collections.pop(GraphKeys.SAVERS, None)
    if listed is not None and listed.kind == "bytes_list":
        own = tuple(value for value in listed.value if _is_saver(value, meta.saver_def))
        if own:
            collections[GraphKeys.SAVERS] = replace(listed, value=own)
    return replace(found, collection_def=collections)


def _is_saver(value: bytes, saver_def: defs.SaverDef | None) -> bool:
    """Whether a member of the collection of Savers describes the one with these nodes."""
    from ckpt.wire import tf_pb  # protobuf is loaded only when messages are used

    if saver_def is None:
        return False
    found = tf_pb.from_bytes(defs.SaverDef, value, f"collection '{GraphKeys.SAVERS}'")
    return bool(saver_nodes(found) == saver_nodes(saver_def))
