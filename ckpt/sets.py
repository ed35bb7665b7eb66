"""`ckpt.sets`: sets in the rows of tensors, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.ops.sets import (
    set_difference as difference, set_intersection as intersection, set_difference,
    set_intersection, set_size, set_union, set_size as size, set_union as union,
)

__all__ = [
    "difference", "intersection", "set_difference", "set_intersection", "set_size", "set_union",
    "size", "union",
]
