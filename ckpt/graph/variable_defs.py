"""The variables that the collections of a MetaGraph name, as plain data. Knows no live graph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from ckpt.core import defs
from ckpt.graph.selection import node_of


def variable_defs(meta: defs.MetaGraphDef) -> Iterator[defs.VariableDef]:
    """What is noted of each variable, as often as a collection holds it."""
    for collection in meta.collection_def.values():
        if collection.kind == "variables":
            yield from collection.value


def variables_by_node(meta: defs.MetaGraphDef) -> dict[str, defs.VariableDef]:
    """Node of each variable -> what is noted of it."""
    return {node_of(variable.variable_name): variable for variable in variable_defs(meta)}


def collections_by_node(meta: defs.MetaGraphDef) -> dict[str, frozenset[str]]:
    """Node of each variable -> keys of the collections that it is in."""
    found: dict[str, set[str]] = {}
    for key, collection in meta.collection_def.items():
        for variable in collection.value if collection.kind == "variables" else ():
            found.setdefault(node_of(variable.variable_name), set()).add(key)
    return {name: frozenset(keys) for name, keys in found.items()}


def nodes_beside(variable: defs.VariableDef) -> list[str]:
    """The nodes that set its first value, read it, and hold its first value."""
    names = (variable.initializer_name, variable.snapshot_name, variable.initial_value_name)
    return [node_of(name) for name in names if name]


def without_variables(
    collections: Mapping[str, defs.CollectionDef], nodes: Collection[str]
) -> dict[str, defs.CollectionDef]:
    """The collections without the variables of these nodes, and without those that then have no members."""
    found = {}
    for key, collection in collections.items():
        kept = collection.value
        if collection.kind == "variables":
            kept = tuple(v for v in kept if node_of(v.variable_name) not in nodes)
        if kept:
            found[key] = replace(collection, value=kept)
    return found
