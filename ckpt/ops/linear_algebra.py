"""Decompositions, inverses, determinants and linear systems of matrices in the last two axes, through numpy.

The gradients are the rules of TensorFlow's python/ops/linalg_grad.py; that of the singular vectors is from
J. Townsend, "Differentiating the Singular Value Decomposition" (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (
    casting,
    complex_numbers,
    constants,
    diagonals,
    division,
    elementwise,
    joining,
    matmul,
    reduction,
    shaping,
)

SOLVABLE = frozenset({dtypes.float16, dtypes.float32, dtypes.float64}) | COMPLEX


def _wide(x: Any) -> Any:
    """`x` as numpy.linalg takes it: halves as float32."""
    return np.asarray(x).astype(np.float32) if np.asarray(x).dtype.itemsize == 2 else np.asarray(x)


def _attempt(function: Callable[..., Any], complaint: str, *args: Any) -> Any:
    try:
        return function(*args)
    except np.linalg.LinAlgError:
        raise InvalidArgumentError(None, None, complaint) from None


def _check_square(x: Any) -> None:
    if np.ndim(x) < 2 or np.shape(x)[-1] != np.shape(x)[-2]:
        raise InvalidArgumentError(
            None, None, f"Input matrix must be square, got shape {list(np.shape(x))}"
        )


def _square_shape(x: Tensor) -> TensorShape:
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


@op("Cholesky", "input: T -> output: T", T=SOLVABLE)
def cholesky_op(x):
    """The lower triangular L with L · Lᴴ = input, of which only the lower triangle is read."""
    _check_square(x)
    lower = np.tril(_wide(x))
    whole = lower + np.conj(np.swapaxes(np.tril(lower, -1), -1, -2))
    found = _attempt(np.linalg.cholesky, "Cholesky decomposition was not successful. The input might not be valid.", whole)  # fmt: skip
    return found.astype(x.dtype)


cholesky_op.shape(lambda x: [_square_shape(x)])


@cholesky_op.grad
def cholesky_grad(node, dy):
    lower = node.outputs[0]
    shape = shaping.shape(lower)
    unit = diagonals.eye(shape[-1], batch_shape=shape[:-2], dtype=lower.dtype.base_dtype)
    inverse = triangular_solve_op(lower, unit)
    middle = matmul.matmul(lower, dy, adjoint_a=True)
    middle = diagonals.matrix_set_diag(middle, 0.5 * diagonals.matrix_diag_part(middle))
    middle = diagonals.matrix_band_part(middle, -1, 0)
    found = matmul.matmul(matmul.matmul(inverse, middle, adjoint_a=True), inverse)
    return [(found + adjoint(found)) * 0.5]


def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangular L with L · Lᴴ = input."""
    return cholesky_op(input, name=name)


def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """x with A · x = rhs, where `chol` is the Cholesky factor of A."""
    with name_scope(name, "cholesky_solve", [chol, rhs]):
        y = triangular_solve_op(chol, rhs, adjoint=False, lower=True)
        return triangular_solve_op(chol, y, adjoint=True, lower=True)


@op("MatrixInverse", "input: T -> output: T", adjoint=False, T=SOLVABLE)
def matrix_inverse_op(x, *, adjoint):
    """The inverse, or that of the adjoint."""
    _check_square(x)
    found = _attempt(np.linalg.inv, "Input is not invertible.", _wide(x)).astype(x.dtype)
    return np.conj(np.swapaxes(found, -1, -2)) if adjoint else found


matrix_inverse_op.shape(lambda x: [_square_shape(x)])


@matrix_inverse_op.grad
def matrix_inverse_grad(node, dy):
    inverse, is_adjoint = node.outputs[0], node.attrs["adjoint"]
    inner = matmul.matmul(dy, inverse, adjoint_a=is_adjoint, adjoint_b=not is_adjoint)
    return [-matmul.matmul(inverse, inner, adjoint_a=not is_adjoint)]


