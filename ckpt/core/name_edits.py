"""How one name became another: the rename rules that would turn a name in a checkpoint into a variable's.

From one pair of names many rules can be guessed, from "this very prefix" to "everywhere"; `ckpt.core.suggestions` finds
out which of them explain a whole checkpoint. Knows no files, no graphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from ckpt.core.tensor_roles import AVERAGE, OBJECT_KEY

Pair = tuple[str, str]
Rule = Pair | str
"""An entry of a rename dict, or the name of a preset: see ckpt.core.renames."""
Edit = tuple[list[str], list[str], list[str], list[str]]
"""The parts of a name before a change, the parts that went, those that came, the parts after it."""

MOST_EDITS = 3


def guesses(held: str, wanted: str) -> list[list[Rule]]:
    """Sequences of rules that turn `held` into `wanted`, each a guess at what happened to the other names too.

    Most are single rules. They come simplest first, and not all of them lead to `wanted`: apply them to find out.
    """
    if held == f"{wanted}/{AVERAGE}":
        return [["ema"]]
    if held == f"{wanted}/{OBJECT_KEY}":
        return [["object"]]
    first: list[Rule] = []
    if held != held.lower() and wanted == wanted.lower() and held.lower() != wanted:
        first, held = ["lower"], held.lower()
    elif held != held.lower() == wanted:
        return [["lower"]]
    if ("/" in held) != ("/" in wanted) and "." in held + wanted:
        first += [(r"re:\.", "/") if "/" in wanted else ("re:/", ".")]
        held = held.replace(".", "/") if "/" in wanted else held.replace("/", ".")
    mark = "." if "/" not in held + wanted and "." in held + wanted else "/"
    edits = _edits(held.split(mark), wanted.split(mark))
    if not edits:
        return [first] if first else []
    if len(edits) > MOST_EDITS:
        return []
    forms = [list(_rules(edit, mark)) for edit in edits]
    found: list[list[Rule]] = [[*first, rule] for rules in forms for rule in rules]
    if len(forms) > 1:
        found += [[*first, *combined] for n in range(3) for combined in _combined(forms, n)]
    return found


def _combined(forms: list[list[Pair]], number: int) -> Iterator[list[Pair]]:
    """The rules of that number of each edit, and those with the first of the others."""
    chosen = [rules[min(number, len(rules) - 1)] for rules in forms]
    yield chosen
    for place, rules in enumerate(forms):
        if number and number < len(rules):
            yield [rules[number] if i == place else form[0] for i, form in enumerate(forms)]


def _edits(held: list[str], wanted: list[str]) -> list[Edit]:
    matcher = SequenceMatcher(None, held, wanted, autojunk=False)
    return [
        (held[:a], held[a:b], wanted[c:d], held[b:])
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]


def _rules(edit: Edit, mark: str) -> Iterator[Pair]:
    """The rules that one edit suggests, the simplest first."""
    before, old, new, after = edit
    dot = re.escape(mark)
    was, now = mark.join(old), mark.join(new)
    plain = is_plain(was) and is_plain(now)  # else only expressions can say it
    if plain and not before and after:
        yield (was + mark if old else ""), (now + mark if new else "")
    if plain and not after and before and old and new:
        yield f"**{mark}{was}", f"**{mark}{now}"
    if not after and before and not new:
        yield f"re:{dot}{re.escape(was)}$", ""
    yield from _anywhere(edit, mark)
    if old and new:
        yield from _inside(was, now, mark)
    scope = "".join(part + mark for part in before)
    if plain and is_plain(scope) and before and after:
        yield scope + (was + mark if old else ""), scope + (now + mark if new else "")
    if plain and not before and not after:
        yield was, now


def is_plain(text: str) -> bool:
    """Whether a rule with this text means it, and no pattern."""
    return not (set(text) & set("*?") or text.startswith("re:"))


def _anywhere(edit: Edit, mark: str) -> Iterator[Pair]:
    """Whole parts of the name replaced, taken out or put in, wherever they are."""
    before, old, new, after = edit
    dot = re.escape(mark)
    one = f"[^{dot}]+"
    was, now = mark.join(old), literal(mark.join(new))
    if old and new:
        numbered = _numbered(was, mark.join(new))
        if numbered:
            yield f"re:(^|{dot}){numbered[0]}(?={dot}|$)", _kept(numbered[1])
        yield f"re:(^|{dot}){re.escape(was)}(?={dot}|$)", _kept(now)
    elif old and after:
        yield f"re:(^|{dot}){re.escape(was)}{dot}", "\\1"
        generic = re.sub(r"\d+", r"\\d+", re.escape(was))
        if generic != re.escape(was):
            yield f"re:(^|{dot}){generic}{dot}", "\\1"
    elif new:
        if before:
            yield f"re:^((?:{one}{dot}){{{len(before)}}})", _kept(f"{now}{mark}")
            left = re.escape(before[-1])
            yield f"re:(^|{dot}){left}(?={dot}|$)", _kept(f"{literal(before[-1])}{mark}{now}")
        if after:
            yield f"re:((?:{dot}{one}){{{len(after)}}})$", f"{mark}{now}\\1"
            right = re.escape(after[0])
            yield f"re:(^|{dot}){right}(?={dot}|$)", _kept(f"{now}{mark}{literal(after[0])}")
        else:
            yield "re:$", mark + now


def _inside(was: str, now: str, mark: str) -> Iterator[Pair]:
    """Letters replaced within the parts of a name: at their ends, before numbers, anywhere."""
    dot = re.escape(mark)
    start = _shared(was, now)
    end = _shared(was[start:][::-1], now[start:][::-1])
    out, put = was[start : len(was) - end], now[start : len(now) - end]
    left, right = was[:start], was[len(was) - end :] if end else ""
    m, n = re.escape(out), literal(put)
    if not right:
        yield f"re:{m}$", n
        yield f"re:^([^{dot}]*){m}{dot}", _kept(f"{n}{mark}")
        if out:
            yield f"re:{m}(?={dot}|$)", n
    if not left:
        yield f"re:{m}([^{dot}]+)$", f"{n}\\1"
        yield (f"re:^{m}", n)
        if out:
            yield f"re:(^|{dot}){m}", _kept(n)
    if right[:1].isdigit():
        yield (f"re:{m}(?=\\d)" if out else r"re:(?<=[A-Za-z])(?=\d)"), n
    if left[-1:].isdigit() and out:
        yield f"re:(?<=\\d){m}", n
    if _trailing_number(out) and not right:
        generic = re.sub(r"\d+", r"\\d+", m)
        yield f"re:{generic}$", n
        yield f"re:^([^{dot}]*){generic}{dot}", _kept(f"{n}{mark}")
        yield f"re:{generic}(?={dot}|$)", n
    if len(out) > 1 or (out and not out.isalnum()):
        yield f"re:{m}", n
    if was.casefold() == now.casefold():
        yield f"re:{re.escape(was)}", literal(now)


def _numbered(was: str, now: str) -> Pair | None:
    """The rule for all numbers, when the numbers in `now` are those of `was` in their order."""
    numbers = re.findall(r"\d+", was)
    if not numbers or re.findall(r"\d+", now) != numbers:
        return None
    pattern = re.sub(r"\d+", r"(\\d+)", re.escape(was))
    count = iter(range(2, len(numbers) + 2))
    replacement = re.sub(r"\d+", lambda _: f"\\g<{next(count)}>", literal(now))
    return pattern, replacement


def _trailing_number(text: str) -> bool:
    return re.fullmatch(r"_\d+", text) is not None


def _kept(text: str) -> str:
    """The first group, then `text`: a number after it must not be read as part of the reference."""
    return ("\\g<1>" if text[:1].isdigit() else "\\1") + text


def literal(text: str) -> str:
    """`text` as a replacement that means itself."""
    return text.replace("\\", "\\\\")


def _shared(a: str, b: str) -> int:
    """How many letters both begin with; a number is never cut in two."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    while (
        count > 0
        and a[count - 1].isdigit()
        and (a[count:] + " ")[0].isdigit() != (b[count:] + " ")[0].isdigit()
    ):
        count -= 1
    return count


