"""Elements that are made beside their use: ahead of it by one thread, or several at a time by many. In order, always.

Threads are worth their handing over only where an element takes long to make, which is measured all the time: short
work is done by whoever wants it. What a checkpoint saves is what was used: elements made ahead are part of it.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from contextlib import contextmanager
from time import perf_counter

import numpy as np

from ckpt.core.errors import CancelledError, OpError, exception_type_from_error_code
from ckpt.core.threads import POOL, Task
from ckpt.ops.datasets import Position

SHORT = 1e-4
"""Seconds: work of this length costs about as much as handing it to another thread."""

MEASURED = 16
"""So many elements in a row decide whether threads are worth it."""


class _Waiting(threading.local):
    wait = None


_waiting = _Waiting()


@contextmanager
def waiting_by(wait):
    """Let `wait_for` in this thread wait by `wait`, which raises when the run must end."""
    before, _waiting.wait = _waiting.wait, wait
    try:
        yield
    finally:
        _waiting.wait = before


def present_wait():
    """What `waiting_by` was given for this thread; None outside of runs."""
    return _waiting.wait


def wait_for(condition):
    """Wait, with its lock held, until the condition is notified or the run of this thread must end."""
    wait = _waiting.wait
    if wait is None:
        condition.wait()
    else:
        wait(condition)


class Pace:
    """Whether elements take long: the quickest of the last few does, for a thread that waits for its turn seems slow."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self.is_long = True

    def add(self, seconds) -> None:
        """Note how long one took."""
        self._seconds.append(seconds)
        if len(self._seconds) == MEASURED:
            self.is_long = min(self._seconds) > (SHORT if self.is_long else 4 * SHORT)
            self._seconds.clear()


class Failure:
    """An error that stands for an element; whoever comes to it raises it."""

    def __init__(self, error) -> None:
        self.error = error

    def save(self):
        """Code and message of the error."""
        cause = self.error.__cause__ or self.error
        code = cause.error_code if isinstance(cause, OpError) else 2
        return [code, str(cause)]

    @staticmethod
    def of(saved):
        """The failure that was saved."""
        code, message = saved
        return Failure(exception_type_from_error_code(code)(None, None, message))


def saved_entries(entries):
    """Elements and failures as a position saves them."""
    return [
        [False, entry.save()] if isinstance(entry, Failure) else [True, entry] for entry in entries
    ]


def loaded_entries(saved):
    """Elements and failures that a position saved."""
    return deque(tuple(value) if whole else Failure.of(value) for whole, value in saved)


