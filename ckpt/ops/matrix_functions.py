"""Functions of matrices beyond the decompositions: LU, square roots, logarithms, tridiagonal systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, INDEX
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.ops import (
    constants,
    diagonals,
    elementwise,
    indexing,
    joining,
    linear_algebra,
    linear_systems,
    matmul,
    reduction,
    shaping,
)
from ckpt.ops.linear_algebra import SOLVABLE, check_square, square_shape, wide

ROUNDS = 60
"""Rounds that no iteration here needs: each doubles the number of right digits."""
BANDED = frozenset({dtypes.float32, dtypes.float64}) | COMPLEX


def _each(function: Any, x: Any) -> Any:
    """`function` of each matrix of a batch."""
    flat = x.reshape(-1, *x.shape[-2:])
    found = [function(matrix) for matrix in flat]
    return np.stack(found).reshape(x.shape) if found else x


def _square_root(a: np.ndarray) -> np.ndarray:
    """Source: E. Denman and A. Beavers 1976, in the scaled product form of N. Higham, "Functions of Matrices" 6.3."""
    size = len(a)
    if not np.any(a):
        return a
    y, z, eye = a, np.eye(size, dtype=a.dtype), np.eye(size, dtype=a.dtype)
    for _ in range(ROUNDS):
        try:
            y_inverse, z_inverse = np.linalg.inv(y), np.linalg.inv(z)
        except np.linalg.LinAlgError:
            break
        y, z = (y + z_inverse) / 2, (z + y_inverse) / 2
        if np.linalg.norm(y @ z - eye) <= 1e-15 * size * np.linalg.norm(y) * np.linalg.norm(z):
            break
    return y


@op("MatrixSquareRoot", "input: T -> output: T", T=SOLVABLE)
def matrix_square_root(x):
    """The principal square root R of each square matrix: R · R = input. NaN where a real matrix has no real one."""
    check_square(x)
    wide = np.complex128 if np.iscomplexobj(x) else np.float64
    return _each(_square_root, x.astype(wide)).astype(x.dtype)


matrix_square_root.shape(lambda x: [square_shape(x)])


@matrix_square_root.grad
def matrix_square_root_grad(node, dy):
    """R dR + dR R = dA, so that dA solves the adjoint of this equation, written out as one linear system."""
    root = linear_algebra.adjoint(node.outputs[0])
    size = shaping.shape(root)[-1]
    lead = shaping.shape(root)[:-2]
    eye = diagonals.eye(size, dtype=root.dtype, batch_shape=lead)
    both = _kronecker(eye, diagonals.matrix_transpose(root)) + _kronecker(root, eye)
    column = joining.concat([lead, joining.stack([size * size, 1])], 0)
    solved = linear_systems.matrix_solve(both, shaping.reshape(dy, column))
    return [shaping.reshape(solved, shaping.shape(root))]


def _kronecker(a: Tensor, b: Tensor) -> Tensor:
    """a ⊗ b of square matrices of one size: [..., n * n, n * n]."""
    size, lead = shaping.shape(a)[-1], shaping.shape(a)[:-2]
    one = constants.constant(1)
    of_a = shaping.reshape(a, joining.concat([lead, joining.stack([size, one, size, one])], 0))
    of_b = shaping.reshape(b, joining.concat([lead, joining.stack([one, size, one, size])], 0))
    whole = joining.concat([lead, joining.stack([size * size, size * size])], 0)
    return shaping.reshape(of_a * of_b, whole)


def _logarithm(a: np.ndarray) -> np.ndarray:
    """By square roots until the matrix is near 1, then the series of 2 atanh. Source: Higham, chapter 11."""
    eye, halvings = np.eye(len(a), dtype=a.dtype), 0
    while np.linalg.norm(a - eye) > 0.25 and halvings < ROUNDS:
        a, halvings = _square_root(a), halvings + 1
    z = np.linalg.solve((a + eye).T, (a - eye).T).T
    power, square, total = z, z @ z, z.copy()
    for k in range(3, ROUNDS, 2):
        power = power @ square
        total += power / k
    return total * (2.0 ** (halvings + 1))


@op("MatrixLogarithm", "input: T -> output: T", T=Attr("type", allowed=COMPLEX))
def matrix_logarithm(x):
    """The principal logarithm of each square matrix."""
    check_square(x)
    return _each(_logarithm, x.astype(np.complex128)).astype(x.dtype)


matrix_logarithm.shape(lambda x: [square_shape(x)])
matrix_logarithm.no_gradient(UNDEFINED)


def _lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian elimination with partial pivoting. Raises InvalidArgumentError for a singular matrix."""
    a, order = a.copy(), np.arange(len(a))
    for k in range(len(a)):
        pivot = k + int(np.argmax(np.abs(a[k:, k])))
        if a[pivot, k] == 0:
            raise InvalidArgumentError(None, None, "Input is not invertible.")
        if pivot != k:
            a[[k, pivot]], order[[k, pivot]] = a[[pivot, k]], order[[pivot, k]]
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a, order


