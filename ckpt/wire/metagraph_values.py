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
from ckpt.wire.metagraph_body import Damage, parsed
from ckpt.wire.metagraph_budget import EXTENSION, RECORD, Budget, record_elements
from ckpt.wire.metagraph_places import SMALL
from ckpt.wire.metagraph_tensors import (
    LONGEST_SHAPE,
    SEEN,
    large_tensor,
    no_extension,
    read_shape,
    read_tensor,
    read_type,
)
from ckpt.wire.metagraph_tree import FIELDS, named, shown

TYPE, SHAPE, TENSOR, FUNC, PLACEHOLDER = 1, 2, 3, 4, 5
DEEPEST_FUNC = 32
_SHAPES_KEPT = 4096  # that are made once and shared; graphs have few
_SHORT_SHAPE = 64  # bytes of one of them
_LONGEST_NAME = 1 << 16  # bytes of what a dtype, or a placeholder, is called
_SEEN_SHAPE, _SEEN_FUNC = TensorShape.of(None), defs.Func("", {})
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
    check_attrs: Callable[[Any, str], dict[str, Any]],
    budget: Budget,
    *,
    looks: bool,
    depth: int = 0,
) -> Callable[[int, bytes | memoryview], Any]:
    """The function that turns extension types into values, `depth` functions deep, as many as the budget allows.

    With `looks`, values that may be large are checked and others of their type stand for them.
    """
    shapes: dict[bytes, TensorShape] = {}

    def decode(code: int, data: bytes | memoryview) -> Any:
        if code == TYPE:
            found = _DTYPES.get(data) if type(data) is bytes else None
            return found or read_type(_name(data))
        if code == SHAPE:
            if len(data) > LONGEST_SHAPE:
                raise Damage(f"a shape takes {len(data)} bytes")
            key = bytes(data)
            if key not in shapes:
                budget.spend(RECORD + len(data))
                if len(shapes) == _SHAPES_KEPT:
                    shapes.clear()
                shape = read_shape(parsed(data, no_extension))
                if len(data) > _SHORT_SHAPE:
                    return _SEEN_SHAPE if looks else shape
                shapes[key] = shape
            return shapes[key]
        if code == TENSOR:
            budget.spend(2 * RECORD)
            if len(data) > SMALL:
                return large_tensor(data, looks=looks, budget=budget)
            array = read_tensor(parsed(data, no_extension))
            if array.dtype == object:
                budget.spend(array.size)
            return SEEN if looks else array
        if code == PLACEHOLDER:
            budget.spend(EXTENSION)
            return defs.Placeholder(_name(data))
        if code != FUNC:
            raise Damage(f"extension type {code} is not part of the format")
        if depth >= DEEPEST_FUNC:
            raise Damage(f"functions are nested more than {DEEPEST_FUNC} deep")
        inner = decoder(check_attrs, budget, looks=looks, depth=depth + 1)
        raw = parsed(data, inner, looks=looks)
        budget.spend(record_elements(raw))
        func = read_func(raw, check_attrs)
        return _SEEN_FUNC if looks else func

    return decode


def _name(data: bytes | memoryview) -> str:
    if len(data) > _LONGEST_NAME:
        raise Damage(f"a name takes {len(data)} bytes")
    return str(data, "utf-8")


def read_func(raw: Any, check_attrs: Callable[[Any, str], dict[str, Any]]) -> defs.Func:
    """The function of [name, attributes]."""
    if type(raw) is not list or len(raw) != 2 or type(raw[0]) is not str:
        raise Damage(f"{shown(raw)} is no function attribute")
    return defs.Func(raw[0], check_attrs(raw[1], f"function {named(raw[0])}"))
