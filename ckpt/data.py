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
from ckpt.model.dataset_options import Options, ThreadingOptions
from ckpt.model.dataset_structure import DatasetSpec
from ckpt.ops.dataset_sizes import INFINITE as INFINITE_CARDINALITY
from ckpt.ops.dataset_sizes import UNKNOWN as UNKNOWN_CARDINALITY

__all__ = [
    "AUTOTUNE",
    "Dataset",
    "DatasetSpec",
    "FixedLengthRecordDataset",
    "INFINITE_CARDINALITY",
    "Iterator",
    "Options",
    "TFRecordDataset",
    "TextLineDataset",
    "ThreadingOptions",
    "UNKNOWN_CARDINALITY",
    "experimental",
    "get_output_classes",
    "get_output_shapes",
    "get_output_types",
    "make_initializable_iterator",
    "make_one_shot_iterator",
]
