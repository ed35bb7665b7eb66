r"""One language to select variables and tensors by name: globs, regular expressions, words. Knows no files, no graphs.

    dense/kernel           that name
    **/kernel              `*` is any text without a separator, `**` with them; `**/` may also be nothing
    conv?/*                `?` is one character that is no separator
    re:conv\d+/.*          a regular expression for the whole name
    @trainable             a word: slots, trainable, global, ema, float, scope:NAME, collection:NAME
    !@slots  !**/bias      without these

The separator is `/`, and `.` in names that have no `/` (PyTorch's). Several patterns select what any of them matches,
without what any of the negated ones matches; negated ones alone start from everything. The order means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ckpt.core.errors import SelectionError
from ckpt.core.tensor_roles import is_average, is_slot, is_slot_of

WORDS = ("slots", "trainable", "global", "ema", "float", "scope:NAME", "collection:NAME")
"""What may follow an `@`."""

_NOTHING: frozenset[str] = frozenset()
_SHOWN = 5  # names of those that there are, where none is near


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a selector may know about a variable or tensor; `collections` None means that there is no graph to ask."""

    name: str
    dtype: str = ""
    collections: frozenset[str] | None = None
    is_slot: bool = False  # known from elsewhere; names that tell it need not say so


@dataclass(frozen=True, slots=True)
class Selector:
    """One pattern, understood: `matches` judges a candidate."""

    text: str
    negated: bool
    matches: Callable[[Candidate], bool]
    collection: str = ""  # the one that it names
    asks_graph: bool = False  # it judges by collections, or could do so better with them


def parse(patterns: str | Iterable[str]) -> list[Selector]:
    """The selectors for one pattern or several.

    Raises SelectionError (a ValueError) listing every pattern that cannot be understood, TypeError for what is no text.
    """
    if not isinstance(patterns, Iterable):
        raise TypeError(f"a selector is a text such as '**/kernel', not {patterns!r}")
    texts = [patterns] if isinstance(patterns, str) else list(patterns)
    found: list[Selector] = []
    wrong: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a selector is a text such as '**/kernel', not {text!r}")
        try:
            found.append(_parsed(text))
        except SelectionError as error:
            wrong.append(f"  {error}")
    if wrong:
        raise SelectionError(
            f"{len(wrong)} of {len(texts)} selectors cannot be understood:\n" + "\n".join(wrong)
        )
    return found


def candidates(
    dtypes: Iterable[tuple[str, str]], collections: Mapping[str, frozenset[str]] | None
) -> list[Candidate]:
    """What selectors may know about tensors: (name, dtype), and the collections of their variables, None without a graph.

    A graph also tells the slots of optimizers whose names tell nothing.
    """
    if collections is None:
        return [Candidate(name, dtype) for name, dtype in dtypes]
    trained = {name for name, keys in collections.items() if "trainable_variables" in keys}
    return [
        Candidate(name, dtype, collections.get(name, _NOTHING), is_slot_of(name, trained))
        for name, dtype in dtypes
    ]


def select(
    patterns: str | Iterable[str],
    candidates: Sequence[Candidate],
    *,
    allow_empty: bool = False,
    what: str = "variables",
) -> list[str]:
    """The names that the patterns select, in the order of `candidates`.

    Raises SelectionError listing every pattern that matches nothing, with the nearest names, unless `allow_empty`; a
    negated word (`!@slots`) may match nothing, since leaving out nothing surprises nobody.
    """
    selectors = parse(patterns)
    matched = {s: {c.name for c in candidates if s.matches(c)} for s in selectors}
    idle = [
        s for s, names in matched.items() if not names and not (s.negated and s.text[1:2] == "@")
    ]
    if idle and not allow_empty:
        raise SelectionError(_unmatched(idle, candidates, what))
    positive = [names for s, names in matched.items() if not s.negated]
    wanted = set().union(*positive) if positive else {c.name for c in candidates}
    wanted -= set().union(*(names for s, names in matched.items() if s.negated), _NOTHING)
    if not wanted and not allow_empty:
        texts = ", ".join(repr(s.text) for s in selectors)
        raise SelectionError(
            f"{texts} select none of {len(candidates)} {what}: what they select is left out again"
        )
    return [c.name for c in candidates if c.name in wanted]


def _parsed(text: str) -> Selector:
    negated = text.startswith("!")
    body = text[1:] if negated else text
    if not body:
        raise SelectionError(
            f"{text!r}: empty; write a name, a pattern such as '**/kernel', or @word"
        )
    if body.startswith("@"):
        return _word(text, negated, body[1:])
    if body.startswith("re:"):
        expression = regex(body[3:], text)
        return Selector(text, negated, lambda c: expression.fullmatch(c.name) is not None)
    slashed, dotted = glob(body, "/"), glob(body, ".")
    return Selector(
        text,
        negated,
        lambda c: (slashed if separator(c.name) == "/" else dotted).fullmatch(c.name) is not None,
    )


