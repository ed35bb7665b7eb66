"""When the run of this thread must end. Loops ask in every iteration, and so do kernels that wait, so that none of them
goes on for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ckpt.core.errors import CancelledError, DeadlineExceededError


class _Run(threading.local):
    def __init__(self) -> None:
        self.until: float | None = None
        self.cancelled: threading.Event | None = None


_run = _Run()


@contextmanager
def deadline(milliseconds: int | None, cancelled: threading.Event | None = None) -> Iterator[None]:
    """Let `check` raise in this thread once the time (None: no limit) is over or `cancelled` is set."""
    before = _run.until, _run.cancelled
    _run.until = None if not milliseconds else time.monotonic() + milliseconds / 1000
    _run.cancelled = cancelled
    try:
        yield
    finally:
        _run.until, _run.cancelled = before


def check() -> None:
    """Raise DeadlineExceededError or CancelledError when the run of this thread must end."""
    if _run.cancelled is not None and _run.cancelled.is_set():
        raise CancelledError(None, None, "the session was closed while it ran")
    if _run.until is not None and time.monotonic() > _run.until:
        raise DeadlineExceededError(None, None, "Timed out waiting for the run to end")


def wait(condition: threading.Condition) -> None:
    """Wait, with the lock of `condition` held, until it is notified. Raises when the run of this thread must end.

    Who sets `cancelled` must notify afterwards.
    """
    check()
    condition.wait(None if _run.until is None else max(0.0, _run.until - time.monotonic()))
    check()
