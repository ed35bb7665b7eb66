"""`tf.data.experimental`: elements gathered by key, chosen among datasets, left out. Transformations for `Dataset.apply`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.specs import SparseTensorSpec, TensorSpec
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset import Dataset, made
from ckpt.model.dataset_arguments import int64_tensor, seeds_of
from ckpt.model.dataset_function import ElementFunction
from ckpt.ops import (
    assertions,
    casting,
    compare,
    constants,
    control,
    datasets_groups,
    datasets_random,
    elementwise,
    indexing,
    random,
    reduction,
    shaping,
    stateless,
)

Transformation = Callable[[Dataset], Dataset]
NUMBER = TensorSpec([], dtypes.int64)


def _number(value: Any, what: str) -> Tensor:
    """A number that a function of the caller returned. Raises ValueError for what is none."""
    found = convert.convert_to_tensor(value, dtypes.int64)
    if not found.shape.is_compatible_with([]):
        raise ValueError(
            f"Invalid `{what}`. `{what}` must return a single `tf.int64` scalar tensor but its return shape is "
            f"{found.shape}."
        )
    return found


def _called(functions: dict[str, ElementFunction], opdef: Any, variant: Tensor, spec: Any) -> Dataset:  # fmt: skip
    """The dataset of a node over these functions, by the names of its attributes."""
    captured = [function.captured for function in functions.values()]
    attributes = {name: function.attribute for name, function in functions.items()}
    awaited = [op for function in functions.values() for op in function.body.awaited_outside()]
    with control_dependencies(awaited):
        node = opdef(
            variant, *captured, **attributes, output_types=structure.component_types(spec),
            output_shapes=structure.component_shapes(spec),
        )  # fmt: skip
    return Dataset(node, spec)


def group_by_window(
    key_func: Callable[..., Any],
    reduce_func: Callable[..., Any],
    window_size: int | None = None,
    window_size_func: Callable[..., Any] | None = None,
) -> Transformation:
    """The dataset of the elements of `reduce_func(key, elements)`, where `elements` is a dataset of those with one key.

    Elements are gathered until there are `window_size` of the same key (`window_size_func(key)`); what is left at the end
    comes by key. Raises ValueError unless exactly one of the two is given, and for keys that are no int64 scalars,
    TypeError when `reduce_func` returns no dataset.
    """
    if (window_size is None) == (window_size_func is None):
        raise ValueError(
            "Either the `window_size` argument or the `window_size_func` argument must be specified."
        )
    if window_size_func is None:

        def window_size_func(key: Any) -> Tensor:
            return constants.constant(window_size, dtypes.int64)

    size_func = window_size_func

    def apply(dataset: Dataset) -> Dataset:
        spec = dataset.element_spec
        keys = ElementFunction(
            lambda *element: _number(key_func(*element), "key_func"),
            "Dataset_group_by_window_key",
            [spec],
            Dataset,
        )
        reduced = ElementFunction(
            reduce_func, "Dataset_group_by_window_reduce", [NUMBER, structure.DatasetSpec(spec)], Dataset
        )  # fmt: skip
        if not isinstance(reduced.spec, structure.DatasetSpec):
            raise TypeError(
                "Invalid `reduce_func`. `reduce_func` must return a single `tf.data.Dataset` object but its return type is "
                f"{reduced.spec}."
            )
        sizes = ElementFunction(
            lambda key: _number(size_func(key), "window_size_func"),
            "Dataset_group_by_window_size",
            [NUMBER],
            Dataset,
        )
        functions = {"key_func": keys, "reduce_func": reduced, "window_size_func": sizes}
        opdef = datasets_groups.group_by_window_dataset
        return _called(functions, opdef, dataset._variant_tensor, reduced.spec.element_spec)

    return apply


class Reducer:
    """What `group_by_reducer` makes of the elements of one key: a state from the key, a new one with each element, a result."""

    def __init__(
        self,
        init_func: Callable[..., Any],
        reduce_func: Callable[..., Any],
        finalize_func: Callable[..., Any],
    ) -> None:
        self.init_func = init_func
        self.reduce_func = reduce_func
        self.finalize_func = finalize_func


def group_by_reducer(key_func: Callable[..., Any], reducer: Reducer) -> Transformation:
    """The dataset of one element for each key, in the order of the keys: what `reducer` makes of the elements that have it.

    Raises ValueError for keys that are no int64 scalars, TypeError when the state changes its kind.
    """

    def apply(dataset: Dataset) -> Dataset:
        spec = dataset.element_spec
        keys = ElementFunction(key_func, "Dataset_group_by_reducer_key", [spec], Dataset)
        if keys.spec != NUMBER:
            raise ValueError(
                "Invalid `key_func`. Expected `key_func` to return a scalar tf.int64 tensor, but instead `key_func` has "
                f"output types={structure.legacy_types(keys.spec)} and shapes={structure.legacy_shapes(keys.spec)}."
            )
        begun = ElementFunction(
            reducer.init_func, "Dataset_group_by_reducer_init", [NUMBER], Dataset
        )
        reduced = ElementFunction(
            reducer.reduce_func, "Dataset_group_by_reducer_reduce", [begun.spec, spec], Dataset
        )
        structure.check_state(begun.spec, reduced.spec, "reducer.reduce_func")
        ended = ElementFunction(
            reducer.finalize_func, "Dataset_group_by_reducer_finalize", [begun.spec], Dataset
        )
        functions = {
            "key_func": keys, "init_func": begun, "reduce_func": reduced, "finalize_func": ended,
        }  # fmt: skip
        opdef = datasets_groups.experimental_group_by_reducer_dataset
        return _called(functions, opdef, dataset._variant_tensor, ended.spec)

    return apply


def bucket_by_sequence_length(
    element_length_func: Callable[..., Any],
    bucket_boundaries: Sequence[int],
    bucket_batch_sizes: Sequence[int],
    padded_shapes: Any = None,
    padding_values: Any = None,
    pad_to_bucket_boundary: bool = False,
    no_padding: bool = False,
    drop_remainder: bool = False,
) -> Transformation:
    """The dataset of batches of elements of similar length: bucket number i has those below `bucket_boundaries[i]`.

    `bucket_batch_sizes` has one more for the longest. Batches are padded to their longest element, with
    `pad_to_bucket_boundary` to the bucket's longest length, with `no_padding` not at all. Raises ValueError where the
    numbers of boundaries and sizes do not fit; InvalidArgumentError when run for an element too long for the last boundary.
    """
    if len(bucket_batch_sizes) != len(bucket_boundaries) + 1:
        raise ValueError(
            "`len(bucket_batch_sizes)` must equal `len(bucket_boundaries) + 1` but `len(bucket_batch_sizes)="
            f"{len(bucket_batch_sizes)}` and `len(bucket_boundaries)={len(bucket_boundaries)}`."
        )
    sizes = constants.constant(bucket_batch_sizes, dtypes.int64)

    def bucket(*element: Any) -> Tensor:
        length = casting.cast(element_length_func(*element), dtypes.int64)
        limits = constants.constant(list(bucket_boundaries), dtypes.int64)
        found: Tensor = reduction.reduce_sum(
            casting.cast(compare.greater_equal(length, limits), dtypes.int64)
        )
        return found

    def batch(key: Tensor, grouped: Dataset) -> Dataset:
        size = indexing.gather(sizes, key)
        if no_padding:
            return grouped.batch(size, drop_remainder)
        length = None
        if pad_to_bucket_boundary:
            limits = constants.constant(list(bucket_boundaries), dtypes.int64)
            message = "When pad_to_bucket_boundary=True, elements must have length < max(bucket_boundaries)."
            checked = assertions.assert_less(key, int64_tensor(len(bucket_boundaries), "count"), message=message)  # fmt: skip
            with control_dependencies([checked]):
                length = indexing.gather(limits, control.identity(key)) - 1
        shapes = structure.legacy_shapes(grouped.element_spec) if padded_shapes is None else padded_shapes  # fmt: skip
        if length is not None:
            shapes = nest.map_structure_up_to(grouped.element_spec, lambda _, s: _with_length(s, length), grouped.element_spec, shapes)  # fmt: skip
        return grouped.padded_batch(size, shapes, padding_values, drop_remainder)

    def apply(dataset: Dataset) -> Dataset:
        grouping = group_by_window(bucket, batch, window_size_func=lambda key: indexing.gather(sizes, key))  # fmt: skip
        return grouping(dataset)

    return apply


def _with_length(shape: Any, length: Tensor) -> Tensor:
    """The sizes of a shape, `length` in the place of those that are not known."""
    known = constant_value_as_shape(shape) if isinstance(shape, Tensor) else TensorShape(shape)
    sizes = [length if size is None else int64_tensor(size, "size") for size in known.as_list()]
    return shaping.reshape(convert.convert_to_tensor(sizes, dtypes.int64), [len(sizes)])


def dense_to_sparse_batch(batch_size: Any, row_shape: Any) -> Transformation:
    """The dataset of batches of tensors, which may differ in size, as SparseTensors with rows of `row_shape`.

    Raises TypeError for elements of several components; DataLossError when run for an element that is larger.
    """

    def apply(dataset: Dataset) -> Dataset:
        if not isinstance(dataset.element_spec, TensorSpec):
            raise TypeError(
                "`dense_to_sparse_batch` requires an input dataset whose elements have a single component, but the given "
                f"dataset has the following component types: {structure.legacy_types(dataset.element_spec)}."
            )
        known = row_shape if isinstance(row_shape, Tensor) else TensorShape(row_shape)
        shape = known if isinstance(known, Tensor) else constants.constant(
            np.array([-1 if size is None else size for size in known.as_list()], np.int64), dtypes.int64
        )  # fmt: skip
        static = constant_value_as_shape(shape)
        spec = SparseTensorSpec(TensorShape([None]).concatenate(static), dataset.element_spec.dtype)
        size = int64_tensor(batch_size, "batch_size")
        opdef = datasets_groups.dense_to_sparse_batch_dataset
        return made(opdef, spec, dataset._variant_tensor, size, shape)

    return apply


def unique() -> Transformation:
    """The dataset without the elements that came before. Raises TypeError unless they are int32, int64 or string tensors."""

    def apply(dataset: Dataset) -> Dataset:
        spec = dataset.element_spec
        for leaf in nest.flatten(spec):
            if leaf.dtype not in (dtypes.int32, dtypes.int64, dtypes.string):
                raise TypeError(
                    f"`tf.data.Dataset.unique` does not support type {leaf.dtype!r} -- only `tf.int32`, `tf.int64`, and "
                    "`tf.string` are supported."
                )
        if not isinstance(spec, TensorSpec):
            raise TypeError(f"unique: the elements must be single tensors, not {spec}")
        return made(datasets_groups.unique_dataset, spec, dataset._variant_tensor)

    return apply


def random_numbers(seed: Any = None) -> Dataset:
    """The dataset of random int64 numbers below 2**32, without end; the same each time where there is a seed."""
    return made(datasets_random.random_dataset, NUMBER, *seeds_of(seed))


def _directed(selector: Dataset, datasets: Sequence[Dataset], stops: bool) -> Dataset:
    spec = datasets[0].element_spec
    for number, dataset in enumerate(datasets[1:], 1):
        try:
            spec = structure.most_specific(spec, dataset.element_spec)
        except TypeError:
            raise TypeError(
                "Invalid `datasets`. `datasets` must have compatible element specs.\n Dataset 0 element_spec="
                f"{datasets[0].element_spec}.\nDataset {number} element_spec={dataset.element_spec}."
            ) from None
    variants = [dataset._variant_tensor for dataset in datasets]
    opdef = datasets_groups.directed_interleave_dataset
    return made(opdef, spec, selector._variant_tensor, variants, stop_on_empty_dataset=stops)


def _check_some(datasets: Sequence[Dataset]) -> None:
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")


def sample_from_datasets(
    datasets: Sequence[Dataset],
    weights: Any = None,
    seed: Any = None,
    stop_on_empty_dataset: bool = False,
) -> Dataset:
    """The dataset that takes each element from one of `datasets`, drawn with the probabilities `weights` (None: equal).

    `weights` are numbers or a dataset of them. One that is over is passed by, or ends it all. Raises ValueError for no
    datasets and another number of weights, TypeError for weights that are no floats and datasets of different kinds.
    """
    _check_some(datasets)
    if len(datasets) == 1:
        return datasets[0]
    seeds = random_numbers(seed).batch(2)
    if isinstance(weights, Dataset):
        pairs = Dataset.zip((weights, seeds))
        selector = pairs.map(lambda w, two: _drawn(elementwise.log(w), two))
    else:
        equal = [1.0 / len(datasets)] * len(datasets)
        chances = _weights(equal if weights is None else weights, len(datasets))
        datasets, chances = _possible(datasets, chances)
        if len(datasets) == 1:
            return datasets[0]
        logits = elementwise.log(chances)
        selector = seeds.map(lambda two: _drawn(logits, two))
    return _directed(selector, datasets, stop_on_empty_dataset)


def _weights(weights: Any, count: int) -> Tensor:
    found = convert.convert_to_tensor(weights, name="weights")
    if found.dtype not in (dtypes.float32, dtypes.float64):
        raise TypeError(
            f"Invalid `weights`. `weights` type must be either `tf.float32` or `tf.float64` but is {found.dtype}."
        )
    sizes = found.shape.sizes
    if sizes is not None and sizes != (None,) and sizes != (count,):
        raise ValueError(
            "Invalid `weights`. `weights` should have the same length as `datasets` but got "
            f"`len(weights)={sizes[0] if sizes else 0}` vs. `len(datasets)={count}`."
        )
    return found


def _possible(datasets: Sequence[Dataset], chances: Tensor) -> tuple[Sequence[Dataset], Tensor]:
    """The datasets that are ever drawn, and their weights, where these are known."""
    known = constant_value(chances)
    if known is None or not np.any(known) or np.all(known):
        return datasets, chances
    kept = np.flatnonzero(known)
    return [datasets[place] for place in kept.tolist()], constants.constant(known[kept])


def _drawn(logits: Tensor, seed: Tensor) -> Tensor:
    """One class of unnormalised log-probabilities, a function of the seed alone."""
    drawn = stateless.stateless_multinomial_op(
        shaping.expand_dims(logits, 0), 1, seed, output_dtype=dtypes.int64
    )
    return shaping.reshape(drawn, [])


def choose_from_datasets(
    datasets: Sequence[Dataset], choice_dataset: Dataset, stop_on_empty_dataset: bool = False
) -> Dataset:
    """The dataset that takes each element from the one of `datasets` whose number `choice_dataset` gives.

    One that is over is passed by, or ends it all. Raises ValueError for no datasets, TypeError for choices that are no
    int64 scalars and datasets of different kinds; InvalidArgumentError when run for a number that no dataset has.
    """
    _check_some(datasets)
    if choice_dataset.element_spec != NUMBER:
        raise TypeError(
            "Invalid `choice_dataset`. Elements of `choice_dataset` must be scalar `tf.int64` tensors but are "
            f"{choice_dataset.element_spec}."
        )
    return _directed(choice_dataset, datasets, stop_on_empty_dataset)


def rejection_resample(
    class_func: Callable[..., Any],
    target_dist: Any,
    initial_dist: Any = None,
    seed: Any = None,
) -> Transformation:
    """The dataset of (class, element), of which so many are left out that the classes come as often as `target_dist` says.

    `class_func(element)` is an int32 scalar. `initial_dist`, how often the classes come before, is counted on the way where
    it is not given. The most that can be kept is kept: each element with the probability of its class's share, relative
    to the largest.
    """

    def apply(dataset: Dataset) -> Dataset:
        wanted = convert.convert_to_tensor(target_dist, dtypes.float32, name="target_dist")
        given = initial_dist

        def classified(*element: Any) -> Any:
            label = casting.cast(class_func(*element), dtypes.int32)
            return label, element[0] if len(element) == 1 else element

        pairs = dataset.map(classified)
        if given is not None:
            initial = convert.convert_to_tensor(given, dtypes.float32, name="initial_dist")
            kept = pairs.filter(lambda label, _: _is_kept(label, wanted, initial, seed))
            return kept
        counted = _counted(pairs, wanted)
        kept = counted.filter(lambda label, _, initial: _is_kept(label, wanted, initial, seed))
        return kept.map(lambda label, element, _: (label, element))

    return apply


def _counted(pairs: Dataset, wanted: Tensor) -> Dataset:
    """Each pair with the distribution of the classes that came so far, it included."""
    from ckpt.model.dataset_transformations import scan  # which needs nothing from here

    def added(counts: Tensor, pair: Any) -> Any:
        label, element = pair
        size = shaping.size(wanted)
        new = counts + indexing.one_hot(label, size, dtype=dtypes.int64)
        share = casting.cast(new, dtypes.float32)
        return new, (label, element, share / reduction.reduce_sum(share))

    start = constants.ones([shaping.size(wanted)], dtypes.int64)
    found: Dataset = pairs.apply(scan(start, added))
    return found


def _is_kept(label: Tensor, wanted: Tensor, initial: Tensor, seed: Any) -> Tensor:
    tiny = float(np.finfo(np.float32).tiny)
    shares = wanted / elementwise.maximum(initial, tiny)
    chance = indexing.gather(shares / reduction.reduce_max(shares), label)
    drawn: Tensor = compare.less(random.random_uniform([], seed=seed), chance)
    return drawn