@op("Lu", "input: T -> lu: T, p: output_idx_type", T=SOLVABLE,
    output_idx_type=Attr("type", dtypes.int32, INDEX))  # fmt: skip
def lu_op(x, *, output_idx_type):
    """(L below the diagonal and U on and above it, the order of the rows) with input[p] = L · U."""
    check_square(x)
    flat = wide(x).reshape(-1, *x.shape[-2:])
    found = [_lu(matrix) for matrix in flat]
    lu, p = np.empty_like(flat), np.empty(flat.shape[:-1], output_idx_type.as_numpy_dtype)
    for i, (a, order) in enumerate(found):
        lu[i], p[i] = a, order
    return lu.reshape(x.shape).astype(x.dtype), p.reshape(x.shape[:-1])


@lu_op.shape
def lu_shape(x):
    shape = square_shape(x)
    return [shape, None if shape.sizes is None else shape.sizes[:-1]]


def triangles(lu: Tensor) -> tuple[Tensor, Tensor]:
    """L with its ones and U of a packed decomposition."""
    lower = diagonals.matrix_band_part(lu, -1, 0)
    ones = constants.ones_like(diagonals.matrix_diag_part(lu))
    return diagonals.matrix_set_diag(lower, ones), diagonals.matrix_band_part(lu, 0, -1)


@lu_op.grad
def lu_grad(node, dy, _):
    """dA[p] = L⁻ᴴ (tril₋₁(Lᴴ dL) + triu(dU Uᴴ)) U⁻ᴴ."""
    lu, p = node.outputs
    lower, upper = triangles(lu)
    d_upper = diagonals.matrix_band_part(dy, 0, -1)
    d_lower = dy - d_upper
    of_lower = matmul.matmul(lower, d_lower, adjoint_a=True)
    strict = diagonals.matrix_band_part(of_lower, -1, 0) - diagonals.matrix_band_part(
        of_lower, 0, 0
    )
    of_upper = diagonals.matrix_band_part(matmul.matmul(d_upper, upper, adjoint_b=True), 0, -1)
    inner = linear_systems.matrix_triangular_solve(
        lower, strict + of_upper, lower=True, adjoint=True
    )
    turned = linear_systems.matrix_triangular_solve(
        upper, linear_algebra.adjoint(inner), lower=False
    )
    return [
        indexing.gather(linear_algebra.adjoint(turned), _inverse(p), batch_dims=p.shape.rank - 1)
    ]


def _inverse(p: Tensor) -> Tensor:
    """The inverse of permutations in the last axis."""
    from ckpt.ops import sorting

    return sorting.argsort(p)


