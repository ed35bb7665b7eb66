"""What a caller gives as attributes of a node, as plain Python of the right kind. Knows no operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.defs import Func
from ckpt.core.shapes import as_shape
from ckpt.core.texts import text_of
from ckpt.graph.signature import Attr

_COERCIONS: dict[str, Callable[[Any], Any]] = {
    "type": lambda v: dtypes.as_dtype(v).base_dtype,
    "shape": as_shape,
    "bool": bool,
    "float": float,
    "tensor": np.asarray,
}


def coerced(kind: str, value: Any, type_name: str, key: str) -> Any:
    """`value` as an attribute of this kind has it. Raises TypeError for what is none."""
    try:
        if kind.startswith("list("):
            if not isinstance(value, (list, tuple)):
                raise TypeError(f"expected a list, got {value!r}")
            inner = kind[5:-1]
            return [coerced(inner, member, type_name, key) for member in value]
        if kind == "int":
            if isinstance(value, (bool, float, str)):
                raise TypeError(f"expected int, got {value!r}")
            return int(value)
        if kind == "string":
            if not isinstance(value, (str, bytes)):
                raise TypeError(f"expected a string, got {value!r}")
            return text_of(value)
        if kind == "func":
            return value if isinstance(value, Func) else Func(getattr(value, "name", value))
        return _COERCIONS[kind](value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Attribute '{key}' of '{type_name}': {error}") from None


def check_allowed(type_name: str, key: str, attr: Attr, value: Any) -> None:
    """Raise TypeError for a dtype, ValueError for a text that the attribute must not be."""
    if attr.allowed is None:
        return
    for member in value if isinstance(value, list) else (value,):
        if member not in attr.allowed:
            if attr.kind in ("type", "list(type)"):
                names = ", ".join(sorted(d.name for d in attr.allowed))
                raise TypeError(
                    f"Value passed to parameter '{key}' of '{type_name}' has DataType {member.name} "
                    f"not in list of allowed values: {names}"
                )
            names = '", "'.join(sorted(map(str, attr.allowed)))
            raise ValueError(
                f"Attr '{key}' of '{type_name}' Op passed string '{member}' not in: \"{names}\"."
            )
