"""Facade: the names of `tf.data.experimental`. Re-exports only."""

from ckpt.model.dataset import AUTOTUNE
from ckpt.model.dataset_iterators import make_saveable_from_iterator

__all__ = ["AUTOTUNE", "make_saveable_from_iterator"]
