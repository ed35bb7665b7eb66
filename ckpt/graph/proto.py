"""Values as TensorProto messages and back, as programs call it. Knows no operation type."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.core.shapes import MESSAGES, TensorShape


def make_tensor_proto(
    values: Any,
    dtype: Any = None,
    shape: Any = None,
    verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:
    """`values` as a TensorProto message; the last value fills up a larger `shape`.

    Raises TypeError for values of another kind than `dtype`, ValueError for too many values or (with
    `verify_shape`) another number of them than `shape` says.
    """
    from ckpt.wire import messages, tensor_proto  # protobuf is loaded only when messages are used

    if isinstance(values, messages.TensorProto):
        return values
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    array = _array_of(values, wanted)
    kind = dtypes.as_dtype(array.dtype)
    if wanted is not None and wanted != kind and wanted.base_dtype.as_numpy_dtype != array.dtype:
        raise TypeError(f"Incompatible types: {wanted} vs. {kind}. Value is {values!r}")
    sizes = list(array.shape) if shape is None else TensorShape(shape).as_list()
    count = int(np.prod([int(s or 0) for s in sizes]))
    if verify_shape and list(array.shape) != sizes:
        raise TypeError(f"Expected Tensor's shape: {tuple(sizes)}, got {tuple(array.shape)}.")
    if array.size > count:
        raise ValueError(
            f"Too many elements provided. Needed at most {count}, but received {array.size}"
        )
    return tensor_proto.tensor_proto(array, wanted or kind, None if shape is None else sizes)


def _array_of(values: Any, wanted: Any) -> Any:
    if isinstance(values, (np.ndarray, np.generic)):
        array = np.asarray(values)
        return array if wanted is None else array.astype(wanted.as_numpy_dtype)
    if values is None:
        raise ValueError("None values not supported.")
    if wanted is not None and wanted.is_numpy_compatible and hasattr(values, "__array__"):
        return np.asarray(values, dtype=wanted.as_numpy_dtype)
    return arrays.array_of(values, wanted)


def make_ndarray(tensor: Any) -> Any:
    """The array that a TensorProto message (ours or another library's) describes."""
    from ckpt.wire import messages, tensor_proto  # protobuf is loaded only when messages are used

    if not isinstance(tensor, messages.TensorProto):
        tensor = messages.TensorProto.FromString(tensor.SerializeToString())
    return tensor_proto.ndarray_from_tensor_proto(tensor)


def make_shape_proto(shape: TensorShape) -> Any:
    """`shape` as a TensorShapeProto message."""
    from ckpt.wire import attr_value, messages  # protobuf is loaded only when messages are used

    message = messages.TensorShapeProto()
    attr_value.fill_shape(message, shape)
    return message


MESSAGES["TensorShapeProto"] = make_shape_proto
