"""How often variable scopes were opened, so that one with a default name gets a name that is new. Knows no graphs.

A program opens thousands of scopes: what the end of one changes is found without a look at all the others.
"""

from __future__ import annotations

from collections import defaultdict


class ScopeCounts:
    """Counts by the full names of scopes."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._below: defaultdict[str, set[str]] = defaultdict(set)  # scope -> those in it
        self._free: dict[str, int] = {}  # name -> a number up to which all are taken
        self._marks = 0
        self._before: list[tuple[str, int]] = []  # what changed since the first mark, and was

    def opened(self, name: str) -> None:
        """Count a scope once more."""
        self._set(name, self._counts.get(name, 0) + 1)

    def unique(self, name: str) -> str:
        """The name, or the first of `name_1`, `name_2`, … that was not opened."""
        if name not in self._counts:
            return name
        number = self._free.get(name, 1)
        while f"{name}_{number}" in self._counts:
            number += 1
        self._free[name] = number
        return f"{name}_{number}"

    def forget_below(self, name: str) -> None:
        """Scopes in this one were never opened."""
        for inner in tuple(self._below.get(name, ())):
            self._set(inner, 0)

    def mark(self) -> int:
        """Begin a block that leaves no trace; `take_back` ends it."""
        self._marks += 1
        return len(self._before)

    def take_back(self, mark: int) -> None:
        """All counts are what they were when this mark was set."""
        while len(self._before) > mark:
            name, count = self._before.pop()
            self._put(name, count)
        self._marks -= 1

    def _set(self, name: str, count: int) -> None:
        if self._marks:
            self._before.append((name, self._counts.get(name, 0)))
        self._put(name, count)

    def _put(self, name: str, count: int) -> None:
        at = name.find("/")
        if count:
            self._counts[name] = count
            while at >= 0:
                self._below[name[:at]].add(name)
                at = name.find("/", at + 1)
            return
        self._free.clear()
        self._counts.pop(name, None)
        while at >= 0:
            self._below[name[:at]].discard(name)
            at = name.find("/", at + 1)
