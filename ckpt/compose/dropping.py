"""Which nodes of a merged graph go or stay, by selectors: `drop` and `keep`. Pure functions on plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.core.selectors import Candidate, candidates, select
from ckpt.core.spelling import similar
from ckpt.core.tensor_roles import is_slot, is_slot_of
from ckpt.graph.keys import GraphKeys
from ckpt.graph.selection import dependent, needed, node_of
from ckpt.graph.variable_defs import collections_by_node, nodes_beside, variable_defs
from ckpt.saver.savings import VARIABLE_TYPES


def dropped_nodes(meta: defs.MetaGraphDef, drop: Iterable[str]) -> set[str]:
    """The nodes that these selectors name, and all that cannot be without them.

    "@slots" are the optimizer's variables, "@training" also gradients and updates, "@summaries" summaries; anything
    else selects nodes by name, or variables by `@trainable`, `@float` and the like. Raises SelectionError for what selects
    nothing.
    """
    texts = list(drop)
    words = [text for text in texts if text in _WORDS]
    names = [text for text in texts if text not in _WORDS]
    found: set[str] = set()
    for word in words:
        found |= _WORDS[word](meta)
    if names:
        found |= set(select(names, _candidates(meta), what="nodes"))
    return dependent(meta.graph_def, found) if found else found


def _candidates(meta: defs.MetaGraphDef) -> list[Candidate]:
    """What selectors may know about the nodes; only variables have a dtype, collections and an owner."""
    variables = {node.name: node for node in meta.graph_def.node if node.op in VARIABLE_TYPES}
    known = candidates(
        ((name, node.attr["dtype"].base_dtype.name) for name, node in variables.items()),
        collections_by_node(meta),
    )
    facts = {fact.name: fact for fact in known}
    none: frozenset[str] = frozenset()
    return [facts.get(n.name) or Candidate(n.name, collections=none) for n in meta.graph_def.node]


def kept_nodes(meta: defs.MetaGraphDef, keep: Iterable[str]) -> set[str]:
    """What these tensors and operations need, and what initialises and reads the variables among it.

    Raises GraphError listing the names that are not there.
    """
    nodes = {node.name: node for node in meta.graph_def.node}
    wanted = list(keep)
    missing = [
        f"  {text!r}{similar(node_of(text), nodes)}"
        for text in wanted
        if node_of(text) not in nodes
    ]
    if missing:
        raise GraphError("what is to be kept is not in the graph:\n" + "\n".join(missing))
    found = needed(meta.graph_def, [node_of(text) for text in wanted])
    more = [
        name
        for variable in variable_defs(meta)
        if node_of(variable.variable_name) in found
        for name in nodes_beside(variable)
    ]
    return found | needed(meta.graph_def, more)


def _slots(meta: defs.MetaGraphDef) -> set[str]:
    """The optimizer's variables, and the operations that made a training step of them."""
    trainable = _variables(meta, GraphKeys.TRAINABLE_VARIABLES)
    known = {name for key in meta.collection_def for name in _variables(meta, key)}
    found = {
        node.name
        for node in meta.graph_def.node
        if node.op in VARIABLE_TYPES
        and node.name not in trainable
        and node.name in known
        and (is_slot(node.name) or is_slot_of(node.name, trainable))
    }
    return found | (_members(meta, GraphKeys.TRAIN_OP) if found else set())


def _training(meta: defs.MetaGraphDef) -> set[str]:
    updates = {
        node.name
        for node in meta.graph_def.node
        if node.op.startswith(("Apply", "ResourceApply", "SparseApply", "ResourceSparseApply"))
    }
    return _slots(meta) | updates | _members(meta, GraphKeys.TRAIN_OP)


def _summaries(meta: defs.MetaGraphDef) -> set[str]:
    kinds = {
        node.name for node in meta.graph_def.node if node.op.endswith(("Summary", "SummaryV2"))
    }
    return kinds | _members(meta, GraphKeys.SUMMARIES) | _members(meta, GraphKeys.SUMMARY_OP)


_WORDS: dict[str, Callable[[defs.MetaGraphDef], set[str]]] = {
    "@slots": _slots,
    "@training": _training,
    "@summaries": _summaries,
}


def _variables(meta: defs.MetaGraphDef, key: str) -> set[str]:
    collection = meta.collection_def.get(key)
    if collection is None or collection.kind != "variables":
        return set()
    return {node_of(variable.variable_name) for variable in collection.value}


def _members(meta: defs.MetaGraphDef, key: str) -> set[str]:
    collection = meta.collection_def.get(key)
    if collection is None or collection.kind != "node_list":
        return set()
    return {node_of(str(text)) for text in collection.value}