@op("TridiagonalMatMul", "superdiag: T, maindiag: T, subdiag: T, rhs: T -> output: T", T=BANDED)
def tridiagonal_mat_mul_op(above, main, below, rhs):
    """A · rhs for matrices A of three diagonals [..., 1, n]; the last of `superdiag` and the first of `subdiag` are unused."""
    a, m, b = (np.swapaxes(d, -1, -2) for d in (above, main, below))
    found = m * rhs
    found[..., :-1, :] += a[..., :-1, :] * rhs[..., 1:, :]
    found[..., 1:, :] += b[..., 1:, :] * rhs[..., :-1, :]
    return found


tridiagonal_mat_mul_op.shape(lambda above, main, below, rhs: [rhs.shape])


@tridiagonal_mat_mul_op.grad
def tridiagonal_mat_mul_grad(node, dy):
    above, main, below, rhs = node.inputs
    rhs_c = elementwise.conj_of(rhs)

    def row(values):
        return shaping.expand_dims(reduction.reduce_sum(values, -1), -2)

    nothing = constants.zeros_like(dy[..., :1, :])
    before = joining.concat([nothing, rhs_c[..., :-1, :]], -2)
    behind = joining.concat([rhs_c[..., 1:, :], nothing], -2)
    none = constants.zeros_like(above[..., :1])
    conj = [elementwise.conj_of(d) for d in (above, main, below)]
    shifted_below = joining.concat([conj[2][..., 1:], none], -1)
    shifted_above = joining.concat([none, conj[0][..., :-1]], -1)
    d_rhs = tridiagonal_mat_mul_op(shifted_below, conj[1], shifted_above, dy)
    return [row(dy * behind), row(dy * rhs_c), row(dy * before), d_rhs]


@op(
    "TridiagonalSolve", "diagonals: T, rhs: T -> output: T", T=BANDED, partial_pivoting=True,
    perturb_singular=False,
)  # fmt: skip
def tridiagonal_solve_op(bands, rhs):
    """x with A · x = rhs, A of the three diagonals [..., 3, n] (above, main, below)."""
    size = bands.shape[-1]
    whole = np.zeros((*bands.shape[:-2], size, size), bands.dtype)
    at = np.arange(size)
    whole[..., at, at] = bands[..., 1, :]
    whole[..., at[:-1], at[1:]] = bands[..., 0, :-1]
    whole[..., at[1:], at[:-1]] = bands[..., 2, 1:]
    try:
        return np.linalg.solve(whole, rhs).astype(rhs.dtype)
    except np.linalg.LinAlgError:
        raise InvalidArgumentError(None, None, "The matrix is not invertible.") from None


tridiagonal_solve_op.shape(lambda bands, rhs: [rhs.shape])


@tridiagonal_solve_op.grad
def tridiagonal_solve_grad(node, dy):
    bands, x = elementwise.conj_of(node.inputs[0]), elementwise.conj_of(node.outputs[0])
    above, main, below = bands[..., 0, :], bands[..., 1, :], bands[..., 2, :]
    none = constants.zeros_like(main[..., :1])
    turned = joining.stack(
        [
            joining.concat([below[..., 1:], none], -1),
            main,
            joining.concat([none, above[..., :-1]], -1),
        ],
        axis=-2,
    )
    d_rhs = tridiagonal_solve_op(turned, dy)
    nothing = constants.zeros_like(d_rhs[..., :1, :])
    behind = joining.concat([x[..., 1:, :], nothing], -2)
    before = joining.concat([nothing, x[..., :-1, :]], -2)
    parts = [-reduction.reduce_sum(d_rhs * other, -1) for other in (behind, x, before)]
    return [joining.stack(parts, axis=-2), d_rhs]


def lu(input: Any, output_idx_type: Any = dtypes.int32, name: str | None = None) -> Any:
    """(L below the diagonal and U on and above it, the order of the rows) with input[p] = L · U."""
    return lu_op(input, output_idx_type=output_idx_type, name=name)
