"""What a checkpoint may call the variables that are missing: ranked candidates, and the few rules that explain them all.

Names are compared through tables, never all with all, so that 20,000 of them take seconds. Knows no files, no graphs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ckpt.core import name_edits, renames
from ckpt.core.errors import SelectionError
from ckpt.core.near_names import Named, Search, comparable, places, sample, unplaced

_TRIED = 48  # rules that are tried
_FEW = 2000  # names on which they are tried first
_TRIED_ON_ALL = 24  # rules that are tried on all of them


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rule, or some one after the other, and what it explains: name wanted -> name in the checkpoint.

    `misfits`: how many names it gives to tensors of another dtype or shape. `is_second_hand`: it takes moving averages for
    the variables themselves. `is_contested`: it moves names that wanted and held have in common. `is_complete`: it
    explains everything that is wanted, those names included.
    """

    rules: tuple[name_edits.Rule, ...]
    pairs: Mapping[str, str]
    misfits: int = 0
    is_second_hand: bool = False
    is_contested: bool = False
    is_complete: bool = False

    @property
    def sources(self) -> set[str]:
        """The names in the checkpoint that it uses."""
        return set(self.pairs.values())


@dataclass(frozen=True, slots=True)
class Suggestions:
    """How missing names are explained by what the checkpoint holds.

    `pairs`: name wanted -> name in the checkpoint, unambiguous, of the same dtype and shape, each used once. `rename`:
    the rules that say the same, as `ckpt.core.renames` takes them. `candidates`: per missing name, the nearest names
    in the checkpoint and why. `guess`: prefixes that pair the rest by their order, for a reader to judge.
    """

    pairs: Mapping[str, str] = field(default_factory=dict)
    rename: Any = field(default_factory=dict)
    candidates: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    guess: Mapping[str, str] = field(default_factory=dict)

    @property
    def rules(self) -> int:
        """How many rules `rename` has."""
        steps = self.rename if isinstance(self.rename, list) else [self.rename]
        return sum(1 if isinstance(step, str) else len(step) for step in steps)


def suggest(wanted: Sequence[Named], held: Sequence[Named], *, shown: int = 50) -> Suggestions:
    """Explain the variables among `wanted` whose names a checkpoint that has `held` lacks.

    Where only a rule that also moves names which both have explains everything that is wanted, it is taken: numbered
    layers that have moved by one are such a case. Where the checkpoint holds a second model beside the one whose other
    variables were found, that one is left out of account, if everything is explained then. Candidates are ranked for
    the first `shown` of the missing.
    """
    wanted, held = comparable(wanted), comparable(held)
    search = Search(wanted, held, shown=shown)
    missing = list(search.missing.values())
    if not missing or not search.spare:
        return Suggestions()
    found = _explanations(search)
    chosen, pairs = _chosen(found, search)
    rename = _spec(chosen, pairs, search)
    copied = search.copied() if len(pairs) < len(missing) else []
    if copied:
        alone = Search(wanted, held, copied, shown=0)
        chosen, explained = _chosen(_explanations(alone), alone)
        if len(explained) == len(missing):
            pairs, rename = explained, _spec(chosen, explained, alone)
    unexplained = [named for named in missing if named.name not in pairs]
    return Suggestions(
        pairs,
        rename,
        {named.name: _ranked(named, search, found) for named in missing[:shown]},
        _by_order(unexplained, search, set(pairs.values())),
    )


def _explanations(search: Search) -> list[Explanation]:
    """The rules that the near names of some missing variables suggest, with all that each explains."""
    votes: Counter[tuple[name_edits.Rule, ...]] = Counter()
    for wanted in search.sample:
        named = search.missing[wanted]
        ballot: set[tuple[name_edits.Rule, ...]] = set()
        for held in search.near(wanted):
            if search.accepts(named, search.spare[held]):
                ballot.update(map(tuple, name_edits.guesses(held, wanted)))
        votes.update(ballot)
    ranked = sorted(votes, key=lambda rules: (len(rules), -votes[rules], _length(rules)))
    single = [rules for rules in ranked if len(rules) == 1][:_TRIED]
    found = _tested(single, search)
    credible = [e.pairs for e in found if not _is_refuted(e, search)]
    if len(set().union(*credible, ())) < len(search.missing):
        found += _tested(_other_words(search), search)
        found += _tested([r for r in ranked if len(r) > 1][:_TRIED], search)
    for key in (str.casefold, lambda name: re.sub(r"[^a-z0-9]", "", name.lower())):
        found.append(_same_letters(search, key))
    return found


