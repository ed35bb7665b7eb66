"""`ckpt.strings`: operations on strings, by TensorFlow's names. Defines nothing itself."""

from ckpt.ops.text import (
    as_string,
    reduce_join,
    regex_full_match,
    regex_replace,
    substr,
)
from ckpt.ops.text import string_join as join
from ckpt.ops.text import string_length as length
from ckpt.ops.text import string_strip as strip
from ckpt.ops.text import string_to_number as to_number

__all__ = [
    "as_string",
    "join",
    "length",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "strip",
    "substr",
    "to_number",
]
