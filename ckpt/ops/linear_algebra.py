"""Inverses and determinants of matrices in the last two axes, and what all of linear algebra asks of its inputs.

Computed by numpy. The gradients are the rules of TensorFlow's python/ops/linalg_grad.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (
    diagonals,
    elementwise,
    joining,
    matmul,
    shaping,
)

SOLVABLE = frozenset({dtypes.float16, dtypes.float32, dtypes.float64}) | COMPLEX


def wide(x: Any) -> Any:
    """`x` as numpy.linalg takes it: halves as float32."""
    return np.asarray(x).astype(np.float32) if np.asarray(x).dtype.itemsize == 2 else np.asarray(x)


def attempt(function: Callable[..., Any], complaint: str, *args: Any) -> Any:
    """What numpy's `function` gives. Raises InvalidArgumentError with that complaint where it cannot."""
    try:
        return function(*args)
    except np.linalg.LinAlgError:
        raise InvalidArgumentError(None, None, complaint) from None


def check_square(x: Any) -> None:
    """Raise InvalidArgumentError unless `x` is an array of square matrices."""
    if np.ndim(x) < 2 or np.shape(x)[-1] != np.shape(x)[-2]:
        raise InvalidArgumentError(
            None, None, f"Input matrix must be square, got shape {list(np.shape(x))}"
        )


def square_shape(x: Tensor) -> TensorShape:
    """The shape of square matrices: both last sizes are the same. Raises ShapeError where they are not."""
    shape = x.shape.with_rank_at_least(2)
    if shape.sizes is None:
        return shape
    rows, columns = shape.sizes[-2:]
    if None not in (rows, columns) and rows != columns:
        raise ShapeError(f"Dimensions must be equal, but are {rows} and {columns}")
    size = rows if rows is not None else columns
    return TensorShape.of((*shape.sizes[:-2], size, size))


def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """The last two axes swapped and conjugated."""
    with name_scope(name, "adjoint", [matrix]):
        matrix = convert.convert_to_tensor(matrix, name="matrix")
        return diagonals.matrix_transpose(matrix, conjugate=True)


@op("MatrixInverse", "input: T -> output: T", adjoint=False, T=SOLVABLE)
def matrix_inverse_op(x, *, adjoint):
    """The inverse, or that of the adjoint."""
    check_square(x)
    found = attempt(np.linalg.inv, "Input is not invertible.", wide(x)).astype(x.dtype)
    return np.conj(np.swapaxes(found, -1, -2)) if adjoint else found


matrix_inverse_op.shape(lambda x: [square_shape(x)])


@matrix_inverse_op.grad
def matrix_inverse_grad(node, dy):
    inverse, is_adjoint = node.outputs[0], node.attrs["adjoint"]
    inner = matmul.matmul(dy, inverse, adjoint_a=is_adjoint, adjoint_b=not is_adjoint)
    return [-matmul.matmul(inverse, inner, adjoint_a=not is_adjoint)]


def matrix_inverse(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse, or that of the adjoint."""
    return matrix_inverse_op(input, adjoint=adjoint, name=name)


def _lead_shape(x: Tensor) -> TensorShape:
    shape = square_shape(x)
    return TensorShape.of(None if shape.sizes is None else shape.sizes[:-2])


@op("MatrixDeterminant", "input: T -> output: T", T=SOLVABLE)
def matrix_determinant_op(x):
    """The determinants of square matrices."""
    check_square(x)
    return np.asarray(np.linalg.det(wide(x))).astype(x.dtype)


matrix_determinant_op.shape(lambda x: [_lead_shape(x)])


def _as_factor(x: Tensor) -> Tensor:
    """`x` with two more axes of size 1: a factor of each matrix."""
    return shaping.reshape(x, joining.concat([shaping.shape(x), [1, 1]], 0))


@matrix_determinant_op.grad
def matrix_determinant_grad(node, dy):
    inverse = matrix_inverse(node.inputs[0], adjoint=True)
    return [_as_factor(dy * elementwise.conj_of(node.outputs[0])) * inverse]


def matrix_determinant(input: Any, name: str | None = None) -> Tensor:
    """The determinants of square matrices."""
    return matrix_determinant_op(input, name=name)


@op("LogMatrixDeterminant", "input: T -> sign: T, log_abs_determinant: T", T=SOLVABLE)
def log_matrix_determinant_op(x):
    """The sign of the determinant and the logarithm of its absolute value."""
    check_square(x)
    sign, logarithm = np.linalg.slogdet(wide(x))
    return [np.asarray(v).astype(x.dtype) for v in (sign, logarithm)]


log_matrix_determinant_op.shape(lambda x: [_lead_shape(x)] * 2)


@log_matrix_determinant_op.grad
def log_matrix_determinant_grad(node, d_sign, d_log):
    return [_as_factor(d_log) * matrix_inverse(node.inputs[0], adjoint=True)]


def slogdet(input: Any, name: str | None = None) -> Any:
    """(sign of the determinant, logarithm of its absolute value)."""
    return log_matrix_determinant_op(input, name=name)