def described(held: str, wanted: str) -> str:
    """What happened to the name, in words for a reader."""
    if held.endswith(AVERAGE):
        return f"the moving average of {held.removesuffix('/' + AVERAGE)}"
    if re.fullmatch(rf"{re.escape(wanted)}/part_\d+", held):
        return "a part of it, saved under a name of its own"
    if held == f"{wanted}/{OBJECT_KEY}":
        return "its key in checkpoints of objects"
    if held.casefold() == wanted.casefold():
        return "other capital letters"
    if re.sub(r"[/.]", "/", held) == re.sub(r"[/.]", "/", wanted):
        return "other separators"
    mark = "." if "/" not in held + wanted and "." in held + wanted else "/"
    edits = _edits(re.split(r"[/.]", held), re.split(r"[/.]", wanted))
    if len(edits) > MOST_EDITS:
        return "another name"
    return ", ".join(_change(mark.join(old), mark.join(new), after) for _, old, new, after in edits)


def _change(old: str, new: str, after: list[str]) -> str:
    kind = "scope " if after else ""
    if not new:
        return f"without {kind}{old!r}"
    if not old:
        return f"with {kind}{new!r} more"
    if re.fullmatch(re.escape(new) + r"_\d+", old):
        return f"without the suffix {old[len(new) :]!r}"
    if re.fullmatch(re.escape(old) + r"_\d+", new):
        return f"with the suffix {new[len(old) :]!r}"
    return f"{kind}{old!r} became {new!r}"


def likeness(held: str, wanted: str) -> float:
    """How alike two names are, from 0 to 1."""
    return SequenceMatcher(None, held, wanted, autojunk=False).ratio()


def layers(held: str, wanted: str) -> Pair:
    """What stands before the parts with which both names end: their layers, with the separator."""
    ours, theirs = re.split(r"[/.]", held), re.split(r"[/.]", wanted)
    common = 0
    while common < min(len(ours), len(theirs)) and ours[-1 - common] == theirs[-1 - common]:
        common += 1
    ending = len("/".join(ours[len(ours) - common :]))
    return held[: len(held) - ending], wanted[: len(wanted) - ending]
