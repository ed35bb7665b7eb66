"""`ckpt inspect`: what a checkpoint holds. Parses, calls `ckpt.inspect`, prints."""

from __future__ import annotations

import os
import sys

import click


@click.command("inspect")
@click.argument("path")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
@click.option("--names", is_flag=True, help="Write the names of the variables only.")
@click.option("--sort", type=click.Choice(["name", "size"]), help="Order of the variables.")
def inspect_command(
    path: str, patterns: tuple[str, ...], as_json: bool, names: bool, sort: str | None
) -> None:
    """List the variables and the graph of a checkpoint.

    PATH is a checkpoint file, its prefix, a .meta file, or a directory (its latest checkpoint).
    PATTERN selects variables: `*` stops at a slash, `**` does not. Reads headers only.
    """
    from ckpt.core.collector import paused
    from ckpt.inspect import render
    from ckpt.inspect.report import inspect, ordered, select

    with paused():
        report = inspect(_latest(path) if os.path.isdir(path) else path)
        report = ordered(select(report, patterns), sort or "file")
        if as_json:
            sys.stdout.write(render.as_json(report))
        else:
            sys.stdout.writelines(render.shown(report, names=names, terminal=sys.stdout.isatty()))


def _latest(directory: str) -> str:
    """The newest checkpoint of a directory. Raises NotFoundError when it has none."""
    from ckpt.core.errors import NotFoundError
    from ckpt.saver.latest import latest_checkpoint

    found = latest_checkpoint(directory)
    if found is None:
        raise NotFoundError(
            None, None, f"{directory}: no checkpoint; its state file is missing or names lost files"
        )
    return found
