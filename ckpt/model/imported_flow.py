"""What gradients take for the branches and loops of imported TensorFlow 1 graphs: If and While nodes raised from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ckpt.graph.node_order import MERGES
from ckpt.graph.operation import Operation, Tensor
from ckpt.run import dataflow, raising


def stand_ins_for(
    ancestors: Collection[Operation], targets: Sequence[Tensor]
) -> Mapping[Tensor, Tensor]:
    """The outputs of If and While nodes that compute what Merge and Exit nodes among the ancestors compute.

    Structures are taken as the whole graph has them, so that later gradients find the same nodes; where something else
    in the graph makes them irregular, as the ancestors have them.
    """
    missing = _unraised(ancestors, targets[0].graph.stand_ins)
    if not missing:
        return targets[0].graph.stand_ins
    graph = targets[0].graph
    found = dict(graph.stand_ins)
    everything = graph.get_operations()
    for nodes in (everything, ancestors):
        made = raising.raised(graph, nodes, targets, (), set(found))
        found = {**made, **found}
        if not _unraised(ancestors, found):
            break
    return found


def _unraised(nodes: Collection[Operation], stand_ins: Mapping[Tensor, Tensor]) -> bool:
    ends = (op.outputs[0] for op in nodes if op.type in MERGES | dataflow.EXITS)
    return any(t not in stand_ins for t in ends)


def entered(op: Operation, stand_ins: Mapping[Tensor, Tensor]) -> None:
    """Make a raised node one of its graph, now that a gradient is to be taken of it."""
    raising.settle(op, stand_ins)
