"""Nested fetches to a flat list of graph elements, and the flat results back into the same nest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.slices import IndexedSlices, IndexedSlicesValue
from ckpt.run.handles import TYPES, TensorHandle
from ckpt.run.state import SessionState

Rebuild = Callable[[list[Any]], Any]


class Fetches:
    """What a caller asked for: `tensors` to return, `targets` only to run, `rebuild(values)` the caller's nest."""

    def __init__(self, graph: Graph, fetches: Any, state: SessionState | None = None) -> None:
        self._graph = graph
        self._state = state  # for handles of tensors that stay there; without it they are strings
        self.mutations = graph.mutations
        self._position: dict[Tensor, int] = {}
        self._targets: dict[Operation, None] = {}
        self.rebuild = self._visit(fetches)
        self.tensors = list(self._position)
        self.targets = list(self._targets)
        self.key = (tuple(self.tensors), tuple(self.targets))

    def _visit(self, fetch: Any) -> Rebuild:
        if fetch is None:
            raise TypeError("Fetch argument None has invalid type <class 'NoneType'>")
        if isinstance(fetch, (list, tuple)):
            return self._visit_sequence(fetch)
        if isinstance(fetch, Mapping):
            return self._visit_mapping(fetch)
        if isinstance(fetch, IndexedSlices) or hasattr(fetch, "_fetch_parts"):
            return self._visit_parts(fetch)
        if hasattr(type(fetch), "__attrs_attrs__"):
            return self._visit_attrs(fetch)
        return self._visit_element(fetch)

    def _visit_sequence(self, fetch: Any) -> Rebuild:
        parts = [self._visit(member) for member in fetch]
        kind = type(fetch)
        if hasattr(fetch, "_fields"):
            return lambda values: kind(*[part(values) for part in parts])
        if kind is list:
            return lambda values: [part(values) for part in parts]
        return lambda values: kind(part(values) for part in parts)

    def _visit_mapping(self, fetch: Mapping[Any, Any]) -> Rebuild:
        parts = [(key, self._visit(member)) for key, member in fetch.items()]
        kind: Any = type(fetch)

        def rebuild(values: list[Any]) -> Any:
            pairs = [(key, part(values)) for key, part in parts]
            return kind(pairs) if kind is not dict else dict(pairs)

        return rebuild

    def _visit_attrs(self, fetch: Any) -> Rebuild:
        names = [field.name for field in type(fetch).__attrs_attrs__]
        parts = [self._visit(getattr(fetch, name)) for name in names]
        return lambda values: type(fetch)(*[part(values) for part in parts])

    def _visit_parts(self, fetch: Any) -> Rebuild:
        if not isinstance(fetch, IndexedSlices):
            members, make = fetch._fetch_parts()
            parts = [self._visit(member) for member in members]
            return lambda values: make(*[part(values) for part in parts])
        values_part, indices_part = self._visit(fetch.values), self._visit(fetch.indices)
        shape_part = None if fetch.dense_shape is None else self._visit(fetch.dense_shape)
        return lambda v: IndexedSlicesValue(
            values_part(v), indices_part(v), None if shape_part is None else shape_part(v)
        )

    def _visit_element(self, fetch: Any) -> Rebuild:
        try:
            element = self._graph.as_graph_element(fetch, allow_tensor=True, allow_operation=True)
        except TypeError as error:
            raise TypeError(
                f"Fetch argument {fetch!r} has invalid type {type(fetch)}, must be a string or Tensor. ({error})"
            ) from None
        except ValueError as error:
            raise ValueError(
                f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error})"
            ) from None
        except KeyError as error:
            raise ValueError(
                f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error.args[0]})"
            ) from None
        if not self._graph.is_fetchable(element):
            raise ValueError(f"Operation {element.name!r} has been marked as not fetchable.")
        if isinstance(element, Operation):
            self._targets[element] = None
            return _nothing
        position = self._position.setdefault(element, len(self._position))
        state = self._state
        if state is not None and element.op.type in TYPES:
            dtype = element.op.inputs[0].dtype.base_dtype
            return lambda values: TensorHandle(values[position].decode(), dtype, state)
        return lambda values: values[position]


def _nothing(_: list[Any]) -> None:
    return None
