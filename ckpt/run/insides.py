"""Values inside a branch that another node stands for, fetched in the same run: found in that node's bodies.

A gradient through an imported branch puts an If into the graph, which computes what the imported nodes compute. Who
also fetches one of those nodes gets it from the If: so the branch runs once. Must not know operations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.core.defs import Func
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.function import FuncGraph, body_of
from ckpt.graph.operation import Operation, Tensor


class _Dead:
    """The value that says that there is none."""

    def __repr__(self) -> str:
        return "DEAD"


DEAD = _Dead()


@dataclass(frozen=True, slots=True)
class Inside:
    """`fetched` is `tensor` in the last body on the `way`: an If of each body around it, and which of its sides."""

    fetched: Tensor
    way: tuple[tuple[Operation, int], ...]
    tensor: Tensor

    @property
    def holder(self) -> Operation:
        """The If that computes it, where it is wanted."""
        return self.way[0][0]

    def within(self) -> Inside:
        """The same, seen from the body of the outermost If."""
        return Inside(self.fetched, self.way[1:], self.tensor)


def insides_of(
    fetches: Sequence[Tensor], stand_ins: Mapping[Tensor, Tensor]
) -> dict[Tensor, Inside]:
    """Where to find those fetches that lie inside what stands for others."""
    if not fetches or not stand_ins:
        return {}
    made = dict.fromkeys(t.op for t in stand_ins.values())
    wanted = {t.op.name: t.op for t in fetches if t not in stand_ins}
    ways: dict[Operation, tuple[tuple[tuple[Operation, int], ...], Operation]] = {}
    pending: list[tuple[tuple[tuple[Operation, int], ...], FuncGraph]] = [
        (((node, side),), body) for node in made for side, body in enumerate(_bodies(node))
    ]
    while pending:
        way, body = pending.pop()
        arguments = {t.op for t in body.inputs}
        for node in body.get_operations():
            op = wanted.get(node.name)
            if op is not None and op.type == node.type and node not in arguments:
                ways[op] = (way, node)
            pending += [((*way, (node, side)), inner) for side, inner in enumerate(_bodies(node))]
    return {
        t: Inside(t, ways[t.op][0], ways[t.op][1].outputs[t.value_index])
        for t in fetches
        if t.op in ways and t not in stand_ins
    }


def _bodies(node: Operation) -> Sequence[FuncGraph]:
    if node.type != "If":
        return ()
    funcs = (node.attrs["then_branch"], node.attrs["else_branch"])
    return [body_of(node.graph, func) for func in funcs if isinstance(func, Func)]


def by_holder(insides: Collection[Inside]) -> dict[Operation, list[Inside]]:
    """The values by the If that they are taken from."""
    found: dict[Operation, list[Inside]] = {}
    for inside in insides:
        found.setdefault(inside.holder, []).append(inside)
    return found


def alive(value: Any, *, name: str) -> Any:
    """The value, which must be one. Raises InvalidArgumentError where its branch was not taken."""
    if value is DEAD:
        raise InvalidArgumentError(
            None, None, f"Retval does not have value: {name} is in a branch not taken"
        )
    return value
