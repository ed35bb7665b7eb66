"""`ckpt prune` and `ckpt pin`: which checkpoints of a directory stay. Parse, call `ckpt.saver.pruning`, print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ckpt.cli.verb import Verb

if TYPE_CHECKING:
    from ckpt.saver.retention import Choice, Rule

SCHEMA, VERSION = "ckpt.prune", 1


@click.command(
    "prune",
    cls=Verb,
    short_help="Delete the checkpoints that no rule keeps.",
    examples=[
        "ckpt prune run --keep 5 --every-steps 10000 --dry-run",
        "ckpt prune run --keep 1 --best loss --best accuracy:max:3",
    ],
)
@click.argument("directory", type=click.Path())
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Keep the newest N.")
@click.option(
    "--every-steps", type=click.IntRange(1), metavar="N", help="Keep the first of every N steps."
)
@click.option(
    "--every-hours",
    type=click.FloatRange(0, min_open=True),
    metavar="H",
    help="Keep one every H hours.",
)
@click.option(
    "--best",
    multiple=True,
    metavar="METRIC[:min|max][:N]",
    help="Keep the N (1) best by a metric that was saved; min is best when not said. May be repeated.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be deleted and delete nothing.")
@click.option("--state", metavar="NAME", help="Name of the state file (checkpoint).")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def prune_command(
    directory: str,
    keep: int | None,
    every_steps: int | None,
    every_hours: float | None,
    best: tuple[str, ...],
    dry_run: bool,
    state: str | None,
    as_json: bool,
) -> None:
    """Delete the checkpoints in DIRECTORY that no option keeps.

    The latest, pinned ones (`ckpt pin`) and those that keep_checkpoint_every_n_hours kept always stay. Nothing is
    deleted that the state file does not know: `ckpt latest --rebuild` lists all that lies there.
    """
    from ckpt.saver import retention
    from ckpt.saver.meant import directory_meant
    from ckpt.saver.pruning import prune_checkpoints

    rules: list[Rule] = [_best(text) for text in best]
    if keep is not None:
        rules.append(retention.LatestN(keep))
    if every_steps is not None:
        rules.append(retention.EveryNSteps(every_steps))
    if every_hours is not None:
        rules.append(retention.EveryNHours(every_hours))
    if not rules:
        raise click.UsageError("say what to keep: --keep, --every-steps, --every-hours or --best")
    directory, state = directory_meant(directory, state)
    choice = prune_checkpoints(directory, rules, latest_filename=state, dry_run=dry_run)
    sys.stdout.write(_json(choice, dry_run) if as_json else _text(choice, dry_run))


@click.command(
    "pin",
    cls=Verb,
    short_help="Keep a checkpoint whatever limits say.",
    examples=[
        "ckpt pin run/model.ckpt-100",
        "ckpt pin run/model.ckpt-100 --remove",
    ],
)
@click.argument("path", type=click.Path())
@click.option("--remove", is_flag=True, help="Let limits count for it again.")
@click.option("--state", metavar="NAME", help="Name of the state file (checkpoint).")
def pin_command(path: str, remove: bool, state: str | None) -> None:
    """Keep the checkpoint PATH whatever limits say; noted in the state file beside it.

    PATH is a prefix, one of the files, or a directory: its latest checkpoint.
    """
    from ckpt.saver.meant import checkpoint_prefix
    from ckpt.saver.pruning import pin_checkpoint

    pin_checkpoint(checkpoint_prefix(path), pinned=not remove, latest_filename=state)


def _best(text: str) -> Rule:
    from ckpt.saver.retention import BestN

    metric, *rest = text.split(":")
    mode, number = "min", 1
    for word in rest:
        if word in ("min", "max"):
            mode = word
        elif word.isascii() and word.isdigit() and int(word):
            number = int(word)
        else:
            raise click.BadParameter(f"{text!r} is not METRIC[:min|max][:N]", param_hint="--best")
    return BestN(metric, number, "max" if mode == "max" else "min")


def _text(choice: Choice, dry_run: bool) -> str:
    from ckpt.inspect.render import printable

    verb = "would delete" if dry_run else "deleted"
    rows = [(verb, name, reason) for name, reason in choice.delete.items()]
    rows += [("kept", name, reason) for name, reason in choice.keep.items()]
    return "".join("\t".join(map(printable, row)) + "\n" for row in rows)


def _json(choice: Choice, dry_run: bool) -> str:
    import json

    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "dry_run": dry_run,
        "deleted": [{"path": name, "reason": why} for name, why in choice.delete.items()],
        "kept": [{"path": name, "reason": why} for name, why in choice.keep.items()],
    }
    return json.dumps(document, indent=2) + "\n"
