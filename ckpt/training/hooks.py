"""Hooks that stop a loop, wait with it, feed it and look at its values."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ckpt.model.steps import get_global_step
from ckpt.run.hooks import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues

log = logging.getLogger("ckpt")


class NanLossDuringTrainingError(RuntimeError):
    """The loss is not a number any more."""

    def __str__(self) -> str:
        return "NaN loss during training."


class NanTensorHook(SessionRunHook):
    """Looks at the loss: NaN raises NanLossDuringTrainingError, or asks for a stop when `fail_on_nan_loss` is False."""

    def __init__(self, loss_tensor: Any, fail_on_nan_loss: bool = True) -> None:
        self._loss_tensor = loss_tensor
        self._fail_on_nan_loss = fail_on_nan_loss

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Ask for the loss."""
        return SessionRunArgs(self._loss_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Look at it."""
        if not np.isnan(run_values.results):
            return
        if self._fail_on_nan_loss:
            log.error("Model diverged with loss = NaN.")
            raise NanLossDuringTrainingError
        log.warning("Model diverged with loss = NaN.")
        run_context.request_stop()


class StopAtStepHook(SessionRunHook):
    """Asks for a stop after `num_steps` steps of this session, or at the global step `last_step`.

    Raises ValueError unless exactly one is given; RuntimeError from `begin` without a global step.
    """

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if num_steps is None and last_step is None:
            raise ValueError("One of num_steps or last_step must be specified.")
        if num_steps is not None and last_step is not None:
            raise ValueError("Only one of num_steps or last_step can be specified.")
        self._num_steps = num_steps
        self._last_step = last_step
        self._global_step: Any = None

    def begin(self) -> None:
        """Find the global step."""
        self._global_step = required_global_step("StopAtStepHook")

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Count from here, the first time."""
        if self._last_step is None and self._num_steps is not None:
            self._last_step = int(session.run(self._global_step)) + self._num_steps

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Ask for the global step."""
        return SessionRunArgs(self._global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Ask for a stop at the last step. The step that the run fetched may be the one before its own update."""
        last = self._last_step
        if last is None or run_values.results + 1 < last:
            return
        if int(run_context.session.run(self._global_step)) >= last:
            run_context.request_stop()


class GlobalStepWaiterHook(SessionRunHook):
    """Holds the first run until the global step has reached `wait_until_step`: workers that start one after the other."""

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step = wait_until_step
        self._global_step: Any = None
        self._is_over = False

    def begin(self) -> None:
        """Find the global step."""
        self._global_step = required_global_step("GlobalStepWaiterHook")

    def before_run(self, run_context: SessionRunContext) -> None:
        """Wait, half a second at a time."""
        if self._is_over or self._wait_until_step <= 0:
            return
        logged: int | None = None
        while (step := int(run_context.session.run(self._global_step))) < self._wait_until_step:
            if logged is None or step - logged > 1000:
                log.info("waiting for global step %d; it is %d", self._wait_until_step, step)
                logged = step
            time.sleep(0.5)
        self._is_over = True


class FinalOpsHook(SessionRunHook):
    """Runs `final_ops` at the end of the session; `final_ops_values` are their values then, None before.

    An end without an error is meant: not after a run that failed.
    """

    def __init__(
        self, final_ops: Any, final_ops_feed_dict: Mapping[Any, Any] | None = None
    ) -> None:
        self._final_ops = final_ops
        self._final_ops_feed_dict = final_ops_feed_dict
        self._final_ops_values: Any = None

    @property
    def final_ops_values(self) -> Any:
        """The values, in the nest of `final_ops`."""
        return self._final_ops_values

    def end(self, session: Any) -> None:
        """Run them."""
        if self._final_ops is not None:
            self._final_ops_values = session.run(
                self._final_ops, feed_dict=self._final_ops_feed_dict
            )


class FeedFnHook(SessionRunHook):
    """Feeds what `feed_fn()` returns to every run."""

    def __init__(self, feed_fn: Callable[[], Mapping[Any, Any]]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Call the function."""
        return SessionRunArgs(fetches=None, feed_dict=self.feed_fn())


def required_global_step(who: str) -> Any:
    """The global step. Raises RuntimeError, in the name of `who`, when there is none."""
    found = get_global_step()
    if found is None:
        raise RuntimeError(f"Global step should be created to use {who}.")
    return found
