"""A few threads for work that can be done beside its caller's. Must not know what the work is.

Whoever wants a result that no thread has begun computes it himself, so that tasks which wait for tasks never hang,
however few threads there are.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ckpt.core.errors import CancelledError

MOST_THREADS = 64
IDLE_SECONDS = 10.0
"""After so long without work a thread ends."""


def cpu_count() -> int:
    """How many threads can compute at a time in this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Task:
    """A call that somebody computes, once: a thread, or whoever asks first. `done` is called afterwards, by that one."""

    __slots__ = ("_call", "_lock", "done", "error", "is_done", "result")

    def __init__(self, call: Callable[[], Any], done: Callable[[], None]) -> None:
        self._call: Callable[[], Any] | None = call
        self._lock = threading.RLock()  # the collector may end what this thread has just begun
        self.done = done
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def compute(self) -> bool:
        """Compute the result, unless somebody else has begun to; True when this call did."""
        with self._lock:
            call, self._call = self._call, None
        if call is None:
            return False
        try:
            self.result = call()
        except BaseException as error:  # noqa: BLE001  # whoever wants the result raises it
            self.error = error
        self.is_done = True
        self.done()
        return True

    def forget(self) -> None:
        """Let nobody begin it any more: it is done, with a CancelledError, unless somebody has begun."""
        with self._lock:
            call, self._call = self._call, None
        if call is not None:
            self.error = CancelledError(None, None, "nobody wants the result any more")
            self.is_done = True


class Pool:
    """Threads that compute tasks; they begin when there are tasks for them and end when there is nothing to do."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Have no tasks and no threads, as in a child of a process that had some."""
        self._changed = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._threads = self._idle = 0

    def add(self, task: Task, at_most: int) -> None:
        """Have the task computed, by no more than `at_most` threads altogether."""
        with self._changed:
            self._tasks.append(task)
            if self._idle:
                self._changed.notify()
            if len(self._tasks) > self._idle and self._threads < min(at_most, MOST_THREADS):
                self._threads += 1
                threading.Thread(target=self._work, name="ckpt-pool", daemon=True).start()

    def _work(self) -> None:
        with np.errstate(all="ignore"):  # as where sessions run
            self._work_on()

    def _work_on(self) -> None:
        while True:
            with self._changed:
                while not self._tasks:
                    self._idle += 1
                    has_work = self._changed.wait(IDLE_SECONDS)
                    self._idle -= 1
                    if not has_work and not self._tasks:
                        self._threads -= 1
                        return
                task = self._tasks.popleft()
            task.compute()
            del task  # its result is somebody else's


POOL = Pool()
"""The threads of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.begin)


def side_by_side(calls: Sequence[Callable[[], Any]]) -> None:
    """Make all the calls, each in a thread of its own as far as there are some. Raises the first error once all have ended."""
    finished = threading.Semaphore(0)
    tasks = [Task(call, finished.release) for call in calls]
    for task in tasks[1:]:
        POOL.add(task, len(tasks) - 1)
    for task in tasks:
        task.compute()
    for _ in tasks:
        finished.acquire()
    for task in tasks:
        if task.error is not None:
            raise task.error
