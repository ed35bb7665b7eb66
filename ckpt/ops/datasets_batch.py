"""Datasets of several elements of another in one: batches, padded batches, windows; and the way back."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import DataLossError, InvalidArgumentError
from ckpt.graph.signature import Attr
from ckpt.ops import dataset_sizes
from ckpt.ops.datasets import CALLED, TYPES, Elements, Position, dataset_op
from ckpt.ops.datasets_order import derived


def gathered(source, count):
    """Up to `count` elements. Raises StopIteration where there are none."""
    found = source.some(count)
    if not found:
        raise StopIteration
    return found


def stacked(values, dtype):
    """The values of one component in one array. Raises InvalidArgumentError where their shapes differ."""
    first = np.shape(values[0])
    kind = object if dtype in (dtypes.string, dtypes.variant) else dtype.as_numpy_dtype
    if kind is not object and first == ():
        try:
            return np.array(values, kind)
        except ValueError:  # not all of them are scalars
            pass
    made = np.empty((len(values), *first), kind)
    for i, value in enumerate(values):
        if np.shape(value) != first:
            raise InvalidArgumentError(
                None, None, "Cannot add tensor to the batch: number of elements does not match. Shapes are: [tensor]: "
                f"{list(np.shape(value))}, [batch]: {list(first)}"
            )  # fmt: skip
        made[i] = _member(value)
    return made


def _member(value):
    """A value as an array of objects takes it: a scalar is no array."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


class _Batch(Position):
    cardinality = staticmethod(dataset_sizes.batched)

    def __next__(self):
        dataset = self.dataset
        elements = gathered(self.sources[0], dataset.size)
        if len(elements) < dataset.size and dataset.is_full:
            raise StopIteration
        columns = zip(*elements, strict=True)
        return tuple([stacked(c, t) for c, t in zip(columns, dataset.types, strict=True)])


def batched(source, batch_size, is_full, types, shapes):
    """The dataset of batches of another. Raises InvalidArgumentError for a size of 0 or less."""
    size = int(batch_size)
    if size < 1:
        raise InvalidArgumentError(None, None, "Batch size must be greater than zero.")
    return derived(_Batch, source, types=types, shapes=shapes, size=size, is_full=is_full)


@dataset_op("BatchDataset", "input_dataset: variant, batch_size: int64", **TYPES)
def batch_dataset(input_dataset, batch_size, *, output_types, output_shapes):
    """The dataset of batches of `batch_size` elements; the last may be smaller."""
    return batched(input_dataset, batch_size, False, output_types, output_shapes)


@dataset_op("BatchDatasetV2", "input_dataset: variant, batch_size: int64, drop_remainder: bool", parallel_copy=False,
            **TYPES)  # fmt: skip
def batch_dataset_v2(input_dataset, batch_size, drop_remainder, *, output_types, output_shapes):
    """The dataset of batches of `batch_size` elements; the last may be smaller, or is left out."""
    return batched(input_dataset, batch_size, bool(drop_remainder), output_types, output_shapes)


@dataset_op("ParallelBatchDataset",
            "input_dataset: variant, batch_size: int64, num_parallel_calls: int64, drop_remainder: bool",
            parallel_copy=False, output_types=TYPES["output_types"], output_shapes=TYPES["output_shapes"],
            deterministic="default", metadata="")  # fmt: skip
def parallel_batch_dataset(
    input_dataset, batch_size, num_parallel_calls, drop_remainder, *, output_types, output_shapes
):
    """BatchDatasetV2: batches are made one after the other."""
    return batched(input_dataset, batch_size, bool(drop_remainder), output_types, output_shapes)


class _PaddedBatch(Position):
    cardinality = staticmethod(dataset_sizes.batched)

    def __next__(self):
        dataset = self.dataset
        elements = gathered(self.sources[0], dataset.size)
        if len(elements) < dataset.size and dataset.is_full:
            raise StopIteration
        columns = zip(*elements, strict=True)
        return tuple(map(_padded, columns, dataset.padded, dataset.fillers, dataset.types))


def _padded(values, sizes, filler, dtype):
    shapes = [np.shape(value) for value in values]
    if any(len(shape) != len(sizes) for shape in shapes):
        raise InvalidArgumentError(
            None, None, f"All elements in a batch must have the same rank as the padded shape: expected rank {len(sizes)}, "
            f"got {[len(shape) for shape in shapes]}"
        )  # fmt: skip
    largest = [max(column) for column in zip(*shapes, strict=True)]
    whole = [most if size < 0 else int(size) for size, most in zip(sizes, largest, strict=True)]
    if any(size < most for size, most in zip(whole, largest, strict=True)):
        raise DataLossError(
            None, None, f"Attempted to pad to a smaller size than the input element: {largest} to {whole}."
        )  # fmt: skip
    kind = object if dtype == dtypes.string else dtype.as_numpy_dtype
    made = np.full((len(values), *whole), filler, kind)
    for i, (value, shape) in enumerate(zip(values, shapes, strict=True)):
        made[(i, *map(slice, shape))] = _member(value)
    return made


