"""What comes of other operators: adjoints, inverses, products. Functions over operations; knows no kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core.shapes import TensorShape
from ckpt.graph.operation import Tensor
from ckpt.model.linear_operators.base import LinearOperator
from ckpt.ops import elementwise, joining, linear_algebra, partitioning


class _OfOne(LinearOperator):
    """What comes of one operator, with its hints."""

    def __init__(
        self, operator: LinearOperator, is_non_singular: bool | None, is_self_adjoint: bool | None,
        is_positive_definite: bool | None, is_square: bool | None, name: str | None, ending: str,
    ) -> None:  # fmt: skip
        self._operator = operator
        super().__init__(
            operator.dtype,
            is_non_singular=operator.is_non_singular if is_non_singular is None else is_non_singular,
            is_self_adjoint=operator.is_self_adjoint if is_self_adjoint is None else is_self_adjoint,
            is_positive_definite=operator.is_positive_definite if is_positive_definite is None else is_positive_definite,
            is_square=operator.is_square if is_square is None else is_square,
            name=name or f"{operator.name}{ending}",
        )  # fmt: skip

    @property
    def operator(self) -> LinearOperator:
        """The operator that this one comes of."""
        return self._operator


class LinearOperatorAdjoint(_OfOne):
    """The conjugate transpose of an operator."""

    def __init__(
        self, operator: LinearOperator, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            operator, is_non_singular, is_self_adjoint, is_positive_definite, is_square, name, "_adjoint"
        )  # fmt: skip

    def _shape(self) -> TensorShape:
        shape = self._operator.shape
        if shape.rank is None:
            return shape
        *batch, rows, columns = shape.as_list()
        return TensorShape([*batch, columns, rows])

    def _shape_tensor(self) -> Tensor:
        shape = self._operator.shape_tensor()
        return joining.concat([shape[:-2], shape[-1:], shape[-2:-1]], 0)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator._matmul(x, adjoint=not adjoint, adjoint_arg=adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator._solve(rhs, adjoint=not adjoint, adjoint_arg=adjoint_arg)

    def _determinant(self) -> Tensor:
        return elementwise.conj_of(self._operator._determinant())

    def _log_abs_determinant(self) -> Tensor:
        return self._operator._log_abs_determinant()

    def _to_dense(self) -> Tensor:
        return linear_algebra.adjoint(self._operator._to_dense())

    def _diag_part(self) -> Tensor:
        return elementwise.conj_of(self._operator._diag_part())

    def _adjoint(self) -> LinearOperator:
        return self._operator


class LinearOperatorInversion(_OfOne):
    """The inverse of an operator, whose products solve systems. Raises ValueError for hints that there is none."""

    def __init__(
        self, operator: LinearOperator, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        if operator.is_square is False:
            raise ValueError("The inverse of a matrix that is not square is not defined")
        if operator.is_non_singular is False or is_non_singular is False:
            raise ValueError("Operator and its inverse must both have hint `is_non_singular=True`.")
        super().__init__(operator, True, is_self_adjoint, is_positive_definite, is_square, name, "_inv")  # fmt: skip

    def _shape(self) -> TensorShape:
        return self._operator.shape

    def _shape_tensor(self) -> Tensor:
        return self._operator.shape_tensor()

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator._solve(x, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator._matmul(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _determinant(self) -> Tensor:
        return elementwise.reciprocal(self._operator._determinant())  # type: ignore[no-any-return]

    def _log_abs_determinant(self) -> Tensor:
        return -self._operator._log_abs_determinant()  # type: ignore[no-any-return]

    def _cond(self) -> Tensor:
        return self._operator._cond()

    def _inverse(self) -> LinearOperator:
        return self._operator


def checked_operators(operators: Any) -> list[LinearOperator]:
    """The operators as a list. Raises ValueError for none, TypeError for different dtypes."""
    found = list(operators)
    if not found:
        raise ValueError(f"Expected a non-empty list of operators. Found: {operators}")
    different = [o for o in found if o.dtype != found[0].dtype]
    if different:
        names = ", ".join(f"{o.name}: {o.dtype.name}" for o in found)
        raise TypeError(f"Expected all operators to have the same dtype. Found {names}")
    return found


class LinearOperatorComposition(LinearOperator):
    """The product of operators, the last of which acts first. Raises ValueError for sizes that do not fit."""

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        self._operators = checked_operators(operators)
        for left, right in zip(self._operators, self._operators[1:], strict=False):
            left.domain_dimension.assert_is_compatible_with(right.range_dimension)
        if is_non_singular is None and all(o.is_non_singular for o in self._operators):
            is_non_singular = True
        if is_square is None and all(o.is_square for o in self._operators):
            is_square = True
        super().__init__(
            self._operators[0].dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
            is_positive_definite=is_positive_definite, is_square=is_square,
            name=name or "_o_".join(o.name for o in self._operators),
        )  # fmt: skip

    @property
    def operators(self) -> list[LinearOperator]:
        """The operators, the last of which acts first."""
        return self._operators

    def _shape(self) -> TensorShape:
        batch = self._operators[0].batch_shape
        for operator in self._operators[1:]:
            batch = partitioning.broadcast_static_shape(batch, operator.batch_shape)
        sizes = [self._operators[0].range_dimension, self._operators[-1].domain_dimension]
        return batch.concatenate(TensorShape(sizes))

    def _shape_tensor(self) -> Tensor:
        batch = self._operators[0].batch_shape_tensor()
        for operator in self._operators[1:]:
            batch = partitioning.broadcast_dynamic_shape(batch, operator.batch_shape_tensor())
        first, last = self._operators[0].shape_tensor(), self._operators[-1].shape_tensor()
        return joining.concat([batch, first[-2:-1], last[-1:]], 0)

    def _each(self, name: str, x: Tensor, order: Sequence[LinearOperator], adjoint: bool, adjoint_arg: bool) -> Tensor:  # fmt: skip
        for operator in order:
            x = getattr(operator, name)(x, adjoint=adjoint, adjoint_arg=adjoint_arg)
            adjoint_arg = False
        return x

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        order = self._operators if adjoint else self._operators[::-1]
        return self._each("_matmul", x, order, adjoint, adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        order = self._operators[::-1] if adjoint else self._operators
        return self._each("_solve", rhs, order, adjoint, adjoint_arg)

    def _are_square(self) -> bool:
        return all(operator.is_square for operator in self._operators)

    def _determinant(self) -> Tensor:
        if not self._are_square():
            return super()._determinant()
        found = self._operators[0]._determinant()
        for operator in self._operators[1:]:
            found = found * operator._determinant()
        return found

    def _log_abs_determinant(self) -> Tensor:
        if not self._are_square():
            return super()._log_abs_determinant()
        found = self._operators[0]._log_abs_determinant()
        for operator in self._operators[1:]:
            found = found + operator._log_abs_determinant()
        return found
