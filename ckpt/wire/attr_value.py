"""Attribute values as plain Python (the table in `core.defs`) and as AttrValue messages. Must not know operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.dtypes import BY_NUMBER, DType, as_dtype
from ckpt.core.errors import DataLossError, GraphError
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.wire import messages as pb
from ckpt.wire.tensor_proto import fill_tensor, ndarray_from_tensor_proto


def attr_to_message(value: Any, kind: str | None = None) -> Any:
    """The AttrValue of `value`.

    `kind` is the declared type of the attribute (`int`, `list(float)`, ...); without it the Python type decides.
    Raises GraphError when the value cannot be of that kind.
    """
    message = pb.AttrValue()
    fill_attr(message, value, kind)
    return message


def fill_attr(message: Any, value: Any, kind: str | None = None) -> None:
    """Write `value` into an empty AttrValue."""
    try:
        if kind is not None and not isinstance(value, defs.Placeholder):
            _fill_kind(message, value, kind)
            return
        fill = _FILL.get(type(value))
        if fill is None:
            fill, value = _by_base(value)
        fill(message, value)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, GraphError):
            raise
        asked = "an attribute" if kind is None else f"an attribute of type {kind}"
        raise GraphError(f"{value!r} cannot be the value of {asked}: {error}") from error


def _by_base(value: Any) -> tuple[Callable[[Any, Any], None], Any]:
    """How to write a value whose class is only derived from, or like, one of the table's."""
    if isinstance(value, np.generic):
        value = value.item()
    for base, fill in _FILL.items():
        if isinstance(value, base):
            return fill, value
    raise TypeError(f"{type(value).__name__} is no type of attribute values")


def fill_shape(message: Any, shape: TensorShape) -> None:
    """Write `shape` into an empty TensorShapeProto."""
    message.SetInParent()
    if shape.sizes is None:
        message.unknown_rank = True
        return
    add = message.dim.add
    for size in shape.sizes:
        add(size=-1 if size is None else size)


def read_shape(message: Any) -> TensorShape:
    """The shape in a TensorShapeProto. Raises DataLossError for sizes below -1."""
    if message.unknown_rank:
        return TensorShape.of(None)
    sizes = tuple([None if dim.size == -1 else dim.size for dim in message.dim])
    if any(size is not None and size < 0 for size in sizes):
        raise DataLossError(None, None, f"{sizes} is no shape: a size is below -1")
    return TensorShape.of(sizes)


def read_type(number: int) -> DType:
    """The dtype with TensorFlow's number. Raises DataLossError when there is none."""
    try:
        return BY_NUMBER[number]
    except KeyError:
        raise DataLossError(None, None, f"{number} is no dtype that ckpt knows") from None


def _set(field: str, convert: Callable[[Any], Any] | None = None) -> Callable[[Any, Any], None]:
    def fill(message: Any, value: Any) -> None:
        setattr(message, field, value if convert is None else convert(value))

    return fill


def _text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(memoryview(value))


def _number(dtype: Any) -> int:
    return as_dtype(dtype).as_datatype_enum


def _fill_func(message: Any, value: defs.Func) -> None:
    message.func.name = value.name
    for name, item in value.attr.items():
        fill_attr(message.func.attr[name], item)


def _fill_list(message: Any, values: Sequence[Any]) -> None:
    message.list.SetInParent()
    if not values:
        return
    kinds = {_KIND.get(type(value)) or _kind_by_base(value) for value in values}
    if kinds == {"int", "float"}:
        kinds = {"float"}
    if len(kinds) != 1:
        raise TypeError(f"a list holds values of one kind, not of {sorted(kinds)}")
    _fill_list_kind(message.list, values, kinds.pop())


