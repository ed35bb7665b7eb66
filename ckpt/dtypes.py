"""`ckpt.dtypes`: dtypes and casts, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt import dtypes_experimental as experimental
from ckpt.core.dtypes import (
    as_dtype, bfloat16, bool_ as bool, complex128, complex64, double, DType, float16, float32,
    float64, half, int16, int32, int64, int8, qint16, qint32, qint8, QUANTIZED_DTYPES, quint16,
    quint8, resource, string, uint16, uint32, uint64, uint8, variant,
)
from ckpt.ops.complex_numbers import complex_ as complex
from ckpt.ops.casting import cast
from ckpt.ops.clipping import saturate_cast
from ckpt.ops.text import as_string

__all__ = [
    "DType", "QUANTIZED_DTYPES", "as_dtype", "as_string", "bfloat16", "bool", "cast", "complex",
    "complex128", "complex64", "double", "experimental", "float16", "float32", "float64", "half", "int16",
    "int32", "int64", "int8", "qint16", "qint32", "qint8", "quint16", "quint8", "resource",
    "saturate_cast", "string", "uint16", "uint32", "uint64", "uint8", "variant",
]
