"""Operators that their sizes make, but for a factor: identities and zeros. Functions over operations."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.model.linear_operators.base import LinearOperator
from ckpt.model.linear_operators.products import argument, no_zeros, real_part
from ckpt.ops import (
    assertions,
    casting,
    constants,
    control,
    diagonals,
    elementwise,
    joining,
    partitioning,
    shaping,
)


class _Sized(LinearOperator):
    """A matrix that its sizes alone make, but for a factor."""

    def __init__(self, rows: Any, columns: Any, batch: Any, dtype: Any, name: str, **hints: Any) -> None:  # fmt: skip
        super().__init__(dtype, name=name, **hints)
        self._row_count = _whole(rows, "num_rows")
        self._column_count = self._row_count if columns is None else _whole(columns, "num_columns")
        self._batch = None if batch is None else convert.convert_to_tensor(batch, dtypes.int32)

    def _shape(self) -> TensorShape:
        batch = TensorShape([]) if self._batch is None else constant_value_as_shape(self._batch)
        known = [constant_value(n) for n in (self._row_count, self._column_count)]
        return batch.concatenate([None if n is None else int(n) for n in known])

    def _shape_tensor(self) -> Tensor:
        sizes = joining.stack([self._row_count, self._column_count])
        return sizes if self._batch is None else joining.concat([self._batch, sizes], 0)

    def _spread(self, x: Tensor) -> Tensor:
        """`x` with the batch of the operator in front."""
        if self._batch is None:
            return x
        batch = partitioning.broadcast_dynamic_shape(self._batch, shaping.shape(x)[:-2])
        return shaping.broadcast_to(x, joining.concat([batch, shaping.shape(x)[-2:]], 0))


def _whole(value: Any, what: str) -> Tensor:
    tensor = convert.convert_to_tensor(value, name=what)
    if not tensor.dtype.is_integer:
        raise TypeError(f"Argument `{what}` must be integer type. Found: {value}")
    if tensor.shape.rank not in (None, 0):
        raise ValueError(f"Argument `{what}` must be a 0-D Tensor. Found: {value}")
    known = constant_value(tensor)
    if known is not None and known < 0:
        raise ValueError(f"Argument `{what}` must be non-negative. Found: {value}")
    return casting.cast(tensor, dtypes.int32)


class LinearOperatorIdentity(_Sized):
    """The identity matrix [*batch_shape, n, n]. Raises ValueError for hints that it does not fulfil."""

    def __init__(
        self, num_rows: Any, batch_shape: Any = None, dtype: Any = None, is_non_singular: bool | None = True,
        is_self_adjoint: bool | None = True, is_positive_definite: bool | None = True,
        is_square: bool | None = True, assert_proper_shapes: bool = False, name: str = "LinearOperatorIdentity",
    ) -> None:  # fmt: skip
        for hint, value in (("self adjoint", is_self_adjoint), ("square", is_square), ("non-singular", is_non_singular),
                            ("positive-definite", is_positive_definite)):  # fmt: skip
            if value is False:
                raise ValueError(f"An identity operator is always {hint}.")
        with name_scope(name):
            super().__init__(
                num_rows, None, batch_shape, dtype or dtypes.float32, name, is_non_singular=True,
                is_self_adjoint=True, is_positive_definite=True, is_square=True,
            )  # fmt: skip

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._spread(argument(x, adjoint_arg))

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._matmul(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _to_dense(self) -> Tensor:
        return diagonals.eye(self._row_count, batch_shape=self._batch, dtype=self.dtype)

    def _ones(self) -> Tensor:
        return constants.ones(self.shape_tensor()[:-1], self.dtype)

    def _diag_part(self) -> Tensor:
        return self._ones()

    _eigvals = _diag_part

    def _one_each(self) -> Tensor:
        return constants.ones(self.batch_shape_tensor(), self.dtype)

    _determinant = _one_each

    def _cond(self) -> Tensor:
        return constants.ones(self.batch_shape_tensor(), self.dtype.real_dtype)

    def _log_abs_determinant(self) -> Tensor:
        return constants.zeros(self.batch_shape_tensor(), self.dtype)

    def _trace(self) -> Tensor:
        return self._one_each() * casting.cast(self._row_count, self.dtype)  # type: ignore[no-any-return]

    def _inverse(self) -> LinearOperator:
        return self

    _cholesky = _inverse

    def matmul(self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "matmul") -> Any:  # fmt: skip
        """x, with the batch of the operator; another operator as it is."""
        if isinstance(x, LinearOperator) and self._batch is None:
            self.domain_dimension.assert_is_compatible_with(x.range_dimension)
            return x.adjoint() if adjoint_arg else x
        return super().matmul(x, adjoint=adjoint, adjoint_arg=adjoint_arg, name=name)

    def _assert_non_singular(self) -> Any:
        return control.no_op("assert_non_singular")

    _assert_positive_definite = _assert_self_adjoint = _assert_non_singular


class LinearOperatorScaledIdentity(_Sized):
    """`multiplier` [...] times the identity matrix [n, n]."""

    def __init__(
        self, num_rows: Any, multiplier: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = True, assert_proper_shapes: bool = False, name: str = "LinearOperatorScaledIdentity",
    ) -> None:  # fmt: skip
        if is_square is False:
            raise ValueError("A ScaledIdentity operator is always square.")
        with name_scope(name):
            self._multiplier = convert.convert_to_tensor(multiplier, name="multiplier")
            if not self._multiplier.dtype.is_complex:
                if is_self_adjoint is False:
                    raise ValueError("A real diagonal operator is always self adjoint.")
                is_self_adjoint = True
            super().__init__(
                num_rows, None, None, self._multiplier.dtype, name, is_non_singular=is_non_singular,
                is_self_adjoint=is_self_adjoint, is_positive_definite=is_positive_definite, is_square=True,
            )  # fmt: skip

    @property
    def multiplier(self) -> Tensor:
        """The factor."""
        return self._multiplier

    def _shape(self) -> TensorShape:
        rows = constant_value(self._row_count)
        size = None if rows is None else int(rows)
        return self._multiplier.shape.concatenate([size, size])

    def _shape_tensor(self) -> Tensor:
        sizes = joining.stack([self._row_count, self._row_count])
        return joining.concat([shaping.shape(self._multiplier), sizes], 0)

    def _factor(self, adjoint: bool) -> Tensor:
        factor = elementwise.conj_of(self._multiplier) if adjoint else self._multiplier
        return factor[..., None, None]  # type: ignore[no-any-return]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return argument(x, adjoint_arg) * self._factor(adjoint)  # type: ignore[no-any-return]

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return argument(rhs, adjoint_arg) / self._factor(adjoint)  # type: ignore[no-any-return]

    def _count(self, dtype: Any) -> Tensor:
        return casting.cast(self._row_count, dtype)

    def _diag_part(self) -> Tensor:
        ones = constants.ones(joining.stack([self._row_count]), self.dtype)
        return self._multiplier[..., None] * ones  # type: ignore[no-any-return]

    _eigvals = _diag_part

    def _to_dense(self) -> Tensor:
        return diagonals.matrix_diag(self._diag_part())

    def _trace(self) -> Tensor:
        return self._multiplier * self._count(self.dtype)  # type: ignore[no-any-return]

    def _determinant(self) -> Tensor:
        return elementwise.pow_(self._multiplier, self._count(self.dtype))

    def _log_abs_determinant(self) -> Tensor:
        sizes = elementwise.abs_(self._multiplier)
        return self._count(sizes.dtype) * elementwise.log(sizes)  # type: ignore[no-any-return]

    def _cond(self) -> Tensor:
        return constants.ones_like(self._multiplier, dtype=self.dtype.real_dtype)

    def _made(self, multiplier: Tensor, is_definite: bool | None) -> LinearOperator:
        return LinearOperatorScaledIdentity(
            self._row_count, multiplier, is_non_singular=self._non_singular, is_self_adjoint=self._self_adjoint,
            is_positive_definite=is_definite, is_square=True,
        )  # fmt: skip

    def _adjoint(self) -> LinearOperator:
        return self if self._self_adjoint else self._made(elementwise.conj_of(self._multiplier), self._definite)  # fmt: skip

    def _inverse(self) -> LinearOperator:
        return self._made(1.0 / self._multiplier, self._definite)

    def _cholesky(self) -> LinearOperator:
        return self._made(elementwise.sqrt(self._multiplier), True)

    def _assert_non_singular(self) -> Any:
        return no_zeros(self._multiplier, "LinearOperator was singular")

    def _assert_positive_definite(self) -> Any:
        return assertions.assert_positive(real_part(self._multiplier), message="LinearOperator was not positive definite.")  # fmt: skip

    def _assert_self_adjoint(self) -> Any:
        if not self._multiplier.dtype.is_complex:
            return control.no_op()
        return assertions.assert_equal(self._multiplier, elementwise.conj_of(self._multiplier), message="LinearOperator was not self-adjoint")  # fmt: skip


class LinearOperatorZeros(_Sized):
    """A matrix [*batch_shape, rows, columns] of zeros."""

    def __init__(
        self, num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = None,
        is_non_singular: bool | None = False, is_self_adjoint: bool | None = True,
        is_positive_definite: bool | None = False, is_square: bool | None = True,
        assert_proper_shapes: bool = False, name: str = "LinearOperatorZeros",
    ) -> None:  # fmt: skip
        if is_non_singular:
            raise ValueError("A zeros operator is always non-invertible.")
        if is_positive_definite:
            raise ValueError("A zeros operator is always not positive-definite.")
        with name_scope(name):
            super().__init__(
                num_rows, num_columns, batch_shape, dtype or dtypes.float32, name, is_non_singular=False,
                is_self_adjoint=is_self_adjoint, is_positive_definite=False, is_square=is_square,
            )  # fmt: skip

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        x = argument(x, adjoint_arg)
        rows = self._column_count if adjoint else self._row_count
        batch = shaping.shape(x)[:-2]
        if self._batch is not None:
            batch = partitioning.broadcast_dynamic_shape(self._batch, batch)
        sizes = joining.concat([batch, joining.stack([rows]), shaping.shape(x)[-1:]], 0)
        return constants.zeros(sizes, self.dtype)

    def _to_dense(self) -> Tensor:
        return constants.zeros(self.shape_tensor(), self.dtype)

    def _diag_part(self) -> Tensor:
        least = elementwise.minimum(self._row_count, self._column_count)
        sizes = joining.concat([self.batch_shape_tensor(), joining.stack([least])], 0)
        return constants.zeros(sizes, self.dtype)

    _eigvals = _diag_part

    def _nothing(self) -> Tensor:
        return constants.zeros(self.batch_shape_tensor(), self.dtype)

    _trace = _determinant = _nothing

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        return self._spread(x)

    def _assert_non_singular(self) -> Any:
        raise InvalidArgumentError(None, None, "Zeros operators are always non-invertible.")  # fmt: skip

    def _assert_positive_definite(self) -> Any:
        raise InvalidArgumentError(None, None, "Zeros operators are always non-positive definite.")  # fmt: skip

    def _assert_self_adjoint(self) -> Any:
        return control.no_op("assert_self_adjoint")
