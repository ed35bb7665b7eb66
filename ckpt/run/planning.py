"""Which way a run is planned: as a straight line, through the insides of branches, or node by node as values come."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ckpt.graph.operation import Operation, Tensor
from ckpt.run import dataflow, file_access, insides
from ckpt.run.plan import Plan
from ckpt.run.planner import Planner
from ckpt.run.prune import check_runnable, ordered, reached
from ckpt.run.stand_ins import has_dataflow, stand_ins_of
from ckpt.run.state import SessionState


def make_plan(
    fetches: Sequence[Tensor],
    targets: Sequence[Operation],
    feeds: Sequence[Tensor],
    state: SessionState,
    ran: Collection[Operation] = (),
    computed: Collection[Tensor] = (),
) -> Plan:
    """The program that computes `fetches` and runs `targets` when the tensors `feeds` are given.

    Nothing waits for nodes that `ran` before; `computed` are those feeds that an earlier part of the run made, not its
    caller. Raises UnimplementedError listing every needed operation that has no kernel, PermissionDeniedError listing every
    imported one that would use files it may not.
    """
    fed = set(feeds)
    wanted = [*(tensor.op for tensor in fetches if tensor not in fed), *targets]
    found, is_ordered = reached(wanted, fed, ran)
    file_access.check(found, fed.difference(computed), state)
    if not any(node.type in dataflow.TYPES for node in found):
        nodes = ordered(found, is_ordered, fed)
        check_runnable(nodes)
        return Planner(feeds, state).plan(nodes, fetches)
    plan = _plan_with_insides(fetches, targets, feeds, state, ran, computed)
    if plan is not None:
        return plan
    stand_ins = stand_ins_of(wanted, fetches, targets, fed, ran)
    found, _ = reached(wanted, fed, ran, stand_ins)
    file_access.check(found, fed.difference(computed), state)
    if has_dataflow(found, fetches, stand_ins):
        return dataflow.plan_of(found, fetches, feeds, state, stand_ins)
    nodes = ordered(found, False, fed, stand_ins)
    check_runnable(nodes)
    return Planner(feeds, state, stand_ins).plan(nodes, fetches)


def _plan_with_insides(
    fetches: Sequence[Tensor],
    targets: Sequence[Operation],
    feeds: Sequence[Tensor],
    state: SessionState,
    ran: Collection[Operation],
    computed: Collection[Tensor],
) -> Plan | None:
    """The program, where fetches lie inside branches that other nodes of the graph stand for; None where none do."""
    fed = set(feeds)
    graph = (fetches[0].op if fetches else targets[0]).graph
    stand_ins = {t: made for t, made in graph.stand_ins.items() if t not in fed}
    found = insides.insides_of([t for t in fetches if t not in fed], stand_ins)
    if not found or insides.insides_of(feeds, stand_ins):
        return None
    left = [t for t in fetches if t not in found]
    wanted = [*(t.op for t in left if t not in fed), *(i.holder for i in found.values()), *targets]
    stand_ins = stand_ins_of(wanted, left, targets, fed, ran)
    nodes, _ = reached(wanted, fed, ran, stand_ins)
    if has_dataflow(nodes, left, stand_ins):
        return None
    file_access.check(nodes, fed.difference(computed), state)
    ordered_nodes = ordered(nodes, False, fed, stand_ins)
    check_runnable(ordered_nodes)
    planner = Planner(feeds, state, stand_ins, found.values())
    planner.must_be_alive = found.keys()
    return planner.plan(ordered_nodes, fetches)
