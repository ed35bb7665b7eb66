"""Operators whose rows are shifts of one another: Toeplitz and circulant matrices. Functions over operations."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.linear_operators.base import LinearOperator
from ckpt.model.linear_operators.products import argument, dense_product, no_zeros
from ckpt.ops import (
    assertions,
    casting,
    constants,
    control,
    elementwise,
    fourier,
    indexing,
    joining,
    linear_algebra,
    partitioning,
    reduction,
    reversing,
    shaping,
)


class LinearOperatorToeplitz(LinearOperator):
    """The matrix with `col` [..., n] as first column, `row` [..., n] as first row, and equal numbers along diagonals."""

    def __init__(
        self, col: Any, row: Any, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str = "LinearOperatorToeplitz",
    ) -> None:  # fmt: skip
        if is_square is False:
            raise ValueError("Only square Toeplitz operators currently supported.")
        with name_scope(name):
            self._row = convert.convert_to_tensor(row, name="row")
            self._col = convert.convert_to_tensor(col, name="col")
            super().__init__(
                self._row.dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=True, name=name,
            )  # fmt: skip

    @property
    def row(self) -> Tensor:
        """The first row."""
        return self._row

    @property
    def col(self) -> Tensor:
        """The first column."""
        return self._col

    def _shape(self) -> TensorShape:
        if self._row.shape.rank is None or self._col.shape.rank is None:
            return TensorShape(None)
        shape = partitioning.broadcast_static_shape(self._row.shape, self._col.shape)
        return shape.concatenate(shape[-1:])

    def _shape_tensor(self) -> Tensor:
        shape = partitioning.broadcast_dynamic_shape(shaping.shape(self._row), shaping.shape(self._col))  # fmt: skip
        return joining.concat([shape, shape[-1:]], 0)

    def _to_dense(self) -> Tensor:
        shape = partitioning.broadcast_dynamic_shape(shaping.shape(self._row), shaping.shape(self._col))  # fmt: skip
        row, col = (shaping.broadcast_to(v, shape) for v in (self._row, self._col))
        line = joining.concat([reversing.reverse(col, [-1]), row[..., 1:]], axis=-1)
        size = shape[-1]
        places = indexing.range_(size)
        at = size - 1 - shaping.expand_dims(places, 1) + places
        found = indexing.gather(line, at, axis=-1)
        found.set_shape(self.shape)
        return found

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return dense_product(self._to_dense(), x, adjoint, adjoint_arg)

    def _diag_part(self) -> Tensor:
        first = self._col[..., :1]
        return first + constants.zeros(self.shape_tensor()[:-1], self.dtype)  # type: ignore[no-any-return]

    def _trace(self) -> Tensor:
        size = casting.cast(self.domain_dimension_tensor(), self.dtype)
        zeros = constants.zeros(self.batch_shape_tensor(), self.dtype)
        return self._col[..., 0] * size + zeros  # type: ignore[no-any-return]


class _Circulant(LinearOperator):
    """A block circulant matrix: products are multiplications of Fourier transforms over `block_depth` axes."""

    def __init__(
        self, spectrum: Any, block_depth: int, input_output_dtype: Any, is_non_singular: bool | None,
        is_self_adjoint: bool | None, is_positive_definite: bool | None, is_square: bool | None, name: str,
    ) -> None:  # fmt: skip
        if is_square is False:
            raise ValueError("A circulant operator is always square.")
        with name_scope(name):
            self._spectrum = convert.convert_to_tensor(spectrum, name="spectrum")
            rank = self._spectrum.shape.rank
            if rank is not None and rank < block_depth:
                raise ValueError(f"Argument spectrum must have at least {block_depth} dimensions. Found: {self._spectrum}")  # fmt: skip
            if not self._spectrum.dtype.is_complex:
                if is_self_adjoint is False:
                    raise ValueError("A real spectrum always corresponds to a self-adjoint operator.")  # fmt: skip
                is_self_adjoint = True
            self._depth = block_depth
            super().__init__(
                input_output_dtype, is_non_singular=is_non_singular, is_self_adjoint=is_self_adjoint,
                is_positive_definite=is_positive_definite, is_square=True, name=name,
            )  # fmt: skip

    @property
    def spectrum(self) -> Tensor:
        """The Fourier transform of the first column, and the eigenvalues."""
        return self._spectrum

    @property
    def block_depth(self) -> int:
        """Over how many axes blocks are shifted."""
        return self._depth

    @property
    def block_shape(self) -> TensorShape:
        """The sizes of those axes."""
        shape = self._spectrum.shape
        return shape if shape.rank is None else shape[-self._depth :]

    def block_shape_tensor(self) -> Tensor:
        """The sizes of those axes as a tensor."""
        return shaping.shape(self._spectrum)[-self._depth :]  # type: ignore[no-any-return]

    def _complex(self) -> Any:
        is_wide = dtypes.float64 in (self.dtype.real_dtype, self._spectrum.dtype.real_dtype)
        return dtypes.complex128 if is_wide else dtypes.complex64

    def _transforms(self) -> tuple[Any, Any]:
        return {1: (fourier.fft, fourier.ifft), 2: (fourier.fft2d, fourier.ifft2d), 3: (fourier.fft3d, fourier.ifft3d)}[self._depth]  # fmt: skip

    def convolution_kernel(self, name: str = "convolution_kernel") -> Tensor:
        """The inverse Fourier transform of the spectrum: what products convolve with."""
        with self._scope(name):
            found = self._transforms()[1](casting.cast(self._spectrum, self._complex()))
            return casting.cast(found, self.dtype)

    def _size(self) -> int | None:
        return self.block_shape.num_elements()

    def _shape(self) -> TensorShape:
        shape = self._spectrum.shape
        if shape.rank is None:
            return shape
        return shape[: -self._depth].concatenate([self._size(), self._size()])  # type: ignore[no-any-return]

    def _shape_tensor(self) -> Tensor:
        shape = shaping.shape(self._spectrum)
        size = reduction.reduce_prod(shape[-self._depth :])
        return joining.concat([shape[: -self._depth], joining.stack([size, size])], 0)

    def _applied(self, x: Tensor, spectrum: Tensor) -> Tensor:
        """The columns of `x` [..., n, k] after their transforms were multiplied with `spectrum`."""
        forward, backward = self._transforms()
        kind = self._complex()
        rows = casting.cast(linear_algebra.adjoint(elementwise.conj_of(x)), kind)
        sizes = shaping.shape(rows)
        blocks = shaping.reshape(rows, joining.concat([sizes[:-1], self.block_shape_tensor()], 0))
        spectrum = shaping.expand_dims(casting.cast(spectrum, kind), axis=-self._depth - 1)
        found = backward(spectrum * forward(blocks))
        flat = shaping.reshape(found, joining.concat([shaping.shape(found)[: -self._depth], sizes[-1:]], 0))  # fmt: skip
        return casting.cast(linear_algebra.adjoint(elementwise.conj_of(flat)), self.dtype)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        x = argument(x, adjoint_arg)
        return self._applied(x, elementwise.conj_of(self._spectrum) if adjoint else self._spectrum)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = argument(rhs, adjoint_arg)
        spectrum = elementwise.conj_of(self._spectrum) if adjoint else self._spectrum
        return self._applied(rhs, elementwise.reciprocal(spectrum))

    def _flat(self) -> Tensor:
        shape = shaping.shape(self._spectrum)
        return shaping.reshape(self._spectrum, joining.concat([shape[: -self._depth], [-1]], 0))

    def _determinant(self) -> Tensor:
        return casting.cast(reduction.reduce_prod(self._flat(), axis=-1), self.dtype)

    def _log_abs_determinant(self) -> Tensor:
        logs = elementwise.log(elementwise.abs_(self._flat()))
        return casting.cast(reduction.reduce_sum(logs, axis=-1), self.dtype)

    def _trace(self) -> Tensor:
        return casting.cast(reduction.reduce_sum(self._flat(), axis=-1), self.dtype)

    def _diag_part(self) -> Tensor:
        size = casting.cast(self.domain_dimension_tensor(), self.dtype)
        mean = shaping.expand_dims(self._trace() / size, axis=-1)
        return mean + constants.zeros(self.shape_tensor()[:-1], self.dtype)  # type: ignore[no-any-return]

    def _eigvals(self) -> Tensor:
        return casting.cast(self._flat(), self.dtype)

    def _cond(self) -> Tensor:
        sizes = elementwise.abs_(self._flat())
        return reduction.reduce_max(sizes, axis=-1) / reduction.reduce_min(sizes, axis=-1)  # type: ignore[no-any-return]

    def _made(self, spectrum: Tensor) -> LinearOperator:
        return type(self)(  # type: ignore[call-arg]  # the three public classes share one signature
            spectrum, input_output_dtype=self.dtype, is_non_singular=self._non_singular, is_self_adjoint=self._self_adjoint,
            is_positive_definite=self._definite, is_square=True,
        )  # fmt: skip

    def _adjoint(self) -> LinearOperator:
        return self if self._self_adjoint else self._made(elementwise.conj_of(self._spectrum))

    def _inverse(self) -> LinearOperator:
        return self._made(1.0 / self._spectrum)

    def _assert_non_singular(self) -> Any:
        return no_zeros(self._spectrum, "Singular operator: Spectrum contained zero values.")

    def _assert_positive_definite(self) -> Any:
        real = self._spectrum
        real = casting.cast(real, real.dtype.real_dtype) if real.dtype.is_complex else real
        return assertions.assert_positive(real, message="Not positive definite:  Real part of spectrum was not all positive.")  # fmt: skip

    def _assert_self_adjoint(self) -> Any:
        if not self._spectrum.dtype.is_complex:
            return control.no_op()
        return assertions.assert_equal(self._spectrum, elementwise.conj_of(self._spectrum), message="Spectrum was not real.")  # fmt: skip


def _circulant(name: str, depth: int, doc: str) -> Any:
    """The public class of a depth."""

    def __init__(
        self: Any, spectrum: Any, input_output_dtype: Any = dtypes.complex64, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None, is_square: bool | None = True,
        name: str = name,
    ) -> None:  # fmt: skip
        _Circulant.__init__(
            self, spectrum, depth, input_output_dtype, is_non_singular, is_self_adjoint, is_positive_definite,
            is_square, name,
        )  # fmt: skip

    return type(name, (_Circulant,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


LinearOperatorCirculant = _circulant(
    "LinearOperatorCirculant", 1,
    "The matrix whose rows are shifts of the first; `spectrum` [..., n] is the Fourier transform of its first column.",
)  # fmt: skip
LinearOperatorCirculant2D = _circulant(
    "LinearOperatorCirculant2D", 2,
    "A block circulant matrix of circulant blocks; `spectrum` is [..., n0, n1], products are 2-D convolutions.",
)  # fmt: skip
LinearOperatorCirculant3D = _circulant(
    "LinearOperatorCirculant3D", 3,
    "A block circulant matrix of the third depth; `spectrum` is [..., n0, n1, n2], products are 3-D convolutions.",
)  # fmt: skip
