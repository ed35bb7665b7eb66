"""numpy arrays and TensorProto messages. Must not know graphs or attributes.

Source of the rules: TensorFlow's `make_tensor_proto` (which arrays become `tensor_content`) and `Tensor::FromProto`
(a value missing at the end repeats the last one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ckpt.core.dtypes import BY_NUMBER, DType, as_dtype
from ckpt.core.errors import DataLossError, InvalidArgumentError, UnimplementedError
from ckpt.core.shapes import TensorShape
from ckpt.wire import messages as pb

Array = np.ndarray[Any, Any]
# a few bytes may declare any shape: refuse to fill more than this from one value
MOST_REPEATED_BYTES = 1 << 30

_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "string": "string_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "float16": "half_val",
    "bfloat16": "half_val",
}  # float8 types use float8_val, all other numbers int_val
_NEVER_CONTENT = {"bool", "string", "complex64", "complex128", "uint16"} | {
    "int4",
    "uint4",
    "int2",
    "uint2",
}


def field_of(dtype: DType) -> str:
    """The TensorProto field that holds single values of `dtype`. Raises UnimplementedError for handles."""
    if not dtype.is_numpy_compatible:
        raise UnimplementedError(
            None,
            None,
            f"A tensor of dtype {dtype.name} is a handle to something that lives in a process, no value",
        )
    if dtype.name.startswith("float8"):
        return "float8_val"
    return _FIELDS.get(dtype.name, "int_val")


def tensor_proto(array: Any, dtype: Any = None, shape: Any = None) -> Any:
    """The TensorProto of `array`, byte for byte as TensorFlow's `make_tensor_proto` makes it.

    `shape` may hold more elements than `array`: the last one is then repeated by readers.
    """
    message = pb.TensorProto()
    fill_tensor(message, np.asarray(array), dtype, shape)
    return message


def fill_tensor(message: Any, array: Array, dtype: Any = None, shape: Any = None) -> None:
    """Write `array` into an empty TensorProto."""
    kind = as_dtype(array.dtype if dtype is None else dtype).base_dtype
    field = field_of(kind)
    sizes = array.shape if shape is None else tuple(TensorShape(shape).as_list())
    count = 1
    for size in sizes:
        count *= size  # type: ignore[operator]  # a None size is a TypeError, as it should be
    if array.size > count or (array.size == 0 and count > 0):
        raise InvalidArgumentError(
            None, None, f"{array.size} values do not fill a tensor of shape {list(sizes)}"
        )
    message.dtype = kind.as_datatype_enum
    message.tensor_shape.SetInParent()
    for size in sizes:
        message.tensor_shape.dim.add(size=size)
    if kind.name != "string" and array.dtype != kind.as_numpy_dtype:
        array = array.astype(kind.as_numpy_dtype)
    if count > 1 and array.size == count and kind.name not in _NEVER_CONTENT:
        message.tensor_content = array.tobytes()
    elif field == "float8_val":
        message.float8_val = array.tobytes()
    elif array.size:
        getattr(message, field).extend(_values(array, kind, field))


def _values(array: Array, dtype: DType, field: str) -> list[Any]:
    """The elements of `array` as the typed field wants them."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if field == "string_val":
        return [v.encode() if isinstance(v, str) else bytes(v) for v in flat.tolist()]
    if field == "half_val":
        flat = flat.view(np.uint16)
    elif dtype.is_complex:
        flat = flat.view(dtype.real_dtype.as_numpy_dtype)
    elif field == "int_val":
        flat = (flat.view(flat.dtype[0]) if dtype.is_quantized else flat).astype(np.int32)
    values: list[Any] = flat.tolist()
    return values


