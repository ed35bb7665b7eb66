"""Where nodes were made: the program's frames, noted cheaply with each node and turned into lines only when asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import Self

PACKAGE = str(Path(__file__).resolve().parent.parent)
DEPTH = 12
"""At most so many frames are noted."""

Origin = tuple[Any, ...]
"""Code objects and instruction offsets in turn, innermost first: a flat tuple, which the garbage collector skips."""


class Imported(tuple[Any, ...]):  # noqa: SLOT001  # a tuple of any length takes no slots
    """The origin of nodes that came with a graph from elsewhere: of which `source`, and whether they may use files.

    All nodes of one import share it, and their copies keep it.
    """

    source: str
    may_use_files: bool

    def __new__(cls, noted: Origin, source: str, *, may_use_files: bool = False) -> Self:
        """The origin of what was imported at `noted`."""
        found = super().__new__(cls, noted)
        found.source, found.may_use_files = source, may_use_files
        return found


class Line(NamedTuple):
    """One frame of an origin."""

    filename: str
    number: int
    function: str


class _Outside(dict[str, bool]):
    """For the name of each file whether it is outside of this package."""

    def __missing__(self, filename: str) -> bool:
        self[filename] = found = not filename.startswith(PACKAGE)
        return found


_OUTSIDE = _Outside()


def origin(depth: int = 2) -> Origin:
    """The innermost frames outside this package, from the one `depth` calls above on."""
    found: list[Any] = []
    frame: Any = sys._getframe(depth)
    outside = _OUTSIDE
    while frame is not None:
        code = frame.f_code
        if outside[code.co_filename]:
            found += code, frame.f_lasti
            if len(found) == 2 * DEPTH:
                break
        frame = frame.f_back
    return tuple(found)


def lines(noted: Origin) -> list[Line]:
    """The lines of an origin, innermost first."""
    pairs = zip(noted[::2], noted[1::2], strict=True)
    return [Line(code.co_filename, _line_at(code, at), code.co_name) for code, at in pairs]


def _line_at(code: Any, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return int(line)
    return int(code.co_firstlineno)
