"""Weighted and complete samplers, row by row with TensorFlow; their front functions are in test_candidates.py."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import unigram
from tests.conformance.ops import case, conformance

TRUE = np.array([[1, 3], [0, 2]], np.int64)
WEIGHTS = (np.random.RandomState(0).rand(37) ** 2).tolist()


def row(opdef, true, **more):
    attrs = {"num_true": 2, "num_sampled": 20, "unique": False, "seed": 5, "seed2": 9, **more}
    return case(opdef, true, grad=0, **attrs)


TestUnigram = conformance([
    row(unigram.fixed_unigram_op, TRUE, range_max=37, unigrams=WEIGHTS),
    row(unigram.fixed_unigram_op, TRUE, range_max=37, unigrams=WEIGHTS, unique=True, distortion=0.75),
    row(unigram.fixed_unigram_op, TRUE, range_max=37, unigrams=WEIGHTS[:36], num_reserved_ids=1, num_sampled=300),
    row(unigram.fixed_unigram_op, TRUE, range_max=4, unigrams=WEIGHTS[:3], raises=InvalidArgumentError, match="equal"),
    row(unigram.all_candidates_op, TRUE),
    row(unigram.all_candidates_op, TRUE, unique=True, num_sampled=4),
    row(unigram.all_candidates_op, TRUE, unique=True, num_sampled=3, raises=InvalidArgumentError, match="outside"),
])  # fmt: skip
