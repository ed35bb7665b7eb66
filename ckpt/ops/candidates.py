"""Samplers of candidate classes, on TensorFlow's own streams, and the true classes among what they drew.

Each run of a node owns RESERVED words per candidate; 64-bit draws take the lower word first. Source of the
conventions: TensorFlow, core/kernels/candidate_sampler_ops.cc, range_sampler.h and simple_philox.h. Functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.ops import random

RESERVED = 2048
"""For how many words each candidate moves the stream on, whatever it used."""

MANY = Attr("int", minimum=1)
CHUNK = 64
"""The least number of groups of words that are made at a time."""


class Candidates(NamedTuple):
    """Drawn classes, and how often each true and each drawn class is expected among them."""

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


class AccidentalHits(NamedTuple):
    """Rows of true classes that were drawn, the positions of these draws, and the least float32 for each."""

    indices: Tensor
    ids: Tensor
    weights: Tensor


class Uniform:
    """Every class of [0, size) with the same probability."""

    def __init__(self, size: int) -> None:
        self.size = size

    def values(self, words):
        return below(_pairs(words), self.size)

    def probability(self, classes):
        return np.full(np.shape(classes), np.float32(1 / self.size))

    def update(self, classes) -> None:
        """Nothing is learned."""


class LogUniform(Uniform):
    """Class k with the probability log((k + 2) / (k + 1)) / log(size + 1), Zipf's law nearly."""

    def values(self, words):
        unit = random.uniform_values(words, np.dtype(np.float64)).reshape(-1)
        return (np.exp(unit * np.log1p(self.size)).astype(np.int64) - 1) % self.size

    def probability(self, classes):
        classes = np.asarray(classes, np.float64)
        return (np.log((classes + 2) / (classes + 1)) / np.log1p(self.size)).astype(np.float32)


