"""Hooks that tell how it goes: values in the log, the speed, summaries, and where the time goes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ckpt.core import storage
from ckpt.graph import stack
from ckpt.run.hooks import (
    SecondOrStepTimer,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from ckpt.run.trace import Timeline
from ckpt.training.file_writer import FileWriterCache
from ckpt.training.hooks import required_global_step

log = logging.getLogger("ckpt")


class LoggingTensorHook(SessionRunHook):
    """Logs the values of tensors every `every_n_iter` runs, every `every_n_secs` seconds, or only `at_end`.

    `tensors` is a list of tensors or names, or a mapping from what to call them; `formatter` makes the text of a mapping to values
    from what they are called, or from the members of the list. Raises ValueError unless exactly one of the intervals is given (or none, with `at_end`).
    """

    def __init__(
        self,
        tensors: Mapping[str, Any] | Sequence[Any],
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                "either at_end and/or exactly one of every_n_iter and every_n_secs must be provided."
            )
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}.")
        if isinstance(tensors, Mapping):
            self._tag_order = list(tensors)
            self._tensors = dict(tensors)
        else:
            self._tag_order = list(tensors)
            self._tensors = {one: one for one in tensors}
        self._formatter = formatter
        self._timer = (
            None
            if only_at_end
            else SecondOrStepTimer(every_secs=every_n_secs, every_steps=every_n_iter)
        )
        self._at_end = at_end
        self._iterations = 0
        self._should_log = False
        self._current: dict[str, Any] = {}

    def begin(self) -> None:
        """Look the names up."""
        if self._timer is not None:
            self._timer.reset()
        self._iterations = 0
        graph = stack.get_default_graph()
        self._current = {tag: graph.as_graph_element(one) for tag, one in self._tensors.items()}

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Ask for the values when they are due."""
        self._should_log = self._timer is not None and self._timer.should_trigger_for_step(
            self._iterations
        )
        return SessionRunArgs(self._current) if self._should_log else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Log them."""
        if self._should_log:
            self._log(run_values.results)
        self._iterations += 1

    def end(self, session: Any) -> None:
        """Log the last values, where asked for."""
        if self._at_end:
            self._log(session.run(self._current))

    def _log(self, values: dict[str, Any]) -> None:
        passed = None
        if self._timer is not None:
            passed, _ = self._timer.update_last_triggered_step(self._iterations)
        if self._formatter is not None:
            log.info("%s", self._formatter(values))
            return
        with np.printoptions(suppress=True):
            shown = ", ".join(
                f"{getattr(tag, 'name', tag)} = {values[tag]}" for tag in self._tag_order
            )
        log.info("%s%s", shown, "" if passed is None else f" ({passed:.3f} sec)")


class StepCounterHook(SessionRunHook):
    """Logs and sums up how many steps there are per second, every so many steps or seconds.

    The summary (tag: the global step's name and `/sec`) goes to `summary_writer` or one for `output_dir`. Raises ValueError unless exactly
    one interval is given; RuntimeError from `begin` without a global step.
    """

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: Any = None,
        summary_writer: Any = None,
    ) -> None:
        if (every_n_steps is None) == (every_n_secs is None):
            raise ValueError("exactly one of every_n_steps and every_n_secs should be provided.")
        self._timer = SecondOrStepTimer(every_steps=every_n_steps, every_secs=every_n_secs)
        self._summary_writer = summary_writer
        self._output_dir = output_dir
        self._steps_per_run = 1
        self._summary_tag = ""
        self._last_step: int | None = None
        self._global_step: Any = None

    def _set_steps_per_run(self, steps_per_run: int) -> None:
        self._steps_per_run = steps_per_run

    def begin(self) -> None:
        """Find the global step and the writer."""
        self._global_step = required_global_step("StepCounterHook")
        if self._summary_writer is None and self._output_dir:
            self._summary_writer = FileWriterCache.get(self._output_dir)
        self._summary_tag = self._global_step.op.name + "/sec"

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Ask for the global step."""
        return SessionRunArgs(self._global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Report when it is due; warn when the global step stands still."""
        before = int(run_values.results)
        if self._timer.should_trigger_for_step(before + self._steps_per_run):
            step = int(run_context.session.run(self._global_step))
            if self._timer.should_trigger_for_step(step):
                seconds, steps = self._timer.update_last_triggered_step(step)
                if seconds is not None and steps is not None:
                    self._report(steps / seconds if seconds else float("inf"), step)
        if self._last_step is not None and before == self._last_step:
            log.warning(
                "It seems that global step (tf.train.get_global_step) has not been increased. Current value (could be "
                "stable): %s vs previous value: %s.",
                before,
                self._last_step,
            )
        self._last_step = before

    def end(self, session: Any = None) -> None:
        """Have all of it in the file."""
        if self._summary_writer is not None:
            self._summary_writer.flush()

    def _report(self, steps_per_second: float, step: int) -> None:
        if self._summary_writer is not None:
            from ckpt.wire import messages

            value = messages.Summary.Value(tag=self._summary_tag, simple_value=steps_per_second)
            self._summary_writer.add_summary(messages.Summary(value=[value]), step)
        log.info("%s: %g", self._summary_tag, steps_per_second)


class SummarySaverHook(SessionRunHook):
    """Writes `summary_op`, or the one of `scaffold`, every `save_steps` steps or `save_secs` seconds.

    It goes to `summary_writer` or one for `output_dir`. A `summary_op` may also be a list. Raises ValueError unless exactly one of scaffold
    and summary_op, and one interval, is given; RuntimeError from `begin` without a global step.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: Any = None,
        summary_writer: Any = None,
        scaffold: Any = None,
        summary_op: Any = None,
    ) -> None:
        if (scaffold is None) == (summary_op is None):
            raise ValueError("Exactly one of scaffold or summary_op must be provided.")
        self._summary_op = summary_op
        self._summary_writer = summary_writer
        self._output_dir = output_dir
        self._scaffold = scaffold
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)
        self._next_step: int | None = None
        self._is_wanted = False
        self._global_step: Any = None

    def begin(self) -> None:
        """Find the global step and the writer."""
        self._next_step = None
        self._global_step = required_global_step("SummarySaverHook")
        if self._summary_writer is None and self._output_dir:
            self._summary_writer = FileWriterCache.get(self._output_dir)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Ask for the global step, and for the summaries when they are due."""
        self._is_wanted = self._next_step is None or self._timer.should_trigger_for_step(
            self._next_step
        )
        wanted: dict[str, Any] = {"global_step": self._global_step}
        summary = self._wanted_op() if self._is_wanted else None
        if summary is not None:
            wanted["summary"] = summary
        return SessionRunArgs(wanted)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Write them."""
        if self._summary_writer is None:
            return
        results = run_values.results
        step = _step_after(int(results["global_step"]), self._next_step)
        if self._next_step is None or self._is_wanted:
            step = int(run_context.session.run(self._global_step))
        if self._next_step is None:
            self._summary_writer.add_session_log(_session_start(), step)
        if self._is_wanted and self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            for summary in results.get("summary", ()):
                self._summary_writer.add_summary(summary, step)
        self._next_step = step + 1

    def end(self, session: Any = None) -> None:
        """Have all of it in the file."""
        if self._summary_writer is not None:
            self._summary_writer.flush()

    def _wanted_op(self) -> list[Any] | None:
        """The summaries to fetch, as a list; None when there are none."""
        found = self._scaffold.summary_op if self._summary_op is None else self._summary_op
        if found is None:
            return None
        return list(found) if isinstance(found, (list, tuple)) else [found]


