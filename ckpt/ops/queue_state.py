"""Queues of tuples of arrays that many threads fill and empty. Must not know nodes; kernels say how to wait.

Whoever puts or takes stands in one of two lines, each served from its front: a put may be done in parts while takes
make room, and a take in parts while puts bring elements, so that a batch may be larger than the queue.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ckpt.core.errors import CancelledError, InvalidArgumentError, OpError, OutOfRangeError
from ckpt.ops.random import Philox

Row = tuple[Any, ...]
Wait = Callable[[threading.Condition], None]


class Fifo:
    """Elements in the order in which they came."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: Row) -> None:
        """Add one element."""
        self._rows.append(row)

    def take(self) -> Row:
        """Take the next element away."""
        return self._rows.popleft()

    def give_back(self, rows: list[Row]) -> None:
        """Return what was taken last, in the order in which it was taken."""
        self._rows.extendleft(reversed(rows))

    def available(self, is_closed: bool) -> int:
        """How many elements may be taken now."""
        return len(self._rows)


class Shuffled:
    """Elements of which any may be next; `kept` of them stay until the queue is closed."""

    def __init__(self, kept: int, seed: int, seed2: int) -> None:
        self._rows: list[Row] = []
        self._kept = kept
        self._stream = Philox(seed, seed2)
        self._words: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: Row) -> None:
        """Add one element."""
        self._rows.append(row)

    def take(self) -> Row:
        """Take a random element away."""
        if not self._words:
            group = self._stream.words(self._stream.reserve(1), np.zeros(1, np.uint64))
            self._words = group.reshape(-1)[::-1].tolist()
        place = self._words.pop() % len(self._rows)
        rows = self._rows
        rows[place], rows[-1] = rows[-1], rows[place]
        return rows.pop()

    def give_back(self, rows: list[Row]) -> None:
        """Return what was taken."""
        self._rows.extend(rows)

    def available(self, is_closed: bool) -> int:
        """How many elements may be taken now."""
        return len(self._rows) if is_closed else max(0, len(self._rows) - self._kept)


