"""`ckpt salvage`: what a damaged checkpoint still holds. Parses, calls `ckpt.saver.salvage`, prints."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from ckpt.cli.surgery import writing
from ckpt.cli.verb import Verb

if TYPE_CHECKING:
    from ckpt.saver.salvage import SalvageReport

SCHEMA, VERSION = "ckpt.salvage", 1


@click.command(
    "salvage",
    cls=Verb,
    short_help="Recover what a damaged checkpoint still holds.",
    examples=[
        "ckpt salvage run/model.ckpt-100 -o rescued",
        "ckpt salvage broken.h5 -o rescued --dry-run --json",
    ],
)
@writing
def salvage_command(source: str, output: str, force: bool, dry_run: bool, as_json: bool) -> int:
    """Write every tensor whose bytes match their checksums to a new checkpoint, and list what is lost.

    IN is a checkpoint's prefix, one of its files, or a directory or its state file: the latest checkpoint. It stays as it is.
    Exits with 1 when something is lost, with 3 when everything is.
    """
    from ckpt.saver.salvage import salvage

    report = salvage(source, output, force=force, dry_run=dry_run)
    sys.stdout.write(_json(report) if as_json else _lines(report))
    return 0 if report.is_whole else 1


def _lines(report: SalvageReport) -> str:
    from ckpt.inspect.render import printable

    rows = [("lost file", name, why) for name, why in report.lost_files.items()]
    rows += [("lost", name, why) for name, why in report.lost.items()]
    total = len(report.recovered) + len(report.lost)
    graph = "with" if report.has_graph else "without"
    rows.append(("recovered", f"{len(report.recovered)} of {total} tensors", f"{graph} the graph"))
    return "".join("\t".join(map(printable, row)) + "\n" for row in rows)


def _json(report: SalvageReport) -> str:
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "recovered": list(report.recovered),
        "lost": dict(report.lost),
        "lost_files": dict(report.lost_files),
        "graph": report.has_graph,
        "output": list(report.output),
    }
    return json.dumps(document, indent=2) + "\n"
