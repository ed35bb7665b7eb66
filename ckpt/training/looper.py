"""A thread that does something again and again until its coordinator says stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckpt.training.coordinator import Coordinator


class LooperThread(threading.Thread):
    """Calls `target`, or `run_loop` of a subclass, every `timer_interval_secs` seconds (None: without a pause).

    An exception in it stops the coordinator, whose `join` raises it. Raises ValueError when `coord` is none.
    """

    def __init__(
        self,
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        super().__init__(daemon=True)
        self._coord = coord
        self._timer_interval_secs = timer_interval_secs
        self._call: Callable[[], Any] | None = None
        if target is not None:
            positional, named = tuple(args or ()), dict(kwargs or {})
            self._call = lambda: target(*positional, **named)
        elif args or kwargs:
            raise ValueError("'args' and 'kwargs' argument require that you also pass 'target'")
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> LooperThread:
        """A LooperThread that has been started."""
        looper = LooperThread(coord, timer_interval_secs, target, args, kwargs)
        looper.start()
        return looper

    def run(self) -> None:
        """The thread's own loop; the calls are due at fixed times, however long each takes."""
        with self._coord.stop_on_exception():
            self.start_loop()
            if self._timer_interval_secs is None:
                while not self._coord.should_stop():
                    self.run_loop()
            else:
                due = time.time()
                while not self._coord.wait_for_stop(max(0.0, due - time.time())):
                    due += self._timer_interval_secs
                    self.run_loop()
            self.stop_loop()

    def start_loop(self) -> None:
        """Before the first call: subclasses override it."""

    def stop_loop(self) -> None:
        """After the last call: subclasses override it."""

    def run_loop(self) -> None:
        """One call of `target`."""
        if self._call is not None:
            self._call()
