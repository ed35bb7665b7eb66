"""Datasets in random order, and of random numbers: TensorFlow's for the same seeds."""

from __future__ import annotations

import os
import threading

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import dataset_sizes
from ckpt.ops.datasets import TYPES, Dataset, Position, dataset_op
from ckpt.ops.datasets_order import derived, repeated
from ckpt.ops.random import Philox


class _Words:
    """32-bit words of one Philox stream, one after the other."""

    CHUNK = 256  # groups of four words made at a time

    def __init__(self, seed, seed2) -> None:
        self.seeds = [seed, seed2]
        self.number = 0
        self._stream = Philox(seed, seed2)
        self._first = self._stream.position
        self._made = np.zeros(0, np.uint64)
        self._listed: list[int] = []  # the same: numbers of Python, for who wants one
        self._made_from = 0

    def __call__(self):
        place = self._place()
        self.number += 1
        return self._listed[place]

    def some(self, count):
        """The next `count` words, an array."""
        parts = [np.zeros(0, np.int64)]
        while count > 0:
            place = self._place()
            part = self._made[place : place + count]
            self.number += len(part)
            count -= len(part)
            parts.append(part.astype(np.int64))
        return np.concatenate(parts)

    def _place(self):
        """Where the next word stands among those that are made."""
        place = self.number - self._made_from
        if not 0 <= place < len(self._made):
            group = self.number // 4
            groups = np.arange(group, group + self.CHUNK, dtype=np.uint64)
            self._made = self._stream.words(self._first, groups).T.reshape(-1)
            self._listed = self._made.tolist()
            self._made_from = 4 * group
            place = self.number - self._made_from
        return place


class _Seeds:
    """The seeds of one iteration after the other: drawn from a stream of their own, or always the same."""

    def __init__(self, seed, seed2, is_reshuffled) -> None:
        if seed == 0 and seed2 == 0:
            seed, seed2 = (int.from_bytes(os.urandom(7), "little") for _ in range(2))
        self.fixed = [seed, seed2]
        self.words = _Words(seed, seed2) if is_reshuffled else None
        self._lock = threading.Lock()

    def next(self):
        """The two seeds of the next iteration."""
        if self.words is None:
            return self.fixed
        with self._lock:
            return [self.words(), self.words()]


class _Shuffle(Position):
    """A buffer from which a random element is drawn while it is kept full from the source."""

    cardinality = staticmethod(dataset_sizes.same)
    FIELDS = ("buffer", "first", "held", "is_over")

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.words = _Words(*dataset.seeds.next())
        self.buffer: list = []
        self.first = self.held = 0
        self.is_over = False

    def __next__(self):
        size = self.dataset.size
        while self.held < size and not self.is_over:
            self._fill(size)
        if self.held == 0:
            raise StopIteration
        buffer = self.buffer
        first = self.first % len(buffer)
        drawn = (self.first + self.words() % self.held) % len(buffer)
        found = buffer[drawn]
        buffer[drawn] = buffer[first]
        buffer[first] = None
        self.first += 1
        self.held -= 1
        return found

    def some(self, count):
        """The next elements, drawn as one by one: after each, the buffer is filled again before the next."""
        size, source = self.dataset.size, self.sources[0]
        if not source.never_fails:
            return super().some(count)
        if not self.buffer and not self.is_over:
            self.buffer = source.some(size)
            self.held = len(self.buffer)
            self.is_over = self.held < size
        found = []
        while len(found) < count:
            while self.held < size and not self.is_over:
                self._fill(size)
            if not self.held:
                break
            if not self.is_over:
                found += self._replaced(source, count - len(found))
            else:
                found.append(next(self))
        return found

    def _replaced(self, source, count):
        """Up to `count` elements out of a full buffer; those that come next in the source take their places, but for the last."""
        fresh = source.some(count - 1)
        count = len(fresh) + 1
        buffer, size, first = self.buffer, len(self.buffer), self.first % len(self.buffer)
        places = (first + np.arange(count) + self.words.some(count) % self.held) % size
        found = []
        for place, element in zip(places.tolist(), [*fresh, None], strict=True):
            found.append(buffer[place])
            buffer[place] = buffer[first]
            buffer[first] = element
            first = first + 1 if first + 1 < size else 0
        self.first += count
        self.held -= 1
        return found

    def _fill(self, size):
        try:
            element = next(self.sources[0])
        except StopIteration:
            self.is_over = True
            return
        if len(self.buffer) < size:  # nothing was drawn yet
            self.buffer.append(element)
        else:
            self.buffer[(self.first + self.held) % size] = element
        self.held += 1

    def save(self):
        words, seeds = self.words, self.dataset.seeds
        drawn = seeds.words and [seeds.words.seeds, seeds.words.number]
        return [super().save(), [words.seeds, words.number], drawn]

    def load(self, state):
        own, (seeds, number), drawn = state
        super().load(own)
        self.buffer = [None if element is None else tuple(element) for element in self.buffer]
        self.words = _Words(*seeds)
        self.words.number = number
        if drawn:
            self.dataset.seeds.words = _Words(*drawn[0])
            self.dataset.seeds.words.number = drawn[1]


