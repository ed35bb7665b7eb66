"""Datasets of the elements of others: fewer, more, or in another order."""

from __future__ import annotations

import logging
import os
import threading

import numpy as np

from ckpt.core.errors import InvalidArgumentError, OpError
from ckpt.graph.signature import Attr
from ckpt.ops.dataset_threads import MadeAhead, Threaded
from ckpt.ops.datasets import TYPES, Dataset, Position, dataset_op
from ckpt.ops.random import Philox

log = logging.getLogger("ckpt")


class _Derived(Dataset):
    """The elements of other datasets; `more` is what its positions need to know."""

    def __init__(self, position, sources, types, shapes, **more) -> None:
        super().__init__(types, shapes)
        self.position = position
        self.inputs = sources
        self.__dict__.update(more)

    def start(self):
        return self.position(self, *[source.start() for source in self.inputs])


def derived(position, *sources, types=None, shapes=None, **more):
    """The dataset whose positions are `position(dataset, *positions of the sources)`; `more` are its attributes."""
    first = sources[0]
    return _Derived(position, sources, types or first.types, shapes or first.shapes, **more)


class _Zip(Position):
    def __next__(self):
        found: list = []
        for source in self.sources:
            found += next(source)
        return tuple(found)


@dataset_op("ZipDataset", "input_datasets: N * variant", **TYPES)
def zip_dataset(*input_datasets, output_types, output_shapes):
    """The dataset of the elements of several side by side, until the shortest ends."""
    return derived(_Zip, *input_datasets, types=output_types, shapes=output_shapes)


class _Concatenate(Position):
    FIELDS = ("current",)
    current = 0

    def __next__(self):
        while self.current < len(self.sources):
            try:
                return next(self.sources[self.current])
            except StopIteration:
                self.current += 1
        raise StopIteration


@dataset_op("ConcatenateDataset", "input_dataset: variant, another_dataset: variant", **TYPES)
def concatenate_dataset(input_dataset, another_dataset, *, output_types, output_shapes):
    """The dataset of the elements of one, then those of another."""
    return derived(
        _Concatenate, input_dataset, another_dataset, types=output_types, shapes=output_shapes
    )


class _Repeat(Position):
    FIELDS = ("rounds", "is_empty")
    rounds = 0
    is_empty = True

    def __next__(self):
        count = self.dataset.count
        while count < 0 or self.rounds < count:
            try:
                found = next(self.sources[0])
            except StopIteration:
                if self.is_empty and count < 0:  # it will never give one
                    raise
                self.rounds += 1
                self.is_empty = True
                self.sources[0] = self.dataset.inputs[0].start()
            else:
                self.is_empty = False
                return found
        raise StopIteration


@dataset_op("RepeatDataset", "input_dataset: variant, count: int64", **TYPES)
def repeat_dataset(input_dataset, count):
    """The dataset that begins anew until it was gone through `count` times; without end where that is negative."""
    return derived(_Repeat, input_dataset, count=int(count))


class _Take(Position):
    FIELDS = ("taken",)
    taken = 0

    def __next__(self):
        if self.taken >= self.dataset.count >= 0:
            raise StopIteration
        self.taken += 1
        return next(self.sources[0])


@dataset_op("TakeDataset", "input_dataset: variant, count: int64", **TYPES)
def take_dataset(input_dataset, count):
    """The dataset of the first `count` elements; of all where that is negative."""
    return derived(_Take, input_dataset, count=int(count))


class _Skip(Position):
    FIELDS = ("is_begun",)
    is_begun = False

    def __next__(self):
        if not self.is_begun:
            count = self.dataset.count
            if count < 0:
                raise StopIteration
            for _ in range(count):
                next(self.sources[0])
            self.is_begun = True
        return next(self.sources[0])


@dataset_op("SkipDataset", "input_dataset: variant, count: int64", **TYPES)
def skip_dataset(input_dataset, count):
    """The dataset without its first `count` elements; without any where that is negative."""
    return derived(_Skip, input_dataset, count=int(count))


class _Shard(Position):
    FIELDS = ("is_begun",)
    is_begun = False

    def __next__(self):
        passed = self.dataset.shards - 1 if self.is_begun else self.dataset.index
        self.is_begun = True
        for _ in range(passed):
            next(self.sources[0])
        return next(self.sources[0])


