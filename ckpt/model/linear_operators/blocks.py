"""Operators made of operators: blocks along a diagonal or below it, Kronecker products, updates of low rank.

Functions over operations; knows no kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.linear_operators.base import LinearOperator
from ckpt.model.linear_operators.dense import LinearOperatorLowerTriangular
from ckpt.model.linear_operators.derived import (
    OfSeveral,
    added,
    batch_tensor,
    checked_operators,
    multiplied,
    static_batch,
)
from ckpt.model.linear_operators.products import argument, on_one_batch
from ckpt.ops import (
    casting,
    constants,
    decompositions,
    diagonals,
    elementwise,
    joining,
    linear_algebra,
    linear_systems,
    matmul,
    partitioning,
    reduction,
    shaping,
)


def _summed(shapes: Sequence[TensorShape], places: Sequence[int]) -> list[int | None]:
    """Rows and columns of blocks that stand one after the other."""
    found: list[int | None] = []
    for place in places:
        sizes = [None if s.rank is None else s.as_list()[place] for s in shapes]
        found.append(None if None in sizes else sum(n for n in sizes if n is not None))
    return found


def _shape_tensor(
    operators: Sequence[LinearOperator], together: Callable[[Sequence[Tensor]], Tensor]
) -> Tensor:
    """The shape of what these operators make, whose rows and columns are theirs taken `together`."""
    rows = together([operator.range_dimension_tensor() for operator in operators])
    columns = together([operator.domain_dimension_tensor() for operator in operators])
    return joining.concat([batch_tensor(operators), joining.stack([rows, columns])], 0)


def _cut(x: Tensor, operators: Sequence[LinearOperator], by_rows: bool) -> list[Tensor]:
    """The rows of `x` that belong to each block."""
    known = [o.range_dimension.value if by_rows else o.domain_dimension.value for o in operators]
    if None not in known:
        found: list[Tensor] = joining.split(x, known, axis=-2)
        return found
    sizes = [o.range_dimension_tensor() if by_rows else o.domain_dimension_tensor() for o in operators]  # fmt: skip
    parts: list[Tensor] = joining.split(x, joining.stack(sizes), num=len(sizes), axis=-2)
    return parts


def _below(parts: list[Tensor]) -> Tensor:
    """Matrices one below the other, with one batch."""
    return joining.concat(on_one_batch(*parts), axis=-2)


class LinearOperatorBlockDiag(OfSeveral):
    """Operators as blocks along the diagonal, zeros elsewhere."""

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = True, name: str | None = None,
    ) -> None:  # fmt: skip
        hints = {
            "is_non_singular": is_non_singular, "is_self_adjoint": is_self_adjoint,
            "is_positive_definite": is_positive_definite, "is_square": is_square,
        }  # fmt: skip
        super().__init__(operators, hints, hints, "ds", name)

    def _shape(self) -> TensorShape:
        shapes = [o.shape for o in self._operators]
        return static_batch(self._operators).concatenate(_summed(shapes, (-2, -1)))

    def _shape_tensor(self) -> Tensor:
        return _shape_tensor(self._operators, added)

    def _by_blocks(self, name: str, x: Tensor, adjoint: bool, adjoint_arg: bool, by_rows: bool) -> Tensor:  # fmt: skip
        x = argument(x, adjoint_arg)
        parts = _cut(x, self._operators, by_rows)
        return _below([getattr(o, name)(part, adjoint=adjoint) for o, part in zip(self._operators, parts, strict=True)])  # fmt: skip

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._by_blocks("_matmul", x, adjoint, adjoint_arg, by_rows=adjoint)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._by_blocks("_solve", rhs, adjoint, adjoint_arg, by_rows=not adjoint)

    def _determinant(self) -> Tensor:
        return multiplied([o._determinant() for o in self._operators])

    def _log_abs_determinant(self) -> Tensor:
        return added([o._log_abs_determinant() for o in self._operators])

    def _trace(self) -> Tensor:
        return added([o._trace() for o in self._operators])

    def _along(self, function: Callable[[LinearOperator], Tensor]) -> Tensor:
        parts = [shaping.expand_dims(function(o), axis=-1) for o in self._operators]
        return shaping.squeeze(_below(parts), axis=-1)

    def _diag_part(self) -> Tensor:
        if not self._are_square():
            return super()._diag_part()
        return self._along(lambda o: o._diag_part())

    def _eigvals(self) -> Tensor:
        return self._along(lambda o: o._eigvals())

    def _each(self, name: str) -> LinearOperator:
        return LinearOperatorBlockDiag(
            [getattr(o, name)() for o in self._operators], is_square=self._square
        )

    def _adjoint(self) -> LinearOperator:
        return self if self._self_adjoint else self._each("adjoint")

    def _inverse(self) -> LinearOperator:
        return self._each("inverse")

    def _cholesky(self) -> LinearOperator:
        return self._each("cholesky")


class LinearOperatorBlockLowerTriangular(LinearOperator):
    """Rows of operators, one longer than the one above, as blocks on and below the diagonal."""

    def __init__(
        self, operators: Sequence[Sequence[LinearOperator]], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorBlockLowerTriangular",
    ) -> None:  # fmt: skip
        self._operators = [list(row) for row in operators]
        for place, row in enumerate(self._operators):
            if len(row) != place + 1:
                raise ValueError(f"Argument `operators` must be a jagged list: row {place} has {len(row)} operators, not {place + 1}")  # fmt: skip
        checked_operators([o for row in self._operators for o in row])
        diagonal = [row[-1] for row in self._operators]
        for row in self._operators:
            for operator, above in zip(row, diagonal, strict=False):
                operator.range_dimension.assert_is_compatible_with(row[-1].range_dimension)
                operator.domain_dimension.assert_is_compatible_with(above.domain_dimension)
        if is_non_singular is None and all(o.is_non_singular for o in diagonal):
            is_non_singular = True
        super().__init__(
            diagonal[0].dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
            is_positive_definite=is_positive_definite, is_square=is_square, name=name,
        )  # fmt: skip
        self._diagonal = diagonal

    @property
    def operators(self) -> list[list[LinearOperator]]:
        """The rows of blocks."""
        return self._operators

    def _all(self) -> list[LinearOperator]:
        return [o for row in self._operators for o in row]

    def _shape(self) -> TensorShape:
        shapes = [o.shape for o in self._diagonal]
        return static_batch(self._all()).concatenate(_summed(shapes, (-2, -1)))

    def _shape_tensor(self) -> Tensor:
        rows = added([o.range_dimension_tensor() for o in self._diagonal])
        columns = added([o.domain_dimension_tensor() for o in self._diagonal])
        return joining.concat([batch_tensor(self._all()), joining.stack([rows, columns])], 0)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        x = argument(x, adjoint_arg)
        parts = _cut(x, self._diagonal, by_rows=adjoint)
        count, found = len(parts), []
        for i in range(count):
            pairs = [(self._operators[j][i], parts[j]) for j in range(i, count)] if adjoint else [
                (self._operators[i][j], parts[j]) for j in range(i + 1)
            ]  # fmt: skip
            found.append(added([o._matmul(part, adjoint=adjoint) for o, part in pairs]))
        return _below(found)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = argument(rhs, adjoint_arg)
        parts = _cut(rhs, self._diagonal, by_rows=not adjoint)
        count = len(parts)
        found: dict[int, Tensor] = {}
        for i in range(count - 1, -1, -1) if adjoint else range(count):
            left = parts[i]
            for j, known in found.items():
                block = self._operators[j][i] if adjoint else self._operators[i][j]
                left = left - block._matmul(known, adjoint=adjoint)
            found[i] = self._diagonal[i]._solve(left, adjoint=adjoint)
        return _below([found[i] for i in range(count)])

    def _determinant(self) -> Tensor:
        return multiplied([o._determinant() for o in self._diagonal])

    def _log_abs_determinant(self) -> Tensor:
        return added([o._log_abs_determinant() for o in self._diagonal])

    def _trace(self) -> Tensor:
        return added([o._trace() for o in self._diagonal])


class LinearOperatorKronecker(OfSeveral):
    """The Kronecker product of operators."""

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        hints = {
            "is_non_singular": is_non_singular, "is_self_adjoint": is_self_adjoint,
            "is_positive_definite": is_positive_definite, "is_square": is_square,
        }  # fmt: skip
        super().__init__(operators, hints, hints, "x", name)

    def _shape(self) -> TensorShape:
        sizes: list[int | None] = [1, 1]
        for operator in self._operators:
            own = (operator.range_dimension.value, operator.domain_dimension.value)
            sizes = [
                None if a is None or b is None else a * b for a, b in zip(sizes, own, strict=True)
            ]
        return static_batch(self._operators).concatenate(sizes)

    def _shape_tensor(self) -> Tensor:
        return _shape_tensor(self._operators, multiplied)

    def _to_dense(self) -> Tensor:
        found = self._operators[0]._to_dense()
        for operator in self._operators[1:]:
            found, other = on_one_batch(found, operator._to_dense())
            product = found[..., :, None, :, None] * other[..., None, :, None, :]
            a, b = shaping.shape(found), shaping.shape(other)
            sizes = joining.concat([a[:-2], a[-2:] * b[-2:]], 0)
            known = found.shape[:-2].concatenate([None, None])
            found = shaping.reshape(product, sizes)
            found.set_shape(known)
        found.set_shape(self.shape)
        return found

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return matmul.matmul(self._to_dense(), x, adjoint_a=adjoint, adjoint_b=adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        if not self._are_square():
            return super()._solve(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)
        inverse = LinearOperatorKronecker([o.inverse() for o in self._operators])
        return inverse._matmul(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _others(self, operator: LinearOperator, dtype: Any) -> Tensor:
        """How often the determinant of one factor counts."""
        count = self.domain_dimension_tensor() // operator.domain_dimension_tensor()
        return casting.cast(count, dtype)

    def _determinant(self) -> Tensor:
        if not self._are_square():
            return super()._determinant()
        return multiplied([elementwise.pow_(o._determinant(), self._others(o, o.dtype)) for o in self._operators])  # fmt: skip

    def _log_abs_determinant(self) -> Tensor:
        if not self._are_square():
            return super()._log_abs_determinant()
        logs = [o._log_abs_determinant() for o in self._operators]
        return added([log * self._others(o, log.dtype) for o, log in zip(self._operators, logs, strict=True)])  # fmt: skip

    def _trace(self) -> Tensor:
        if not self._are_square():
            return super()._trace()
        return multiplied([o._trace() for o in self._operators])

    def _each(self, name: str) -> LinearOperator:
        return LinearOperatorKronecker([getattr(o, name)() for o in self._operators])

    def _adjoint(self) -> LinearOperator:
        return self if self._self_adjoint else self._each("adjoint")

    def _inverse(self) -> LinearOperator:
        return self._each("inverse")

    def _cholesky(self) -> LinearOperator:
        return self._each("cholesky")


class LinearOperatorLowRankUpdate(LinearOperator):
    """L + U D Vᴴ: an operator L plus a product of rank r: U and V are [..., n, r], D is a diagonal [..., r].

    `diag_update` is ones and `v` is `u` where they are None. Solved by the matrix inversion lemma of Woodbury.
    """

    def __init__(
        self, base_operator: LinearOperator, u: Any, diag_update: Any = None, v: Any = None,
        is_diag_update_positive: bool | None = None, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorLowRankUpdate",
    ) -> None:  # fmt: skip
        self._base = base_operator
        with name_scope(name):
            self._u = convert.convert_to_tensor(u, name="u")
            self._has_v, self._has_diag = v is not None, diag_update is not None
            self._v = convert.convert_to_tensor(v, name="v") if v is not None else self._u
            self._diag = (
                convert.convert_to_tensor(diag_update, name="diag_update")
                if diag_update is not None
                else constants.ones_like(self._u[..., 0, :])
            )
            is_positive = True if diag_update is None else is_diag_update_positive
            is_alike = bool(
                base_operator.is_self_adjoint and v is None and not self._u.dtype.is_complex
            )
            if is_self_adjoint is None and is_alike:
                is_self_adjoint = True
            if is_positive_definite is None and is_alike and is_positive and base_operator.is_positive_definite:  # fmt: skip
                is_positive_definite = True
            super().__init__(
                base_operator.dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite,
                is_square=base_operator.is_square if is_square is None else is_square, name=name,
            )  # fmt: skip

    @property
    def base_operator(self) -> LinearOperator:
        """L."""
        return self._base

    @property
    def u(self) -> Tensor:
        """U."""
        return self._u

    @property
    def v(self) -> Tensor:
        """V."""
        return self._v

    @property
    def diag_update(self) -> Tensor | None:
        """The diagonal of D; None where it is ones."""
        return self._diag if self._has_diag else None

    def _shape(self) -> TensorShape:
        shape = self._base.shape
        if shape.rank is None or self._u.shape.rank is None:
            return shape
        batch = partitioning.broadcast_static_shape(shape[:-2], self._u.shape[:-2])
        return batch.concatenate(shape[-2:])

    def _shape_tensor(self) -> Tensor:
        batch = partitioning.broadcast_dynamic_shape(self._base.batch_shape_tensor(), shaping.shape(self._u)[:-2])  # fmt: skip
        return joining.concat([batch, self._base.shape_tensor()[-2:]], 0)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        x = argument(x, adjoint_arg)
        left, right, diag = (self._v, self._u, elementwise.conj_of(self._diag)) if adjoint else (self._u, self._v, self._diag)  # fmt: skip
        inner = shaping.expand_dims(diag, axis=-1) * matmul.matmul(right, x, adjoint_a=True)
        return self._base._matmul(x, adjoint=adjoint) + matmul.matmul(left, inner)  # type: ignore[no-any-return]

    def _capacitance(self, solved: Tensor) -> Tensor:
        """D⁻¹ + Vᴴ L⁻¹ U."""
        product = matmul.matmul(self._v, solved, adjoint_a=True)
        return diagonals.matrix_diag(1.0 / self._diag) + product  # type: ignore[no-any-return]

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = argument(rhs, adjoint_arg)
        capacitance = self._capacitance(self._base._solve(self._u))
        left, right = (self._v, self._u) if adjoint else (self._u, self._v)
        solved = self._base._solve(rhs, adjoint=adjoint)
        inner = matmul.matmul(right, solved, adjoint_a=True)
        capacitance, inner = on_one_batch(capacitance, inner)
        inner = linear_systems.matrix_solve(capacitance, inner, adjoint=adjoint)
        return solved - self._base._solve(matmul.matmul(left, inner), adjoint=adjoint)  # type: ignore[no-any-return]

    def _determinant(self) -> Tensor:
        of_inner = linear_algebra.matrix_determinant(self._capacitance(self._base._solve(self._u)))
        of_diag = reduction.reduce_prod(self._diag, axis=-1)
        return of_inner * of_diag * self._base._determinant()  # type: ignore[no-any-return]

    def _log_abs_determinant(self) -> Tensor:
        inner = linear_algebra.slogdet(self._capacitance(self._base._solve(self._u)))[1]
        of_diag = reduction.reduce_sum(elementwise.log(elementwise.abs_(self._diag)), axis=-1)
        return inner + of_diag + self._base._log_abs_determinant()  # type: ignore[no-any-return]

    def _trace(self) -> Tensor:
        products = self._u * elementwise.conj_of(self._v) * self._diag[..., None, :]
        return self._base._trace() + reduction.reduce_sum(products, axis=[-2, -1])  # type: ignore[no-any-return]

    def _diag_part(self) -> Tensor:
        products = self._u * elementwise.conj_of(self._v) * self._diag[..., None, :]
        return self._base._diag_part() + reduction.reduce_sum(products, axis=-1)  # type: ignore[no-any-return]

    def _cholesky(self) -> LinearOperator:
        return LinearOperatorLowerTriangular(
            decompositions.cholesky(self._to_dense()), is_non_singular=True
        )
