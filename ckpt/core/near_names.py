"""Which names of a checkpoint are near a name that is missing: found through tables, never by comparing all with all.

Knows no files, no graphs.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ckpt.core.same_words import is_moved, last_word, meaning
from ckpt.core.tensor_roles import AVERAGE_KIND, kind

Shape = tuple[int | None, ...] | None

_SIGNS, _DIGITS, _NUMBER = map(re.compile, (r"[^a-z0-9]+", r"\d+", r"[_:]\d+$"))
_PLACE = re.compile(r"_?(\d+)(?=[/.:]|$)")  # the number of a layer, at the end of a part
_NEAR = 12  # near names that one table gives
_SAMPLE = 96  # missing names from which rules are guessed
# what no model has, and what would take gigabytes or hours: the names may be a hostile file's
_LONGEST, _MOST_PARTS = 400, 32  # characters and parts of a name that is compared
_MOST_TEXT = 1 << 23  # characters of all names that are


@dataclass(frozen=True, slots=True)
class Named:
    """A tensor wanted or held: its name, dtype and shape (None where it is not known)."""

    name: str
    dtype: str
    shape: Shape

    def fits(self, held: Named) -> bool:
        """Whether the values of `held` can be this one's."""
        return self.dtype == held.dtype and _compatible(self.shape, held.shape)

    def __str__(self) -> str:
        return f"{self.dtype}{'[?]' if self.shape is None else list(self.shape)}".replace(
            "None", "?"
        )


