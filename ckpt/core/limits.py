"""How large a graph from a file may be before it is refused, and how a caller says that it may be larger."""

from __future__ import annotations

from contextvars import ContextVar, Token

GRAPH_ELEMENTS = 1 << 24
"""Elements of a graph that is read unasked: its nodes, inputs, attributes, list members, each for what it costs.

A million nodes in a chain have 14 each. More take longer to check than anybody waits for a file that is refused. The
prices are in docs/formats/metagraph.md.
"""
MAX_META_BYTES = 1 << 31
"""Bytes of the file of a graph: a larger one is refused before anything is allocated for it."""
_most: ContextVar[int | None] = ContextVar("most", default=GRAPH_ELEMENTS)


def graph_elements() -> int | None:
    """How many elements a graph may have here; None where nothing limits them."""
    return _most.get()


class allow_large_graphs:
    """A context in which graphs with more elements are read from files: `max_elements`, or as many as there are.

    Without it a graph of more than 2**24 elements (1.2 million nodes in a chain, each of which counts 14) is refused with
    DataLossError before it takes much time or memory. It counts for what this thread reads.
    """

    def __init__(self, max_elements: int | None = None) -> None:
        self._most = max_elements
        self._tokens: list[Token[int | None]] = []

    def __enter__(self) -> None:
        self._tokens.append(_most.set(self._most))

    def __exit__(self, *_: object) -> None:
        _most.reset(self._tokens.pop())
