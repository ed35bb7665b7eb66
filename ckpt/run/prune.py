"""Which nodes a run needs, and in which order. Iterative and deterministic."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping

from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.graph.node_order import MERGES, ROUND
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.static import SHAPE_TYPES, shape_results


def needed_nodes(
    targets: Iterable[Operation], fed: Collection[Tensor], ran: Collection[Operation] = ()
) -> list[Operation]:
    """The nodes that must run so that `targets` run, in order: inputs first, ties by creation.

    Edges from fed tensors and from nodes that `ran` before are cut. Raises InvalidArgumentError naming a cycle.
    """
    return ordered(*reached(targets, fed, ran), fed)


NO_STAND_INS: Mapping[Tensor, Tensor] = {}


def reached(
    targets: Iterable[Operation],
    fed: Collection[Tensor],
    ran: Collection[Operation] = (),
    stand_ins: Mapping[Tensor, Tensor] = NO_STAND_INS,
) -> tuple[set[Operation], bool]:
    """The nodes that must run so that `targets` run, and whether all their inputs were made before them.

    A node whose output another tensor stands for needs that one only.
    """
    found: set[Operation] = set()
    pending = [node for node in targets if node not in ran]
    in_creation_order = True
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found.add(node)
        for source in sources_of(node, fed, stand_ins):
            if source.node_id >= node.node_id:
                in_creation_order = False
            if source not in found and source not in ran:
                pending.append(source)
    return found, in_creation_order


def ordered(
    found: Iterable[Operation],
    in_creation_order: bool,
    fed: Collection[Tensor],
    stand_ins: Mapping[Tensor, Tensor] = NO_STAND_INS,
) -> list[Operation]:
    """The nodes, inputs first, ties by creation. Raises InvalidArgumentError naming a cycle."""
    nodes = sorted(found, key=_creation)
    return nodes if in_creation_order else _sorted_by_edges(nodes, fed, stand_ins)


def _creation(node: Operation) -> int:
    return node.node_id


def sources_of(
    node: Operation,
    fed: Collection[Tensor],
    stand_ins: Mapping[Tensor, Tensor] = NO_STAND_INS,
) -> list[Operation]:
    """The nodes that must run before `node`: those of its inputs, unless it asks only for shapes that are known."""
    if stand_ins and node._outputs and node._outputs[0] in stand_ins:
        return [stand_ins[node._outputs[0]].op]
    if node.type in SHAPE_TYPES and shape_results(node) is not None:
        return list(node._control_inputs)
    if fed:
        sources = [tensor.op for tensor in node._inputs if tensor not in fed]
    else:
        sources = [tensor.op for tensor in node._inputs]
    sources += node._control_inputs
    return sources


def _sorted_by_edges(
    nodes: list[Operation], fed: Collection[Tensor], stand_ins: Mapping[Tensor, Tensor]
) -> list[Operation]:
    waiting: dict[Operation, int] = {}
    users: dict[Operation, list[Operation]] = {node: [] for node in nodes}
    for node in nodes:
        sources = users.keys() & sources_of(node, fed, stand_ins)
        if node.type in MERGES:
            sources = {source for source in sources if source.type not in ROUND}
        waiting[node] = len(sources)
        for source in sources:
            users[source].append(node)
    position = {node: i for i, node in enumerate(nodes)}
    ready = [i for i, node in enumerate(nodes) if not waiting[node]]
    ordered: list[Operation] = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        ordered.append(node)
        for user in users[node]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, position[user])
    if len(ordered) != len(nodes):
        stuck = sorted(node.name for node in nodes if waiting[node])
        raise InvalidArgumentError(
            None,
            None,
            f"the graph has a cycle through {', '.join(stuck[:10])}; nodes in a cycle can never run",
        )
    return ordered


def check_runnable(nodes: Iterable[Operation]) -> None:
    """Raise UnimplementedError that lists all operations among `nodes` that have no kernel."""
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        if node.opdef is None:
            unknown.setdefault(node.type, []).append(node.name)
    if unknown:
        lines = [
            f"  {kind}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"  # a handful
            for kind, names in sorted(unknown.items())
        ]
        raise UnimplementedError(
            None,
            None,
            f"{len(unknown)} operation types have no kernel in ckpt (the graph can still be inspected, edited and "
            "exported):\n"
            + "\n".join(lines)
            + "\nDefine them with @ckpt.op, or feed their outputs.",
        )
