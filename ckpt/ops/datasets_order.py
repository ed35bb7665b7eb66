"""Datasets of the elements of others: fewer, more, or in another order."""

from __future__ import annotations

import logging

import numpy as np

from ckpt.core.errors import FailedPreconditionError, InvalidArgumentError, OpError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops import dataset_sizes
from ckpt.ops.dataset_depth import started
from ckpt.ops.dataset_threads import MadeAhead, Threaded
from ckpt.ops.datasets import TYPES, Dataset, Position, dataset_op

log = logging.getLogger("ckpt")


class _Derived(Dataset):
    """The elements of other datasets; `more` is what its positions need to know."""

    def __init__(self, position, sources, types, shapes, **more) -> None:
        super().__init__(types, shapes)
        self.position = position
        self.inputs = sources
        self.depth = 1 + max(source.depth for source in sources)
        self.__dict__.update(more)
        self.cardinality = position.cardinality(self, [source.cardinality for source in sources])

    def start(self):
        return self.position(self, *[started(source, self.depth) for source in self.inputs])


def derived(position, *sources, types=None, shapes=None, **more):
    """The dataset whose positions are `position(dataset, *positions of the sources)`; `more` are its attributes."""
    first = sources[0]
    return _Derived(position, sources, types or first.types, shapes or first.shapes, **more)


class _Zip(Position):
    cardinality = staticmethod(dataset_sizes.least)

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
    cardinality = staticmethod(dataset_sizes.total)
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
    parts = *_parts(input_dataset), *_parts(another_dataset)
    return derived(_Concatenate, *parts, types=output_types, shapes=output_shapes)


def _parts(dataset):
    """What a concatenation is made of: a chain of them is one, which need not pass each element on many times."""
    return dataset.inputs if getattr(dataset, "position", None) is _Concatenate else (dataset,)


class _Repeat(Position):
    cardinality = staticmethod(dataset_sizes.repeated)
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
                # a round that nobody asks for would draw seeds of a shuffle
                if self.rounds == count:
                    raise
                self.sources[0] = started(self.dataset.inputs[0], self.dataset.depth)
            else:
                self.is_empty = False
                return found
        raise StopIteration


def repeated(source, count):
    """The dataset that begins anew until it was gone through `count` times; without end where that is negative."""
    return derived(_Repeat, source, count=int(count))


@dataset_op("RepeatDataset", "input_dataset: variant, count: int64", **TYPES)
def repeat_dataset(input_dataset, count):
    """The dataset that begins anew until it was gone through `count` times; without end where that is negative."""
    return repeated(input_dataset, count)


class _Take(Position):
    cardinality = staticmethod(dataset_sizes.taken)
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
    cardinality = staticmethod(dataset_sizes.skipped)
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
    cardinality = staticmethod(dataset_sizes.sharded)
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


class _Cache(Position):
    """Reads the elements that were kept, or keeps those that it reads first."""

    cardinality = staticmethod(dataset_sizes.same)
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
    cardinality = staticmethod(dataset_sizes.same)

    def __next__(self):
        return next(self.sources[0])


class _Prefetch(Threaded):
    cardinality = staticmethod(dataset_sizes.same)

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


@dataset_op("RewriteDataset", "input_dataset: variant, rewrite_name: string", output_types=TYPES["output_types"],
            output_shapes=TYPES["output_shapes"])  # fmt: skip
def rewrite_dataset(input_dataset, rewrite_name):
    """The same dataset: how TensorFlow would rewrite it changes no element."""
    return derived(_Same, input_dataset)


@dataset_op("OptionsDataset", "input_dataset: variant", serialized_options=Attr("string"), **TYPES)
def options_dataset(input_dataset):
    """The same dataset: options say how fast elements may be made, never which."""
    return derived(_Same, input_dataset)


@dataset_op("ModelDataset", "input_dataset: variant", algorithm=0, cpu_budget=0, ram_budget=0,
            output_types=TYPES["output_types"], output_shapes=TYPES["output_shapes"])  # fmt: skip
def model_dataset(input_dataset):
    """The same dataset: what TensorFlow measures of it, nobody asks for here."""
    return derived(_Same, input_dataset)


class _AssertCardinality(Position):
    """The elements, of which there must be as many as was said."""

    FIELDS = ("number",)
    cardinality = staticmethod(lambda dataset, sizes: dataset.wanted)
    number = 0

    def __next__(self):
        wanted = self.dataset.wanted
        try:
            found = next(self.sources[0])
        except StopIteration:
            if self.number < wanted or wanted == dataset_sizes.INFINITE:
                self._fail(f"contained only {self.number}")
            raise
        self.number += 1
        if self.number > wanted >= 0:
            self._fail(f"contained at least {self.number}")
        return found

    def _fail(self, found):
        wanted = self.dataset.wanted
        number = "an infinite number of" if wanted == dataset_sizes.INFINITE else wanted
        raise FailedPreconditionError(
            None, None, f"Input dataset was expected to contain {number} elements but {found} elements."
        )  # fmt: skip


@dataset_op("AssertCardinalityDataset", "input_dataset: variant, cardinality: int64", output_types=TYPES["output_types"],
            output_shapes=TYPES["output_shapes"])  # fmt: skip
def assert_cardinality_dataset(input_dataset, cardinality):
    """The same dataset, whose number of elements is asserted. FailedPreconditionError where it has another."""
    return derived(_AssertCardinality, input_dataset, wanted=int(cardinality))


@op("DatasetCardinality", "input_dataset: variant -> cardinality: int64", cardinality_options="")
def dataset_cardinality(input_dataset):
    """How many elements a dataset has; -1: without end, -2: not known."""
    return np.int64(input_dataset.cardinality)


dataset_cardinality.shape(lambda input_dataset: [()])
dataset_cardinality.stateful().no_gradient("a number of elements has no derivative")
