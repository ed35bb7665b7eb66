"""`ckpt merge`: several saved models become one. Parses, calls `ckpt.compose`, prints."""

from __future__ import annotations

import sys
from typing import Any

import click

SCHEMA, VERSION = "ckpt.merge", 1


@click.command("merge")
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
@click.option("--force", is_flag=True, help="Replace OUT when it exists.")
@click.option("-n", "--dry-run", is_flag=True, help="Check everything and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as one JSON document.")
def merge_command(
    parts: tuple[str, ...],
    output: str,
    connect: tuple[str, ...],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Merge saved models into one graph and one checkpoint, each under a scope of its own.

    Example: ckpt merge a=run1/model.ckpt-10 b=run2/model.ckpt-20 -o both --connect b/x:0=a/features:0
    """
    named = _pairs(parts, "NAME=PATH", "parts")
    wires = _pairs(connect, "INPUT=OUTPUT", "--connect")
    for name in named:
        if "/" in name:
            raise click.BadParameter(f"{name!r} names a scope and must have no slash")
    from ckpt.compose import merge_files

    report = merge_files(named, output, wires, force=force, dry_run=dry_run)
    sys.stdout.write(_json(report, dry_run) if as_json else _text(report, dry_run))


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
    wires = report.wires if isinstance(report.wires, int) else len(report.wires)
    if not sys.stdout.isatty():
        rows: list[tuple[Any, ...]] = [
            ("part", name, path) for name, path in dict(report.parts).items()
        ]
        rows += [("merged", report.variables, report.nodes, wires, report.nbytes)]
        rows += [("output", path) for path in outputs]
        return "".join("\t".join(printable(str(field)) for field in row) + "\n" for row in rows)
    verb = "would write" if dry_run else "wrote"
    lines = [
        f"{printable(name)}: {printable(str(path))}" for name, path in dict(report.parts).items()
    ]
    lines.append(
        f"merged {len(report.parts)} models: {report.variables} variables, {report.nodes} nodes, "
        f"{wires} wires, {size_text(report.nbytes)}"
    )
    return "\n".join([*lines, *(f"{verb} {printable(path)}" for path in outputs)]) + "\n"


def _listed(paths: Any) -> list[Any]:
    return [paths] if isinstance(paths, str) else list(paths)


def _json(report: Any, dry_run: bool) -> str:
    import json

    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "dry_run": dry_run,
        "parts": {name: str(path) for name, path in dict(report.parts).items()},
        "variables": report.variables,
        "nodes": report.nodes,
        "wires": report.wires if isinstance(report.wires, int) else _plain(report.wires),
        "output": [str(path) for path in _listed(report.output)],
        "nbytes": report.nbytes,
    }
    return json.dumps(document, indent=2) + "\n"


def _plain(wires: Any) -> Any:
    return dict(wires) if hasattr(wires, "items") else [list(wire) for wire in wires]
