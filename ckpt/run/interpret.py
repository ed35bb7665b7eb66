"""The plain loop over a plan's steps: it defines what a plan means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.run.plan import Plan


class StepFailure(Exception):  # carries the step to whoever names the node; never seen by callers
    """Which step of a plan failed; the error itself is `__cause__`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def interpret(plan: Plan, feeds: Sequence[Any]) -> list[Any]:
    """Run the steps in order and return the fetched values. Raises StepFailure from the kernel's error."""
    values = list(plan.initial)
    values[: len(feeds)] = feeds
    number = -1
    try:
        for number, step in enumerate(plan.steps):  # noqa: B007  # named after the loop when a kernel fails
            results = step.kernel(*step.lead, *[values[i] for i in step.inputs], **step.attrs)
            if step.many:
                for slot, result in zip(step.outputs, results or (), strict=True):
                    values[slot] = result
            else:
                values[step.outputs[0]] = results
            for slot in step.last_uses:
                values[slot] = None
    except Exception as error:
        raise StepFailure(number) from error
    return [values[i] for i in plan.fetches]
