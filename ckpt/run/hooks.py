"""What a training loop tells those who listen to it: hooks, and when they are due. Must not know who runs the loop.

The order of calls for each hook: `begin` (the graph may still be changed), `after_create_session`, then around every
run `before_run` and `after_run`, at last `end` (not after an error). Source of the protocol:
https://www.tensorflow.org/api_docs/python/tf/estimator/SessionRunHook.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple


class SessionRunArgs(NamedTuple):
    """What a hook wants from a run: further fetches, feeds and options."""

    fetches: Any
    feed_dict: Any = None
    options: Any = None


class SessionRunValues(NamedTuple):
    """What a run gave a hook: the values of the fetches it asked for, and how the run went."""

    results: Any
    options: Any
    run_metadata: Any


class SessionRunContext:
    """What a hook may see of a run: what the caller asked for, the session; and it may ask for the loop to stop."""

    def __init__(self, original_args: SessionRunArgs, session: Any) -> None:
        self._original_args = original_args
        self._session = session
        self._stop_requested = False

    @property
    def original_args(self) -> SessionRunArgs:
        """The arguments of the caller's run."""
        return self._original_args

    @property
    def session(self) -> Any:
        """The session that runs."""
        return self._session

    @property
    def stop_requested(self) -> bool:
        """True once a hook has asked for the loop to stop."""
        return self._stop_requested

    def request_stop(self) -> None:
        """Ask for the loop to stop after this run."""
        self._stop_requested = True


class SessionRunHook:
    """Does nothing at each of the moments; subclasses override those that they care for."""

    def begin(self) -> None:
        """Before the session is made: the last moment to add to the graph."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        """A session has been made, also again after one was lost; `coord` is its coordinator."""

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Before each run: what to fetch with it, or None."""

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """After each run that succeeded, with the values asked for."""

    def end(self, session: Any) -> None:
        """At the end, unless a run failed: the session can still be used."""


class SecondOrStepTimer:
    """Says when something is due that happens every so many seconds, or every so many steps.

    Raises ValueError unless exactly one of both is given.
    """

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        if every_secs is not None and every_steps is not None:
            raise ValueError("Can not provide both every_secs and every_steps.")
        if every_secs is None and every_steps is None:
            raise ValueError("Either every_secs or every_steps should be provided.")
        self._every_secs = every_secs
        self._every_steps = every_steps
        self.reset()

    def reset(self) -> None:
        """Forget when it happened last: it is due at once."""
        self._last_step: int | None = None
        self._last_time: float | None = None

    def should_trigger_for_step(self, step: int) -> bool:
        """True when it is due at this step: never twice for one step."""
        if self._last_step is None or self._last_time is None:
            return True
        if step == self._last_step:
            return False
        if self._every_secs is not None:
            return time.time() >= self._last_time + self._every_secs
        return step >= self._last_step + (self._every_steps or 0)

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """It has happened at this step; (seconds, steps) since the time before, None the first time."""
        now = time.time()
        passed = (
            (None, None)
            if self._last_step is None or self._last_time is None
            else (now - self._last_time, step - self._last_step)
        )
        self._last_time, self._last_step = now, step
        return passed

    def last_triggered_step(self) -> int | None:
        """The step at which it happened last; None before the first time."""
        return self._last_step
