"""`ckpt verify`: are checkpoints whole? Parses, calls `ckpt.saver.validity`, prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

SCHEMA, VERSION = "ckpt.verify", 1


@click.command("verify")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--quick", is_flag=True, help="Read headers, indexes and lengths only.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def verify_command(paths: tuple[str, ...], quick: bool, as_json: bool) -> int:
    """Read every byte of checkpoints and compare it with the checksums.

    PATH is a prefix, any file of a checkpoint, or a directory: all checkpoints in it. Exits with 1 when one is
    damaged, with 3 when there is none.
    """
    from ckpt.saver import validity

    prefixes = [prefix for path in paths for prefix in _prefixes(path)]
    problems = {
        prefix: validity.problem_of(prefix, every_byte=not quick)
        for prefix in dict.fromkeys(prefixes)
    }
    if as_json:
        sys.stdout.write(_json(problems))
    else:
        from ckpt.inspect.render import printable

        for prefix, problem in problems.items():
            state = "ok" if problem is None else "damaged"
            fields = (state, prefix) if problem is None else (state, prefix, problem.reason)
            sys.stdout.write("\t".join(printable(field) for field in fields) + "\n")
    return 1 if any(problems.values()) else 0


def _prefixes(path: str) -> list[str]:
    """The checkpoints that a path means. Raises NotFoundError when there are none."""
    from ckpt.core import storage
    from ckpt.core.errors import NotFoundError
    from ckpt.formats import detect
    from ckpt.saver.latest import checkpoints_in
    from ckpt.saver.validity import prefix_of_file

    if storage.is_directory(path):
        found = [saved.name for saved in checkpoints_in(path)]
        if not found:
            raise NotFoundError(None, None, f"{path}: no checkpoint in this directory")
        return found
    prefix = prefix_of_file(path)
    detect.resolve(prefix)
    return [prefix]


def _json(problems: Mapping[str, object]) -> str:
    import json

    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "checkpoints": [
            {
                "path": prefix,
                "whole": problem is None,
                "reason": getattr(problem, "reason", None),
                "values_whole": problem is None or getattr(problem, "keeps_values", False),
            }
            for prefix, problem in problems.items()
        ],
    }
    return json.dumps(document, indent=2) + "\n"
