"""Datasets as values: what a dataset and a position in it are, and the datasets that tensors are made into.

A dataset is an immutable value that can begin any number of iterations; a position is one of them and can say where
it stands, so that a checkpoint can hold it. Elements are tuples of arrays, one for each component.
"""

from __future__ import annotations

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops import dataset_sizes

TYPES = {
    "output_types": Attr("list(type)", minimum=1),
    "output_shapes": Attr("list(shape)", minimum=1),
    "metadata": "",
}
CALLED = {"Targuments": Attr("list(type)", minimum=0), **TYPES}


class Dataset:
    """Elements in an order, with the dtype and static shape of each component. Subclasses say how they are made."""

    cardinality = dataset_sizes.UNKNOWN
    """How many elements there are; -1: without end, -2: not known."""
    depth = 0
    """How many datasets lie one upon the other below this one."""

    def __init__(self, types, shapes) -> None:
        self.types = types
        self.shapes = shapes

    def start(self):
        """A position before the first element."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is iterated")


class Position:
    """Where an iteration of a dataset stands: `next` gives the next element, `save` what `load` takes to go on there.

    `sources` are the positions that this one draws from; `FIELDS` names the attributes that say the rest.
    """

    FIELDS: tuple[str, ...] = ()
    never_fails = False
    """Whether elements are always there to be taken, so that several may be taken at once."""
    cardinality = staticmethod(dataset_sizes.unknown)
    """How many elements the dataset has, by the numbers of its inputs."""

    def __init__(self, dataset, *sources) -> None:
        self.dataset = dataset
        self.sources = list(sources)

    def __iter__(self):
        return self

    def __next__(self):
        raise NotImplementedError(f"{type(self).__name__} gives no elements")

    def some(self, count):
        """The next `count` elements in a list, or as many as are left. What fails loses those before it."""
        found = []
        try:
            for _ in range(count):
                found.append(next(self))
        except StopIteration:
            pass
        return found

    def save(self):
        """Lists, numbers and arrays that say where this position is."""
        fields = [getattr(self, name) for name in self.FIELDS]
        return [type(self).__name__, fields, [source.save() for source in self.sources]]

    def load(self, state):
        """Go where `state` says. Raises InvalidArgumentError when it was saved from another kind of dataset."""
        name, fields, sources = state
        if name != type(self).__name__ or len(sources) != len(self.sources):
            raise InvalidArgumentError(
                None, None, f"the saved position is that of a {name} over {len(sources)} datasets, but the iterator has a "
                f"{type(self).__name__} over {len(self.sources)}: restore it into the pipeline that it was saved from"
            )  # fmt: skip
        for field, value in zip(self.FIELDS, fields, strict=True):
            setattr(self, field, value)
        for source, part in zip(self.sources, sources, strict=True):
            source.load(part)

    def close(self):
        """Nobody will ask for more: let threads that make elements ahead end."""
        for source in self.sources:
            source.close()


def dataset_op(type_name, signature, **attrs):
    """Define an operation whose output is a dataset: decorates its kernel."""

    def define(kernel):
        opdef = op(type_name, f"{signature} -> handle: variant", **attrs)(kernel)
        opdef.shape(lambda *inputs: [()])
        return opdef.stateful().no_gradient("a dataset has no derivative")

    return define


class _Once(Dataset):
    """One element."""

    def __init__(self, types, shapes, element) -> None:
        super().__init__(types, shapes)
        self.element = element

    cardinality = 1

    def start(self):
        return _OncePosition(self)


class _OncePosition(Position):
    FIELDS = ("is_over",)
    is_over = False

    def __next__(self):
        if self.is_over:
            raise StopIteration
        self.is_over = True
        return self.dataset.element


@dataset_op("TensorDataset", "components: Toutput_types...", Toutput_types=TYPES["output_types"],
            output_shapes=TYPES["output_shapes"], metadata="")  # fmt: skip
def tensor_dataset(*components, Toutput_types, output_shapes):
    """The dataset of one element: these tensors."""
    return _Once(Toutput_types, output_shapes, components)


class _Counted(Dataset):
    """As many elements as `count` says, each a function of its number alone."""

    def __init__(self, types, shapes, count) -> None:
        super().__init__(types, shapes)
        self.count = self.cardinality = count

    def start(self):
        return _CountedPosition(self)

    def element(self, number):
        """The element of that number."""
        raise NotImplementedError(f"{type(self).__name__} has no elements")

    def part(self, start, stop):
        """The elements of these numbers in a list."""
        return [self.element(number) for number in range(start, stop)]


class _CountedPosition(Position):
    FIELDS = ("number",)
    number = 0
    never_fails = True

    def some(self, count):
        start = self.number
        self.number = max(start, min(start + count, self.dataset.count))
        return self.dataset.part(start, self.number)

    def __next__(self):
        number = self.number
        if number >= self.dataset.count:
            raise StopIteration
        self.number = number + 1
        return self.dataset.element(number)


class Elements(_Counted):
    """Elements that are there already."""

    def __init__(self, types, shapes, elements) -> None:
        super().__init__(types, shapes, len(elements))
        self.elements = elements

    def element(self, number):
        return self.elements[number]


class _Slices(_Counted):
    def __init__(self, types, shapes, components) -> None:
        super().__init__(types, shapes, len(components[0]))
        self.components = components

    def element(self, number):
        return tuple([component[number] for component in self.components])

    def part(self, start, stop):
        return list(zip(*[component[start:stop] for component in self.components], strict=True))


@dataset_op("TensorSliceDataset", "components: Toutput_types...", Toutput_types=TYPES["output_types"],
            output_shapes=TYPES["output_shapes"], is_files=False, metadata="", replicate_on_split=False)  # fmt: skip
def tensor_slice_dataset(*components, Toutput_types, output_shapes):
    """The dataset of the slices of these tensors along their first dimension."""
    arrays = [np.asarray(component) for component in components]
    for number, array in enumerate(arrays):
        if array.ndim == 0 or len(array) != len(arrays[0]):
            raise InvalidArgumentError(
                None, None, f"All components must have the same size in the 0th dimension: component {number} has shape "
                f"{list(array.shape)}, the first {list(arrays[0].shape)}"
            )  # fmt: skip
    return _Slices(Toutput_types, output_shapes, arrays)


class _Range(_Counted):
    def __init__(self, types, shapes, numbers) -> None:
        super().__init__(types, shapes, len(numbers))
        self.numbers = numbers
        self.kind = types[0].as_numpy_dtype

    def element(self, number):
        return (self.kind(self.numbers[number]),)

    def part(self, start, stop):
        numbers = self.numbers[start:stop]
        return list(
            zip(np.arange(numbers.start, numbers.stop, numbers.step, self.kind), strict=True)
        )


@dataset_op(
    "RangeDataset", "start: int64, stop: int64, step: int64", **TYPES, replicate_on_split=False
)
def range_dataset(start, stop, step, *, output_types, output_shapes):
    """The dataset of the numbers from `start` to before `stop`."""
    if int(step) == 0:
        raise InvalidArgumentError(None, None, "step must be a non-zero integer.")
    return _Range(output_types, output_shapes, range(int(start), int(stop), int(step)))


class _SparseSlices(_Counted):
    """The rows of a sparse tensor, each as indices, values and shape."""

    def __init__(self, indices, values, shape) -> None:
        super().__init__(None, None, int(shape[0]))
        self.indices, self.values, self.shape = indices, values, np.asarray(shape)[1:]
        self.bounds = np.searchsorted(indices[:, 0], np.arange(self.count + 1))

    def element(self, number):
        part = slice(self.bounds[number], self.bounds[number + 1])
        return self.indices[part, 1:], self.values[part], self.shape


@dataset_op("SparseTensorSliceDataset", "indices: int64, values: Tvalues, dense_shape: int64")
def sparse_tensor_slice_dataset(indices, values, dense_shape):
    """The dataset of the rows of a sparse tensor whose indices are sorted."""
    if np.any(np.diff(indices[:, 0]) < 0):
        raise InvalidArgumentError(None, None, "the indices of the sparse tensor must be sorted")
    return _SparseSlices(indices, values, dense_shape)
