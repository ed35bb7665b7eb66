"""The `.meta` file: a MetaGraph in msgpack under a checksum; see docs/formats/metagraph.md.

Must not know live graphs, nor where the bytes are stored. `summary` loads no numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckpt.core import defs
from ckpt.core.collector import paused
from ckpt.core.errors import DataLossError, GraphError, UnimplementedError
from ckpt.wire.metagraph_body import (
    LARGE,
    MAGIC,
    Damage,
    LaterVersion,
    parsed,
    sealed,
    unsealed,
)
from ckpt.wire.metagraph_budget import UNLIMITED, graph_budget
from ckpt.wire.metagraph_summary import MetaGraphSummary, summarised
from ckpt.wire.metagraph_tree import TreeReader
from ckpt.wire.metagraph_walk import kept, look


def pack(meta: defs.MetaGraphDef, *, may_deflate: bool = True) -> bytes:
    """`meta` as the bytes of a `.meta` file. Raises GraphError naming the node that no file can hold."""
    from ckpt.wire.metagraph_values import packb

    try:
        return sealed(packb(meta), may_deflate=may_deflate)
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"{_culprit(meta)} cannot be written to a .meta file: {error}") from error


def _culprit(meta: defs.MetaGraphDef) -> str:
    """The first part of `meta` that does not pack."""
    from ckpt.wire.metagraph_values import packb

    parts: list[tuple[str, Any]] = [(f"node {n.name!r}", n) for n in meta.graph_def.node]
    parts += [(f"function {f.name!r}", f) for f in meta.graph_def.library]
    parts += [(f"collection {name!r}", c) for name, c in meta.collection_def.items()]
    parts += [(f"signature {name!r}", s) for name, s in meta.signature_def.items()]
    for name, part in parts:
        try:
            packb(part)
        except (TypeError, ValueError, OverflowError):
            return name
    return "the MetaGraph"


def _loss(where: str, what: str) -> DataLossError:
    return DataLossError(None, None, f"{where}: {what}")


class Named:
    """A context in which damage becomes an error that names the file."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LaterVersion):
            raise UnimplementedError(None, None, f"{self._where}: {error}") from error
        if isinstance(error, (Damage, UnicodeDecodeError)):
            raise _loss(self._where, str(error).strip(" :")) from error


def unpack(data: bytes, where: str = "MetaGraph") -> defs.MetaGraphDef:
    """The MetaGraph in the bytes of a `.meta` file.

    Raises DataLossError for damage and for more elements than are allowed, UnimplementedError for a later version; both
    name `where`.
    """
    (meta,) = unpack_all({where: data})
    return meta


def unpack_all(parts: Mapping[str, bytes | memoryview]) -> list[defs.MetaGraphDef]:
    """The MetaGraphs in the bytes of several `.meta` files, by the names that errors give them; raises as `unpack` does.

    Large ones, and all of several, are checked as a whole before the first is kept, so that what is refused takes
    little memory; together they may have as many elements as one.
    """
    from ckpt.wire.metagraph_values import decoder

    reader, budget = tree_reader(named=False), graph_budget()
    looking = decoder(reader.attrs, budget, looks=True)
    keeping = decoder(reader.attrs, UNLIMITED, looks=False)
    with paused():
        bodies = {}
        for where, data in parts.items():
            with Named(where):
                bodies[where] = body = unsealed(data)
                if len(body) > LARGE or len(parts) > 1:
                    with reader.only_looking():
                        look(body, reader, looking, budget)
        return [_built(body, where, reader, keeping) for where, body in bodies.items()]


def _built(
    body: memoryview, where: str, reader: TreeReader, ext_hook: Callable[[int, bytes], Any]
) -> defs.MetaGraphDef:
    with Named(where):
        if len(body) > LARGE:
            return kept(body, reader, ext_hook)
        return reader.meta_graph(parsed(body, ext_hook), "")  # type: ignore[no-any-return]  # a record is Any


def tree_reader(*, named: bool) -> TreeReader:
    """The reader of trees whose attributes hold the types that this format knows."""
    from ckpt.core.dtypes import DType
    from ckpt.core.shapes import TensorShape
    from ckpt.wire.metagraph_values import ITEM_TYPES

    return TreeReader(ITEM_TYPES, DType, TensorShape, named=named)


def load(data: bytes, where: str = "MetaGraph") -> defs.MetaGraphDef:
    """The MetaGraph in the bytes of any file that holds one: `.meta`, its JSON form, TensorFlow's protocol buffer.

    Raises DataLossError or UnimplementedError that names `where`.
    """
    if data.startswith(MAGIC[:1]):
        return unpack(data, where)
    if data[:64].lstrip().startswith(b"{"):
        from ckpt.wire.metagraph_json_reader import from_json

        return from_json(data, where)
    if data.startswith((b"\x0a", b"\x12")):  # field 1 or 2, a message
        from ckpt.wire.tf_pb import from_bytes

        meta: defs.MetaGraphDef = from_bytes(defs.MetaGraphDef, data, where)
        return meta
    raise _loss(
        where,
        f"holds no MetaGraph that ckpt knows; it begins with {data[:8].hex(' ') or 'nothing'}",
    )


def summary(data: bytes, where: str = "MetaGraph") -> MetaGraphSummary:
    """Counts of what `data` (the bytes of a `.meta` file) holds. Raises as `unpack` does."""
    with paused(), Named(where):
        return summarised(data)
