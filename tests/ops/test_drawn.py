"""Random operations as single nodes: with the same seeds, TensorFlow's numbers; in a new session, again from the start."""

import numpy as np

from ckpt.core import dtypes
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal, positive

SEEDS = {"seed": 5, "seed2": 7}
TRUE = np.array([[0, 3], [5, 2], [7, 7]], np.int64)
DRAW = {"num_true": 2, "num_sampled": 6, "range_max": 12, **SEEDS}
FLOATS = ("float32", "float64", "float16")


def drawn(name, *inputs, title="", **attrs):
    tolerance = 4e-3 if attrs.get("dtype") == dtypes.float16 else 1e-6
    return case(OPS[name], *inputs, grad=0, rtol=tolerance, title=title or name, **SEEDS, **attrs)


TestDrawn = conformance([
    *[drawn(name, [3, 7], dtype=dtypes.as_dtype(kind))
      for name in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal") for kind in FLOATS],
    drawn("RandomUniform", [0, 4], dtype=dtypes.float32),
    drawn("RandomUniformInt", [50], np.int32(-5), np.int32(9)),
    drawn("RandomUniformInt", [50], np.int64(0), np.int64(2**40)),
    drawn("RandomShuffle", normal(9, 2)),
    drawn("RandomGamma", [20], positive(4) * 4),
    drawn("RandomPoissonV2", [20], np.array([0.5, 3.0, 12.0, 40.0], np.float32)),
    drawn("Multinomial", normal(3, 5), 20),
])  # fmt: skip

TestCandidates = conformance([
    *[case(OPS[f"{name}CandidateSampler"], TRUE, unique=unique, grad=0, **DRAW)
      for name in ("Uniform", "LogUniform", "LearnedUnigram") for unique in (False, True)],
    case(OPS["ComputeAccidentalHits"], TRUE, np.array([2, 5, 9, 7]), num_true=2, grad=0,
         looser="TensorFlow knows no more than the rank"),
])  # fmt: skip
