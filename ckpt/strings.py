"""`ckpt.strings`: strings, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.ops.hashing import (
    string_to_hash_bucket as to_hash_bucket, string_to_hash_bucket_fast as to_hash_bucket_fast,
    string_to_hash_bucket_strong as to_hash_bucket_strong,
)
from ckpt.ops.text import (
    as_string, string_join as join, string_length as length, reduce_join, regex_full_match,
    regex_replace, string_strip as strip, substr, string_to_number as to_number,
)
from ckpt.ops.text_forms import (
    string_format as format, string_lower as lower, string_split_v1 as split, unicode_transcode,
    unsorted_segment_join, string_upper as upper,
)

__all__ = [
    "as_string", "format", "join", "length", "lower", "reduce_join", "regex_full_match",
    "regex_replace", "split", "strip", "substr", "to_hash_bucket", "to_hash_bucket_fast",
    "to_hash_bucket_strong", "to_number", "unicode_transcode", "unsorted_segment_join", "upper",
]
