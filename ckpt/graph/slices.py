"""A gradient that is zero but for some rows: `IndexedSlices`. Knows no operation type."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape
from ckpt.graph.operation import OPERATORS, Operation, Tensor


class IndexedSlicesValue(NamedTuple):
    """The values of IndexedSlices, as a fetch returns them and as they can be fed."""

    values: Any
    indices: Any
    dense_shape: Any


class IndexedSlices:
    """Rows of a tensor: `values[i]` belongs to row `indices[i]` of a tensor of shape `dense_shape`.

    values: [n, ...], indices: [n] integers, dense_shape: [rank] or None. Rows named twice add up.
    """

    def __init__(self, values: Tensor, indices: Tensor, dense_shape: Tensor | None = None) -> None:
        self._values = values
        self._indices = indices
        self._dense_shape = dense_shape

    @property
    def values(self) -> Tensor:
        """The rows."""
        return self._values

    @property
    def indices(self) -> Tensor:
        """Which rows they are."""
        return self._indices

    @property
    def dense_shape(self) -> Tensor | None:
        """The shape of the whole, where known."""
        return self._dense_shape

    @property
    def shape(self) -> TensorShape:
        """The static shape of the whole, as far as it is known."""
        from ckpt.graph.static import constant_value_as_shape  # static builds on this package

        if self._dense_shape is None:
            return TensorShape(None)
        return constant_value_as_shape(self._dense_shape)

    @property
    def name(self) -> str:
        """The name of the rows' tensor."""
        return self._values.name

    @property
    def device(self) -> str:
        """The device of the rows' tensor."""
        return self._values.device

    @property
    def op(self) -> Operation:
        """The operation that makes the rows."""
        return self._values.op

    @property
    def dtype(self) -> DType:
        """The dtype of the rows."""
        return self._values.dtype

    @property
    def graph(self) -> Any:
        """The graph of the rows."""
        return self._values.graph

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(OPERATORS["__neg__"](self._values), self._indices, self._dense_shape)

    def __str__(self) -> str:
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape}"
        return f"IndexedSlices(indices={self._indices}, values={self._values}{shape})"

    __repr__ = __str__
