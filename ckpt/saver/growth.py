"""Notices graphs that grow between saves, and large constants in them. Warns through the logger "ckpt", never fails."""

from __future__ import annotations

import logging
import re
from collections import Counter
from weakref import ref

import numpy as np

from ckpt.graph.graph import Graph

log = logging.getLogger("ckpt")

LARGE_CONSTANT = 1 << 20  # bytes
_SHOWN = 5
_NUMBER = re.compile(r"_\d+$")


class Growth:
    """What one Saver saw of its graph at the save before."""

    def __init__(self) -> None:
        self._graph: ref[Graph] | None = None
        self._nodes = 0
        self._told = 0  # nodes when it was first saved, or warned of last
        self._warn_from = 0  # nodes; doubles with every warning
        self._large: frozenset[str] = frozenset()

    def watch(self, graph: Graph) -> None:
        """Warn when the graph has more nodes than at the save before, and of constants above 1 MiB that are new in it."""
        operations = graph.get_operations()
        if self._graph is None or self._graph() is not graph:
            self._graph, self._large, self._warn_from = ref(graph), frozenset(), 0
            self._nodes = self._told = len(operations)
        elif len(operations) == self._nodes:
            return
        if len(operations) > self._nodes and len(operations) >= self._warn_from:
            names = [op.name for op in operations[self._told :]]
            log.warning("%s", growth_text(names, len(operations)))
            self._told, self._warn_from = len(operations), 2 * len(operations)
        self._nodes = len(operations)
        self._warn_of_constants(graph)

    def _warn_of_constants(self, graph: Graph) -> None:
        large = {
            op.name: value.nbytes
            for op in graph.get_operations()
            if op.type == "Const" and isinstance(value := op.attrs.get("value"), np.ndarray)
            if value.nbytes > LARGE_CONSTANT
        }
        new = {name: size for name, size in large.items() if name not in self._large}
        self._large |= frozenset(new)
        if new:
            shown = ", ".join(f"{n} ({size / (1 << 20):.1f} MiB)" for n, size in _largest(new))
            log.warning(
                "constants of more than 1 MiB are part of the graph, and so of every .meta file and checkpoint: %s%s; "
                "hold such values in variables, or feed them",
                shown,
                ", …" if len(new) > _SHOWN else "",
            )


def growth_text(new: list[str], total: int) -> str:
    """What to tell of the names of the nodes that were added between saves."""
    counts = _largest(dict(Counter(map(_scope, new))))
    shown = ", ".join(f"{scope} (+{count})" for scope, count in counts)
    more = ", …" if len({_scope(name) for name in new}) > _SHOWN else ""
    return (
        f"the graph has grown from {total - len(new)} to {total} nodes between saves, in: {shown}{more}. Where operations "
        "are added in a loop, .meta files grow and runs become slower; build the graph before the loop "
        "(graph.finalize() finds the place)"
    )


def _largest(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]


def _scope(name: str) -> str:
    """The scope that a node is in, or its own name, without the number that made it unique."""
    scope, slash, _ = name.rpartition("/")
    first, _, rest = (scope or name).partition("/")
    first = _NUMBER.sub("", first)
    return f"{first}/{rest}/".replace("//", "/") if slash else first
