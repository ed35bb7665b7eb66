"""If, Case, While and calls as steps: their functions become programs of their own. Knows no other operation type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt.graph.function import FuncGraph, body_of
from ckpt.graph.operation import Operation, Tensor
from ckpt.run.deadline import check
from ckpt.run.insides import DEAD
from ckpt.run.interpret import interpret
from ckpt.run.prune import reached

if TYPE_CHECKING:
    from ckpt.run.plan import Plan
    from ckpt.run.planner import Planner

BRANCHES = {
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",),
    "StatelessCase": ("branches",),
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
}
LOOPS = frozenset({"While", "StatelessWhile"})
TYPES = LOOPS | BRANCHES.keys()


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The plan of a function. `takes` says which of the step's inputs its feeds are, in order."""

    plan: Plan
    takes: tuple[int, ...]

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The results for the inputs of the step."""
        return interpret(self.plan, [values[i] for i in self.takes])


def branch(index: Callable[[Any], int], *values: Any, programs: tuple[Program, ...]) -> list[Any]:
    """The results of the program that the first value chooses."""
    return programs[index(values[0])](values)


def loop(*values: Any, cond: Program, body: Program, count: int) -> Sequence[Any]:
    """The first `count` values, replaced by what `body` makes of all as long as `cond` holds."""
    fixed = values[count:]
    while cond(values)[0]:
        check()
        values = (*body(values), *fixed)
    return values[:count]


def _which_if(condition: Any) -> int:
    shape = getattr(condition, "shape", ())
    return 0 if (condition if shape == () else len(condition)) else 1


def _which_call(first: Any) -> int:
    return 0


class _Case:
    """Chooses among the branches of a Case."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, index: Any) -> int:
        return int(index) if 0 <= int(index) < self.count else self.count - 1


def add_flow(planner: Planner, node: Operation) -> None:
    """Add the step of an If, Case, While or call to the plan."""
    if node.type in LOOPS:
        _Loop(planner, node).add()
    else:
        _add_branches(planner, node)


def _add_branches(planner: Planner, node: Operation) -> None:
    funcs: list[Any] = []
    for name in BRANCHES[node.type]:
        value = node.attrs[name]
        funcs.extend(value if isinstance(value, list) else [value])
    bodies = [body_of(node.graph, func) for func in funcs]
    is_call = node.type.endswith("Call")
    first = 0 if is_call else 1
    wanted = [i for i, t in enumerate(node.outputs) if t in planner.used and t not in planner.slot]
    inside = planner.insides.get(node, [])
    if not wanted and not inside and not any(t in planner.slot for t in node.outputs):
        wanted = list(range(len(node.outputs)))
    chosen: dict[int, int] = {}  # slots of the step's inputs -> their position
    if not is_call:
        chosen[planner.plain(node._inputs[0])] = 0
    arguments = node._inputs[first:]
    programs = []
    for side, body in enumerate(bodies):
        known = planner.known_arguments(zip(body.inputs, arguments, strict=True))
        here = [i for i in inside if i.way[0][1] == side]
        known.update((i.fetched, DEAD) for i in inside if i not in here)
        results = [body.outputs[i] for i in wanted]
        results += [i.tensor if i in here and not i.way[1:] else i.fetched for i in inside]
        plan = planner.sub_plan(body, results, known, [i.within() for i in here if i.way[1:]])
        takes = []
        for fed in plan.feeds:
            slot = planner.argument_slot(arguments[body.inputs.index(fed)], fed)
            takes.append(chosen.setdefault(slot, len(chosen)))
        programs.append(Program(plan, tuple(takes)))
    index = _which_call if is_call else _Case(len(bodies)) if "Case" in node.type else _which_if
    if is_call and not chosen:
        chosen[planner.nothing()] = 0
    attrs = {"programs": tuple(programs)}
    beside = [i.fetched for i in inside]
    planner.add_step(node, branch, (index,), tuple(chosen), attrs, wanted, many=True, beside=beside)


class _Loop:
    """One While: which of its variables vary, which are needed at all, and the programs over those."""

    def __init__(self, planner: Planner, node: Operation) -> None:
        self.planner = planner
        self.node = node
        self.cond = body_of(node.graph, node.attrs["cond"])
        self.body = body_of(node.graph, node.attrs["body"])
        self.fixed = {
            i
            for i, (a, b) in enumerate(zip(self.body.inputs, self.body.outputs, strict=True))
            if a is b
        }

    def add(self) -> None:
        planner, node = self.planner, self.node
        varying = sorted(self._needed() - self.fixed)
        for i in self.fixed:
            output = node.outputs[i]
            if output in planner.used and output not in planner.slot:
                planner.slot[output] = planner.plain(node._inputs[i])
        slots = [planner.plain(node._inputs[i]) for i in varying]
        position = {i: n for n, i in enumerate(varying)}
        invariants: dict[int, int] = {}
        programs = {}
        for name, graph, results in (
            ("cond", self.cond, self.cond.outputs),
            ("body", self.body, [self.body.outputs[i] for i in varying]),
        ):
            known = planner.known_arguments(
                (graph.inputs[i], node._inputs[i]) for i in sorted(self.fixed)
            )
            plan = planner.sub_plan(graph, results, known)
            takes = []
            for fed in plan.feeds:
                i = graph.inputs.index(fed)
                if i not in self.fixed:
                    takes.append(position[i])
                    continue
                slot = planner.argument_slot(node._inputs[i], fed)
                takes.append(invariants.setdefault(slot, len(slots) + len(invariants)))
            programs[name] = Program(plan, tuple(takes))
        attrs = {**programs, "count": len(slots)}
        planner.add_step(node, loop, (), (*slots, *invariants), attrs, varying, many=True)

    def _needed(self) -> set[int]:
        """The loop variables that the condition, a wanted result or another needed variable depends on."""
        outputs = self.node.outputs
        found = {i for i, t in enumerate(outputs) if t in self.planner.used}
        if not found:
            found = set(range(len(outputs)))
        found |= _used_arguments(self.cond, self.cond.outputs)
        uses: dict[int, set[int]] = {}
        pending = list(found)
        while pending:
            i = pending.pop()
            if i not in uses:
                uses[i] = _used_arguments(self.body, [self.body.outputs[i]])
                pending.extend(uses[i] - found)
                found |= uses[i]
        return found


def _used_arguments(graph: FuncGraph, results: Sequence[Tensor]) -> set[int]:
    position = {t: i for i, t in enumerate(graph.inputs)}
    fed: Collection[Tensor] = position.keys()
    nodes, _ = reached([t.op for t in results if t not in position], fed)
    used = {t for node in nodes for t in node._inputs} | set(results)
    return {position[t] for t in used if t in position}
