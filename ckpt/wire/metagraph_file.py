"""The `.meta` file: a MetaGraph in msgpack under a checksum; see docs/formats/metagraph.md.

Must not know live graphs, nor where the bytes are stored. `summary` loads no numpy.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ckpt.core import defs
from ckpt.core.checksum import crc32c
from ckpt.core.collector import paused
from ckpt.core.errors import DataLossError, GraphError, UnimplementedError
from ckpt.wire.metagraph_tree import Damage, TreeReader
from ckpt.wire.metagraph_walk import LARGE, MOST_ELEMENTS, Budget, Checks, streamed, walk

MAGIC = b"\x89ckptMG\n"
VERSION = 1
DEEPEST = 64  # containers within containers
_HEAD = struct.Struct("<8sIIQ")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")  # of a deflated body before it was deflated
_PLAIN, _DEFLATED = 0, 1  # how the body is encoded
_DEFLATED_FROM = 16 * 1024  # bytes
_ALWAYS_ALLOWED = 1 << 30  # a deflated body may take so many bytes, ...
_MOST_EXPANSION = 200  # ... or so many times its own
HEADER_BYTES = _HEAD.size + _CRC.size


def pack(meta: defs.MetaGraphDef) -> bytes:
    """`meta` as the bytes of a `.meta` file. Raises GraphError naming the node that no file can hold."""
    from ckpt.wire.metagraph_values import packb

    try:
        return _sealed(packb(meta))
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


def _sealed(body: bytes) -> bytes:
    encoding = _PLAIN
    if _DEFLATED_FROM <= len(body) <= _ALWAYS_ALLOWED:
        # names and attributes repeat: 14 MB for 20,000 variables become 1 MB, of which each save writes two copies
        body, encoding = _LENGTH.pack(len(body)) + zlib.compress(body, 1), _DEFLATED
    head = _HEAD.pack(MAGIC, VERSION, encoding, len(body))
    return head + _CRC.pack(crc32c(body, crc32c(head))) + body


def _inflated(body: memoryview, where: str) -> memoryview:
    """The body that was deflated; no more memory is taken than it declares."""
    if len(body) < _LENGTH.size:
        raise _loss(where, "is too short to be deflated")
    (length,) = _LENGTH.unpack_from(body)
    if length > max(_ALWAYS_ALLOWED, _MOST_EXPANSION * len(body)):
        raise _loss(where, f"{len(body)} bytes claim to be {length} deflated ones")
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(body[_LENGTH.size :], length + 1)
    except zlib.error as error:
        raise _loss(where, f"its body is no deflate stream: {error}") from error
    if len(found) != length or not stream.eof or stream.unused_data:
        raise _loss(where, f"its body is not the {length} deflated bytes that it declares")
    return memoryview(found)


def _unsealed(data: bytes, where: str) -> memoryview:
    """The body of a sealed file, checked."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        raise _loss(where, "is not a ckpt .meta file, or its beginning is damaged")
    _, version, encoding, length = _HEAD.unpack_from(data)
    if length != len(data) - HEADER_BYTES:
        held = len(data) - HEADER_BYTES
        raise _loss(
            where,
            f"the header declares {length} bytes, the file holds {held}; it was cut short or appended to",
        )
    (stored,) = _CRC.unpack_from(data, _HEAD.size)
    body = memoryview(data)[HEADER_BYTES:]
    if crc32c(body, crc32c(data[: _HEAD.size])) != stored:
        raise _loss(where, "the checksum does not match; the file is damaged")
    if version > VERSION or encoding > _DEFLATED:
        raise UnimplementedError(
            None,
            None,
            f"{where}: is a .meta file of version {version}; this ckpt reads up to {VERSION}, update it",
        )
    if version < 1:
        raise _loss(where, f"version {version} does not exist")
    return _inflated(body, where) if encoding == _DEFLATED else body


def _loss(where: str, what: str) -> DataLossError:
    return DataLossError(None, None, f"{where}: {what}")


def unpack(data: bytes, where: str = "MetaGraph") -> defs.MetaGraphDef:
    """The MetaGraph in the bytes of a `.meta` file.

    Raises DataLossError for damage, UnimplementedError for a later version; both name `where`.
    """
    from ckpt.wire.metagraph_values import decoder

    reader = tree_reader(named=False)
    try:
        with paused():
            body, decode = _unsealed(data, where), decoder(_parsed, reader.attrs)
            with _msgpack_errors():
                _check_present(body)
                if len(body) > LARGE:
                    return walk(body, Checks.of(reader), decode)
                tree = _unpackb(body, decode)
            return reader.meta_graph(tree, "")  # type: ignore[no-any-return]  # a record is Any
    except (Damage, UnicodeDecodeError) as error:
        raise _loss(where, str(error).strip()) from error


