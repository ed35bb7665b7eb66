"""What a caller feeds, as tensors of the graph and arrays of their dtype and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Tensor
from ckpt.graph.slices import IndexedSlices
from ckpt.run.handles import TensorHandle


def flat_feeds(graph: Graph, feed_dict: Mapping[Any, Any] | None) -> dict[Tensor, Any]:
    """The fed tensors and their values, composite feeds taken apart.

    Raises TypeError for a key that is no tensor or a value that is one, ValueError for a tensor not to be fed.
    """
    if feed_dict is not None and not hasattr(feed_dict, "items"):
        raise TypeError(f"feed_dict must be a dictionary, not a {type(feed_dict).__name__}")
    found: dict[Tensor, Any] = {}
    for key, value in (feed_dict or {}).items():
        for part, part_value in _parts(key, value):
            tensor = _fed_tensor(graph, part)
            if isinstance(part_value, Tensor):
                raise TypeError(
                    "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, "
                    f"strings, lists, numpy ndarrays, or TensorHandles. For reference, the tensor object was {part_value!r} which was "
                    f"passed to the feed with key {part!r}."
                )
            is_handle = isinstance(part_value, TensorHandle)
            found[tensor] = part_value.fed_to(tensor) if is_handle else part_value
    return found


def _parts(key: Any, value: Any) -> list[tuple[Any, Any]]:
    if isinstance(key, IndexedSlices):
        names = ("values", "indices", "dense_shape")
        given = (
            [getattr(value, name) for name in names] if hasattr(value, "indices") else list(value)
        )
        members = [key.values, key.indices, key.dense_shape]
        return [(m, g) for m, g in zip(members, given, strict=False) if m is not None]
    if hasattr(key, "_feed_parts"):
        return list(key._feed_parts(value))
    if isinstance(key, tuple):
        return list(zip(key, value, strict=True))
    if isinstance(key, (list, set, dict)):
        raise TypeError(
            f"Cannot interpret feed_dict key as Tensor: {key!r} is a {type(key).__name__}"
        )
    return [(key, value)]


def _fed_tensor(graph: Graph, key: Any) -> Tensor:
    try:
        tensor = graph.as_graph_element(key, allow_tensor=True, allow_operation=False)
    except (TypeError, ValueError, KeyError) as error:
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {error}") from None
    if not graph.is_feedable(tensor):
        raise ValueError(f"Tensor {tensor!r} may not be fed.")
    return tensor  # type: ignore[no-any-return]  # operations are not allowed


def fed_array(tensor: Tensor, value: Any) -> Any:
    """`value` as an array of the tensor's dtype, read-only unless it is ours.

    Raises ValueError when the shape does not fit, TypeError when the elements do not.
    """
    dtype = tensor._dtype.base_dtype
    kind = dtype.as_numpy_dtype
    if type(value) is np.ndarray and value.dtype == kind and kind is not np.object_:
        array = arrays.frozen(value)
    elif dtype.name in ("resource", "variant"):
        return value
    else:
        array = _converted(tensor, value, dtype)
    sizes = tensor._shape.sizes
    if sizes is not None and not _fits(sizes, array.shape):
        raise ValueError(
            f"Cannot feed value of shape {array.shape} for Tensor {tensor.name}, which has shape {tensor._shape}"
        )
    return array


def _converted(tensor: Tensor, value: Any, dtype: dtypes.DType) -> Any:
    if dtype == dtypes.string:
        return arrays.byte_strings(arrays.array_of(value, dtypes.string))
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and dtype.is_integer
        and not dtype.min <= value <= dtype.max
    ):
        raise TypeError(
            f"Type of feed value {value} with type {type(value)} is not compatible with Tensor type "
            f"{dtype.as_numpy_dtype}. Try explicitly setting the type of the feed tensor to a larger type."
        )
    try:
        return np.asarray(value, dtype=dtype.as_numpy_dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"Cannot feed {value!r} for Tensor {tensor.name} of dtype {dtype.name}: {error}"
        ) from None


def _fits(sizes: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(sizes) == len(shape) and all(
        size is None or size == actual for size, actual in zip(sizes, shape, strict=True)
    )
