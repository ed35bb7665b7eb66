"""Iterators of datasets: one-shot, initializable, reinitializable and feedable; and how their position is saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset_function import factory_of
from ckpt.model.saveable import SaveableObject, SaveSpec
from ckpt.ops import iterators


class Iterator:
    """A place in a dataset, held by the session: `get_next()` is the next element each time it runs.

    Made by `Dataset.make_one_shot_iterator()`, `Dataset.make_initializable_iterator()`, `Iterator.from_structure` or
    `Iterator.from_string_handle`.
    """

    def __init__(
        self,
        iterator_resource: Tensor,
        initializer: Operation | None,
        output_types: Any,
        output_shapes: Any,
        output_classes: Any,
    ) -> None:
        self._iterator_resource = iterator_resource
        self._initializer = initializer
        self._element_spec = structure.spec_from_legacy(output_types, output_shapes, output_classes)
        with colocate_with(iterator_resource):
            self._string_handle = iterators.iterator_to_string_handle_op(iterator_resource)

    @staticmethod
    def from_structure(
        output_types: Any,
        output_shapes: Any = None,
        shared_name: str | None = None,
        output_classes: Any = None,
    ) -> Iterator:
        """An iterator for any dataset whose elements are so: `make_initializer` gives it one after the other.

        `output_types`, `output_shapes` (None: unknown) and `output_classes` are nests like the elements. Raises
        TypeError where their nests differ.
        """
        spec = structure.spec_from_legacy(output_types, output_shapes, output_classes)
        resource = _resource(spec, shared_name)
        return _iterator(resource, None, spec)

    @staticmethod
    def from_string_handle(
        string_handle: Any, output_types: Any, output_shapes: Any = None, output_classes: Any = None
    ) -> Iterator:
        """The iterator of the session that `string_handle` (what `string_handle()` of one gave) stands for when run."""
        spec = structure.spec_from_legacy(output_types, output_shapes, output_classes)
        handle = convert.convert_to_tensor(string_handle, dtypes.string)
        resource = iterators.iterator_from_string_handle_v2_op(
            handle,
            output_types=structure.component_types(spec),
            output_shapes=structure.component_shapes(spec),
        )
        return _iterator(resource, None, spec)

    @property
    def initializer(self) -> Operation:
        """The operation that has the iterator stand before the first element. Raises ValueError where there is none."""
        if self._initializer is None:
            raise ValueError("Iterator does not have an initializer.")
        return self._initializer

    def make_initializer(self, dataset: Any, name: str | None = None) -> Operation:
        """The operation that has this iterator stand before the first element of `dataset`.

        Raises TypeError when its elements are of another structure, dtype or shape.
        """
        _check_alike(self._element_spec, dataset.element_spec)
        with colocate_with(self._iterator_resource):
            made: Operation = iterators.make_iterator_op(
                dataset._variant_tensor, self._iterator_resource, name=name or "make_initializer"
            )
        return made

    def get_next(self, name: str | None = None) -> Any:
        """The next element, as a nest of tensors. OutOfRangeError when run behind the last."""
        from ckpt.model.dataset import Dataset  # which makes iterators

        spec = self._element_spec
        with colocate_with(self._iterator_resource):
            components = iterators.iterator_get_next_op(
                self._iterator_resource,
                output_types=structure.component_types(spec),
                output_shapes=structure.component_shapes(spec),
                name=name or "IteratorGetNext",
            )
            return structure.element_of(spec, components, Dataset)

    def string_handle(self, name: str | None = None) -> Tensor:
        """A string that stands for this iterator in the session, to be fed where `from_string_handle` takes one."""
        if name is None:
            handle: Tensor = self._string_handle
            return handle
        made: Tensor = iterators.iterator_to_string_handle_op(self._iterator_resource, name=name)
        return made

    element_spec = property(lambda self: self._element_spec, doc="What the elements are.")
    output_types = property(
        lambda self: structure.legacy_types(self._element_spec), doc="The nest of dtypes."
    )
    output_shapes = property(
        lambda self: structure.legacy_shapes(self._element_spec), doc="The nest of shapes."
    )
    output_classes = property(
        lambda self: structure.legacy_classes(self._element_spec), doc="The nest of classes."
    )


def _iterator(resource: Tensor, initializer: Operation | None, spec: Any) -> Iterator:
    types, shapes = structure.legacy_types(spec), structure.legacy_shapes(spec)
    return Iterator(resource, initializer, types, shapes, structure.legacy_classes(spec))


def _check_alike(wanted: Any, found: Any) -> None:
    for what, legacy in (
        ("types", structure.legacy_types),
        ("classes", structure.legacy_classes),
    ):
        if legacy(wanted) != legacy(found):
            raise TypeError(
                f"Expected output {what} {legacy(wanted)!r} but got dataset with output {what} {legacy(found)!r}."
            )
    pairs = zip(structure.component_shapes(wanted), structure.component_shapes(found), strict=True)
    if not all(a.is_compatible_with(b) for a, b in pairs):
        raise TypeError(
            f"Expected output shapes compatible with {structure.legacy_shapes(wanted)!r} but got dataset with output "
            f"shapes {structure.legacy_shapes(found)!r}."
        )


def _resource(spec: Any, shared_name: str | None) -> Tensor:
    made: Tensor = iterators.iterator_v2_op(
        container="",
        shared_name=shared_name or "",
        output_types=structure.component_types(spec),
        output_shapes=structure.component_shapes(spec),
    )
    return made


def make_initializable_iterator(dataset: Any, shared_name: str | None = None) -> Iterator:
    """An iterator of `dataset` that stands before its first element once its `initializer` has run."""
    variant = dataset._variant_tensor
    with colocate_with(variant):
        resource = _resource(dataset.element_spec, shared_name)
        initializer = iterators.make_iterator_op(variant, resource)
        return _iterator(resource, initializer, dataset.element_spec)


def make_one_shot_iterator(dataset: Any) -> Iterator:
    """An iterator of `dataset` that needs no initializer and goes through it once.

    Raises ValueError when the dataset uses a placeholder, a variable, a table or anything else with a state.
    """
    variant, spec = dataset._variant_tensor, dataset.element_spec
    try:
        with control_dependencies(None):
            factory = factory_of(variant)
    except ValueError as error:
        if "Cannot capture a stateful node" not in str(error):
            raise
        raise ValueError(
            f"{error}: Failed to create a one-shot iterator for a dataset. `tf.data.Dataset.make_one_shot_iterator()` does "
            "not support datasets that capture stateful objects, such as a `Variable` or `LookupTable`. In these cases, "
            "use `tf.data.Dataset.make_initializable_iterator()`."
        ) from None
    with colocate_with(variant):
        resource = iterators.one_shot_iterator_op(
            dataset_factory=factory,
            output_types=structure.component_types(spec),
            output_shapes=structure.component_shapes(spec),
        )
        return _iterator(resource, None, spec)


class _IteratorSaveable(SaveableObject):
    """The position of an iterator as one tensor."""

    def __init__(self, resource: Tensor) -> None:
        position = iterators.serialize_iterator_op(resource, external_state_policy=2)
        super().__init__(
            resource, [SaveSpec(position, "", f"{resource.name}_STATE")], resource.name
        )

    def restore(
        self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None
    ) -> Operation:
        """The operation that sets the position."""
        with colocate_with(self.op):
            made: Operation = iterators.deserialize_iterator_op(self.op, restored_tensors[0])
        return made


def make_saveable_from_iterator(
    iterator: Iterator, external_state_policy: str | None = None
) -> SaveableObject:
    """What a Saver saves of `iterator`: its position, so that training goes on with the next element.

    Put it into the collection SAVEABLE_OBJECTS, or into a Saver's `var_list`. Run the iterator's initializer before
    restoring. Saving raises FailedPreconditionError where a function of the dataset keeps a state (random numbers, a
    Python generator) that would be lost.
    """
    if external_state_policy not in (None, "fail"):
        raise ValueError(
            f"external_state_policy is 'fail' (what cannot be saved is an error), got {external_state_policy!r}"
        )
    return _IteratorSaveable(iterator._iterator_resource)


def get_output_types(dataset_or_iterator: Any) -> Any:
    """The nest of the dtypes of the elements."""
    return dataset_or_iterator.output_types


def get_output_shapes(dataset_or_iterator: Any) -> Any:
    """The nest of the shapes of the elements."""
    return dataset_or_iterator.output_shapes


def get_output_classes(dataset_or_iterator: Any) -> Any:
    """The nest of the classes of the elements."""
    return dataset_or_iterator.output_classes
