"""Where the time of a run went: each step timed, as step statistics and as a Chrome trace. Imports no operation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ckpt.run.interpret import StepFailure
from ckpt.run.plan import Plan, Step

FULL_TRACE = 3
"""RunOptions.FULL_TRACE: the level from which steps are timed."""
DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"


class Timing(NamedTuple):
    """One step: the node, its type, its inputs' nodes, when it began (microseconds of the epoch) and how long it took."""

    name: str
    type: str
    inputs: tuple[str, ...]
    start: int
    duration: float
    size: int


def traced(plan: Plan, feeds: Sequence[Any], timings: list[Timing]) -> list[Any]:
    """Run the plan as `interpret` does, noting each step in `timings`."""
    values = list(plan.initial)
    values[: len(feeds)] = feeds
    step: Step | None = None
    try:
        for step in plan.steps:
            began, start = time.perf_counter(), time.time_ns() // 1000
            results = step.kernel(*step.lead, *[values[i] for i in step.inputs], **step.attrs)
            took = (time.perf_counter() - began) * 1e6
            found = list(results or ()) if step.many else [results]
            for slot, result in zip(step.outputs, found, strict=True):
                values[slot] = result
            for slot in step.last_uses:
                values[slot] = None
            size = sum(int(getattr(result, "nbytes", 0)) for result in found)
            sources = tuple(tensor.op.name for tensor in step.node._inputs)
            timings.append(Timing(step.node.name, step.node.type, sources, start, took, size))
    except StepFailure:  # in the body of a loop or branch, which names its own node
        raise
    except Exception as error:
        assert step is not None  # only kernels fail here
        raise StepFailure(step.node) from error
    return [values[i] for i in plan.fetches]


def fill_metadata(message: Any, timings: Sequence[Timing]) -> None:
    """Write the timings into a RunMetadata message."""
    device = message.step_stats.dev_stats.add(device=DEVICE)
    thread = threading.get_ident() % (1 << 31)
    for timing in timings:
        took = max(1, round(timing.duration))
        node = device.node_stats.add(node_name=timing.name, all_start_micros=timing.start)
        node.op_end_rel_micros = took
        node.all_end_rel_micros = took
        node.thread_id = thread
        node.timeline_label = f"{timing.name} = {timing.type}({', '.join(timing.inputs)})"


class Timeline:
    """Step statistics (`run_metadata.step_stats`) as a trace that chrome://tracing and Perfetto show."""

    def __init__(self, step_stats: Any, graph: Any = None) -> None:
        self._step_stats = step_stats

    def generate_chrome_trace_format(
        self, show_dataflow: bool = True, show_memory: bool = False, op_time: str = "schedule"
    ) -> str:
        """The trace as JSON text, one row of events per device."""
        events: list[dict[str, Any]] = []
        for number, device in enumerate(self._step_stats.dev_stats, 1):
            title = {"name": f"{device.device} Compute"}
            events.append({"name": "process_name", "ph": "M", "pid": number, "args": title})
            for node in device.node_stats:
                label = node.timeline_label
                kind = label.partition(" = ")[2].partition("(")[0] or node.node_name
                events.append(
                    {
                        "ph": "X",
                        "cat": "Op",
                        "name": kind,
                        "pid": number,
                        "tid": 0,
                        "ts": node.all_start_micros,
                        "dur": node.all_end_rel_micros,
                        "args": {"name": node.node_name, "op": kind},
                    }
                )
        return json.dumps({"traceEvents": events}, indent=2)
