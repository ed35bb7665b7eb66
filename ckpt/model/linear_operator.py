"""Matrices that are known by what they do: `tf.linalg.LinearOperator`, and what comes of operators. Knows no kernel.

An operator has a shape [..., rows, columns] and hints: whether it is square, non-singular, self-adjoint, positive
definite. Hints are promises that nothing checks but `assert_…`; they choose faster ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (  # fmt: skip
    casting,
    checking,
    constants,
    control,
    diagonals,
    elementwise,
    joining,
    linear_algebra,
    matmul,
    partitioning,
    reduction,
    shaping,
)


def on_one_batch(*tensors: Tensor) -> list[Tensor]:
    """Matrices [..., rows, columns] with equal sizes in front of the last two."""
    batches = [t.shape[:-2] for t in tensors]
    if all(b.is_fully_defined() and b.as_list() == batches[0].as_list() for b in batches):
        return list(tensors)
    batch = shaping.shape(tensors[0])[:-2]
    for tensor in tensors[1:]:
        batch = partitioning.broadcast_dynamic_shape(batch, shaping.shape(tensor)[:-2])
    return [
        shaping.broadcast_to(t, joining.concat([batch, shaping.shape(t)[-2:]], 0)) for t in tensors
    ]


def either(first: bool | None, second: bool | None) -> bool | None:
    """What is known when two hints must both hold: True for two that do, otherwise nothing."""
    return True if first and second else None


class LinearOperator:
    """A matrix [..., rows, columns] known by its products. Subclasses give `_shape`, `_shape_tensor` and `_matmul`.

    Raises ValueError for hints that contradict each other or the shape.
    """

    def __init__(
        self, dtype: Any, graph_parents: Any = None, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str | None = None, parameters: Any = None,
    ) -> None:  # fmt: skip
        if is_positive_definite:
            if is_non_singular is False:
                raise ValueError("A positive definite matrix is always non-singular.")
            is_non_singular = True
        if (is_non_singular or is_self_adjoint) and is_square is False:
            what = "non-singular" if is_non_singular else "self-adjoint"
            raise ValueError(f"A {what} matrix is always square.")
        self._square = True if is_non_singular or is_self_adjoint else is_square
        self._dtype = dtypes.as_dtype(dtype).base_dtype if dtype else dtype
        self._non_singular, self._self_adjoint = is_non_singular, is_self_adjoint
        self._definite = is_positive_definite
        self._name = name or type(self).__name__
        self._parents, self._parameters = graph_parents or [], parameters or {}

    @property
    def parameters(self) -> dict[str, Any]:
        """What the operator was made with."""
        return dict(self._parameters)

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of the elements."""
        return self._dtype

    @property
    def name(self) -> str:
        """The name, which is that of the scope of its nodes."""
        return self._name

    @property
    def graph_parents(self) -> list[Any]:
        """The tensors that it was made of, where it was said."""
        return list(self._parents)

    @property
    def is_non_singular(self) -> bool | None:
        """Whether it has an inverse; None where that is not known."""
        return self._non_singular

    @property
    def is_self_adjoint(self) -> bool | None:
        """Whether it equals its conjugate transpose; None where that is not known."""
        return self._self_adjoint

    @property
    def is_positive_definite(self) -> bool | None:
        """Whether xᴴ A x has a positive real part for every x but zero; None where that is not known."""
        return self._definite

    @property
    def is_square(self) -> bool | None:
        """Whether it has as many rows as columns; None where that is not known. Raises ValueError for a wrong hint."""
        rows, columns = (None, None) if self.shape.rank is None else self.shape.as_list()[-2:]
        known = None if rows is None or columns is None else rows == columns
        if self._square is not None and known is not None and known != self._square:
            raise ValueError(
                f"User provided hint is_square={self._square}, but the shape is {self.shape}"
            )
        return known if self._square is None else self._square

    def _scope(self, name: str) -> Any:
        return name_scope(f"{self._name}/{name}")

    # what subclasses give, and what they may do better

    def _shape(self) -> TensorShape:
        raise NotImplementedError("_shape is not implemented.")

    def _shape_tensor(self) -> Tensor:
        raise NotImplementedError("_shape_tensor is not implemented.")

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        raise NotImplementedError("_matmul is not implemented.")

    def _matvec(self, x: Tensor, adjoint: bool = False) -> Tensor:
        found = self._matmul(shaping.expand_dims(x, axis=-1), adjoint=adjoint)
        return shaping.squeeze(found, axis=-1)

    def _by_cholesky(self) -> bool:
        return bool(self._self_adjoint and self._definite)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = linear_algebra.adjoint(rhs) if adjoint_arg else rhs
        dense, rhs = on_one_batch(self._to_dense(), rhs)
        if self._by_cholesky():
            return linear_algebra.cholesky_solve(linear_algebra.cholesky(dense), rhs)
        return linear_algebra.matrix_solve(dense, rhs, adjoint=adjoint)

    def _solvevec(self, rhs: Tensor, adjoint: bool = False) -> Tensor:
        found = self._solve(shaping.expand_dims(rhs, axis=-1), adjoint=adjoint)
        return shaping.squeeze(found, axis=-1)

    def _to_dense(self) -> Tensor:
        batch = self.batch_shape
        identity = diagonals.eye(
            self._columns(),
            batch_shape=batch if batch.is_fully_defined() else self.batch_shape_tensor(),
            dtype=self.dtype,
        )
        return self._matmul(identity)

    def _columns(self) -> Any:
        known = self.domain_dimension.value
        return self.domain_dimension_tensor() if known is None else known

    def _diag_part(self) -> Tensor:
        return diagonals.matrix_diag_part(self._to_dense())

    def _trace(self) -> Tensor:
        return reduction.reduce_sum(self._diag_part(), axis=-1)  # type: ignore[no-any-return]

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        return self._to_dense() + x  # type: ignore[no-any-return]  # Tensor addition

    def _determinant(self) -> Tensor:
        if self._by_cholesky():
            return elementwise.exp(self._log_abs_determinant())  # type: ignore[no-any-return]
        return linear_algebra.matrix_determinant(self._to_dense())

    def _log_abs_determinant(self) -> Tensor:
        if self._by_cholesky():
            factor = linear_algebra.cholesky(self._to_dense())
            logs = elementwise.log(diagonals.matrix_diag_part(factor))
            return 2 * reduction.reduce_sum(logs, axis=-1)  # type: ignore[no-any-return]
        found: Tensor = linear_algebra.slogdet(self._to_dense())[1]
        return found

    def _eigvals(self) -> Tensor:
        if not self._self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        return linear_algebra.self_adjoint_eigvals(self._to_dense())

    def _cond(self) -> Tensor:
        if self._self_adjoint:
            values = elementwise.abs_(self._eigvals())
        else:
            values = linear_algebra.svd(self._to_dense(), compute_uv=False)
        return reduction.reduce_max(values, axis=-1) / reduction.reduce_min(values, axis=-1)  # type: ignore[no-any-return]

    def _adjoint(self) -> LinearOperator:
        return self if self._self_adjoint else LinearOperatorAdjoint(self)

    def _inverse(self) -> LinearOperator:
        return LinearOperatorInversion(self)

    def _cholesky(self) -> LinearOperator:
        return LinearOperatorLowerTriangular(
            linear_algebra.cholesky(self._to_dense()), is_non_singular=True
        )

    def _assert_non_singular(self) -> Any:
        limit = dtypes.as_dtype(self.dtype.real_dtype).max
        text = "Singular matrix up to precision epsilon."
        return checking.assert_less(self._cond(), constants.constant(limit, self.dtype.real_dtype), message=text)  # fmt: skip

    def _assert_positive_definite(self) -> Any:
        return control.group(linear_algebra.cholesky(self._to_dense()).op)

    def _assert_self_adjoint(self) -> Any:
        dense = self._to_dense()
        text = "Matrix was not equal to its adjoint."
        return checking.assert_equal(dense, linear_algebra.adjoint(dense), message=text)

    # the shape

    @property
    def shape(self) -> TensorShape:
        """[..., rows, columns], as far as it is known while building."""
        return self._shape()

    def _sizes(self, start: int | None, end: int | None) -> TensorShape:
        return TensorShape(None) if self.shape.rank is None else self.shape[start:end]

    @property
    def batch_shape(self) -> TensorShape:
        """The sizes in front of rows and columns."""
        return self._sizes(None, -2)

    @property
    def tensor_rank(self) -> int | None:
        """How many axes it has."""
        return self.shape.rank

    @property
    def domain_dimension(self) -> Any:
        """How many columns it has."""
        return self.shape[-1] if self.shape.rank is not None else TensorShape([None])[0]

    @property
    def range_dimension(self) -> Any:
        """How many rows it has."""
        return self.shape[-2] if self.shape.rank is not None else TensorShape([None])[0]

    def shape_tensor(self, name: str = "shape_tensor") -> Tensor:
        """The shape as an int32 tensor."""
        with self._scope(name):
            if self.shape.is_fully_defined():
                return constants.constant(self.shape.as_list(), dtypes.int32)
            return self._shape_tensor()

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Tensor:
        """The sizes in front of rows and columns as an int32 tensor."""
        with self._scope(name):
            return self.shape_tensor()[:-2]  # type: ignore[no-any-return]

    def tensor_rank_tensor(self, name: str = "tensor_rank_tensor") -> Tensor:
        """How many axes it has, as a tensor."""
        with self._scope(name):
            return shaping.size(self.shape_tensor())

    def domain_dimension_tensor(self, name: str = "domain_dimension_tensor") -> Tensor:
        """How many columns it has, as a tensor."""
        with self._scope(name):
            return self.shape_tensor()[-1]  # type: ignore[no-any-return]

    def range_dimension_tensor(self, name: str = "range_dimension_tensor") -> Tensor:
        """How many rows it has, as a tensor."""
        with self._scope(name):
            return self.shape_tensor()[-2]  # type: ignore[no-any-return]

    # what callers ask

    def _tensor(self, x: Any, name: str) -> Tensor:
        x = convert.convert_to_tensor(
            x, dtype=None if hasattr(x, "dtype") else self.dtype, name=name
        )
        if x.dtype.base_dtype != self.dtype:
            raise TypeError(f"Input argument has dtype {x.dtype.base_dtype}, which does not match the operator's {self.dtype}")  # fmt: skip
        return x  # type: ignore[no-any-return]

    def _fits(self, size: Any, adjoint: bool) -> None:
        wanted = self.range_dimension if adjoint else self.domain_dimension
        wanted.assert_is_compatible_with(size)

    def matmul(self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "matmul") -> Any:  # fmt: skip
        """A x, for a tensor [..., columns, n] or for another operator, which gives an operator.

        `adjoint` and `adjoint_arg` take the conjugate transpose of the operator and of `x`. Raises ValueError for
        sizes that do not fit, TypeError for another dtype.
        """
        if isinstance(x, LinearOperator):
            left = self.adjoint() if adjoint else self
            right = x.adjoint() if adjoint_arg else x
            left.domain_dimension.assert_is_compatible_with(right.range_dimension)
            with self._scope(name):
                return LinearOperatorComposition([left, right])
        with self._scope(name):
            x = self._tensor(x, "x")
            if x.shape.rank is not None:
                self._fits(x.shape[-1 if adjoint_arg else -2], adjoint)
            return self._matmul(x, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def __matmul__(self, other: Any) -> Any:
        """A @ x."""
        return self.matmul(other)

    def matvec(self, x: Any, adjoint: bool = False, name: str = "matvec") -> Tensor:
        """A x for vectors [..., columns]: [..., rows]."""
        with self._scope(name):
            x = self._tensor(x, "x")
            if x.shape.rank is not None:
                self._fits(x.shape[-1], adjoint)
            return self._matvec(x, adjoint=adjoint)

    def _check_solvable(self) -> None:
        if self.is_non_singular is False:
            raise NotImplementedError("Exact solve not implemented for an operator that is expected to be singular.")  # fmt: skip
        if self.is_square is False:
            raise NotImplementedError("Exact solve not implemented for an operator that is expected to not be square.")  # fmt: skip

    def solve(self, rhs: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "solve") -> Any:  # fmt: skip
        """X with A X = rhs, for a tensor [..., rows, n] or for another operator, which gives an operator.

        Raises NotImplementedError for an operator that is said to be singular or not square.
        """
        self._check_solvable()
        if isinstance(rhs, LinearOperator):
            left = self.adjoint() if adjoint else self
            right = rhs.adjoint() if adjoint_arg else rhs
            with self._scope(name):
                return left.inverse().matmul(right)
        with self._scope(name):
            rhs = self._tensor(rhs, "rhs")
            if rhs.shape.rank is not None:
                self._fits(rhs.shape[-1 if adjoint_arg else -2], not adjoint)
            return self._solve(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def solvevec(self, rhs: Any, adjoint: bool = False, name: str = "solve") -> Tensor:
        """x with A x = rhs for vectors [..., rows]."""
        self._check_solvable()
        with self._scope(name):
            return self._solvevec(self._tensor(rhs, "rhs"), adjoint=adjoint)

    def adjoint(self, name: str = "adjoint") -> LinearOperator:
        """The conjugate transpose."""
        with self._scope(name):
            return self._adjoint()

    @property
    def H(self) -> LinearOperator:
        """The conjugate transpose."""
        return self.adjoint()

    def inverse(self, name: str = "inverse") -> LinearOperator:
        """The inverse. Raises ValueError for an operator that is not square or is said to be singular."""
        if self.is_square is False:
            raise ValueError("Cannot take the Inverse: This operator represents a non square matrix.")  # fmt: skip
        if self.is_non_singular is False:
            raise ValueError("Cannot take the Inverse: This operator represents a singular matrix.")
        with self._scope(name):
            return self._inverse()

    def cholesky(self, name: str = "cholesky") -> LinearOperator:
        """The lower triangular L with A = L Lᴴ. Raises ValueError unless A is said to be self-adjoint and positive."""
        if not self._by_cholesky():
            raise ValueError("Cannot take the Cholesky decomposition: Not a positive definite self adjoint matrix.")  # fmt: skip
        with self._scope(name):
            return self._cholesky()

    def to_dense(self, name: str = "to_dense") -> Tensor:
        """The matrix with all its elements: [..., rows, columns]."""
        with self._scope(name):
            return self._to_dense()

    def diag_part(self, name: str = "diag_part") -> Tensor:
        """The diagonal: [..., least of rows and columns]."""
        with self._scope(name):
            return self._diag_part()

    def trace(self, name: str = "trace") -> Tensor:
        """The sum of the diagonal: [...]."""
        with self._scope(name):
            return self._trace()

    def add_to_tensor(self, x: Any, name: str = "add_to_tensor") -> Tensor:
        """A + x for a tensor [..., rows, columns]."""
        with self._scope(name):
            return self._add_to_tensor(self._tensor(x, "x"))

    def _check_square(self, what: str) -> None:
        if self.is_square is False:
            raise NotImplementedError(f"{what} not implemented for an operator that is expected to not be square.")  # fmt: skip

    def determinant(self, name: str = "det") -> Tensor:
        """The determinant: [...]. Raises NotImplementedError for an operator that is not square."""
        self._check_square("Determinant")
        with self._scope(name):
            return self._determinant()

    def log_abs_determinant(self, name: str = "log_abs_det") -> Tensor:
        """The logarithm of the determinant's absolute value: [...]."""
        self._check_square("Determinant")
        with self._scope(name):
            return self._log_abs_determinant()

    def eigvals(self, name: str = "eigvals") -> Tensor:
        """The eigenvalues: [..., rows]. Raises NotImplementedError unless the operator is said to be self-adjoint."""
        if not self.is_self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        with self._scope(name):
            return self._eigvals()

    def cond(self, name: str = "cond") -> Tensor:
        """The largest singular value by the least: [...]."""
        with self._scope(name):
            return self._cond()

    def assert_non_singular(self, name: str = "assert_non_singular") -> Operation:
        """The operation that fails where the matrix is singular."""
        with self._scope(name):
            made: Operation = self._assert_non_singular()
            return made

    def assert_positive_definite(self, name: str = "assert_positive_definite") -> Operation:
        """The operation that fails where the matrix is not positive definite."""
        with self._scope(name):
            made: Operation = self._assert_positive_definite()
            return made

    def assert_self_adjoint(self, name: str = "assert_self_adjoint") -> Operation:
        """The operation that fails where the matrix is not its conjugate transpose."""
        with self._scope(name):
            made: Operation = self._assert_self_adjoint()
            return made


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
        return conjugate(self._operator._determinant())

    def _log_abs_determinant(self) -> Tensor:
        return self._operator._log_abs_determinant()

    def _to_dense(self) -> Tensor:
        return linear_algebra.adjoint(self._operator._to_dense())

    def _diag_part(self) -> Tensor:
        return conjugate(self._operator._diag_part())

    def _adjoint(self) -> LinearOperator:
        return self._operator


def conjugate(x: Tensor) -> Tensor:
    """The complex conjugate; a real tensor as it is."""
    return elementwise.conj(x) if x.dtype.is_complex else x


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


def dense_product(matrix: Tensor, x: Tensor, adjoint: bool, adjoint_arg: bool) -> Tensor:
    """The product of two matrices, each taken as its conjugate transpose where asked for."""
    return matmul.matmul(matrix, x, adjoint_a=adjoint, adjoint_b=adjoint_arg)


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
        rhs = linear_algebra.adjoint(rhs) if adjoint_arg else rhs
        tril, rhs = on_one_batch(self._tril, rhs)
        return linear_algebra.matrix_triangular_solve(tril, rhs, lower=True, adjoint=adjoint)

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


def no_zeros(values: Tensor, message: str) -> Any:
    """The operation that fails where one of the values is zero."""
    return checking.assert_none_equal(
        elementwise.abs_(values), constants.zeros([], values.dtype.real_dtype), message=message
    )


def argument(x: Tensor, adjoint_arg: bool) -> Tensor:
    """What a product or a system is given: `x`, or its conjugate transpose."""
    return linear_algebra.adjoint(x) if adjoint_arg else x


def real_part(x: Tensor) -> Tensor:
    """The real parts."""
    return casting.cast(x, x.dtype.real_dtype) if x.dtype.is_complex else x
