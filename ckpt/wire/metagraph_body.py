"""The body of a `.meta` file: sealed by a checksum, perhaps deflated, one msgpack value; see docs/formats/metagraph.md.

Must not know what the records in it mean. `ckpt inspect` counts a graph with this module and msgpack: no dataclasses,
no typing, no numpy here.
"""

from __future__ import annotations

import struct
import zlib

from ckpt.core.checksum import crc32c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MAGIC = b"\x89ckptMG\n"
VERSION = 1
_TINY = 512  # bytes; the lists that fewer announce take less than a megabyte
LARGE = 1 << 19  # bytes; a smaller body cannot take more than 32 MiB
_HEAD = struct.Struct("<8sIIQ")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")  # of a deflated body before it was deflated
_PLAIN, _DEFLATED = 0, 1  # how the body is encoded
_DEFLATED_FROM, _DEFLATED_UP_TO = 16 * 1024, 256 << 20  # bytes; more are stored as they are
_AT_ONCE = 1 << 18  # bytes that are unfolded at one time
_ALWAYS_ALLOWED = 4 << 20  # a deflated body may have been so many bytes, ...
_MOST_EXPANSION = 32  # ... or so many times what it is now; graphs reach 25
HEADER_BYTES = _HEAD.size + _CRC.size


class Damage(Exception):
    """The file is not what the format says; the text names the place in it."""


class LaterVersion(Damage):
    """The file is of a version that this one cannot read."""


def sealed(body: bytes, *, may_deflate: bool = True) -> bytes:
    """The bytes of a `.meta` file with this body."""
    encoding = _PLAIN
    if may_deflate and _DEFLATED_FROM <= len(body) <= _DEFLATED_UP_TO:
        # names and attributes repeat: 14 MB for 20,000 variables become 1 MB, of which each save writes two copies
        deflated = _LENGTH.pack(len(body)) + zlib.compress(body, 1)
        if len(body) <= largest(len(deflated)):
            body, encoding = deflated, _DEFLATED
    head = _HEAD.pack(MAGIC, VERSION, encoding, len(body))
    return head + _CRC.pack(crc32c(body, crc32c(head))) + body


def unsealed(data: bytes | memoryview) -> memoryview:
    """The body of a `.meta` file, checked. Raises Damage."""
    if len(data) < HEADER_BYTES or data[: len(MAGIC)] != MAGIC:
        raise Damage("is not a ckpt .meta file, or its beginning is damaged")
    _, version, encoding, length = _HEAD.unpack_from(data)
    if length != len(data) - HEADER_BYTES:
        held = len(data) - HEADER_BYTES
        raise Damage(
            f"the header declares {length} bytes, the file holds {held}; it was cut short or appended to"
        )
    (stored,) = _CRC.unpack_from(data, _HEAD.size)
    body = memoryview(data)[HEADER_BYTES:]
    if crc32c(body, crc32c(data[: _HEAD.size])) != stored:
        raise Damage("the checksum does not match; the file is damaged")
    if version > VERSION or encoding > _DEFLATED:
        raise LaterVersion(
            f"is a .meta file of version {version}; this ckpt reads up to {VERSION}, update it"
        )
    if version < 1:
        raise Damage(f"version {version} does not exist")
    return _inflated(body) if encoding == _DEFLATED else body


def unfolded(data: bytes | memoryview) -> int:
    """How long the body of a `.meta` file is said to be when it is no longer deflated."""
    if len(data) < HEADER_BYTES + _LENGTH.size or _HEAD.unpack_from(data)[2] == _PLAIN:
        return len(data)
    (length,) = _LENGTH.unpack_from(data, HEADER_BYTES)
    return int(length)


def largest(deflated: int) -> int:
    """What so many deflated bytes may have been: the records in them take up to 40 times that."""
    return max(deflated, min(max(_ALWAYS_ALLOWED, _MOST_EXPANSION * deflated), _DEFLATED_UP_TO))


def _inflated(body: memoryview) -> memoryview:
    """The body that was deflated; no more memory is taken than it declares."""
    if len(body) < _LENGTH.size:
        raise Damage("is too short to be deflated")
    (length,) = _LENGTH.unpack_from(body)
    if length > largest(len(body)):
        raise Damage(f"{len(body)} bytes claim to be {length} deflated ones")
    found, at = bytearray(length), 0
    try:
        for piece in _pieces(body[_LENGTH.size :]):
            if at + len(piece) > length:
                at = length + 1
                break
            found[at : at + len(piece)] = piece
            at += len(piece)
    except zlib.error as error:
        raise Damage(f"its body is no deflate stream: {error}") from error
    except EOFError:
        at = -1
    if at != length:
        raise Damage(f"its body is not the {length} deflated bytes that it declares")
    return memoryview(found).toreadonly()


def _pieces(body: memoryview) -> Iterator[bytes]:
    """What the zlib stream that is all of `body` holds, a little at a time. Raises EOFError when it is not all of it."""
    stream = zlib.decompressobj()
    for at in range(0, len(body), _AT_ONCE):
        waiting: bytes | memoryview = body[at : at + _AT_ONCE]
        while waiting:
            yield stream.decompress(waiting, _AT_ONCE)
            waiting = stream.unconsumed_tail
    while not stream.eof and (piece := stream.decompress(b"", _AT_ONCE)):
        yield piece
    if not stream.eof or stream.unused_data:
        raise EOFError


def parsed(
    body: bytes | memoryview, ext_hook: Callable[[int, Any], Any], *, looks: bool = False
) -> Any:
    """The one msgpack value in `body`, an extension type or small; `looks` as in `metagraph_large.built`. Raises Damage."""
    with MsgpackErrors():
        if len(body) > _TINY:
            _check_present(memoryview(body))
        if len(body) <= LARGE:
            return unpackb(body, ext_hook)
        from ckpt.wire.metagraph_large import built

        return built(memoryview(body), ext_hook, looks=looks)


def unpackb(body: bytes | memoryview, ext_hook: Callable[[int, bytes], Any], **options: Any) -> Any:
    """The msgpack value in `body`. Raises errors of msgpack."""
    import msgpack

    return msgpack.unpackb(body, ext_hook=ext_hook, strict_map_key=True, **options)


def _check_present(body: memoryview) -> None:
    """Raise Damage, or an error of msgpack, unless `body` is one value all of whose elements are there.

    msgpack allocates a list for as many elements as its header declares; so the value is walked first without
    building it.
    """
    from ckpt.wire.metagraph_places import Places  # it and this module need each other

    _, end = Places(body).ends(1)
    if end != len(body):
        raise Damage(f"{len(body) - end} bytes follow the value")


class MsgpackErrors:
    """A context in which errors of msgpack become Damage."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import msgpack

        if isinstance(error, UnicodeDecodeError):
            raise Damage(f"a text is not UTF-8: {error.reason}") from error
        if isinstance(error, (msgpack.UnpackException, ValueError, TypeError, RecursionError)):
            raise Damage(f"not msgpack: {type(error).__name__} {error}") from error
