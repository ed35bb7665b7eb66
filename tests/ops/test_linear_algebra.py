"""Inverses and determinants: numpy's values, TensorFlow's derivatives and refusals."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import linear_algebra
from tests.conformance.ops import case, conformance, normal

INVERTIBLE = normal(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)

TestInversesAndDeterminants = conformance([
    case(linear_algebra.matrix_inverse, INVERTIBLE, like=np.linalg.inv, rtol=1e-4, atol=1e-5, grad=2),
    case(linear_algebra.matrix_inverse, INVERTIBLE, adjoint=True,
         like=lambda x: np.swapaxes(np.linalg.inv(x), 1, 2), rtol=1e-4, atol=1e-5),
    case(linear_algebra.matrix_inverse, np.zeros((2, 2), np.float32), raises=InvalidArgumentError,
         match="not invertible", unasked="TensorFlow 2.21 returns garbage, TensorFlow 1 raises this"),
    case(linear_algebra.matrix_determinant, INVERTIBLE, like=np.linalg.det, rtol=1e-4, grad=2),
    case(linear_algebra.slogdet, INVERTIBLE, like=np.linalg.slogdet, rtol=1e-4),
])  # fmt: skip
