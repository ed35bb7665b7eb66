"""Functions of matrices made of other operations: exponential, pseudoinverse, rank, systems through LU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.loops import while_loop
from ckpt.ops import (
    casting,
    constants,
    decompositions,
    diagonals,
    division,
    elementwise,
    indexing,
    joining,
    linear_systems,
    matmul,
    matrix_functions,
    norms,
    reduction,
    shaping,
    sorting,
)

PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
"""Coefficients of the diagonal Padé approximant of order 13. Source: N. Higham 2005, "The Scaling and Squaring Method"."""
THETA = 5.371920351148152
"""Up to this norm the approximant is exact to double precision. Source: the same, table 2.3."""


def expm(input: Any, name: str | None = None) -> Tensor:
    """The exponential of each square matrix: [..., n, n]. Raises ValueError for other shapes."""
    with name_scope(name, "matrix_exponential", [input]):
        matrix = convert.convert_to_tensor(input, name="input")
        shape = matrix.shape.with_rank_at_least(2)
        if shape.rank is not None and not shape[-1].is_compatible_with(shape[-2]):
            raise ValueError(f"Input must be a square matrix, got {shape}")
        size = reduction.reduce_max(reduction.reduce_sum(elementwise.abs_(matrix), -2))
        size = casting.cast(size, dtypes.float64)
        doublings = elementwise.ceil(elementwise.log(size / THETA) / np.log(2.0))
        doublings = casting.cast(elementwise.maximum(doublings, 0.0), dtypes.int32)
        scale = elementwise.pow_(
            constants.constant(0.5, dtypes.float64), casting.cast(doublings, dtypes.float64)
        )
        root = _pade(matrix * casting.cast(scale, matrix.dtype))
        found: Tensor = while_loop(
            lambda i, _: i < doublings,
            lambda i, power: (i + 1, matmul.matmul(power, power)),
            (constants.constant(0), root),
        )[1]
        return found


def _pade(a: Tensor) -> Tensor:
    b = [constants.constant(c / PADE[0], a.dtype) for c in PADE]
    eye = diagonals.eye(shaping.shape(a)[-1], dtype=a.dtype)
    a2 = matmul.matmul(a, a)
    a4 = matmul.matmul(a2, a2)
    a6 = matmul.matmul(a2, a4)
    inner = matmul.matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2)
    odd = matmul.matmul(a, inner + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    even = matmul.matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2)
    even = even + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    return linear_systems.matrix_solve(even - odd, even + odd)


def matvec(
    a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, a_is_sparse: bool = False,
    b_is_sparse: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The product of matrices [..., m, n] and vectors [..., n]."""
    with name_scope(name, "MatVec", [a, b]):
        b = convert.convert_to_tensor(b)
        found = matmul.matmul(
            a, shaping.expand_dims(b, -1), transpose_a=transpose_a, adjoint_a=adjoint_a,
            a_is_sparse=a_is_sparse, b_is_sparse=b_is_sparse,
        )  # fmt: skip
        return shaping.squeeze(found, [-1])


