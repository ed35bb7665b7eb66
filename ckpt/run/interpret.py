"""The plain loop over a plan's steps: it defines what a plan means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ckpt.graph.operation import Operation

if TYPE_CHECKING:
    from ckpt.run.plan import Plan


class StepFailure(Exception):  # carries the step to whoever names the node; never seen by callers
    """At which node a plan failed; the error itself is `__cause__`."""

    def __init__(self, node: Operation) -> None:
        super().__init__(node.name)
        self.node = node


def interpret(plan: Plan, feeds: Sequence[Any]) -> list[Any]:
    """Run the steps in order and return the fetched values. Raises StepFailure from the kernel's error."""
    values = list(plan.initial)
    values[: len(feeds)] = feeds
    try:
        for step in plan.steps:
            results = step.kernel(*step.lead, *[values[i] for i in step.inputs], **step.attrs)
            if step.many:
                for slot, result in zip(step.outputs, results or (), strict=True):
                    values[slot] = result
                results = result = None  # they hold what the slots may let go of
            else:
                values[step.outputs[0]] = results
            for slot in step.last_uses:
                values[slot] = None
    except StepFailure:  # in the body of a loop or branch, which names its own node
        raise
    except Exception as error:
        raise StepFailure(step.node) from error
    return [values[i] for i in plan.fetches]
