"""The default graph and the default session of each thread: the only module state of the house."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckpt.graph.graph import Graph


class _Stacks(threading.local):
    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.sessions: list[Any] = []
        self.outermost: Graph | None = None  # TensorFlow gives each thread one of its own, too


_stacks = _Stacks()


def get_default_graph() -> Graph:
    """The graph that operations are added to: the innermost `as_default`, else this thread's own."""
    if _stacks.graphs:
        return _stacks.graphs[-1]
    if _stacks.outermost is None:
        from ckpt.graph.graph import Graph  # the graph knows the stack; one of the two must wait

        _stacks.outermost = Graph()
    return _stacks.outermost


def reset_default_graph() -> None:
    """Forget this thread's own default graph. Raises AssertionError inside a `with graph.as_default()` block."""
    if _stacks.graphs:
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. "
            "If you need a cleared graph, exit the nesting and create a new graph."
        )
    _stacks.outermost = None


@contextmanager
def default_graph(graph: Graph) -> Iterator[Graph]:
    """Make `graph` the default graph of this thread within the block."""
    graphs = _stacks.graphs
    graphs.append(graph)
    depth = len(graphs)
    try:
        yield graph
    finally:
        if len(graphs) != depth or graphs[-1] is not graph:
            raise AssertionError(f"Nesting violated for default stack of {type(graph)} objects")
        graphs.pop()


def push_graph(graph: Graph) -> None:
    """Make `graph` the default graph of this thread until `pop_graph`."""
    _stacks.graphs.append(graph)


def pop_graph(graph: Graph) -> None:
    """Undo the latest `push_graph(graph)`. Raises AssertionError when another graph was pushed since."""
    graphs = _stacks.graphs
    if not graphs or graphs[-1] is not graph:
        raise AssertionError(f"Nesting violated for default stack of {type(graph)} objects")
    graphs.pop()


def get_default_session() -> Any:
    """The innermost default session of this thread, or None."""
    return _stacks.sessions[-1] if _stacks.sessions else None


def push_session(session: Any) -> None:
    """Make `session` this thread's default session until `pop_session`."""
    _stacks.sessions.append(session)


def pop_session(session: Any) -> None:
    """Undo the latest `push_session(session)`."""
    for position in range(len(_stacks.sessions) - 1, -1, -1):
        if _stacks.sessions[position] is session:
            del _stacks.sessions[position]
            return


@contextmanager
def default_session(session: Any) -> Iterator[Any]:
    """Make `session` the default session of this thread within the block."""
    push_session(session)
    try:
        yield session
    finally:
        pop_session(session)
