"""Facade: the names of `tf.data`. Re-exports only."""

from ckpt import data_experimental as experimental
from ckpt.model.dataset import AUTOTUNE, Dataset
from ckpt.model.dataset_files import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset
from ckpt.model.dataset_iterators import (
    Iterator,
    get_output_classes,
    get_output_shapes,
    get_output_types,
    make_initializable_iterator,
    make_one_shot_iterator,
)

__all__ = [
    "AUTOTUNE",
    "Dataset",
    "FixedLengthRecordDataset",
    "Iterator",
    "TFRecordDataset",
    "TextLineDataset",
    "experimental",
    "get_output_classes",
    "get_output_shapes",
    "get_output_types",
    "make_initializable_iterator",
    "make_one_shot_iterator",
]
