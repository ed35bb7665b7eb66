"""Threads that stop together, and the first failure of any of them. Must not know sessions."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from ckpt.core.errors import OutOfRangeError

log = logging.getLogger("ckpt")

_Raised = tuple[type[BaseException], BaseException, TracebackType | None]


class Coordinator:
    """Lets any thread ask all to stop, and hands the first exception to who joins them.

    `clean_stop_exception_types` are ways to stop that are no failure: OutOfRangeError when None, the end of the input.

    Source of the protocol: https://www.tensorflow.org/api_docs/python/tf/train/Coordinator.
    """

    def __init__(
        self, clean_stop_exception_types: tuple[type[BaseException], ...] | None = None
    ) -> None:
        if clean_stop_exception_types is None:
            clean_stop_exception_types = (OutOfRangeError,)
        self._clean_stop_exception_types = tuple(clean_stop_exception_types)
        self._lock = threading.Lock()
        self._stop_event = threading.Event()
        self._failure: BaseException | None = None
        self._joined = False
        self._registered_threads: set[threading.Thread] = set()

    def request_stop(self, ex: BaseException | _Raised | None = None) -> None:
        """Ask all threads to stop. `ex`, an exception or what `sys.exc_info()` returns, is what `join` will raise.

        Only the first exception counts. Once the threads are joined nobody would raise it any more: it is raised here.
        Raises TypeError for an `ex` that is neither.
        """
        failure = _exception_of(ex)
        if isinstance(failure, self._clean_stop_exception_types):
            failure = None
        with self._lock:
            if self._joined:
                if failure is not None:
                    raise failure
                return
            if self._stop_event.is_set():
                return
            if failure is not None:
                log.info("Error reported to Coordinator: %s, %s", type(failure), failure)
                self._failure = failure
            self._stop_event.set()

    def clear_stop(self) -> None:
        """Forget that a stop was asked for, and the exception: `should_stop` is False again."""
        with self._lock:
            self._joined = False
            self._failure = None
            self._stop_event.clear()

    def should_stop(self) -> bool:
        """True once a stop was asked for."""
        return self._stop_event.is_set()

    @contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """A block whose exception asks all threads to stop instead of leaving it: the body of a thread."""
        try:
            yield
        except BaseException:  # noqa: BLE001  # join raises it, in another thread
            self.request_stop(sys.exc_info())  # type: ignore[arg-type]  # inside except it is no triple of None

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Wait until a stop is asked for, at most `timeout` seconds; True when it was."""
        return self._stop_event.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Have `join` wait for `thread` too."""
        with self._lock:
            self._registered_threads.add(thread)

    def join(
        self,
        threads: Iterable[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Wait until all threads, registered or given, have ended; raise the exception that one of them reported.

        After a stop was asked for it waits `stop_grace_period_secs` longer. Raises RuntimeError, with their names,
        when threads still run then, unless `ignore_live_threads`.
        """
        with self._lock:
            waited = self._registered_threads | set(threads or ())
        self._wait(waited, stop_grace_period_secs)
        running = sorted(thread.name for thread in waited if thread.is_alive())
        with self._lock:
            self._joined = True
            self._registered_threads = set()
            failure = self._failure
        if failure is not None:
            raise failure
        if running and ignore_live_threads:
            log.info("Coordinator stopped with threads still running: %s", " ".join(running))
        elif running:
            raise RuntimeError(
                f"Coordinator stopped with threads still running: {' '.join(running)}"
            )

    def _wait(self, threads: set[threading.Thread], grace: float) -> None:
        """Until the threads have ended, or the time of grace after a stop is over."""
        while any(thread.is_alive() for thread in threads):
            if self._stop_event.wait(timeout=0.05):
                break
        deadline = time.monotonic() + grace
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    @property
    def joined(self) -> bool:
        """True once `join` has ended."""
        return self._joined

    def raise_requested_exception(self) -> None:
        """Raise the exception with which a stop was asked for, if there is one."""
        with self._lock:
            failure = self._failure
        if failure is not None:
            raise failure


def _exception_of(ex: BaseException | _Raised | None) -> BaseException | None:
    """The exception itself, with the traceback of the triple."""
    if isinstance(ex, tuple):
        _, failure, traceback = ex
        return failure if traceback is None else failure.with_traceback(traceback)
    if ex is not None and not isinstance(ex, BaseException):
        raise TypeError(f"ex must be an exception or what sys.exc_info() returns, got {ex!r}")
    return ex
