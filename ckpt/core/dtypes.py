"""All dtypes in one table: name, numpy type, TensorFlow's number. Must not know any file format's headers.

Spellings of other formats (safetensors, torch, HDF5) live beside their readers; they map to these names.
Source of the numbers: TensorFlow core/framework/types.proto, enum DataType.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

REF_OFFSET = 100

# name, TensorFlow's number, numpy type, shorthand of that type; kind:
# f floating, c complex, i signed, u unsigned, b bool, s string, q quantized, h handle
_TABLE: list[tuple[str, int, Any, str]] = [
    ("float32", 1, np.float32, "f"),
    ("float64", 2, np.float64, "f"),
    ("int32", 3, np.int32, "i"),
    ("uint8", 4, np.uint8, "u"),
    ("int16", 5, np.int16, "i"),
    ("int8", 6, np.int8, "i"),
    ("string", 7, np.object_, "s"),
    ("complex64", 8, np.complex64, "c"),
    ("int64", 9, np.int64, "i"),
    ("bool", 10, np.bool_, "b"),
    ("qint8", 11, np.dtype([("qint8", np.int8)]), "q"),
    ("quint8", 12, np.dtype([("quint8", np.uint8)]), "q"),
    ("qint32", 13, np.dtype([("qint32", np.int32)]), "q"),
    ("bfloat16", 14, ml_dtypes.bfloat16, "f"),
    ("qint16", 15, np.dtype([("qint16", np.int16)]), "q"),
    ("quint16", 16, np.dtype([("quint16", np.uint16)]), "q"),
    ("uint16", 17, np.uint16, "u"),
    ("complex128", 18, np.complex128, "c"),
    ("float16", 19, np.float16, "f"),
    ("resource", 20, np.object_, "h"),
    ("variant", 21, np.object_, "h"),
    ("uint32", 22, np.uint32, "u"),
    ("uint64", 23, np.uint64, "u"),
    ("float8_e5m2", 24, ml_dtypes.float8_e5m2, "f"),
    ("float8_e4m3fn", 25, ml_dtypes.float8_e4m3fn, "f"),
    ("float8_e4m3fnuz", 26, ml_dtypes.float8_e4m3fnuz, "f"),
    ("float8_e4m3b11fnuz", 27, ml_dtypes.float8_e4m3b11fnuz, "f"),
    ("float8_e5m2fnuz", 28, ml_dtypes.float8_e5m2fnuz, "f"),
    ("int4", 29, ml_dtypes.int4, "i"),
    ("uint4", 30, ml_dtypes.uint4, "u"),
    ("int2", 31, ml_dtypes.int2, "i"),
    ("uint2", 32, ml_dtypes.uint2, "u"),
    ("float4_e2m1fn", 33, ml_dtypes.float4_e2m1fn, "f"),
]
_REAL_COMPONENT = {"complex64": "float32", "complex128": "float64"}


class DType:
    """The type of a tensor's elements, as TensorFlow names and numbers it.

    Two DTypes are equal when they are the same type; a DType also equals whatever `as_dtype` turns into it
    (`tf.float32 == np.float32`). Reference dtypes (`float32_ref`) belong to the outputs of variables; `base_dtype` is
    the type without that mark.
    """

    __slots__ = ("_as_ref", "_is_ref_dtype", "_kind", "_number", "_numpy", "base_dtype", "name")

    def __init__(self, name: str, number: int, numpy_type: Any, kind: str) -> None:
        self.name = name
        self._number = number
        self._numpy = numpy_type
        self._kind = kind
        self._is_ref_dtype = number > REF_OFFSET
        self._as_ref: DType = self
        self.base_dtype: DType = self

    @property
    def as_numpy_dtype(self) -> Any:
        """The numpy type; object for strings and handles."""
        return self._numpy

    @property
    def as_datatype_enum(self) -> int:
        """TensorFlow's number of this type."""
        return self._number

    @property
    def real_dtype(self) -> DType:
        """The type of the real part; this type itself when it is not complex."""
        real = _REAL_COMPONENT.get(self.base_dtype.name)
        if real is None:
            return self
        return BY_NAME[real]._as_ref if self._is_ref_dtype else BY_NAME[real]

    @property
    def is_floating(self) -> bool:
        """True for binary floating point, bfloat16 and the 8-bit types included."""
        return self._kind == "f"

    @property
    def is_complex(self) -> bool:
        """True for complex64 and complex128."""
        return self._kind == "c"

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers that are not quantized."""
        return self._kind in "iu"

    @property
    def is_unsigned(self) -> bool:
        """True for unsigned integers."""
        return self._kind == "u"

    @property
    def is_bool(self) -> bool:
        """True for bool."""
        return self._kind == "b"

    @property
    def is_quantized(self) -> bool:
        """True for the quantized integers."""
        return self._kind == "q"

    @property
    def is_numpy_compatible(self) -> bool:
        """True when numpy arrays can hold the values."""
        return self._kind != "h"

    @property
    def size(self) -> int:
        """Bytes of one element; 1 for strings and handles, as in TensorFlow."""
        return 1 if self._kind in "sh" else int(np.dtype(self._numpy).itemsize)

    @property
    def min(self) -> Any:
        """The smallest finite value. Raises TypeError where there is no order."""
        return self._bound("min")

    @property
    def max(self) -> Any:
        """The largest finite value. Raises TypeError where there is no order."""
        return self._bound("max")

    @property
    def limits(self) -> tuple[Any, Any]:
        """(min, max) intensities of images of this dtype: [0, max] for integers, [0, 1] for floating point."""
        return (0, self.max) if self.is_integer else (0, 1)

    def _bound(self, which: str) -> Any:
        if self._kind == "f":
            limits: Any = ml_dtypes.finfo
            return np.dtype(self._numpy).type(getattr(limits(self._numpy), which))
        if self._kind in "iu":
            limits = ml_dtypes.iinfo
            return getattr(limits(self._numpy), which)
        if self._kind == "b":
            return which == "max"
        raise TypeError(f"Cannot find {which}imum value of {self.name}.")

    def is_compatible_with(self, other: Any) -> bool:
        """True when a tensor of type `other` can stand where this type is asked for: a reference for its base."""
        other = as_dtype(other)
        return self._number in (other._number, other.base_dtype._number)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None:
            return False
        if isinstance(other, DType):
            return self._number == other._number
        try:
            return self._number == as_dtype(other)._number
        except TypeError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._number

    def __int__(self) -> int:
        return self._number

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __reduce__(self) -> Any:
        return as_dtype, (self.name,)


BY_NAME: dict[str, DType] = {}
BY_NUMBER: dict[int, DType] = {}
_BY_NUMPY: dict[Any, DType] = {}
for _name, _number, _numpy_type, _kind in _TABLE:
    _base = DType(_name, _number, _numpy_type, _kind)
    _ref = DType(_name + "_ref", _number + REF_OFFSET, _numpy_type, _kind)
    _base._as_ref, _ref.base_dtype = _ref, _base
    for _dtype in (_base, _ref):
        BY_NAME[_dtype.name] = BY_NUMBER[_dtype._number] = _dtype
    if _kind != "h":
        _BY_NUMPY[np.dtype(_numpy_type)] = _base

BY_NAME["half"] = BY_NAME["float16"]
BY_NAME["float"] = BY_NAME["float32"]
BY_NAME["double"] = BY_NAME["float64"]
_BY_PYTHON: dict[Any, DType] = {
    float: BY_NAME["float32"],
    bool: BY_NAME["bool"],
    object: BY_NAME["string"],
}
_SEEN: dict[Any, DType] = {}

float16 = half = BY_NAME["float16"]
float32 = BY_NAME["float32"]
float64 = double = BY_NAME["float64"]
bfloat16 = BY_NAME["bfloat16"]
float8_e5m2 = BY_NAME["float8_e5m2"]
float8_e4m3fn = BY_NAME["float8_e4m3fn"]
float8_e4m3fnuz = BY_NAME["float8_e4m3fnuz"]
float8_e4m3b11fnuz = BY_NAME["float8_e4m3b11fnuz"]
float8_e5m2fnuz = BY_NAME["float8_e5m2fnuz"]
float4_e2m1fn = BY_NAME["float4_e2m1fn"]
int2 = BY_NAME["int2"]
int4 = BY_NAME["int4"]
uint2 = BY_NAME["uint2"]
uint4 = BY_NAME["uint4"]
int8 = BY_NAME["int8"]
int16 = BY_NAME["int16"]
int32 = BY_NAME["int32"]
int64 = BY_NAME["int64"]
uint8 = BY_NAME["uint8"]
uint16 = BY_NAME["uint16"]
uint32 = BY_NAME["uint32"]
uint64 = BY_NAME["uint64"]
complex64 = BY_NAME["complex64"]
complex128 = BY_NAME["complex128"]
bool_ = BY_NAME["bool"]
string = BY_NAME["string"]
resource = BY_NAME["resource"]
variant = BY_NAME["variant"]
qint8 = BY_NAME["qint8"]
quint8 = BY_NAME["quint8"]
qint16 = BY_NAME["qint16"]
quint16 = BY_NAME["quint16"]
qint32 = BY_NAME["qint32"]

FLOATING = frozenset({float16, bfloat16, float32, float64})
COMPLEX = frozenset({complex64, complex128})
SIGNED = frozenset({int8, int16, int32, int64})
UNSIGNED = frozenset({uint8, uint16, uint32, uint64})
INTEGER = SIGNED | UNSIGNED
INDEX = frozenset({int32, int64})
REAL = FLOATING | INTEGER
NUMERIC = REAL | COMPLEX
QUANTIZED = frozenset({qint8, quint8, qint16, quint16, qint32})
QUANTIZED_DTYPES = QUANTIZED | {dtype._as_ref for dtype in QUANTIZED}


def as_dtype(value: Any) -> DType:
    """The DType that `value` names: a DType, TensorFlow's number, a name, a numpy or Python type.

    Raises TypeError when it names none.
    """
    if isinstance(value, DType):
        return value
    try:
        return _SEEN[value]
    except (KeyError, TypeError):
        pass
    found = _look_up(value)
    if found is None:
        raise TypeError(f"Cannot convert {value!r} to a ckpt DType.")
    try:
        _SEEN[value] = found
    except TypeError:
        pass
    return found


def _look_up(value: Any) -> DType | None:
    if isinstance(value, int) and not isinstance(value, bool) and value in BY_NUMBER:
        return BY_NUMBER[value]
    if isinstance(value, str) and value in BY_NAME:
        return BY_NAME[value]
    if isinstance(value, type) and value in _BY_PYTHON:
        return _BY_PYTHON[value]
    try:
        numpy_dtype = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):  # numpy reads "8)" as Python
        return None
    if numpy_dtype.kind in "SU":
        return string
    return _BY_NUMPY.get(numpy_dtype.newbyteorder("="))
