"""JSON text read from its bytes some values at a time, so that little of it is held besides them.

A character beyond the basic plane makes Python hold four bytes for each character of the same text; an empty list takes 64.
Must not know what the values mean. Loads no numpy.
"""

from __future__ import annotations

import json
import re
from codecs import utf_8_decode
from collections.abc import Iterator
from typing import Any

from ckpt.core.collector import paused
from ckpt.wire.metagraph_body import Damage

WINDOW = 1 << 18  # bytes that are text at one time; a value that they hold is built at once
_MOST_MEMBERS = 1 << 18  # names of one object that is larger than that
_FEW = 4096  # names, lists and objects that a flat object may have besides
_SPACE = re.compile(r"[ \t\n\r]*")
_IN_TEXT = re.compile(
    rb'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){0,256}'  # a repetition of groups takes memory
)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a name twice")
    return made


_decode = json.JSONDecoder(object_pairs_hook=_object).raw_decode


class Cursor:
    """Goes over the values of JSON text. Methods raise Damage, which names the byte where the text is wrong.

    `window` is the byte from which on there is text at present.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.go_to(0)

    def go_to(self, at: int) -> None:
        """Read on from the byte `at`, at which a character begins."""
        end = min(at + WINDOW, len(self.data))
        self._is_last = end == len(self.data)
        try:
            self._text, _ = utf_8_decode(memoryview(self.data)[at:end], "strict", self._is_last)
        except UnicodeDecodeError as error:
            raise Damage(f"byte {at + error.start} is not UTF-8: {error.reason}") from None
        self.window, self._next = at, 0

    def tell(self) -> int:
        """The byte that is read next."""
        if self._text.isascii():
            return self.window + self._next
        return self.window + len(self._text[: self._next].encode())

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            self._next = _SPACE.match(self._text, self._next).end()  # type: ignore[union-attr]  # it always matches
            if self._next < len(self._text):
                return self._text[self._next]
            if self._is_last:
                return ""
            self.go_to(self.tell())

    def take(self, marks: str) -> str:
        """The next character that is no white space, which must be one of `marks`."""
        found = self.peek()
        if not found or found not in marks:
            what = repr(found) if found else "the end"
            raise self._damage(f"{what} where {' or '.join(marks)} should be")
        self._next += 1
        return found

    def small(self) -> tuple[bool, Any]:
        """(True, the next value), or (False, None) where it is longer than a window, or wrong; then it is still the next."""
        self.peek()
        for _ in range(2):
            try:
                value, end = _decode(self._text, self._next)
            except RecursionError:
                raise self._damage("values are nested too deep") from None
            except ValueError as error:
                if self._is_last:
                    raise self._damage(getattr(error, "msg", str(error))) from None
            else:
                # what looks like the end of a number may be the end of the window
                if self._is_last or type(value) not in (int, float) or end + 3 < len(self._text):
                    self._next = end
                    return True, value
            if not self._next:
                break
            self.go_to(self.tell())
        return False, None

    def members(self) -> Iterator[str]:
        """The names in the object that begins here; whoever is given one must read its value before the next."""
        self.take("{")
        known: set[str] = set()
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            _, name = self.small()
            if type(name) is not str:
                raise self._damage("no name where one should be")
            if name in known or len(known) == _MOST_MEMBERS:
                raise self._damage("an object has a name twice, or very many names")
            known.add(name)
            self.take(":")
            yield name
            if self.take(",}") == "}":
                return

    def items(self) -> Iterator[int]:
        """The numbers of the values in the list that begins here; each value must be read before the next."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        number = 0
        while True:
            yield number
            number += 1
            if self.take(",]") == "]":
                return

    def text(self) -> tuple[int, int]:
        """Where the characters of the text that begins here, which may be long, begin and end."""
        self.take('"')
        begin = end = self.tell()
        while (found := _IN_TEXT.match(self.data, end)) and found.end() > end:
            end = found.end()
        if self.data[end : end + 1] != b'"':
            raise Damage(f"the text from byte {begin} on does not end, or is wrong at byte {end}")
        self.go_to(end + 1)
        return begin, end

    def _damage(self, what: str) -> Damage:
        return Damage(f"not JSON at byte {self.tell()}: {what}")


def flat_object(text: str, likely: int) -> dict[str, Any]:
    """The members of a JSON object, which has some `likely` many, that are no containers; {} where the text is no object, or
    has thousands more."""
    try:
        if sum(map(text.count, ",[{")) <= 2 * likely + _FEW:
            found = json.loads(text) if text else {}
            members = found.items() if isinstance(found, dict) else ()
            return {name: value for name, value in members if not isinstance(value, (dict, list))}
        with paused():
            return _members(Cursor(text.encode()), likely + _FEW)
    except (ValueError, RecursionError, Damage):
        return {}


def _members(cursor: Cursor, most: int) -> dict[str, Any]:
    """The members of a flat object that are no containers; {} where there are more than so many."""
    kept = {}
    for name in cursor.members():
        _, value = cursor.small()
        if not isinstance(value, (dict, list)):
            kept[name] = value
        if len(kept) > most:
            return {}
    return kept