@dataset_op("ShuffleDataset", "input_dataset: variant, buffer_size: int64, seed: int64, seed2: int64",
            reshuffle_each_iteration=True, **TYPES)  # fmt: skip
def shuffle_dataset(input_dataset, buffer_size, seed, seed2, *, reshuffle_each_iteration):
    """The dataset in random order: each element is drawn from a buffer of the `buffer_size` that come next.

    The order is TensorFlow's for the same seeds, which draws words of Philox4x32-10 (learnt from its results).
    """
    return _shuffled(input_dataset, buffer_size, seed, seed2, reshuffle_each_iteration)


def _shuffled(source, buffer_size, seed, seed2, is_reshuffled):
    size = int(buffer_size)
    if size < 1:
        raise InvalidArgumentError(
            None, None, "buffer_size must be greater than zero or UNKNOWN_CARDINALITY"
        )
    seeds = _Seeds(int(seed), int(seed2), is_reshuffled)
    return derived(_Shuffle, source, size=size, seeds=seeds)


@dataset_op("ShuffleAndRepeatDataset",
            "input_dataset: variant, buffer_size: int64, seed: int64, seed2: int64, count: int64",
            reshuffle_each_iteration=True, **TYPES)  # fmt: skip
def shuffle_and_repeat_dataset(
    input_dataset, buffer_size, seed, seed2, count, *, reshuffle_each_iteration
):
    """The dataset in random order, `count` times (without end where that is negative)."""
    shuffled = _shuffled(input_dataset, buffer_size, seed, seed2, reshuffle_each_iteration)
    return repeated(shuffled, count)


class _Random(Dataset):
    """Random 32-bit numbers without end."""

    cardinality = dataset_sizes.INFINITE

    def __init__(self, types, shapes, seed, seed2) -> None:
        super().__init__(types, shapes)
        self.seeds = _Seeds(seed, seed2, is_reshuffled=False)

    def start(self):
        return _RandomPosition(self)


class _RandomPosition(Position):
    def __init__(self, dataset) -> None:
        super().__init__(dataset)
        self.words = _Words(*dataset.seeds.next())

    def __next__(self):
        return (np.int64(self.words()),)

    def save(self):
        return [super().save(), self.words.seeds, self.words.number]

    def load(self, state):
        own, seeds, number = state
        super().load(own)
        self.words = _Words(*seeds)
        self.words.number = number


@dataset_op("RandomDataset", "seed: int64, seed2: int64", **TYPES)
def random_dataset(seed, seed2, *, output_types, output_shapes):
    """The dataset of random numbers below 2**32, the same in each iteration where there are seeds."""
    return _Random(output_types, output_shapes, int(seed), int(seed2))
