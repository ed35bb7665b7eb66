r"""Rename rules: from the names in a checkpoint to the names that a program uses. Knows no files, no graphs.

    {"old": "new"}                       one name, or a prefix where it ends in `/` or `.`
    {"**/weights": "**/kernel"}          a glob: what the wildcards stand for is kept, in their order
    {"re:layer_(\d+)/": "block_\1/"}     a regular expression, wherever it is found, with back references
    ("old/", "new/")                     a prefix; ("", "net/") puts one in front of every name
    (re.compile(r"_\d+$"), "")           a regular expression, as above
    str.lower                            a function from name to name; None leaves a name as it is
    "ema" "module." "object" "lower"     presets, see PRESETS
    [rule, rule, ...]                    one after the other, each on what the one before it made

The entries of one dict are one rule: of those that fit a name the whole name comes first, then the longest prefix, then
the others in order. So a dict can swap two names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ckpt.core import selectors
from ckpt.core.errors import SelectionError
from ckpt.core.tensor_roles import AVERAGE, OBJECT_KEY

PRESETS: Mapping[str, tuple[str, Any, str]] = {
    "ema": (rf"/{AVERAGE}$", "", "moving averages take the place of their variables"),
    "module.": (r"^module\.", "", "the prefix that PyTorch's DataParallel puts before every name"),
    "object": (
        rf"/{re.escape(OBJECT_KEY)}$",
        "",
        "keys of object-based TensorFlow 2 checkpoints",
    ),
    "lower": (r"[A-Z]+", lambda found: found[0].lower(), "no capital letters"),
}
"""Name of a preset -> regular expression, replacement, meaning."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of names: `apply` gives (text of the rule that fits, new name), or None where none fits.

    `texts` are all its rules as their writer would know them. `replaces` is true where the new name may be another
    tensor's, which then gives way.
    """

    texts: tuple[str, ...]
    apply: Callable[[str], tuple[str, str] | None]
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class RenameMap:
    """What rules made of the names of one checkpoint.

    `sources`: new name -> name in the checkpoint, for every tensor. `renamed`: name in the checkpoint -> new name, of
    those that changed. `hidden`: names in the checkpoint that gave way to a renamed one. `idle`: rules that fit nothing.
    """

    sources: Mapping[str, str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()

    def reverse(self) -> dict[str, str]:
        """New name -> name in the checkpoint, of those that changed: the way back."""
        return {new: old for old, new in self.renamed.items()}


def steps(spec: Any) -> list[Step]:
    """What `spec` describes, one step after the other; None is no step, a Step is itself.

    Raises SelectionError for a bad expression or an unknown preset, TypeError for what is no rule.
    """
    if spec is None:
        return []
    if isinstance(spec, list):
        return [step for part in spec for step in steps(part)]
    if isinstance(spec, Step):
        return [spec]
    if isinstance(spec, str):
        return [_preset(spec)]
    if isinstance(spec, Mapping):
        return [_table(list(spec.items()))]
    if isinstance(spec, tuple):
        return [_table([spec], whole_names=False)]
    if callable(spec):
        return [_function(spec)]
    raise TypeError(
        "a rename rule is a dict, an (old, new) pair, a function, the name of a preset, or a list of these; "
        f"not {spec!r}"
    )


def whole(name: str) -> str:
    """The key of a rename dict that means this very name, whatever letters it has."""
    is_plain = name and not name.endswith(("/", ".")) and not name.startswith("re:")
    return name if is_plain and not set(name) & set("*?") else f"re:^{re.escape(name)}$"


def function(spec: Any) -> Callable[[str], str]:
    """The function from name to name that `spec` describes, with nothing checked."""
    applied = [step.apply for step in steps(spec)]

    def apply(name: str) -> str:
        for step in applied:
            found = step(name)
            if found is not None:
                name = found[1]
        return name

    return apply


def renamed(
    names: Iterable[str],
    spec: Any,
    *,
    wanted: Collection[str] | None = None,
    allow_idle: bool = False,
) -> RenameMap:
    """Apply `spec` to all names of a checkpoint.

    Raises SelectionError listing every rule that fits no name (unless `allow_idle`), or every new name that two
    tensors would get; with `wanted`, only collisions on those names count.
    """
    names = list(names)
    new = {name: name for name in names}
    replacing: set[str] = set()
    idle: list[str] = []
    for step in steps(spec):
        used: set[str] = set()
        for name, current in new.items():
            found = step.apply(current)
            if found is not None:
                used.add(found[0])
                new[name] = found[1]
                if step.replaces:
                    replacing.add(name)
        idle += [text for text in step.texts if text not in used]
    if idle and not allow_idle:
        raise SelectionError(_idle(idle, names))
    return _mapped(new, replacing, wanted, tuple(idle))


def _mapped(
    new: Mapping[str, str],
    replacing: set[str],
    wanted: Collection[str] | None,
    idle: tuple[str, ...],
) -> RenameMap:
    sources: dict[str, str] = {}
    hidden: list[str] = []
    collisions: dict[str, list[str]] = {}
    for name, target in new.items():
        holder = sources.get(target)
        if holder is None:
            sources[target] = name
        elif (name in replacing) != (holder in replacing):
            sources[target] = name if name in replacing else holder
            hidden.append(holder if name in replacing else name)
        elif wanted is None or target in wanted:
            collisions.setdefault(target, [holder]).append(name)
    if empty := [name for name, target in new.items() if name and not target]:
        raise SelectionError(f"rename rules leave nothing of the names {_some(empty, 10)}")
    if collisions:
        lines = [f"  {target}: {_some(found, 10)}" for target, found in sorted(collisions.items())]
        rest = f"\n  … and {len(lines) - 50} more" if len(lines) > 50 else ""
        raise SelectionError(
            f"rename rules give {len(collisions)} names to several tensors each:\n"
            + "\n".join(lines[:50])
            + rest
        )
    changed = {name: t for name, t in new.items() if name != t and sources[t] == name}
    return RenameMap(sources, changed, tuple(hidden), idle)


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")


def _idle(idle: Sequence[str], names: Sequence[str]) -> str:
    return (
        f"{len(idle)} rename rules fit none of {len(names)} names in the checkpoint:\n"
        + "\n".join(f"  {text}" for text in idle[:50])
        + ("" if len(idle) <= 50 else f"\n  … and {len(idle) - 50} more")
        + "\nA rule goes from the name in the checkpoint to the name in the program. "
        + f"The checkpoint has {_some(names, 5)}"
    )


def _preset(name: str) -> Step:
    if name not in PRESETS:
        known = "; ".join(f"{preset!r}: {meaning}" for preset, (_, _, meaning) in PRESETS.items())
        raise SelectionError(f"unknown rename preset {name!r}. Known are {known}")
    pattern, replacement, _ = PRESETS[name]
    text = repr(name)
    return Step((text,), _substitution(re.compile(pattern), replacement, text), name == "ema")


def _table(pairs: Sequence[tuple[Any, ...]], *, whole_names: bool = True) -> Step:
    """One step of many pairs: of those that fit, a whole name wins, then the longest prefix, then the first pattern.

    Tables for names and prefixes, so that 20,000 pairs cost a name as little as one does.
    """
    whole: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    patterns: list[Callable[[str], tuple[str, str] | None]] = []
    for pair in pairs:
        old, new = _checked(pair)
        if isinstance(old, re.Pattern):
            patterns.append(_replacing(old, new, _text(pair)))
        elif old.startswith("re:"):
            patterns.append(_replacing(selectors.regex(old[3:], old), new, _text(pair)))
        elif "*" in old or "?" in old:
            patterns.append(_globbed(old, new, _text(pair)))
        elif whole_names and old and not old.endswith(("/", ".")):
            whole[old] = new
        else:
            prefixes[old] = new
    texts = tuple(_text(pair) for pair in pairs)
    if len(patterns) == len(pairs) == 1:
        return Step(texts, patterns[0])
    lengths = sorted({len(old) for old in prefixes}, reverse=True)

    def apply(name: str) -> tuple[str, str] | None:
        if name in whole:
            return _text((name, whole[name])), whole[name]
        for length in lengths:
            new = prefixes.get(name[:length])
            if new is not None and len(name) >= length:
                return _text((name[:length], new)), new + name[length:]
        for pattern in patterns:
            found = pattern(name)
            if found is not None:
                return found
        return None

    return Step(texts, apply)


def _checked(pair: tuple[Any, ...]) -> tuple[Any, Any]:
    if len(pair) == 2:
        old, new = pair
        if isinstance(old, re.Pattern) and (isinstance(new, str) or callable(new)):
            return old, new
        if isinstance(old, str) and isinstance(new, str):
            return old, new
    raise TypeError(f"a rename rule is (text or compiled expression, text), not {pair!r}")


def _text(pair: tuple[Any, ...]) -> str:
    old, new = pair
    return f"{old.pattern if isinstance(old, re.Pattern) else old!r}: {new!r}"


def _function(function: Callable[[str], Any]) -> Step:
    text = getattr(function, "__qualname__", repr(function))

    def apply(name: str) -> tuple[str, str] | None:
        new = function(name)
        if new is not None and not isinstance(new, str):
            raise TypeError(
                f"the rename function {text} returned {new!r} for {name!r}, not a text or None"
            )
        return None if new is None or new == name else (text, new)

    return Step((text,), apply)


def _replacing(
    pattern: re.Pattern[str], new: Any, text: str
) -> Callable[[str], tuple[str, str] | None]:
    if isinstance(new, str):
        try:  # with an empty alternative it matches the empty text, and the back references are looked up
            re.compile(f"{pattern.pattern}|", pattern.flags).sub(new, "")
        except (re.error, IndexError) as error:
            raise SelectionError(f"{text}: {new!r} cannot replace it: {error}") from error
    return _substitution(pattern, new, text)


def _substitution(
    pattern: re.Pattern[str], new: Any, text: str
) -> Callable[[str], tuple[str, str] | None]:
    def apply(name: str) -> tuple[str, str] | None:
        found, count = pattern.subn(new, name)
        return (text, found) if count else None

    return apply


def _globbed(old: str, new: str, text: str) -> Callable[[str], tuple[str, str] | None]:
    """Match the glob, and put what its wildcards stood for in the place of those of `new`."""
    compiled = {between: selectors.glob(old, between) for between in "/."}
    template = {between: selectors.glob_tokens(new, between) for between in "/."}
    for between in "/.":
        if _wildcards(selectors.glob_tokens(old, between)) != _wildcards(template[between]):
            raise SelectionError(
                f"{text}: both sides need the same wildcards in the same order: {old!r}, {new!r}"
            )

    def apply(name: str) -> tuple[str, str] | None:
        between = selectors.separator(name)
        found = compiled[between].fullmatch(name)
        if found is None:
            return None
        groups = iter(found.groups())
        return text, "".join(next(groups) if wild else t for t, wild in template[between])

    return apply


def _wildcards(tokens: Iterable[tuple[str, bool]]) -> list[str]:
    return [token for token, is_wild in tokens if is_wild]
