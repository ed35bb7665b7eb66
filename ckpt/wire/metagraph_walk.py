"""A large `.meta` body is walked record by record before it is built, so that what is refused takes little memory.

Empty containers take up to 64 times their bytes; a walk holds one record at a time, and no record may have more than
so many elements. Must not know what becomes of the records. Loads no numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ckpt.wire.metagraph_body import Damage, streamed
from ckpt.wire.metagraph_tree import KINDS, TreeReader, shown

MOST_ELEMENTS = 1 << 18  # of one record, with all that is in it

Check = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Checks:
    """What each record must pass; a check raises Damage."""

    info: Check
    node: Check
    function: Check
    texts: Check
    saver: Check
    collection: Check
    signatures: Check

    @classmethod
    def of(cls, reader: TreeReader) -> Checks:
        """Everything that `reader` asks of a record."""
        return cls(
            reader.info, reader.node, reader.function, reader.texts, reader.saver,
            reader.collection, reader.signatures,
        )  # fmt: skip

    @classmethod
    def light(cls) -> Checks:
        """Only that nodes look like nodes, and elements of collections like such."""

        def node(raw: Any, place: str) -> None:
            if type(raw) is not list or len(raw) != 5 or type(raw[0]) is not str:
                raise Damage(f"{place}: {shown(raw)} where NodeDef should be")

        def collection(raw: Any, place: str) -> None:
            kind, (element,) = raw
            lengths = {"variables": 9, "any_list": 2}
            if kind not in KINDS or (
                type(element) in (list, dict) and len(element) != lengths.get(kind)
            ):
                raise Damage(f"{place}: {shown(raw)} where CollectionDef should be")

        def anything(raw: Any, place: str) -> None:
            pass

        return cls(anything, node, anything, anything, anything, collection, anything)


class Budget:
    """Counts the elements of one record as msgpack builds them; give its methods as hooks."""

    def __init__(self) -> None:
        self.left = MOST_ELEMENTS

    def take(self, items: Any) -> Any:
        """Hook for lists and maps."""
        self.left -= 1 + len(items)
        if self.left < 0:
            raise Damage(f"one record has more than {MOST_ELEMENTS} elements")
        return items


def walk(body: memoryview, checks: Checks, ext_hook: Callable[[int, bytes], Any]) -> None:
    """Raise Damage, or an error of msgpack, unless each record passes. The elements announced must be there."""
    _Walk(body, checks, ext_hook).meta_graph()


class _Walk:
    def __init__(
        self, body: memoryview, checks: Checks, ext_hook: Callable[[int, bytes], Any]
    ) -> None:
        self._checks, self._budget = checks, Budget()
        self._unpacker = streamed(
            body,
            ext_hook=ext_hook,
            list_hook=self._budget.take,
            object_hook=self._budget.take,
            max_array_len=MOST_ELEMENTS,
            max_map_len=MOST_ELEMENTS,
        )

    def meta_graph(self) -> None:
        self._fields(5, "MetaGraphDef")
        self._checks.info(self._next(), "meta_info_def")
        self._fields(5, "GraphDef")
        self._nodes("graph_def node")
        for number in range(self._unpacker.read_array_header()):
            self._function(f"graph_def library[{number}]")
        self._checks.texts(self._next(), "graph_def gradient")
        self._next(), self._next()  # producer, min_consumer
        self._checks.saver(self._next(), "saver_def")
        for _ in range(self._unpacker.read_map_header()):
            self._collection(self._next())
        self._checks.signatures(self._next(), "signature_def")

    def _next(self) -> Any:
        self._budget.left = MOST_ELEMENTS
        return self._unpacker.unpack()

    def _fields(self, count: int, what: str) -> None:
        found = self._unpacker.read_array_header()
        if found != count:
            raise Damage(f"a list of {found} where {what} should be")

    def _nodes(self, place: str) -> None:
        for number in range(self._unpacker.read_array_header()):
            self._checks.node(self._next(), f"{place}[{number}]")

    def _function(self, place: str) -> None:
        self._fields(7, f"{place}: FunctionDef")
        raw: list[Any] = [self._next() for _ in range(3)]
        self._nodes(f"{place} node")
        raw += [[], *(self._next() for _ in range(3))]
        self._checks.function(raw, place)

    def _collection(self, name: Any) -> None:
        self._fields(2, f"{shown(name)}: CollectionDef")
        kind = self._next()
        for number in range(self._unpacker.read_array_header()):
            self._checks.collection([kind, [self._next()]], f"{shown(name)}[{number}]")
