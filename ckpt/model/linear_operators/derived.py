"""What comes of other operators: adjoints, inverses, products. Functions over operations; knows no kernel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from operator import add, mul
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


class OfSeveral(LinearOperator):
    """What is made of operators. A hint that the caller leaves open is True where it is `shared` and all of them have it."""

    def __init__(
        self, operators: Sequence[LinearOperator], hints: Mapping[str, bool | None], shared: Collection[str],
        mark: str, name: str | None,
    ) -> None:  # fmt: skip
        self._operators = operators = checked_operators(operators)

        def hint(key: str, given: bool | None) -> bool | None:
            is_open = given is None and key in shared
            return True if is_open and all(getattr(o, key) for o in operators) else given

        super().__init__(
            operators[0].dtype,
            **{key: hint(key, given) for key, given in hints.items()},
            name=name or f"_{mark}_".join(o.name for o in operators),
        )

    @property
    def operators(self) -> list[LinearOperator]:
        """The operators that this one is made of, in order."""
        return self._operators

    def _are_square(self) -> bool:
        return all(operator.is_square for operator in self._operators)


def static_batch(operators: Sequence[LinearOperator]) -> TensorShape:
    """The sizes in front of the matrices, broadcast, as far as they are known."""
    return reduce(partitioning.broadcast_static_shape, [o.batch_shape for o in operators])


def batch_tensor(operators: Sequence[LinearOperator]) -> Tensor:
    """The sizes in front of the matrices, broadcast."""
    sizes = (operator.batch_shape_tensor() for operator in operators)
    return reduce(partitioning.broadcast_dynamic_shape, sizes)


def added(parts: Sequence[Tensor]) -> Tensor:
    """Their sum, from left to right."""
    return reduce(add, parts)


def multiplied(parts: Sequence[Tensor]) -> Tensor:
    """Their product, from left to right."""
    return reduce(mul, parts)


class LinearOperatorComposition(OfSeveral):
    """The product of operators, the last of which acts first. Raises ValueError for sizes that do not fit."""

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        hints = {
            "is_non_singular": is_non_singular, "is_self_adjoint": is_self_adjoint,
            "is_positive_definite": is_positive_definite, "is_square": is_square,
        }  # fmt: skip
        super().__init__(operators, hints, ("is_non_singular", "is_square"), "o", name)
        for left, right in pairwise(self._operators):
            left.domain_dimension.assert_is_compatible_with(right.range_dimension)

    def _shape(self) -> TensorShape:
        sizes = [self._operators[0].range_dimension, self._operators[-1].domain_dimension]
        return static_batch(self._operators).concatenate(TensorShape(sizes))

    def _shape_tensor(self) -> Tensor:
        batch = batch_tensor(self._operators)
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

    def _determinant(self) -> Tensor:
        if not self._are_square():
            return super()._determinant()
        return multiplied([operator._determinant() for operator in self._operators])

    def _log_abs_determinant(self) -> Tensor:
        if not self._are_square():
            return super()._log_abs_determinant()
        return added([operator._log_abs_determinant() for operator in self._operators])
