"""What the nodes of a GraphDef are called in the graph that takes them: under a prefix, numbered where a name is taken."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from ckpt.core import defs
from ckpt.graph.graph import Graph


class Names:
    """The names of imported nodes; with `unique` a node, or a scope, that the graph has already gets a number."""

    def __init__(
        self, graph: Graph, nodes: Sequence[defs.NodeDef], prefix: str, *, unique: bool
    ) -> None:
        self._before = f"{prefix}/" if prefix else ""
        self._numbered: dict[str, str] = {}
        if unique:
            self._numbered = self._with_numbers(graph, nodes)

    def full(self, name: str) -> str:
        """The name of a node."""
        if name in self._numbered:
            return self._numbered[name]
        return self._before + name

    def full_tensor(self, name: str) -> str:
        """The name of a tensor, `node:index`."""
        node, colon, index = name.rpartition(":")
        return f"{self.full(node)}{colon}{index}"

    def _with_numbers(self, graph: Graph, nodes: Sequence[defs.NodeDef]) -> dict[str, str]:
        """The names of those nodes whose own the graph has already, as a node or as the beginning of one's name."""
        in_use, there = graph._names_in_use, graph._by_name
        full = {node.name: self._before + node.name for node in nodes}
        if not there or (self._before and not any(n.lower() in in_use for n in full.values())):
            return {}
        taken = {*there, *full.values()}
        in_order = sorted(there)
        found = {}
        for original, name in full.items():
            number, unique = 0, name
            while _begins_one(unique, in_order) or unique in (taken if number else there):
                number += 1
                unique = f"{name}_{number}"
            if number:
                taken.add(unique)
                found[original] = unique
        return found


def _begins_one(scope: str, names: Sequence[str]) -> bool:
    """Whether one of the names, which are sorted, lies in the scope."""
    before = f"{scope}/"
    at = bisect_left(names, before)
    return at < len(names) and names[at].startswith(before)
