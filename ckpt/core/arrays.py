"""Plain Python values as numpy arrays, by TensorFlow's rules. Must not know tensors of a graph.

Python ints become int32 (int64 where they need it), floats float32, strings an object array of bytes; numpy
arrays keep their dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import Dimension, TensorShape
from ckpt.core.texts import bytes_of

_INT32 = np.iinfo(np.int32)


def array_of(value: Any, dtype: DType | None = None) -> np.ndarray[Any, Any]:
    """`value` (a number, string, nested list, numpy array, shape) as an array of `dtype`, or of its natural dtype.

    Raises TypeError when an element is not of `dtype`, ValueError when the lists are ragged or hold None.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return _array_of_numpy(value, dtype)
    if isinstance(value, TensorShape):
        value = value.as_list()
    if hasattr(value, "__array__") and not isinstance(value, (list, tuple)):
        return _array_of_numpy(np.asarray(value), dtype)
    if value is None or (
        isinstance(value, (list, tuple)) and any(v is None for v in _leaves(value))
    ):
        raise ValueError("None values not supported.")
    if isinstance(value, (list, tuple)):
        value = _plain(value)
    elif isinstance(value, Dimension):
        value = int(value)
    if dtype is not None:
        _check_elements(value, dtype)
        return _array_as(value, dtype)
    return _natural_array(value)


def _plain(value: Any) -> Any:
    if isinstance(value, TensorShape):
        return value.as_list()
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return int(value) if isinstance(value, Dimension) else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for member in value:
            yield from _leaves(member)
    else:
        yield value


def _array_of_numpy(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    if array.dtype.kind in "SU" or (
        array.dtype.kind == "O" and (dtype is None or dtype == dtypes.string)
    ):
        return byte_strings(array)
    if dtype is None:
        if array.dtype.byteorder == ">" or (
            array.dtype.byteorder == "=" and np.little_endian is False
        ):
            return array.astype(array.dtype.newbyteorder("="))
        return array
    if dtypes.as_dtype(array.dtype) == dtype:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if dtype == dtypes.string:
        raise TypeError(f"Expected string, got {array.dtype.name} array")
    if array.dtype.kind == "f" and dtype.is_integer and array.size:
        raise TypeError(
            f"Expected {dtype.name}, got {array.dtype.name} array of type '{array.dtype.name}' instead."
        )
    return array.astype(dtype.as_numpy_dtype)


def byte_strings(array: Any) -> np.ndarray[Any, Any]:
    """An object array of bytes with the elements of `array`; text is encoded as UTF-8.

    Raises TypeError for an element that is no string.
    """
    source = np.asarray(array)
    result = np.empty(source.shape, dtype=object)
    flat = result.reshape(-1)
    for i, element in enumerate(source.reshape(-1).tolist()):
        if isinstance(element, str):
            flat[i] = bytes_of(element)
        elif isinstance(element, (bytes, bytearray)):
            flat[i] = bytes(element)
        else:
            raise TypeError(
                f"Expected binary or unicode string, got {element!r} of type '{type(element).__name__}'"
            )
    return result


_ACCEPTS: dict[str, tuple[type, ...]] = {
    "f": (float, int, np.floating, np.integer, np.bool_),
    "c": (complex, float, int, np.number),
    "i": (int, np.integer),
    "u": (int, np.integer),
    "b": (bool, np.bool_),
    "s": (str, bytes, bytearray),
    "q": (int, np.integer, tuple),
}


def _check_elements(value: Any, dtype: DType) -> None:
    accepts = _ACCEPTS.get(dtype._kind, (object,))
    for leaf in _leaves(value):
        if isinstance(leaf, np.ndarray):
            continue
        is_misplaced_bool = isinstance(leaf, bool) and dtype._kind in "iufc"
        if not isinstance(leaf, accepts) or is_misplaced_bool:
            if hasattr(leaf, "dtype") and not isinstance(leaf, np.generic):
                raise TypeError(f"Expected {dtype.name}, but got {leaf!r}")
            numpy_type = getattr(leaf, "dtype", None)
            if numpy_type is not None and numpy_type.kind == dtype._kind:
                continue
            raise TypeError(
                f"Expected {dtype.name}, but got {leaf!r} of type '{type(leaf).__name__}'."
            )


def _array_as(value: Any, dtype: DType) -> np.ndarray[Any, Any]:
    if dtype == dtypes.string:
        return byte_strings(_object_array(value))
    try:
        if dtype.is_integer:
            array = np.array(value, dtype=object if _is_big(value) else None)
            if array.dtype == object or array.dtype.kind in "iu":
                _check_range(array, dtype)
        return np.array(value, dtype=dtype.as_numpy_dtype)
    except OverflowError as error:
        raise ValueError(f"{value!r} does not fit {dtype.name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"Argument must be a dense tensor: {value!r} - {error}") from None


def _is_big(value: Any) -> bool:
    return any(isinstance(v, int) and not -(2**63) <= v < 2**63 for v in _leaves(value))


def _check_range(array: np.ndarray[Any, Any], dtype: DType) -> None:
    if array.size and (array.min() < dtype.min or array.max() > dtype.max):
        raise ValueError(
            f"Value {array.max() if array.max() > dtype.max else array.min()} does not fit {dtype.name}"
        )


def _object_array(value: Any) -> np.ndarray[Any, Any]:
    if not isinstance(value, list):
        array = np.empty((), dtype=object)
        array[()] = value
        return array
    shape = _list_shape(value)
    array = np.empty(shape, dtype=object)
    flat = array.reshape(-1)
    for i, leaf in enumerate(_leaves(value)):
        flat[i] = leaf
    return array


def _list_shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    inner = {_list_shape(member) for member in value}
    if len(inner) > 1:
        raise ValueError(f"Argument must be a dense tensor: {value!r} - lists of different lengths")
    return (len(value), *(inner.pop() if inner else ()))


def _natural_array(value: Any) -> np.ndarray[Any, Any]:
    if any(isinstance(leaf, (str, bytes, bytearray)) for leaf in _leaves(value)):
        return byte_strings(_object_array(value))
    kinds = {type(leaf) for leaf in _leaves(value)}
    if (
        bool in kinds
        and len(kinds) > 1
        and not any(issubclass(k, (np.ndarray, np.generic)) for k in kinds)
    ):
        raise ValueError(f"Can't convert Python sequence with mixed types to Tensor: {value!r}")
    try:
        array = np.array(value)
    except NotImplementedError as error:  # a tensor of a graph has no value to take
        raise TypeError(str(error)) from None
    except ValueError as error:
        raise ValueError(f"Argument must be a dense tensor: {value!r} - {error}") from None
    if array.dtype == object:
        raise TypeError(f"Failed to convert {value!r} of type {type(value)} to a constant")
    holds_numpy = any(isinstance(leaf, (np.ndarray, np.generic)) for leaf in _leaves(value))
    if holds_numpy and array.dtype.kind in "iufcb":
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and (
        array.size == 0 or (array.min() >= _INT32.min and array.max() <= _INT32.max)
    ):
        return array.astype(np.int32) if kinds != set() else array.astype(np.float32)
    return array


def frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A read-only view of `array`, or `array` itself when it is read-only."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view
