"""Facade: the names of `tf.data.experimental`. Re-exports only."""

from ckpt.model.dataset import AUTOTUNE
from ckpt.model.dataset_csv import CsvDataset, make_csv_dataset
from ckpt.model.dataset_examples import make_batched_features_dataset, parse_example_dataset
from ckpt.model.dataset_groups import (
    Reducer,
    bucket_by_sequence_length,
    choose_from_datasets,
    dense_to_sparse_batch,
    group_by_reducer,
    group_by_window,
    rejection_resample,
    sample_from_datasets,
    unique,
)
from ckpt.model.dataset_groups import random_numbers as RandomDataset
from ckpt.model.dataset_iterators import make_saveable_from_iterator
from ckpt.model.dataset_options import (
    AutoShardPolicy,
    AutotuneAlgorithm,
    AutotuneOptions,
    DistributeOptions,
    ExternalStatePolicy,
    OptimizationOptions,
    ThreadingOptions,
)
from ckpt.model.dataset_transformations import (
    assert_cardinality,
    cardinality,
    enumerate_dataset,
    from_variant,
    get_single_element,
    get_structure,
    ignore_errors,
    map_and_batch,
    parallel_interleave,
    prefetch_to_device,
    scan,
    shuffle_and_repeat,
    take_while,
    to_variant,
    unbatch,
)
from ckpt.model.dataset_transformations import counter as Counter
from ckpt.model.optional import Optional, get_next_as_optional
from ckpt.ops.dataset_sizes import INFINITE as INFINITE_CARDINALITY
from ckpt.ops.dataset_sizes import UNKNOWN as UNKNOWN_CARDINALITY

__all__ = [
    "AUTOTUNE",
    "AutoShardPolicy",
    "AutotuneAlgorithm",
    "AutotuneOptions",
    "Counter",
    "CsvDataset",
    "DistributeOptions",
    "ExternalStatePolicy",
    "INFINITE_CARDINALITY",
    "OptimizationOptions",
    "Optional",
    "RandomDataset",
    "Reducer",
    "ThreadingOptions",
    "UNKNOWN_CARDINALITY",
    "assert_cardinality",
    "bucket_by_sequence_length",
    "cardinality",
    "choose_from_datasets",
    "dense_to_sparse_batch",
    "enumerate_dataset",
    "from_variant",
    "get_next_as_optional",
    "get_single_element",
    "get_structure",
    "group_by_reducer",
    "group_by_window",
    "ignore_errors",
    "make_batched_features_dataset",
    "make_csv_dataset",
    "make_saveable_from_iterator",
    "map_and_batch",
    "parallel_interleave",
    "parse_example_dataset",
    "prefetch_to_device",
    "rejection_resample",
    "sample_from_datasets",
    "scan",
    "shuffle_and_repeat",
    "take_while",
    "to_variant",
    "unbatch",
    "unique",
]
