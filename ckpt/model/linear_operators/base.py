"""Matrices that are known by what they do: `tf.linalg.LinearOperator`. Knows no kernel.

An operator has a shape [..., rows, columns] and hints: whether it is square, non-singular, self-adjoint, positive
definite. Hints are promises that nothing checks but `assert_…`; they choose faster ways.
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.linear_operators.products import argument, on_one_batch
from ckpt.ops import (
    assertions,
    constants,
    control,
    decompositions,
    diagonals,
    elementwise,
    linear_algebra,
    linear_systems,
    reduction,
    shaping,
)


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
        rhs = argument(rhs, adjoint_arg)
        dense, rhs = on_one_batch(self._to_dense(), rhs)
        if self._by_cholesky():
            return linear_systems.cholesky_solve(decompositions.cholesky(dense), rhs)
        return linear_systems.matrix_solve(dense, rhs, adjoint=adjoint)

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
            factor = decompositions.cholesky(self._to_dense())
            logs = elementwise.log(diagonals.matrix_diag_part(factor))
            return 2 * reduction.reduce_sum(logs, axis=-1)  # type: ignore[no-any-return]
        found: Tensor = linear_algebra.slogdet(self._to_dense())[1]
        return found

    def _eigvals(self) -> Tensor:
        if not self._self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        return decompositions.self_adjoint_eigvals(self._to_dense())

    def _cond(self) -> Tensor:
        if self._self_adjoint:
            values = elementwise.abs_(self._eigvals())
        else:
            values = decompositions.svd(self._to_dense(), compute_uv=False)
        return reduction.reduce_max(values, axis=-1) / reduction.reduce_min(values, axis=-1)  # type: ignore[no-any-return]

    def _adjoint(self) -> LinearOperator:
        from ckpt.model.linear_operators.derived import LinearOperatorAdjoint  # it is one

        return self if self._self_adjoint else LinearOperatorAdjoint(self)

    def _inverse(self) -> LinearOperator:
        from ckpt.model.linear_operators.derived import LinearOperatorInversion  # it is one

        return LinearOperatorInversion(self)

    def _cholesky(self) -> LinearOperator:
        from ckpt.model.linear_operators.dense import LinearOperatorLowerTriangular  # it is one

        return LinearOperatorLowerTriangular(
            decompositions.cholesky(self._to_dense()), is_non_singular=True
        )

    def _assert_non_singular(self) -> Any:
        limit = dtypes.as_dtype(self.dtype.real_dtype).max
        text = "Singular matrix up to precision epsilon."
        return assertions.assert_less(self._cond(), constants.constant(limit, self.dtype.real_dtype), message=text)  # fmt: skip

    def _assert_positive_definite(self) -> Any:
        return control.group(decompositions.cholesky(self._to_dense()).op)

    def _assert_self_adjoint(self) -> Any:
        dense = self._to_dense()
        text = "Matrix was not equal to its adjoint."
        return assertions.assert_equal(dense, linear_algebra.adjoint(dense), message=text)

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
            from ckpt.model.linear_operators.derived import LinearOperatorComposition  # it is one

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
