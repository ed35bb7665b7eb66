"""Samplers of candidate classes whose weights are given, and of all classes. The streams are TensorFlow's.

Source of the table: Vose 1991, "A linear algorithm for generating random numbers with a given distribution".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops import candidates, random
from ckpt.ops.candidates import MANY, Candidates, Uniform

OUTPUTS = (
    "true_classes: int64 -> sampled_candidates: int64, true_expected_count: float32, "
    "sampled_expected_count: float32"
)


class Weighted(Uniform):
    """Each class in proportion to its weight: one even draw, and another class where its share is used up."""

    def __init__(self, weights) -> None:
        super().__init__(len(weights))
        self.weights = weights
        self.total = np.float32(weights.sum(dtype=np.float32))
        self.shares, self.others = _table(weights.tolist(), float(self.total))

    def values(self, words):
        flat = words.T.reshape(-1)
        units = random.uniform_values(words, np.dtype(np.float32)).reshape(-1)[::2]
        drawn = candidates.below(flat[1::2], self.size)
        units = units[: len(drawn)]
        return np.where(units < self.shares[drawn], drawn, self.others[drawn])

    def probability(self, classes):
        return self.weights[classes] / self.total


def _table(weights: list[float], total: float):
    """(share that a class keeps of its even draws, the class that has the rest)."""
    count = len(weights)
    left = [weight * count / total for weight in weights]
    shares, others = [1.0] * count, list(range(count))
    high = [i for i, share in enumerate(left) if share >= 1]
    low = [i for i, share in enumerate(left) if share < 1]
    while low and high:
        poor, rich = low.pop(), high[-1]
        shares[poor], others[poor] = left[poor], rich
        left[rich] -= 1 - left[poor]
        if left[rich] < 1:
            low.append(high.pop())
    return np.array(shares), np.array(others, np.int64)


def _weights(vocab_file, unigrams, distortion, num_reserved_ids, num_shards, shard):
    """The weights of this shard's classes: none for reserved ones, then the given ones to the power `distortion`."""
    name = vocab_file.decode() if isinstance(vocab_file, bytes) else vocab_file
    if bool(name) == bool(unigrams):
        raise InvalidArgumentError(
            None, None, "Must provide exactly one of vocab_file and unigrams, got "
            f"vocab_file {name!r} and {len(unigrams)} unigrams"
        )  # fmt: skip
    if shard >= num_shards:
        raise InvalidArgumentError(
            None, None, f"shard ({shard}) must be smaller than num_shards ({num_shards})"
        )
    given = np.array(_counted(name) if name else unigrams, np.float32)
    whole = np.concatenate(
        [np.zeros(num_reserved_ids, np.float32), given ** np.float32(distortion)]
    )
    found = whole[shard::num_shards]
    if not np.all(np.isfinite(found)) or found.min(initial=0) < 0 or not found.sum() > 0:
        raise InvalidArgumentError(
            None, None, "weights must be finite, not negative, and not all zero"
        )
    return found


def _counted(path: str) -> list[float]:
    """The last field of each line of comma-separated values."""
    try:
        with open(path, encoding="utf-8") as lines:
            return [float(line.rpartition(",")[2]) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: not a vocabulary of lines that end in a comma and a count: {error}",
        ) from error


@op(
    "FixedUnigramCandidateSampler", OUTPUTS, num_true=MANY, num_sampled=MANY, unique=Attr("bool"), range_max=MANY,
    vocab_file="", distortion=1.0, num_reserved_ids=0, num_shards=Attr("int", 1, minimum=1),
    shard=Attr("int", 0, minimum=0), unigrams=Attr("list(float)", []), seed=0, seed2=0,
)  # fmt: skip
def fixed_unigram_op(
    ctx, true_classes, *, num_true, num_sampled, unique, range_max, vocab_file, distortion, num_reserved_ids,
    num_shards, shard, unigrams, seed, seed2,
):  # fmt: skip
    """Classes drawn in proportion to weights given in a file or a list."""

    def made():
        weights = _weights(vocab_file, unigrams, distortion, num_reserved_ids, num_shards, shard)
        if len(weights) != range_max:
            raise InvalidArgumentError(
                None, None, f"range is {range_max} must be equal to weights size {len(weights)}"
            )
        return Weighted(weights)

    sampler = ctx.resource("candidates", "", ctx.node.name, made)
    stream = random.stream_of(ctx, seed, seed2)
    return candidates.sampled(sampler, stream, true_classes, num_true, num_sampled, unique)


@op(
    "AllCandidateSampler", OUTPUTS, num_true=MANY, num_sampled=MANY, unique=Attr("bool"), seed=0, seed2=0
)  # fmt: skip
def all_candidates_op(true_classes, *, num_true, num_sampled, unique):
    """The classes 0 to num_sampled - 1, each expected once."""
    candidates.check(true_classes, num_true, num_sampled, unique, num_sampled)
    once = np.ones(num_sampled, np.float32)
    return np.arange(num_sampled), np.ones(true_classes.shape, np.float32), once


def _rule(true_classes, *, num_true, num_sampled):
    return [(num_sampled,), (true_classes.shape.with_rank(2)[0], num_true), (num_sampled,)]


for _opdef in (fixed_unigram_op, all_candidates_op):
    _opdef.shape(_rule)
    _opdef.no_gradient("whole numbers have no derivative")
all_candidates_op.stateful()
fixed_unigram_op.reads_files(attr="vocab_file")


def fixed_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, vocab_file: str = "",
    distortion: float = 1.0, num_reserved_ids: int = 0, num_shards: int = 1, shard: int = 0,
    unigrams: Sequence[float] = (), seed: int | None = None, name: str | None = None,
) -> Candidates:  # fmt: skip
    """`num_sampled` classes of [0, range_max), in proportion to their weights; see `Candidates`.

    The weights are `unigrams`, or the last fields of the lines of `vocab_file` (comma-separated), to the power
    `distortion`, after `num_reserved_ids` classes that are never drawn; of these every `num_shards`-th from `shard`.
    Raises InvalidArgumentError when run where their number is not range_max.
    """
    found = fixed_unigram_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        vocab_file=vocab_file, distortion=distortion, num_reserved_ids=num_reserved_ids, num_shards=num_shards,
        shard=shard, unigrams=list(unigrams), name=name, **random.seeds_of(seed),
    )  # fmt: skip
    return Candidates(*found)


def all_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """All classes of [0, num_sampled), for comparing the sampled losses with the whole ones; see `Candidates`."""
    found = all_candidates_op(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, name=name, **random.seeds_of(seed)
    )  # fmt: skip
    return Candidates(*found)
