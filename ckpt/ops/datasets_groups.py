"""Datasets of what belongs together: groups by a key, elements of several datasets in a chosen order, each only once."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import DataLossError, InvalidArgumentError
from ckpt.graph.signature import Attr
from ckpt.ops import sparse_variants
from ckpt.ops.datasets import TYPES, Elements, Position, dataset_op
from ckpt.ops.datasets_batch import gathered
from ckpt.ops.datasets_calls import FUNCTION, called, check_saveable
from ckpt.ops.datasets_order import derived

ARGUMENTS = Attr("list(type)", minimum=0)


def _split(inputs, *lists):
    """The inputs as one tuple for each list of their dtypes."""
    found, start = [], 0
    for kinds in lists:
        found.append(tuple(inputs[start : start + len(kinds)]))
        start += len(kinds)
    return found


class _GroupByWindow(Position):
    """Elements are gathered by key; a group that is large enough is made a dataset, whose elements come next."""

    FIELDS = ("is_over",)
    is_over = False

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.groups: dict = {}  # key: (size, elements)
        self.current = None  # key, elements, and the position in what was made of them

    def __next__(self):
        while True:
            if self.current is not None:
                try:
                    return next(self.current[2])
                except StopIteration:
                    self.current = None
            elif not self.is_over:
                self._gather()
            elif self.groups:
                self._begin(min(self.groups))
            else:
                raise StopIteration

    def _gather(self):
        dataset = self.dataset
        try:
            element = next(self.sources[0])
        except StopIteration:
            self.is_over = True
            return
        key = int(called(dataset.key_func, (*element, *dataset.key_others))[0])
        if key not in self.groups:
            arguments = np.int64(key), *dataset.size_others
            size = int(called(dataset.window_size_func, arguments)[0])
            if size < 1:
                raise InvalidArgumentError(None, None, f"Window size must be greater than zero, but got {size}.")  # fmt: skip
            self.groups[key] = size, []
        size, elements = self.groups[key]
        elements.append(element)
        if len(elements) == size:
            self._begin(key)

    def _begin(self, key):
        elements = self.groups.pop(key)[1]
        self.current = key, elements, self._reduced(key, elements)

    def _reduced(self, key, elements):
        dataset, source = self.dataset, self.dataset.inputs[0]
        window = np.empty((), object)
        window[()] = Elements(source.types, source.shapes, elements)
        arguments = np.int64(key), window.item(), *dataset.reduce_others
        return called(dataset.reduce_func, arguments)[0].start()

    def close(self):
        super().close()
        if self.current is not None:
            self.current[2].close()

    def save(self):
        dataset = self.dataset
        check_saveable(dataset.key_func, dataset.reduce_func, dataset.window_size_func)
        groups = [[key, size, elements] for key, (size, elements) in self.groups.items()]
        current = self.current and [*self.current[:2], self.current[2].save()]
        return [super().save(), groups, current]

    def load(self, state):
        own, groups, current = state
        super().load(own)
        self.groups = {key: (size, [tuple(e) for e in held]) for key, size, held in groups}
        self.current = None
        if current is not None:
            key, elements, position = current[0], [tuple(e) for e in current[1]], current[2]
            self.current = key, elements, self._reduced(key, elements)
            self.current[2].load(position)


@dataset_op("GroupByWindowDataset",
            "input_dataset: variant, key_func_other_arguments: Tkey_func_other_arguments..., reduce_func_other_arguments: "
            "Treduce_func_other_arguments..., window_size_func_other_arguments: Twindow_size_func_other_arguments...",
            key_func=FUNCTION, reduce_func=FUNCTION, window_size_func=FUNCTION, Tkey_func_other_arguments=ARGUMENTS,
            Treduce_func_other_arguments=ARGUMENTS, Twindow_size_func_other_arguments=ARGUMENTS, **TYPES)  # fmt: skip
def group_by_window_dataset(
    input_dataset, *inputs, key_func, reduce_func, window_size_func, Tkey_func_other_arguments,
    Treduce_func_other_arguments, Twindow_size_func_other_arguments, output_types, output_shapes,
):  # fmt: skip
    """The dataset of the elements of what a function makes of each group of elements with the same key."""
    key_others, reduce_others, size_others = _split(
        inputs, Tkey_func_other_arguments, Treduce_func_other_arguments, Twindow_size_func_other_arguments
    )  # fmt: skip
    return derived(
        _GroupByWindow, input_dataset, types=output_types, shapes=output_shapes, key_func=key_func, reduce_func=reduce_func,
        window_size_func=window_size_func, key_others=key_others, reduce_others=reduce_others, size_others=size_others,
    )  # fmt: skip


class _GroupByReducer(Position):
    """One element for each key, made of all elements that have it once they were all read."""

    FIELDS = ("made", "number")

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.made: list | None = None
        self.number = 0

    def __next__(self):
        if self.made is None:
            self.made = self._all()
        if self.number >= len(self.made):
            raise StopIteration
        self.number += 1
        return tuple(self.made[self.number - 1])

    def _all(self):
        dataset, states = self.dataset, {}
        for element in self.sources[0]:
            key = int(called(dataset.key_func, (*element, *dataset.key_others))[0])
            if key not in states:
                states[key] = called(dataset.init_func, (np.int64(key), *dataset.init_others))
            states[key] = called(dataset.reduce_func, (*states[key], *element, *dataset.reduce_others))  # fmt: skip
        return [called(dataset.finalize_func, (*states[key], *dataset.finalize_others)) for key in sorted(states)]  # fmt: skip

    def save(self):
        dataset = self.dataset
        check_saveable(dataset.key_func, dataset.init_func, dataset.reduce_func, dataset.finalize_func)  # fmt: skip
        return super().save()


def _define_reducer(type_name):
    @dataset_op(type_name,
                "input_dataset: variant, key_func_other_arguments: Tkey_func_other_arguments..., init_func_other_arguments: "
                "Tinit_func_other_arguments..., reduce_func_other_arguments: Treduce_func_other_arguments..., "
                "finalize_func_other_arguments: Tfinalize_func_other_arguments...", key_func=FUNCTION, init_func=FUNCTION,
                reduce_func=FUNCTION, finalize_func=FUNCTION, Tkey_func_other_arguments=ARGUMENTS,
                Tinit_func_other_arguments=ARGUMENTS, Treduce_func_other_arguments=ARGUMENTS,
                Tfinalize_func_other_arguments=ARGUMENTS, output_types=TYPES["output_types"],
                output_shapes=TYPES["output_shapes"])  # fmt: skip
    def kernel(
        input_dataset, *inputs, key_func, init_func, reduce_func, finalize_func, Tkey_func_other_arguments,
        Tinit_func_other_arguments, Treduce_func_other_arguments, Tfinalize_func_other_arguments, output_types,
        output_shapes,
    ):  # fmt: skip
        """The dataset of one element for each key, in the order of the keys: what functions make of the elements that have it."""
        others = _split(
            inputs, Tkey_func_other_arguments, Tinit_func_other_arguments, Treduce_func_other_arguments,
            Tfinalize_func_other_arguments,
        )  # fmt: skip
        return derived(
            _GroupByReducer, input_dataset, types=output_types, shapes=output_shapes, key_func=key_func,
            init_func=init_func, reduce_func=reduce_func, finalize_func=finalize_func, key_others=others[0],
            init_others=others[1], reduce_others=others[2], finalize_others=others[3],
        )  # fmt: skip

    return kernel


group_by_reducer_dataset = _define_reducer("GroupByReducerDataset")
experimental_group_by_reducer_dataset = _define_reducer("ExperimentalGroupByReducerDataset")


class _Directed(Position):
    """The next element of the dataset that the first says; one that is over is passed by, or ends it all."""

    FIELDS = ("over",)

    def __init__(self, dataset, *sources) -> None:
        super().__init__(dataset, *sources)
        self.over = [False] * (len(sources) - 1)

    def __next__(self):
        while not all(self.over):
            chosen = int(next(self.sources[0])[0])
            if not 0 <= chosen < len(self.over):
                raise InvalidArgumentError(None, None, f"Selector index out of range: {chosen} >= {len(self.over)}")  # fmt: skip
            if self.over[chosen]:
                continue
            try:
                return next(self.sources[chosen + 1])
            except StopIteration:
                self.over[chosen] = True
                if self.dataset.stops:
                    self.over = [True] * len(self.over)
        raise StopIteration


def _define_directed(type_name, **more):
    @dataset_op(type_name, "selector_input_dataset: variant, data_input_datasets: N * variant",
                output_types=TYPES["output_types"], output_shapes=TYPES["output_shapes"], N=Attr("int", minimum=1),
                **more)  # fmt: skip
    def kernel(*input_datasets, output_types, output_shapes, stop_on_empty_dataset):
        """The dataset that takes each element from the dataset whose number the first gives."""
        return derived(
            _Directed, *input_datasets, types=output_types, shapes=output_shapes, stops=stop_on_empty_dataset
        )  # fmt: skip

    return kernel


directed_interleave_dataset = _define_directed(
    "DirectedInterleaveDataset", stop_on_empty_dataset=False
)


class _Unique(Position):
    """The elements that were not there before, which all are kept."""

    FIELDS = ("seen",)

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.seen: dict = {}

    def __next__(self):
        for element in self.sources[0]:
            value = np.asarray(element[0])
            key = value.tobytes() if value.dtype != object else repr(value.tolist()).encode()
            if key not in self.seen:
                self.seen[key] = True
                return element
        raise StopIteration


@dataset_op("UniqueDataset", "input_dataset: variant", **TYPES)
def unique_dataset(input_dataset):
    """The dataset without the elements that came before: integers and strings."""
    return derived(_Unique, input_dataset)


@dataset_op("ExperimentalUniqueDataset", "input_dataset: variant", output_types=TYPES["output_types"],
            output_shapes=TYPES["output_shapes"])  # fmt: skip
def experimental_unique_dataset(input_dataset):
    """UniqueDataset, as graphs of TensorFlow 1 name it."""
    return derived(_Unique, input_dataset)


class _DenseToSparseBatch(Position):
    def __next__(self):
        elements = [np.asarray(e[0]) for e in gathered(self.sources[0], self.dataset.size)]
        row = self.dataset.row
        for value in elements:
            if value.ndim != len(row):
                raise InvalidArgumentError(
                    None, None, f"Input element had shape ({list(value.shape)}) that is incompatible with the row shape "
                    f"({list(row)})."
                )  # fmt: skip
            if any(0 <= most < size for size, most in zip(value.shape, row, strict=True)):
                raise DataLossError(
                    None, None, f"Input element had shape ({list(value.shape)}) that is larger than the row shape ({list(row)})."
                )  # fmt: skip
        largest = np.max([value.shape for value in elements], axis=0, initial=0).tolist()
        sizes = [most if most >= 0 else size for most, size in zip(row, largest, strict=True)]
        places = [np.indices(value.shape).reshape(value.ndim, -1) for value in elements]
        indices = np.concatenate(
            [np.insert(place, 0, number, axis=0) for number, place in enumerate(places)], axis=1
        ).T.astype(np.int64)
        values = np.concatenate([value.reshape(-1) for value in elements])
        shape = np.array([len(elements), *sizes], np.int64)
        to_variant = sparse_variants.serialize_sparse_op.kernel
        return (to_variant(indices, values, shape, out_type=dtypes.variant),)


@dataset_op("DenseToSparseBatchDataset", "input_dataset: variant, batch_size: int64, row_shape: int64",
            output_types=TYPES["output_types"], output_shapes=TYPES["output_shapes"])  # fmt: skip
def dense_to_sparse_batch_dataset(
    input_dataset, batch_size, row_shape, *, output_types, output_shapes
):
    """The dataset of batches of tensors as sparse tensors, whose rows have the shape `row_shape`."""
    if int(batch_size) < 1:
        raise InvalidArgumentError(None, None, "Batch size must be greater than zero.")
    return derived(
        _DenseToSparseBatch, input_dataset, types=[dtypes.variant], shapes=output_shapes, size=int(batch_size),
        row=np.asarray(row_shape).tolist(),
    )  # fmt: skip
