"""Where things stand in one of our HDF5 files: its header, and the columns of its index. Imports next to nothing.

`ckpt inspect` lists a checkpoint with this module alone, in less time than it takes to import `re`: no dataclasses, no
typing, no struct here. The layout is in docs/formats/ckpt-hdf5.md. Bytes are treated as hostile: a checksum is compared
before anything is parsed, no number is believed before it was checked against the bytes present, and no list is made
before the bytes for it were seen.
"""

from __future__ import annotations

import sys

from ckpt.core.checksum import crc32c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Kind = tuple[str, tuple[int, ...], int]  # dtype, shape, stored bytes

FORMAT = "hdf5"
MAGIC = b"\x89CKPT-H5\r\n\x1a\n\0\0\0\0"
VERSION = 1
USER_BLOCK = 4096  # bytes before the HDF5 superblock; HDF5 wants no less for an alignment of 4096
HEADER = 512  # bytes of it that are ours
BLOCK = 128 * 1024  # bytes under one checksum: what a slice reads at least
# what takes 64 MiB and a second to read, be it hostile
MOST_TENSORS = 1 << 17  # of one file
MOST_ENTRIES = 1 << 17  # of all maps of an index: aliases, paths, metadata
# of tensors of one file that are cut; each costs as much as several whole ones
MOST_PARTS = 1 << 16
MOST_INDEX = 1 << 25  # bytes of an index: the checksums of one TiB are as long
MOST_SIZES = 1 << 20  # of all shapes together, and of all parts
MOST_TEXT = 1 << 23  # bytes of all names together where some are not ASCII, and may take four each
MOST_METAGRAPH = 1 << 31  # bytes

# bytes of one element; a test holds this equal to core.dtypes, which would load numpy
ITEM_SIZE = {
    "float16": 2, "float32": 4, "float64": 8, "bfloat16": 2,
    "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
    "bool": 1, "complex64": 8, "complex128": 16, "string": 0,
    "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e4m3b11fnuz": 1,
    "float8_e5m2fnuz": 1, "float4_e2m1fn": 1, "int4": 1, "uint4": 1, "int2": 1, "uint2": 1,
    "qint8": 1, "quint8": 1, "qint16": 2, "quint16": 2, "qint32": 4,
}  # fmt: skip
STRING_END = 8  # bytes that a string tensor stores per element besides the characters

_STEP_DIGITS = 20  # of 64 bits
_MAX_RANK = 64  # numpy's limit
MAX_FIELDS = 64
MAX_LIST = 4096  # entries: msgpack allocates lists from their announced length
_BINARY = (bytes, memoryview)
_WIDTHS = {"B": 1, "I": 4, "Q": 8}


class Malformed(ValueError):
    """The header is not one that this version reads: what was found, and what that means."""

    def __init__(self, found: str, meaning: str) -> None:
        super().__init__(found)
        self.found, self.meaning = found, meaning


class LaterVersion(Malformed):
    """The header is that of a later version."""


def parse_header(head: bytes, size: int) -> tuple[tuple[int, int], int]:
    """Offset and length of the index of a file of `size` bytes, and its CRC32C, by the file's first 512 bytes."""
    if len(head) < HEADER or head[:16] != MAGIC:
        raise Malformed(
            "the first 512 bytes are not a ckpt header", "another file or a damaged one"
        )
    if _number(head, HEADER - 4, 4) != crc32c(head[: HEADER - 4]):
        raise Malformed("the header does not match its checksum", "the first 512 bytes are damaged")
    if (version := _number(head, 16, 4)) != VERSION:
        raise LaterVersion(
            f"has layout version {version}, this ckpt reads version {VERSION}", "use a newer ckpt"
        )
    offset, length, file_length = (_number(head, at, 8) for at in (24, 32, 40))
    if file_length != size:
        raise Malformed(f"the file has {size} bytes, expected {file_length}", "cut or extended")
    if offset < USER_BLOCK or offset + length > file_length:
        raise Malformed(f"the index lies at {offset}+{length}, outside the file", "damaged header")
    if length > MOST_INDEX:
        raise Malformed(
            f"the index has {length} bytes, expected at most {MOST_INDEX}", "not written by ckpt"
        )
    return (offset, length), _number(head, 48, 4)


