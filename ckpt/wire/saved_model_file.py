"""The file of a SavedModel: several MetaGraphs, sealed; see docs/formats/saved-model.md.

Must not know live graphs, nor where the bytes are stored.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence

from ckpt.core import defs
from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.wire import metagraph_file, metagraph_json
from ckpt.wire.metagraph_body import largest, unfolded

MAGIC = b"\x89ckptSM\n"
VERSION = 1
MOST = 10000  # MetaGraphs; bounds what msgpack allocates
_HEAD = struct.Struct("<8sIIQ")  # magic, version, zero, length of the body
_CRC = struct.Struct("<I")
_ARRAYS = {
    0xDC: struct.Struct(">H"),
    0xDD: struct.Struct(">I"),
}  # msgpack's headers: the numbers that follow
_BINS = {0xC4: struct.Struct(">B"), 0xC5: struct.Struct(">H"), 0xC6: struct.Struct(">I")}


def pack(meta_graphs: Sequence[defs.MetaGraphDef]) -> bytes:
    """The bytes of `saved_model.msgpack`. Raises GraphError for what no file can hold."""
    import msgpack

    parts = [metagraph_file.pack(meta_graph) for meta_graph in meta_graphs]
    if not _is_little(parts):
        parts = [metagraph_file.pack(meta_graph, may_deflate=False) for meta_graph in meta_graphs]
    body: bytes = msgpack.packb(parts)
    head = _HEAD.pack(MAGIC, VERSION, 0, len(body))
    return head + _CRC.pack(crc32c(head + body)) + body


def to_json(meta_graphs: Sequence[defs.MetaGraphDef]) -> str:
    """The text of `saved_model.json`."""
    parts = [json.loads(metagraph_json.to_json(meta_graph)) for meta_graph in meta_graphs]
    return json.dumps({"saved_model_schema_version": VERSION, "meta_graphs": parts}, indent=1)


def load(data: bytes, where: str = "SavedModel") -> list[defs.MetaGraphDef]:
    """The MetaGraphs in the bytes of a SavedModel file: ours, its JSON form, or TensorFlow's protocol buffer.

    Raises DataLossError or UnimplementedError that names `where`.
    """
    if data.startswith(MAGIC[:1]):
        return _unpacked(data, where)
    if data[:64].lstrip().startswith(b"{"):
        from ckpt.wire.metagraph_json_reader import all_from_json

        return all_from_json(data, where)
    if data.startswith(b"\x08"):  # field 1, a number
        return _from_message(data, where)
    raise DataLossError(
        None,
        None,
        f"{where}: holds no SavedModel that ckpt knows; it begins with {data[:8].hex(' ') or 'nothing'}",
    )


def _unpacked(data: bytes, where: str) -> list[defs.MetaGraphDef]:
    size = _HEAD.size + _CRC.size
    if len(data) < size or not data.startswith(MAGIC):
        raise _damaged(where, "is not a SavedModel file, or its beginning is damaged")
    _, version, reserved, length = _HEAD.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEAD.size)
    if length != len(data) - size:
        raise _damaged(where, f"declares {length} bytes and holds {len(data) - size}")
    body = memoryview(data)[size:]
    if crc32c(body, crc32c(data[: _HEAD.size])) != crc:
        raise _damaged(where, "does not match its checksum")
    if version != VERSION or reserved:
        raise UnimplementedError(
            None, None, f"{where}: has version {version}, this ckpt reads version {VERSION}"
        )
    try:
        packed = _parts(body)
    except (KeyError, IndexError, struct.error) as error:
        raise _damaged(where, f"is no list of MetaGraphs: {error!r}") from error
    if not _is_little(packed):
        raise _damaged(where, f"has {len(data)} bytes and claims to be many more, deflated")
    return metagraph_file.unpack_all(
        {f"{where}, MetaGraph {n}": part for n, part in enumerate(packed)}
    )


def _parts(body: memoryview) -> list[memoryview]:
    """The members of a msgpack array of bin, where they lie: they may be large. Raises KeyError, IndexError or struct.error."""
    if 0x90 <= body[0] <= 0x9F:
        count, at = body[0] - 0x90, 1
    else:
        count, at = _length(body, 0, _ARRAYS)
    if count > MOST:
        raise IndexError(f"{count} of them")
    parts = []
    for _ in range(count):
        length, begin = _length(body, at, _BINS)
        at = begin + length
        parts.append(body[begin:at])
    if at != len(body):
        raise IndexError(f"they end at byte {at} of {len(body)}")
    return parts


def _length(body: memoryview, at: int, kinds: Mapping[int, struct.Struct]) -> tuple[int, int]:
    """The length that the header at this place announces, and where what it announces begins."""
    number = kinds[body[at]]
    (length,) = number.unpack_from(body, at + 1)
    return length, at + 1 + number.size


def _is_little(parts: Sequence[bytes | memoryview]) -> bool:
    """Whether these MetaGraphs together unfold to no more than one of their size may."""
    return sum(map(unfolded, parts)) <= largest(sum(map(len, parts)))


def _from_message(data: bytes, where: str) -> list[defs.MetaGraphDef]:
    from google.protobuf.message import DecodeError

    from ckpt.wire import messages, tf_pb

    try:
        found = messages.SavedModel.FromString(data)
    except DecodeError as error:
        raise _damaged(where, f"is no SavedModel message: {error}") from error
    return [tf_pb.from_message(part, defs.MetaGraphDef) for part in found.meta_graphs]


def _damaged(where: str, what: str) -> DataLossError:
    return DataLossError(None, None, f"{where}: {what}")
