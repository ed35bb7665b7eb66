"""Facade: the names of `tf.nest` (and of `tensorflow.python.util.nest`). Re-exports only."""

from ckpt.core.nest import (
    assert_same_structure,
    flatten,
    flatten_up_to,
    is_nested,
    is_sequence,
    map_structure,
    map_structure_up_to,
    pack_sequence_as,
)

__all__ = [
    "assert_same_structure",
    "flatten",
    "flatten_up_to",
    "is_nested",
    "is_sequence",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
]
