"""What is left of TensorFlow 1's control flow in a run: which nodes of it another one stands for. Makes no plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ckpt.graph.operation import Operation, Tensor
from ckpt.run import dataflow, insides, raising
from ckpt.run.prune import reached


def stand_ins_of(
    wanted: Sequence[Operation],
    fetches: Sequence[Tensor],
    targets: Sequence[Operation],
    fed: Collection[Tensor],
    ran: Collection[Operation] = (),
) -> dict[Tensor, Tensor]:
    """What computes the results of imported branches and loops in a run: raised before, or raised for it."""
    graph = wanted[0].graph
    before = {t: made for t, made in graph.stand_ins.items() if t not in fed}
    holders = {inside.holder for inside in insides.insides_of(list(fed), before).values()}
    before = {t: made for t, made in before.items() if made.op not in holders}  # they take no feeds
    found, _ = reached(wanted, fed, ran, before)
    if not has_dataflow(found, fetches, before):
        return before
    return {**raising.raised(graph, found, fetches, targets, {*fed, *before}), **before}


def has_dataflow(
    nodes: Collection[Operation], fetches: Sequence[Tensor], stand_ins: Mapping[Tensor, Tensor]
) -> bool:
    """True where TensorFlow 1's control flow is left that nothing stands for.

    A Switch that others only wait for is a node like any other.
    """
    left = [n for n in nodes if n.type in dataflow.TYPES and n._outputs[0] not in stand_ins]
    if all(node.type == "Switch" for node in left):
        standing = {tensor.op for tensor in stand_ins}
        used = {t.op for node in nodes if node not in standing for t in node._inputs}
        used.update(tensor.op for tensor in fetches)
        return any(node in used for node in left)
    return True