def _padded_batches(source, batch_size, inputs, is_full, count, types, shapes):
    if int(batch_size) < 1:
        raise InvalidArgumentError(None, None, "Batch size must be greater than zero.")
    padded = [np.asarray(sizes).tolist() for sizes in inputs[:count]]
    fillers = [np.asarray(value).item() for value in inputs[count:]]
    return derived(
        _PaddedBatch, source, types=types, shapes=shapes, size=int(batch_size), is_full=is_full, padded=padded,
        fillers=fillers,
    )  # fmt: skip


PADDED = {
    "Toutput_types": TYPES["output_types"], "output_shapes": TYPES["output_shapes"], "N": Attr("int", minimum=1),
    "metadata": "",
}  # fmt: skip


@dataset_op("PaddedBatchDataset",
            "input_dataset: variant, batch_size: int64, padded_shapes: N * int64, padding_values: Toutput_types...",
            **PADDED)  # fmt: skip
def padded_batch_dataset(input_dataset, batch_size, *inputs, N, Toutput_types, output_shapes):
    """The dataset of batches whose elements are padded to one shape (-1: as large as the largest of the batch)."""
    return _padded_batches(
        input_dataset, batch_size, inputs, False, N, Toutput_types, output_shapes
    )


@dataset_op("PaddedBatchDatasetV2",
            "input_dataset: variant, batch_size: int64, padded_shapes: N * int64, padding_values: Toutput_types..., "
            "drop_remainder: bool", parallel_copy=False, **PADDED)  # fmt: skip
def padded_batch_dataset_v2(input_dataset, batch_size, *inputs, N, Toutput_types, output_shapes):
    """The dataset of batches whose elements are padded to one shape; the last may be smaller, or is left out."""
    *inputs, is_full = inputs
    return _padded_batches(
        input_dataset, batch_size, inputs, bool(is_full), N, Toutput_types, output_shapes
    )


@dataset_op("MapAndBatchDataset",
            "input_dataset: variant, other_arguments: Targuments..., batch_size: int64, num_parallel_calls: int64, "
            "drop_remainder: bool", f=Attr("func"), preserve_cardinality=False, **CALLED)  # fmt: skip
def map_and_batch_dataset(input_dataset, *inputs, f, output_types, output_shapes):
    """The dataset of batches of what a function makes of the elements."""
    from ckpt.ops.datasets_calls import mapped_together  # which batches nothing

    *others, batch_size, calls, is_full = inputs
    elements = mapped_together(input_dataset, others, f, calls)
    return batched(elements, batch_size, bool(is_full), output_types, output_shapes)


class _Unbatch(Position):
    FIELDS = ("element", "number")
    element: tuple = ()
    number = 0

    def __next__(self):
        while not self.element or self.number >= len(self.element[0]):
            self.element, self.number = next(self.sources[0]), 0
        self.number += 1
        return tuple([component[self.number - 1] for component in self.element])


@dataset_op("UnbatchDataset", "input_dataset: variant", **TYPES)
def unbatch_dataset(input_dataset, *, output_types, output_shapes):
    """The dataset of the slices of the elements along their first dimension."""
    return derived(_Unbatch, input_dataset, types=output_types, shapes=output_shapes)


class _Window(Position):
    cardinality = staticmethod(dataset_sizes.windowed)
    FIELDS = ("ahead", "is_over", "to_pass")

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.ahead: list = []
        self.is_over = False
        self.to_pass = 0

    def __next__(self):
        dataset = self.dataset
        span = (dataset.size - 1) * dataset.stride + 1
        try:
            while not self.is_over and (self.to_pass or len(self.ahead) < span):
                element = next(self.sources[0])
                if self.to_pass:
                    self.to_pass -= 1
                else:
                    self.ahead.append(element)
        except StopIteration:
            self.is_over = True
        if not self.ahead or (dataset.is_full and len(self.ahead) < span):
            raise StopIteration
        elements = self.ahead[: span : dataset.stride]
        self.to_pass = max(0, dataset.shift - len(self.ahead))
        self.ahead = self.ahead[dataset.shift :]
        source = dataset.inputs[0]
        columns = zip(*elements, strict=True)
        return tuple(
            Elements([t], [s], [(value,) for value in c])
            for t, s, c in zip(source.types, source.shapes, columns, strict=True)
        )

    def load(self, state):
        super().load(state)
        self.ahead = [tuple(element) for element in self.ahead]


@dataset_op("WindowDataset", "input_dataset: variant, size: int64, shift: int64, stride: int64, drop_remainder: bool",
            **TYPES)  # fmt: skip
def window_dataset(
    input_dataset, size, shift, stride, drop_remainder, *, output_types, output_shapes
):
    """The dataset of windows, each a dataset of `size` elements; the next begins `shift` elements later."""
    for name, value in (("size", size), ("shift", shift), ("stride", stride)):
        if int(value) < 1:
            raise InvalidArgumentError(
                None, None, f"Window {name} must be greater than zero, got {int(value)}."
            )
    return derived(_Window, input_dataset, types=output_types, shapes=output_shapes, size=int(size), shift=int(shift),
                   stride=int(stride), is_full=bool(drop_remainder))  # fmt: skip
