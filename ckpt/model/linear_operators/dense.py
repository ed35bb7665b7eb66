"""Operators all of whose elements are kept: any matrix, and lower triangular ones. Knows no kernel."""

from __future__ import annotations

from typing import Any

from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.linear_operators.base import LinearOperator
from ckpt.model.linear_operators.products import argument, dense_product, no_zeros, on_one_batch
from ckpt.ops import diagonals, elementwise, linear_systems, reduction, shaping


class LinearOperatorFullMatrix(LinearOperator):
    """A matrix [..., rows, columns] all of whose elements are kept."""

    def __init__(
        self, matrix: Any, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str = "LinearOperatorFullMatrix",
    ) -> None:  # fmt: skip
        with name_scope(name):
            self._matrix = convert.convert_to_tensor(matrix, name="matrix")
            if self._matrix.shape.rank is not None and self._matrix.shape.rank < 2:
                raise ValueError(f"Argument `matrix` must have at least 2 dimensions. Found: {self._matrix}")  # fmt: skip
            super().__init__(
                self._matrix.dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=is_square, name=name,
            )  # fmt: skip

    @property
    def matrix(self) -> Tensor:
        """The matrix."""
        return self._matrix

    def _shape(self) -> TensorShape:
        return self._matrix.shape

    def _shape_tensor(self) -> Tensor:
        return shaping.shape(self._matrix)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return dense_product(self._matrix, x, adjoint, adjoint_arg)

    def _to_dense(self) -> Tensor:
        return self._matrix


class LinearOperatorLowerTriangular(LinearOperator):
    """A lower triangular matrix; what is above the diagonal of `tril` [..., n, n] is not looked at."""

    def __init__(
        self, tril: Any, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str = "LinearOperatorLowerTriangular",
    ) -> None:  # fmt: skip
        if is_square is False:
            raise ValueError("Only square lower triangular operators supported at this time.")
        with name_scope(name):
            self._given = convert.convert_to_tensor(tril, name="tril")
            self._tril = diagonals.matrix_band_part(self._given, -1, 0)
            super().__init__(
                self._tril.dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=True, name=name,
            )  # fmt: skip

    @property
    def tril(self) -> Tensor:
        """The lower triangular matrix."""
        return self._tril

    def _shape(self) -> TensorShape:
        return self._tril.shape

    def _shape_tensor(self) -> Tensor:
        return shaping.shape(self._tril)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return dense_product(self._tril, x, adjoint, adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = argument(rhs, adjoint_arg)
        tril, rhs = on_one_batch(self._tril, rhs)
        return linear_systems.matrix_triangular_solve(tril, rhs, lower=True, adjoint=adjoint)

    def _to_dense(self) -> Tensor:
        return self._tril

    def _determinant(self) -> Tensor:
        return reduction.reduce_prod(self._diag_part(), axis=-1)  # type: ignore[no-any-return]

    def _log_abs_determinant(self) -> Tensor:
        return reduction.reduce_sum(elementwise.log(elementwise.abs_(self._diag_part())), axis=-1)  # type: ignore[no-any-return]

    def _eigvals(self) -> Tensor:
        return self._diag_part()

    def _assert_non_singular(self) -> Any:
        return no_zeros(self._diag_part(), "Singular operator: Diagonal contained zero values.")
