"""`ckpt merge`: several saved models become one. Parses, calls `ckpt.compose`, prints."""

from __future__ import annotations

import sys
from typing import Any

import click

from ckpt.cli.verb import Verb

SCHEMA, VERSION = "ckpt.merge", 1


@click.command(
    "merge",
    cls=Verb,
    short_help="Merge models into one graph and one checkpoint.",
    examples=[
        "ckpt merge a=run1 b=run2/model.ckpt-20 -o both --connect b/x=a/features",
        "ckpt merge a=run1 b=run2 -o both --share a/emb=b/emb --drop @slots --plan",
    ],
)
@click.argument("parts", nargs=-1, required=True, metavar="NAME=PATH...")
@click.option(
    "-o", "--output", required=True, metavar="OUT", help="Prefix of the merged checkpoint."
)
@click.option(
    "--connect",
    multiple=True,
    metavar="INPUT=OUTPUT",
    help="Feed an input of one part from an output of another: b/x:0=a/features:0. May be repeated.",
)
@click.option(
    "--share",
    multiple=True,
    metavar="KEPT=REPLACED",
    help="Two variables become one: a/emb=b/emb makes b use a's. May be repeated.",
)
@click.option("--shared-from", metavar="NAME", help="The part whose values shared variables take.")
@click.option("--keep", multiple=True, metavar="TENSOR", help="Keep only what these need.")
@click.option(
    "--drop",
    multiple=True,
    metavar="SELECTOR",
    help="Leave out nodes: @slots, @training, @summaries, @scope:NAME, names, and globs such as 'b/metrics/**'.",
)
@click.option(
    "--stop-gradient",
    multiple=True,
    metavar="INPUT",
    help="No gradient passes this connected input.",
)
@click.option(
    "--freeze",
    multiple=True,
    metavar="SELECTOR",
    help="Train none of these variables: a scope, or a pattern such as 'b/**/kernel' or '!b/out/*'.",
)
@click.option(
    "--check",
    "compare",
    is_flag=False,
    flag_value="equal",
    type=click.Choice(["equal", "allclose"]),
    help="Run parts and result on the same inputs first; write only if they agree.",
)
@click.option(
    "--plan", "only_plan", is_flag=True, help="Show what would be done, in full; read no values."
)
@click.option(
    "--allow-noop", is_flag=True, help="A part of which nothing is left in OUT is no error."
)
@click.option("--force", is_flag=True, help="Replace OUT when it exists.")
@click.option("-n", "--dry-run", is_flag=True, help="Check everything and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as one JSON document.")
def merge_command(
    parts: tuple[str, ...],
    output: str,
    connect: tuple[str, ...],
    share: tuple[str, ...],
    compare: str | None,
    only_plan: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Merge saved models into one graph and one checkpoint, each under a scope of its own."""
    named = _pairs(parts, "NAME=PATH", "parts")
    wires = _pairs(connect, "INPUT=OUTPUT", "--connect")
    options["share"] = [(k, r) for k, r in (text.split("=", 1) for text in _shares(share))]
    for name in named:
        if "/" in name:
            raise click.BadParameter(f"{name!r} names a scope and must have no slash")
    if only_plan:
        from ckpt.cli.merge_plan import plan_text
        from ckpt.compose import plan_report

        plan = plan_report(named, wires, **options)
        sys.stdout.write(_document({"plan": plan}) if as_json else plan_text(plan))
        return
    from ckpt.compose import merge_files

    report = merge_files(
        named, output, wires, force=force, dry_run=dry_run, compare=compare, **options
    )
    sys.stdout.write(_json(report, dry_run) if as_json else _text(report, dry_run))


def _shares(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts, each KEPT=REPLACED. Reports every bad one at once."""
    wrong = [repr(text) for text in texts if not all(text.partition("="))]
    if wrong:
        raise click.BadParameter(f"{', '.join(wrong)}: not KEPT=REPLACED", param_hint="--share")
    return texts


def _pairs(texts: tuple[str, ...], form: str, what: str) -> dict[str, str]:
    """`LEFT=RIGHT` texts as a dict. Reports every bad text at once."""
    pairs: dict[str, str] = {}
    problems = []
    for text in texts:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            problems.append(f"{text!r} is not {form}")
        elif left in pairs:
            problems.append(f"{left!r} is given twice")
        else:
            pairs[left] = right
    if problems:
        raise click.BadParameter("; ".join(problems), param_hint=what)
    return pairs


def _text(report: Any, dry_run: bool) -> str:
    """The report for people, or as tab-separated lines when nobody watches."""
    from ckpt.inspect.render import printable, size_text

    outputs = [str(path) for path in _listed(report.output)]
    wires = len(report.wires)
    if not sys.stdout.isatty():
        rows: list[tuple[Any, ...]] = [
            ("part", name, path) for name, path in dict(report.parts).items()
        ]
        rows += [("merged", report.variables, report.nodes, wires, report.nbytes)]
        if report.check is not None:
            rows += [("check", o.name, o.max_difference) for o in report.check.outputs]
        rows += [("would write" if dry_run else "output", path) for path in outputs]
        return "".join("\t".join(printable(str(field)) for field in row) + "\n" for row in rows)
    verb = "would write" if dry_run else "wrote"
    lines = [
        f"{printable(name)}: {printable(str(path))}" for name, path in dict(report.parts).items()
    ]
    lines.append(
        f"merged {len(report.parts)} models: {report.variables} variables, {report.nodes} nodes, "
        f"{wires} wires, {size_text(report.nbytes)}"
    )
    if report.check is not None:
        lines += [printable(line) for line in str(report.check).splitlines()]
    return "\n".join([*lines, *(f"{verb} {printable(path)}" for path in outputs)]) + "\n"


def _listed(paths: Any) -> list[Any]:
    return [paths] if isinstance(paths, str) else list(paths)


def _json(report: Any, dry_run: bool) -> str:
    checked = report.check
    return _document(
        {
            "dry_run": dry_run,
            "parts": {name: str(path) for name, path in dict(report.parts).items()},
            "variables": report.variables,
            "nodes": report.nodes,
            "wires": dict(report.wires),
            "output": [str(path) for path in _listed(report.output)],
            "nbytes": report.nbytes,
            "check": None
            if checked is None
            else {
                "outputs": {o.name: o.max_difference for o in checked.outputs},
                "skipped": dict(checked.skipped),
            },
        }
    )


def _document(content: dict[str, Any]) -> str:
    import json

    return json.dumps({"schema": SCHEMA, "version": VERSION, **content}, indent=2) + "\n"
