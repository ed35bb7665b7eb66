"""Norms of vectors and matrices are numpy's."""

import numpy as np

from ckpt.ops import norms
from tests.conformance.ops import case, conformance, normal

TestNorms = conformance([
    case(norms.norm, normal(3, 4), like=np.linalg.norm, rtol=1e-5, grad=2),
    case(norms.norm, normal(3, 4), ord=1, axis=1, like=lambda x: np.abs(x).sum(1), rtol=1e-5),
    case(norms.norm, normal(3, 4), ord=np.inf, axis=0, like=lambda x: np.abs(x).max(0), rtol=1e-5),
    case(norms.norm, normal(3, 4), ord=3, axis=0, keepdims=True, rtol=1e-5,
         like=lambda x: (np.abs(x) ** 3).sum(0, keepdims=True) ** (1 / 3)),
    case(norms.norm, normal(2, 3, 4), ord=1, axis=[1, 2], like=lambda x: np.abs(x).sum(1).max(1), rtol=1e-5),
    case(norms.norm, normal(2, 3, 4), ord=2, axis=[1, 2], rtol=1e-5,
         like=lambda x: np.linalg.norm(x, 2, (1, 2))),
    case(norms.norm, normal(2, 3), ord="wrong", raises=ValueError, match="ord"),
])  # fmt: skip
