"""What elements of datasets are made of: nests of tuples and dicts whose leaves are described by specs.

A list is no nest here: it becomes one tensor, as in TensorFlow. A SparseTensor travels as one variant component.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor, SparseTensorValue
from ckpt.graph.specs import SparseTensorSpec, TensorSpec, TypeSpec
from ckpt.ops import constants, joining, sparse_variants


class DatasetSpec(TypeSpec):
    """A dataset as an element of another, by what its own elements are."""

    def __init__(self, element_spec: Any, dataset_shape: Any = ()) -> None:
        self.element_spec = element_spec
        self._shape = as_shape(dataset_shape)

    shape = property(lambda self: self._shape, doc="The shape of the tensor of datasets.")
    dtype = property(lambda self: dtypes.variant, doc="The dtype of a dataset as a tensor.")

    def _serialize(self) -> tuple[Any, ...]:
        return (self.element_spec, self._shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasetSpec) and bool(self.element_spec == other.element_spec)

    def __hash__(self) -> int:
        return hash((DatasetSpec, self._shape))


def normalized(element: Any) -> Any:
    """The element with every leaf a tensor, SparseTensor or dataset."""
    with name_scope(None, "normalize_element"):
        count = 0

        def converted(value: Any) -> Any:
            nonlocal count
            if isinstance(value, SparseTensorValue):
                value = SparseTensor.from_value(value)
            if isinstance(value, SparseTensor) or hasattr(value, "_variant_tensor"):
                count += 1
                return value
            if nest.is_nested(value) and not isinstance(value, list):
                return nest.map_members(converted, value)
            count += 1
            return convert.convert_to_tensor(value, name=f"component_{count - 1}")

        return converted(element)


def spec_of(element: Any) -> Any:
    """The nest of the specs of an element's leaves."""
    return nest.map_structure(_leaf_spec, element)


def _leaf_spec(leaf: Any) -> TypeSpec:
    if isinstance(leaf, SparseTensor):
        return SparseTensorSpec(leaf.shape, leaf.dtype)
    if hasattr(leaf, "_variant_tensor"):
        return DatasetSpec(leaf.element_spec)
    return TensorSpec(leaf.shape, leaf.dtype.base_dtype)


def component_types(spec: Any) -> list[DType]:
    """The dtype of each component of an element so described."""
    return [s.dtype if type(s) is TensorSpec else dtypes.variant for s in nest.flatten(spec)]


def component_shapes(spec: Any) -> list[TensorShape]:
    """The static shape of each component of an element so described."""
    return [_component_shape(s) for s in nest.flatten(spec)]


def _component_shape(spec: Any) -> TensorShape:
    return TensorShape(None) if isinstance(spec, SparseTensorSpec) else as_shape(spec.shape)


def components_of(element: Any) -> list[Tensor]:
    """An element's leaves as one tensor each."""
    return [_component(leaf) for leaf in nest.flatten(element)]


def _component(leaf: Any) -> Tensor:
    if isinstance(leaf, SparseTensor):
        made: Tensor = sparse_variants.serialize_sparse_op(
            leaf.indices, leaf.values, leaf.dense_shape, out_type=dtypes.variant
        )
        return made
    if hasattr(leaf, "_variant_tensor"):
        variant: Tensor = leaf._variant_tensor
        return variant
    return leaf  # type: ignore[no-any-return]  # every other leaf is a Tensor


def element_of(spec: Any, components: Sequence[Tensor], dataset: Callable[..., Any]) -> Any:
    """The element that the components stand for; `dataset(variant, spec)` makes one that is a leaf."""
    leaves: list[Any] = []
    for leaf, tensor in zip(nest.flatten(spec), components, strict=True):
        if isinstance(leaf, SparseTensorSpec):
            parts = sparse_variants.deserialize_sparse_op(tensor, dtype=leaf.dtype)
            leaves.append(_sparse(leaf, parts))
        elif isinstance(leaf, DatasetSpec):
            leaves.append(dataset(tensor, leaf.element_spec))
        else:
            tensor.set_shape(leaf.shape)
            leaves.append(tensor)
    return nest.pack_sequence_as(spec, leaves)


def _sparse(spec: SparseTensorSpec, parts: Sequence[Tensor]) -> SparseTensor:
    rank = spec.shape.rank
    indices, values, shape = parts
    if rank is not None:
        indices.set_shape([None, rank])
        shape.set_shape([rank])
    return SparseTensor(indices, values, _with_known_sizes(shape, spec.shape))