def regex(expression: str, text: str) -> re.Pattern[str]:
    """The compiled expression. Raises SelectionError that quotes `text` and shows where the mistake is."""
    try:
        return re.compile(expression)
    except re.error as error:
        at = "" if error.pos is None else f" at position {error.pos} of {expression!r}"
        raise SelectionError(f"{text!r}: no regular expression: {error.msg}{at}") from error


def separator(name: str) -> str:
    """What separates the parts of this name: `.` where there is no `/`, as in PyTorch's names, else `/`."""
    return "." if "/" not in name and "." in name else "/"


@lru_cache(maxsize=512)
def glob(pattern: str, between: str) -> re.Pattern[str]:
    """The regular expression of a glob, one group per wildcard, for names whose parts `between` separates."""
    edge = re.escape(between)
    meaning = {
        "**": "(.*)",
        "**" + between: f"((?:.*{edge})?)",
        "*": f"([^{edge}]*)",
        "?": f"([^{edge}])",
    }
    tokens = glob_tokens(pattern, between)
    return re.compile(
        "".join(meaning[t] if wild else re.escape(t) for t, wild in tokens), re.DOTALL
    )


def glob_tokens(pattern: str, between: str) -> list[tuple[str, bool]]:
    """The pieces of a glob, and whether each is a wildcard: `**`, `*`, `?`, or `**` with the separator after it."""
    edge = re.escape(between)
    wild = re.compile(rf"((?:^|(?<={edge}))\*\*{edge}|\*\*|\*|\?)")
    return [(t, number % 2 == 1) for number, t in enumerate(wild.split(pattern)) if t]


def _word(text: str, negated: bool, word: str) -> Selector:
    name, colon, argument = word.partition(":")
    if name in ("scope", "collection"):
        if not argument:
            raise SelectionError(f"{text!r}: @{name} needs a name: @{name}:NAME")
        if name == "collection":
            is_in = lambda c: argument in _collections(c, text)  # noqa: E731
            return Selector(text, negated, is_in, argument, asks_graph=True)
        inside = argument.rstrip("/.")
        return Selector(
            text,
            negated,
            lambda c: c.name.startswith((inside + "/", inside + ".")) or c.name == inside,
        )
    known: dict[str, Callable[[Candidate], bool]] = {
        "slots": lambda c: (
            (c.is_slot or is_slot(c.name)) and "trainable_variables" not in (c.collections or ())
        ),
        "ema": lambda c: is_average(c.name),
        "float": lambda c: c.dtype.startswith(("float", "bfloat")),
        "trainable": lambda c: "trainable_variables" in _collections(c, text),
        "global": lambda c: "variables" in _collections(c, text),
    }
    if name not in known or colon:
        words = ", ".join("@" + w for w in WORDS)
        near = _nearest(name, [w.partition(":")[0] for w in WORDS], 1)
        hint = f"; did you mean @{near[0]}?" if near else "."
        raise SelectionError(f"{text!r}: unknown word{hint} Known: {words}")
    return Selector(text, negated, known[name], asks_graph=name in ("trainable", "global", "slots"))


def _collections(candidate: Candidate, text: str) -> frozenset[str]:
    if candidate.collections is None:
        raise SelectionError(
            f"{text!r}: collections belong to a graph, and here are only the names of a file; "
            "select by name, or give the graph as well"
        )
    return candidate.collections


def _unmatched(idle: Sequence[Selector], candidates: Sequence[Candidate], what: str) -> str:
    names = list(dict.fromkeys(c.name for c in candidates))  # the parts of a variable have one
    lines = [f"{len(idle)} selectors match none of {len(candidates)} {what}:"]
    for selector in idle:
        body = selector.text.lstrip("!")
        near = [] if body.startswith("@") else _near_misses(body, names)
        lines.append(f"  {selector.text!r}" + (f"; near it: {', '.join(near)}" if near else ""))
    if not names:
        lines.append("There are none to select from.")
    elif not any("; near it: " in line for line in lines):
        lines.append("There are " + ", ".join(names[:_SHOWN]) + (", …" if names[_SHOWN:] else ""))
    return "\n".join(lines)


def _near_misses(body: str, names: Sequence[str]) -> list[str]:
    """Up to three names that the writer of an unmatched pattern may have meant."""
    plain = body.removeprefix("re:").strip("/.")
    below = [name for name in names if name.startswith((plain + "/", plain + "."))]
    if below:
        return [f"{plain}{separator(below[0])}** ({len(below)} names)"]
    letters = re.sub(r"[^\w/.]+", "", plain).strip("/.")
    folded = letters.casefold()
    inside = [name for name in names if folded and folded in name.casefold()]
    return inside[:3] or _nearest(letters, names, 3)


def _nearest(text: str, names: Sequence[str], count: int) -> list[str]:
    import difflib  # only an error needs it

    whole = difflib.get_close_matches(text, names[:5000], n=count, cutoff=0.6)
    last = re.split(r"[/.]", text)[-1]
    ends = {re.split(r"[/.]", name)[-1]: name for name in reversed(names[:5000])}
    return whole or [ends[end] for end in difflib.get_close_matches(last, list(ends), n=count)]
