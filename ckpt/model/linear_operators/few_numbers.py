"""Operators of which few numbers are kept: diagonals, reflections, permutations, bands.

Functions over operations; knows no kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.model import matrices
from ckpt.model.linear_operators.base import LinearOperator
from ckpt.model.linear_operators.products import (
    argument,
    dense_product,
    no_zeros,
    on_one_batch,
    real_part,
)
from ckpt.ops import (
    assertions,
    casting,
    compare,
    constants,
    control,
    diagonals,
    elementwise,
    indexing,
    joining,
    matmul,
    norms,
    reduction,
    shaping,
    sorting,
)


def _rows(x: Tensor) -> Tensor:
    """One number for each row, as a column."""
    return shaping.expand_dims(x, axis=-1)


def _needs_square(is_square: bool | None, what: str) -> None:
    if is_square is False:
        raise ValueError(f"Only square {what} operators currently supported.")


class LinearOperatorDiag(LinearOperator):
    """A matrix with `diag` [..., n] on its diagonal and zeros elsewhere."""

    def __init__(
        self, diag: Any, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None, name: str = "LinearOperatorDiag",
    ) -> None:  # fmt: skip
        _needs_square(is_square, "diagonal")
        with name_scope(name):
            self._diag = convert.convert_to_tensor(diag, name="diag")
            if self._diag.shape.rank == 0:
                raise ValueError(f"Argument diag must have at least 1 dimension. Found: {diag}")
            if not self._diag.dtype.is_complex:
                if is_self_adjoint is False:
                    raise ValueError("A real diagonal operator is always self adjoint.")
                is_self_adjoint = True
            super().__init__(
                self._diag.dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=True, name=name,
            )  # fmt: skip

    @property
    def diag(self) -> Tensor:
        """The diagonal."""
        return self._diag

    def _shape(self) -> TensorShape:
        shape = self._diag.shape
        return shape if shape.rank is None else shape.concatenate(shape[-1:])

    def _shape_tensor(self) -> Tensor:
        shape = shaping.shape(self._diag)
        return joining.concat([shape, shape[-1:]], 0)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        diag = elementwise.conj_of(self._diag) if adjoint else self._diag
        return _rows(diag) * argument(x, adjoint_arg)  # type: ignore[no-any-return]

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        diag = elementwise.conj_of(self._diag) if adjoint else self._diag
        return argument(rhs, adjoint_arg) * _rows(elementwise.reciprocal(diag))  # type: ignore[no-any-return]

    def _to_dense(self) -> Tensor:
        return diagonals.matrix_diag(self._diag)

    def _diag_part(self) -> Tensor:
        return self._diag

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        return diagonals.matrix_set_diag(x, diagonals.matrix_diag_part(x) + self._diag)

    def _determinant(self) -> Tensor:
        return reduction.reduce_prod(self._diag, axis=-1)  # type: ignore[no-any-return]

    def _log_abs_determinant(self) -> Tensor:
        logs = elementwise.log(elementwise.abs_(self._diag))
        return reduction.reduce_sum(logs, axis=-1)  # type: ignore[no-any-return]

    def _eigvals(self) -> Tensor:
        return self._diag

    def _cond(self) -> Tensor:
        sizes = elementwise.abs_(self._diag)
        return reduction.reduce_max(sizes, axis=-1) / reduction.reduce_min(sizes, axis=-1)  # type: ignore[no-any-return]

    def _adjoint(self) -> LinearOperator:
        if self._self_adjoint:
            return self
        return LinearOperatorDiag(
            elementwise.conj_of(self._diag), is_non_singular=self._non_singular, is_square=True
        )

    def _inverse(self) -> LinearOperator:
        return LinearOperatorDiag(
            1.0 / self._diag, is_non_singular=self._non_singular, is_self_adjoint=self._self_adjoint,
            is_positive_definite=self._definite, is_square=True,
        )  # fmt: skip

    def _cholesky(self) -> LinearOperator:
        return LinearOperatorDiag(elementwise.sqrt(self._diag), is_non_singular=True, is_self_adjoint=True, is_positive_definite=True, is_square=True)  # fmt: skip

    def _assert_non_singular(self) -> Any:
        return no_zeros(self._diag, "Singular operator: Diagonal contained zero values.")

    def _assert_positive_definite(self) -> Any:
        real = real_part(self._diag)
        text = "Operator is not positive definite: diagonal contained non-positive values."
        return assertions.assert_positive(real, message=text)

    def _assert_self_adjoint(self) -> Any:
        if not self._diag.dtype.is_complex:
            return control.no_op()
        text = "This diagonal operator contained non-zero imaginary values. Thus it was not self-adjoint."
        return assertions.assert_equal(self._diag, elementwise.conj_of(self._diag), message=text)


class LinearOperatorHouseholder(LinearOperator):
    """The reflection I - 2 v vᴴ at the plane that is orthogonal to `reflection_axis` [..., n], v being its unit vector."""

    def __init__(
        self, reflection_axis: Any, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str = "LinearOperatorHouseholder",
    ) -> None:  # fmt: skip
        for hint, value in (("square", is_square), ("self adjoint", is_self_adjoint), ("non-singular", is_non_singular)):  # fmt: skip
            if value is False:
                raise ValueError(f"A Householder operator is always {hint}.")
        if is_positive_definite:
            raise ValueError("A Householder operator is always non-positive definite.")
        with name_scope(name):
            self._axis = convert.convert_to_tensor(reflection_axis, name="reflection_axis")
            if self._axis.shape.rank == 0:
                raise ValueError("Argument reflection_axis must have at least 1 dimension.")
            super().__init__(
                self._axis.dtype, is_non_singular=True, is_self_adjoint=True, is_positive_definite=False,
                is_square=True, name=name,
            )  # fmt: skip

    @property
    def reflection_axis(self) -> Tensor:
        """The direction that is reversed, of any length."""
        return self._axis

    def _shape(self) -> TensorShape:
        shape = self._axis.shape
        return shape if shape.rank is None else shape.concatenate(shape[-1:])

    def _shape_tensor(self) -> Tensor:
        shape = shaping.shape(self._axis)
        return joining.concat([shape, shape[-1:]], 0)

    def _unit(self) -> Tensor:
        length = norms.norm(self._axis, axis=-1, keepdims=True)
        return self._axis / casting.cast(length, self.dtype)  # type: ignore[no-any-return]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        x = argument(x, adjoint_arg)
        unit = _rows(self._unit())
        return x - 2 * unit * matmul.matmul(unit, x, adjoint_a=True)  # type: ignore[no-any-return]

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._matmul(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _trace(self) -> Tensor:
        size = casting.cast(self.domain_dimension_tensor(), self.dtype)
        return constants.ones(self.batch_shape_tensor(), self.dtype) * (size - 2)  # type: ignore[no-any-return]

    def _determinant(self) -> Tensor:
        return -constants.ones(self.batch_shape_tensor(), self.dtype)  # type: ignore[no-any-return]

    def _log_abs_determinant(self) -> Tensor:
        return constants.zeros(self.batch_shape_tensor(), self.dtype)

    def _cond(self) -> Tensor:
        return constants.ones(self.batch_shape_tensor(), self.dtype.real_dtype)

    def _eigvals(self) -> Tensor:
        ones = constants.ones_like(self._axis)
        return joining.concat([-ones[..., :1], ones[..., 1:]], axis=-1)

    def _diag_part(self) -> Tensor:
        unit = self._unit()
        return 1 - 2 * unit * elementwise.conj_of(unit)  # type: ignore[no-any-return]

    def _inverse(self) -> LinearOperator:
        return self

    def _assert_non_singular(self) -> Any:
        return control.no_op("assert_non_singular")

    _assert_self_adjoint = _assert_non_singular

    def _assert_positive_definite(self) -> Any:
        raise InvalidArgumentError(None, None, "Householder operators are always non-positive definite.")  # fmt: skip


class LinearOperatorPermutation(LinearOperator):
    """The matrix whose product has row `perm[i]` of its argument as row i; `perm` [..., n] holds 0 … n - 1 once each."""

    def __init__(
        self, perm: Any, dtype: Any = dtypes.float32, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorPermutation",
    ) -> None:  # fmt: skip
        if is_non_singular is False or is_square is False:
            raise ValueError("A Permutation operator is always non-singular and square.")
        with name_scope(name):
            self._perm = convert.convert_to_tensor(perm, name="perm")
            self._check()
            super().__init__(
                dtype, is_non_singular=True, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=True, name=name,
            )  # fmt: skip

    def _check(self) -> None:
        if self._perm.shape.rank == 0:
            raise ValueError(f"Argument perm must have at least 1 dimension. Found: {self._perm}")
        if not self._perm.dtype.is_integer:
            raise TypeError(f"Argument perm must be integer dtype. Found: {self._perm}")
        known = constant_value(self._perm)
        if known is not None and (np.sort(known, axis=-1) != np.arange(np.shape(known)[-1])).any():
            raise ValueError(f"Argument perm must be a vector of unique integers from 0 to {np.shape(known)[-1] - 1}.")  # fmt: skip

    @property
    def perm(self) -> Tensor:
        """Which row of the argument each row of the product is."""
        return self._perm

    def _shape(self) -> TensorShape:
        shape = self._perm.shape
        return shape if shape.rank is None else shape.concatenate(shape[-1:])

    def _shape_tensor(self) -> Tensor:
        shape = shaping.shape(self._perm)
        return joining.concat([shape, shape[-1:]], 0)

    def _to_dense(self) -> Tensor:
        places = indexing.range_(shaping.shape(self._perm)[-1])
        found = compare.equal(_rows(self._perm), casting.cast(places, self._perm.dtype))
        return casting.cast(found, self.dtype)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        if self._perm.shape.rank != 1:
            return dense_product(self._to_dense(), x, adjoint, adjoint_arg)
        order = sorting.argsort(self._perm) if adjoint else self._perm
        return indexing.gather(argument(x, adjoint_arg), order, axis=-2)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._matmul(rhs, adjoint=not adjoint, adjoint_arg=adjoint_arg)

    def _log_abs_determinant(self) -> Tensor:
        return constants.zeros(self.batch_shape_tensor(), self.dtype)

    def _cond(self) -> Tensor:
        return constants.ones(self.batch_shape_tensor(), self.dtype.real_dtype)

    def _inverse(self) -> LinearOperator:
        return LinearOperatorPermutation(sorting.argsort(self._perm), self.dtype)

    def _adjoint(self) -> LinearOperator:
        return self._inverse()

    def _assert_non_singular(self) -> Any:
        return control.no_op("assert_non_singular")


class LinearOperatorTridiag(LinearOperator):
    """A matrix with zeros everywhere but on its diagonal and its two neighbours, in one of three formats.

    `compact`: [..., 3, n] with the upper, the main and the lower diagonal; `sequence`: those three as a list;
    `matrix`: [..., n, n]. Raises ValueError for other formats.
    """

    def __init__(
        self, diagonals: Any, diagonals_format: str = "compact", is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorTridiag",
    ) -> None:  # fmt: skip
        if diagonals_format not in ("compact", "matrix", "sequence"):
            raise ValueError(f"Argument `diagonals_format` must be one of compact, matrix, or sequence. Found : {diagonals_format}")  # fmt: skip
        _needs_square(is_square, "tridiagonal")
        with name_scope(name):
            if diagonals_format == "sequence":
                self._bands: Any = [
                    convert.convert_to_tensor(d, name="diagonal") for d in diagonals
                ]
                one = self._bands[1]
            else:
                self._bands = one = convert.convert_to_tensor(diagonals, name="diagonals")
            self._one, self._format = one, diagonals_format
            super().__init__(
                one.dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=True, name=name,
            )  # fmt: skip

    @property
    def diagonals(self) -> Any:
        """The diagonals as they were given."""
        return self._bands

    @property
    def diagonals_format(self) -> str:
        """How they were given."""
        return self._format

    def _shape(self) -> TensorShape:
        shape = self._one.shape
        if self._format == "matrix" or shape.rank is None:
            return shape  # type: ignore[no-any-return]
        batch = shape[:-1] if self._format == "sequence" else shape[:-2]
        return batch.concatenate([shape[-1], shape[-1]])  # type: ignore[no-any-return]

    def _shape_tensor(self) -> Tensor:
        shape = shaping.shape(self._one)
        if self._format == "matrix":
            return shape
        batch = shape[:-1] if self._format == "sequence" else shape[:-2]
        return joining.concat([batch, shape[-1:], shape[-1:]], 0)

    def _to_dense(self) -> Tensor:
        if self._format == "matrix":
            return diagonals.matrix_band_part(self._one, 1, 1)
        bands = self._bands
        if self._format == "sequence":
            bands = joining.stack(bands, axis=-2)
        return diagonals.matrix_diag(bands, k=(-1, 1), align="LEFT_RIGHT")

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        if adjoint:
            return dense_product(self._to_dense(), x, adjoint, adjoint_arg)
        bands, x = self._with_batch_of(argument(x, adjoint_arg))
        return matrices.tridiagonal_matmul(bands, x, diagonals_format=self._given_as())

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        if adjoint:
            return super()._solve(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)
        bands, rhs = self._with_batch_of(argument(rhs, adjoint_arg))
        return matrices.tridiagonal_solve(bands, rhs, diagonals_format=self._given_as())

    def _given_as(self) -> str:
        return "matrix" if self._format == "matrix" else "compact"

    def _with_batch_of(self, x: Tensor) -> list[Tensor]:
        """The diagonals in one tensor, and `x`, with one batch."""
        bands = joining.stack(self._bands, axis=-2) if self._format == "sequence" else self._bands
        return on_one_batch(bands, x)

    def _diag_part(self) -> Tensor:
        if self._format == "matrix":
            return diagonals.matrix_diag_part(self._one)
        return self._bands[1] if self._format == "sequence" else self._bands[..., 1, :]  # type: ignore[no-any-return]
