"""What a mistyped name may mean, as the end of an error's sentence. Knows names only."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

_FEW = 5000


def similar(name: str, names: Iterable[str], most: int | None = _FEW) -> str:
    """`; similar: a, b, c` for up to three names that are spelled nearly so, the nearest first; else nothing.

    Of many names the first `most` are looked at, all for None: 5,000 take 30 ms.
    """
    from difflib import get_close_matches  # only an error needs it

    found = get_close_matches(name, list(islice(dict.fromkeys(names), most)), n=3)
    return f"; similar: {', '.join(found)}" if found else ""


def scopes_of(names: Iterable[str]) -> set[str]:
    """All scopes that these names lie in."""
    found: set[str] = set()
    for name in names:
        scope = name.rpartition("/")[0]
        while scope and scope not in found:
            found.add(scope)
            scope = scope.rpartition("/")[0]
    return found
