"""Where msgpack values begin and end, without building them: what is large is passed over where it lies.

Must not know what the values mean. Loads no numpy.
"""

from __future__ import annotations

import struct

from ckpt.wire.metagraph_body import Damage

# bytes of a value that msgpack may copy as a whole, or build: its elements take 16 MiB at most
SMALL = 1 << 18
_DEEPEST = 8  # containers around a value that is not small: a node's list, its attributes, a list of them; with room

ARRAY, MAP, BIN, STR, EXT = range(5)
_LONG = {
    0xC4: (BIN, 1), 0xC5: (BIN, 2), 0xC6: (BIN, 4), 0xC7: (EXT, 1), 0xC8: (EXT, 2), 0xC9: (EXT, 4),
    0xD9: (STR, 1), 0xDA: (STR, 2), 0xDB: (STR, 4), 0xDC: (ARRAY, 2), 0xDD: (ARRAY, 4), 0xDE: (MAP, 2), 0xDF: (MAP, 4),
}  # fmt: skip
_ARRAY_32 = struct.Struct(">BI")


def header(body: memoryview, at: int) -> tuple[int | None, int, int]:
    """What begins at this place, how many elements or bytes it announces, and where they begin; None where it is neither
    a container, nor bytes, a text or an extension, whose type is then the first of them. Raises Damage."""
    code = body[at] if at < len(body) else 0xC1
    if 0x80 <= code <= 0x8F:
        return MAP, code & 15, at + 1
    if 0x90 <= code <= 0x9F:
        return ARRAY, code & 15, at + 1
    if 0xA0 <= code <= 0xBF:
        return STR, code & 31, at + 1
    if code not in _LONG:
        return None, 0, at
    kind, width = _LONG[code]
    begin = at + 1 + width
    if begin > len(body):
        raise Damage("the body ends within a value")
    return kind, int.from_bytes(body[at + 1 : begin], "big") + (kind == EXT), begin


def array_of(items: memoryview, count: int) -> bytes:
    """The msgpack array of so many values that lie end to end."""
    return _ARRAY_32.pack(0xDD, count) + items


class Places:
    """Goes over the values in `body` from `at` on; the bytes that it holds are few. Methods raise Damage or what msgpack raises."""

    def __init__(self, body: memoryview, at: int = 0, depth: int = 0) -> None:
        self._body, self._depth = body, depth
        self._begin(at)

    def _begin(self, at: int) -> None:
        import msgpack

        self._base = at
        self._walker = msgpack.Unpacker(
            _Source(self._body, at), max_buffer_size=SMALL, strict_map_key=True
        )

    def tell(self) -> int:
        """Where the next value begins."""
        return self._base + int(self._walker.tell())

    def read_array_header(self) -> int:
        """How many elements the array that begins here announces; goes to the first."""
        return int(self._walker.read_array_header())

    def read_map_header(self) -> int:
        """How many entries the map that begins here announces; goes to the first key."""
        return int(self._walker.read_map_header())

    def ends(self, count: int) -> list[int]:
        """Where the next value begins, and where it and the `count - 1` after it end; goes behind them."""
        from msgpack import BufferFull

        walker, base = self._walker, self._base
        skip, tell = walker.skip, walker.tell
        found = [base + tell()]
        for _ in range(count):
            try:
                skip()
            except BufferFull:
                self._skip_large(found[-1])
                walker, base = self._walker, self._base
                skip, tell = walker.skip, walker.tell
            found.append(base + tell())
        return found

    def _skip_large(self, at: int) -> None:
        """Go behind the value that begins at `at`: bytes that msgpack would hold as a whole, or what holds such bytes."""
        kind, count, begin = header(self._body, at)
        if kind in (ARRAY, MAP):
            if self._depth == _DEEPEST:
                raise Damage(f"a large value is nested more than {_DEEPEST} deep")
            inside = Places(self._body, begin, self._depth + 1)
            for _ in range(count if kind == ARRAY else 2 * count):
                inside.ends(1)
            self._begin(inside.tell())
            return
        if begin + count > len(self._body):
            raise Damage("the body ends within a value")
        self._begin(begin + count)


class _Source:
    """What a streaming unpacker reads from."""

    def __init__(self, body: memoryview, at: int) -> None:
        self._body, self._at = body, at

    def read(self, count: int) -> bytes:
        piece = bytes(self._body[self._at : self._at + count])
        self._at += len(piece)
        return piece
