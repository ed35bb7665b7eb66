"""The scopes of the default graph, under the names that programs call. Knows no operation type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ckpt.core.errors import GraphError
from ckpt.graph import stack
from ckpt.graph.graph import Graph


class name_scope:  # TensorFlow's name
    """`with name_scope("layer") as scope:` puts the nodes made inside under `layer/`.

    `name` None takes `default_name`; with neither, names are unchanged. The graph is that of `values`, which must
    agree (ValueError), else the default graph. Entering gives the scope with its trailing slash.
    """

    def __init__(
        self, name: Any, default_name: str | None = None, values: Sequence[Any] | None = None
    ) -> None:
        if not (default_name is None or isinstance(default_name, str)):
            raise TypeError(
                f"`default_name` type ({type(default_name)}) is not a string type. You likely meant "
                "to pass this into the `values` kwarg."
            )
        self._name = default_name if name is None else name
        self._given = name
        self._values = values
        self._open: list[tuple[Graph, str]] = []

    @property
    def name(self) -> Any:
        """The name asked for."""
        return self._name

    def __enter__(self) -> str:
        if self._name is None and self._values is not None:
            raise ValueError(
                f"At least one of name ({self._given}) and default_name (None) must be provided."
            )
        default = stack.get_default_graph()
        graph = default if default.is_building_function else graph_of(self._values or ())
        self._open.append((graph, graph.enter_name_scope(self._name)))
        stack.push_graph(graph)
        new = graph.get_name_scope()
        return new + "/" if new else ""

    def __exit__(self, *error: object) -> None:
        graph, before = self._open.pop()
        graph.leave_exact_scope(before)
        stack.pop_graph(graph)


def graph_of(elements: Sequence[Any], graph: Graph | None = None) -> Graph:
    """The one graph that `elements` (tensors, operations, variables) belong to, or the default graph.

    Raises ValueError when they belong to several.
    """
    found = graph
    for element in elements:
        owner = getattr(element, "graph", None)
        if isinstance(owner, Graph):
            if found is None:
                found = owner
            elif owner is not found:
                raise GraphError(f"{element!r} must be from the same graph as the other inputs")
    return found if found is not None else stack.get_default_graph()


def control_dependencies(control_inputs: Any) -> AbstractContextManager[None]:
    """Nodes made in the block run after all of `control_inputs`."""
    return stack.get_default_graph().control_dependencies(control_inputs)


def device(device_name_or_function: Any) -> AbstractContextManager[None]:
    """Nodes made in the block carry this device."""
    return stack.get_default_graph().device(device_name_or_function)


def container(container_name: str) -> AbstractContextManager[str]:
    """Stateful nodes made in the block keep their state in this container."""
    return stack.get_default_graph().container(container_name)


@contextmanager
def colocate_with(op: Any, ignore_existing: bool = False) -> Iterator[None]:
    """Nodes made in the block carry the colocation group of `op`."""
    with stack.get_default_graph().colocate_with(op, ignore_existing):
        yield


@contextmanager
def alone_on(place: Any) -> Iterator[None]:
    """Makes nodes on that device, on none when it is None, and beside no other node."""
    with colocate_with(None, ignore_existing=True), device(place):
        yield


@contextmanager
def op_scope(values: Sequence[Any], name: Any, default_name: str | None = None) -> Iterator[str]:
    """Deprecated spelling of `name_scope(name, default_name, values)`."""
    with name_scope(name, default_name, values) as scope:
        yield scope


def add_to_collection(name: Any, value: Any) -> None:
    """Append `value` to the default graph's collection `name`."""
    stack.get_default_graph().add_to_collection(name, value)


def add_to_collections(names: Any, value: Any) -> None:
    """Append `value` to each collection named."""
    stack.get_default_graph().add_to_collections(names, value)


def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """A copy of the default graph's collection `key`, filtered by the regular expression `scope`."""
    return stack.get_default_graph().get_collection(key, scope)


def get_collection_ref(key: Any) -> list[Any]:
    """The default graph's collection `key` itself."""
    return stack.get_default_graph().get_collection_ref(key)


@contextmanager
def init_scope() -> Iterator[None]:
    """Nodes made in the block stand outside of control dependencies and of the bodies of functions, branches and loops.

    The name scope stays. What it is for: the initial value of a variable that a loop's body creates.
    """
    graph: Any = stack.get_default_graph()
    scope = graph.get_name_scope()
    while graph.is_building_function:
        graph = graph.outer
    outer = f"{scope}/" if scope else None
    with graph.as_default(), graph.name_scope(outer), graph.control_dependencies(None):
        yield


def set_random_seed(seed: int | None) -> None:
    """Set the graph-level seed of the default graph."""
    stack.get_default_graph().seed = seed
