"""A large `.meta` body is taken some records at a time, so that what is refused takes little memory and time.

Empty containers take up to 64 times their bytes; a walk holds the raw records of 256 KiB at a time, no record may have more
than so many elements, nor may all together. Must not know what becomes of the records. Loads no numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

from ckpt.core import defs
from ckpt.wire.metagraph_body import Damage, MsgpackErrors, unpackb
from ckpt.wire.metagraph_budget import FUNCTION, Budget, node_elements, record_elements
from ckpt.wire.metagraph_large import Hook, built
from ckpt.wire.metagraph_places import SMALL, Places, array_of
from ckpt.wire.metagraph_tree import TreeReader, shown

_TOGETHER = 64  # records that are built at once while they are small


class Checks(Protocol):
    """What each record must pass, and what it becomes, as TreeReader says; a check raises Damage.

    `nodes` and `body`, of the graph and of functions, take a list of nodes and the number of the first.
    """

    def text(self, raw: Any, place: str, /) -> Any:
        """A name."""

    def integer(self, raw: Any, place: str, /) -> Any:
        """A number."""

    def info(self, raw: Any, place: str, /) -> Any:
        """Where the MetaGraph comes from."""

    def nodes(self, raw: list[Any], place: str, first: int, /) -> tuple[Any, ...]:
        """Nodes of the graph, the first of which has this number."""

    def body(self, raw: list[Any], place: str, first: int, /) -> tuple[Any, ...]:
        """Nodes of a function."""

    def function(self, raw: Any, place: str, /) -> Any:
        """A function without its nodes."""

    def texts(self, raw: Any, place: str, /) -> Any:
        """A map of names."""

    def saver(self, raw: Any, place: str, /) -> Any:
        """What a Saver is, or None."""

    def collection(self, raw: Any, place: str, /) -> Any:
        """Elements of a collection."""

    def signatures(self, raw: Any, place: str, /) -> Any:
        """The signatures."""


def look(body: memoryview, checks: Checks, ext_hook: Hook, budget: Budget) -> None:
    """Show every record to the checks, which the budget must allow, and keep nothing. Raises Damage."""
    with MsgpackErrors():
        _Walk(body, checks, ext_hook, budget).meta_graph()


def kept(body: memoryview, reader: TreeReader, ext_hook: Hook) -> defs.MetaGraphDef:
    """The MetaGraphDef of what the reader makes of the records of a body that it has looked at."""
    with MsgpackErrors():
        return _Walk(body, reader, ext_hook, None).meta_graph()


class _Walk:
    def __init__(
        self,
        body: memoryview,
        checks: Checks,
        ext_hook: Hook,
        budget: Budget | None,
    ) -> None:
        self._body, self._checks, self._ext_hook = body, checks, ext_hook
        self._budget, self._keeps = budget, budget is None
        self._places = Places(body)  # goes from record to record and builds none

    def meta_graph(self) -> defs.MetaGraphDef:
        checks = self._checks
        self._fields(5, "MetaGraphDef")
        info = checks.info(self._next(), "meta_info_def")
        self._fields(5, "GraphDef")
        graph = defs.GraphDef(
            self._nodes(checks.nodes, "node"),
            self._functions("graph_def library"),
            checks.texts(self._next(), "graph_def gradient"),
            checks.integer(self._next(), "graph_def producer"),
            checks.integer(self._next(), "graph_def min_consumer"),
        )
        saver = checks.saver(self._next(), "saver_def")
        collections = {}
        for _ in range(self._places.read_map_header()):
            name = self._next()
            checks.text(name, "collection_def")
            collection = self._collection(name)
            if self._keeps:
                collections[name] = collection
        signatures = checks.signatures(self._next(), "signature_def")
        if self._places.tell() != len(self._body):
            raise Damage(f"{len(self._body) - self._places.tell()} bytes follow the value")
        return defs.MetaGraphDef(info, graph, saver, collections, signatures)

    def _next(self) -> Any:
        """The next record; its bytes are seen to be there before msgpack makes lists as long as it announces."""
        record = self._built(*self._places.ends(1))
        if self._budget is not None:
            self._budget.spend(record_elements(record))
        return record

    def _built(self, begin: int, end: int) -> Any:
        return built(self._body[begin:end], self._ext_hook, looks=not self._keeps)

    def _batches(self) -> Iterator[list[Any]]:
        """The records of the list that begins here."""
        places = self._places
        left = places.read_array_header()
        while left:
            together = min(left, _TOGETHER)
            ends = places.ends(together)
            if ends[-1] - ends[0] <= SMALL:
                yield unpackb(array_of(self._body[ends[0] : ends[-1]], together), self._ext_hook)
            else:
                for begin, end in pairwise(ends):
                    yield [self._built(begin, end)]
            left -= together

    def _fields(self, count: int, what: str) -> None:
        found = self._places.read_array_header()
        if found != count:
            raise Damage(f"a list of {found} where {what} should be")

    def _nodes(
        self, check: Callable[[list[Any], str, int], tuple[Any, ...]], place: str
    ) -> tuple[Any, ...]:
        made: list[Any] = []
        number = 0
        for raw in self._batches():
            nodes = check(raw, place, number)
            number += len(raw)
            if self._budget is None:
                made += nodes
            else:
                self._budget.spend(node_elements(raw))
        return tuple(made)

    def _functions(self, place: str) -> tuple[Any, ...]:
        made = []
        for number in range(self._places.read_array_header()):
            function = self._function(f"{place}[{number}]")
            if self._keeps:
                made.append(function)
        return tuple(made)

    def _function(self, place: str) -> Any:
        self._fields(7, f"{place}: FunctionDef")
        if self._budget is not None:
            self._budget.spend(FUNCTION)
        raw: list[Any] = [self._next() for _ in range(3)]
        nodes = self._nodes(self._checks.body, f"{place} node")
        raw += [[], *(self._next() for _ in range(3))]
        function = self._checks.function(raw, place)
        return replace(function, node_def=nodes) if self._keeps else None

    def _collection(self, name: Any) -> Any:
        place = shown(name)
        self._fields(2, f"{place}: CollectionDef")
        kind, check = self._next(), self._checks.collection
        whole, values, number = check([kind, []], place), [], 0
        for raw in self._batches():
            here = f"{place}, elements from {number} on" if number else place
            part = check([kind, raw], here)
            number += len(raw)
            if self._budget is None:
                values += part.value
            else:
                self._budget.spend(record_elements(raw))
        return replace(whole, value=tuple(values)) if self._keeps else None
