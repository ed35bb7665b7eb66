"""What control flow carries besides tensors: variables, TensorArrays, IndexedSlices, sparse tensors, as plain tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import nest
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.slices import IndexedSlices
from ckpt.ops import constants


def _is_sparse(value: Any) -> bool:
    return all(hasattr(value, n) for n in ("indices", "values", "dense_shape")) and hasattr(
        value, "graph"
    )


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors that a leaf consists of. An operation becomes a tensor that is there once it has run."""
    if isinstance(value, Tensor):
        return [value]
    if hasattr(value, "_flow_parts"):
        return list(value._flow_parts())
    if isinstance(value, IndexedSlices):
        parts = [value.values, value.indices, value.dense_shape]
        return [p for p in parts if p is not None]
    if isinstance(value, Operation):
        with control_dependencies([value]):
            return [constants.constant(True, name="run")]
    if _is_sparse(value):
        return [value.indices, value.values, value.dense_shape]
    return [convert.convert_to_tensor(value)]


def value_of(like: Any, tensors: Sequence[Tensor]) -> Any:
    """The leaf `like` with other tensors."""
    if hasattr(like, "_flow_parts"):
        return like._with_flow_parts(tensors)
    if isinstance(like, IndexedSlices):
        return IndexedSlices(*tensors)
    if not isinstance(like, (Tensor, Operation)) and _is_sparse(like):
        return type(like)(*tensors)
    return tensors[0]


def flat_tensors(structure: Any) -> list[Tensor]:
    """All tensors of all leaves."""
    return [tensor for leaf in nest.flatten(structure) for tensor in tensors_of(leaf)]


def count_of(leaf: Any) -> int:
    """How many tensors `tensors_of` gives for a leaf that was converted before."""
    if isinstance(leaf, IndexedSlices):
        return 2 if leaf.dense_shape is None else 3
    return 3 if not isinstance(leaf, (Tensor, Operation)) and _is_sparse(leaf) else 1


def packed(structure: Any, tensors: Sequence[Tensor]) -> Any:
    """The nest `structure` with these tensors in its leaves."""
    leaves = []
    position = 0
    for leaf in nest.flatten(structure):
        count = count_of(leaf)
        leaves.append(value_of(leaf, tensors[position : position + count]))
        position += count
    return nest.pack_sequence_as(structure, leaves)


def _rank_of_sparse(invariant: TensorShape) -> int | None:
    """The rank of a sparse tensor: its invariant is the shape of its `dense_shape`. Raises ValueError for another."""
    if invariant.sizes is None:
        return None
    if len(invariant.sizes) != 1:
        raise ValueError(
            f"Expected a shape with 1 dimension. Obtained: {invariant} which has {len(invariant.sizes)} dimensions."
        )
    return invariant.sizes[0]


def invariant_shapes(leaf: Any, invariant: Any) -> list[TensorShape]:
    """The shapes of the tensors of a leaf whose own shape is declared to be `invariant`."""
    if isinstance(leaf, IndexedSlices):
        shape = as_shape(invariant)
        found = [shape, TensorShape([shape.sizes[0] if shape.sizes else None])]
        return found if leaf.dense_shape is None else [*found, leaf.dense_shape.shape]
    if not isinstance(leaf, Tensor) and _is_sparse(leaf):
        rank = _rank_of_sparse(as_shape(invariant))
        return [TensorShape([None, rank]), TensorShape([None]), TensorShape([rank])]
    return [as_shape(getattr(invariant, "shape", invariant))]