class Learned(Uniform):
    """Each class as often as it was a true class so far, plus once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.weights = np.ones(size, np.int64)

    def values(self, words):
        sums = np.cumsum(self.weights)
        drawn = below(words.T.reshape(-1), int(sums[-1]))
        return np.searchsorted(sums, drawn, side="right")

    def probability(self, classes):
        total = np.float32(self.weights.sum())
        return self.weights[classes].astype(np.float32) / total

    def update(self, classes) -> None:
        np.add.at(self.weights, np.asarray(classes).reshape(-1), 1)


def _pairs(words):
    """64-bit numbers, two of each group of words."""
    wide = words.astype(np.uint64)
    return np.stack([wide[0] | wide[1] << random.SHIFT, wide[2] | wide[3] << random.SHIFT], 1).reshape(-1)  # fmt: skip


def below(drawn, size: int):
    """Numbers in [0, size) from unsigned ones; those that would favour the small ones are left out."""
    kind = drawn.dtype.type
    if size & (size - 1) == 0:
        return (drawn & kind(size - 1)).astype(np.int64)
    unfair = kind(int(np.iinfo(kind).max) % size + 1)
    return (drawn[drawn >= unfair] % kind(size)).astype(np.int64)


def _draw(stream: random.Philox, sampler: Uniform, count: int, unique: bool) -> tuple[Any, int]:
    """(`count` classes, after how many draws): with `unique`, a class drawn again is passed over."""
    start, tries = stream.reserve(-(-RESERVED * count // 4)), 0
    groups = max(count // 2 + 1, CHUNK)
    found: dict[int, None] | list[int] = {} if unique else []
    while True:
        words = stream.words(start, np.arange(groups, dtype=np.uint64))
        start += groups
        for value in sampler.values(words).tolist():
            tries += 1
            if isinstance(found, dict):
                found.setdefault(value)
            else:
                found.append(value)
            if len(found) == count:
                return np.fromiter(found, np.int64, count), tries


def _expected(probability, count: int, tries: int):
    """How often a class of this probability is expected: 1 - (1 - p)^tries where the draws were repeated."""
    if tries == count:
        return probability * np.float32(count)
    # Each step is rounded to float32, as TensorFlow's kernel does.
    each = np.log1p(-probability.astype(np.float64)).astype(np.float32)
    return -np.expm1((np.float32(tries) * each).astype(np.float64)).astype(np.float32)


def check(true_classes, num_true: int, num_sampled: int, unique: bool, size: int) -> None:
    if np.ndim(true_classes) != 2:
        raise InvalidArgumentError(
            None, None, f"true_classes must be a matrix, got shape {list(np.shape(true_classes))}"
        )
    if true_classes.shape[1] != num_true:
        raise InvalidArgumentError(
            None, None,
            f"true_classes must have num_true columns, expected: {num_true} was: {true_classes.shape[1]}",
        )  # fmt: skip
    if unique and num_sampled > size:
        raise InvalidArgumentError(
            None, None,
            f"Sampler's range is too small: {num_sampled} distinct classes of {size} were asked for.",
        )  # fmt: skip
    wrong = true_classes[(true_classes < 0) | (true_classes >= size)]
    if wrong.size:
        raise InvalidArgumentError(
            None, None, f"`true_classes` has {wrong[:5].tolist()}, outside [0, range_max = {size})"
        )


def sampled(
    sampler: Uniform, stream: random.Philox, true_classes, num_true: int, num_sampled: int, unique: bool
):  # fmt: skip
    """(drawn classes, expected counts of the true ones, and of the drawn ones). The sampler then learns the true ones."""
    check(true_classes, num_true, num_sampled, unique, sampler.size)
    drawn, tries = _draw(stream, sampler, num_sampled, unique)
    counts = [_expected(sampler.probability(classes), num_sampled, tries)
              for classes in (true_classes, drawn)]  # fmt: skip
    sampler.update(true_classes)
    return drawn, *counts


def _sampler(type_name: str, make: Callable[[int], Uniform]) -> OpDef:
    def kernel(ctx, true_classes, *, num_true, num_sampled, unique, range_max, seed, seed2):
        sampler = ctx.resource("candidates", "", ctx.node.name, lambda: make(range_max))
        stream = random.stream_of(ctx, seed, seed2)
        return sampled(sampler, stream, true_classes, num_true, num_sampled, unique)

    kernel.__doc__ = make.__doc__
    opdef = op(
        type_name,
        "true_classes: int64 -> sampled_candidates: int64, true_expected_count: float32, "
        "sampled_expected_count: float32",
        num_true=MANY, num_sampled=MANY, unique=Attr("bool"), range_max=MANY, seed=0, seed2=0,
    )(kernel)  # fmt: skip

    @opdef.shape
    def rule(true_classes, *, num_true, num_sampled):
        rows = true_classes.shape.with_rank(2)[0]
        return [(num_sampled,), (rows, num_true), (num_sampled,)]

    return opdef.no_gradient("whole numbers have no derivative")


uniform_op = _sampler("UniformCandidateSampler", Uniform)
log_uniform_op = _sampler("LogUniformCandidateSampler", LogUniform)
learned_unigram_op = _sampler("LearnedUnigramCandidateSampler", Learned)


@op(
    "ComputeAccidentalHits",
    "true_classes: int64, sampled_candidates: int64 -> indices: int32, ids: int64, weights: float32",
    num_true=Attr("int"), seed=0, seed2=0,
)  # fmt: skip
def compute_accidental_hits_op(true_classes, sampled_candidates, *, num_true):
    """The true classes that are among the candidates: row, position of the last such candidate, least float32."""
    if np.ndim(true_classes) != 2 or true_classes.shape[1] != num_true:
        raise InvalidArgumentError(
            None, None,
            f"true_candidates must be a batch_size * num_true matrix with num_true = {num_true}, got shape "
            f"{list(np.shape(true_classes))}",
        )  # fmt: skip
    if np.ndim(sampled_candidates) != 1:
        raise InvalidArgumentError(
            None, None,
            "sampled_candidates must be a vector, which is typically an output from CandidateSampler, got shape "
            f"{list(np.shape(sampled_candidates))}",
        )  # fmt: skip
    places = {value: place for place, value in enumerate(sampled_candidates.tolist())}
    hits = [(row, places[value]) for row, values in enumerate(true_classes.tolist())
            for value in values if value in places]  # fmt: skip
    found = np.array(hits, np.int64).reshape(-1, 2)
    weights = np.full(len(hits), np.finfo(np.float32).min, np.float32)
    return found[:, 0].astype(np.int32), found[:, 1], weights


@compute_accidental_hits_op.shape
def compute_accidental_hits_shape(true_classes, sampled_candidates, *, num_true):
    true_classes.shape.with_rank(2)[1:].merge_with((num_true,))
    return [(None,), (None,), (None,)]


compute_accidental_hits_op.no_gradient("whole numbers have no derivative")


def _sampled(
    opdef: OpDef, true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None,
    name: str | None,
) -> Candidates:  # fmt: skip
    found = opdef(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max, name=name,
        **random.seeds_of(seed),
    )  # fmt: skip
    return Candidates(*found)


def uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """`num_sampled` classes of [0, range_max), each as probable as any other; see `Candidates`."""
    return _sampled(uniform_op, true_classes, num_true, num_sampled, unique, range_max, seed, name)


def log_uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """`num_sampled` classes of [0, range_max), numbered from the most frequent one; see `Candidates`."""
    return _sampled(
        log_uniform_op, true_classes, num_true, num_sampled, unique, range_max, seed, name
    )


def learned_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """`num_sampled` classes, as often as they were true classes of earlier runs; see `Candidates`."""
    return _sampled(
        learned_unigram_op, true_classes, num_true, num_sampled, unique, range_max, seed, name
    )


def compute_accidental_hits(
    true_classes: Any, sampled_candidates: Any, num_true: int, seed: int | None = None, name: str | None = None
) -> AccidentalHits:  # fmt: skip
    """Where `sampled_candidates` has true classes of a row; see `AccidentalHits`."""
    true_classes = convert.convert_to_tensor(true_classes)
    found = compute_accidental_hits_op(
        true_classes, sampled_candidates, num_true=num_true, name=name, **random.seeds_of(seed)
    )
    return AccidentalHits(*found)