def _number(data: bytes | memoryview, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")


def extent(pieces: Iterable[tuple[int, int]]) -> int | None:
    """Where the last of the pieces (offset, length) ends; None when two overlap or one lies in the user block."""
    end = USER_BLOCK
    for offset, length in sorted([piece for piece in pieces if piece[1]]):
        if offset < end:
            return None
        end = offset + length
    return end


def in_order(offsets: Iterable[int], lengths: Iterable[int]) -> bool:
    """True when each of the pieces ends before the next begins and none is empty: small tensors in one file do."""
    end = 0
    for offset, length in zip(offsets, lengths):
        if offset < end or not length:
            return False
        end = offset + length
    return True


def step_from(text: str) -> int | None:
    """The step that a text is, as metadata and names have it; None for what is no number of at most 20 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _STEP_DIGITS else None


def product(sizes: Iterable[int]) -> int:
    """As math.prod, which would be the one thing that this module loads a library for."""
    found = 1
    for size in sizes:
        found *= size
    return found


def cut(numbers: list[int], counts: Sequence[int]) -> list[tuple[int, ...]]:
    """The numbers in tuples of so many each."""
    found, at = [], 0
    for count in counts:
        found.append(tuple(numbers[at : at + count]))
        at += count
    return found


class TooMuch(ValueError):
    """A file would describe more than is read of one."""


def check_amounts(fields: Any) -> None:
    """Raise TooMuch for fields of an index that take too much memory as lists; those of a wrong type are left to others."""
    for key, what in (("dims", "shapes"), ("boxes", "parts of tensors")):
        data = fields.get(key)
        if isinstance(data, _BINARY) and len(data) > 8 * MOST_SIZES:
            raise TooMuch(f"{what} of {len(data) // 8} sizes, expected at most {MOST_SIZES}")
    maps = [fields.get(key) for key in ("metadata", "aliases", "paths")]
    entries = sum([len(found) for found in maps if isinstance(found, dict)])
    if entries > MOST_ENTRIES:
        raise TooMuch(
            f"metadata, aliases and paths of {entries} entries, expected at most {MOST_ENTRIES}"
        )
    names = fields.get("names")
    if isinstance(names, _BINARY) and len(names) > MOST_TEXT and not bytes(names).isascii():
        raise TooMuch(
            f"names of {len(names)} bytes, expected at most {MOST_TEXT} where they are not all ASCII"
        )


class Columns:
    """The fields of an index. Making it, and any method, may raise ValueError, KeyError or TypeError.

    Twenty thousand tensors are read in some 10 ms, so what is done per tensor is done by C functions over columns.
    """

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ValueError("is not a map")
        check_amounts(fields)
        self._fields = fields
        self.block: int = fields["block"]
        if type(self.block) is not int or not 4096 <= self.block <= 1 << 24:
            raise ValueError(f"block is {str(self.block)[:40]}, expected 4096 to {1 << 24}")
        self.count = len(self.column("name_ends", "Q", None))
        if self.count > MOST_TENSORS:
            raise ValueError(f"holds {self.count} tensors, expected at most {MOST_TENSORS}")
        self.names = self._names()
        self.rows = dict(zip(self.names, range(self.count), strict=True))
        if len(self.rows) != self.count:
            raise ValueError("holds a tensor name twice")
        self.metadata, self.paths = self._strings("metadata"), self._strings("paths")
        self.aliases = self._aliases()
        self.metagraph = self._metagraph()
        self.structure_crc = self.column("structure_crc", "I", 1)[0]

    def whole(self) -> tuple[list[Kind], list[int]] | None:
        """The kinds of tensors that there are, and of which kind each is: dtype, shape and stored bytes.

        None unless every tensor is a single part of raw bytes.
        """
        if _any(self.column("splits", "I", self.count)):
            return None
        lengths = self.column("lengths", "Q", self.count)
        if _any(self.column("layouts", "B", self.count)):
            return None
        dtypes, codes = self.dtypes()
        kinds = _Kinds(dtypes)
        try:
            kind_of = list(map(kinds.__getitem__, self._keys(codes, lengths)))
        except ValueError as error:
            named = zip(self.names, self._keys(codes, lengths))
            name = next(name for name, key in named if key not in kinds)
            raise ValueError(f"tensor {name!r} {error}") from None
        blocks = [blocks_of(length, self.block) for _, _, length in kinds.found]
        self.column("crcs", "I", sum([blocks[kind] for kind in kind_of]))
        return kinds.found, kind_of

    def dtypes(self) -> tuple[list[str], Sequence[int]]:
        """The dtypes that occur, and which of them each tensor has."""
        names = self.items("dtype_names")
        if not all(type(name) is str and name in ITEM_SIZE for name in names):
            raise ValueError(f"unknown dtypes in {str(names)[:200]}")
        codes = self.column("dtypes", "B", self.count)
        if self.count and max(codes) >= len(names):
            raise ValueError("a tensor has no dtype")
        return names, codes

    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes, not checked."""
        ranks = self.column("ranks", "B", self.count)
        return cut(self.column("dims", "Q", sum(ranks)).tolist(), ranks)

    def _keys(self, codes: Sequence[int], lengths: Sequence[int]) -> Iterable[tuple[int, ...]]:
        """For each tensor the number of its dtype, its stored bytes and its shape."""
        ranks = self.column("ranks", "B", self.count)
        rank = ranks[0] if self.count else 0
        if bytes(ranks).count(rank) == self.count:
            dims = iter(self.column("dims", "Q", rank * self.count))
            return zip(codes, lengths, *[dims] * rank)
        return [(*both, *shape) for *both, shape in zip(codes, lengths, self.shapes())]

    def column(self, key: str, code: str, count: int | None) -> memoryview[int]:
        """The integers of a field, as many as `count` says: `B`, `I` or `Q`, of 1, 4 or 8 bytes each."""
        data = self._fields[key]
        width = _WIDTHS[code]
        if not isinstance(data, _BINARY) or count not in (None, len(data) / width):
            raise ValueError(f"{key} is not {count} integers of {width} bytes")
        if sys.byteorder == "big":
            pieces = [bytes(data[at : at + width][::-1]) for at in range(0, len(data), width)]
            data = b"".join(pieces)
        return memoryview(data).cast(code)  # type: ignore[call-overload, no-any-return]

    def items(self, key: str) -> list[Any]:
        """A field that is a list."""
        value = self._fields[key]
        if not isinstance(value, list):
            raise ValueError(f"{key} is not a list")
        return value

    def _names(self) -> list[str]:
        blob = self._fields["names"]
        if not isinstance(blob, _BINARY):
            raise ValueError("names is not binary")
        ends = self.column("name_ends", "Q", None).tolist()
        if ends != sorted(ends) or (ends[-1] if ends else 0) != len(blob):
            raise ValueError("name_ends does not fit names")
        starts = [0, *ends[:-1]]
        text = str(blob, "utf-8")
        if text.isascii():
            return [text[start:end] for start, end in zip(starts, ends)]
        del text  # it may be four times as long as the bytes
        return [str(blob[start:end], "utf-8") for start, end in zip(starts, ends)]

    def _strings(self, key: str) -> dict[str, str]:
        value = self._fields[key]
        if not isinstance(value, dict) or not all(
            type(k) is str and type(v) is str for k, v in value.items()
        ):
            raise ValueError(f"{key} is not a map of strings")
        return value

    def _aliases(self) -> dict[str, str]:
        aliases, rows = self._strings("aliases"), self.rows
        dangling = [f"{a!r} -> {b!r}" for a, b in aliases.items() if b not in rows or a in rows]
        if dangling:
            raise ValueError(f"aliases of nothing, or of themselves: {', '.join(dangling[:5])}")
        return aliases

    def _metagraph(self) -> tuple[int, int, int] | None:
        """Offset, length and checksum."""
        data = self._fields["metagraph"]
        if data is None:
            return None
        if not isinstance(data, _BINARY) or len(data) != 20:
            raise ValueError("metagraph is not 20 bytes")
        if (length := _number(data, 8, 8)) > MOST_METAGRAPH:
            raise ValueError(f"the MetaGraph has {length} bytes, expected at most {MOST_METAGRAPH}")
        return _number(data, 0, 8), _number(data, 8, 8), _number(data, 16, 4)


def _any(numbers: memoryview[int]) -> bool:
    """True when one of them is not 0."""
    return numbers.tobytes() != bytes(numbers.nbytes)


class _Kinds(dict[tuple[int, ...], int]):
    """The number of each kind of tensor by the number of its dtype, its stored bytes and its shape, checked when new."""

    def __init__(self, dtypes: list[str]) -> None:
        super().__init__()
        self._dtypes = dtypes
        self.found: list[Kind] = []

    def __missing__(self, key: tuple[int, ...]) -> int:
        code, length, *shape = key
        kind = self._dtypes[code], tuple(shape), length
        check_shape(kind[1])
        check_length(*kind)
        self[key] = number = len(self.found)
        self.found.append(kind)
        return number


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise ValueError when no array can have it."""
    # numpy multiplies the sizes of empty arrays too, leaving out the zeros
    if len(shape) > _MAX_RANK or product([size or 1 for size in shape]) * 16 >= 1 << 63:
        raise ValueError(f"has the impossible shape {shape}")


def check_length(dtype: str, shape: tuple[int, ...], length: int) -> None:
    """Raise ValueError unless a raw part of this shape can take `length` bytes."""
    size = product(shape)
    if length != size * ITEM_SIZE[dtype] if dtype != "string" else length < size * STRING_END:
        raise ValueError(f"takes {length} bytes, which does not fit {shape} of {dtype}")


def blocks_of(length: int, block: int = BLOCK) -> int:
    """How many blocks, and so checksums, cover `length` bytes."""
    return -(-length // block)


def flat_fields(data: bytes) -> dict[Any, Any] | None:
    """The msgpack map in `data`, when no list or map in it holds another: then it needs no msgpack. None otherwise.

    Whatever is unusual, be it damage, is None too, and left to msgpack: a test compares them. Loading msgpack takes as
    long as listing a hundred variables. Binary values are views of `data`.
    """
    try:
        fields, end = _value(memoryview(data), 0, 2)
    except (ValueError, IndexError):  # also UnicodeDecodeError
        return None
    return fields if end == len(data) and isinstance(fields, dict) else None


def _value(data: memoryview, at: int, depth: int) -> tuple[Any, int]:
    """The value at `at`, and where it ends, which may be behind the end of `data`."""
    code = data[at]
    if code < 0x80:
        return code, at + 1
    if 0x80 <= code <= 0x8F or code == 0xDE:
        return _map(data, at, depth)
    if 0x90 <= code <= 0x9F or code == 0xDC:
        return _list(data, at, depth)
    if 0xA0 <= code <= 0xBF:
        end = at + 1 + (code & 31)
        return str(data[at + 1 : end], "utf-8"), end
    if code == 0xC0:
        return None, at + 1
    if code in _SIZED:
        kind, width = _SIZED[code]
        at += 1 + width
        number = int.from_bytes(data[at - width : at], "big")
        if kind is int:
            return number, at
        found = data[at : at + number]
        return found if kind is bytes else str(found, "utf-8"), at + number
    raise ValueError(f"code {code}")


_SIZED = {
    0xC4: (bytes, 1), 0xC5: (bytes, 2), 0xC6: (bytes, 4), 0xD9: (str, 1), 0xDA: (str, 2), 0xDB: (str, 4),
    0xCC: (int, 1), 0xCD: (int, 2), 0xCE: (int, 4), 0xCF: (int, 8),
}  # fmt: skip


def _counted(data: memoryview, at: int, depth: int) -> tuple[int, int]:
    """How many entries a list or map has, and where the first begins."""
    if not depth:
        raise ValueError("a container in a container")
    if data[at] in (0xDC, 0xDE):
        return data[at + 1] << 8 | data[at + 2], at + 3
    return data[at] & 15, at + 1


def _map(data: memoryview, at: int, depth: int) -> tuple[dict[Any, Any], int]:
    count, at = _counted(data, at, depth)
    if count > (MAX_FIELDS if depth == 2 else MAX_LIST):
        raise ValueError("many fields, or a long map")
    found = {}
    for _ in range(count):
        key, at = _value(data, at, 0)
        if type(key) is not str:
            raise ValueError("a key that is no text")
        found[key], at = _value(data, at, depth - 1)
    return found, at


def _list(data: memoryview, at: int, depth: int) -> tuple[list[Any], int]:
    count, at = _counted(data, at, depth)
    if count > MAX_LIST:
        raise ValueError("a long list")
    found = []
    for _ in range(count):
        value, at = _value(data, at, depth - 1)
        found.append(value)
    return found, at
