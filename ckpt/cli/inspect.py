"""`ckpt inspect`: what a checkpoint holds. Parses, calls `ckpt.inspect`, prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from ckpt.cli.verb import Verb


@click.command(
    "inspect",
    cls=Verb,
    short_help="List the variables and the graph of a checkpoint.",
    examples=[
        "ckpt inspect run",
        "ckpt inspect run/model.ckpt-100 'encoder/**' '!@slots' --sort size",
        "ckpt inspect run --json | python3 -m json.tool",
    ],
)
@click.argument("path", type=click.Path())
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
@click.option("--names", is_flag=True, help="Write the names of the variables only.")
@click.option("--sort", type=click.Choice(["name", "size"]), help="Order of the variables.")
def inspect_command(
    path: str, patterns: tuple[str, ...], as_json: bool, names: bool, sort: str | None
) -> None:
    """List the variables and the graph of a checkpoint.

    PATH is a checkpoint file, its prefix, a .meta file, or a directory or its state file: the latest checkpoint. Reads
    headers only.

    PATTERN selects variables: `*` stops at a slash, `**` does not; re:EXPRESSION; @slots, @trainable, @scope:NAME; !PATTERN
    for all but these.
    """
    from ckpt.core.collector import paused
    from ckpt.inspect import render
    from ckpt.inspect.report import inspect, ordered, select
    from ckpt.saver.meant import checkpoint_meant

    if as_json and names:
        raise click.UsageError("--json and --names exclude each other")

    def collections() -> Mapping[str, frozenset[str]] | None:
        from ckpt.saver.candidates import collections_in  # heavy, and few words need the graph

        return collections_in(report.path)

    with paused():
        report = inspect(checkpoint_meant(path))
        report = ordered(select(report, patterns, collections), sort or "file")
        if as_json:
            sys.stdout.write(render.as_json(report))
        else:
            sys.stdout.writelines(render.shown(report, names=names, terminal=sys.stdout.isatty()))
