"""`tf.data.experimental.Optional`: a value that may be there, such as the next element of an iterator."""

from __future__ import annotations

from typing import Any

from ckpt.graph.operation import Tensor
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset import Dataset
from ckpt.model.dataset_iterators import Iterator
from ckpt.ops import flow, iterators


class Optional:
    """A nest of tensors that may be there or not, which is known when running."""

    def __init__(self, variant_tensor: Tensor, element_spec: Any) -> None:
        self._variant_tensor = variant_tensor
        self._element_spec = element_spec

    element_spec = property(lambda self: self._element_spec, doc="What the value is: a nest of specs.")  # fmt: skip
    value_structure = property(lambda self: self._element_spec, doc="What the value is: a nest of specs.")  # fmt: skip

    @staticmethod
    def from_value(value: Any) -> Optional:
        """One whose value is there."""
        element = structure.normalized(value)
        components = structure.components_of(element)
        return Optional(flow.optional_from_value(components), structure.spec_of(element))

    @staticmethod
    def empty(element_spec: Any) -> Optional:
        """One whose value, which would be so, is not there."""
        return Optional(flow.optional_none(), element_spec)

    none_from_structure = empty

    def has_value(self, name: str | None = None) -> Tensor:
        """Whether the value is there, a bool scalar."""
        found: Tensor = flow.optional_has_value(self._variant_tensor, name=name)
        return found

    def get_value(self, name: str | None = None) -> Any:
        """The value. InvalidArgumentError when run where there is none."""
        spec = self._element_spec
        components = flow.optional_get_value(
            self._variant_tensor, output_types=structure.component_types(spec),
            output_shapes=structure.component_shapes(spec), name=name or "OptionalGetValue",
        )  # fmt: skip
        return structure.element_of(spec, list(components), Dataset)


def get_next_as_optional(iterator: Iterator) -> Optional:
    """The next element of an iterator; behind the last there is none, which is no error."""
    spec = iterator.element_spec
    variant = iterators.iterator_get_next_as_optional_op(
        iterator._iterator_resource, output_types=structure.component_types(spec),
        output_shapes=structure.component_shapes(spec),
    )  # fmt: skip
    return Optional(variant, spec)
