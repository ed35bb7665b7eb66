"""Systems of linear equations: numpy's values, TensorFlow's derivatives."""

import numpy as np

from ckpt.ops import linear_systems
from tests.conformance.ops import case, conformance, normal

FACTOR = np.linalg.cholesky(normal(3, 3) @ normal(3, 3).T + 2 * np.eye(3, dtype=np.float32))
INVERTIBLE = normal(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)

TestSystems = conformance([
    case(linear_systems.matrix_solve, INVERTIBLE, normal(2, 3, 2), like=np.linalg.solve, rtol=1e-4, atol=1e-5, grad=2),
    case(linear_systems.matrix_solve, INVERTIBLE, normal(2, 3, 2), adjoint=True,
         like=lambda a, b: np.linalg.solve(np.swapaxes(a, 1, 2), b), rtol=1e-4, atol=1e-5),
    case(linear_systems.matrix_triangular_solve, INVERTIBLE, normal(2, 3, 2),
         like=lambda a, b: np.linalg.solve(np.tril(a), b), rtol=1e-4, atol=1e-5, grad=2),
    case(linear_systems.matrix_triangular_solve, INVERTIBLE, normal(2, 3, 2), lower=False, adjoint=True,
         like=lambda a, b: np.linalg.solve(np.swapaxes(np.triu(a), 1, 2), b), rtol=1e-4, atol=1e-5),
    case(linear_systems.matrix_solve_ls, normal(4, 3), normal(4, 2), fast=True, l2_regularizer=0.1, grad=1),
    case(linear_systems.matrix_solve_ls, normal(3, 4), normal(3, 2), fast=True, l2_regularizer=0.1, grad=1),
    case(linear_systems.cholesky_solve, FACTOR, normal(3, 2), grad=2),
])  # fmt: skip
