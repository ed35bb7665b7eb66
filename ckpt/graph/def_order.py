"""In which order the nodes of a GraphDef can be made: inputs first, but for what comes round a loop."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.def_inputs import InputMap, split_input

MERGES = frozenset({"Merge", "RefMerge"})
ROUND = frozenset({"NextIteration", "RefNextIteration"})
"""What a Merge takes from these comes round a loop: it is no cycle of nodes that wait for each other."""

_SHOWN = 10  # nodes of a cycle


def in_order(nodes: Sequence[defs.NodeDef], input_map: InputMap) -> list[defs.NodeDef]:
    """The nodes with inputs first, but for those that are mapped; otherwise as they stand.

    Raises GraphError naming a cycle that is no loop.
    """
    by_name = {node.name: node for node in nodes}
    position = {node.name: i for i, node in enumerate(nodes)}
    waiting: dict[str, int] = {}
    users: dict[str, list[str]] = {}
    for node in nodes:
        sources = _sources(node, by_name, input_map)
        waiting[node.name] = len(sources)
        for source in sources:
            users.setdefault(source, []).append(node.name)
    ready = [i for i, node in enumerate(nodes) if not waiting[node.name]]  # sorted, so a heap
    found: list[defs.NodeDef] = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        found.append(node)
        for user in users.get(node.name, ()):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, position[user])
    if len(found) < len(nodes):
        stuck = [node for node in nodes if waiting[node.name]]
        cycle = _cycle({node.name: _sources(node, by_name, input_map) for node in stuck})
        shown = [f"'{name}'" for name in cycle]
        if len(shown) > _SHOWN:
            shown[_SHOWN:] = ["…"]
        raise GraphError(
            f"{' ← '.join([*shown, shown[0]])} wait for each other: {len(nodes) - len(found)} nodes in a cycle that is no "
            "loop, or behind it"
        )
    return found


def _sources(
    node: defs.NodeDef, by_name: Mapping[str, defs.NodeDef], input_map: InputMap
) -> set[str]:
    """The nodes that must be made before `node`."""
    texts = [t for t in node.input if not input_map.has(t)] if input_map else node.input
    inputs = map(split_input, texts)
    if node.op in MERGES:
        return {s for s, i in inputs if s in by_name and (i < 0 or by_name[s].op not in ROUND)}
    return {source for source, _ in inputs} & by_name.keys()


def _cycle(sources: Mapping[str, set[str]]) -> list[str]:
    """Nodes of which each waits for the next, and the last for the first, among nodes that wait for some of each other."""
    name, way = next(iter(sources)), dict[str, None]()
    while name not in way:
        way[name] = None
        name = min(sources[name] & sources.keys())
    whole = [*way]
    return whole[whole.index(name) :]
