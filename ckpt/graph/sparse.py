"""Tensors of which only some elements are held: `SparseTensor`. Knows no operation type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import OPERATORS, Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.graph.static import constant_value_as_shape


class SparseTensorValue(NamedTuple):
    """The parts of a SparseTensor as arrays: what a fetch returns and what can be fed."""

    indices: Any
    values: Any
    dense_shape: Any


class SparseTensor:
    """The elements `values` [n] at the positions `indices` [n, rank] of a tensor of shape `dense_shape` [rank].

    Everything else is zero. The parts are tensors or convert to some. Raises ValueError where their shapes disagree.
    """

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """A SparseTensor from a SparseTensorValue; a SparseTensor itself. Raises TypeError for anything else."""
        if not isinstance(sparse_tensor_value, (SparseTensor, SparseTensorValue)):
            raise TypeError(f"Neither a SparseTensor nor SparseTensorValue: {sparse_tensor_value}.")
        return cls(*_parts(sparse_tensor_value))

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        with name_scope(None, "SparseTensor", [indices, values, dense_shape]):
            self._indices = convert.convert_to_tensor(indices, dtypes.int64, "indices")
            self._values = convert.convert_to_tensor(values, name="values")
            self._dense_shape = convert.convert_to_tensor(dense_shape, dtypes.int64, "dense_shape")
        count, rank = self._indices.shape.with_rank(2).sizes or (None, None)
        self._values.shape.with_rank(1).assert_is_compatible_with([count])
        self._dense_shape.shape.with_rank(1).assert_is_compatible_with([rank])

    indices = property(lambda self: self._indices, doc="The positions, int64 [n, rank].")
    values = property(lambda self: self._values, doc="The elements, [n].")
    dense_shape = property(
        lambda self: self._dense_shape, doc="The shape of the whole, int64 [rank]."
    )

    @property
    def op(self) -> Operation:
        """The operation that makes the elements."""
        return self._values.op

    @property
    def name(self) -> str:
        """The name of the elements' tensor."""
        return self._values.name

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return self._values.dtype

    @property
    def graph(self) -> Any:
        """The graph of the parts."""
        return self._indices.graph

    @property
    def shape(self) -> TensorShape:
        """The static shape of the whole, as far as it is known."""
        said = self.__dict__.get("_static_shape")
        found = constant_value_as_shape(self._dense_shape)
        return found if said is None else found.merge_with(said)

    def get_shape(self) -> TensorShape:
        """The static shape of the whole."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Add what is known about the shape of the whole."""
        self._static_shape = self.shape.merge_with(shape)

    def with_values(self, new_values: Any) -> SparseTensor:
        """The same positions with other elements."""
        return SparseTensor(self._indices, new_values, self._dense_shape)

    def consumers(self) -> list[Operation]:
        """The operations that take one of the parts."""
        found = [op for part in _parts(self) for op in part.consumers()]
        return list(dict.fromkeys(found))

    def eval(self, feed_dict: Any = None, session: Any = None) -> SparseTensorValue:
        """The value: runs the session given, else the default session."""
        return SparseTensorValue(*[part.eval(feed_dict, session) for part in _parts(self)])

    def _fetch_parts(self) -> tuple[list[Tensor], Callable[..., SparseTensorValue]]:
        return _parts(self), SparseTensorValue

    def _feed_parts(self, value: Any) -> list[tuple[Tensor, Any]]:
        given = _parts(value) if hasattr(value, "dense_shape") else list(value)
        return list(zip(_parts(self), given, strict=True))

    def _as_dense_operand(self) -> Any:
        return self

    def __mul__(self, other: Any) -> Any:
        return OPERATORS["sparse __mul__"](self, other)

    def __div__(self, other: Any) -> Any:
        return OPERATORS["sparse __div__"](self, other)

    def __truediv__(self, other: Any) -> Any:
        return OPERATORS["sparse __truediv__"](self, other)

    def __str__(self) -> str:
        return f"SparseTensor(indices={self._indices}, values={self._values}, dense_shape={self._dense_shape})"

    __repr__ = __str__


def _parts(value: Any) -> list[Any]:
    return [value.indices, value.values, value.dense_shape]


def convert_to_tensor_or_sparse_tensor(
    value: Any, dtype: Any = None, name: str | None = None
) -> Any:
    """`value` as a SparseTensor where it is one (or the value of one), else as a tensor.

    Raises RuntimeError when a sparse value has another dtype than asked for.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(value, SparseTensorValue):
        value = SparseTensor.from_value(value)
    if isinstance(value, SparseTensor):
        if wanted is not None and not wanted.is_compatible_with(value.dtype):
            raise RuntimeError(
                f"Sparse dtype: requested = {wanted.name}, actual = {value.dtype.name}"
            )
        return value
    return convert.convert_to_tensor(value, dtype=dtype, name=name)


def convert_to_tensor_or_indexed_slices(
    value: Any, dtype: Any = None, name: str | None = None
) -> Any:
    """`value` itself where it is IndexedSlices, else as a tensor. Raises ValueError for another dtype."""
    if isinstance(value, IndexedSlices):
        if dtype is not None and not dtypes.as_dtype(dtype).is_compatible_with(value.dtype):
            raise ValueError(
                f"Tensor conversion requested dtype {dtypes.as_dtype(dtype).name} for Tensor with dtype "
                f"{value.dtype.name}: {value}"
            )
        return value
    return convert.convert_to_tensor(value, dtype=dtype, name=name)