class ByPriority:
    """Elements whose first component is least come first; equal ones in the order in which they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Row]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, row: Row) -> None:
        """Add one element."""
        self._count += 1
        heapq.heappush(self._heap, (int(row[0]), self._count, row))

    def take(self) -> Row:
        """Take the element of the least priority away."""
        return heapq.heappop(self._heap)[2]

    def give_back(self, rows: list[Row]) -> None:
        """Return what was taken, before others of its priority."""
        for place, row in enumerate(rows):
            heapq.heappush(self._heap, (int(row[0]), place - len(rows) - self._count, row))

    def available(self, is_closed: bool) -> int:
        """How many elements may be taken now."""
        return len(self._heap)


class _Attempt:
    """Somebody who stands in a line: done, perhaps with an error, once `step` has finished its work."""

    __slots__ = ("error", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self.error: OpError | None = None

    def end(self, error: OpError | None = None) -> None:
        """Be done."""
        self.is_done = True
        self.error = error

    def step(self, queue: Queue) -> bool:
        """Do what can be done now; True when something was."""
        raise InvalidArgumentError(None, None, "an attempt to do nothing")

    def withdraw(self, queue: Queue) -> None:
        """Undo what can be undone: nobody waits for it any more."""


class _Put(_Attempt):
    __slots__ = ("rows",)

    def __init__(self, rows: Iterable[Row]) -> None:
        super().__init__()
        self.rows = deque(rows)

    def step(self, queue: Queue) -> bool:
        if self.rows and queue.is_closed:
            self.end(CancelledError(None, None, f"{queue} is closed."))
            return True
        before = len(self.rows)
        while self.rows and not queue.is_full:
            queue.held.put(self.rows.popleft())
        if not self.rows:
            self.end()
        return self.is_done or len(self.rows) < before


class _Take(_Attempt):
    __slots__ = ("fewer", "taken", "wanted")

    def __init__(self, wanted: int, fewer: bool) -> None:
        super().__init__()
        self.wanted = wanted
        self.fewer = fewer
        self.taken: list[Row] = []

    def step(self, queue: Queue) -> bool:
        held, before = queue.held, len(self.taken)
        count = min(self.wanted - before, held.available(queue.is_closed))
        for _ in range(count):
            self.taken.append(held.take())
        if len(self.taken) == self.wanted:
            self.end()
        elif queue.is_closed:
            if self.fewer and self.taken:
                self.end()
            else:
                self.withdraw(queue)
                self.end(
                    OutOfRangeError(
                        None,
                        None,
                        f"{queue} is closed and has insufficient elements (requested {self.wanted}, "
                        f"current size {len(held)})",
                    )
                )
        return self.is_done or count > 0

    def withdraw(self, queue: Queue) -> None:
        queue.held.give_back(self.taken)
        self.taken = []


class _Close(_Attempt):
    __slots__ = ()

    def step(self, queue: Queue) -> bool:
        if queue.is_closed:
            self.end(CancelledError(None, None, f"Queue '{queue.name}' is already closed."))
        else:
            queue.is_closed = True
            self.end()
        return True


class Queue:
    """At most `capacity` elements (any number when negative) between those who put and those who take."""

    def __init__(
        self, kind: str, name: str, held: Fifo | Shuffled | ByPriority, capacity: int, promise: Any
    ) -> None:
        self.kind = kind
        self.name = name
        self.held = held
        self.capacity = capacity
        self.promise = promise
        self.agreed: set[Any] = set()  # nodes that promised the same
        self.is_closed = False
        self._changed = threading.Condition()
        self._puts: deque[_Attempt] = deque()
        self._takes: deque[_Attempt] = deque()

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"

    @property
    def size(self) -> int:
        """How many elements are there."""
        return len(self.held)

    @property
    def is_full(self) -> bool:
        """True when a put must wait."""
        return 0 <= self.capacity <= len(self.held)

    def put(self, rows: Iterable[Row], wait: Wait) -> None:
        """Add elements, waiting for room. Raises CancelledError once the queue is closed, and what `wait` raises."""
        self._stand(self._puts, _Put(rows), wait)

    def take(self, count: int, fewer: bool, wait: Wait) -> list[Row]:
        """Take `count` elements away, waiting for them; of a closed queue, where `fewer` is allowed, what is left.

        Raises OutOfRangeError when the queue is closed and has not enough; they stay in it then.
        """
        attempt = _Take(count, fewer)
        if count:
            self._stand(self._takes, attempt, wait)
        return attempt.taken

    def close(self, cancels_puts: bool, wait: Wait) -> None:
        """No more elements: after those that others wait to put, or at once, and these get a CancelledError."""
        if not cancels_puts:
            self._stand(self._puts, _Close(), wait)
            return
        with self._changed:
            for attempt in self._puts:
                attempt.end(CancelledError(None, None, "Enqueue operation was cancelled"))
            self._puts.clear()
        self._stand(self._puts, _Close(), wait)

    def end_of_session(self) -> None:
        """Let all who wait ask whether they still may."""
        with self._changed:
            self._changed.notify_all()

    def _stand(self, line: deque[_Attempt], attempt: _Attempt, wait: Wait) -> None:
        with self._changed:
            line.append(attempt)
            try:
                self._serve()
                while not attempt.is_done:
                    wait(self._changed)
            except BaseException:
                if not attempt.is_done:
                    line.remove(attempt)
                    attempt.withdraw(self)
                    self._serve()
                raise
        if attempt.error is not None:
            raise attempt.error

    def _serve(self) -> None:
        """Serve both lines until neither moves."""
        ended = moved = True
        while moved:
            moved = False
            for line in (self._puts, self._takes):
                while line and line[0].step(self):
                    moved = True
                    if not line[0].is_done:
                        break
                    line.popleft()
                    ended = True
        if ended:
            self._changed.notify_all()


def brackets(sizes: tuple[int | None, ...] | None) -> str:
    """A shape as messages about queues and accumulators spell it."""
    if sizes is None:
        return "<unknown>"
    return f"[{','.join('?' if size is None else str(size) for size in sizes)}]"
