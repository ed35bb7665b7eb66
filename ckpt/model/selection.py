"""Variables selected by patterns: `**/kernel`, `@trainable`, `!@slots`. The language is `ckpt.core.selectors`'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ckpt.core import selectors
from ckpt.core.selectors import Candidate
from ckpt.core.tensor_roles import is_slot_of
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys


def select_variables(
    patterns: str | Iterable[str], candidates: Sequence[Any] | None = None
) -> list[Any]:
    """The variables of the default graph that the patterns select, in the order in which they were made.

    `candidates` are the variables to select from: all global ones, unless given; those of a `@collection:NAME` come to
    them. A part of a partitioned variable goes by the name of the whole. Raises SelectionError (a ValueError) for
    patterns that cannot be understood or match nothing.
    """
    graph = stack.get_default_graph()
    texts = [patterns] if isinstance(patterns, str) else list(patterns)
    found = list(
        graph.get_collection(GraphKeys.GLOBAL_VARIABLES) if candidates is None else candidates
    )
    for selector in selectors.parse(texts):
        members = graph.get_collection(selector.collection) if selector.collection else []
        found += [m for m in members if hasattr(m, "op") and all(m is not f for f in found)]
    facts = described(found, graph)
    names = set(selectors.select(texts, facts))
    chosen = (v for v, fact in zip(found, facts, strict=True) if fact.name in names)
    return list({id(variable): variable for variable in chosen}.values())


def expanded(members: str | Iterable[Any], candidates: Sequence[Any]) -> list[Any]:
    """`members` (or the one pattern), and what the patterns among them select from `candidates`; nothing twice.

    Raises SelectionError (a ValueError) for patterns that cannot be understood or match nothing.
    """
    members = [members] if isinstance(members, str) else list(members)
    patterns = [member for member in members if isinstance(member, str)]
    given = [member for member in members if not isinstance(member, str)]
    found = select_variables(patterns, candidates) if patterns else []
    return given + [v for v in found if all(v is not g for g in given)]


def described(variables: Sequence[Any], graph: Graph) -> list[Candidate]:
    """What selectors may know about each of these variables."""
    members: dict[int, set[str]] = {}
    for key in graph.get_all_collection_keys():
        for member in graph.get_collection(key):
            members.setdefault(id(member), set()).add(key)
    trained = {
        name_of(v) for v in graph.get_collection(GraphKeys.TRAINABLE_VARIABLES) if hasattr(v, "op")
    }
    return [
        Candidate(
            name_of(variable),
            variable.dtype.base_dtype.name if hasattr(variable, "dtype") else "",
            frozenset(members.get(id(variable), ())),
            is_slot_of(name_of(variable), trained),
        )
        for variable in variables
    ]


def name_of(variable: Any) -> str:
    """The name in a checkpoint: of the whole variable for a part, of a saveable object its own."""
    getter = getattr(variable, "_get_save_slice_info", None)
    info = None if getter is None else getter()
    if info is not None:
        return str(info.full_name)
    return str(variable.op.name if hasattr(variable.op, "name") else variable.name)
