"""`ckpt latest`: the newest checkpoint of a directory. Parses, calls `ckpt.saver.latest`, prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ckpt.cli.verb import Verb

if TYPE_CHECKING:
    from ckpt.saver.latest import Latest

SCHEMA, VERSION = "ckpt.latest", 1


@click.command(
    "latest",
    cls=Verb,
    short_help="Print the newest checkpoint of a directory.",
    examples=[
        "ckpt latest run",
        "ckpt latest run --valid",
        "ckpt latest run --rebuild --dry-run",
    ],
)
@click.argument("directory", type=click.Path())
@click.option("--valid", is_flag=True, help="Read every byte; pass over what is damaged.")
@click.option(
    "--quick", is_flag=True, help="As --valid, but read headers, indexes and lengths only."
)
@click.option("--rebuild", is_flag=True, help="Write the state file anew from the directory first.")
@click.option("-n", "--dry-run", is_flag=True, help="With --rebuild: write nothing.")
@click.option("--state", metavar="NAME", help="Name of the state file (checkpoint).")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def latest_command(
    directory: str,
    valid: bool,
    quick: bool,
    rebuild: bool,
    dry_run: bool,
    state: str | None,
    as_json: bool,
) -> int:
    """Print the prefix of the newest checkpoint in DIRECTORY, or of those that its state file names.

    What is passed over is told on standard error, with the reason. Exits with 1 when there is no checkpoint,
    with 3 when the state file is damaged: --rebuild repairs it, --valid does without it.
    """
    from ckpt.saver.meant import directory_meant

    directory, state = directory_meant(directory, state)
    if dry_run and not rebuild:
        raise click.UsageError("--dry-run goes with --rebuild")
    found = _rebuilt(directory, state, dry_run) if rebuild else None
    if found is None:
        found = _found(directory, state, valid=valid, quick=quick)
    if as_json:
        sys.stdout.write(_json(directory, found))
    elif found.path is not None:
        sys.stdout.write(found.path + "\n")
    from ckpt.inspect.render import printable

    for note in found.notes:
        click.echo("\n".join(map(printable, note.splitlines())), err=True)
    for skipped in found.skipped:
        click.echo(printable(f"passed over {skipped.path}: {skipped.reason}"), err=True)
    if found.path is None:
        click.echo(f"{printable(directory)}: no checkpoint", err=True)
        return 1
    return 0


def _found(directory: str, state: str | None, *, valid: bool, quick: bool) -> Latest:
    from ckpt.saver.latest import find_latest, find_listed

    if valid or quick:
        return find_latest(directory, state, every_byte=valid)
    return find_listed(directory, state)


def _rebuilt(directory: str, state: str | None, dry_run: bool) -> Latest | None:
    """The latest by the state file made anew; None without checkpoints, or when it is written and can be asked."""
    from ckpt.saver.latest import Latest, rebuild_checkpoint_state

    made = rebuild_checkpoint_state(directory, state, dry_run=dry_run)
    if made is None or not dry_run:
        return None
    listed = f"would list {len(made.all_model_checkpoint_paths)} checkpoints"
    return Latest(made.model_checkpoint_path, notes=(listed,))


def _json(directory: str, found: Latest) -> str:
    import json

    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "directory": directory,
        "path": found.path,
        "step": found.step,
        "skipped": [{"path": one.path, "reason": one.reason} for one in found.skipped],
        "notes": list(found.notes),
    }
    return json.dumps(document, indent=2) + "\n"
