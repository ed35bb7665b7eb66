"""The order in which the nodes of a GraphDef become operations: inputs first. Must not know live graphs."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ckpt.core.defs import NodeDef, split_input
from ckpt.core.errors import GraphError

MERGES = frozenset({"Merge", "RefMerge"})
ROUND = frozenset({"NextIteration", "RefNextIteration"})
"""What a Merge takes from these comes round a loop: it is no cycle of nodes that wait for each other."""

_SHOWN = 10  # cycles that an error tells, and nodes of each


def in_order(nodes: Sequence[NodeDef], is_mapped: Callable[[str], bool]) -> list[NodeDef]:
    """The nodes with inputs first, otherwise as they stand; what a NextIteration gives back to the Merge that begins a loop
    comes after that.

    Inputs that are mapped to other tensors, or are no nodes here, are passed over. Raises GraphError for nodes on any other
    cycle. Source of the rule: TensorFlow's `import_graph_def`; of the method: A. B. Kahn, "Topological sorting of large
    networks", 1962.
    """
    numbers = {node.name: number for number, node in enumerate(nodes)}
    needed: list[tuple[int, ...]] = []
    users: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        inputs = [text for text in node.input if not is_mapped(text)]
        sources = {numbers[source] for source in _sources(inputs) if source in numbers}
        if node.op in MERGES and (back := _given_back(node, inputs, numbers, nodes)):
            sources -= back
        needed.append(tuple(sources))
        for source in sources:
            users.setdefault(source, []).append(number)
    waiting = list(map(len, needed))
    ready = [number for number, count in enumerate(waiting) if not count]  # a heap, since sorted
    found: list[NodeDef] = []
    while ready:
        number = heapq.heappop(ready)
        found.append(nodes[number])
        for user in users.get(number, ()):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(found) < len(nodes):
        raise GraphError(_told(nodes, list(_cycles(needed, waiting))))
    return found


def _sources(inputs: Iterable[str]) -> Iterable[str]:
    return (split_input(text)[0] for text in inputs)


def _given_back(
    node: NodeDef, inputs: Sequence[str], numbers: Mapping[str, int], nodes: Sequence[NodeDef]
) -> set[int]:
    """The NextIterations that a Merge takes besides what comes from outside of its loop, and does not wait for."""
    back = {
        text: number
        for text in inputs
        if (number := numbers.get(split_input(text)[0])) is not None and nodes[number].op in ROUND
    }
    controls = {number for text, number in back.items() if text[:1] == "^"}
    begins = any(text not in back and text[:1] != "^" for text in node.input)
    return set(back.values()) - controls if begins else set()


def _told(nodes: Sequence[NodeDef], cycles: Sequence[list[int]]) -> str:
    """What is wrong with nodes that need themselves."""
    lines = []
    for cycle in cycles[:_SHOWN]:
        names = [f"'{nodes[number].name}'" for number in cycle[:_SHOWN]]
        cut = [f"… ({len(cycle) - _SHOWN} more)"] if len(cycle) > _SHOWN else []
        round_trip = " needs ".join([*names, *cut, names[0]])
        lines.append(f"node {names[0]} is part of a cycle that is no loop: {round_trip}\n")
    return (
        "".join(lines)
        + ("…\n" if len(cycles) > _SHOWN else "")
        + "Only what a NextIteration gives back to a Merge may come after its user; cut the cycle where the graph was made"
    )


def _cycles(needed: list[tuple[int, ...]], waiting: list[int]) -> Iterator[list[int]]:
    """Cycles of which no two have a node in common; when they are cut there may be more."""
    walks: dict[int, int] = {}  # where the walk began that came by
    for start, count in enumerate(waiting):
        number, path = start, list[int]()
        while count and number not in walks:
            walks[number] = start
            path.append(number)
            number = min(source for source in needed[number] if waiting[source])
        if path and walks[number] == start:
            yield path[path.index(number) :]
