"""`ckpt.compat`: bytes and text, and TensorFlow 1's names again under `v1`. Defines nothing itself."""

from ckpt.compat import v1
from ckpt.core.shapes import dimension_value
from ckpt.core.shapes import size_at as dimension_at_index
from ckpt.scripts.text import (
    as_bytes,
    as_str,
    as_str_any,
    as_text,
    bytes_or_text_types,
    complex_types,
    forward_compatible,
    integral_types,
    path_to_str,
    real_types,
)

__all__ = [
    "as_bytes",
    "as_str",
    "as_str_any",
    "as_text",
    "bytes_or_text_types",
    "complex_types",
    "dimension_at_index",
    "dimension_value",
    "forward_compatible",
    "integral_types",
    "path_to_str",
    "real_types",
    "v1",
]