class Search:
    """The missing and the spare, with tables to find near names."""

    def __init__(
        self,
        wanted: Iterable[Named],
        held: Iterable[Named],
        beside: Iterable[str] = (),
        *,
        shown: int,
    ) -> None:
        """`beside`: names in the checkpoint that are none of the model's. `shown`: for how many of the missing, the first
        ones, near names will be asked for, besides the `sample`.
        """
        self.wanted = {n.name: n for n in wanted}
        self.held = {n.name: n for n in held}
        self.missing = {name: n for name, n in self.wanted.items() if name not in self.held}
        no_source = {*self.wanted, *beside}
        self.spare = {name: n for name, n in self.held.items() if name not in no_source}
        self.matched = self.wanted.keys() & self.held.keys()
        missing = list(self.missing)
        self.sample = sample(missing, _SAMPLE)
        self._asked = list(dict.fromkeys([*self.sample, *missing[:shown]]))
        self.akin: dict[str, None] = {}  # the spare names that were near one that was asked for
        self._kinds: dict[str, tuple[str, ...]] = {}

    def copied(self) -> list[str]:
        """The spare names of a scope that repeats, under one more name, what variables find under their own names.

        Where `net/w` is found, `student/net/w` is that of a second model beside it.
        """
        copies: dict[str, list[str]] = defaultdict(list)
        others = {_parts(name)[0] for name in self.matched}
        found: set[str] = set()
        for name in self.spare:
            scope = _parts(name)[0]
            rest = name[len(scope) + 1 :]
            if rest not in self.held or not self.held[rest].fits(self.held[name]):
                others.add(scope)
                continue
            copies[scope].append(name)
            if rest in self.matched and self.wanted[rest].fits(self.held[rest]):
                found.add(scope)
        return [name for scope in found - others for name in copies[scope]]

    @cached_property
    def _tables(self) -> list[dict[object, list[str]]]:
        """Key -> the first spare names that have it, the most telling keys first; only keys of names that are asked for.

        So a checkpoint of very many names takes no memory for their keys, and most are passed over for want of a common part.
        """
        tables: list[dict[object, list[str]]] = [{} for _ in _KEYS]
        words = set[str]()
        for name in self._asked:
            parts = _parts(name)
            words.update(parts, (_NUMBER.sub("", parts[-1]),))
            for keys, table in zip(_KEYS, tables, strict=True):
                table.update((key, []) for key in keys(name, parts))
        for name in self.spare:
            parts = _parts(name)
            is_akin = not words.isdisjoint(parts) or _NUMBER.sub("", parts[-1]) in words
            for keys, table in zip(_KEYS if is_akin else _KEYS[:1], tables, strict=False):
                for key in keys(name, parts):
                    if key in table and len(table[key]) < _NEAR:
                        table[key].append(name)
        return tables

    @cached_property
    def by_shape(self) -> dict[object, list[str]]:
        """(dtype, shape) -> spare names."""
        table: dict[object, list[str]] = defaultdict(list)
        for named in self.spare.values():
            table[named.dtype, named.shape].append(named.name)
        return table

    @cached_property
    def missing_by_shape(self) -> Counter[object]:
        """How many missing variables have one dtype and shape."""
        return Counter((n.dtype, n.shape) for n in self.missing.values())

    def near(self, wanted: str) -> list[str]:
        """Spare names that have something in common with one that is asked for, the most telling first."""
        found: dict[str, None] = {}
        parts = _parts(wanted)
        for keys, table in zip(_KEYS, self._tables, strict=True):
            before = len(found)
            for key in keys(wanted, parts):
                found.update(dict.fromkeys(table[key]))
                if len(found) - before >= _NEAR:
                    break
        self.akin.update(found)
        return list(found)

    def is_alone(self, named: Named) -> str | None:
        """The only spare tensor of the dtype and shape of the only such variable missing."""
        key = (named.dtype, named.shape)
        held = self.by_shape.get(key, [])
        return held[0] if len(held) == 1 == self.missing_by_shape[key] else None

    @cached_property
    def sure(self) -> dict[str, str]:
        """Missing -> spare where the two names alone are evidence enough, and no other name is in question.

        They say the same in other words, or are the only ones of their dtype and shape and only the scope has changed.
        """
        wanted = _by_meaning(self.wanted)
        last = {said[-1] for said in wanted}
        held = _by_meaning([name for name in self.held if last_word(name) in last])
        found: dict[str, str] = {}
        for said, names in wanted.items():
            others = held.get(said, ())
            if len(names) == len(others) == 1 and names[0] in self.missing:
                found[names[0]] = others[0]
        few = self._alone()
        for name in self.missing:
            if name not in found and name in few and is_moved(few[name], name):
                found[name] = few[name]
        counts = Counter(found.values())
        return {
            w: h
            for w, h in found.items()
            if counts[h] == 1 and h in self.spare and self.accepts(self.missing[w], self.spare[h])
        }

    def _alone(self) -> dict[str, str]:
        """Name wanted -> held, of those with a dtype, a shape and a kind that no others have."""
        sides: list[dict[object, list[str]]] = []
        for side in (self.wanted, self.held):
            table: dict[object, list[str]] = defaultdict(list)
            for name, named in side.items():
                if named.shape:
                    table[named.dtype, named.shape, self.kind(name)].append(name)
            sides.append(table)
        wanted, held = sides
        return {
            names[0]: held[key][0]
            for key, names in wanted.items()
            if len(names) == 1 == len(held.get(key, ()))
        }

    @cached_property
    def _sure_for(self) -> dict[str, str]:
        """Spare -> the missing one that it surely is."""
        return {held: wanted for wanted, held in self.sure.items()}

    def is_against(self, wanted: str, held: str) -> bool:
        """Whether taking `held` for `wanted` contradicts what is sure."""
        return self.sure.get(wanted, held) != held or self._sure_for.get(held, wanted) != wanted

    @cached_property
    def _misplaced(self) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
        """Scope without numbers -> scopes called so in which a name that both have does not fit."""
        found: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
        for name in self.matched:
            if not self.wanted[name].fits(self.held[name]):
                scope = _parts(name)[:-1]
                found[_unnumbered(scope)].add(scope)
        return found

    def is_misplaced(self, wanted: str) -> bool:
        """Whether a layer called so but for its number does not fit: then it may be this one, numbered anew."""
        if not self._misplaced:
            return False
        parts = _parts(wanted)
        scopes = (parts[:end] for end in range(1, len(parts)))
        return any(self._misplaced.get(_unnumbered(s), set()) - {s} for s in scopes)

    @cached_property
    def _numbered_as_wanted(self) -> set[str]:
        """The names that both have, without the numbers of their layers."""
        return {unplaced(name) for name in self.matched}

    def is_renumbered(self, wanted: str, held: str) -> bool:
        """Whether only a number differs, and other layers of that kind have the numbers that they should have.

        Where layers are counted from 1 and not from 0 any more, the last one is left over and the first one is missing:
        every layer is another one then, and not the last one the first.
        """
        return (
            unplaced(wanted) == unplaced(held)
            and places(wanted) != places(held)
            and unplaced(wanted) in self._numbered_as_wanted
        )

    def accepts(self, wanted: Named, held: Named) -> bool:
        """Whether `held` may be meant by `wanted`: the same dtype, shape and part in the optimizer."""
        if not wanted.fits(held):
            return False
        mine, theirs = self.kind(wanted.name), self.kind(held.name)
        return mine == theirs or (not mine and theirs == AVERAGE_KIND)

    def kind(self, name: str) -> tuple[str, ...]:
        """What the tensor of this name is for, remembered."""
        if name not in self._kinds:
            self._kinds[name] = kind(name)
        return self._kinds[name]