def normalize(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """(`tensor` divided by its norm along `axis`, that norm with the axes kept)."""
    with name_scope(name, "normalize", [tensor]):
        tensor = convert.convert_to_tensor(tensor)
        size = norms.norm(tensor, ord=ord, axis=axis, keepdims=True)
        size = casting.cast(size, tensor.dtype)
        return tensor / size, size


def _precision(a: Tensor) -> Tensor:
    """The rounding error of the dtype times the longer side."""
    sides = casting.cast(shaping.shape(a)[-2:], a.dtype.real_dtype)
    found: Tensor = reduction.reduce_max(sides) * np.finfo(a.dtype.as_numpy_dtype).eps
    return found


def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The Moore-Penrose pseudoinverse [..., n, m] of matrices [..., m, n].

    Singular values up to `rcond` times the largest count as zero; 10 times the rounding error where None.
    """
    with name_scope(name, "pinv", [a]):
        a = convert.convert_to_tensor(a, name="a")
        _check_floating(a)
        limit = 10 * _precision(a) if rcond is None else casting.cast(rcond, a.dtype.real_dtype)
        s, u, v = decompositions.svd(a)
        least = shaping.expand_dims(limit * reduction.reduce_max(s, -1), -1)
        inverse = division.div_no_nan(casting.cast(s > least, s.dtype), s)
        scaled = v * casting.cast(shaping.expand_dims(inverse, -2), v.dtype)
        return matmul.matmul(scaled, u, adjoint_b=True)


def _check_floating(a: Tensor) -> None:
    if not (a.dtype.is_floating or a.dtype.is_complex):
        raise TypeError(f"Input `a` must have `float`-like `dtype` (saw {a.dtype.name}).")


def matrix_rank(
    a: Any, tol: Any = None, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """How many singular values of each matrix are greater than `tol` (the rounding error where None): int32."""
    with name_scope(name, "matrix_rank", [a]):
        a = convert.convert_to_tensor(a, name="a")
        _check_floating(a)
        s = decompositions.svd(a, compute_uv=False)
        if tol is None:
            tol = _precision(a) * reduction.reduce_max(s, -1, keepdims=True)
        found: Tensor = reduction.reduce_sum(casting.cast(s > tol, dtypes.int32), -1)
        return found


def _parts(lower_upper: Any) -> tuple[Tensor, Tensor]:
    lu = convert.convert_to_tensor(lower_upper, name="lower_upper")
    return matrix_functions.triangles(lu)


def _rows(x: Tensor, perm: Tensor) -> Tensor:
    return indexing.gather(x, perm, batch_dims=(perm.shape.rank or 1) - 1, axis=-2)


def lu_solve(
    lower_upper: Any, perm: Any, rhs: Any, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """x with A · x = rhs, A as `lu` took it apart."""
    with name_scope(name, "lu_solve"):
        perm = convert.convert_to_tensor(perm, dtypes.int32)
        rhs = convert.convert_to_tensor(rhs)
        lower, upper = _parts(lower_upper)
        inner = linear_systems.matrix_triangular_solve(lower, _rows(rhs, perm), lower=True)
        return linear_systems.matrix_triangular_solve(upper, inner, lower=False)


def lu_reconstruct(
    lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """The matrix that `lu` took apart."""
    with name_scope(name, "lu_reconstruct"):
        perm = convert.convert_to_tensor(perm, dtypes.int32)
        return _rows(matmul.matmul(*_parts(lower_upper)), sorting.argsort(perm))


def lu_matrix_inverse(
    lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """The inverse of the matrix that `lu` took apart."""
    with name_scope(name, "lu_matrix_inverse"):
        lu = convert.convert_to_tensor(lower_upper)
        eye = diagonals.eye(
            shaping.shape(lu)[-1], dtype=lu.dtype, batch_shape=shaping.shape(lu)[:-2]
        )
        return lu_solve(lu, perm, eye)


def _bands(diagonals_: Any, form: str) -> tuple[Tensor, Tensor, Tensor]:
    """The diagonals above, on and below the main one, each [..., n]."""
    if form == "compact":
        given = convert.convert_to_tensor(diagonals_, name="diagonals")
        return given[..., 0, :], given[..., 1, :], given[..., 2, :]
    if form == "sequence":
        if len(diagonals_) != 3:
            raise ValueError("Expected diagonals to be a sequence of length 3.")
        main = convert.convert_to_tensor(diagonals_[1])
        above, below = (convert.convert_to_tensor(diagonals_[i], main.dtype) for i in (0, 2))
        none = constants.zeros_like(main[..., :1])
        if above.shape[-1].value is not None and above.shape[-1] == main.shape[-1] - 1:
            above = joining.concat([above, none], -1)
            below = joining.concat([none, below], -1)
        return above, main, below
    if form == "matrix":
        whole = convert.convert_to_tensor(diagonals_, name="diagonals")
        main = diagonals.matrix_diag_part(whole)
        none = constants.zeros_like(main[..., :1])
        above = diagonals.matrix_diag_part(whole[..., :-1, 1:])
        below = diagonals.matrix_diag_part(whole[..., 1:, :-1])
        return joining.concat([above, none], -1), main, joining.concat([none, below], -1)
    raise ValueError(f"Unrecognized diagonals_format: {form}")


def _transposed(x: Tensor) -> Tensor:
    return diagonals.matrix_transpose(x)


def tridiagonal_matmul(
    diagonals: Any, rhs: Any, diagonals_format: str = "compact", name: str | None = None
) -> Tensor:
    """The product of matrices of three diagonals and `rhs` [..., n, k].

    `diagonals_format` is "compact" [..., 3, n], "sequence" (above, on, below) or "matrix" [..., n, n].
    """
    with name_scope(name, "tridiagonal_matmul", [rhs]):
        bands = [shaping.expand_dims(band, -2) for band in _bands(diagonals, diagonals_format)]
        found: Tensor = matrix_functions.tridiagonal_mat_mul_op(*bands, rhs)
        return found


def tridiagonal_solve(
    diagonals: Any, rhs: Any, diagonals_format: str = "compact", transpose_rhs: bool = False,
    conjugate_rhs: bool = False, name: str | None = None, partial_pivoting: bool = True,
    perturb_singular: bool = False,
) -> Tensor:  # fmt: skip
    """x with A · x = rhs for matrices A of three diagonals; `rhs` is [..., n] or [..., n, k]."""
    with name_scope(name, "tridiagonal_solve", [rhs]):
        bands = joining.stack(list(_bands(diagonals, diagonals_format)), axis=-2)
        rhs = convert.convert_to_tensor(rhs, bands.dtype)
        rhs = elementwise.conj_of(rhs) if conjugate_rhs else rhs
        is_vector = rhs.shape.rank is not None and rhs.shape.rank == (bands.shape.rank or 0) - 1
        if is_vector:
            rhs = shaping.expand_dims(rhs, -1)
        elif transpose_rhs:
            rhs = _transposed(rhs)
        found = matrix_functions.tridiagonal_solve_op(
            bands, rhs, partial_pivoting=partial_pivoting, perturb_singular=perturb_singular
        )
        return shaping.squeeze(found, [-1]) if is_vector else found


def polyval(coeffs: Any, x: Any, name: str | None = None) -> Tensor:
    """The polynomial with the list `coeffs`, the highest power first, at each element of `x`.

    Raises ValueError when `coeffs` is no list.
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    with name_scope(name, "polyval", [x]):
        x = convert.convert_to_tensor(x, name="x")
        if not coeffs:
            return constants.zeros_like(x)
        given = [
            convert.convert_to_tensor(
                c, name=f"coeff_{i}", dtype=None if hasattr(c, "dtype") else x.dtype
            )
            for i, c in enumerate(coeffs)
        ]
        total: Tensor = given[0]
        for coefficient in given[1:]:
            total = coefficient + total * x
        return total


def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """1 / x, and 0 where x is 0."""
    with name_scope(name, "reciprocal_no_nan", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        one = constants.constant(1, dtype=x.dtype.base_dtype, name="one")
        return division.div_no_nan_op(one, x, name=scope)  # type: ignore[no-any-return]