def _other_words(search: Search) -> list[tuple[name_edits.Rule, ...]]:
    """The rules for last words that are sure to mean the same, those of most names first."""
    votes: Counter[tuple[name_edits.Rule, ...]] = Counter()
    for wanted, held in search.sure.items():
        (*_, old), (*_, new) = re.split(r"([/.])", held), re.split(r"([/.])", wanted)
        if old != new and name_edits.is_plain(old) and name_edits.is_plain(new):
            mark = "." if "/" not in held + wanted and "." in held else "/"
            votes[(f"**{mark}{old}", f"**{mark}{new}"),] += 1
    return [rules for rules, _ in votes.most_common(_TRIED_ON_ALL)]


def _length(rules: Sequence[name_edits.Rule]) -> int:
    """How hard the rules are to read: an expression is harder than a prefix of its length."""
    return sum(
        len(rule) if isinstance(rule, str) else len("".join(rule)) + 20 * rule[0].startswith("re:")
        for rule in rules
    )


def _tested(candidates: Iterable[tuple[name_edits.Rule, ...]], search: Search) -> list[Explanation]:
    found = []
    for rules in _most_telling(candidates, search):
        explained = _explained(rules, search)
        if explained.pairs:
            found.append(explained)
    return found


def _most_telling(
    candidates: Iterable[tuple[name_edits.Rule, ...]], search: Search
) -> list[tuple[name_edits.Rule, ...]]:
    """The rules that explain most of some names, of those that say the same the simplest: all names are for them alone."""
    few = list(dict.fromkeys([*sample(list(search.held), _FEW), *search.akin]))
    simplest: dict[tuple[tuple[str, str], ...], tuple[name_edits.Rule, ...]] = {}
    for rules in candidates:
        apply = renames.function(_as_steps(rules))
        changed = ((name, apply(name)) for name in few)
        said = tuple(pair for pair in changed if pair[1] in search.wanted)
        if any(new in search.missing for _, new in said):
            simplest[said] = min(simplest.get(said, rules), rules, key=_length)
    best = sorted(simplest, key=len, reverse=True)
    return [simplest[said] for said in best[:_TRIED_ON_ALL]]


def _explained(rules: tuple[name_edits.Rule, ...], search: Search) -> Explanation:
    """All that the rules explain; a name that they give to two tensors is not explained."""
    apply = renames.function(_as_steps(rules))
    targets: dict[str, list[str]] = defaultdict(list)
    for name in search.held:
        new = apply(name)
        if new in search.wanted:
            targets[new].append(name)
    pairs: dict[str, str] = {}
    misfits = 0
    for wanted, sources in targets.items():
        if not search.accepts(search.wanted[wanted], search.held[sources[0]]):
            misfits += 1
        elif len(sources) == 1:
            pairs[wanted] = sources[0]
    is_complete = len(pairs) == len(search.wanted)
    moved = {w: h for w, h in pairs.items() if w != h}
    is_contested = any(w in search.matched or h in search.matched for w, h in moved.items())
    return _explanation(rules, moved, search, misfits, is_contested, is_complete)


def _explanation(
    rules: tuple[name_edits.Rule, ...],
    pairs: Mapping[str, str],
    search: Search,
    misfits: int = 0,
    is_contested: bool = False,
    is_complete: bool = False,
) -> Explanation:
    second_hand = any(search.kind(w) != search.kind(h) for w, h in pairs.items())
    return Explanation(rules, pairs, misfits, second_hand, is_contested, is_complete)


def _same_letters(search: Search, key: Callable[[str], str]) -> Explanation:
    """Names that are the same but for capital letters, or for everything that is no letter or number."""
    wanted, held = defaultdict(list), defaultdict(list)
    for name in search.missing:
        wanted[key(name)].append(name)
    for name in search.spare:
        held[key(name)].append(name)
    pairs = {
        ours[0]: held[same][0]
        for same, ours in wanted.items()
        if len(ours) == len(held.get(same, ())) == 1
        and search.accepts(search.missing[ours[0]], search.spare[held[same][0]])
    }
    return _explanation((), pairs, search)


def _as_steps(rules: Iterable[name_edits.Rule]) -> list[Any]:
    return [rule if isinstance(rule, str) else {rule[0]: rule[1]} for rule in rules]


