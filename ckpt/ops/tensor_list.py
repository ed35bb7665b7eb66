"""Lists of tensors as values: pushing and popping, what gradients of loops keep their intermediate values in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import constants

INDEX_TYPE = Attr("type", allowed=dtypes.INDEX)


EMPTY: tuple[Any, ...] = ()
"""A list is () or (the list before, item): pushing and popping copy nothing and share what is the same."""


def items_of(tensor_list: Any) -> list[Any]:
    """The items, first to last."""
    found = []
    while tensor_list:
        tensor_list, item = tensor_list
        found.append(item)
    return found[::-1]


def list_of(items: Iterable[Any]) -> Any:
    """The list of these items."""
    found = EMPTY
    for item in items:
        found = (found, item)
    return found


def zeros_of(tensor_list: Any) -> Any:
    """A list of zeros of the same shapes."""
    return list_of(
        zeros_of(i) if type(i) is tuple else np.zeros_like(i) for i in items_of(tensor_list)
    )


def summed(lists: Sequence[Any]) -> Any:
    """A list of the sums of the items of lists of one length."""
    columns = zip(*[items_of(part) for part in lists], strict=True)
    return list_of(summed(c) if type(c[0]) is tuple else sum(c[1:], c[0]) for c in columns)


@op(
    "EmptyTensorList",
    "element_shape: shape_type, max_num_elements: int32 -> handle: variant",
    element_dtype=Attr("type"),
    shape_type=INDEX_TYPE,
)
def empty_tensor_list(element_shape, max_num_elements):
    """A list without items."""
    return EMPTY


empty_tensor_list.shape(lambda element_shape, max_num_elements: [()])
empty_tensor_list.no_gradient("it depends on no value")


@op("TensorListPushBack", "input_handle: variant, tensor: element_dtype -> output_handle: variant",
    element_dtype=Attr("type"))  # fmt: skip
def tensor_list_push_back(input_handle, tensor):
    """The list with `tensor` behind it."""
    return input_handle, tensor


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
    if not input_handle:
        raise InvalidArgumentError(None, None, "Trying to pop from an empty list.")
    return input_handle


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
