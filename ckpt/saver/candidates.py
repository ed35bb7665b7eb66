"""What selectors may know about the tensors of a checkpoint: name, dtype, and the collections of the graph saved with it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ckpt.core import selectors
from ckpt.core.errors import SelectionError
from ckpt.core.system import StrPath
from ckpt.formats.base import TensorReader
from ckpt.graph.variable_defs import collections_by_node

Patterns = str | Iterable[str]


def selected(
    reader: TensorReader, path: StrPath, include: Patterns | None, exclude: Patterns | None = None
) -> list[str]:
    """The names that `include` (all, unless given) without `exclude` selects of an open checkpoint, in its order.

    Words such as `@trainable` ask the MetaGraph in the checkpoint or beside it, which is read when one of them is there.
    Raises SelectionError (a ValueError) that names the file for patterns that cannot be understood or match nothing.
    """
    names = reader.names()
    if include is None and exclude is None:
        return names
    kept = [] if include is None else _listed(include)
    if include is not None and not kept:
        raise SelectionError(
            f"{path}: include is an empty list, and nothing to select is always an error; leave it out for all tensors"
        )
    dropped = [] if exclude is None else [f"!{pattern}" for pattern in _listed(exclude)]
    try:
        parsed = selectors.parse([*kept, *dropped])
        asks = any(selector.asks_graph for selector in parsed)
        members = collections_in(path) if asks else None
        facts = selectors.candidates(((name, reader.spec(name).dtype) for name in names), members)
        return selectors.select([*kept, *dropped], facts, what="tensors")
    except SelectionError as error:
        raise SelectionError(f"{path}: {error}") from error


def _listed(patterns: Patterns) -> list[str]:
    if isinstance(patterns, str) or not isinstance(patterns, Iterable):
        return [patterns]  # who parses it says what it is not
    return list(patterns)


def collections_in(path: StrPath) -> dict[str, frozenset[str]] | None:
    """Tensor of the checkpoint of this prefix or file -> collections of its variable, as the graph saved with it has
    them; None without a graph.

    Raises DataLossError when the graph is damaged.
    """
    from ckpt.saver.meta_files import saved_meta_graph  # few selectors need the graph
    from ckpt.saver.savings import savings
    from ckpt.saver.validity import prefix_of_file

    meta = saved_meta_graph(prefix_of_file(os.fspath(path)))
    if meta is None:
        return None
    members = collections_by_node(meta)
    return {
        saving.key: frozenset(key for node in saving.variables for key in members.get(node, ()))
        for saving in savings(meta)
    }