def _with_known_sizes(sizes: Tensor, known: TensorShape) -> Tensor:
    """The sizes of a shape as a tensor, with those that are known as constants."""
    if known.sizes is None or all(n is None for n in known.sizes):
        return sizes
    found = joining.unstack(sizes, num=len(known.sizes))
    merged = [
        f if n is None else constants.constant(n, dtypes.int64)
        for n, f in zip(known.sizes, found, strict=True)
    ]
    made: Tensor = joining.stack(merged)
    return made


def with_batch(spec: Any, size: int | None) -> Any:
    """The spec of batches of `size` elements."""

    def batched(leaf: Any) -> Any:
        shape = TensorShape([size]).concatenate(leaf.shape)
        if isinstance(leaf, DatasetSpec):
            return DatasetSpec(leaf.element_spec, shape)
        return type(leaf)(shape, leaf.dtype)

    return nest.map_structure(batched, spec)


def without_batch(spec: Any) -> Any:
    """The spec of the slices of elements along their first dimension. Raises ValueError for a scalar."""

    def unbatched(leaf: Any) -> Any:
        if leaf.shape.rank == 0:
            raise ValueError("Unbatching a tensor is only supported for rank >= 1")
        shape = leaf.shape if leaf.shape.rank is None else leaf.shape[1:]
        return type(leaf)(shape, leaf.dtype)

    return nest.map_structure(unbatched, spec)


def most_specific(first: Any, second: Any) -> Any:
    """The spec of elements of either kind. Raises TypeError where their nests or dtypes differ."""
    try:
        nest.assert_same_structure(first, second)
        same = component_types(first) == component_types(second)
    except (TypeError, ValueError):
        same = False
    if not same:
        raise TypeError(f"Incompatible dataset elements:\n  {first} vs.\n  {second}")

    def joined(a: Any, b: Any) -> Any:
        if isinstance(a, DatasetSpec):
            return a
        return type(a)(a.shape.most_specific_compatible_shape(b.shape), a.dtype)

    return nest.map_structure(joined, first, second)


def check_state(wanted: Any, found: Any, what: str) -> None:
    """Raise TypeError where the state that the function `what` returns is of another kind than the one it is given."""
    try:
        most_specific(wanted, found)
    except TypeError:
        raise TypeError(
            f"The element structure for the new state of `{what}` must match the initial state. Expected {wanted}, got "
            f"{found}."
        ) from None


def spec_from_legacy(output_types: Any, output_shapes: Any, output_classes: Any) -> Any:
    """The spec that nests of dtypes, shapes (None: unknown) and classes (None: all tensors) describe."""
    types = nest.map_structure(dtypes.as_dtype, output_types)
    flat = nest.flatten(types)
    shapes = [TensorShape(None)] * len(flat)
    if output_shapes is not None:
        shapes = [as_shape(s) for s in _flat_shapes(types, output_shapes)]
    classes = [Tensor] * len(flat) if output_classes is None else nest.flatten(output_classes)
    leaves: list[Any] = []
    for dtype, shape, kind in zip(flat, shapes, classes, strict=True):
        is_sparse = isinstance(kind, type) and issubclass(kind, SparseTensor)
        leaves.append((SparseTensorSpec if is_sparse else TensorSpec)(shape, dtype))
    return nest.pack_sequence_as(types, leaves)


def _flat_shapes(types: Any, shapes: Any) -> list[Any]:
    """The shapes at the places of the types; what is not nested by them may be a list or tuple of sizes."""
    return nest.flatten_up_to(types, shapes, check_types=False)


def legacy_types(spec: Any) -> Any:
    """The nest of dtypes."""
    return nest.map_structure(lambda s: s.dtype, spec)


def legacy_shapes(spec: Any) -> Any:
    """The nest of shapes."""
    return nest.map_structure(lambda s: s.shape, spec)


def legacy_classes(spec: Any) -> Any:
    """The nest of classes: Tensor, SparseTensor, or what describes a dataset."""

    def kind(leaf: Any) -> Any:
        if isinstance(leaf, SparseTensorSpec):
            return SparseTensor
        return leaf if isinstance(leaf, DatasetSpec) else Tensor

    return nest.map_structure(kind, spec)
