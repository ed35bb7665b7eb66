"""From Python values to tensors: a table of conversion functions by type. Knows no operation type.

The ops room registers how numpy arrays, numbers and lists become constants; variables and sparse values register
themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.core.dtypes import DType
from ckpt.graph.operation import Tensor

Conversion = Callable[..., Any]
_conversions: list[tuple[int, int, Any, Conversion]] = []
_by_type: dict[type, list[tuple[Any, Conversion]]] = {}


def register_tensor_conversion_function(
    base_type: type | tuple[type, ...], conversion_func: Conversion, priority: int = 100
) -> None:
    """Let `conversion_func(value, dtype, name, as_ref)` make tensors of instances of `base_type`.

    Functions with smaller `priority` are asked first; one may return NotImplemented. Raises TypeError when
    `base_type` is no type or `conversion_func` cannot be called.
    """
    types = base_type if isinstance(base_type, tuple) else (base_type,)
    if not all(isinstance(t, type) for t in types):
        raise TypeError("base_type must be a type or a tuple of types.")
    if not callable(conversion_func):
        raise TypeError("conversion_func must be callable.")
    _conversions.append((priority, len(_conversions), base_type, conversion_func))
    _conversions.sort(key=lambda row: row[:2])
    _by_type.clear()


def _conversions_for(kind: type) -> list[tuple[Any, Conversion]]:
    found = _by_type.get(kind)
    if found is None:
        found = [
            (base, function) for _, _, base, function in _conversions if issubclass(kind, base)
        ]
        _by_type[kind] = found
    return found


def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    as_ref: bool = False,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
) -> Tensor:
    """`value` as a tensor of the default graph: a Tensor, a variable, a number, an array, a nested list of these.

    `dtype` is required of the result, `preferred_dtype` (or `dtype_hint`) only tried first. Raises TypeError when
    no conversion exists, ValueError when a tensor has another dtype than asked for.
    """
    if dtype is not None:
        dtype = dtypes.as_dtype(dtype)
    if isinstance(value, Tensor):
        if dtype is not None and not dtype.base_dtype == value._dtype.base_dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype "
                f"{value._dtype.name}: {value!r}"
            )
        return value
    preferred = preferred_dtype if preferred_dtype is not None else dtype_hint
    for base, function in _conversions_for(type(value)):
        result: Any = NotImplemented
        if dtype is None and preferred is not None:
            try:
                result = function(value, dtype=dtypes.as_dtype(preferred), name=name, as_ref=as_ref)
            except (TypeError, ValueError):
                result = NotImplemented
        if result is NotImplemented:
            result = function(value, dtype=dtype, name=name, as_ref=as_ref)
        if result is NotImplemented:
            continue
        if not isinstance(result, Tensor):
            raise RuntimeError(
                f"{name or 'value'}: Conversion function {function!r} for type {base} returned non-Tensor: {result!r}"
            )
        if dtype is not None and not dtype.is_compatible_with(result._dtype):
            raise RuntimeError(
                f"{name or 'value'}: Conversion function {function!r} for type {base} returned incompatible dtype: "
                f"requested = {dtype.base_dtype.name}, actual = {result._dtype.name}"
            )
        return result
    raise TypeError(
        f"Cannot convert {value!r} with type {type(value)} to Tensor: no conversion function registered"
    )


def convert_n_to_tensor(
    values: Sequence[Any],
    dtype: Any = None,
    name: str | None = None,
    as_ref: bool = False,
    preferred_dtype: Any = None,
) -> list[Tensor]:
    """Each of `values` as a tensor; the i-th constant made for it is named `name_i`."""
    if not isinstance(values, Sequence):
        raise TypeError("values must be a sequence.")
    return [
        convert_to_tensor(
            value, dtype, None if name is None else f"{name}_{i}", as_ref, preferred_dtype
        )
        for i, value in enumerate(values)
    ]


def inferred_dtype(value: Any) -> DType | None:
    """The dtype that `value` would have as a constant, or None when it cannot be one."""
    found = getattr(value, "dtype", None)
    if isinstance(found, DType):
        return found.base_dtype
    try:
        array = value if isinstance(value, np.ndarray) else arrays.array_of(value)
        return dtypes.as_dtype(array.dtype)
    except (TypeError, ValueError):
        return None
