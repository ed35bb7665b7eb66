"""`ckpt verify`: are checkpoints whole? Parses, calls `ckpt.saver.validity`, prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ckpt.cli.verb import Verb

if TYPE_CHECKING:
    from ckpt.saver.validity import Problem

SCHEMA, VERSION = "ckpt.verify", 1


@click.command(
    "verify",
    cls=Verb,
    short_help="Compare every byte with its checksum.",
    examples=[
        "ckpt verify run",
        "ckpt verify run/model.ckpt-100 other/model.ckpt-7 --quick",
    ],
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option("--quick", is_flag=True, help="Read headers, indexes and lengths only.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def verify_command(paths: tuple[str, ...], quick: bool, as_json: bool) -> int:
    """Read every byte of checkpoints and compare it with the checksums.

    PATH is a prefix, any file of a checkpoint, or a directory or its state file: all checkpoints in the directory.
    One of another program (TensorFlow, PyTorch, safetensors ...) has no checksums that ckpt knows: it is told which, and
    what reads it. Exits with 3 when a path leads to none, else with 1 when one is damaged, else with 5 when one is of another
    format; the others are verified all the same.
    """
    from ckpt.core.errors import DataLossError, NotFoundError
    from ckpt.saver import validity

    prefixes: dict[str, None] = {}
    lost = []
    for path in paths:
        try:
            prefixes.update(dict.fromkeys(_prefixes(path)))
        except (
            NotFoundError,
            DataLossError,
        ) as error:  # there is none, or no state file that says so
            lost.append(str(error))
    problems = {prefix: validity.problem_of(prefix, every_byte=not quick) for prefix in prefixes}
    _show(problems, as_json=as_json)
    if lost:
        raise NotFoundError(None, None, "\n".join(lost))
    found = [problem for problem in problems.values() if problem is not None]
    if not found:
        return 0
    return 5 if all(problem.is_foreign for problem in found) else 1


def _show(problems: Mapping[str, Problem | None], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(_json(problems))
    else:
        from ckpt.inspect.render import printable

        for prefix, problem in problems.items():
            if problem is None:
                fields = ["ok", prefix]
            else:
                fields = ["other" if problem.is_foreign else "damaged", prefix, problem.reason]
            sys.stdout.write("\t".join(printable(field) for field in fields) + "\n")


def _prefixes(path: str) -> list[str]:
    """The checkpoints that a path means. Raises NotFoundError when there are none, DataLossError as `checkpoint_meant`."""
    from ckpt.core import storage
    from ckpt.formats import detect
    from ckpt.saver.latest import checkpoints_in
    from ckpt.saver.meant import checkpoint_meant, is_state_file
    from ckpt.saver.validity import prefix_of_file

    if is_state_file(path):
        path = storage.split(path)[0]
    if storage.is_directory(path):
        found = [saved.name for saved in checkpoints_in(path)]
        if found:
            return found
    prefix = prefix_of_file(checkpoint_meant(path))
    detect.resolve(prefix)
    return [prefix]


def _json(problems: Mapping[str, Problem | None]) -> str:
    import json

    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "checkpoints": [
            {
                "path": prefix,
                "whole": problem is None,
                "foreign": problem is not None and problem.is_foreign,
                "reason": None if problem is None else problem.reason,
                "values_whole": problem is None or problem.keeps_values,
            }
            for prefix, problem in problems.items()
        ],
    }
    return json.dumps(document, indent=2) + "\n"
