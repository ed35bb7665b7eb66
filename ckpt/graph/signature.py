"""Operation signatures in TensorFlow's own notation, and attributes. Must not know graphs.

"a: T, b: T -> product: T"        dtype from the attribute T
"axis: int32"                     fixed dtype
"values: N * T"                   a list of N tensors of one dtype
"inputs: Targs..."                a list of tensors, each of its own dtype
"ref: &T"                         a reference to a variable
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape

_ARG = re.compile(r"^(\w+): (?:(\w+) \* )?(&?)(\w+)(\.\.\.)?$")


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
"""The default of an attribute that has none."""


@dataclass(frozen=True, slots=True)
class Arg:
    """One input or output of a signature."""

    name: str
    dtype: DType | None = None
    type_attr: str = ""
    number_attr: str = ""
    type_list_attr: str = ""
    is_ref: bool = False

    @property
    def is_list(self) -> bool:
        """True when the argument stands for any number of tensors."""
        return bool(self.number_attr or self.type_list_attr)


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute: `kind` is TensorFlow's (type, int, float, bool, string, shape, tensor, func, list(...)).

    `allowed` is the set of dtypes or strings that it may be, `minimum` the least int or list length.
    """

    kind: str
    default: Any = REQUIRED
    allowed: frozenset[Any] | None = None
    minimum: int | None = None

    @property
    def python_type(self) -> type | None:
        """The type of values that are of this kind as they are; None where more has to be looked at."""
        return _TYPE_OF_KIND.get(self.kind)


_TYPE_OF_KIND: dict[str, type] = {
    "bool": bool,
    "int": int,
    "float": float,
    "string": str,
    "type": DType,
    "shape": TensorShape,
}

ANY = Attr("type")
"""A dtype attribute that may be any dtype."""

_KIND_OF_DEFAULT = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    DType: "type",
    TensorShape: "shape",
}


def parse_args(text: str) -> tuple[Arg, ...]:
    """The arguments of one side of a signature. Raises ValueError for bad notation."""
    return tuple(_parse_arg(part.strip()) for part in text.split(",") if part.strip())


def _parse_arg(text: str) -> Arg:
    found = _ARG.match(text)
    if not found:
        raise ValueError(
            f"{text!r} is no argument; write 'name: type', 'name: N * type' or 'name: types...'"
        )
    name, number, ref, type_name, is_list = found.groups()
    if is_list:
        return Arg(name, type_list_attr=type_name)
    dtype = dtypes.BY_NAME.get(type_name) if type_name.islower() else None
    return Arg(name, dtype, "" if dtype else type_name, number or "", "", bool(ref))


def declared_attr(value: Any) -> Attr:
    """The attribute that a keyword of `@op` declares: an Attr, a set of dtypes, or a plain default."""
    if isinstance(value, Attr):
        return value
    if isinstance(value, frozenset):
        return Attr("type", allowed=value)
    if isinstance(value, list) and value:
        return Attr(f"list({_KIND_OF_DEFAULT[type(value[0])]})", value)
    return Attr(_KIND_OF_DEFAULT[type(value)], value)
