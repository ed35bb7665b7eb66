"""Lists of tensors as values: pushing and popping, what gradients of loops keep their intermediate values in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import constants

INDEX_TYPE = Attr("type", allowed=dtypes.INDEX)


class Items:
    """How a list begins: with items (None for one not set yet), what is known of all items, and how many it may have."""

    __slots__ = ("dtype", "limit", "shape", "values")

    def __init__(
        self, values: Sequence[Any], dtype: DType, shape: TensorShape, limit: int = -1
    ) -> None:
        self.values = list(values)
        self.dtype = dtype
        self.shape = shape
        self.limit = limit

    def holding(self, values: Sequence[Any]) -> Items:
        """The same list with other items. Raises InvalidArgumentError for more than it may have."""
        if 0 <= self.limit < len(values):
            raise InvalidArgumentError(
                None, None, f"Tried to push item into a full list: it may have {self.limit} items"
            )
        return Items(values, self.dtype, self.shape, self.limit)


def is_list(value: Any) -> bool:
    """A list is `Items`, or (the list before, an item): pushing and popping copy nothing and share what is the same."""
    return type(value) is tuple or type(value) is Items


def start_of(tensor_list: Any) -> Items:
    """The items that a list begins with."""
    while type(tensor_list) is tuple:
        tensor_list = tensor_list[0]
    return tensor_list


def items_of(tensor_list: Any) -> list[Any]:
    """The items, first to last; None for those not set."""
    found = []
    while type(tensor_list) is tuple:
        tensor_list, item = tensor_list
        found.append(item)
    return [*tensor_list.values, *reversed(found)]


def is_variant(value: Any) -> bool:
    """True for what a tensor of dtype variant holds: a list, or an optional value (a Python list, empty where none is)."""
    return type(value) in (tuple, Items, list)


def zeros_of(value: Any) -> Any:
    """Zeros in place of all tensors that a variant holds."""
    if type(value) is list:
        return [zeros_of(part) for part in value]
    if is_list(value):
        return start_of(value).holding([zeros_of(item) for item in items_of(value)])
    return None if value is None else np.zeros_like(value)


def summed(values: Sequence[Any]) -> Any:
    """The sum of variants of one structure, tensor by tensor; an item not set, or a value not there, adds nothing."""
    present = [v for v in values if v is not None and (type(v) is not list or v)]
    if len(present) < 2:
        return present[0] if present else values[0]
    if type(present[0]) is list:
        return [summed(parts) for parts in zip(*present, strict=True)]
    if is_list(present[0]):
        columns = zip(*map(items_of, present), strict=True)
        return start_of(present[0]).holding([summed(column) for column in columns])
    return sum(present[1:], present[0])


def shape_given(element_shape: Any) -> TensorShape:
    """The shape that an input says: -1 stands for a size, or alone for a rank, that is not known."""
    if np.ndim(element_shape) == 0:
        return TensorShape(None)
    return TensorShape([None if size < 0 else int(size) for size in element_shape])


@op(
    "EmptyTensorList",
    "element_shape: shape_type, max_num_elements: int32 -> handle: variant",
    element_dtype=Attr("type"),
    shape_type=INDEX_TYPE,
)
def empty_tensor_list(element_shape, max_num_elements, *, element_dtype):
    """A list without items."""
    return Items((), element_dtype, shape_given(element_shape), int(max_num_elements))


empty_tensor_list.shape(lambda element_shape, max_num_elements: [()])
empty_tensor_list.no_gradient("it depends on no value")


@op("TensorListPushBack", "input_handle: variant, tensor: element_dtype -> output_handle: variant",
    element_dtype=Attr("type"))  # fmt: skip
def tensor_list_push_back(input_handle, tensor):
    """The list with `tensor` behind it."""
    if type(input_handle) is Items:
        check_item(input_handle, tensor)
        if input_handle.limit >= 0:
            return input_handle.holding([*input_handle.values, tensor])
    return input_handle, tensor


def check_item(start: Items, item: Any) -> None:
    """Raise InvalidArgumentError for an item whose shape is not that of the list's items."""
    if start.shape.sizes is None or is_variant(item):
        return
    if not start.shape.is_compatible_with(np.shape(item)):
        raise InvalidArgumentError(
            None,
            None,
            f"Tried to put a tensor of shape {list(np.shape(item))} into a list of tensors of {start.shape}.",
        )


tensor_list_push_back.shape(lambda input_handle, tensor: [()])


@tensor_list_push_back.grad
def tensor_list_push_back_grad(node, dlist):
    return list(popped(dlist, node.inputs[1].dtype.base_dtype, node.inputs[1].shape))


@op(
    "TensorListPopBack",
    "input_handle: variant, element_shape: int32 -> output_handle: variant, tensor: element_dtype",
    element_dtype=Attr("type"),
)
def tensor_list_pop_back(input_handle, element_shape):
    """The list without its last item, and that item. Raises InvalidArgumentError for an empty list."""
    if type(input_handle) is tuple:
        return input_handle
    if not input_handle.values:
        raise InvalidArgumentError(None, None, "Trying to pop from an empty list.")
    item = input_handle.values[-1]
    if item is None:
        item = unset_item(input_handle, element_shape)
    return input_handle.holding(input_handle.values[:-1]), item


def unset_item(start: Items, element_shape: Any) -> Any:
    """Zeros for an item not set. Raises InvalidArgumentError where its shape is not known."""
    shape = start.shape.merge_with(shape_given(element_shape))
    if not shape.is_fully_defined():
        raise InvalidArgumentError(
            None,
            None,
            f"Trying to read an uninitialized list item whose shape is not fully defined: {shape}.",
        )
    return np.zeros(shape.as_tuple(), start.dtype.as_numpy_dtype)


@tensor_list_pop_back.shape
def tensor_list_pop_back_shape(input_handle, element_shape):
    if element_shape.shape.rank == 0:
        return [(), TensorShape.of(None)]
    return [(), constant_value_as_shape(element_shape)]


@tensor_list_pop_back.grad
def tensor_list_pop_back_grad(node, dlist, d_item):
    if dlist is None:
        dlist = constants.zeros_like(node.outputs[0])
    if d_item is None:
        d_item = constants.zeros_like(node.outputs[1])
    return [tensor_list_push_back(dlist, d_item), None]


@op("TensorListLength", "input_handle: variant -> length: int32")
def tensor_list_length(input_handle):
    """How many items the list has."""
    return np.int32(len(items_of(input_handle)))


tensor_list_length.shape(lambda input_handle: [()])
tensor_list_length.no_gradient("a length has no derivative")


def empty(dtype: Any, shape: TensorShape) -> Any:
    """A list without items, for items of this dtype and static shape."""
    return empty_tensor_list(_shape_constant(shape), -1, element_dtype=dtype)


def popped(handle: Any, dtype: Any, shape: TensorShape) -> Any:
    """The list without its last item, and that item, of this dtype and static shape."""
    return tensor_list_pop_back(handle, _shape_constant(shape), element_dtype=dtype)


def _shape_constant(shape: TensorShape) -> Any:
    if shape.sizes is None:
        return constants.constant(-1, dtype=dtypes.int32, name="element_shape")
    sizes = [-1 if size is None else size for size in shape.sizes]
    return constants.constant(np.array(sizes, np.int32), name="element_shape")
