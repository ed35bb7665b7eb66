"""Which variables of a merged graph are trained no more. Pure functions on plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ckpt.core import defs
from ckpt.core.errors import SelectionError
from ckpt.core.selectors import Candidate, select
from ckpt.graph.keys import GraphKeys
from ckpt.graph.selection import node_of
from ckpt.graph.variable_defs import collections_by_node

_SIGNS = ("@", "!", "re:")


def frozen(meta: defs.MetaGraphDef, freeze: Iterable[str]) -> defs.MetaGraphDef:
    """The MetaGraph with the variables that `freeze` selects no longer trainable.

    A plain name is a part, a scope or a variable; anything else a selector. Raises SelectionError for what selects no
    trainable variable.
    """
    texts = [text if _is_pattern(text) else f"@scope:{text.rstrip('/')}" for text in freeze]
    if not texts:
        return meta
    trainable = meta.collection_def.get(GraphKeys.TRAINABLE_VARIABLES)
    trained = trainable.value if trainable is not None else ()
    members = collections_by_node(meta)
    dtypes = {node.name: node.attr.get("dtype") for node in meta.graph_def.node}
    facts = [_candidate(v, dtypes.get(node_of(v.variable_name)), members) for v in trained]
    try:
        chosen = set(select(texts, facts, what="trainable variables"))
    except SelectionError as error:
        raise SelectionError(f"there is nothing to freeze: {error}") from error
    nodes = {v.variable_name for v, fact in zip(trained, facts, strict=True) if fact.name in chosen}
    collections = {}
    for key, collection in meta.collection_def.items():
        if collection.kind == "variables":
            value = collection.value
            if key == GraphKeys.TRAINABLE_VARIABLES:
                value = tuple(v for v in value if v.variable_name not in nodes)
            value = tuple(
                replace(v, trainable=False) if v.variable_name in nodes else v for v in value
            )
            collection = replace(collection, value=value)
        collections[key] = collection
    return replace(meta, collection_def=collections)


def _is_pattern(text: str) -> bool:
    return text.startswith(_SIGNS) or bool(set(text) & set("*?"))


def _candidate(
    variable: defs.VariableDef, dtype: Any, members: dict[str, frozenset[str]]
) -> Candidate:
    part = variable.save_slice_info_def
    node = node_of(variable.variable_name)
    return Candidate(
        node if part is None else part.full_name,
        "" if dtype is None else dtype.base_dtype.name,
        members.get(node, frozenset()),
    )
