"""A plan: the straight-line program for one set of fetches and feeds, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from ckpt.graph.operation import Operation, Tensor


@dataclass(eq=False, slots=True)  # never changed once it is in a plan; there may be many thousands
class Step:
    """One call: `kernel(*lead, *[slots[i] for i in inputs], **attrs)` fills the slots `outputs`.

    `many` says that the kernel returns one result per output; `last_uses` are the slots that no later step needs.
    """

    kernel: Callable[..., Any]
    lead: tuple[Any, ...]
    inputs: tuple[int, ...]
    attrs: dict[str, Any]
    outputs: tuple[int, ...]
    many: bool
    last_uses: tuple[int, ...]
    node: Operation


@dataclass(frozen=True, slots=True)
class Plan:
    """A program over numbered slots: the first `feeds` slots are fed, `initial` holds the constants among the rest."""

    steps: tuple[Step, ...]
    feeds: tuple[Tensor, ...]
    initial: tuple[Any, ...]
    fetches: tuple[int, ...]
    labels: tuple[Tensor | str, ...] = field(default=())

    @property
    def names(self) -> tuple[str, ...]:
        """What each slot is called: the tensor that it holds, or the label that it has."""
        return tuple(label if isinstance(label, str) else label.name for label in self.labels)

    @property
    def slots(self) -> int:
        """How many values the program has."""
        return len(self.initial)

    @property
    def source(self) -> str:
        """The program as Python source: what `generate` compiles."""
        from ckpt.run.generate import source_of  # generate builds on Plan

        return source_of(self)


def with_last_uses(steps: Sequence[Step], kept: Collection[int]) -> tuple[Step, ...]:
    """The steps, each of them told the slots that it is the last to use, but for those that are `kept`."""
    needed = set(kept)
    for step in reversed(steps):
        dead = []
        for slot in (*step.inputs, *step.outputs):
            if slot not in needed:
                needed.add(slot)
                dead.append(slot)
        step.last_uses = tuple(dead)
    return tuple(steps)
