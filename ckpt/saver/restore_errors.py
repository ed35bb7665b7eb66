"""The error of a restore or an initialization that cannot be done: all that is wrong at once, with the way out in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core.errors import InvalidArgumentError, NotFoundError
from ckpt.core.near_names import Named
from ckpt.core.suggestions import Suggestions
from ckpt.saver.policies import Policies
from ckpt.saver.report import Mismatch, RestoreReport

SHOWN = 30  # variables of one kind in a message; the report of the error has all


class MissingVariablesError(NotFoundError):
    """Variables that the checkpoint lacks. `report` says all, `rename` are the rules that explain them, or None."""

    report: RestoreReport
    rename: Any = None


class MismatchedVariablesError(InvalidArgumentError):
    """Variables of another dtype or shape in the checkpoint, or tensors that nobody expected. `report` says all."""

    report: RestoreReport
    rename: Any = None


class InitialValuesError(ValueError):
    """Initial values that a checkpoint lacks, or has of another dtype or shape. `rename` as in MissingVariablesError."""

    rename: Any = None


def failure(
    report: RestoreReport,
    missing: Sequence[Named],
    total: int,
    held: int,
    found: Suggestions,
    *,
    has_rules: bool,
    policies: Policies,
    refused: Sequence[str] = (),
    are_slots: bool = False,
    averages: int = 0,
) -> MissingVariablesError | MismatchedVariablesError:
    """The error for what `report` says could not be restored; `refused` are further reasons, one line each.

    `are_slots`: all that is missing belongs to an optimizer. `averages`: tensors that are averages of what the checkpoint lacks.
    """
    wrong = {m.name for m in report.mismatched if m.action == "error"} | {n.name for n in missing}
    said = f"{len(wrong)} of {total} variables cannot be restored, and " if wrong else ""
    # where policies leave everything alone, what they leave alone is what is wrong
    shown = [m for m in report.mismatched if m.action == "error" or not (wrong or report.restored)]
    parts = [
        f"{report.path}: {said}nothing was assigned.",
        *_missing(missing, found),
        *_mismatches(shown),
        *_listed(refused),
        *_way_out(missing, found, has_rules=has_rules, or_with="apply_suggestions=True"),
        _averages(averages) if missing and not policies.rename else "",
        *_other_ways(missing, report.mismatched, policies, are_slots=are_slots),
        _spare(report, held),
    ]
    kind = MissingVariablesError if missing else MismatchedVariablesError
    error = kind(None, None, "\n".join(part for part in parts if part))
    error.report = replace(report, is_done=False)
    error.rename = found.rename if found.pairs else None
    return error


def _missing(missing: Sequence[Named], found: Suggestions) -> Iterable[str]:
    if not missing:
        return
    yield f"{len(missing)} are missing from the checkpoint (Key {missing[0].name} not found in checkpoint):"
    for named in missing[:SHOWN]:
        yield f"  {named.name} {named}"
        yield from _perhaps(named.name, found)
    yield _more(len(missing))


def _perhaps(name: str, found: Suggestions) -> Iterable[str]:
    candidates = found.candidates.get(name, [])
    for held, reason in candidates[:1] if name in found.pairs else candidates:
        yield f"      perhaps {held}: {reason}"


def _mismatches(wrong: Sequence[Mismatch]) -> Iterable[str]:
    if wrong:
        yield f"{len(wrong)} tensors have another shape or dtype than the variable (graph mismatch):"
        for m in wrong[:SHOWN]:
            mine, theirs = (text.partition("[")[0] for text in (m.wanted, m.found))
            clash = f" (expected dtype {mine} does not equal original dtype {theirs})"
            yield f"  {m.name}: the graph has {m.wanted}, the checkpoint has {m.found}" + (
                clash if mine != theirs else ""
            )
        yield _more(len(wrong))


def _listed(lines: Sequence[str]) -> Iterable[str]:
    yield from (f"  {line}" for line in lines[:SHOWN])
    yield _more(len(lines))


def _more(count: int) -> str:
    return f"  … and {count - SHOWN} more" if count > SHOWN else ""


def no_initial_values(
    path: str,
    wrong: str,
    missing: Mapping[str, tuple[Named, str]],
    others: Sequence[str],
    found: Suggestions,
    held: Sequence[str],
    *,
    has_rules: bool,
) -> InitialValuesError:
    """The error for variables that cannot take their initial values from a checkpoint, with the way out.

    `wrong`: how many of how many; `missing`: name in the checkpoint -> the variable that wants it, and the entry or
    selector that says so; `others`: what else is wrong, one line each; `held`: all names in the checkpoint.
    """
    names = [named for named, _ in missing.values()]
    lines = [
        f"{path}: {wrong} variables cannot take their initial values from it, and nothing was changed."
    ]
    for name, (named, said) in list(missing.items())[:SHOWN]:
        lines.append(
            f"  Tensor {name} ({said}) is not found in {path} checkpoint; wanted is {named}"
        )
        lines += _perhaps(name, found)
    lines += [_more(len(missing)), *_listed(others)]
    lines += _way_out(names, found, has_rules=has_rules, do="Take them")
    some = ", ".join(held[:10]) + (", …" if len(held) > 10 else "")
    lines.append(f"The checkpoint holds {len(held)} tensors: {some}")
    error = InitialValuesError("\n".join(filter(None, lines)))
    error.rename = found.rename if found.pairs else None
    return error


def _way_out(
    missing: Sequence[Named],
    found: Suggestions,
    *,
    has_rules: bool,
    do: str = "Restore",
    or_with: str = "",
) -> Iterable[str]:
    explained = sum(named.name in found.pairs for named in missing)
    if explained:
        rules = f"{found.rules} rule" + "s" * (found.rules != 1)
        last = ", after the rules that you gave" if has_rules else ""
        yield f"{explained} of {len(missing)} are explained by {rules}, with equal dtypes and shapes. {do} with{last}"
        yield f"    rename={written(found.rename)}"
        if or_with:
            yield f"  or with {or_with}."
        if moved := found.pairs.keys() - {named.name for named in missing}:
            yield (
                f"  These rules also move {len(moved)} variables that are found under their own names, such as "
                f"{min(moved)}: the layers seem to be numbered anew."
            )
    if found.guess:
        yield "If the layers are the same and only numbered anew, their order gives (look at it before you use it)"
        yield f"    rename={written(found.guess, shown=len(found.guess))}"


def _averages(count: int) -> str:
    told = f"{count} tensors are moving averages of variables that the checkpoint lacks:"
    return f"{told} rename='ema' gives them the names of these." if count else ""


def lost_values(path: str, lost: Sequence[str]) -> InvalidArgumentError:
    """The error for casts that would make other numbers of some; `lost` has a line for each."""
    lines = [
        f"{path}: on_dtype='cast': {len(lost)} variables cannot hold their values, and nothing was assigned.",
        *_listed(lost),
        "on_dtype='skip' leaves them alone; or give the variables the dtypes of the checkpoint.",
    ]
    return InvalidArgumentError(None, None, "\n".join(filter(None, lines)))


_NEEDED = {
    "reshape": "takes as many elements in another shape, but not for a part of a variable",
    "slice": "takes the first entries of axes that are longer in the checkpoint; none may be shorter there",
    "pad": "fills axes that are shorter in the checkpoint with zeros; none may be longer there",
}


def _other_ways(
    missing: Sequence[Named],
    mismatched: Sequence[Mismatch],
    policies: Policies,
    *,
    are_slots: bool,
) -> Iterable[str]:
    if missing and are_slots and policies.slots != "optional":
        yield "All that is missing belongs to an optimizer: slots='optional' initializes it."
    elif missing and policies.on_missing == "error":
        yield "on_missing='init' initializes what is missing, 'skip' leaves it alone."
    wrong = [m for m in mismatched if m.action == "error"]
    if any(m.wanted.partition("[")[0] != m.found.partition("[")[0] for m in wrong):
        yield (
            "on_dtype='cast' goes from bool to integers, floats and complex numbers, not back; 'skip' leaves others alone."
            if policies.on_dtype == "cast"
            else "on_dtype='cast' converts between dtypes where no value can change beyond rounding."
        )
    if any(m.wanted.partition("[")[2] != m.found.partition("[")[2] for m in wrong):
        said = policies.on_shape
        yield (
            f"on_shape={said!r} {_NEEDED[said]}; 'skip' leaves others alone."
            if said in _NEEDED
            else "on_shape='skip' leaves variables of another shape alone; 'reshape', 'slice' and 'pad' make values fit."
        )


def _spare(report: RestoreReport, held: int) -> str:
    if not report.unexpected:
        return f"The checkpoint holds {held} tensors, and variables take all of them."
    some = ", ".join(report.unexpected[:10]) + (", …" if len(report.unexpected) > 10 else "")
    return f"The checkpoint holds {held} tensors; no variable asks for {len(report.unexpected)} of them: {some}"


def written(rename: Any, *, shown: int = SHOWN) -> str:
    """The rules as Python text: on one line while that is short, a long map cut after its first entries."""
    if not isinstance(rename, dict) or len(rename) <= 4:
        return repr(rename)
    lines = [f"        {old!r}: {new!r}," for old, new in list(rename.items())[:shown]]
    if len(rename) > shown:
        lines.append(
            f"        # … and {len(rename) - shown} more: the error has them all, as `error.rename`"
        )
    return "{\n" + "\n".join(lines) + "\n    }"
