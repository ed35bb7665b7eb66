"""A function body as a Python function: how a kernel calls what a function attribute names. Planned once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ckpt.core.errors import OutOfRangeError
from ckpt.graph.function import FuncGraph, body_of
from ckpt.run.interpret import StepFailure, interpret

if TYPE_CHECKING:
    from ckpt.run.plan import Plan

RUNS_BEFORE_GENERATING = 32
"""As in a session: a body that ran so often is compiled."""


class Callee:
    """The function `body`: called with the values of its arguments, it returns those of its results.

    What fails in it raises StepFailure, which names its node; OutOfRangeError goes out as it is, for the kernel to end
    with. `plan` makes the program when it is first called.
    """

    def __init__(self, body: FuncGraph, plan: Callable[[FuncGraph], Plan]) -> None:
        self.body = body
        self._make = plan
        self._plan: Plan | None = None
        self._function: Callable[[Sequence[Any]], list[Any]] | None = None
        self._takes: tuple[int, ...] = ()
        self._runs = 0
        self._lock = threading.Lock()  # threads of a dataset call it side by side

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.body.name

    @property
    def stateful_types(self) -> list[str]:
        """The types of nodes, here and in functions called from here, that keep a state from one call to the next."""
        return sorted(set(_stateful_types(self.body)))

    def __call__(self, *values: Any) -> list[Any]:
        """The results for the values of all arguments."""
        function = self._function or self._prepared()
        try:
            return function([values[i] for i in self._takes])
        except StepFailure as failure:
            if isinstance(failure.__cause__, OutOfRangeError):
                raise failure.__cause__ from None
            raise

    def _prepared(self) -> Callable[[Sequence[Any]], list[Any]]:
        with self._lock:
            plan = self._plan
            if plan is None:
                plan = self._make(self.body)
                self._takes = tuple(self.body.inputs.index(fed) for fed in plan.feeds)
                self._plan = plan
            self._runs += 1
        if self._runs > RUNS_BEFORE_GENERATING:
            from ckpt.run.generate import generate  # generate builds on plans

            self._function = generate(plan)
            return self._function
        return lambda feeds: interpret(plan, feeds)


def _stateful_types(body: FuncGraph) -> list[str]:
    found = []
    for node in body.get_operations():
        kinds = {} if node.opdef is None else node.opdef.attrs
        functions = [key for key, attr in kinds.items() if attr.kind in ("func", "list(func)")]
        is_made_of_functions = bool(functions) or node.type.endswith("Dataset")
        if node.opdef is not None and node.opdef.is_stateful and not is_made_of_functions:
            if node.type not in ("ReadVariableOp", "Placeholder"):
                found.append(node.type)
        for key in functions:
            value = node.attrs[key]
            for func in value if isinstance(value, list) else [value]:
                found += _stateful_types(body_of(body, func))
    return found
