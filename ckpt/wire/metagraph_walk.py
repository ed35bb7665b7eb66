"""A large `.meta` body is taken record by record, so that what is refused takes little memory.

Empty containers take up to 64 times their bytes; a walk holds one raw record at a time, and no record may have more than
so many elements. Must not know what becomes of the records. Loads no numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ckpt.core import defs
from ckpt.wire.metagraph_body import Damage, streamed
from ckpt.wire.metagraph_tree import KINDS, TreeReader, shown

MOST_ELEMENTS = 1 << 18  # of one record, with all that is in it

Check = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Checks:
    """What each record must pass, and what it becomes (None for those that only look); a check raises Damage."""

    text: Check
    integer: Check
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
            reader.text, reader.integer, reader.info, reader.node, reader.function, reader.texts,
            reader.saver, reader.collection, reader.signatures,
        )  # fmt: skip

    @classmethod
    def light(cls) -> Checks:
        """Only that nodes look like nodes, and elements of collections like such."""

        def node(raw: Any, place: str) -> None:
            if type(raw) is not list or len(raw) != 5 or type(raw[0]) is not str:
                raise Damage(f"{place}: {shown(raw)} where NodeDef should be")

        def collection(raw: Any, place: str) -> None:
            kind, elements = raw
            lengths = {"variables": 9, "any_list": 2}
            if kind not in KINDS or any(
                type(element) in (list, dict) and len(element) != lengths.get(kind)
                for element in elements
            ):
                raise Damage(f"{place}: {shown(raw)} where CollectionDef should be")

        def anything(raw: Any, place: str) -> None:
            pass

        return cls(
            anything, anything, anything, node, anything, anything, anything, collection, anything
        )


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


def walk(
    body: memoryview, checks: Checks, ext_hook: Callable[[int, bytes], Any]
) -> defs.MetaGraphDef:
    """The MetaGraphDef of what the checks make of the records. Raises Damage, or an error of msgpack.

    The elements announced must be there.
    """
    return _Walk(body, checks, ext_hook).meta_graph()


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

    def meta_graph(self) -> defs.MetaGraphDef:
        checks = self._checks
        self._fields(5, "MetaGraphDef")
        info = checks.info(self._next(), "meta_info_def")
        self._fields(5, "GraphDef")
        graph = defs.GraphDef(
            self._nodes("graph_def node"),
            tuple(
                [
                    self._function(f"graph_def library[{number}]")
                    for number in range(self._unpacker.read_array_header())
                ]
            ),
            checks.texts(self._next(), "graph_def gradient"),
            checks.integer(self._next(), "graph_def producer"),
            checks.integer(self._next(), "graph_def min_consumer"),
        )
        saver = checks.saver(self._next(), "saver_def")
        collections = {}
        for _ in range(self._unpacker.read_map_header()):
            name = self._next()
            checks.text(name, "collection_def")
            collections[name] = self._collection(shown(name))
        signatures = checks.signatures(self._next(), "signature_def")
        return defs.MetaGraphDef(info, graph, saver, collections, signatures)

    def _next(self) -> Any:
        self._budget.left = MOST_ELEMENTS
        return self._unpacker.unpack()

    def _fields(self, count: int, what: str) -> None:
        found = self._unpacker.read_array_header()
        if found != count:
            raise Damage(f"a list of {found} where {what} should be")

    def _nodes(self, place: str) -> tuple[Any, ...]:
        check = self._checks.node
        count = self._unpacker.read_array_header()
        return tuple([check(self._next(), f"{place}[{number}]") for number in range(count)])

    def _function(self, place: str) -> Any:
        self._fields(7, f"{place}: FunctionDef")
        raw: list[Any] = [self._next() for _ in range(3)]
        nodes = self._nodes(f"{place} node")
        raw += [[], *(self._next() for _ in range(3))]
        function = self._checks.function(raw, place)
        return None if function is None else replace(function, node_def=nodes)

    def _collection(self, place: str) -> Any:
        self._fields(2, f"{place}: CollectionDef")
        kind, check = self._next(), self._checks.collection
        whole, values = check([kind, []], place), []
        for number in range(self._unpacker.read_array_header()):
            part = check([kind, [self._next()]], f"{place}[{number}]")
            if part is not None:
                values += part.value
        return None if whole is None else replace(whole, value=tuple(values))
