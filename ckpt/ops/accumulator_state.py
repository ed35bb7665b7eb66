"""Accumulators of gradients that many threads give and one takes the mean of. Must not know nodes; kernels say how to wait."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.ops.queue_state import Wait, brackets

log = logging.getLogger("ckpt")

Array = np.ndarray[Any, Any]
Sizes = tuple[int | None, ...] | None


class Accumulator:
    """Gradients of the time step `step` or later, added up until somebody takes them.

    Whoever takes stands in a line, served from its front; taking them begins the next time step.
    """

    def __init__(self, name: str, is_mean: bool, sizes: Sizes) -> None:
        self.name = name
        self.is_mean = is_mean
        self.sizes = sizes
        self.step = 0
        self.count = 0
        self._changed = threading.Condition()
        self._takers: deque[object] = deque()

    def read(self) -> Array:
        """What fetching a reference to it gives: container and name, as TensorFlow's resources of strings have them."""
        return np.array([b"localhost", self.name.encode()], object)

    def give(self, local_step: int, gradient: Any) -> None:
        """Add a gradient that was computed at `local_step`; one of an earlier time step than `step` is dropped.

        Raises InvalidArgumentError where its shape is another.
        """
        with self._changed:
            if local_step < self.step:
                return
            self.check(gradient)
            self.add(gradient)
            self.count += 1
            self._changed.notify_all()

    def take(self, required: int, wait: Wait) -> Any:
        """The sum or mean of the gradients, once there are `required` of them. Raises what `wait` raises."""
        if required < 1:
            raise InvalidArgumentError(
                None, None, f"Argument num_required must be positive, but was {required}"
            )
        turn = object()
        with self._changed:
            self._takers.append(turn)
            try:
                while self._takers[0] is not turn or self.count < required:
                    wait(self._changed)
                found = self.empty()
            finally:
                self._takers.remove(turn)
                self._changed.notify_all()
            self.count = 0
            self.step += 1
        return found

    def begin(self, step: int) -> None:
        """Be at the time step `step`."""
        with self._changed:
            if step < self.step:
                log.warning(
                    "accumulator %s is set from time step %d back to %d",
                    self.name,
                    self.step,
                    step,
                )
            self.step = step

    def end_of_session(self) -> None:
        """Let all who wait ask whether they still may."""
        with self._changed:
            self._changed.notify_all()

    def check(self, gradient: Any) -> None:
        """Raise InvalidArgumentError for a gradient that cannot be added."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it takes")

    def add(self, gradient: Any) -> None:
        """Add a gradient that was checked."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it adds")

    def empty(self) -> Any:
        """The sum or mean, which is forgotten."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it gives")


class Dense(Accumulator):
    """Gradients of one shape. Where it is not known whole, the first of a time step says it for the others."""

    def __init__(self, name: str, is_mean: bool, sizes: Sizes) -> None:
        super().__init__(name, is_mean, sizes)
        self._sum: Array | None = None

    def check(self, gradient: Array) -> None:
        """Raise InvalidArgumentError where the shape is another."""
        wanted = self.sizes if self._sum is None else self._sum.shape
        if not _fits(wanted, gradient.shape):
            raise InvalidArgumentError(
                None, None, f"Shape mismatch: expected {brackets(wanted)}, got {brackets(gradient.shape)}"
            )  # fmt: skip

    def add(self, gradient: Array) -> None:
        """Add the gradient."""
        if self._sum is None:
            self._sum = np.array(gradient)  # what was fed is its caller's
        else:
            np.add(self._sum, gradient, out=self._sum)

    def empty(self) -> Array:
        """The sum or mean."""
        found, self._sum = self._sum, None
        assert found is not None  # a taker waits for one gradient at least
        if self.is_mean:
            np.divide(found, found.dtype.type(self.count), out=found)
        return found


class Sparse(Accumulator):
    """Gradients that are rows with their indices: (indices, rows). The mean of each row is over those that have it.

    The rows are merged in the order of their indices, as in TensorFlow: equal indices add up where both gradients are
    sorted, and stay apart where they are not.
    """

    def __init__(self, name: str, is_mean: bool, sizes: Sizes) -> None:
        super().__init__(name, is_mean, sizes)
        self._rows: tuple[Array, Array, Array] | None = None  # indices, sums, how many of each

    def check(self, gradient: tuple[Array, Array]) -> None:
        """Raise InvalidArgumentError where rows have another shape than those before."""
        if self._rows is not None and gradient[1].shape[1:] != self._rows[1].shape[1:]:
            raise InvalidArgumentError(
                None, None, f"Shape mismatch: expected values of shape {brackets(self._rows[1].shape[1:])} for each index, got "
                f"{brackets(gradient[1].shape[1:])}"
            )  # fmt: skip

    def add(self, gradient: tuple[Array, Array]) -> None:
        """Merge the rows."""
        indices, rows = map(np.array, gradient)
        counts = np.ones(len(indices), np.int64)
        if self._rows is None:
            self._rows = indices, rows, counts
            return
        held, sums, held_counts = self._rows
        places, new_places, size = _merged(held, indices)
        merged = np.zeros((size, *rows.shape[1:]), rows.dtype)
        merged_indices, merged_counts = np.zeros(size, np.int64), np.zeros(size, np.int64)
        merged_indices[places], merged_indices[new_places] = held, indices
        merged[places], merged_counts[places] = sums, held_counts
        merged[new_places] += rows
        merged_counts[new_places] += counts
        self._rows = merged_indices, merged, merged_counts

    def empty(self) -> tuple[Array, Array, Array]:
        """Indices, rows and shape; the shape begins with the accumulator's first size, -1 where that is not known."""
        assert self._rows is not None  # a taker waits for one gradient at least
        (indices, rows, counts), self._rows = self._rows, None
        if self.is_mean:
            divisors = counts.astype(rows.dtype).reshape(-1, *[1] * (rows.ndim - 1))
            np.divide(rows, divisors, out=rows)
        first = self.sizes[0] if self.sizes else None
        shape = np.array([-1 if first is None else first, *rows.shape[1:]], np.int64)
        return indices, rows, shape


def _merged(first: Array, second: Array) -> tuple[Array, Array, int]:
    """Where the members of both stand when the lists are merged, and the length: equal fronts take one place."""
    if np.all(first[1:] > first[:-1]) and np.all(second[1:] > second[:-1]):
        both = np.union1d(first, second)
        return np.searchsorted(both, first), np.searchsorted(both, second), len(both)
    places = np.empty(len(first), np.int64)
    others = np.empty(len(second), np.int64)
    ours, theirs = first.tolist(), second.tolist()
    i = j = size = 0
    while i < len(ours) or j < len(theirs):
        takes_ours = i < len(ours) and (j == len(theirs) or ours[i] <= theirs[j])
        takes_theirs = j < len(theirs) and (i == len(ours) or theirs[j] <= ours[i])
        if takes_ours:
            places[i] = size
            i += 1
        if takes_theirs:
            others[j] = size
            j += 1
        size += 1
    return places, others, size


def _fits(wanted: Sizes, found: tuple[int, ...]) -> bool:
    return wanted is None or (
        len(wanted) == len(found)
        and all(size in (None, got) for size, got in zip(wanted, found, strict=True))
    )
