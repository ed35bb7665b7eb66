"""What is in a MetaGraph, counted from the bytes of a `.meta` file. Loads msgpack and little else.

Must not know live graphs, nor where the bytes are stored.
"""

from __future__ import annotations

from ckpt.wire.metagraph_body import Damage, parsed, parsed_whole, unsealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from ckpt.wire.metagraph_walk import Checks

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


def summarised(data: bytes) -> MetaGraphSummary:
    """Counts of what `data` (the bytes of a `.meta` file) holds. Raises Damage."""
    try:
        tree = parsed_whole(unsealed(data), _light_value, _light_checks)
        return _of_tree(*tree)
    except (TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
        raise Damage(f"its records are not those of a MetaGraph: {error}") from error


def _of_tree(
    info: Any, graph: Any, saver: Any, collections: Any, signatures: Any
) -> MetaGraphSummary:
    nodes = graph[0]
    ops: dict[str, int] = {}
    for kind in _texts([node[1] for node in nodes]):
        ops[kind] = ops.get(kind, 0) + 1
    files = _file_names(saver)
    return MetaGraphSummary(
        nodes=len(nodes),
        ops=ops,
        functions=len(graph[1]),
        inputs=[
            _input(node) for node in nodes if node[1] in _PLACEHOLDERS and node[0] not in files
        ],
        collections={
            name: len(value)
            for name, (_, value) in zip(_texts(collections), collections.values(), strict=True)
        },
        savers=() if saver is None else _texts([saver[2]]),
        signatures=_texts(signatures),
        tags=_texts(info[1]),
        producer=int(graph[3]),
    )


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


def _light_value(code: int, data: bytes) -> Any:
    """Dtypes as names, shapes as tuples, everything else as None."""
    if code == 1:
        return data.decode()
    if code == 2:
        sizes = parsed(data, _light_value)
        return None if sizes is None else tuple(sizes)
    return None


def _input(node: list[Any]) -> tuple[str, str, tuple[int | None, ...] | None]:
    attr = node[4]
    shape = attr.get("shape")
    if shape is not None and not all(size is None or type(size) is int for size in shape):
        raise ValueError(f"{shape} is no shape")
    return str(node[0]), str(attr.get("dtype", "?")), shape


def _light_checks() -> Checks:
    from ckpt.wire.metagraph_walk import Checks

    return Checks.light()