def tree_reader(*, named: bool) -> TreeReader:
    """The reader of trees whose attributes hold the types that this format knows."""
    from ckpt.core.dtypes import DType
    from ckpt.core.shapes import TensorShape
    from ckpt.wire.metagraph_values import ITEM_TYPES

    return TreeReader(ITEM_TYPES, DType, TensorShape, named=named)


def _parsed(
    body: bytes, ext_hook: Callable[[int, bytes], Any], longest: int = MOST_ELEMENTS
) -> Any:
    """The one msgpack value in `body`, which is an extension type inside a file: no list is longer than `longest`."""
    with _msgpack_errors():
        _check_present(memoryview(body))
        if len(body) <= LARGE:
            return _unpackb(body, ext_hook)
        budget = Budget()
        budget.left = longest + MOST_ELEMENTS
        limits = {"max_array_len": longest, "max_map_len": MOST_ELEMENTS}
        return _unpackb(body, ext_hook, list_hook=budget.take, object_hook=budget.take, **limits)


def _unpackb(
    body: bytes | memoryview, ext_hook: Callable[[int, bytes], Any], **options: Any
) -> Any:
    import msgpack

    return msgpack.unpackb(body, ext_hook=ext_hook, strict_map_key=True, **options)


def _check_present(body: memoryview) -> None:
    """Raise unless `body` is one value all of whose elements are there.

    msgpack allocates a list for as many elements as its header declares; so the value is walked first without
    building it.
    """
    walker = streamed(body)
    walker.skip()
    if walker.tell() != len(body):
        raise Damage(f"{len(body) - walker.tell()} bytes follow the value")


@contextmanager
def _msgpack_errors() -> Iterator[None]:
    import msgpack

    try:
        yield
    except UnicodeDecodeError as error:
        raise Damage(f"a text is not UTF-8: {error.reason}") from error
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        raise Damage(f"not msgpack: {type(error).__name__} {error}") from error


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


@dataclass(frozen=True, slots=True)
class MetaGraphSummary:
    """What is in a MetaGraph, counted: cheap to read, and free of numpy."""

    nodes: int
    ops: Mapping[str, int]
    functions: int
    inputs: tuple[
        tuple[str, str, tuple[int | None, ...] | None], ...
    ]  # placeholders: name, dtype, shape
    collections: Mapping[str, int] = field(default_factory=dict)
    savers: tuple[str, ...] = ()  # the restore operations
    signatures: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    producer: int = 0


_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


def summary(data: bytes, where: str = "MetaGraph") -> MetaGraphSummary:
    """Counts of what `data` (the bytes of a `.meta` file) holds. Raises as `unpack` does."""
    try:
        with paused():
            tree = _counted(_unsealed(data, where))
        info, graph, saver, collections, signatures = tree
        nodes = graph[0]
        return MetaGraphSummary(
            nodes=len(nodes),
            ops=dict(Counter(_texts(node[1] for node in nodes))),
            functions=len(graph[1]),
            inputs=tuple(
                _input(node)
                for node in nodes
                if node[1] in _PLACEHOLDERS and node[0] not in _file_names(saver)
            ),
            collections={
                name: len(value)
                for name, (_, value) in zip(_texts(collections), collections.values(), strict=True)
            },
            savers=() if saver is None else _texts([saver[2]]),
            signatures=_texts(signatures),
            tags=_texts(info[1]),
            producer=int(graph[3]),
        )
    except Damage as error:
        raise _loss(where, str(error)) from error
    except (TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
        raise _loss(where, f"its records are not those of a MetaGraph: {error}") from error


def _counted(body: memoryview) -> Any:
    """The body as a tree with few values; a large one is walked first, which refuses what would take much memory."""
    with _msgpack_errors():
        _check_present(body)
        if len(body) > LARGE:
            walk(body, Checks.light(), _light_value)
        return _unpackb(body, _light_value)


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
        sizes = _parsed(data, _light_value)
        return None if sizes is None else tuple(sizes)
    return None


def _input(node: list[Any]) -> tuple[str, str, tuple[int | None, ...] | None]:
    attr = node[4]
    shape = attr.get("shape")
    if shape is not None and not all(size is None or type(size) is int for size in shape):
        raise ValueError(f"{shape} is no shape")
    return str(node[0]), str(attr.get("dtype", "?")), shape