def unplaced(name: str) -> str:
    """The name without the numbers of its layers: `net/layer_3/kernel` and `net/layer/kernel` are alike."""
    return _PLACE.sub("", name)


def places(name: str) -> list[int]:
    """The numbers of its layers."""
    return [int(number) for number in _PLACE.findall(name)]


def sample(names: Sequence[str], size: int) -> list[str]:
    """Some of the names, the same ones every time, and none of a pattern that the order may have."""
    return list(names) if len(names) <= size else random.Random(size).sample(names, size)


def comparable(tensors: Iterable[Named]) -> list[Named]:
    """Those whose names are no longer than names are; none where even so there are more than can be compared.

    Of some of these nobody could say that they are the only ones of their kind.
    """
    found = [n for n in tensors if len(n.name) <= _LONGEST and len(_parts(n.name)) <= _MOST_PARTS]
    return found if sum([len(n.name) for n in found]) <= _MOST_TEXT else []


def _by_meaning(names: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """What names say -> those that say it."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        found[meaning(name)].append(name)
    return found


def _folded(name: str, _: tuple[str, ...]) -> Iterable[object]:
    """The name without capital letters, separators, numbers, or what stands before and after it."""
    plain = _SIGNS.sub("", name.lower())
    yield plain
    yield _DIGITS.sub("", plain)


def _blanked(_: str, parts: tuple[str, ...]) -> Iterable[object]:
    """The name with one part left out, for each part."""
    for place in range(len(parts) if len(parts) > 1 else 0):
        yield parts[:place] + parts[place + 1 :]
    yield parts


def _ends(_: str, parts: tuple[str, ...]) -> Iterable[object]:
    """How the name ends, the longest first."""
    for start in range(max(0, len(parts) - 6), len(parts)):
        yield parts[start:]
    yield (_NUMBER.sub("", parts[-1]),)


def _starts(_: str, parts: tuple[str, ...]) -> Iterable[object]:
    """How the name begins, the longest first."""
    for end in range(min(len(parts), 6), 0, -1):
        yield parts[:end]


def _scopes(_: str, parts: tuple[str, ...]) -> Iterable[object]:
    """How the scope of the name ends, the longest first: for names that differ at both ends."""
    for start in range(max(0, len(parts) - 7), len(parts) - 1):
        yield parts[start:-1]


_KEYS: tuple[Callable[[str, tuple[str, ...]], Iterable[object]], ...] = (
    _folded,
    _blanked,
    _ends,
    _starts,
    _scopes,
)
"""What names may have in common, the most telling first; all but the first go by whole parts."""


def _compatible(a: Shape, b: Shape) -> bool:
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(
        x == y or x is None or y is None for x, y in zip(a, b, strict=True)
    )


def _unnumbered(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(re.sub(r"_?\d+$", "", part) for part in parts)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.replace(".", "/").split("/"))
