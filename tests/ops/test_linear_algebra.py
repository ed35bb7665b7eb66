"""Linear algebra: numpy's values, TensorFlow's derivatives and refusals."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.graph import Graph
from ckpt.model.gradients import gradients
from ckpt.ops import complex_numbers, constants, diagonals, linear_algebra
from tests.conformance.ops import case, conformance, normal


def positive(*sizes):
    x = normal(*sizes)
    return x @ np.swapaxes(x, -1, -2) + 2 * np.eye(sizes[-1], dtype=x.dtype)


def symmetrised(function):
    """`function` of the symmetric part: the derivative is then the same on both triangles."""
    return lambda x: function((x + diagonals.matrix_transpose(x)) * 0.5)


def as_product(function):
    """The products of the factors, which do not depend on their signs."""

    def product(x):
        q, r = function(x)
        return [q @ r, r * r]

    return product


def of_parts(function):
    """The real and imaginary parts of the factors of a matrix of complex numbers."""

    def parts(real, imaginary):
        found = function(complex_numbers.complex_(real, imaginary))
        return [part for y in found for part in (complex_numbers.real(y), complex_numbers.imag(y))]

    return parts


INVERTIBLE = normal(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)

TestSystems = conformance([
    case(linear_algebra.matrix_inverse, INVERTIBLE, like=np.linalg.inv, rtol=1e-4, atol=1e-5, grad=2),
    case(linear_algebra.matrix_inverse, INVERTIBLE, adjoint=True,
         like=lambda x: np.swapaxes(np.linalg.inv(x), 1, 2), rtol=1e-4, atol=1e-5),
    case(linear_algebra.matrix_inverse, np.zeros((2, 2), np.float32), raises=InvalidArgumentError,
         match="not invertible", unasked="TensorFlow 2.21 returns garbage, TensorFlow 1 raises this"),
    case(linear_algebra.matrix_determinant, INVERTIBLE, like=np.linalg.det, rtol=1e-4, grad=2),
    case(linear_algebra.slogdet, INVERTIBLE, like=np.linalg.slogdet, rtol=1e-4),
    case(symmetrised(linear_algebra.logdet), positive(2, 3, 3), like=lambda x: np.log(np.linalg.det(x)), rtol=1e-4,
         title="logdet"),
    case(linear_algebra.matrix_solve, INVERTIBLE, normal(2, 3, 2), like=np.linalg.solve, rtol=1e-4, atol=1e-5, grad=2),
    case(linear_algebra.matrix_solve, INVERTIBLE, normal(2, 3, 2), adjoint=True,
         like=lambda a, b: np.linalg.solve(np.swapaxes(a, 1, 2), b), rtol=1e-4, atol=1e-5),
    case(linear_algebra.matrix_triangular_solve, INVERTIBLE, normal(2, 3, 2),
         like=lambda a, b: np.linalg.solve(np.tril(a), b), rtol=1e-4, atol=1e-5, grad=2),
    case(linear_algebra.matrix_triangular_solve, INVERTIBLE, normal(2, 3, 2), lower=False, adjoint=True,
         like=lambda a, b: np.linalg.solve(np.swapaxes(np.triu(a), 1, 2), b), rtol=1e-4, atol=1e-5),
    case(linear_algebra.matrix_solve_ls, normal(4, 3), normal(4, 2), fast=True, l2_regularizer=0.1, grad=1),
    case(linear_algebra.matrix_solve_ls, normal(3, 4), normal(3, 2), fast=True, l2_regularizer=0.1, grad=1),
    case(linear_algebra.cholesky_solve, np.linalg.cholesky(positive(3, 3)), normal(3, 2), grad=2),
])  # fmt: skip

TestDecompositions = conformance([
    case(symmetrised(linear_algebra.cholesky), positive(2, 3, 3), like=np.linalg.cholesky, rtol=1e-4, atol=1e-5,
         title="cholesky"),
    case(linear_algebra.cholesky, -np.eye(2, dtype=np.float32), raises=InvalidArgumentError, match="not successful",
         unasked="TensorFlow 2.21 returns garbage, TensorFlow 1 raises this"),
    case(as_product(linear_algebra.qr), normal(2, 4, 3), title="qr"),
    case(as_product(linear_algebra.qr), normal(2, 3, 4), title="qr"),
    case(symmetrised(linear_algebra.self_adjoint_eigvals), positive(2, 3, 3), like=np.linalg.eigvalsh, rtol=1e-4,
         title="eigvals"),
    case(symmetrised(lambda x: [v * v for v in linear_algebra.self_adjoint_eig(x)]), positive(3, 3), title="eig"),
    case(lambda x: linear_algebra.svd(x, compute_uv=False), normal(2, 3, 4),
         like=lambda x: np.linalg.svd(x, compute_uv=False), rtol=1e-4, title="singular values"),
    case(lambda x: [v * v for v in linear_algebra.svd(x)], normal(2, 3, 4), title="svd"),
    case(lambda x: [v * v for v in linear_algebra.svd(x)], normal(4, 3), title="svd"),
    *[case(lambda x: [v * v for v in linear_algebra.svd(x, full_matrices=True)], normal(*sizes), title="whole svd")
      for sizes in ((4, 3), (2, 3, 4), (3, 3))],
    case(as_product(lambda x: linear_algebra.qr(x, full_matrices=True)), normal(2, 3, 4), title="whole qr"),
    *[case(of_parts(linear_algebra.qr), normal(*sizes), normal(*sizes, seed=1), title="complex qr", rtol=2e-5, atol=2e-6)
      for sizes in ((3, 3), (4, 3), (2, 3, 4))],
])  # fmt: skip

TestNorms = conformance([
    case(linear_algebra.norm, normal(3, 4), like=np.linalg.norm, rtol=1e-5, grad=2),
    case(linear_algebra.norm, normal(3, 4), ord=1, axis=1, like=lambda x: np.abs(x).sum(1), rtol=1e-5),
    case(linear_algebra.norm, normal(3, 4), ord=np.inf, axis=0, like=lambda x: np.abs(x).max(0), rtol=1e-5),
    case(linear_algebra.norm, normal(3, 4), ord=3, axis=0, keepdims=True, rtol=1e-5,
         like=lambda x: (np.abs(x) ** 3).sum(0, keepdims=True) ** (1 / 3)),
    case(linear_algebra.norm, normal(2, 3, 4), ord=1, axis=[1, 2], like=lambda x: np.abs(x).sum(1).max(1), rtol=1e-5),
    case(linear_algebra.norm, normal(2, 3, 4), ord=2, axis=[1, 2], rtol=1e-5,
         like=lambda x: np.linalg.norm(x, 2, (1, 2))),
    case(linear_algebra.norm, normal(2, 3), ord="wrong", raises=ValueError, match="ord"),
])  # fmt: skip


@pytest.mark.parametrize("sizes", [(5, 3), (None, None)])
def test_what_is_not_determined_has_no_gradient(sizes):
    with Graph().as_default():
        x = constants.placeholder("float64", sizes)
        with pytest.raises(NotImplementedError, match="gradient"):
            gradients(linear_algebra.svd(x, full_matrices=True), x)
        with pytest.raises(NotImplementedError, match="QrGrad"):
            gradients(linear_algebra.qr(x, full_matrices=True), x)