def _kind_by_base(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    for base, kind in _KIND.items():
        if isinstance(value, base):
            return kind
    raise TypeError(f"{type(value).__name__} is no type of attribute values")


def _fill_list_kind(message: Any, values: Sequence[Any], kind: str) -> None:
    if kind in _SCALAR:
        field, convert = _SCALAR[kind]
        getattr(message, field).extend([convert(value) for value in values])
        return
    for value in values:
        if kind == "shape":
            fill_shape(message.shape.add(), as_shape(value))
        elif kind == "tensor":
            fill_tensor(message.tensor.add(), np.asarray(value))
        elif kind == "func":
            func = message.func.add()
            func.name = value.name
            for name, item in value.attr.items():
                fill_attr(func.attr[name], item)
        else:
            raise TypeError(f"{kind} is no type of attributes")


def _fill_kind(message: Any, value: Any, kind: str) -> None:
    """Write `value` as the declared type `kind` says."""
    if kind.startswith("list("):
        message.list.SetInParent()
        _fill_list_kind(message.list, value, kind[5:-1])
    elif kind in _SCALAR:
        field, convert = _SCALAR[kind]
        setattr(message, field, convert(value))
    elif kind == "shape":
        fill_shape(message.shape, as_shape(value))
    elif kind == "tensor":
        fill_tensor(message.tensor, np.asarray(value))
    elif kind == "func":
        _fill_func(message, value)
    else:
        raise TypeError(f"{kind} is no type of attributes")


_SCALAR: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "string": ("s", _text),
    "int": ("i", int),
    "float": ("f", float),
    "bool": ("b", bool),
    "type": ("type", _number),
}
_KIND: dict[type, str] = {
    bytes: "string",
    str: "string",
    bool: "bool",  # before int, which it derives from
    int: "int",
    float: "float",
    DType: "type",
    TensorShape: "shape",
    np.ndarray: "tensor",
    defs.Func: "func",
}
_FILL: dict[type, Callable[[Any, Any], None]] = {
    bytes: _set("s"),
    str: _set("s", str.encode),
    bool: _set("b"),
    int: _set("i"),
    float: _set("f"),
    DType: _set("type", lambda dtype: dtype._number),
    TensorShape: lambda message, shape: fill_shape(message.shape, shape),
    np.ndarray: lambda message, array: fill_tensor(message.tensor, array),
    defs.Func: _fill_func,
    defs.Placeholder: _set("placeholder", lambda value: value.name),
    list: _fill_list,
    tuple: _fill_list,
    type(None): lambda message, value: (
        None
    ),  # an AttrValue with nothing in it, as TensorFlow can write
}


def attr_from_message(message: Any) -> Any:
    """The plain value in an AttrValue; None when nothing is set."""
    kind = message.WhichOneof("value")
    if kind in _DIRECT:
        return getattr(message, kind)
    return None if kind is None else _READ[kind](getattr(message, kind))


def _read_func(message: Any) -> defs.Func:
    return defs.Func(message.name, attrs_from_message(message.attr))


def _read_list(message: Any) -> list[Any]:
    for field, values in message.ListFields():
        read = _READ.get(field.name)
        return list(values) if read is None else [read(value) for value in values]
    return []


def attrs_from_message(attr: Any) -> dict[str, Any]:
    """The plain values of a map of AttrValues, by name in sorted order."""
    return {
        name: _shapes(attr[name].SerializeToString())
        if name == "_output_shapes"
        else attr_from_message(attr[name])
        for name in sorted(attr)
    }


@lru_cache(maxsize=1024)
def _shapes(data: bytes) -> Any:
    """The value of an attribute that most nodes of a graph have, and few different ones."""
    return attr_from_message(pb.AttrValue.FromString(data))


_DIRECT = frozenset({"s", "i", "f", "b"})
_READ: dict[str, Callable[[Any], Any]] = {
    "type": read_type,
    "shape": read_shape,
    "tensor": ndarray_from_tensor_proto,
    "func": _read_func,
    "placeholder": defs.Placeholder,
    "list": _read_list,
}