class Ahead:
    """The elements of a position, up to `size` of them made before they are wanted, by a thread of its own.

    `turns`, a semaphore, limits how many of such threads work at a time.
    """

    def __init__(self, source, size, turns=None) -> None:
        self.source = source
        self.size = size
        self.made: deque = deque()  # elements and failures
        self.is_over = self.is_closed = False
        self._turns = turns
        self._making = threading.Lock()  # held by whoever draws from the source
        self._changed = threading.Condition()
        self._pace = Pace()
        self._has_thread = False

    def __next__(self):
        """The next element. Raises StopIteration behind the last, and what the source raises, each in its place."""
        while True:
            if self.made or self._has_thread:
                with self._changed:
                    while not self.made and self._has_thread and not self.is_closed:
                        wait_for(self._changed)
                    found = bool(self.made)
                    entry = self.made.popleft() if found else None
                    self._changed.notify_all()
                if found:
                    break
            if self.is_closed:
                raise CancelledError(None, None, "the iteration of the dataset was given up")
            if self.is_over:
                raise StopIteration
            if not self._has_thread:
                entry = self._made_here()
                break
        if entry is None:
            raise StopIteration
        if isinstance(entry, Failure):
            raise entry.error
        return entry

    def _made_here(self):
        """The next entry, made by this thread; those behind it by one of their own where that is worth it."""
        begun = perf_counter()
        entry = self._drawn()
        self._pace.add(perf_counter() - begun)
        if self._pace.is_long and self.size and not self.is_over:
            self.begin()
        return entry

    def begin(self) -> None:
        """Have a thread make elements from now on, the first too."""
        self._has_thread = True
        threading.Thread(target=self._make, name="ckpt-ahead", daemon=True).start()

    def _drawn(self):
        """The next element of the source, the failure in its place, or None behind the last."""
        try:
            return next(self.source)
        except StopIteration:
            self.is_over = True
            return None
        except Exception as error:  # noqa: BLE001  # whoever comes to it raises it
            return Failure(error)

    def _make(self) -> None:
        with np.errstate(all="ignore"):  # as where sessions run
            self._make_on()

    def _make_on(self) -> None:
        while True:
            with self._making:
                begun = perf_counter()
                if self._turns is None:
                    entry = self._drawn()
                else:
                    with self._turns:
                        entry = self._drawn()
                self._pace.add(perf_counter() - begun)
                with self._changed:
                    if entry is not None:
                        self.made.append(entry)
                    is_last = self.is_over or self.is_closed or not self._pace.is_long
                    if is_last:
                        self._has_thread = False
                    self._changed.notify_all()
            if is_last:
                return
            del entry
            with self._changed:
                while len(self.made) >= self.size and not self.is_closed:
                    self._changed.wait()

    def close(self) -> None:
        """Make no more; let whoever waits see whether he still may."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()
        self.source.close()

    def save(self):
        """The elements that were made and not used, and where the source stands behind them."""
        with self._making:
            return [self.source.save(), saved_entries(self.made), self.is_over]

    def load(self, state) -> None:
        """Go where `state` says; nothing was made yet."""
        position, entries, self.is_over = state
        self.source.load(position)
        self.made = loaded_entries(entries)


class MadeAhead:
    """A position whose elements are made `size` ahead; its thread ends when nobody holds the position any more."""

    def __init__(self, source, size, turns=None) -> None:
        self._ahead = Ahead(source, size, turns)
        self.close = weakref.finalize(self, self._ahead.close)
        self.save, self.load, self.begin = self._ahead.save, self._ahead.load, self._ahead.begin

    def __next__(self):
        return next(self._ahead)


class Together:
    """What a function makes of the elements of a position, up to `calls` of them at a time, in their order."""

    def __init__(self, source, function, calls) -> None:
        self.source = source
        self.function = function
        self.calls = calls
        self._begun: deque = deque()  # (element, its task), or (None, a failure)
        self._is_over = False
        self._changed = threading.Condition()
        self._pace = Pace()

    def __next__(self):
        if not self._begun and not self._pace.is_long:
            return self._made_here()
        wanted = self.calls if self._pace.is_long else 1
        while len(self._begun) < wanted and not self._is_over:
            self._begin_next()
        if not self._begun:
            raise StopIteration
        task = self._begun[0][1]
        if isinstance(task, Failure):
            self._begun.popleft()
            raise task.error
        if not task.compute():
            with self._changed:
                while not task.is_done:
                    wait_for(self._changed)
        self._begun.popleft()
        if task.error is not None:
            raise task.error
        result, seconds = task.result
        self._pace.add(seconds)
        return result

    def _made_here(self):
        element = next(self.source)
        result, seconds = self._timed(element)
        self._pace.add(seconds)
        return result

    def _timed(self, element):
        begun = perf_counter()
        result = self.function(element)
        return result, perf_counter() - begun

    def _begin_next(self) -> None:
        try:
            element = next(self.source)
        except StopIteration:
            self._is_over = True
        except Exception as error:  # noqa: BLE001  # whoever comes to it raises it
            self._begun.append((None, Failure(error)))
        else:
            self._begin(element)

    def _begin(self, element) -> None:
        task = Task(lambda: self._timed(element), self._tell)
        self._begun.append((element, task))
        if self.calls > 1:
            POOL.add(task, self.calls)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Begin no more calls; let whoever waits see whether he still may."""
        for _, task in self._begun.copy():
            if isinstance(task, Task):
                task.forget()
        self._tell()
        self.source.close()

    def save(self):
        """The elements whose results were not used, and where the source stands behind them."""
        entries = [task if isinstance(task, Failure) else element for element, task in self._begun]
        return [self.source.save(), saved_entries(entries), self._is_over]

    def load(self, state) -> None:
        """Go where `state` says; nothing was begun yet."""
        position, entries, self._is_over = state
        self.source.load(position)
        for entry in loaded_entries(entries):
            if isinstance(entry, Failure):
                self._begun.append((None, entry))
            else:
                self._begin(entry)


class Threaded(Position):
    """A position that leaves its work to `inner`, which may have threads."""

    def __init__(self, dataset, inner) -> None:
        super().__init__(dataset)
        self.inner = inner

    def __next__(self):
        return next(self.inner)

    def save(self):
        return [super().save(), self.inner.save()]

    def load(self, state):
        own, inner = state
        super().load(own)
        self.inner.load(inner)

    def close(self):
        self.inner.close()
