"""A run cut into stages that are known beforehand: each computes only what is new. Imports no operation.

A stage takes what earlier stages computed instead of computing it again, so that random values are drawn once and
updates happen once; only what a later stage takes is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.operation import Operation, Tensor
from ckpt.run.plan import Plan
from ckpt.run.planning import make_plan
from ckpt.run.prune import needed_nodes
from ckpt.run.state import SessionState


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage of a run is given and what it returns; `targets` are run for their effect."""

    feeds: tuple[Tensor, ...] = ()
    fetches: tuple[Tensor, ...] = ()
    targets: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """One stage as planned: the tensors its plan is fed, and those it fetches (the caller's first)."""

    plan: Plan
    takes: tuple[Tensor, ...]
    makes: tuple[Tensor, ...]


Execute = Callable[[Sequence[Any]], list[Any]]


class Stages:
    """All stages, planned. `executor` makes of a plan the function that runs it. Raises what planning raises."""

    def __init__(
        self, stages: Sequence[Stage], state: SessionState, executor: Callable[[Plan], Execute]
    ) -> None:
        self.stages = tuple(stages)
        self.parts = _parts(self.stages, state)
        self.execute = [executor(part.plan) for part in self.parts]

    def begin(self) -> StagedRun:
        """A new run, before its first stage."""
        return StagedRun(self)


class StagedRun:
    """One run under way."""

    def __init__(self, planned: Stages) -> None:
        self._planned = planned
        self._values: dict[Tensor, Any] = {}
        self._next = 0

    def advance(self, feeds: Mapping[Tensor, Any]) -> list[Any]:
        """Run the next stage and return the values of its fetches, in their order."""
        number = self._next
        stage, part = self._planned.stages[number], self._planned.parts[number]
        self._next += 1
        self._values.update((tensor, feeds[tensor]) for tensor in stage.feeds)
        values = self._planned.execute[number]([self._values[tensor] for tensor in part.takes])
        self._values.update(zip(part.makes, values, strict=True))
        found = [self._values[tensor] for tensor in stage.fetches]
        later = {t for p in self._planned.parts[self._next :] for t in p.takes}
        wanted = {t for s in self._planned.stages[self._next :] for t in s.fetches}
        self._values = {t: v for t, v in self._values.items() if t in later or t in wanted}
        return found


def _parts(stages: Sequence[Stage], state: SessionState) -> list[_Part]:
    """The plan of each stage, which also fetches what later stages take."""
    nodes: list[list[Operation]] = []
    takes: list[dict[Tensor, None]] = []
    made: dict[Tensor, int] = {}  # by which stage
    ran: set[Operation] = set()
    for number, stage in enumerate(stages):
        made.update(dict.fromkeys(stage.feeds, number))
        wanted = [tensor.op for tensor in stage.fetches if tensor not in made]
        new = [n for n in needed_nodes([*wanted, *stage.targets], made, ran) if n not in ran]
        _check_references(new, ran)
        used = [tensor for node in new for tensor in node._inputs]
        takes.append(dict.fromkeys(t for t in [*stage.feeds, *used, *stage.fetches] if t in made))
        nodes.append(new)
        for node in new:
            if not _is_handle(node):
                ran.add(node)
                made.update((t, number) for t in node._outputs if not t._dtype._is_ref_dtype)
    given = {tensor for stage in stages for tensor in stage.feeds}
    return [
        _part(stage, takes[number], _kept(number, stage, takes, made), state, before, given)
        for number, (stage, before) in enumerate(zip(stages, _earlier(nodes), strict=True))
    ]


def _earlier(nodes: Sequence[Sequence[Operation]]) -> list[set[Operation]]:
    """For each stage the nodes that have run before it."""
    found: list[set[Operation]] = [set()]
    for new in nodes[:-1]:
        found.append(found[-1] | {node for node in new if not _is_handle(node)})
    return found


def _kept(
    number: int,
    stage: Stage,
    takes: Sequence[Mapping[Tensor, None]],
    made: Mapping[Tensor, int],
) -> list[Tensor]:
    """What stage `number` makes for later ones."""
    later = dict.fromkeys(t for taken in takes[number + 1 :] for t in taken)
    return [t for t in later if made[t] == number and t not in stage.feeds]


def _part(
    stage: Stage,
    takes: Mapping[Tensor, None],
    kept: Sequence[Tensor],
    state: SessionState,
    ran: set[Operation],
    given: set[Tensor],
) -> _Part:
    makes = tuple(dict.fromkeys([*(t for t in stage.fetches if t not in takes), *kept]))
    computed = takes.keys() - given
    plan = make_plan(makes, stage.targets, tuple(takes), state, ran, computed)
    return _Part(plan, tuple(takes), makes)


def _is_handle(node: Operation) -> bool:
    """True for a node that only stands for a variable or another resource: it costs nothing to plan again."""
    return node.opdef is not None and node.opdef.is_resource and not node._inputs


def _check_references(new: Sequence[Operation], ran: set[Operation]) -> None:
    """Raise InvalidArgumentError where a stage takes the reference that an assignment of an earlier one returned."""
    wrong = [
        f"  {node.name} takes {tensor.name}"
        for node in new
        for tensor in node._inputs
        if tensor._dtype._is_ref_dtype and tensor.op in ran
    ]
    if wrong:
        raise InvalidArgumentError(
            None,
            None,
            "a run in stages cannot hand on what an assignment returns; read the variable instead:\n"
            + "\n".join(wrong),
        )
