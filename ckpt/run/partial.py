"""A run in several parts: feeds come and fetches go, and what was computed is kept between. Imports no operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.run import dataflow, places
from ckpt.run.fetches import Fetches
from ckpt.run.interpret import StepFailure, interpret
from ckpt.run.planning import make_plan
from ckpt.run.prune import reached
from ckpt.run.state import SessionState


class PartialRun:
    """What `partial_run_setup` announced, and how far the run has come."""

    def __init__(self, graph: Graph, wanted: Fetches, feeds: Sequence[Tensor]) -> None:
        if not wanted.tensors and not wanted.targets:
            raise InvalidArgumentError(
                None, None, "Must specify at least one target to fetch or execute."
            )
        self._graph = graph
        self._fetches: dict[Tensor | Operation, bool] = dict.fromkeys(
            [*wanted.tensors, *wanted.targets], False
        )
        self._feeds = set(feeds)
        self._values: dict[Tensor, Any] = {}
        self._ran: set[Operation] = set()

    def feed(self, values: Mapping[Tensor, Any]) -> None:
        """Take the values of some announced feeds. Raises InvalidArgumentError for others, or a second value."""
        for tensor, value in values.items():
            if tensor not in self._feeds:
                raise InvalidArgumentError(
                    None, None, f"The feed {tensor.name} was not specified in partial_run_setup."
                )
            if tensor in self._values:
                raise InvalidArgumentError(
                    None, None, f"The feed {tensor.name} has already been fed."
                )
            self._values[tensor] = value

    def fetch(self, wanted: Fetches, state: SessionState) -> list[Any]:
        """Compute announced fetches from what is known. Raises InvalidArgumentError for others and for repeats."""
        asked: list[Tensor | Operation] = [*wanted.tensors, *wanted.targets]
        if all(self._fetches.values()):
            raise InvalidArgumentError(
                None,
                None,
                "Must run 'setup' before performing partial runs! All fetches were fetched.",
            )
        for element in asked:
            if element not in self._fetches:
                raise InvalidArgumentError(
                    None, None, f"The fetch {element.name} was not specified in partial_run_setup."
                )
            if self._fetches[element]:
                raise InvalidArgumentError(
                    None, None, f"The fetch {element.name} has already been fetched."
                )
        self._compute(wanted, state)
        for element in asked:
            self._fetches[element] = True
        return [self._values[tensor] for tensor in wanted.tensors]

    def _compute(self, wanted: Fetches, state: SessionState) -> None:
        """Run what is needed beyond the known values; everything computed on the way is kept for later parts."""
        known = [t for t in self._values if not t.dtype._is_ref_dtype]
        missing = [t for t in wanted.tensors if t not in self._values]
        targets = [op for op in wanted.targets if op not in self._ran]
        found, _ = reached([*(t.op for t in missing), *targets], set(known))
        nodes = sorted(found, key=lambda node: node.node_id)
        unfed = [t for t in self._feeds if t not in self._values and t.op in set(nodes)]
        if unfed:
            raise InvalidArgumentError(
                None,
                None,
                f"Fetch {', '.join(sorted(t.name for t in unfed))} can't be computed from the feeds that have been fed "
                "so far.",
            )
        kept = [
            t
            for node in nodes
            for t in node.outputs
            if node not in self._ran and not t.dtype._is_ref_dtype and t.dtype.name != "resource"
        ]
        if any(node.type in dataflow.TYPES for node in nodes):
            kept = places.outside_control_flow(kept, nodes, set(known))
        fetched = list(dict.fromkeys([*missing, *kept]))
        computed = [t for t in known if t not in self._feeds]
        plan = make_plan(fetched, targets, known, state, computed=computed)
        try:
            with np.errstate(all="ignore"):
                values = interpret(plan, [self._values[t] for t in known])
        except StepFailure as failure:
            raise failure.__cause__ or failure from None
        self._values.update(zip(fetched, values, strict=True))
        self._ran.update(nodes)
