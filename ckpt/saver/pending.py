"""Saves that go on in the background: a handle for the caller, and no failure that nobody hears of.

Must not know what a checkpoint is. A save that failed is raised by `PendingSave.result`, else by whoever asks
`outcome` next (the next save, the session's close), else reported through `sys.excepthook` when the interpreter ends,
which waits for saves under way.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # its own exit hook must be older than ours: writers use its threads
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from ckpt.core.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    OpError,
    ResourceExhaustedError,
)

_unsettled: set[PendingSave] = set()  # under way, or failed and nobody has been told


class PendingSave:
    """A save under way. `path` is the prefix of the checkpoint; it is there once `result` has returned.

    It is under way from `start` on.
    """

    def __init__(self, path: str, work: list[Callable[[], None]]) -> None:
        self.path = path
        self._process = os.getpid()
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._has_begun = self._is_given_up = False
        self._thread = threading.Thread(target=self._do, args=(work,), name=f"saving {path}")

    def start(self) -> None:
        """Begin. Raises ResourceExhaustedError where the system has no thread left; then, and also after Ctrl-C, nothing is
        under way that nobody would finish.
        """
        _unsettled.add(self)
        try:
            self._thread.start()
        except BaseException as error:
            with self._lock:
                self._is_given_up = not self._has_begun
            if self._is_given_up:
                _unsettled.discard(self)
                self._finished.set()
            if not isinstance(error, (RuntimeError, MemoryError)):
                raise
            raise ResourceExhaustedError(
                None,
                None,
                f"{self.path}: cannot be saved in the background: {error}; save it with asynchronous=False, or end other "
                "threads",
            ) from error

    def __repr__(self) -> str:
        state = "ended" if self._finished.is_set() else "under way"
        return f"<PendingSave {self.path}: {state}>"

    def done(self) -> bool:
        """True when the save has ended, well or not. Raises FailedPreconditionError as `result` does."""
        if not self._finished.is_set():
            self._check_process()
        return self._finished.is_set()

    def result(self, timeout: float | None = None) -> str:
        """Wait for the end, at most `timeout` seconds, and return the prefix.

        Raises what made the save fail, DeadlineExceededError when it has not ended in time, FailedPreconditionError in
        a process that was forked meanwhile: the save goes on in the process that began it, and only that one hears of
        its end.
        """
        self._wait(timeout)
        _unsettled.discard(self)
        if self._failure is not None:
            raise self._failure
        return self.path

    def outcome(self) -> OpError | BaseException | None:
        """Wait for the end and return the failure that nobody has been told of yet, naming the save; else None."""
        self._wait(None)
        if self not in _unsettled:
            return None
        _unsettled.discard(self)
        failure = self._failure
        if isinstance(failure, OpError):
            told = type(failure)(
                None, None, f"the save of {self.path} in the background failed: {failure}"
            )
            told.__cause__ = failure
            return told
        return failure

    @property
    def is_here(self) -> bool:
        """False in a process that was forked from the one that saves."""
        return self._process == os.getpid()

    def _wait(self, timeout: float | None) -> None:
        if self.done():
            return
        if not self._finished.wait(timeout):
            raise DeadlineExceededError(
                None, None, f"{self.path}: is still being saved after {timeout} seconds"
            )

    def _check_process(self) -> None:
        if not self.is_here:
            raise FailedPreconditionError(
                None,
                None,
                f"{self.path}: is being saved by process {self._process}, of which this one is a fork; ask there",
            )

    def _do(self, work: list[Callable[[], None]]) -> None:
        with self._lock:
            if self._is_given_up:
                return
            self._has_begun = True
        try:
            while work:
                work.pop(0)()  # what a step held, the values above all, is let go once it is done
            _unsettled.discard(self)
        except BaseException as error:  # noqa: BLE001  # kept for whoever asks, and reported at the end at the latest
            self._failure = error
        finally:
            self._finished.set()


class Turns:
    """The saves of one Saver: one at a time, in the order they were asked for, each after the one under way."""

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._under_way: PendingSave | None = None
        self._sessions: WeakSet[Any] = WeakSet()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A block in which this thread alone saves. Raises the failure of the save before, if nobody was told of it."""
        if self._process != os.getpid():
            self._begin_anew()  # a fork: the lock may be held by a thread that is not here
        with self._lock:
            self.wait()
            yield

    def begin(self, session: Any, path: str, work: list[Callable[[], None]]) -> PendingSave:
        """Let the steps of `work` go on in the background; the session's close waits for them. Called within a turn."""
        if session not in self._sessions and hasattr(session, "before_close"):
            self._sessions.add(session)
            session.before_close(self.wait)
        # known before it is started: a save after it waits for it
        self._under_way = pending = PendingSave(path, work)
        pending.start()
        return pending

    def wait(self) -> None:
        """Wait for the save under way. Raises its failure, if nobody was told of it."""
        pending = self._under_way
        if pending is not None and pending.is_here:
            failure = pending.outcome()
            if failure is not None:
                raise failure

    def settle(self) -> None:
        """Wait for the save under way; a failure is left to others."""
        pending = self._under_way
        if pending is not None and pending.is_here:
            pending._finished.wait()


def _settle_all() -> None:
    """Wait for saves under way and report failures that nobody has been told of."""
    for save in [save for save in list(_unsettled) if save.is_here]:
        failure = save.outcome()
        if failure is not None:
            sys.excepthook(type(failure), failure, failure.__traceback__)


# threading's own hooks run before its threads are gone; those of `atexit` come too late for a save that starts threads
threading._register_atexit(_settle_all)  # type: ignore[attr-defined]
