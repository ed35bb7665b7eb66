"""Attribute values of a `.meta` file: dtypes, shapes, tensors, functions as msgpack extension types, and back.

Must not know graphs or records. Source of the layout: docs/formats/metagraph.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import numpy as np

from ckpt.core import defs
from ckpt.core.dtypes import BY_NAME, DType, as_dtype
from ckpt.core.shapes import TensorShape
from ckpt.wire.metagraph_body import Damage
from ckpt.wire.metagraph_budget import MOST_ELEMENTS, RECORD, Budget, record_elements
from ckpt.wire.metagraph_tree import FIELDS, shown

TYPE, SHAPE, TENSOR, FUNC, PLACEHOLDER = 1, 2, 3, 4, 5
DEEPEST_FUNC = 32
_SHAPES_KEPT = 4096  # that are made once and shared; graphs have few
_LONGEST_SHAPE = 4096  # bytes: 450 sizes of the longest kind
ITEM_TYPES: frozenset[type] = frozenset(
    {
        bytes,
        str,
        int,
        float,
        bool,
        type(None),
        DType,
        TensorShape,
        np.ndarray,
        defs.Func,
        defs.Placeholder,
    }
)


def packb(value: Any) -> bytes:
    """`value` as msgpack. Raises TypeError, ValueError or OverflowError for what no `.meta` file can hold."""
    data: bytes = msgpack.packb(value, default=_encoded)
    return data


def _encoded(value: Any) -> Any:
    """What msgpack calls for values that it does not know."""
    fields = FIELDS.get(type(value))
    if fields is not None:
        return fields(value)
    encode = _ENCODE.get(type(value))
    if encode is not None:
        return encode(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r} is no attribute value")


def tensor_parts(array: np.ndarray[Any, Any]) -> list[Any]:
    """[dtype name, sizes, little-endian bytes or a list of byte strings]."""
    dtype = as_dtype(array.dtype)
    if dtype.name == "string":
        flat = [v.encode() if isinstance(v, str) else bytes(v) for v in array.ravel().tolist()]
        return [dtype.name, list(array.shape), flat]
    return [dtype.name, list(array.shape), np.asarray(array, dtype.as_numpy_dtype).tobytes()]


_DTYPES: dict[bytes, DType] = {name.encode(): dtype for name, dtype in BY_NAME.items()}
_TYPES: dict[str, msgpack.ExtType] = {
    name: msgpack.ExtType(TYPE, name.encode()) for name in BY_NAME
}
_ENCODE: dict[type, Callable[[Any], Any]] = {
    DType: lambda dtype: _TYPES[dtype.name],
    TensorShape: lambda shape: msgpack.ExtType(SHAPE, msgpack.packb(shape.sizes)),
    np.ndarray: lambda array: msgpack.ExtType(TENSOR, msgpack.packb(tensor_parts(array))),
    defs.Func: lambda func: msgpack.ExtType(FUNC, packb([func.name, func.attr])),
    defs.Placeholder: lambda value: msgpack.ExtType(PLACEHOLDER, value.name.encode()),
}


def decoder(
    unpackb: Callable[..., Any],
    check_attrs: Callable[[Any, str], dict[str, Any]],
    budget: Budget,
    depth: int = 0,
) -> Callable[[int, bytes], Any]:
    """The function that turns extension types into values, `depth` functions deep, as many as the budget allows."""
    shapes: dict[bytes, TensorShape] = {}

    def decode(code: int, data: bytes) -> Any:
        if code == TYPE:
            return _DTYPES.get(data) or read_type(data.decode())
        if code == SHAPE:
            if len(data) > _LONGEST_SHAPE:
                raise Damage(f"a shape takes {len(data)} bytes")
            if data not in shapes:
                budget.spend(RECORD)
                if len(shapes) == _SHAPES_KEPT:
                    shapes.clear()
                shapes[data] = read_shape(unpackb(data, _no_extension))
            return shapes[data]
        if code == TENSOR:
            budget.spend(2 * RECORD)
            # a list of strings is as long as there are strings
            return read_tensor(unpackb(data, _no_extension, max(len(data), MOST_ELEMENTS)))
        if code == PLACEHOLDER:
            return defs.Placeholder(data.decode())
        if code != FUNC:
            raise Damage(f"extension type {code} is not part of the format")
        if depth >= DEEPEST_FUNC:
            raise Damage(f"functions are nested more than {DEEPEST_FUNC} deep")
        func = unpackb(data, decoder(unpackb, check_attrs, budget, depth + 1))
        budget.spend(record_elements(func))
        return read_func(func, check_attrs)

    return decode


def _no_extension(code: int, data: bytes) -> Any:
    raise Damage(f"extension type {code} inside a shape or tensor")


def read_type(name: Any) -> DType:
    """The dtype called `name`."""
    found = BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        raise Damage(f"{shown(name)} is no dtype that ckpt knows")
    return found


def read_shape(raw: Any) -> TensorShape:
    """The shape of a list of sizes, or of None."""
    if raw is None:
        return TensorShape.of(None)
    if type(raw) is not list or not all(
        [size is None or (type(size) is int and size >= 0) for size in raw]
    ):
        raise Damage(f"{shown(raw)} is no shape")
    return TensorShape.of(tuple(raw))


def read_func(raw: Any, check_attrs: Callable[[Any, str], dict[str, Any]]) -> defs.Func:
    """The function of [name, attributes]."""
    if type(raw) is not list or len(raw) != 2 or type(raw[0]) is not str:
        raise Damage(f"{shown(raw)} is no function attribute")
    return defs.Func(raw[0], check_attrs(raw[1], f"function {raw[0]!r}"))


def read_tensor(raw: Any) -> np.ndarray[Any, Any]:
    """The array of [dtype name, sizes, content], read-only; the content must be exactly as long as they say."""
    if type(raw) is not list or len(raw) != 3:
        raise Damage(f"{shown(raw)} is no tensor")
    dtype, shape, content = read_type(raw[0]), read_shape(raw[1]), raw[2]
    sizes: Any = shape.sizes
    count = shape.num_elements()
    if count is None or not dtype.is_numpy_compatible:
        raise Damage(f"no value can have dtype {dtype.name} and shape {shape}")
    if dtype.name == "string":
        if type(content) is not list or not all([type(item) is bytes for item in content]):
            raise Damage("a tensor of strings must hold a list of byte strings")
        flat = np.empty(len(content), object)
        flat[:] = content
    else:
        if type(content) is not bytes or len(content) != count * dtype.size:
            raise Damage(
                f"{dtype.name} of shape {shape} needs {count * dtype.size} bytes, not {_amount(content)}"
            )
        flat = np.frombuffer(content, dtype.as_numpy_dtype)
    if flat.size != count:
        raise Damage(f"{flat.size} strings for a tensor of shape {shape}")
    try:
        array = flat.reshape(sizes)
    except ValueError as error:  # an empty tensor with a size that no array can have
        raise Damage(f"shape {shape}: {error}") from error
    array.flags.writeable = False
    return array


def _amount(content: Any) -> str:
    return f"{len(content)}" if type(content) is bytes else type(content).__name__
