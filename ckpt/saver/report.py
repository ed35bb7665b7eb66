"""What a restore did, variable by variable: to be read, asked, or written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ckpt.core import selectors
from ckpt.core.selectors import Candidate

_SHOWN = 20  # names of one kind in the text


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A variable whose dtype or shape is another one in the checkpoint, and what was done: "cast", "skip", "pad", ..."""

    name: str
    wanted: str
    found: str
    action: str


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What one restore did. Names are those that the Saver looks for; each sequence is in the order of the Saver.

    `restored`: set from the checkpoint. `missing`: not in the checkpoint; each is also in `initialized` (its initializer
    ran), `kept` (it has the value that it had) or `skipped` (left alone). `unexpected`: in the checkpoint, and no
    variable took it. `mismatched`: of another dtype or shape, and what was done about it. `renamed`: name in the
    checkpoint -> name of the Saver, of those restored under another name; `suggested` are those of them that no rule
    of the caller's named. `is_done` is false in the report of an error: nothing was assigned, and `restored` is what the
    checkpoint has and would have been.
    """

    path: str
    restored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    suggested: Mapping[str, str] = field(default_factory=dict)
    initialized: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    is_done: bool = True

    @property
    def _unfit(self) -> list[str]:
        """What the checkpoint has in another dtype or shape, and what was not made to fit."""
        return [m.name for m in self.mismatched if m.action in ("skip", "error")]

    def assert_all(self) -> RestoreReport:
        """The report, when every variable was restored from the checkpoint. Raises AssertionError listing the others."""
        left = [*self.missing, *self._unfit, *(() if self.is_done else self.restored)]
        if left:
            total = len(left) + (len(self.restored) if self.is_done else 0)
            raise AssertionError(
                f"{self.path}: {len(left)} of {total} variables were not restored: {_some(left)}"
            )
        return self

    def assert_consumed(self, pattern: Any = "**") -> RestoreReport:
        """The report, when variables took every tensor of the checkpoint that the selectors match.

        Raises AssertionError listing the others, SelectionError (a ValueError) for selectors that match none at all.
        """
        came_from = {new: old for old, new in self.renamed.items()}
        taken = [came_from.get(name, name) for name in self.restored]
        unfit = [came_from.get(m.name, m.name) for m in self.mismatched]
        held = dict.fromkeys([*self.unexpected, *taken, *unfit, *self.renamed])
        matched = selectors.select(
            pattern,
            [Candidate(name) for name in held],
            allow_empty=not held,
            what="tensors",
        )
        left = sorted(set(matched) & set(self.unexpected), key=self.unexpected.index)
        if left:
            raise AssertionError(
                f"{self.path}: {len(left)} tensors of the checkpoint were not used: {_some(left)}"
            )
        return self

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and strings, as JSON takes them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def __str__(self) -> str:
        total = len(self.restored) + len(self.missing) + len(self._unfit)
        count = f"{len(self.restored)} of {total} variables"
        done = f"restored {count}" if self.is_done else f"nothing was restored; it has {count}"
        lines = [f"{self.path}: {done}"]
        lacking = {*self.missing} - {*self.initialized, *self.kept, *self.skipped}
        for what, names in (
            ("missing", [name for name in self.missing if name in lacking]),
            ("initialized", self.initialized),
            ("kept as they were", self.kept),
            ("left alone", self.skipped),
            ("in the checkpoint and not used", self.unexpected),
        ):
            if names:
                lines.append(f"  {len(names)} {what}: {_some(names)}")
        by_action: dict[str, list[str]] = {}
        for m in self.mismatched:
            by_action.setdefault(m.action, []).append(f"{m.name} ({m.wanted} from {m.found})")
        lines += [f"  {len(names)} {action}: {_some(names)}" for action, names in by_action.items()]
        if self.renamed:
            pairs = [f"{old} -> {new}" for old, new in self.renamed.items()]
            guessed = f", {len(self.suggested)} of them as suggested" if self.suggested else ""
            lines.append(f"  {len(pairs)} renamed{guessed}: {_some(pairs)}")
        return "\n".join(lines)


def _some(names: Any) -> str:
    return ", ".join(list(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
