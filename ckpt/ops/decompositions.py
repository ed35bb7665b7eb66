"""Decompositions of matrices in the last two axes, through numpy: Cholesky, QR, eigenvalues, singular values.

The gradients are the rules of TensorFlow's python/ops/linalg_grad.py; that of the singular vectors is from
J. Townsend, "Differentiating the Singular Value Decomposition" (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import COMPLEX
from ckpt.core.shapes import TensorShape
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
    linear_systems,
    matmul,
    reduction,
    shaping,
)
from ckpt.ops.linear_algebra import SOLVABLE, adjoint, attempt, check_square, square_shape, wide


@op("Cholesky", "input: T -> output: T", T=SOLVABLE)
def cholesky_op(x):
    """The lower triangular L with L · Lᴴ = input, of which only the lower triangle is read."""
    check_square(x)
    lower = np.tril(wide(x))
    whole = lower + np.conj(np.swapaxes(np.tril(lower, -1), -1, -2))
    found = attempt(np.linalg.cholesky, "Cholesky decomposition was not successful. The input might not be valid.", whole)  # fmt: skip
    return found.astype(x.dtype)


cholesky_op.shape(lambda x: [square_shape(x)])


@cholesky_op.grad
def cholesky_grad(node, dy):
    lower = node.outputs[0]
    shape = shaping.shape(lower)
    unit = diagonals.eye(shape[-1], batch_shape=shape[:-2], dtype=lower.dtype.base_dtype)
    inverse = linear_systems.triangular_solve_op(lower, unit)
    middle = matmul.matmul(lower, dy, adjoint_a=True)
    middle = diagonals.matrix_set_diag(middle, 0.5 * diagonals.matrix_diag_part(middle))
    middle = diagonals.matrix_band_part(middle, -1, 0)
    found = matmul.matmul(matmul.matmul(inverse, middle, adjoint_a=True), inverse)
    return [(found + adjoint(found)) * 0.5]


def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangular L with L · Lᴴ = input."""
    return cholesky_op(input, name=name)


def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of a hermitian positive definite matrix."""
    with name_scope(name, "logdet", [matrix]):
        roots = elementwise.log(complex_numbers.real(diagonals.matrix_diag_part(cholesky(matrix))))
        return 2.0 * reduction.reduce_sum(roots, [-1])


@op("Qr", "input: T -> q: T, r: T", full_matrices=False, T=SOLVABLE)
def qr_op(x, *, full_matrices):
    """Orthonormal columns q and an upper triangular r with q · r = input."""
    q, r = np.linalg.qr(wide(x), mode="complete" if full_matrices else "reduced")
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
        return adjoint(
            linear_systems.triangular_solve_op(r, adjoint(x), lower=False, adjoint=False)
        )

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
    check_square(x)
    if not compute_v:
        values = np.linalg.eigvalsh(wide(x), UPLO="L")
        return [values.astype(x.dtype), np.zeros((*x.shape[:-2], 0, 0)[: x.ndim], x.dtype)]
    values, vectors = np.linalg.eigh(wide(x), UPLO="L")
    return [values.astype(x.dtype), vectors.astype(x.dtype)]


@self_adjoint_eig_op.shape
def self_adjoint_eig_shape(x, *, compute_v):
    shape = square_shape(x)
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
        s = np.linalg.svd(wide(x), compute_uv=False)
        empty = np.zeros((0,), x.dtype)
        return [s.astype(x.dtype), empty, empty]
    u, s, vh = np.linalg.svd(wide(x), full_matrices=full_matrices)
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
