"""Facade: the names of `tf.data.experimental`. Re-exports only."""

from ckpt.model.dataset import AUTOTUNE
from ckpt.model.dataset_iterators import make_saveable_from_iterator
from ckpt.model.dataset_transformations import (
    enumerate_dataset,
    get_single_element,
    get_structure,
    ignore_errors,
    map_and_batch,
    parallel_interleave,
    scan,
    shuffle_and_repeat,
    take_while,
    unbatch,
)

__all__ = [
    "AUTOTUNE",
    "enumerate_dataset",
    "get_single_element",
    "get_structure",
    "ignore_errors",
    "make_saveable_from_iterator",
    "map_and_batch",
    "parallel_interleave",
    "scan",
    "shuffle_and_repeat",
    "take_while",
    "unbatch",
]
