"""`tf.data.experimental`: transformations for `Dataset.apply`, and single elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset import AUTOTUNE, Dataset, made
from ckpt.model.dataset_arguments import full_size, int64_tensor, seeds_of
from ckpt.model.dataset_function import ElementFunction
from ckpt.ops import datasets_batch, datasets_calls, datasets_order, datasets_random

Transformation = Callable[[Dataset], Dataset]


def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Transformation:
    """`shuffle(buffer_size, seed).repeat(count)` in one operation."""

    def apply(dataset: Dataset) -> Dataset:
        size = int64_tensor(buffer_size, "buffer_size")
        repeats = int64_tensor(-1 if count is None else count, "count")
        inputs = dataset._variant_tensor, size, *seeds_of(seed), repeats
        return made(datasets_random.shuffle_and_repeat_dataset, dataset.element_spec, *inputs)

    return apply


def map_and_batch(
    map_func: Callable[..., Any],
    batch_size: Any,
    num_parallel_batches: int | None = None,
    drop_remainder: Any = False,
    num_parallel_calls: int | None = None,
) -> Transformation:
    """`map(map_func).batch(batch_size, drop_remainder)` in one operation.

    Raises ValueError when both numbers of parallel work are given.
    """
    if num_parallel_batches is not None and num_parallel_calls is not None:
        raise ValueError(
            "`map_and_batch` allows only one of `num_parallel_batches` and `num_parallel_calls` to be set, but "
            f"`num_parallel_batches` was set to {num_parallel_batches} and `num_parallel_calls` was set to {num_parallel_calls}."
        )

    def apply(dataset: Dataset) -> Dataset:
        f = ElementFunction(map_func, "Dataset_map_and_batch", [dataset.element_spec], Dataset)
        size = int64_tensor(batch_size, "batch_size")
        calls = num_parallel_calls or num_parallel_batches or 1
        is_full = convert.convert_to_tensor(drop_remainder, dtypes.bool_, name="drop_remainder")
        spec = structure.with_batch(f.spec, full_size(size, is_full))
        parallel = int64_tensor(calls, "num_parallel_calls")
        inputs = dataset._variant_tensor, f.captured, size, parallel, is_full
        return made(datasets_batch.map_and_batch_dataset, spec, *inputs, f=f)

    return apply


def parallel_interleave(
    map_func: Callable[..., Any],
    cycle_length: Any,
    block_length: Any = 1,
    sloppy: bool = False,
    buffer_output_elements: Any = None,
    prefetch_input_elements: Any = None,
) -> Transformation:
    """`interleave(map_func, cycle_length, block_length)`, always in that order."""

    def apply(dataset: Dataset) -> Dataset:
        return dataset.interleave(map_func, cycle_length, block_length, num_parallel_calls=AUTOTUNE)

    return apply


def scan(initial_state: Any, scan_func: Callable[..., Any]) -> Transformation:
    """The dataset of the second of the pairs (new state, element) `scan_func(state, element)`.

    Raises TypeError when the function returns no pair, or another kind of state than `initial_state`.
    """

    def apply(dataset: Dataset) -> Dataset:
        state = structure.normalized(initial_state)
        spec = structure.spec_of(state)
        f = ElementFunction(scan_func, "Dataset_scan", [spec, dataset.element_spec], Dataset)
        if not isinstance(f.spec, tuple) or len(f.spec) != 2:
            raise TypeError(
                "The scan function must return a pair comprising the new state and the output value."
            )
        structure.check_state(spec, f.spec[0], "scan_func")
        types = structure.component_types(spec)
        inputs = dataset._variant_tensor, structure.components_of(state), f.captured
        return made(datasets_calls.scan_dataset, f.spec[1], *inputs, f=f, Tstate=types)

    return apply


def take_while(predicate: Callable[..., Any]) -> Transformation:
    """`take_while(predicate)`."""
    return lambda dataset: dataset.take_while(predicate)


def unbatch() -> Transformation:
    """`unbatch()`."""
    return lambda dataset: dataset.unbatch()


def enumerate_dataset(start: Any = 0) -> Transformation:
    """`enumerate(start)`."""
    return lambda dataset: dataset.enumerate(start)


def ignore_errors(log_warning: bool = False) -> Transformation:
    """The dataset without the elements that fail to be made."""

    def apply(dataset: Dataset) -> Dataset:
        opdef, spec = datasets_order.ignore_errors_dataset, dataset.element_spec
        return made(opdef, spec, dataset._variant_tensor, log_warning=log_warning)

    return apply


def get_single_element(dataset: Dataset) -> Any:
    """The only element of a dataset. InvalidArgumentError when run where there is none, or more than one."""
    spec = dataset.element_spec
    components = datasets_calls.dataset_to_single_element(
        dataset._variant_tensor,
        output_types=structure.component_types(spec),
        output_shapes=structure.component_shapes(spec),
    )
    return structure.element_of(spec, components, Dataset)


def get_structure(dataset_or_iterator: Any) -> Any:
    """What the elements of a dataset or an iterator are: a nest of specs."""
    return dataset_or_iterator.element_spec


def cardinality(dataset: Dataset) -> Any:
    """How many elements the dataset has, an int64: INFINITE_CARDINALITY without end, UNKNOWN_CARDINALITY where it is not known."""
    return datasets_order.dataset_cardinality(dataset._variant_tensor)


def assert_cardinality(expected_cardinality: Any) -> Transformation:
    """The same dataset, said to have so many elements. FailedPreconditionError when run where it has others."""

    def apply(dataset: Dataset) -> Dataset:
        size = int64_tensor(expected_cardinality, "expected_cardinality")
        opdef = datasets_order.assert_cardinality_dataset
        return made(opdef, dataset.element_spec, dataset._variant_tensor, size)

    return apply


def counter(start: Any = 0, step: Any = 1, dtype: Any = dtypes.int64) -> Dataset:
    """The dataset of `start`, `start + step`, … without end."""
    with name_scope("counter"):
        first = convert.convert_to_tensor(start, dtype=dtype, name="start")
        apart = convert.convert_to_tensor(step, dtype=dtype, name="step")
        counted = scan(first, lambda state, _: (state + apart, state))
        found: Dataset = Dataset.from_tensors(0).repeat(None).apply(counted)
        return found


def to_variant(dataset: Dataset) -> Tensor:
    """The dataset as a tensor of variants."""
    return dataset._variant_tensor


def from_variant(variant: Tensor, structure: Any) -> Dataset:
    """The dataset that a tensor of variants holds, whose elements are so."""
    return Dataset(variant, structure)


def prefetch_to_device(device: str, buffer_size: Any = None) -> Transformation:
    """`prefetch(buffer_size)`: here there is one device."""
    return lambda dataset: dataset.prefetch(buffer_size)
