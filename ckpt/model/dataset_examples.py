"""Datasets of Example messages, taken apart in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckpt.core import dtypes
from ckpt.graph.specs import TensorSpec
from ckpt.model import parsing
from ckpt.model.dataset import Dataset
from ckpt.model.dataset_files import TFRecordDataset
from ckpt.model.dataset_transformations import Transformation


def parse_example_dataset(
    features: Mapping[str, Any] | None,
    num_parallel_calls: Any = 1,
    deterministic: bool | None = None,
) -> Transformation:
    """The dataset of what `parse_example` makes of batches of serialized Examples.

    Raises ValueError without `features`, TypeError for elements that are no vectors of strings.
    """
    if features is None:
        raise ValueError("Argument `features` is required, but not specified.")

    def apply(dataset: Dataset) -> Dataset:
        spec = dataset.element_spec
        if not isinstance(spec, TensorSpec) or spec.dtype != dtypes.string or spec.shape.rank not in (None, 1):  # fmt: skip
            raise TypeError(
                f"Input dataset should be a dataset of vectors of strings. Instead it is `{spec}`."
            )
        calls = None if num_parallel_calls == 1 else num_parallel_calls
        return dataset.map(lambda batch: parsing.parse_example(batch, features), calls, deterministic)  # fmt: skip

    return apply


def make_batched_features_dataset(
    file_pattern: Any,
    batch_size: Any,
    features: Mapping[str, Any],
    reader: Callable[..., Dataset] = TFRecordDataset,
    label_key: str | None = None,
    reader_args: Any = None,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: int | None = None,
    reader_num_threads: int | None = None,
    parser_num_threads: int | None = None,
    sloppy_ordering: bool = False,
    drop_final_batch: bool = False,
) -> Dataset:
    """The dataset of batches of the features of Examples in files: dicts, or (dict, label) with a `label_key`.

    `reader(name, *reader_args)` is the dataset of the messages of one file, or of pairs of which the second is the
    message. `num_epochs` None goes on for ever, with full batches. Raises ValueError for a label that is no feature;
    InvalidArgumentError when run where no file matches.
    """
    if label_key is not None and label_key not in features:
        raise ValueError(
            f"The `label_key` provided ({label_key}) must be one of the `features` keys: {features.keys()}."
        )
    more = list(reader_args or ())
    names = Dataset.list_files(file_pattern, shuffle=shuffle, seed=shuffle_seed)
    messages = names.interleave(
        lambda name: reader(name, *more), cycle_length=reader_num_threads or 1, block_length=1
    )
    if isinstance(messages.element_spec, tuple):
        messages = messages.map(lambda _, message: message)
    if num_epochs != 1:
        messages = messages.repeat(num_epochs)
    if shuffle:
        messages = messages.shuffle(shuffle_buffer_size, shuffle_seed)
    batches = messages.batch(batch_size, drop_remainder=drop_final_batch or num_epochs is None)
    parsed = batches.apply(parse_example_dataset(features, parser_num_threads or 2))
    if label_key is not None:
        parsed = parsed.map(lambda found: (found, found.pop(label_key)))
    found: Dataset = parsed.prefetch(prefetch_buffer_size)
    return found
