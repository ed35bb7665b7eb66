"""What is in a MetaGraph, counted from the bytes of a `.meta` file. Loads msgpack and little else.

Must not know live graphs, nor where the bytes are stored.
"""

from __future__ import annotations

from ckpt.wire.metagraph_body import LARGE, Damage, parsed, unsealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    Input = tuple[str, str, tuple[int | None, ...] | None]  # a placeholder: name, dtype, shape


class MetaGraphSummary:
    """What is in a MetaGraph, counted: cheap to read, and free of numpy. `savers` are the restore operations."""

    __slots__ = (
        "collections", "functions", "inputs", "nodes", "ops", "producer", "savers", "signatures", "tags",
    )  # fmt: skip

    def __init__(
        self,
        nodes: int,
        ops: Mapping[str, int],
        functions: int,
        inputs: Sequence[Input],
        collections: Mapping[str, int],
        savers: Sequence[str],
        signatures: Sequence[str],
        tags: Sequence[str],
        producer: int,
    ) -> None:
        self.nodes, self.ops, self.functions = nodes, ops, functions
        self.inputs, self.collections = tuple(inputs), collections
        self.savers, self.signatures, self.tags = tuple(savers), tuple(signatures), tuple(tags)
        self.producer = producer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetaGraphSummary) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MetaGraphSummary{self._values()}"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
_LONGEST = 4096  # bytes of a shape
_MOST = 1 << 16  # kinds of operations, placeholders, collections: what is kept of a hostile file


def summarised(data: bytes) -> MetaGraphSummary:
    """Counts of what `data` (the bytes of a `.meta` file) holds. Raises Damage."""
    counts, body = _Counts(), unsealed(data)
    try:
        if len(body) <= LARGE:
            counts.tree(*parsed(body, _light_value))
        else:
            from ckpt.wire.metagraph_budget import graph_budget
            from ckpt.wire.metagraph_walk import look

            look(body, counts, _light_value, graph_budget())
        return counts.summary()
    except (TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
        raise Damage(f"its records are not those of a MetaGraph: {error}") from error


class _Counts:
    """Looks at records, by the methods that `metagraph_walk.Checks` lists, and keeps what a summary says."""

    def __init__(self) -> None:
        self._nodes = self._functions = self._producer = 0
        self._ops: dict[str, int] = {}
        self._inputs: list[Input] = []
        self._collections: dict[str, int] = {}
        self._name = ""  # of the collection whose elements come
        self._savers: tuple[str, ...] = ()
        self._signatures: tuple[str, ...] = ()
        self._tags: tuple[str, ...] = ()
        self._files: set[str] = set()

    def tree(self, info: Any, graph: Any, saver: Any, collections: Any, signatures: Any) -> None:
        """Look at all records of a MetaGraph."""
        self.info(info, "")
        self.nodes(graph[0], "", 0)
        for function in graph[1]:
            self.function(function, "")
        self.integer(graph[3], _PRODUCER)
        self.saver(saver, "")
        for name, raw in collections.items():
            self.text(name, _COLLECTION)
            self.collection(raw, "")
        self.signatures(signatures, "")

    def summary(self) -> MetaGraphSummary:
        """What was seen."""
        return MetaGraphSummary(
            nodes=self._nodes,
            ops=self._ops,
            functions=self._functions,
            inputs=[found for found in self._inputs if found[0] not in self._files],
            collections=self._collections,
            savers=self._savers,
            signatures=self._signatures,
            tags=self._tags,
            producer=self._producer,
        )

    def nodes(self, raw: list[Any], place: str, first: int) -> tuple[()]:
        if not all([type(node) is list and len(node) == 5 for node in raw]):
            raise ValueError(f"one of the nodes from {first} on is none")
        self._nodes += len(raw)
        ops = self._ops
        for kind in _texts([node[1] for node in raw]):
            ops[kind] = ops.get(kind, 0) + 1
        if not _PLACEHOLDERS.isdisjoint(ops):
            self._inputs += [_input(node) for node in raw if node[1] in _PLACEHOLDERS]
        _few(ops, "kinds of operations")
        _few(self._inputs, "placeholders")
        return ()

    def body(self, raw: list[Any], place: str, first: int) -> tuple[()]:
        return ()

    def function(self, raw: Any, place: str) -> None:
        self._functions += 1

    def text(self, raw: Any, place: str) -> None:
        if place == _COLLECTION:
            (self._name,) = _texts([raw])
            self._collections[self._name] = 0
            _few(self._collections, "collections")

    def collection(self, raw: Any, place: str) -> None:
        _, elements = raw
        self._collections[self._name] += len(elements)

    def integer(self, raw: Any, place: str) -> None:
        if place == _PRODUCER:
            self._producer = int(raw)

    def info(self, raw: Any, place: str) -> None:
        self._tags = _texts(raw[1])

    def saver(self, raw: Any, place: str) -> None:
        self._files = _file_names(raw)
        self._savers = () if raw is None else _texts([raw[2]])

    def signatures(self, raw: Any, place: str) -> None:
        self._signatures = _texts(raw)

    def texts(self, raw: Any, place: str) -> None:
        pass


_COLLECTION, _PRODUCER = "collection_def", "graph_def producer"  # places that tell records apart


def _few(kept: Any, what: str) -> None:
    if len(kept) > _MOST:
        raise ValueError(f"it has more than {_MOST} {what}")


def _file_names(saver: list[Any] | None) -> set[str]:
    """The placeholders through which a Saver is told its file: no inputs of the model."""
    name = "" if saver is None else str(saver[0]).partition(":")[0]
    return {name, f"{name.rpartition('/')[0]}/filename"}


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    """`values`, all of them str."""
    texts = tuple(values)
    if not all([type(text) is str for text in texts]):
        raise ValueError("a name is no text")
    return texts


def _light_value(code: int, data: bytes | memoryview) -> Any:
    """Dtypes as names, shapes as their bytes, everything else as None."""
    if code not in (1, 2):
        return None
    if len(data) > _LONGEST:
        raise ValueError(f"a dtype or a shape takes {len(data)} bytes")
    return str(data, "utf-8") if code == 1 else bytes(data)


def _input(node: list[Any]) -> Input:
    attr = node[4]
    (name,) = _texts(node[:1])
    packed = attr.get("shape")
    sizes = None if packed is None else parsed(packed, _light_value)
    if sizes is not None and not all([size is None or type(size) is int for size in sizes]):
        raise ValueError(f"{sizes} is no shape")
    return name, str(attr.get("dtype", "?")), None if sizes is None else tuple(sizes)