def _chosen(
    found: Sequence[Explanation], search: Search
) -> tuple[list[Explanation], dict[str, str]]:
    """The fewest rules that explain most, and the pairs of theirs that nothing speaks against."""
    found = [e for e in found if not _is_refuted(e, search)]
    plain = [e for e in found if not e.is_contested and e.misfits <= len(e.pairs)]
    remaining = set(search.missing)
    used: set[str] = set()
    chosen: list[tuple[Explanation, dict[str, str]]] = []
    while remaining:
        best = max(
            ((e, _new(e, remaining, used)) for e in plain),
            key=lambda pair: _merit(*pair),
            default=None,
        )
        if best is None or not best[1]:
            break
        chosen.append(best)
        remaining -= best[1].keys()
        used.update(best[1].values())
    doubtful = _doubtful(chosen, found, search)
    complete = [e for e in found if e.is_contested and e.is_complete]
    if (remaining or doubtful) and complete and all(e.pairs == complete[0].pairs for e in complete):
        return complete[:1], dict(complete[0].pairs)
    used = {held for _, new in chosen for held in new.values()}
    is_whole = all(name in used or search.kind(name) for name in search.spare)
    if remaining or doubtful or not is_whole:  # a rule for one name needs more to be believed
        sure = search.sure.items()
        chosen = [(e, new) for e, new in chosen if len(new) > 1 or new.items() <= sure]
    pairs = {w: h for _, new in chosen for w, h in new.items() if w not in doubtful}
    return [e for e, new in chosen if not new.keys() <= doubtful], pairs


def _is_refuted(explanation: Explanation, search: Search) -> bool:
    """Whether most of what it says is against what the names themselves are sure to mean."""
    pairs = explanation.pairs.items()
    return 2 * sum(search.is_against(w, h) for w, h in pairs) > len(pairs)


def _merit(explanation: Explanation, new: Mapping[str, str]) -> tuple[Any, ...]:
    """The more it explains the better; of equals, what says it with fewer and simpler rules."""
    rules = explanation.rules
    return (
        len(new) > 1 and not explanation.is_second_hand,
        len(new),
        not explanation.is_second_hand,
        bool(rules),
        -len(rules),
        -explanation.misfits,
        -_length(rules),
    )


def _new(explanation: Explanation, remaining: set[str], used: set[str]) -> dict[str, str]:
    """What it explains beyond what is explained already."""
    if not used:
        return dict(explanation.pairs)
    return {w: h for w, h in explanation.pairs.items() if w in remaining and h not in used}


def _doubtful(
    chosen: Sequence[tuple[Explanation, Mapping[str, str]]],
    found: Sequence[Explanation],
    search: Search,
) -> set[str]:
    """The names for which another rule of some weight says something else.

    Another rule has weight when it explains half as much or more, unless what it says follows from taking one of two
    like things for the other: the chosen rule explains more, and has a use for what the other one uses.
    """
    doubtful: set[str] = set()
    for explanation, new in chosen:
        doubtful.update(w for w, h in new.items() if search.is_against(w, h))
        doubtful.update(w for w, h in new.items() if search.is_renumbered(w, h))
        doubtful.update(w for w in new if search.is_misplaced(w))
        wanted_by = {held: wanted for wanted, held in new.items()}
        sources, size = explanation.sources | search.matched, len(explanation.pairs)
        for other in found:
            is_light = 2 * len(other.pairs) < size or (
                len(other.pairs) == 1 < size and not other.pairs.items() <= search.sure.items()
            )
            if is_light or (other.is_second_hand and not explanation.is_second_hand):
                continue
            if len(other.rules) > len(explanation.rules) > 0:
                continue  # it needs more to have happened to say something else
            if other.pairs.items() <= explanation.pairs.items():
                continue
            is_weaker = len(other.pairs) < size and not (other.is_contested and other.is_complete)
            for wanted, held in other.pairs.items():
                if new.get(wanted, held) != held and not (is_weaker and held in sources):
                    doubtful.add(wanted)
                mine = wanted_by.get(held, wanted)
                if mine != wanted and not (is_weaker and wanted in explanation.pairs):
                    doubtful.add(mine)
    return doubtful


