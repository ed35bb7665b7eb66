"""Which checkpoints to keep: pure decisions on a list of what was saved, oldest first. No I/O.

`after_save` is what a Saver does: max_to_keep and keep_checkpoint_every_n_hours as TensorFlow means them (source: the
documentation of tf.compat.v1.train.Saver), and beside them the rules `LatestN`, `EveryNSteps`, `EveryNHours`, `BestN`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from numbers import Integral, Real
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint: its prefix, when it was written (seconds since the epoch), and what is known of it.

    `pinned`: the user asked to keep it. `preserved`: an interval of keep_checkpoint_every_n_hours keeps it for good.
    """

    name: str
    time: float
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    pinned: bool = False
    preserved: bool = False


class Rule(Protocol):
    """A reason to keep checkpoints; a checkpoint that no rule keeps is deleted."""

    def kept(self, saved: Sequence[Saved]) -> Mapping[str, str]:
        """The names that this rule keeps, each with the reason. `saved` is ordered, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class LatestN:
    """Keep the newest `n`."""

    n: int

    def __post_init__(self) -> None:
        _check_positive("LatestN.n", self.n, is_count=True)

    def kept(self, saved: Sequence[Saved]) -> Mapping[str, str]:
        """The last `n` of the list."""
        return {one.name: f"one of the newest {self.n}" for one in saved[-self.n :]}


@dataclass(frozen=True, slots=True)
class Newest:
    """Keep the checkpoint that the state file calls the latest."""

    name: str

    def kept(self, saved: Sequence[Saved]) -> Mapping[str, str]:
        """That one."""
        return {self.name: "the latest"}


@dataclass(frozen=True, slots=True)
class EveryNSteps:
    """Keep the first checkpoint at or after each multiple of `n` steps; those without a step are not its concern."""

    n: int

    def __post_init__(self) -> None:
        _check_positive("EveryNSteps.n", self.n)

    def kept(self, saved: Sequence[Saved]) -> Mapping[str, str]:
        """Per interval of `n` steps the lowest step, leaving out the interval that begins before step `n`, but not 0."""
        first: dict[int, Saved] = {}
        for one in sorted((s for s in saved if s.step is not None), key=lambda s: s.step or 0):
            if one.step and one.step >= self.n:
                first.setdefault(one.step // self.n, one)
            elif one.step == 0:
                first.setdefault(0, one)
        return {one.name: f"one every {self.n} steps" for one in first.values()}


@dataclass(frozen=True, slots=True)
class EveryNHours:
    """Keep the first checkpoint, then each that was written `hours` or more after the one kept before.

    One that seems older than that was written after the clock had been set back: the hours count from it.
    """

    hours: float

    def __post_init__(self) -> None:
        _check_positive("EveryNHours.hours", self.hours)

    def kept(self, saved: Sequence[Saved]) -> Mapping[str, str]:
        """Greedy from the oldest on, so that deleting the others changes nothing."""
        names, last = {}, -math.inf
        for one in saved:
            if not last <= one.time < last + self.hours * 3600:
                names[one.name] = f"one every {self.hours:g} hours"
                last = one.time
        return names


@dataclass(frozen=True, slots=True)
class BestN:
    """Keep the `n` checkpoints with the best value of `metric`, as given to `Saver.save(..., metrics={...})`.

    `mode` says whether the smallest ("min") or the largest ("max") is best. Among equals the newer one wins;
    checkpoints without the metric, or with NaN, are not its concern.
    """

    metric: str
    n: int = 1
    mode: Literal["min", "max"] = "min"

    def __post_init__(self) -> None:
        _check_positive("BestN.n", self.n, is_count=True)
        if not isinstance(self.metric, str):
            raise TypeError(f"BestN.metric is {self.metric!r}; expected the name of a metric")
        if self.mode not in ("min", "max"):
            raise ValueError(f"BestN.mode is {self.mode!r}; expected 'min' or 'max'")

    def kept(self, saved: Sequence[Saved]) -> Mapping[str, str]:
        """The `n` best of those that have the metric."""
        sign = 1 if self.mode == "min" else -1
        rated = [
            (sign * one.metrics[self.metric], -place, one)
            for place, one in enumerate(saved)
            if not math.isnan(one.metrics.get(self.metric, math.nan))
        ]
        best = sorted(rated, key=lambda rating: rating[:2])[: self.n]
        return {
            one.name: f"{self.mode} {self.metric} is {one.metrics[self.metric]:g}"
            for *_, one in best
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """Which checkpoints are kept and which deleted: names, each with the reason, oldest first."""

    keep: Mapping[str, str]
    delete: Mapping[str, str]


def choose(
    saved: Sequence[Saved], rules: Sequence[Rule], in_use: Collection[str] = frozenset()
) -> Choice:
    """Keep what any rule keeps, what is pinned or preserved, and what is `in_use`; delete the others."""
    reasons = held(saved, rules, in_use)
    no_rule = "no rule keeps it" if rules else "there is no rule that keeps any"
    return Choice(
        {one.name: reasons[one.name] for one in saved if one.name in reasons},
        {one.name: no_rule for one in saved if one.name not in reasons},
    )


def held(
    saved: Sequence[Saved], rules: Sequence[Rule], in_use: Collection[str] = frozenset()
) -> dict[str, str]:
    """The names that are kept whatever their age, each with the reason."""
    reasons: dict[str, str] = {}
    for rule in rules:
        reasons.update(rule.kept(saved))
    for one in saved:
        if one.preserved:
            reasons[one.name] = "kept for good, by keep_checkpoint_every_n_hours"
        if one.name in in_use:
            reasons[one.name] = "was just restored"
        if one.pinned:
            reasons[one.name] = "pinned"
    return reasons


_DIGITS = 20  # of 64 bits; Python refuses to read thousands
EVERY_N_HOURS = 10000.0
"""TensorFlow's default of keep_checkpoint_every_n_hours: longer than a year, so that none is kept for good."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How many recent checkpoints to keep, how often to keep one for good, and by which other rules to keep some.

    `max_to_keep` 0 or None keeps all. The hours count from when the last one was due to be kept, as in a Saver, or,
    `from_last_kept`, from the time of the last one kept, as in a CheckpointManager.
    """

    max_to_keep: int | None = 5
    keep_every_n_hours: float = EVERY_N_HOURS
    rules: tuple[Rule, ...] = ()
    from_last_kept: bool = False

    @property
    def keeps_all(self) -> bool:
        """True when nothing is ever deleted."""
        return not self.max_to_keep or self.max_to_keep < 0

    def first_preserve_after(self, now: float) -> float:
        """From when on a checkpoint is kept for good, for a Saver that is built `now`."""
        return now + self.keep_every_n_hours * 3600


@dataclass(frozen=True, slots=True)
class Decision:
    """What remains remembered, oldest first; what to delete, with the reason; what is kept for good from now on; and
    from when on one is kept for good again.
    """

    remaining: tuple[Saved, ...]
    delete: Mapping[str, str]
    preserve_after: float
    preserved: tuple[Saved, ...] = ()


def after_save(
    remembered: Sequence[Saved],
    new: Saved,
    policy: Policy,
    preserve_after: float,
    in_use: Collection[str] = frozenset(),
) -> Decision:
    """What follows from saving `new`. Saving a remembered name again makes it the newest and deletes nothing.

    All that exceeds `max_to_keep` goes at once, oldest first; what a rule keeps, what is pinned and what is `in_use`
    stays remembered, beyond the limit.
    """
    known = [saved for saved in remembered if saved.name != new.name] + [new]
    if policy.keeps_all:
        return Decision(tuple(known), {}, preserve_after)
    limit = policy.max_to_keep or 0
    reasons = held(known, policy.rules, in_use)
    remaining: list[Saved] = []
    delete: dict[str, str] = {}
    preserved: list[Saved] = []
    for saved in known[:-limit]:
        if saved.name in reasons:
            remaining.append(saved)
        elif saved.time > preserve_after or (
            policy.from_last_kept and saved.time == preserve_after
        ):
            preserved.append(saved)
            start = saved.time if policy.from_last_kept else preserve_after
            preserve_after = start + policy.keep_every_n_hours * 3600
        else:
            newer = "is a newer one" if limit == 1 else f"are {limit} newer ones"
            delete[saved.name] = f"there {newer}, and max_to_keep is {limit}"
    return Decision((*remaining, *known[-limit:]), delete, preserve_after, tuple(preserved))


def oldest_first(*lists: Iterable[Saved]) -> list[Saved]:
    """All of them, oldest first. Each list stays in its order, that of the saves: a clock may have gone back between two."""
    aged = [
        (age, saved)
        for saves in map(tuple, lists)
        for age, saved in zip(accumulate((s.time for s in saves), max), saves, strict=True)
    ]
    return [saved for _, saved in sorted(aged, key=lambda pair: pair[0])]


def numbered(prefix: str) -> int | None:
    """The step that a prefix ends with, as `Saver.save` writes it; None when it ends with none, or in more digits than one has."""
    _, dash, digits = prefix.rpartition("-")
    is_step = dash and digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS
    return int(digits) if is_step else None


def is_of(save_path: str) -> Callable[[str], bool]:
    """Whether a prefix is one that saving to `save_path` makes: itself, or with a step behind it."""

    def belongs(prefix: str) -> bool:
        return prefix == save_path or (
            numbered(prefix) is not None and prefix.rpartition("-")[0] == save_path
        )

    return belongs


def check_limits(max_to_keep: Any, hours: Any) -> None:
    """Raise TypeError for limits that are no numbers."""
    if max_to_keep is not None and not isinstance(max_to_keep, Integral):
        raise TypeError(f"max_to_keep must be an integer or None, not {max_to_keep!r}")
    if hours is not None and not isinstance(hours, Real):
        raise TypeError(f"keep_checkpoint_every_n_hours must be a number, not {hours!r}")


def checked_rules(rules: Any) -> tuple[Rule, ...]:
    """The rules as a tuple. Raises TypeError for one rule instead of several, and for what is no rule."""
    several = tuple(rules) if isinstance(rules, Iterable) else (None,)
    if not all(hasattr(one, "kept") for one in several):
        raise TypeError(
            f"expected a list of rules, such as [LatestN(5), BestN('loss')], not {rules!r}"
        )
    return several


def _check_positive(what: str, number: Any, *, is_count: bool = False) -> None:
    expected = "an integer" if is_count else "a number"
    if not isinstance(number, Integral if is_count else Real):
        raise TypeError(f"{what} is {number!r}; expected {expected} above 0")
    if not float(number) > 0:
        raise ValueError(f"{what} is {number}; expected {expected} above 0")
