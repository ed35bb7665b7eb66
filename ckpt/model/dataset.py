"""`tf.data.Dataset`: elements in an order, described as a graph of dataset operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.specs import SparseTensorSpec, TensorSpec
from ckpt.graph.static import constant_value_as_shape
from ckpt.model import dataset_iterators
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset_arguments import (
    deterministic_text,
    fillers_of,
    full_size,
    int64_tensor,
    seeds_of,
    shapes_of_padded,
    sliceable,
)
from ckpt.model.dataset_function import ElementFunction
from ckpt.model.dataset_generator import generated
from ckpt.model.dataset_options import Options
from ckpt.ops import (
    assertions,
    constants,
    control,
    datasets,
    datasets_batch,
    datasets_calls,
    datasets_order,
    datasets_random,
    elementwise,
    files,
    shaping,
)

AUTOTUNE = -1
"""As many parallel calls, or elements ahead, as are good."""


class Dataset:
    """Elements in an order. Each is a nest (tuples, dicts) of tensors, SparseTensors or datasets.

    Nothing is computed while a dataset is described: the elements come from an iterator when a session runs its
    `get_next()`. Transformations return new datasets and leave this one as it is.
    """

    def __init__(
        self, variant_tensor: Tensor, element_spec: Any, options: Options | None = None
    ) -> None:
        self._variant_tensor = variant_tensor
        self._spec = element_spec
        self._options = options

    element_spec = property(lambda self: self._spec, doc="What the elements are: a nest of specs.")
    output_types = property(
        lambda self: structure.legacy_types(self._spec), doc="The nest of dtypes."
    )
    output_shapes = property(
        lambda self: structure.legacy_shapes(self._spec), doc="The nest of shapes."
    )
    output_classes = property(
        lambda self: structure.legacy_classes(self._spec), doc="The nest of classes."
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} element_spec={self._spec}>"

    def __iter__(self) -> Any:
        raise RuntimeError(
            "`tf.data.Dataset` only supports Python-style iteration in eager mode or within tf.function."
        )

    def make_one_shot_iterator(self) -> dataset_iterators.Iterator:
        """An iterator that needs no initializer and goes through the elements once.

        Raises ValueError when the dataset uses a placeholder, a variable or anything else with a state.
        """
        return dataset_iterators.make_one_shot_iterator(self)

    def make_initializable_iterator(
        self, shared_name: str | None = None
    ) -> dataset_iterators.Iterator:
        """An iterator that stands before the first element each time its `initializer` has run."""
        return dataset_iterators.make_initializable_iterator(self, shared_name)

    # Datasets from tensors

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """The dataset of one element: the nest `tensors`."""
        element = structure.normalized(tensors)
        spec = structure.spec_of(element)
        return _source(datasets.tensor_dataset, spec, structure.components_of(element))

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """The dataset of the slices of the nest `tensors` along their first dimension.

        Raises ValueError for a scalar and for sizes that are known to differ.
        """
        element = structure.normalized(tensors)
        spec = structure.without_batch(structure.spec_of(element))
        size = TensorShape([None])
        components = []
        for leaf in nest.flatten(element):
            size = size.merge_with(TensorShape([as_shape(leaf.shape)[0]]))
            components.append(sliceable(leaf))
        return _source(datasets.tensor_slice_dataset, spec, components)

    @staticmethod
    def from_sparse_tensor_slices(sparse_tensor: Any) -> Dataset:
        """The dataset of the rows of a SparseTensor, each as a tuple of indices, values and shape."""
        if not isinstance(sparse_tensor, SparseTensor):
            raise TypeError(f"`sparse_tensor` must be a SparseTensor, got {sparse_tensor!r}")
        rank = sparse_tensor.shape.rank
        row = None if rank is None else rank - 1
        spec = (
            TensorSpec([None, row], dtypes.int64),
            TensorSpec([None], sparse_tensor.dtype),
            TensorSpec([row], dtypes.int64),
        )
        variant = datasets.sparse_tensor_slice_dataset(
            sparse_tensor.indices, sparse_tensor.values, sparse_tensor.dense_shape
        )
        return Dataset(variant, spec)

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any,
        output_shapes: Any = None,
        args: Any = None,
    ) -> Dataset:
        """The dataset of what `generator(*args)` yields: nests like `output_types`, of these shapes (None: unknown).

        The generator is begun anew by each iteration. It is not part of an exported graph, and its position cannot be
        saved. Raises TypeError when it cannot be called.
        """
        spec = structure.spec_from_legacy(output_types, output_shapes, None)
        begun, functions = generated(generator, spec, args, Dataset)
        return Dataset.from_tensors(begun).flat_map(functions)

    @staticmethod
    def range(*args: Any) -> Dataset:
        """The dataset of the int64 numbers of Python's `range(stop)`, `range(start, stop)` or `range(start, stop, step)`."""
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Invalid `args`. The length of `args` should be between 1 and 3 but got {len(args)}.")  # fmt: skip
        start, stop, step = {1: (0, *args, 1), 2: (*args, 1), 3: args}[len(args)]
        inputs = (
            int64_tensor(start, "start"),
            int64_tensor(stop, "stop"),
            int64_tensor(step, "step"),
        )
        spec = TensorSpec([], dtypes.int64)
        return made(datasets.range_dataset, spec, *inputs)

    @staticmethod
    def list_files(file_pattern: Any, shuffle: bool | None = None, seed: Any = None) -> Dataset:
        """The dataset of the names of files that match one of the patterns: in random order unless `shuffle` is False.

        InvalidArgumentError when run where nothing matches.
        """
        pattern = convert.convert_to_tensor(file_pattern, dtypes.string, name="file_pattern")
        found = files.matching_files(pattern)
        count = shaping.size(found, out_type=dtypes.int64)
        message = "No files matched pattern: "
        checked = assertions.assert_greater(count, constants.constant(0, dtypes.int64), [message, pattern])  # fmt: skip
        with control_dependencies([checked]):
            names = Dataset.from_tensor_slices(control.identity(found))
        if shuffle is False:
            return names
        return names.shuffle(elementwise.maximum(count, constants.constant(1, dtypes.int64)), seed=seed)  # fmt: skip

    @staticmethod
    def zip(datasets: Any) -> Dataset:
        """The dataset of nests like `datasets`, each with the next element of every dataset, until the shortest ends.

        Raises TypeError for what is no dataset, in a list for instance.
        """
        members = nest.flatten(datasets)
        for member in members:
            if not isinstance(member, Dataset) or isinstance(datasets, list):
                raise TypeError(
                    f"The argument to `Dataset.zip()` must be a (nested) structure of `Dataset` objects, got {datasets!r}."
                )
        spec = nest.pack_sequence_as(datasets, [member.element_spec for member in members])
        variants = [member._variant_tensor for member in members]
        return made(datasets_order.zip_dataset, spec, variants)

    # Functions of elements

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """The dataset of `map_func(element)`; a tuple is handed over as several arguments.

        Up to `num_parallel_calls` calls (AUTOTUNE: as many as can compute at a time) are made side by side; the order is kept.
        """
        f = self._function(map_func, "Dataset_map")
        inputs = [self._variant_tensor, f.captured]
        if num_parallel_calls is None:
            return made(datasets_calls.map_dataset, f.spec, *inputs, f=f)
        inputs.append(int64_tensor(num_parallel_calls, "num_parallel_calls"))
        return made(
            datasets_calls.parallel_map_dataset_v2, f.spec, *inputs, f=f,
            deterministic=deterministic_text(deterministic),
        )  # fmt: skip

    def flat_map(self, map_func: Callable[..., Any]) -> Dataset:
        """The dataset of the elements of the datasets `map_func(element)`, one after the other.

        Raises TypeError when the function returns no dataset.
        """
        f = self._function(map_func, "Dataset_flat_map")
        spec = _dataset_spec(f, "flat_map")
        return made(
            datasets_calls.flat_map_dataset, spec, self._variant_tensor, f.captured, f=f
        )  # fmt: skip

    def interleave(
        self,
        map_func: Callable[..., Any],
        cycle_length: Any = AUTOTUNE,
        block_length: Any = 1,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """The dataset of `block_length` elements of each of `cycle_length` datasets `map_func(element)` in turn.

        One that ends makes room for the next. With `num_parallel_calls`, so many threads make their elements ahead; the order
        is the same. Raises TypeError when the function returns no dataset.
        """
        f = self._function(map_func, "Dataset_interleave")
        spec = _dataset_spec(f, "interleave")
        cycle = int64_tensor(cycle_length, "cycle_length")
        inputs = [
            self._variant_tensor,
            f.captured,
            cycle,
            int64_tensor(block_length, "block_length"),
        ]
        if num_parallel_calls is None:
            return made(datasets_calls.interleave_dataset, spec, *inputs, f=f)
        inputs += [
            int64_tensor(AUTOTUNE, "buffer_output_elements"),
            int64_tensor(AUTOTUNE, "prefetch_input_elements"),
            int64_tensor(num_parallel_calls, "num_parallel_calls"),
        ]
        return made(
            datasets_calls.parallel_interleave_dataset_v4, spec, *inputs, f=f,
            deterministic=deterministic_text(deterministic),
        )  # fmt: skip

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The dataset of the elements for which `predicate(element)`, a bool scalar, holds. Raises ValueError for others."""
        f = self._predicate(predicate, "Dataset_filter")
        opdef = datasets_calls.filter_dataset
        return made(opdef, self._spec, self._variant_tensor, f.captured, predicate=f)

    def take_while(self, predicate: Callable[..., Any]) -> Dataset:
        """The dataset of the elements before the first for which `predicate(element)` does not hold."""
        f = self._predicate(predicate, "Dataset_take_while")
        opdef = datasets_calls.take_while_dataset
        return made(opdef, self._spec, self._variant_tensor, f.captured, predicate=f)

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any]) -> Any:
        """What `reduce_func(state, element)` makes of all elements in turn: a nest of tensors like `initial_state`.

        Raises TypeError where the function returns another structure or dtypes than the state has.
        """
        state = structure.normalized(initial_state)
        spec = structure.spec_of(state)
        f = ElementFunction(reduce_func, "reduce", [spec, self._spec], Dataset)
        structure.check_state(spec, f.spec, "reduce_func")
        spec = structure.most_specific(spec, f.spec)
        components = f.called(
            datasets_calls.reduce_dataset,
            self._variant_tensor,
            structure.components_of(state),
            f.captured,
            f=f.attribute,
            **_element(spec),
        )
        return structure.element_of(spec, components, Dataset)

    def options(self) -> Options:
        """The options that `with_options` gave this very dataset."""
        return self._options or Options()

    def with_options(self, options: Options) -> Dataset:
        """The same dataset with options, which say how it may be made and change no element.

        Raises TypeError for what are no options.
        """
        if not isinstance(options, Options):
            raise TypeError(f"`options` must be a `tf.data.Options` object, got {options!r}")
        merged = self.options().merge(options)
        node = datasets_order.options_dataset(
            self._variant_tensor, serialized_options=options._bytes(), **_element(self._spec)
        )
        return Dataset(node, self._spec, merged)

    def apply(self, transformation_func: Callable[[Dataset], Any]) -> Any:
        """`transformation_func(self)`. Raises TypeError when that is no dataset."""
        found = transformation_func(self)
        if not isinstance(found, Dataset):
            raise TypeError(
                f"`transformation_func` must return a `tf.data.Dataset` object. Got {type(found)}."
            )
        return found

    # Elements in another order

    def concatenate(self, dataset: Dataset) -> Dataset:
        """The dataset of these elements, then those of `dataset`. Raises TypeError when they are of another kind."""
        spec = structure.most_specific(self._spec, dataset.element_spec)
        opdef = datasets_order.concatenate_dataset
        return made(opdef, spec, self._variant_tensor, dataset._variant_tensor)

    def repeat(self, count: Any = None) -> Dataset:
        """The dataset that begins anew until it was gone through `count` times (None or -1: without end)."""
        return self._counted(datasets_order.repeat_dataset, -1 if count is None else count)

    def take(self, count: Any) -> Dataset:
        """The dataset of the first `count` elements (-1: all)."""
        return self._counted(datasets_order.take_dataset, count)

    def skip(self, count: Any) -> Dataset:
        """The dataset without its first `count` elements (-1: without any)."""
        return self._counted(datasets_order.skip_dataset, count)

    def shard(self, num_shards: Any, index: Any) -> Dataset:
        """The dataset of every `num_shards`-th element, from number `index` on."""
        inputs = int64_tensor(num_shards, "num_shards"), int64_tensor(index, "index")
        return made(datasets_order.shard_dataset, self._spec, self._variant_tensor, *inputs)

    def shuffle(
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: bool | None = None
    ) -> Dataset:
        """The dataset in random order: each element is drawn from a buffer of the `buffer_size` that come next.

        With a `seed` (or that of the graph) the order is the same each time, and TensorFlow's. Each repetition is in
        another order, unless `reshuffle_each_iteration` is False.
        """
        size = int64_tensor(buffer_size, "buffer_size")
        seeds = seeds_of(seed)
        return made(
            datasets_random.shuffle_dataset, self._spec, self._variant_tensor, size, *seeds,
            reshuffle_each_iteration=reshuffle_each_iteration is not False,
        )  # fmt: skip

    def cache(self, filename: Any = "") -> Dataset:
        """The dataset that keeps its elements in memory once they were all read. A file name is refused when run."""
        name = convert.convert_to_tensor(filename, dtypes.string, name="filename")
        return made(datasets_order.cache_dataset, self._spec, self._variant_tensor, name)

    def prefetch(self, buffer_size: Any) -> Dataset:
        """The same elements, of which a thread makes up to `buffer_size` (None or AUTOTUNE: two) before they are wanted.

        Elements that take no longer than handing them over to another thread are made when they are wanted.
        """
        size = int64_tensor(-1 if buffer_size is None else buffer_size, "buffer_size")
        opdef = datasets_order.prefetch_dataset
        return made(opdef, self._spec, self._variant_tensor, size, legacy_autotune=False)

    def enumerate(self, start: Any = 0) -> Dataset:
        """The dataset of (number, element), the number an int64 that begins with `start`."""
        return Dataset.zip((Dataset.range(start, np.iinfo(np.int64).max), self))

    # Several elements in one

    def batch(
        self,
        batch_size: Any,
        drop_remainder: Any = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """The dataset of batches of `batch_size` elements; the last may be smaller, or is left out.

        `num_parallel_calls` is written to the graph: joining arrays is nothing for several threads here.
        InvalidArgumentError when elements of one batch have different shapes.
        """
        size = int64_tensor(batch_size, "batch_size")
        is_full = convert.convert_to_tensor(drop_remainder, dtypes.bool_, name="drop_remainder")
        spec = structure.with_batch(self._spec, full_size(size, is_full))
        if num_parallel_calls is None:
            return made(datasets_batch.batch_dataset_v2, spec, self._variant_tensor, size, is_full)
        calls = int64_tensor(num_parallel_calls, "num_parallel_calls")
        return made(
            datasets_batch.parallel_batch_dataset, spec, self._variant_tensor, size, calls, is_full,
            deterministic=deterministic_text(deterministic),
        )  # fmt: skip

    def padded_batch(
        self,
        batch_size: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: Any = False,
    ) -> Dataset:
        """The dataset of batches whose elements are padded to `padded_shapes` (None in a shape: the largest of the batch).

        `padding_values` are nests of scalars (None: 0 or ""). DataLossError when an element is larger, TypeError for
        sparse elements.
        """
        leaves = nest.flatten(self._spec)
        if any(not isinstance(leaf, TensorSpec) for leaf in leaves):
            raise TypeError(
                f"`padded_batch` is only supported for datasets that produce tensor elements, not {self._spec}."
            )
        size = int64_tensor(batch_size, "batch_size")
        shapes = shapes_of_padded(self._spec, padded_shapes)
        values = fillers_of(self._spec, padding_values)
        is_full = convert.convert_to_tensor(drop_remainder, dtypes.bool_, name="drop_remainder")
        full = TensorShape([full_size(size, is_full)])
        spec = nest.pack_sequence_as(
            self._spec,
            [
                TensorSpec(full.concatenate(constant_value_as_shape(shape)), leaf.dtype)
                for shape, leaf in zip(shapes, leaves, strict=True)
            ],
        )
        variant = datasets_batch.padded_batch_dataset_v2(
            self._variant_tensor, size, shapes, values, is_full,
            Toutput_types=[leaf.dtype for leaf in leaves], output_shapes=structure.component_shapes(spec),
        )  # fmt: skip
        return Dataset(variant, spec)

    def unbatch(self) -> Dataset:
        """The dataset of the slices of the elements along their first dimension."""
        if any(isinstance(leaf, SparseTensorSpec) for leaf in nest.flatten(self._spec)):
            raise TypeError("unbatch: the elements must be tensors, not SparseTensors")
        spec = structure.without_batch(self._spec)
        return made(datasets_batch.unbatch_dataset, spec, self._variant_tensor)

    def window(
        self, size: Any, shift: Any = None, stride: Any = 1, drop_remainder: Any = False
    ) -> Dataset:
        """The dataset of windows: nests of datasets of `size` elements, `stride` apart; each begins `shift` later."""
        count = int64_tensor(size, "size")
        later = count if shift is None else int64_tensor(shift, "shift")
        is_full = convert.convert_to_tensor(drop_remainder, dtypes.bool_, name="drop_remainder")
        spec = nest.map_structure(structure.DatasetSpec, self._spec)
        opdef = datasets_batch.window_dataset
        return made(
            opdef, spec, self._variant_tensor, count, later, int64_tensor(stride, "stride"), is_full
        )  # fmt: skip

    def _function(self, function: Callable[..., Any], name: str) -> ElementFunction:
        return ElementFunction(function, name, [self._spec], Dataset)

    def _predicate(self, predicate: Callable[..., Any], name: str) -> ElementFunction:
        f = self._function(predicate, name)
        spec = f.spec
        if not isinstance(spec, TensorSpec) or spec.dtype != dtypes.bool_ or spec.shape.rank not in (None, 0):  # fmt: skip
            raise ValueError(
                "Invalid `predicate`. `predicate` must return a `tf.bool` scalar tensor, but its return type is "
                f"{spec}."
            )
        return f

    def _counted(self, opdef: Any, count: Any) -> Dataset:
        return made(opdef, self._spec, self._variant_tensor, int64_tensor(count, "count"))


def _element(spec: Any) -> dict[str, Any]:
    return {
        "output_types": structure.component_types(spec),
        "output_shapes": structure.component_shapes(spec),
    }


def made(opdef: Any, spec: Any, *inputs: Any, **attrs: Any) -> Dataset:
    """The dataset of a node; an ElementFunction among the attributes is what the node calls."""
    functions = {key: f for key, f in attrs.items() if isinstance(f, ElementFunction)}
    attrs.update({key: f.attribute for key, f in functions.items()})
    attrs.update(_element(spec))
    for function in functions.values():
        return Dataset(function.called(opdef, *inputs, **attrs), spec)
    return Dataset(opdef(*inputs, **attrs), spec)


def _source(opdef: Any, spec: Any, components: Sequence[Tensor]) -> Dataset:
    shapes = structure.component_shapes(spec)
    types = structure.component_types(spec)
    return Dataset(opdef(list(components), Toutput_types=types, output_shapes=shapes), spec)


def _dataset_spec(f: ElementFunction, what: str) -> Any:
    if not isinstance(f.spec, structure.DatasetSpec):
        raise TypeError(
            f"The `map_func` of `{what}` must return a `Dataset` object. Got {f.spec!r}."
        )
    return f.spec.element_spec
