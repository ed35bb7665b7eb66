"""Systems of linear equations, through numpy. The gradients are the rules of TensorFlow's python/ops/linalg_grad.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (
    casting,
    decompositions,
    diagonals,
    matmul,
)
from ckpt.ops.linear_algebra import SOLVABLE, adjoint, attempt, check_square, square_shape, wide


def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """x with A · x = rhs, where `chol` is the Cholesky factor of A."""
    with name_scope(name, "cholesky_solve", [chol, rhs]):
        y = triangular_solve_op(chol, rhs, adjoint=False, lower=True)
        return triangular_solve_op(chol, y, adjoint=True, lower=True)


def _system_shape(matrix: Tensor, rhs: Tensor, square: bool = True) -> list[Any]:
    a = square_shape(matrix) if square else matrix.shape.with_rank_at_least(2)
    b = rhs.shape.with_rank_at_least(2)
    if a.sizes is None or b.sizes is None:
        return [TensorShape(None)]
    rows, rows_b = a.sizes[-2], b.sizes[-2]
    if None not in (rows, rows_b) and rows != rows_b:
        raise ShapeError(f"Dimensions must be equal, but are {rows} and {rows_b}")
    batch = broadcast(TensorShape.of(a.sizes[:-2]), TensorShape.of(b.sizes[:-2]))
    return [batch.concatenate([a.sizes[-1], b.sizes[-1]])]


def _check_system(a: Any, b: Any) -> None:
    if np.ndim(b) < 2 or np.shape(a)[-2] != np.shape(b)[-2]:
        raise InvalidArgumentError(
            None, None, f"Input matrix and right-hand side must have the same number of rows: "
            f"{list(np.shape(a))} and {list(np.shape(b))}")  # fmt: skip


@op("MatrixSolve", "matrix: T, rhs: T -> output: T", adjoint=False, T=SOLVABLE)
def matrix_solve_op(matrix, rhs, *, adjoint):
    """x with matrix · x = rhs, or of the adjoint matrix."""
    check_square(matrix)
    _check_system(matrix, rhs)
    a = wide(matrix)
    a = np.conj(np.swapaxes(a, -1, -2)) if adjoint else a
    return attempt(np.linalg.solve, "Input matrix is not invertible.", a, wide(rhs)).astype(
        rhs.dtype
    )


matrix_solve_op.shape(_system_shape)


@matrix_solve_op.grad
def matrix_solve_grad(node, dy):
    a, c, is_adjoint = node.inputs[0], node.outputs[0], node.attrs["adjoint"]
    d_b = matrix_solve_op(a, dy, adjoint=not is_adjoint)
    pair = (c, d_b) if is_adjoint else (d_b, c)
    return [-matmul.matmul(*pair, adjoint_b=True), d_b]


def matrix_solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """x with matrix · x = rhs, or of the adjoint matrix."""
    return matrix_solve_op(matrix, rhs, adjoint=adjoint, name=name)


@op(
    "MatrixTriangularSolve",
    "matrix: T, rhs: T -> output: T",
    lower=True,
    adjoint=False,
    T=SOLVABLE,
)
def triangular_solve_op(matrix, rhs, *, lower, adjoint):
    """x with matrix · x = rhs, reading one triangle of the matrix, or of its adjoint."""
    check_square(matrix)
    _check_system(matrix, rhs)
    a = np.tril(wide(matrix)) if lower else np.triu(wide(matrix))
    if (np.diagonal(a, axis1=-2, axis2=-1) == 0).any():
        raise InvalidArgumentError(None, None, "Input matrix is not invertible.")
    a = np.conj(np.swapaxes(a, -1, -2)) if adjoint else a
    return np.linalg.solve(a, wide(rhs)).astype(rhs.dtype)


triangular_solve_op.shape(_system_shape)


@triangular_solve_op.grad
def triangular_solve_grad(node, dy):
    a, b = node.inputs
    c = node.outputs[0]
    is_adjoint, lower = node.attrs["adjoint"], node.attrs["lower"]
    d_b = triangular_solve_op(a, dy, lower=lower, adjoint=not is_adjoint)
    pair = (c, d_b) if is_adjoint else (d_b, c)
    d_a = -matmul.matmul(*pair, adjoint_b=True)
    d_a = diagonals.matrix_band_part(d_a, *((-1, 0) if lower else (0, -1)))
    return [matmul.sum_batch(a, d_a), matmul.sum_batch(b, d_b)]


def matrix_triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """x with matrix · x = rhs for a triangular matrix, or for its adjoint."""
    with name_scope(name, "triangular_solve", [matrix, rhs]):
        found: Tensor = triangular_solve_op(matrix, rhs, lower=lower, adjoint=adjoint)
    return found


@op(
    "MatrixSolveLs",
    "matrix: T, rhs: T, l2_regularizer: float64 -> output: T",
    T=SOLVABLE,
    fast=True,
)
def matrix_solve_ls_op(matrix, rhs, l2_regularizer):
    """The x of least |matrix · x - rhs|² + l2_regularizer · |x|²."""
    _check_system(matrix, rhs)
    a, b = wide(matrix), wide(rhs)
    weight = float(l2_regularizer)
    if not weight:
        return (np.linalg.pinv(a) @ b).astype(rhs.dtype)
    conj = np.conj(np.swapaxes(a, -1, -2))
    rows, columns = a.shape[-2:]
    if rows >= columns:
        found = np.linalg.solve(conj @ a + weight * np.eye(columns, dtype=a.dtype), conj @ b)
    else:
        found = conj @ np.linalg.solve(a @ conj + weight * np.eye(rows, dtype=a.dtype), b)
    return found.astype(rhs.dtype)


matrix_solve_ls_op.shape(lambda matrix, rhs, l2: _system_shape(matrix, rhs, False))


@matrix_solve_ls_op.grad
def matrix_solve_ls_grad(node, dy):
    a, b, weight = node.inputs
    x = node.outputs[0]
    rows, columns = a.shape.with_rank_at_least(2).as_list()[-2:]
    if rows is None or columns is None:
        raise ValueError("the gradient of matrix_solve_ls needs the static sizes of the matrix")
    is_tall = rows >= columns
    gram = matmul.matmul(a, a, adjoint_a=is_tall, adjoint_b=not is_tall)
    unit = diagonals.eye(min(rows, columns), dtype=a.dtype.base_dtype)
    chol = decompositions.cholesky(gram + casting.cast(weight, a.dtype) * unit)
    if is_tall:
        z = cholesky_solve(chol, dy)
        xz = matmul.matmul(x, z, adjoint_b=True)
        d_a = matmul.matmul(b, z, adjoint_b=True) - matmul.matmul(a, xz + adjoint(xz))
        return [d_a, matmul.matmul(a, z), None]
    d_b = cholesky_solve(chol, matmul.matmul(a, dy))
    y = cholesky_solve(chol, b)
    first = -matmul.matmul(d_b, matmul.matmul(y, a, adjoint_a=True))
    second = matmul.matmul(y, dy - matmul.matmul(a, d_b, adjoint_a=True), adjoint_b=True)
    return [first + second, d_b, None]


def matrix_solve_ls(
    matrix: Any, rhs: Any, l2_regularizer: Any = 0.0, fast: bool = True, name: str | None = None
) -> Tensor:
    """The x of least |matrix · x - rhs|² + l2_regularizer · |x|²."""
    return matrix_solve_ls_op(matrix, rhs, l2_regularizer, fast=fast, name=name)
