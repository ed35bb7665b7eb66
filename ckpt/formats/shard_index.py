"""The file that makes several shards one checkpoint: `<prefix>.index`. Loads no numpy and no h5py.

The layout is in docs/formats/ckpt-hdf5.md, "Byte layout". The bytes are treated as hostile.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.core.checksum import crc32c
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.core.storage import Input
from ckpt.formats.counter import Counter

SHARD_MAGIC = b"\x89CKPT-IX\r\n\x1a\n\0\0\0\0"
SHARD_VERSION = 1
MOST_SHARDS = 4096  # also bounds what msgpack allocates from an announced length
SHARD_NAME = re.compile(r"(?P<stem>.*)\.(?P<save>[0-9a-f]{16})-[0-9]{5}-of-[0-9]{5}\.h5", re.DOTALL)

_HEADER = struct.Struct("<16sIIQI")  # magic, version, zero, length of the body, its crc
_SEAL = struct.Struct("<I")
_LARGEST = 1 << 22  # 4096 names of 255 bytes and their numbers, with room
_MOST_LISTS, _MOST_MAPS = MOST_SHARDS + 1, 1  # a row for each shard and the list of them


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a sharded checkpoint: `crc` is that of its first 508 bytes, which hold the checksum of the rest."""

    name: str
    length: int
    crc: int


def shard_name(stem: str, save: str, number: int, total: int) -> str:
    """The file name of shard `number` (from 0) of the save whose tag of 16 hexadecimal digits is `save`."""
    return f"{stem}.{save}-{number + 1:05d}-of-{total:05d}.h5"


def pack_shard_index(shards: Sequence[Shard]) -> bytes:
    """The bytes of a `.index` file."""
    import msgpack

    body: bytes = msgpack.packb(
        {"files": [[shard.name, shard.length, shard.crc] for shard in shards]}
    )
    head = _HEADER.pack(SHARD_MAGIC, SHARD_VERSION, 0, len(body), crc32c(body))
    return head + _SEAL.pack(crc32c(head)) + body


def read_shard_index(file: Input) -> list[Shard]:
    """The shards that an open `.index` file names. Raises DataLossError or UnimplementedError."""
    size = _HEADER.size + _SEAL.size
    if not size <= file.size <= _LARGEST:
        raise _damaged(file.path, f"has {file.size} bytes, expected {size} to {_LARGEST}")
    data = file.read(0, file.size)
    if _SEAL.unpack_from(data, _HEADER.size)[0] != crc32c(data[: _HEADER.size]):
        raise _damaged(file.path, "the header does not match its checksum")
    magic, version, _, length, crc = _HEADER.unpack_from(data)
    if magic != SHARD_MAGIC:
        raise _damaged(file.path, "is not the index of a sharded checkpoint")
    if version != SHARD_VERSION:
        raise UnimplementedError(
            None,
            None,
            f"{file.path}: has layout version {version}, this ckpt reads version {SHARD_VERSION}; use a newer ckpt",
        )
    body = data[size:]
    if len(body) != length or crc32c(body) != crc:
        raise _damaged(file.path, "the list of files does not match its checksum")
    return _parsed(body, file.path)


def _parsed(body: bytes, path: str) -> list[Shard]:
    import msgpack

    try:
        fields = msgpack.unpackb(
            body,
            max_array_len=MOST_SHARDS,
            max_map_len=16,
            max_ext_len=0,
            strict_map_key=True,
            list_hook=Counter(_MOST_LISTS).take,
            object_hook=Counter(_MOST_MAPS).take,
        )
        shards = [_shard(row) for row in fields["files"]]
    except (ValueError, KeyError, TypeError) as error:  # msgpack's own errors are ValueErrors too
        raise _damaged(path, f"the list of files is malformed: {error}") from error
    if not shards or len({shard.name for shard in shards}) != len(shards):
        raise _damaged(path, "names no file, or one twice")
    return shards


def _shard(row: Any) -> Shard:
    name, length, crc = row
    if type(name) is not str or type(length) is not int or type(crc) is not int:
        raise TypeError(f"{str(row)[:80]} is no name, length and checksum")
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise ValueError(f"{name[:80]!r} is no plain file name")
    return Shard(name, length, crc)


def _damaged(path: str, found: str) -> DataLossError:
    return DataLossError(None, None, f"{path}: {found}; restore it from a copy")