@dataset_op(
    "ShardDataset",
    "input_dataset: variant, num_shards: int64, index: int64",
    require_non_empty=False,
    **TYPES,
)
def shard_dataset(input_dataset, num_shards, index):
    """The dataset of every `num_shards`-th element, from number `index` on."""
    shards, index = int(num_shards), int(index)
    if shards < 1:
        raise InvalidArgumentError(
            None, None, f"Number of shards must be greater than zero (currently num_shards = {shards})."
        )  # fmt: skip
    if not 0 <= index < shards:
        raise InvalidArgumentError(
            None, None, f"Index must be between 0 and {shards - 1} (currently index = {index})."
        )
    return derived(_Shard, input_dataset, shards=shards, index=index)


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
    return derived(_Repeat, shuffled, count=int(count))


class _Cache(Position):
    """Reads the elements that were kept, or keeps those that it reads first."""

    FIELDS = ("number", "kept")

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.number = 0
        self.kept: list = []

    def __next__(self):
        whole = self.dataset.whole
        if whole:
            if self.number >= len(whole[0]):
                raise StopIteration
            found = whole[0][self.number]
        else:
            try:
                found = next(self.sources[0])
            except StopIteration:
                self.dataset.whole.append(self.kept)
                raise
            self.kept.append(found)
        self.number += 1
        return found

    def save(self):
        whole = self.dataset.whole
        return [
            super().save(),
            bool(whole),
            whole[0] if whole and whole[0] is not self.kept else [],
        ]

    def load(self, state):
        own, is_whole, elements = state
        super().load(own)
        self.kept = [tuple(element) for element in self.kept]
        if is_whole:
            self.dataset.whole[:] = [[tuple(e) for e in elements] or self.kept]
        else:
            self.dataset.whole.clear()


@dataset_op("CacheDataset", "input_dataset: variant, filename: string", **TYPES)
def cache_dataset(input_dataset, filename):
    """The dataset whose elements are kept in memory once they were all read.

    Raises InvalidArgumentError for a file name: such caches belong to the program that wrote them.
    """
    name = np.asarray(filename).item()
    if name:
        raise InvalidArgumentError(
            None, None, f"cache: ckpt keeps elements in memory only, not in {name!r}; call cache() without a file name"
        )  # fmt: skip
    return derived(_Cache, input_dataset, whole=[])


class _Same(Position):
    def __next__(self):
        return next(self.sources[0])


class _Prefetch(Threaded):
    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, MadeAhead(source, dataset.size))


@dataset_op("PrefetchDataset", "input_dataset: variant, buffer_size: int64", **TYPES, slack_period=0,
            legacy_autotune=True, buffer_size_min=0)  # fmt: skip
def prefetch_dataset(input_dataset, buffer_size):
    """The same dataset, of which up to `buffer_size` elements (-1: two) are made before they are asked for."""
    size = int(buffer_size)
    if size < -1:
        raise InvalidArgumentError(None, None, "buffer_size must be >= 0 or set to -1 for auto-tuning")  # fmt: skip
    return derived(_Prefetch, input_dataset, size=2 if size == -1 else size)


class _IgnoreErrors(Position):
    def __next__(self):
        while True:
            try:
                return next(self.sources[0])
            except StopIteration:
                raise
            except Exception as error:
                cause = error.__cause__ or error  # of a node in a function
                if not isinstance(cause, (OpError, ValueError, TypeError, ArithmeticError)):
                    raise
                if self.dataset.is_logged:
                    log.warning("an element is left out: %s", cause)


@dataset_op("IgnoreErrorsDataset", "input_dataset: variant", output_types=TYPES["output_types"],
            output_shapes=TYPES["output_shapes"], log_warning=False)  # fmt: skip
def ignore_errors_dataset(input_dataset, *, log_warning):
    """The dataset without the elements that fail to be made."""
    return derived(_IgnoreErrors, input_dataset, is_logged=log_warning)


@dataset_op("OptionsDataset", "input_dataset: variant", serialized_options=Attr("string"), **TYPES)
def options_dataset(input_dataset):
    """The same dataset: options say how fast elements may be made, never which."""
    return derived(_Same, input_dataset)


@dataset_op("ModelDataset", "input_dataset: variant", algorithm=0, cpu_budget=0, ram_budget=0,
            output_types=TYPES["output_types"], output_shapes=TYPES["output_shapes"])  # fmt: skip
def model_dataset(input_dataset):
    """The same dataset: what TensorFlow measures of it, nobody asks for here."""
    return derived(_Same, input_dataset)
