"""Lists of tensors by index: reserving, setting, getting, stacking, gathering, scattering, cutting and joining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import constants, segments, shaping
from ckpt.ops.tensor_list import (
    INDEX_TYPE,
    Items,
    check_item,
    items_of,
    shape_given,
    start_of,
    tensor_list_length,
    unset_item,
)

ITEM = Attr("type")
INDEX32 = Attr("type", dtypes.int32, dtypes.INDEX)


def _fail(text: str) -> Any:
    raise InvalidArgumentError(None, None, text)


def _static_shape(element_shape: Any) -> TensorShape:
    return (
        TensorShape(None)
        if element_shape.shape.rank == 0
        else constant_value_as_shape(element_shape)
    )


def _filled(start: Items, items: Sequence[Any], element_shape: Any) -> list[Any]:
    """The items, zeros for those not set, in the shape that the others have. Raises InvalidArgumentError where none
    has one, or they differ."""
    shape = start.shape.merge_with(shape_given(element_shape))
    for item in items:
        if item is not None:
            try:
                shape = shape.merge_with(np.shape(item))
            except ValueError:
                _fail(
                    f"The items of a list have different shapes: {shape} and {list(np.shape(item))}."
                )
    if not shape.is_fully_defined():
        _fail(f"Tried to stack a list whose items have no known shape: {shape}.")
    zeros = np.zeros(shape.as_tuple(), start.dtype.as_numpy_dtype)
    return [zeros if item is None else item for item in items]


def _stacked(start: Items, items: Sequence[Any], element_shape: Any) -> Any:
    filled = _filled(start, items, element_shape)
    if filled:
        return np.stack(filled)
    shape = start.shape.merge_with(shape_given(element_shape))
    return np.zeros((0, *shape.as_tuple()), start.dtype.as_numpy_dtype)


@op("TensorListReserve", "element_shape: shape_type, num_elements: int32 -> handle: variant",
    element_dtype=ITEM, shape_type=INDEX_TYPE)  # fmt: skip
def tensor_list_reserve(element_shape, num_elements, *, element_dtype):
    """A list of `num_elements` items that are not set yet."""
    if num_elements < 0:
        _fail(
            f"The num_elements to reserve must be a non negative number, but got {int(num_elements)}"
        )
    return Items([None] * int(num_elements), element_dtype, shape_given(element_shape))


tensor_list_reserve.shape(lambda element_shape, num_elements: [()])
tensor_list_reserve.no_gradient("it depends on no value")


@op("TensorListGetItem", "input_handle: variant, index: int32, element_shape: Tshape -> item: element_dtype",
    element_dtype=ITEM, Tshape=INDEX32)  # fmt: skip
def tensor_list_get_item(input_handle, index, element_shape):
    """The item at `index`, zeros where it is not set. Raises InvalidArgumentError for an index that there is not."""
    items = items_of(input_handle)
    if not 0 <= index < len(items):
        _fail(f"Trying to access element {int(index)} in a list with {len(items)} elements.")
    item = items[int(index)]
    return unset_item(start_of(input_handle), element_shape) if item is None else item


tensor_list_get_item.shape(
    lambda input_handle, index, element_shape: [_static_shape(element_shape)]
)


@op("TensorListSetItem", "input_handle: variant, index: int32, item: element_dtype -> output_handle: variant",
    element_dtype=ITEM, resize_if_index_out_of_bounds=False)  # fmt: skip
def tensor_list_set_item(input_handle, index, item, *, resize_if_index_out_of_bounds):
    """The list with `item` at `index`. Raises InvalidArgumentError for an index that there is not."""
    items, start = items_of(input_handle), start_of(input_handle)
    if resize_if_index_out_of_bounds and index >= len(items):
        items += [None] * (int(index) + 1 - len(items))
    if not 0 <= index < len(items):
        _fail(f"Trying to modify element {int(index)} in a list with {len(items)} elements.")
    check_item(start, item)
    items[int(index)] = item
    return start.holding(items)


tensor_list_set_item.shape(lambda input_handle, index, item: [()])


@op("TensorListStack", "input_handle: variant, element_shape: int32 -> tensor: element_dtype",
    element_dtype=ITEM, num_elements=-1)  # fmt: skip
def tensor_list_stack(input_handle, element_shape, *, num_elements):
    """All items, stacked. Raises InvalidArgumentError for another number of items than `num_elements`, where given."""
    items = items_of(input_handle)
    if num_elements not in (-1, len(items)):
        _fail(
            f"Operation expected a list with {num_elements} elements but got a list with {len(items)} elements."
        )
    return _stacked(start_of(input_handle), items, element_shape)


tensor_list_stack.shape(lambda input_handle, element_shape, *, num_elements: [
    TensorShape([None if num_elements < 0 else num_elements]).concatenate(_static_shape(element_shape))])  # fmt: skip


@op("TensorListFromTensor", "tensor: element_dtype, element_shape: shape_type -> output_handle: variant",
    element_dtype=ITEM, shape_type=INDEX_TYPE)  # fmt: skip
def tensor_list_from_tensor(tensor, element_shape, *, element_dtype):
    """The rows of `tensor` as a list."""
    if not np.ndim(tensor):
        _fail("Tensor must be at least a vector, but saw shape: []")
    made = Items(list(tensor), element_dtype, shape_given(element_shape))
    for item in made.values[:1]:
        check_item(made, item)
    return made


@tensor_list_from_tensor.shape
def tensor_list_from_tensor_shape(tensor, element_shape):
    tensor.shape.with_rank_at_least(1)[1:].merge_with(_static_shape(element_shape))
    return [()]


@op("TensorListGather", "input_handle: variant, indices: int32, element_shape: int32 -> values: element_dtype",
    element_dtype=ITEM)  # fmt: skip
def tensor_list_gather(input_handle, indices, element_shape):
    """The items at `indices`, stacked. Raises InvalidArgumentError for an index that there is not."""
    items = items_of(input_handle)
    bad = [int(i) for i in indices if not 0 <= i < len(items)]
    if bad:
        _fail(f"Trying to gather element {bad[0]} in a list with {len(items)} elements.")
    return _stacked(start_of(input_handle), [items[i] for i in indices], element_shape)


tensor_list_gather.shape(lambda input_handle, indices, element_shape: [
    TensorShape([indices.shape[0] if indices.shape.rank else None]).concatenate(_static_shape(element_shape))])  # fmt: skip


def _scattered(items: list[Any], tensor: Any, indices: Any, limit: int = -1) -> list[Any]:
    if np.ndim(indices) != 1 or len(indices) != (len(tensor) if np.ndim(tensor) else -1):
        _fail(
            f"Specified a list with shape {list(np.shape(tensor))[1:]} and indices of shape {list(np.shape(indices))}: "
            "there must be one index for each row."
        )
    for index, item in zip(indices, tensor, strict=True):
        if index < 0 or (0 <= limit <= index):
            _fail(
                f"TensorListScatter: Trying to scatter at index {int(index)} in list with size {limit}"
            )
        items += [None] * (int(index) + 1 - len(items))
        items[int(index)] = item
    return items


@op("TensorListScatter", "tensor: element_dtype, indices: int32, element_shape: shape_type -> output_handle: variant",
    element_dtype=ITEM, shape_type=INDEX_TYPE)  # fmt: skip
def tensor_list_scatter(tensor, indices, element_shape, *, element_dtype):
    """A list as long as its greatest index, with the rows of `tensor` at `indices`."""
    return Items(_scattered([], tensor, indices), element_dtype, shape_given(element_shape))


tensor_list_scatter.shape(lambda tensor, indices, element_shape: [()])


@op("TensorListScatterV2", "tensor: element_dtype, indices: int32, element_shape: shape_type, num_elements: int32 -> output_handle: variant",
    element_dtype=ITEM, shape_type=INDEX_TYPE)  # fmt: skip
def tensor_list_scatter_v2(tensor, indices, element_shape, num_elements, *, element_dtype):
    """A list of `num_elements` (-1: as many as needed) with the rows of `tensor` at `indices`."""
    limit = int(num_elements)
    items = _scattered([None] * max(limit, 0), tensor, indices, limit)
    return Items(items, element_dtype, shape_given(element_shape))


tensor_list_scatter_v2.shape(lambda tensor, indices, element_shape, num_elements: [()])


@op("TensorListScatterIntoExistingList", "input_handle: variant, tensor: element_dtype, indices: int32 -> output_handle: variant",
    element_dtype=ITEM)  # fmt: skip
def tensor_list_scatter_into_existing(input_handle, tensor, indices):
    """The list with the rows of `tensor` at `indices`, longer where need be."""
    return start_of(input_handle).holding(_scattered(items_of(input_handle), tensor, indices))


tensor_list_scatter_into_existing.shape(lambda input_handle, tensor, indices: [()])


@op("TensorListConcatV2",
    "input_handle: variant, element_shape: shape_type, leading_dims: int64 -> tensor: element_dtype, lengths: int64",
    element_dtype=ITEM, shape_type=INDEX_TYPE)  # fmt: skip
def tensor_list_concat_v2(input_handle, element_shape, leading_dims):
    """All items joined along their first axis, and how long each is. An item not set is zeros, as long as
    `leading_dims` says."""
    start, items = start_of(input_handle), items_of(input_handle)
    shape = start.shape.merge_with(shape_given(element_shape))
    if shape.rank == 0:
        _fail("Concat requires elements to be at least vectors, found scalars instead.")
    rest = TensorShape(None) if shape.sizes is None else shape[1:]
    for item in items:
        if item is not None:
            rest = rest.merge_with(np.shape(item)[1:])
    missing = [i for i, item in enumerate(items) if item is None]
    first = shape.sizes[0] if shape.sizes else None
    if (missing and first is None and len(leading_dims) < len(items)) or (
        (missing or not items) and not rest.is_fully_defined()
    ):
        _fail(f"Tried to concat a list with items of unknown shape: {shape}.")
    for i in missing:
        length = int(leading_dims[i]) if len(leading_dims) else first
        items[i] = np.zeros((length, *rest.as_tuple()), start.dtype.as_numpy_dtype)
    lengths = np.array([len(item) for item in items], np.int64)
    if not items:
        return np.zeros((0, *rest.as_tuple()), start.dtype.as_numpy_dtype), lengths
    return np.concatenate(items), lengths


@tensor_list_concat_v2.shape
def tensor_list_concat_v2_shape(input_handle, element_shape, leading_dims):
    shape = _static_shape(element_shape)
    rest = TensorShape(None) if shape.sizes is None else shape[1:]
    return [TensorShape([None]).concatenate(rest), (None,)]


@op("TensorListSplit", "tensor: element_dtype, element_shape: shape_type, lengths: int64 -> output_handle: variant",
    element_dtype=ITEM, shape_type=INDEX_TYPE)  # fmt: skip
def tensor_list_split(tensor, element_shape, lengths, *, element_dtype):
    """`tensor` cut along its first axis into items of these lengths."""
    if not np.ndim(tensor):
        _fail("Tensor must be at least a vector, but saw shape: []")
    if np.any(lengths < 0) or lengths.sum() != len(tensor):
        _fail(
            f"The lengths {lengths.tolist()} must add up to the length of the tensor, {len(tensor)}."
        )
    parts = np.split(tensor, np.cumsum(lengths)[:-1]) if len(lengths) else []
    return Items(parts, element_dtype, shape_given(element_shape))


tensor_list_split.shape(lambda tensor, element_shape, lengths: [()])


@op(
    "TensorListConcatLists",
    "input_a: variant, input_b: variant -> output: variant",
    element_dtype=ITEM,
)
def tensor_list_concat_lists(input_a, input_b):
    """The items of one list and then those of another."""
    return start_of(input_a).holding([*items_of(input_a), *items_of(input_b)])


tensor_list_concat_lists.shape(lambda input_a, input_b: [input_a.shape])
tensor_list_concat_lists.no_gradient("TensorFlow says that there is none")


@op(
    "TensorListElementShape",
    "input_handle: variant -> element_shape: shape_type",
    shape_type=INDEX_TYPE,
)
def tensor_list_element_shape(input_handle, *, shape_type):
    """What is known of the shape of all items: -1 for an unknown size, or alone for an unknown rank."""
    sizes = start_of(input_handle).shape.sizes
    found = -1 if sizes is None else [-1 if size is None else size for size in sizes]
    return np.array(found, shape_type.as_numpy_dtype)


tensor_list_element_shape.shape(lambda input_handle: [None])
tensor_list_element_shape.no_gradient("a shape is made of integers")


@op("TensorListResize", "input_handle: variant, size: int32 -> output_handle: variant")
def tensor_list_resize(input_handle, size):
    """The list with its first `size` items, and items not set where it had fewer."""
    if size < 0:
        _fail(f"TensorListSlice expects size to be non-negative. Got: {int(size)}")
    items = items_of(input_handle)[: int(size)]
    return start_of(input_handle).holding([*items, *[None] * (int(size) - len(items))])


tensor_list_resize.shape(lambda input_handle, size: [()])


@tensor_list_stack.grad
def tensor_list_stack_grad(node, dy):
    return [tensor_list_from_tensor(dy, node.inputs[1], element_dtype=dy.dtype), None]


@tensor_list_from_tensor.grad
def tensor_list_from_tensor_grad(node, dlist):
    tensor = node.inputs[0]
    shape = shaping.shape(tensor)[1:]
    return [tensor_list_stack(dlist, shape, element_dtype=tensor.dtype.base_dtype), None]


@tensor_list_get_item.grad
def tensor_list_get_item_grad(node, dy):
    held, index, _ = node.inputs
    zeros = constants.zeros_like(held)
    return [tensor_list_set_item(zeros, index, dy), None, None]


@tensor_list_set_item.grad
def tensor_list_set_item_grad(node, dlist):
    _, index, item = node.inputs
    rest = tensor_list_set_item(dlist, index, constants.zeros_like(item))
    rest = tensor_list_resize(rest, tensor_list_length(node.inputs[0]))
    d_item = tensor_list_get_item(
        dlist, index, shaping.shape(item), element_dtype=item.dtype.base_dtype
    )
    return [rest, None, d_item]


@tensor_list_gather.grad
def tensor_list_gather_grad(node, dy):
    held, indices, shape = node.inputs
    rows = segments.unsorted_segment_sum(dy, indices, tensor_list_length(held))
    return [tensor_list_from_tensor(rows, shape, element_dtype=dy.dtype), None, None]


def _rows_taken(node, dlist):
    tensor, indices = node.inputs[:2]
    shape = shaping.shape(tensor)[1:]
    return tensor_list_gather(dlist, indices, shape, element_dtype=tensor.dtype.base_dtype)


@tensor_list_scatter.grad
def tensor_list_scatter_grad(node, dlist):
    return [_rows_taken(node, dlist), None, None]


@tensor_list_scatter_v2.grad
def tensor_list_scatter_v2_grad(node, dlist):
    return [_rows_taken(node, dlist), None, None, None]


@tensor_list_scatter_into_existing.grad
def tensor_list_scatter_into_existing_grad(node, dlist):
    held, tensor, indices = node.inputs
    kind, shape = tensor.dtype.base_dtype, shaping.shape(tensor)[1:]
    rest = tensor_list_scatter_into_existing(dlist, constants.zeros_like(tensor), indices)
    rest = tensor_list_resize(rest, tensor_list_length(held))
    return [rest, tensor_list_gather(dlist, indices, shape, element_dtype=kind), None]


@tensor_list_concat_v2.grad
def tensor_list_concat_v2_grad(node, dy, _):
    shape = node.inputs[1]
    return [tensor_list_split(dy, shape, node.outputs[1], element_dtype=dy.dtype), None, None]


@tensor_list_split.grad
def tensor_list_split_grad(node, dlist):
    tensor, shape, lengths = node.inputs
    kind = tensor.dtype.base_dtype
    return [tensor_list_concat_v2(dlist, shape, lengths, element_dtype=kind)[0], None, None]


@tensor_list_resize.grad
def tensor_list_resize_grad(node, dlist):
    return [tensor_list_resize(dlist, tensor_list_length(node.inputs[0])), None]


def concatenated(held: Any, dtype: Any, shape: TensorShape) -> Any:
    """The items of a list, of this dtype and static shape, joined along their first axis."""
    sizes = -1 if shape.sizes is None else [-1 if size is None else size for size in shape.sizes]
    element_shape = constants.constant(np.array(sizes, np.int32), name="element_shape")
    none = constants.constant(np.zeros(0, np.int64), dtype=dtypes.int64, name="leading_dims")
    return tensor_list_concat_v2(held, element_shape, none, element_dtype=dtype)[0]
