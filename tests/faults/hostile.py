"""Files as an attacker would write them: anything is changed, and then every checksum is made right again."""

import struct

import msgpack
from crc32c import crc32c

from ckpt.formats.shard_index import SHARD_MAGIC
from ckpt.wire import metagraph_body, saved_model_file


def index_of(data):
    """(offset, the index as msgpack gives it) of one of our HDF5 files."""
    at, size = struct.unpack_from("<QQ", data, 24)
    return at, msgpack.unpackb(data[at : at + size], strict_map_key=False)


def with_index(data, packed):
    """The file with these bytes as its index, which now ends the file."""
    at, _ = struct.unpack_from("<QQ", data, 24)
    return _sealed(data[512:at] + packed, at, packed)


def resealed(data, change):
    """The file after `change(index)`, which may return the bytes of the index instead of changing the map."""
    _, index = index_of(data)
    packed = change(index)
    return with_index(data, msgpack.packb(index) if packed is None else packed)


def _sealed(rest, at, packed):
    return header(at, packed, 512 + len(rest)) + rest


def header(at, packed, length):
    """The header of a file of that length whose index, `packed`, lies `at` so many bytes."""
    magic = b"\x89CKPT-H5\r\n\x1a\n\0\0\0\0"
    head = magic + struct.pack("<IIQQQI", 1, 0, at, len(packed), length, crc32c(packed))
    head = head.ljust(508, b"\0")
    return head + struct.pack("<I", crc32c(head))


def meta(body, encoding=0):
    """A .meta file with this body."""
    head = struct.pack("<8sIIQ", metagraph_body.MAGIC, 1, encoding, len(body))
    return head + struct.pack("<I", crc32c(head + body)) + body


def shards(body):
    """A shard index with this body."""
    head = SHARD_MAGIC + struct.pack("<IIQI", 1, 0, len(body), crc32c(body))
    return head + struct.pack("<I", crc32c(head)) + body


def state(body):
    """A state file with this text."""
    return body + b"# crc32c: %08x\n" % crc32c(body)


def saved_model(body):
    """A SavedModel file with this body."""
    head = struct.pack("<8sIIQ", saved_model_file.MAGIC, 1, 0, len(body))
    return head + struct.pack("<I", crc32c(head + body)) + body
