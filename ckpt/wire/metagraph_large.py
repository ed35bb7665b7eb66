"""A msgpack value that may be large, built; or only looked at, so that nothing of it is held but what tells its parts apart.

Must not know what the values mean. Loads no numpy.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ckpt.wire.metagraph_body import Damage, unpackb
from ckpt.wire.metagraph_budget import MOST_ELEMENTS, record_budget
from ckpt.wire.metagraph_places import ARRAY, BIN, EXT, MAP, SMALL, STR, Places, array_of, header

# the extension's number and its bytes, where they lie if they are many
Hook = Callable[[int, Any], Any]
_MEDIUM = 1 << 20  # bytes of a value that msgpack builds at once, if it is to be kept
_TOGETHER = 256  # elements that are built at once while they are small
_SHORT = 64  # characters of a text that is held though it is only looked at
_TEXT, _BYTES = "…", b""  # what stands for others


def built(record: memoryview, ext_hook: Hook, *, looks: bool) -> Any:
    """The one value that is `record`, which is there as a whole. Raises Damage or what msgpack raises.

    With `looks`, long texts and bytes within a large value are checked and others stand for them.
    """
    if len(record) <= SMALL:
        return unpackb(record, ext_hook)
    return _Large(record, ext_hook, looks=looks).value(0, len(record))


class _Large:
    def __init__(self, body: memoryview, ext_hook: Hook, *, looks: bool) -> None:
        self._body, self._ext_hook, self._looks = body, ext_hook, looks
        self._at_once = SMALL if looks else _MEDIUM
        budget = self._budget = record_budget()
        self._options: dict[str, Any] = {
            "list_hook": budget.take,
            "object_hook": budget.take,
            "max_array_len": MOST_ELEMENTS,
            "max_map_len": MOST_ELEMENTS,
        }

    def value(self, begin: int, end: int) -> Any:
        if end - begin <= self._at_once:
            found = unpackb(self._body[begin:end], self._ext_hook, **self._options)
            return light(found) if self._looks else found
        kind, count, at = header(self._body, begin)
        content = self._body[at:end]
        if kind == ARRAY:
            return self._items(at, count)
        if kind == MAP:
            return self._map(at, count)
        if kind == BIN:
            return _BYTES if self._looks else bytes(content)
        if kind == STR:
            return checked_text(content) if self._looks else str(content, "utf-8")
        if kind == EXT:
            return self._ext_hook(content[0], content[1:])
        raise Damage("a value that is no msgpack")

    def _map(self, at: int, count: int) -> dict[str, Any]:
        items = self._items(at, 2 * count)
        keys = items[::2]
        if not all([type(key) is str for key in keys]):
            raise Damage("the key of a map is no text")
        return dict(zip(keys, items[1::2], strict=True))

    def _items(self, at: int, count: int) -> list[Any]:
        """The `count` values that begin at `at`."""
        self._budget.spend(1 + count)
        places, made = Places(self._body, at), list[Any]()
        while len(made) < count:
            ends = places.ends(min(count - len(made), _TOGETHER))
            together = len(ends) - 1
            if ends[-1] - ends[0] <= SMALL:
                raw = array_of(self._body[ends[0] : ends[-1]], together)
                found = unpackb(raw, self._ext_hook, **self._options)
                made += map(light, found) if self._looks else found
            else:
                made += [self.value(a, b) for a, b in pairwise(ends)]
        return made


def light(value: Any) -> Any:
    """For a value that is only looked at, one that holds less, and is of the same type."""
    if type(value) is bytes:
        return _BYTES
    if type(value) is str:
        return value if len(value) <= _SHORT else _TEXT
    if type(value) is list:
        return list(map(light, value))
    if type(value) is dict:
        return {key: light(item) for key, item in value.items()}
    return value


def checked_text(content: memoryview) -> str:
    """What stands for a long text, which is seen to be UTF-8. Raises UnicodeDecodeError."""
    decoder = getincrementaldecoder("utf-8")()
    for at in range(0, len(content), SMALL):
        decoder.decode(content[at : at + SMALL])
    decoder.decode(b"", final=True)
    return _TEXT
