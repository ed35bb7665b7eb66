"""Decompositions: numpy's values, TensorFlow's derivatives and refusals."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.graph import Graph
from ckpt.model.gradients import gradients
from ckpt.ops import complex_numbers, constants, decompositions, diagonals
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


TestDecompositions = conformance([
    case(symmetrised(decompositions.logdet), positive(2, 3, 3), like=lambda x: np.log(np.linalg.det(x)), rtol=1e-4,
         title="logdet"),
    case(symmetrised(decompositions.cholesky), positive(2, 3, 3), like=np.linalg.cholesky, rtol=1e-4, atol=1e-5,
         title="cholesky"),
    case(decompositions.cholesky, -np.eye(2, dtype=np.float32), raises=InvalidArgumentError, match="not successful",
         unasked="TensorFlow 2.21 returns garbage, TensorFlow 1 raises this"),
    case(as_product(decompositions.qr), normal(2, 4, 3), title="qr"),
    case(as_product(decompositions.qr), normal(2, 3, 4), title="qr"),
    case(symmetrised(decompositions.self_adjoint_eigvals), positive(2, 3, 3), like=np.linalg.eigvalsh, rtol=1e-4,
         title="eigvals"),
    case(symmetrised(lambda x: [v * v for v in decompositions.self_adjoint_eig(x)]), positive(3, 3), title="eig"),
    case(lambda x: decompositions.svd(x, compute_uv=False), normal(2, 3, 4),
         like=lambda x: np.linalg.svd(x, compute_uv=False), rtol=1e-4, title="singular values"),
    case(lambda x: [v * v for v in decompositions.svd(x)], normal(2, 3, 4), title="svd"),
    case(lambda x: [v * v for v in decompositions.svd(x)], normal(4, 3), title="svd"),
    *[case(lambda x: [v * v for v in decompositions.svd(x, full_matrices=True)], normal(*sizes), title="whole svd")
      for sizes in ((4, 3), (2, 3, 4), (3, 3))],
    case(as_product(lambda x: decompositions.qr(x, full_matrices=True)), normal(2, 3, 4), title="whole qr"),
    *[case(of_parts(decompositions.qr), normal(*sizes), normal(*sizes, seed=1), title="complex qr", rtol=2e-5, atol=2e-6)
      for sizes in ((3, 3), (4, 3), (2, 3, 4))],
])  # fmt: skip


@pytest.mark.parametrize("sizes", [(5, 3), (None, None)])
def test_what_is_not_determined_has_no_gradient(sizes):
    with Graph().as_default():
        x = constants.placeholder("float64", sizes)
        with pytest.raises(NotImplementedError, match="gradient"):
            gradients(decompositions.svd(x, full_matrices=True), x)
        with pytest.raises(NotImplementedError, match="QrGrad"):
            gradients(decompositions.qr(x, full_matrices=True), x)
