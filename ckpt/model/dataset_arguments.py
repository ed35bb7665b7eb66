"""What the methods of datasets are given, as the tensors and attributes that nodes take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes, nest
from ckpt.core.shapes import as_shape
from ckpt.graph import convert, stack
from ckpt.graph.operation import Tensor
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.specs import TensorSpec
from ckpt.graph.static import constant_value
from ckpt.model import dataset_structure as structure
from ckpt.ops import constants, random, sparse_variants


def int64_tensor(value: Any, name: str) -> Tensor:
    """A number as an int64 tensor."""
    return convert.convert_to_tensor(value, dtypes.int64, name=name)


def seeds_of(seed: Any) -> tuple[Tensor, Tensor]:
    """The two seeds of a shuffle, from the graph's and its own."""
    if isinstance(seed, Tensor):
        first = stack.get_default_graph().seed
        graph_seed = random.DEFAULT_GRAPH_SEED if first is None else first
        return int64_tensor(graph_seed, "seed"), seed
    pair = random.seeds_of(None if seed is None else int(seed))
    return int64_tensor(pair["seed"], "seed"), int64_tensor(pair["seed2"], "seed2")


def deterministic_text(deterministic: bool | None) -> str:
    """How a node says whether its elements come in order."""
    return "default" if deterministic is None else str(deterministic).lower()


def full_size(size: Tensor, is_full: Tensor) -> int | None:
    """How many elements every batch has, where that is known."""
    known, always = constant_value(size), constant_value(is_full)
    return int(known) if known is not None and always is not None and bool(always) else None


def shapes_of_padded(spec: Any, padded_shapes: Any) -> list[Tensor]:
    """The sizes that each component is padded to, -1 for the largest of a batch, as for all where None is given.

    Raises ValueError where they cannot hold the elements.
    """
    leaves = nest.flatten(spec)
    given = [leaf.shape for leaf in leaves]
    if padded_shapes is not None:
        given = nest.flatten_up_to(spec, padded_shapes, check_types=False)
    return [_padded_shape(shape, leaf) for shape, leaf in zip(given, leaves, strict=True)]


def _padded_shape(shape: Any, leaf: TensorSpec) -> Tensor:
    if isinstance(shape, Tensor):
        return shape
    known = as_shape(shape)
    if leaf.shape.rank is not None and known.rank != leaf.shape.rank:
        raise ValueError(
            f"The padded shape {known} is not compatible with the shape {leaf.shape} of the corresponding input component."
        )
    sizes = [-1 if n is None else n for n in known.as_list()]
    for size, held in zip(sizes, leaf.shape.sizes or (None,) * len(sizes), strict=True):
        if held is not None and 0 <= size < held:
            raise ValueError(
                f"The padded shape {known} is not compatible with the shape {leaf.shape} of the corresponding input "
                "component."
            )
    return constants.constant(np.array(sizes, np.int64), dtypes.int64)


def fillers_of(spec: Any, padding_values: Any) -> list[Tensor]:
    """What each component is padded with; zeros, or empty strings, where nothing is given."""
    leaves = nest.flatten(spec)
    given = [None] * len(leaves)
    if padding_values is not None:
        given = nest.flatten_up_to(spec, padding_values, check_types=False)
    made = []
    for value, leaf in zip(given, leaves, strict=True):
        default: Any = "" if leaf.dtype == dtypes.string else np.zeros((), leaf.dtype.as_numpy_dtype)  # fmt: skip
        chosen = default if value is None else value
        made.append(convert.convert_to_tensor(chosen, leaf.dtype, name="padding_value"))
    return made


def sliceable(leaf: Any) -> Tensor:
    """The tensor that a component of slices is cut from; a row of variants for each of a SparseTensor."""
    if isinstance(leaf, SparseTensor):
        made: Tensor = sparse_variants.serialize_many_sparse_op(
            leaf.indices, leaf.values, leaf.dense_shape, out_type=dtypes.variant
        )
        return made
    return structure.components_of(leaf)[0]
