"""Descriptions of tensors without tensors: dtype, shape and name. Must not know graphs that run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph.operation import Tensor
from ckpt.graph.slices import IndexedSlices, IndexedSlicesValue
from ckpt.graph.sparse import SparseTensor, SparseTensorValue


class TypeSpec:
    """What all descriptions share: they are equal when they say the same."""

    value_type: Any = None

    def _serialize(self) -> tuple[Any, ...]:
        raise NotImplementedError(f"{type(self).__name__} does not say what it is made of")

    def _shown(self) -> tuple[Any, ...]:
        return tuple(
            (v.rank, tuple(v.sizes or ())) if isinstance(v, TensorShape) else v
            for v in self._serialize()
        )

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._shown() == other._shown()

    def __hash__(self) -> int:
        return hash((type(self), self._shown()))

    def __reduce__(self) -> Any:
        return type(self), self._serialize()

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._serialize()!r}"


def type_spec_from_value(value: Any) -> TypeSpec:
    """What describes `value`: a tensor, SparseTensor, IndexedSlices or what numpy makes an array of.

    Raises TypeError for anything else.
    """
    if isinstance(value, SparseTensor):
        return SparseTensorSpec(value.shape, value.dtype)
    if isinstance(value, IndexedSlices):
        return IndexedSlicesSpec(value.shape, value.dtype, value.indices.dtype)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return TensorSpec(value.shape, dtypes.as_dtype(value.dtype).base_dtype)
    try:
        array = arrays.array_of(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"Could not build a TypeSpec for {value!r} with type {type(value)}"
        ) from error
    return TensorSpec(array.shape, array.dtype)


def is_tensor(x: Any) -> bool:
    """True for what stands for a tensor in a graph: a Tensor, a variable, a SparseTensor, IndexedSlices."""
    return isinstance(x, (Tensor, SparseTensor, IndexedSlices)) or hasattr(x, "_as_graph_element")


class TensorSpec(TypeSpec):
    """A tensor by its shape, dtype and (perhaps) name."""

    def __init__(self, shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> None:
        self._shape = as_shape(shape)
        self._dtype = dtypes.as_dtype(dtype)
        self._name = name

    shape = property(lambda self: self._shape, doc="The shape.")
    dtype = property(lambda self: self._dtype, doc="The dtype.")
    name = property(lambda self: self._name, doc="The name, or None.")

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """The description `spec` under another name."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The description of a tensor, named after its operation."""
        return cls(tensor.shape, tensor.dtype, name or tensor.op.name)

    def is_compatible_with(self, spec_or_tensor: Any) -> bool:
        """True when a tensor so described could be the other."""
        return bool(
            self._dtype.is_compatible_with(spec_or_tensor.dtype)
            and self._shape.is_compatible_with(spec_or_tensor.shape)
        )

    def _serialize(self) -> tuple[Any, ...]:
        return (self._shape, self._dtype, self._name)

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self._shape}, dtype={self._dtype!r}, name={self._name!r})"


class SparseTensorSpec(TypeSpec):
    """A SparseTensor by the shape of the whole and the dtype of its elements."""

    value_type = SparseTensor

    def __init__(self, shape: Any = None, dtype: Any = dtypes.float32) -> None:
        self._shape = as_shape(shape)
        self._dtype = dtypes.as_dtype(dtype)

    shape = property(lambda self: self._shape, doc="The shape of the whole.")
    dtype = property(lambda self: self._dtype, doc="The dtype of the elements.")

    def _serialize(self) -> tuple[Any, ...]:
        return (self._shape, self._dtype)

    @property
    def _component_specs(self) -> list[TensorSpec]:
        rank = self._shape.rank
        return [
            TensorSpec([None, rank], dtypes.int64),
            TensorSpec([None], self._dtype),
            TensorSpec([rank], dtypes.int64),
        ]

    @property
    def _flat_tensor_specs(self) -> list[TensorSpec]:
        return [TensorSpec(None, dtypes.variant)]

    def _to_components(self, value: Any) -> list[Any]:
        return [value.indices, value.values, value.dense_shape]

    def _from_components(self, components: Any) -> Any:
        if all(isinstance(part, np.ndarray) for part in components):
            return SparseTensorValue(*components)
        found = SparseTensor(*components)
        found.set_shape(self._shape)
        return found

    def _batch(self, batch_size: int | None) -> SparseTensorSpec:
        return SparseTensorSpec(TensorShape([batch_size]).concatenate(self._shape), self._dtype)

    def _unbatch(self) -> SparseTensorSpec:
        return SparseTensorSpec(self._shape[1:], self._dtype)


class IndexedSlicesSpec(TypeSpec):
    """IndexedSlices by the shape of the whole and the dtypes of its parts."""

    value_type = IndexedSlices

    def __init__(
        self,
        shape: Any = None,
        dtype: Any = dtypes.float32,
        indices_dtype: Any = dtypes.int64,
        dense_shape_dtype: Any = None,
        indices_shape: Any = None,
    ) -> None:
        self._shape = as_shape(shape)
        self._values_dtype = dtypes.as_dtype(dtype)
        self._indices_dtype = dtypes.as_dtype(indices_dtype)
        self._dense_shape_dtype = (
            None if dense_shape_dtype is None else dtypes.as_dtype(dense_shape_dtype)
        )
        self._indices_shape = as_shape(indices_shape).with_rank(1)

    def _serialize(self) -> tuple[Any, ...]:
        return (
            self._shape,
            self._values_dtype,
            self._indices_dtype,
            self._dense_shape_dtype,
            self._indices_shape,
        )

    @property
    def _component_specs(self) -> tuple[TensorSpec, ...]:
        rows = self._indices_shape.concatenate(self._shape[1:])
        found = [
            TensorSpec(rows, self._values_dtype),
            TensorSpec(self._indices_shape, self._indices_dtype),
        ]
        if self._dense_shape_dtype is not None:
            found.append(TensorSpec([self._shape.rank], self._dense_shape_dtype))
        return tuple(found)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        parts = (value.values, value.indices)
        return parts if value.dense_shape is None else (*parts, value.dense_shape)

    def _from_components(self, components: Any) -> Any:
        dense_shape = components[2] if len(components) > 2 else None
        if all(isinstance(part, np.ndarray) for part in components):
            return IndexedSlicesValue(components[0], components[1], dense_shape)
        return IndexedSlices(components[0], components[1], dense_shape)
