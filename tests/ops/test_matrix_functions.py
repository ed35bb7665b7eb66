"""LU, square roots, logarithms, tridiagonal systems."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops import complex_numbers
from tests.conformance.ops import case, conformance, normal, zeros

NEAR = {"rtol": 1e-4, "atol": 1e-5}
MATRICES = normal(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)
COMPLEX = (MATRICES + 0.3j * normal(2, 3, 3, seed=2)).astype(np.complex64)
BANDS = normal(2, 3, 4) + np.array([[0], [4], [0]], np.float32)


def both(function):
    def applied(x):
        y = function(x)
        return [complex_numbers.real(y), complex_numbers.imag(y)]

    return applied


TestFunctions = conformance([
    case(OPS["MatrixSquareRoot"], MATRICES, grad=1, **NEAR),
    case(OPS["MatrixSquareRoot"], COMPLEX, grad=0, **NEAR),
    case(OPS["MatrixSquareRoot"], zeros(2, 2), expect=zeros(2, 2), grad=0,
         unasked="TensorFlow divides zero by zero; the root of zero is zero"),
    case(OPS["MatrixSquareRoot"], normal(2, 3), raises=ValueError, match="equal"),
    case(OPS["MatrixLogarithm"], COMPLEX, grad=0, **NEAR),
    case(OPS["MatrixLogarithm"], (10 * COMPLEX).astype(np.complex128), grad=0, **NEAR),
    case(lambda x: OPS["Lu"](x)[0], MATRICES, grad=1, title="Lu", **NEAR),
    case(OPS["Lu"], normal(4, 4), grad=0, **NEAR),
    case(OPS["Lu"], COMPLEX, grad=0, **NEAR),
    case(OPS["Lu"], zeros(2, 2), raises=InvalidArgumentError, match="not invertible"),
    case(OPS["TridiagonalMatMul"], normal(2, 1, 4), normal(2, 1, 4, seed=1), normal(2, 1, 4, seed=2), normal(2, 4, 3),
         grad=2, **NEAR),
    case(OPS["TridiagonalSolve"], BANDS, normal(2, 4, 3), grad=2, **NEAR),
    case(OPS["TridiagonalSolve"], BANDS, normal(2, 4, 3), partial_pivoting=False, grad=0, **NEAR),
    case(OPS["TridiagonalSolve"], zeros(3, 4), normal(4, 1), raises=InvalidArgumentError, match="not invertible",
         unasked="TensorFlow gives NaN without a word"),
])  # fmt: skip