def _step_after(found: int, expected: int | None) -> int:
    """The step after a run that fetched `found`, where `expected` would come next: the run may have found it before its own
    update, or after it.
    """
    return found if expected is not None and found >= expected else found + 1


def _session_start() -> Any:
    from ckpt.wire import messages

    return messages.SessionLog(status=messages.SessionLog.START)


class ProfilerHook(SessionRunHook):
    """Writes a Chrome trace (`timeline-<step>.json`) of one run every `save_steps` steps or `save_secs` seconds.

    The traces go to `output_dir`; the trace of the run is also a summary where the graph's summaries go there. Raises ValueError
    unless exactly one interval is given; RuntimeError from `begin` without a global step.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: Any = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
    ) -> None:
        self._directory = os.fspath(output_dir)
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)
        self._show_dataflow = show_dataflow
        self._show_memory = show_memory
        self._is_wanted = False
        self._next_step: int | None = None
        self._global_step: Any = None

    def begin(self) -> None:
        """Find the global step."""
        self._next_step = None
        self._global_step = required_global_step("ProfilerHook")

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Ask for the global step, and for a trace when it is due: not of the first run, which also plans."""
        self._is_wanted = self._next_step is not None and self._timer.should_trigger_for_step(
            self._next_step
        )
        options = None
        if self._is_wanted:
            from ckpt.wire import messages

            options = messages.RunOptions(trace_level=messages.RunOptions.FULL_TRACE)
        return SessionRunArgs({"global_step": self._global_step}, options=options)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Write the trace."""
        step = _step_after(int(run_values.results["global_step"]), self._next_step)
        if self._next_step is None or self._is_wanted:
            step = int(run_context.session.run(self._global_step))
        if self._next_step is None:  # the steps to the first trace count from before this run
            self._timer.update_last_triggered_step(step - 1)
        elif self._is_wanted and self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            self._write(step, run_values.run_metadata.step_stats)
        self._next_step = step + 1

    def _write(self, step: int, step_stats: Any) -> None:
        path = storage.joined(self._directory, f"timeline-{step}.json")
        trace = Timeline(step_stats).generate_chrome_trace_format(
            show_dataflow=self._show_dataflow, show_memory=self._show_memory
        )
        storage.write_file(path, trace.encode())
        log.info("Saving timeline for %d into %s.", step, path)