def _spec(
    chosen: Sequence[Explanation],
    pairs: Mapping[str, str],
    search: Search,
) -> Any:
    """The rules as `rename=` takes them, checked to say what `pairs` says; else the names one by one."""
    expected = {name: name for name in search.matched} | dict(pairs)
    for spec in _written([e.rules for e in chosen]):
        try:
            sources = renames.renamed(search.held, spec, wanted=search.wanted).sources
        except SelectionError:
            continue
        said = {
            wanted: sources[wanted]
            for wanted, named in search.wanted.items()
            if wanted in sources
            and (wanted == sources[wanted] or search.accepts(named, search.held[sources[wanted]]))
        }
        if said == expected:
            return spec
    keys = {held: renames.whole(held) for held in pairs.values()}
    return {
        keys[held]: wanted if keys[held] == held else name_edits.literal(wanted)
        for wanted, held in pairs.items()
    }


def _written(chosen: Sequence[tuple[name_edits.Rule, ...]]) -> Iterable[Any]:
    """Ways to write these sequences of rules as one `rename=`: side by side where they can be, else in one row."""
    if not chosen:
        return
    stages: list[Any] = []
    for place in range(max(map(len, chosen))):
        rules = list(dict.fromkeys(rules[place] for rules in chosen if place < len(rules)))
        if all(isinstance(rule, tuple) for rule in rules):
            stages.append(dict(rule for rule in rules if isinstance(rule, tuple)))
        else:
            stages += _as_steps(rules)
    yield stages[0] if len(stages) == 1 else stages
    yield _as_steps(dict.fromkeys(rule for rules in chosen for rule in rules))


def _ranked(named: Named, search: Search, found: Sequence[Explanation]) -> list[tuple[str, str]]:
    """Up to three names in the checkpoint for one that is missing, with the reason, the best first."""
    scores: dict[str, tuple[float, ...]] = {}
    weight: Counter[str] = Counter()
    for explanation in found:
        held = explanation.pairs.get(named.name)
        if held is not None:
            weight[held] = max(weight[held], len(explanation.pairs))
    alone = search.is_alone(named)
    for held in {*weight, *search.near(named.name), *([alone] if alone else [])}:
        fits = search.accepts(named, search.held[held])
        alike = name_edits.likeness(held, named.name)
        if fits or alike > 0.6 or held.startswith(named.name + "/part_"):
            scores[held] = (fits, weight[held], alike)
    best = sorted(scores, key=lambda held: (*(-s for s in scores[held]), held))[:3]
    return [(held, _reason(named, search.held[held], held == alone)) for held in best]


def _reason(wanted: Named, held: Named, is_alone: bool) -> str:
    change = name_edits.described(held.name, wanted.name)
    if is_alone:
        return f"{change}; the only one of this dtype and shape"
    if wanted.fits(held):
        return f"{change}, same dtype and shape"
    if wanted.dtype == held.dtype and wanted.shape == (held.shape or ())[::-1]:
        return f"{change}, but transposed: {held}"
    return f"{change}, but {held}"


def _by_order(missing: Sequence[Named], search: Search, used: set[str]) -> dict[str, str]:
    """Prefixes that pair layers whose numbers have moved, by their order, where numbers and shapes of all agree.

    Layers that both have under one name are among them: these are other layers too then.
    """
    kinds = {unplaced(named.name) for named in missing}
    known = [name for name in search.matched if unplaced(name) in kinds]
    wanted = _alike([*missing, *(search.wanted[name] for name in known)])
    spare = [named for name, named in search.spare.items() if name not in used]
    held = _alike([*spare, *(search.held[name] for name in known)])
    rules: dict[str, str] = {}
    said = {name: name for name in search.matched}
    for called, group in wanted.items():
        others = held.get(called, [])
        if len(others) != len(group) or not all(
            w.fits(h) for w, h in zip(group, others, strict=True)
        ):
            continue
        for w, h in zip(group, others, strict=True):
            said[w.name] = h.name
            if w.name != h.name:
                old, new = name_edits.layers(h.name, w.name)
                rules[old] = new
    return rules if rules and _say(rules, said, search) else {}


def _say(rename: Any, pairs: Mapping[str, str], search: Search) -> bool:
    """Whether the rules lead from the one name of each pair to the other."""
    try:
        sources = renames.renamed(search.held, rename, wanted=search.wanted).sources
    except SelectionError:
        return False
    return all(sources.get(wanted) == held for wanted, held in pairs.items())


def _alike(tensors: Iterable[Named]) -> dict[str, list[Named]]:
    """Name without the numbers of its layers -> those called so, by these numbers."""
    found: dict[str, list[Named]] = defaultdict(list)
    for named in tensors:
        found[unplaced(named.name)].append(named)
    for group in found.values():
        group.sort(key=lambda n: (places(n.name), n.name))
    return found
