"""Chains of datasets that are longer than a stack is deep: every so many of them work on a stack of their own.

A position asks those that it draws from, which ask those below them, so that a chain of a thousand datasets would be
some thousand calls deep, more than Python allows and threads have room for.
"""

from __future__ import annotations

import threading

import numpy as np

from ckpt.core.threads import Task
from ckpt.ops.dataset_threads import present_wait, waiting_by
from ckpt.ops.datasets import Position
from ckpt.ops.iterator_state import packed, unpacked

STACKED = 50
"""So many datasets share a stack: each takes up to five calls."""


def started(dataset, depth):
    """A position in `dataset` for one that is `depth` datasets high, on another stack where theirs is full."""
    is_shared = dataset.depth // STACKED == depth // STACKED
    return dataset.start() if is_shared else _Apart(dataset)


class _Apart(Position):
    """A position of a dataset that does everything in threads, each for one call, which waits for it."""

    def __init__(self, dataset) -> None:
        super().__init__(dataset)
        self._is_used = threading.Lock()  # also by a call whose caller no longer waits
        self._position = _on_own_stack(dataset.start)

    def __next__(self):
        return self._used(lambda: next(self._position))

    def some(self, count):
        return self._used(lambda: self._position.some(count))

    def save(self):
        """Bytes, for lists in lists may not be a thousand deep either."""
        return self._used(lambda: packed(self._position.save()))

    def load(self, state):
        self._used(lambda: self._position.load(unpacked(state)))

    def close(self):
        _on_own_stack(self._position.close)

    def _used(self, call):
        def alone():
            with self._is_used:
                return call()

        return _on_own_stack(alone)


def _on_own_stack(call):
    """What `call` returns or raises, in a thread of its own; what it waits for it waits for as this thread would."""
    wait = present_wait()

    def computed():
        with np.errstate(all="ignore"), waiting_by(wait):  # as where sessions run
            return call()

    task = Task(computed, lambda: None)
    thread = threading.Thread(target=task.compute, name="ckpt-stack", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # there are no more threads, or the interpreter ends
        task.compute()
    else:
        thread.join()
    if task.error is not None:
        raise task.error
    return task.result
