"""Which nodes of a MetaGraph stay: what a set of nodes needs, what depends on it, and the MetaGraph without some.

Pure functions from plain data to plain data. Must not know live graphs or files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ckpt.core import defs
from ckpt.core.defs import split_input
from ckpt.core.texts import text_of
from ckpt.graph.renaming import NAMED_MESSAGES, message_names


def node_of(text: str) -> str:
    """The node that `node`, `node:1` or `^node` names."""
    return split_input(text)[0]


def needed(graph: defs.GraphDef, roots: Iterable[str]) -> set[str]:
    """The nodes that `roots` need, themselves included: through inputs and control inputs."""
    inputs = {node.name: node.input for node in graph.node}
    found: set[str] = set()
    pending = [name for name in roots if name in inputs]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(node_of(text) for text in inputs[name])
    return found


def dependent(graph: defs.GraphDef, gone: Collection[str]) -> set[str]:
    """`gone` and what cannot be without it: nodes that take its outputs, and groups of nothing else.

    A node that only waits for one of `gone` stays and waits no longer; a NoOp that did nothing but wait for them goes.
    """
    users: dict[str, list[str]] = {}
    waits: dict[str, set[str]] = {}
    for node in graph.node:
        is_group = node.op == "NoOp" and bool(node.input)
        if is_group:
            waits[node.name] = {node_of(text) for text in node.input}
        for text in node.input:
            if is_group or not text.startswith("^"):
                users.setdefault(node_of(text), []).append(node.name)
    found: set[str] = set()
    pending = list(gone)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        for user in users.get(name, ()):
            if user not in waits or waits[user] <= found:
                pending.append(user)
    return found


def without(meta: defs.MetaGraphDef, gone: Collection[str]) -> defs.MetaGraphDef:
    """The MetaGraph without these nodes: no control input, colocation group, collection, signature or Saver names them.

    Their outputs must not be taken by nodes that stay; `dependent` says which nodes must go with them.
    """
    gone = set(gone)
    if not gone:
        return meta
    nodes = tuple(_waiting(node, gone) for node in meta.graph_def.node if node.name not in gone)
    collections = {}
    for key, collection in meta.collection_def.items():
        value = tuple(v for v in collection.value if not _names_any(key, collection.kind, v, gone))
        if value:
            collections[key] = replace(collection, value=value)
    signatures = {
        key: signature
        for key, signature in meta.signature_def.items()
        if not any(node_of(i.name) in gone for i in _infos(signature))
    }
    saver = meta.saver_def
    if saver is not None and not gone.isdisjoint(saver_nodes(saver)):
        saver = None
    return replace(
        meta,
        graph_def=replace(meta.graph_def, node=nodes),
        saver_def=saver,
        collection_def=collections,
        signature_def=signatures,
    )


def _waiting(node: defs.NodeDef, gone: Collection[str]) -> defs.NodeDef:
    """The node without control inputs and colocation groups that name `gone`."""
    ended = [text for text in node.input if text[:1] == "^" and text[1:] in gone]
    groups = node.attr.get("_class")
    attr: Mapping[str, Any] = node.attr
    if isinstance(groups, list):
        kept = [g for g in groups if group_node(g) not in gone]
        if len(kept) < len(groups):
            attr = {k: v for k, v in node.attr.items() if k != "_class"}
            if kept:
                attr = {**attr, "_class": kept}
    if not ended and attr is node.attr:
        return node
    return replace(node, input=tuple(t for t in node.input if t not in ended), attr=attr)


def group_node(group: Any) -> str:
    """The node that heads a colocation group (`loc:@node`, a text or bytes)."""
    text = text_of(group)
    return text.removeprefix("loc:@")


def _names_any(key: str, kind: str, member: Any, gone: Collection[str]) -> bool:
    """Whether a member of a collection names one of these nodes."""
    if kind == "node_list":
        return node_of(str(member)) in gone
    if kind == "variables":
        return node_of(member.variable_name) in gone
    if kind == "bytes_list" and key in NAMED_MESSAGES:
        return any(node_of(text) in gone for text in message_names(key, member) if text)
    return False


def _infos(signature: defs.SignatureDef) -> list[defs.TensorInfo]:
    return [*signature.inputs.values(), *signature.outputs.values()]


def saver_nodes(saver: defs.SaverDef) -> list[str]:
    """The nodes that a SaverDef names."""
    names = (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
    return [node_of(name) for name in names if name]


def exclusive(graph: defs.GraphDef, roots: Iterable[str], keep: Collection[str]) -> set[str]:
    """`roots` and what only they need: nodes in `keep`, and what any other node takes or waits for, stay."""
    inputs = {node.name: node.input for node in graph.node}
    candidates = needed(graph, roots) - set(keep)
    users: dict[str, int] = dict.fromkeys(inputs, 0)
    for node in graph.node:
        for source in {node_of(text) for text in node.input} & users.keys():
            users[source] += 1
    gone: set[str] = set()
    pending = [name for name in roots if name in candidates]
    while pending:
        name = pending.pop()
        if name in gone:
            continue
        gone.add(name)
        for source in {node_of(text) for text in inputs[name]} & candidates:
            users[source] -= 1
            if not users[source]:
                pending.append(source)
    return gone
