"""Names of nodes and scopes: which are valid, and which are free. Knows no graph."""

from __future__ import annotations

import re
from collections.abc import Collection

_FIRST = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_INSIDE = re.compile(r"[A-Za-z0-9_.\\/>-]*")
_LINES = re.compile(rf"(?:{_FIRST.pattern}\n)*")


def is_valid(name: str, is_inside: bool) -> bool:
    """Whether nodes and scopes may have this name; one that `is_inside` a scope may begin with more characters."""
    return (_INSIDE if is_inside else _FIRST).fullmatch(name) is not None


def are_valid(names: Collection[str]) -> bool:
    """Whether nodes may have all these names."""
    lines = "".join([f"{name}\n" for name in names])
    return _LINES.fullmatch(lines) is not None and lines.count("\n") == len(names)


def claimed(in_use: dict[str, int], full: str, mark_as_used: bool = True) -> str:
    """`full`, with `_1`, `_2` … where `in_use` has it (whatever its case), and entered there if asked."""
    key = full.lower()
    count = in_use.get(key, 0)
    if mark_as_used:
        in_use[key] = count + 1
    if count:
        base = key
        while key in in_use:
            key = f"{base}_{count}"
            count += 1
        if mark_as_used:
            in_use[base] = count
            in_use[key] = 1
        full = f"{full}_{count - 1}"
    return full