def ndarray_from_tensor_proto(message: Any) -> Array:
    """The array in a TensorProto; read-only where it shares the message's bytes.

    Raises DataLossError when the values do not fit the declared shape, UnimplementedError for handles.
    """
    dtype = BY_NUMBER.get(message.dtype)
    if dtype is None:
        raise DataLossError(None, None, f"TensorProto: {message.dtype} is no dtype that ckpt knows")
    dtype = dtype.base_dtype
    field = field_of(dtype)
    shape = [int(dim.size) for dim in message.tensor_shape.dim]
    count = 1
    for size in shape:
        count *= size
    if message.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise DataLossError(None, None, f"TensorProto: shape {shape} of a value is not fully known")
    if message.tensor_content:
        flat = _from_content(message.tensor_content, dtype, count, shape)
    else:
        flat = _repeated(_READERS.get(field, _numbers)(message, dtype, field), dtype, count, shape)
    try:
        return flat.reshape(shape)
    except ValueError as error:  # an empty tensor with a size that no array can have
        raise DataLossError(None, None, f"TensorProto: shape {shape}: {error}") from error


def _from_content(content: bytes, dtype: DType, count: int, shape: Sequence[int]) -> Array:
    """The elements in `tensor_content`, not copied."""
    if dtype.name == "string":
        raise UnimplementedError(
            None, None, "TensorProto: strings in tensor_content are not supported"
        )
    if len(content) != count * dtype.size:
        raise DataLossError(
            None,
            None,
            f"TensorProto: {dtype.name} of shape {list(shape)} needs {count * dtype.size} bytes, "
            f"tensor_content has {len(content)}",
        )
    flat = np.frombuffer(content, np.uint8 if dtype.is_bool else dtype.as_numpy_dtype)
    return flat != 0 if dtype.is_bool else flat


def _repeated(flat: Array, dtype: DType, count: int, shape: Sequence[int]) -> Array:
    """`flat` made `count` long: the last value repeats; no value at all means zeros."""
    if flat.size == count:
        return flat
    if flat.size > count:
        raise DataLossError(
            None, None, f"TensorProto: {flat.size} values for a tensor of shape {list(shape)}"
        )
    if count * max(dtype.size, 8 if dtype.name == "string" else 1) > MOST_REPEATED_BYTES:
        raise DataLossError(
            None,
            None,
            f"TensorProto: shape {list(shape)} of {dtype.name} is declared, but only {flat.size} values are "
            f"present; more than {MOST_REPEATED_BYTES} bytes are not filled from a repeated value",
        )
    fill = np.zeros((), flat.dtype)[()] if flat.size == 0 else flat[-1]
    if flat.size == 0 and dtype.name == "string":
        fill = b""
    result = np.full(count, fill, flat.dtype)
    result[: flat.size] = flat
    return result


def _numbers(message: Any, dtype: DType, field: str) -> Array:
    return np.array(list(getattr(message, field)), dtype.as_numpy_dtype)


def _halves(message: Any, dtype: DType, field: str) -> Array:
    bits = np.array(list(message.half_val), np.uint32).astype(np.uint16)
    return bits.view(dtype.as_numpy_dtype)


def _integers(message: Any, dtype: DType, field: str) -> Array:
    wide = np.array(list(message.int_val), np.int32)
    if dtype.is_quantized:
        return wide.astype(np.dtype(dtype.as_numpy_dtype)[0]).view(dtype.as_numpy_dtype)
    return wide.astype(dtype.as_numpy_dtype)


def _complex(message: Any, dtype: DType, field: str) -> Array:
    parts = np.array(list(getattr(message, field)), dtype.real_dtype.as_numpy_dtype)
    if parts.size % 2:
        raise DataLossError(None, None, f"TensorProto: {field} ends within a complex number")
    return parts.view(dtype.as_numpy_dtype)


def _bytes8(message: Any, dtype: DType, field: str) -> Array:
    return np.frombuffer(message.float8_val, dtype.as_numpy_dtype)


def _strings(message: Any, dtype: DType, field: str) -> Array:
    values = list(message.string_val)
    result = np.empty(len(values), object)
    result[:] = values
    return result


_READERS: dict[str, Callable[[Any, DType, str], Array]] = {
    "half_val": _halves,
    "int_val": _integers,
    "scomplex_val": _complex,
    "dcomplex_val": _complex,
    "float8_val": _bytes8,
    "string_val": _strings,
}
