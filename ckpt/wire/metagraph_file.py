"""The `.meta` file: a MetaGraph in msgpack under a checksum; see docs/formats/metagraph.md.

Must not know live graphs, nor where the bytes are stored. `summary` loads no numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import defs
from ckpt.core.collector import paused
from ckpt.core.errors import DataLossError, GraphError, OpError, UnimplementedError
from ckpt.wire.metagraph_body import (
    LARGE,
    MAGIC,
    Damage,
    LaterVersion,
    MsgpackErrors,
    parsed,
    sealed,
    unsealed,
)
from ckpt.wire.metagraph_summary import MetaGraphSummary, summarised
from ckpt.wire.metagraph_tree import TreeReader
from ckpt.wire.metagraph_walk import walk


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


def _refused(where: str, damage: Damage) -> OpError:
    """The error that names the file, too."""
    if isinstance(damage, LaterVersion):
        return UnimplementedError(None, None, f"{where}: {damage}")
    return _loss(where, str(damage).strip(" :"))


def unpack(data: bytes, where: str = "MetaGraph") -> defs.MetaGraphDef:
    """The MetaGraph in the bytes of a `.meta` file.

    Raises DataLossError for damage, UnimplementedError for a later version; both name `where`.
    """
    from ckpt.wire.metagraph_values import decoder

    reader = tree_reader(named=False)
    try:
        with paused():
            return _built(unsealed(data), reader, decoder(parsed, reader.attrs))
    except Damage as error:
        raise _refused(where, error) from error
    except UnicodeDecodeError as error:
        raise _loss(where, str(error)) from error


def _built(
    body: memoryview, reader: TreeReader, ext_hook: Callable[[int, bytes], Any]
) -> defs.MetaGraphDef:
    """The MetaGraph in a body; a large one is checked as a whole first, so that what is refused takes little memory."""
    if len(body) <= LARGE:
        return reader.meta_graph(parsed(body, ext_hook), "")  # type: ignore[no-any-return]  # a record is Any
    with MsgpackErrors():
        return walk(body, reader, ext_hook)


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
        from ckpt.wire.metagraph_json import from_json

        return from_json(data.decode("utf-8", "replace"), where)
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
    try:
        with paused():
            return summarised(data)
    except Damage as error:
        raise _refused(where, error) from error