def matrix_inverse(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse, or that of the adjoint."""
    return matrix_inverse_op(input, adjoint=adjoint, name=name)


def _lead_shape(x: Tensor) -> TensorShape:
    shape = _square_shape(x)
    return TensorShape.of(None if shape.sizes is None else shape.sizes[:-2])


@op("MatrixDeterminant", "input: T -> output: T", T=SOLVABLE)
def matrix_determinant_op(x):
    """The determinants of square matrices."""
    _check_square(x)
    return np.asarray(np.linalg.det(_wide(x))).astype(x.dtype)


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
    _check_square(x)
    sign, logarithm = np.linalg.slogdet(_wide(x))
    return [np.asarray(v).astype(x.dtype) for v in (sign, logarithm)]


log_matrix_determinant_op.shape(lambda x: [_lead_shape(x)] * 2)


@log_matrix_determinant_op.grad
def log_matrix_determinant_grad(node, d_sign, d_log):
    return [_as_factor(d_log) * matrix_inverse(node.inputs[0], adjoint=True)]


def slogdet(input: Any, name: str | None = None) -> Any:
    """(sign of the determinant, logarithm of its absolute value)."""
    return log_matrix_determinant_op(input, name=name)


def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of a hermitian positive definite matrix."""
    with name_scope(name, "logdet", [matrix]):
        roots = elementwise.log(complex_numbers.real(diagonals.matrix_diag_part(cholesky(matrix))))
        return 2.0 * reduction.reduce_sum(roots, [-1])


def _system_shape(matrix: Tensor, rhs: Tensor, square: bool = True) -> list[Any]:
    a = _square_shape(matrix) if square else matrix.shape.with_rank_at_least(2)
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
    _check_square(matrix)
    _check_system(matrix, rhs)
    a = _wide(matrix)
    a = np.conj(np.swapaxes(a, -1, -2)) if adjoint else a
    return _attempt(np.linalg.solve, "Input matrix is not invertible.", a, _wide(rhs)).astype(
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
    _check_square(matrix)
    _check_system(matrix, rhs)
    a = np.tril(_wide(matrix)) if lower else np.triu(_wide(matrix))
    if (np.diagonal(a, axis1=-2, axis2=-1) == 0).any():
        raise InvalidArgumentError(None, None, "Input matrix is not invertible.")
    a = np.conj(np.swapaxes(a, -1, -2)) if adjoint else a
    return np.linalg.solve(a, _wide(rhs)).astype(rhs.dtype)


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
    return [matmul._sum_batch(a, d_a), matmul._sum_batch(b, d_b)]


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
    a, b = _wide(matrix), _wide(rhs)
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
    chol = cholesky(gram + casting.cast(weight, a.dtype) * unit)
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


@op("Qr", "input: T -> q: T, r: T", full_matrices=False, T=SOLVABLE)
def qr_op(x, *, full_matrices):
    """Orthonormal columns q and an upper triangular r with q · r = input."""
    q, r = np.linalg.qr(_wide(x), mode="complete" if full_matrices else "reduced")
    return [q.astype(x.dtype), r.astype(x.dtype)]


@qr_op.shape
def qr_shape(x, *, full_matrices):
    sizes = x.shape.with_rank_at_least(2).sizes
    if sizes is None:
        return [TensorShape(None)] * 2
    m, n = sizes[-2:]
    inner = m if full_matrices else (None if None in (m, n) else min(m, n))
    return [(*sizes[:-2], m, inner), (*sizes[:-2], inner, n)]


@qr_op.grad
def qr_grad(node, dq, dr):
    q, r = node.outputs
    rows, columns = (node.inputs[0].shape.sizes or (None, None))[-2:]
    if rows is None or columns is None:
        raise NotImplementedError(f"QrGrad not implemented with dynamic shapes: {r.shape}")
    if node.attrs["full_matrices"] and rows > columns:
        raise NotImplementedError(
            "QrGrad not implemented when nrows > ncols and full_matrices is true: the last columns of q are not "
            f"determined. Received {rows} rows and {columns} columns"
        )
    if rows >= columns:
        return [_tall_qr_grad(q, r, dq, dr)]
    rest = node.inputs[0][..., rows:]
    d_left, d_right = dr[..., :rows], dr[..., rows:]
    dq = dq + matmul.matmul(rest, d_right, adjoint_b=True)
    left = _tall_qr_grad(q, r[..., :rows], dq, d_left)
    return [joining.concat([left, matmul.matmul(q, d_right)], -1)]


def _tall_qr_grad(q, r, dq, dr):
    def over_r(x):
        return adjoint(triangular_solve_op(r, adjoint(x), lower=False, adjoint=False))

    qdq = matmul.matmul(q, dq, adjoint_a=True)
    rdr = matmul.matmul(r, dr, adjoint_b=True)
    lower = diagonals.matrix_band_part(qdq - adjoint(qdq) + rdr - adjoint(rdr), -1, 0)
    lower = diagonals.matrix_set_diag(
        lower, constants.zeros_like(diagonals.matrix_diag_part(lower))
    )
    found = matmul.matmul(q, dr + over_r(lower)) + over_r(dq - matmul.matmul(q, qdq))
    if q.dtype.base_dtype in COMPLEX:
        corner = diagonals.matrix_diag_part(rdr - adjoint(qdq))
        part = corner - casting.cast(complex_numbers.real(corner), corner.dtype)
        found = found + over_r(matmul.matmul(q, diagonals.matrix_diag(part)))
    return found


def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Any:
    """(q with orthonormal columns, r upper triangular), q · r = input."""
    return qr_op(input, full_matrices=full_matrices, name=name)


@op("SelfAdjointEigV2", "input: T -> e: T, v: T", compute_v=True, T=SOLVABLE)
def self_adjoint_eig_op(x, *, compute_v):
    """Eigenvalues, ascending, and eigenvectors of hermitian matrices, of which the lower triangle is read."""
    _check_square(x)
    if not compute_v:
        values = np.linalg.eigvalsh(_wide(x), UPLO="L")
        return [values.astype(x.dtype), np.zeros((*x.shape[:-2], 0, 0)[: x.ndim], x.dtype)]
    values, vectors = np.linalg.eigh(_wide(x), UPLO="L")
    return [values.astype(x.dtype), vectors.astype(x.dtype)]


@self_adjoint_eig_op.shape
def self_adjoint_eig_shape(x, *, compute_v):
    shape = _square_shape(x)
    if shape.sizes is None:
        return [TensorShape(None)] * 2
    return [shape.sizes[:-1], shape if compute_v else (*shape.sizes[:-2], 0, 0)]


@self_adjoint_eig_op.grad
def self_adjoint_eig_grad(node, de, dv):
    if node.attrs["compute_v"]:
        e, v = node.outputs
        inner = diagonals.matrix_diag(de) + _gaps(e) * matmul.matmul(v, dv, adjoint_a=True)
    else:
        _, v = self_adjoint_eig_op(node.inputs[0])
        inner = diagonals.matrix_diag(de)
    found = matmul.matmul(v, matmul.matmul(inner, v, adjoint_b=True))
    found = diagonals.matrix_band_part(found + adjoint(found), -1, 0)
    return [diagonals.matrix_set_diag(found, 0.5 * diagonals.matrix_diag_part(found))]


def _gaps(e: Tensor) -> Tensor:
    """1 / (e[j] - e[i]), and 0 where both are equal."""
    difference = shaping.expand_dims(e, -2) - shaping.expand_dims(e, -1)
    return division.div_no_nan_op(constants.ones_like(difference), difference)


def self_adjoint_eig(tensor: Any, name: str | None = None) -> Any:
    """(eigenvalues, eigenvectors) of hermitian matrices."""
    return self_adjoint_eig_op(tensor, compute_v=True, name=name)


def self_adjoint_eigvals(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues of hermitian matrices."""
    found: Tensor = self_adjoint_eig_op(tensor, compute_v=False, name=name)[0]
    return found


@op(
    "Svd",
    "input: T -> s: T, u: T, v: T",
    compute_uv=True,
    full_matrices=False,
    T=SOLVABLE,
)
def svd_op(x, *, compute_uv, full_matrices):
    """Singular values, descending, and vectors with input = u · diag(s) · vᴴ."""
    if not compute_uv:
        s = np.linalg.svd(_wide(x), compute_uv=False)
        empty = np.zeros((0,), x.dtype)
        return [s.astype(x.dtype), empty, empty]
    u, s, vh = np.linalg.svd(_wide(x), full_matrices=full_matrices)
    return [s.astype(x.dtype), u.astype(x.dtype), np.conj(np.swapaxes(vh, -1, -2)).astype(x.dtype)]


@svd_op.shape
def svd_shape(x, *, compute_uv, full_matrices):
    sizes = x.shape.with_rank_at_least(2).sizes
    if sizes is None:
        return [TensorShape(None), *([TensorShape(None)] * 2 if compute_uv else [(0,)] * 2)]
    (m, n), lead = sizes[-2:], sizes[:-2]
    least = None if None in (m, n) else min(m, n)
    if not compute_uv:
        return [(*lead, least), (0,), (0,)]
    kept = (m, n) if full_matrices else (least, least)
    return [(*lead, least), (*lead, m, kept[0]), (*lead, n, kept[1])]


@svd_op.grad
def svd_grad(node, ds, du, dv):
    x = node.inputs[0]
    if not node.attrs["compute_uv"]:
        _, u, v = svd_op(x, compute_uv=True)
        return [matmul.matmul(u, matmul.matmul(diagonals.matrix_diag(ds), v, adjoint_b=True))]
    s, u, v = node.outputs
    if node.attrs["full_matrices"]:
        u, v, du, dv = _thin_svd(x, u, v, du, dv)
    gaps = _gaps(elementwise.square(s))
    columns = shaping.expand_dims(s, -2)
    rows = shaping.expand_dims(s, -1)

    def turned(basis, change):
        part = matmul.matmul(basis, change, adjoint_a=True)
        outside = change - matmul.matmul(basis, part)
        return gaps * (part - adjoint(part)), division.real_div(outside, columns)

    turn_u, out_u = turned(u, du)
    turn_v, out_v = turned(v, dv)
    middle = turn_u * columns + rows * turn_v + diagonals.matrix_diag(ds)
    inside = matmul.matmul(u, matmul.matmul(middle, v, adjoint_b=True))
    return [
        inside + matmul.matmul(out_u, v, adjoint_b=True) + matmul.matmul(u, out_v, adjoint_b=True)
    ]


def _thin_svd(x, u, v, du, dv):
    """u and v without the columns that no singular value goes with, and gradients that say the same of the rest.

    A single such column is orthogonal to all others, so its change is theirs.
    """
    rows, columns = (x.shape.sizes or (None, None))[-2:]
    if rows is None or columns is None:
        raise NotImplementedError(
            "SVD gradient has not been implemented for input with unknown inner matrix shape, with full_matrices."
        )
    if abs(rows - columns) > 1:
        raise NotImplementedError(
            "svd gradient is not implemented for abs(m - n) > 1 when full_matrices is True: the last vectors are not "
            f"determined. Received a matrix of shape {[rows, columns]}"
        )
    count = min(rows, columns)

    def thin(basis, change):
        if basis.shape.sizes[-1] == count:
            return basis, change
        kept, last = basis[..., :count], basis[..., count:]
        moved = matmul.matmul(last, matmul.matmul(change[..., count:], kept, adjoint_a=True))
        return kept, change[..., :count] - moved

    (u, du), (v, dv) = thin(u, du), thin(v, dv)
    return u, v, du, dv


def svd(
    tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> Any:
    """(s, u, v) with tensor = u · diag(s) · vᴴ; s alone unless `compute_uv`."""
    s, u, v = svd_op(tensor, compute_uv=compute_uv, full_matrices=full_matrices, name=name)
    return (complex_numbers.real(s), u, v) if compute_uv else complex_numbers.real(s)


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    keep_dims: Any = None,
) -> Tensor:
    """The norm of vectors (along one axis) or matrices (along two), or of all elements.

    Raises ValueError for an `ord` that does not go with the axes.
    """
    keep = bool(keepdims if keepdims is not None else keep_dims)
    is_matrix = isinstance(axis, (tuple, list)) and len(axis) == 2
    if is_matrix:
        axis = tuple(axis)
        if axis[0] == axis[1]:
            raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
        allowed: list[Any] = ["euclidean", "fro", 1, 2, np.inf]
    else:
        if axis is not None and not isinstance(axis, (int, np.integer)) and np.size(axis) != 1:
            raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
        allowed = ["euclidean", 1, 2, np.inf]
    if not (ord in allowed or (not is_matrix and isinstance(ord, (int, float)) and ord > 0)):
        raise ValueError(
            f"'ord' must be a supported {'matrix' if is_matrix else 'vector'} norm, got {ord}"
        )
    if axis is not None and not is_matrix and not isinstance(axis, (list, tuple)):
        axis = (axis,)
    with name_scope(name, "norm", [tensor]):
        tensor = convert.convert_to_tensor(tensor)
        if ord in ("fro", "euclidean", 2) and not (is_matrix and ord == 2):
            squares = tensor * elementwise.conj_of(tensor)
            result = elementwise.sqrt(reduction.reduce_sum(squares, axis, keepdims=True))
        else:
            result = _other_norm(tensor, ord, axis, is_matrix)
        return result if keep else shaping.squeeze(result, axis)


def _other_norm(tensor: Tensor, ord: Any, axis: Any, is_matrix: bool) -> Tensor:
    if is_matrix and ord == 2:
        rank = tensor.shape.rank
        if rank is None:
            raise ValueError("the spectral norm needs a known rank")
        axes = [a % rank for a in axis]
        order = [i for i in range(rank) if i not in axes] + axes
        values = svd(shaping.transpose(tensor, order), compute_uv=False)
        largest = reduction.reduce_max(values, -1)
        for a in sorted(axes):
            largest = shaping.expand_dims(largest, a)
        return largest
    sizes = elementwise.abs_(tensor)
    if not is_matrix:
        if ord == np.inf:
            return reduction.reduce_max(sizes, axis, keepdims=True)
        if ord == 1:
            return reduction.reduce_sum(sizes, axis, keepdims=True)
        powers = elementwise.pow_(sizes, ord)
        return elementwise.pow_(reduction.reduce_sum(powers, axis, keepdims=True), 1.0 / ord)
    first, second = axis if ord == 1 else axis[::-1]
    summed = reduction.reduce_sum(sizes, first, keepdims=True)
    return reduction.reduce_max(summed, second, keepdims=True)
