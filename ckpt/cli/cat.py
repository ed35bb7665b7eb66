"""`ckpt cat`: the values of one variable. Parses, calls `ckpt.inspect.values`, prints."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

import click

from ckpt.cli.verb import Verb

_CUT = re.compile(r"\s*(-?\d+)?\s*(:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?)?")


@click.command(
    "cat",
    cls=Verb,
    short_help="Write the values of one variable.",
    examples=[
        "ckpt cat run encoder/bias",
        "ckpt cat run/model.ckpt-100 encoder/kernel --slice 0:10,: --format csv -o rows.csv",
        "ckpt cat run encoder/kernel --format npy -o kernel.npy",
    ],
)
@click.argument("path", type=click.Path())
@click.argument("name")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "csv", "json", "npy"]),
    default="text",
    show_default=True,
    help="csv has a line per row of the last axis; npy is numpy's.",
)
@click.option("--full", is_flag=True, help="Leave nothing out of the text of a large one.")
@click.option(
    "--slice", "cut", metavar="RANGES", help="Read this part only, as numpy slices: 0:10,:,3."
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write to this file.")
def cat_command(
    path: str, name: str, kind: str, full: bool, cut: str | None, output: str | None
) -> None:
    """Write the values of the variable NAME, verified.

    PATH is a checkpoint file, its prefix, or a directory or its state file: the latest checkpoint.
    """
    if kind == "npy" and output is None and sys.stdout.isatty():
        raise click.UsageError("npy is no text; give -o FILE")
    key = _parsed(cut)
    import numpy as np

    from ckpt.core.dtypes import as_dtype
    from ckpt.core.errors import CkptError
    from ckpt.inspect import values
    from ckpt.saver.opening import open_checkpoint

    with open_checkpoint(path) as checkpoint:
        try:
            tensor = checkpoint[name]
            part = tensor.read() if key is None else tensor[key]
        except (KeyError, IndexError) as error:
            raise CkptError(error.args[0]) from error
        array, dtype = np.asarray(part, tensor.dtype), as_dtype(tensor.dtype).name
    if kind == "npy":
        try:
            _write(values.as_npy(array), output)
        except TypeError as error:
            raise CkptError(f"{name}: {error}; --format csv and json have them") from error
        return
    pieces: Iterable[str] = [values.as_text(array, full=full)] if kind == "text" else []
    if kind == "csv":
        pieces = values.as_csv(array)
    elif kind == "json":
        pieces = values.as_json(name, dtype, array)
    if output is not None:
        _write("".join(pieces).encode(), output)
        return
    if sys.stdout.isatty():
        from ckpt.inspect.render import printable

        pieces = ("\n".join(map(printable, piece.split("\n"))) for piece in pieces)
    sys.stdout.writelines(pieces)


def _parsed(text: str | None) -> tuple[int | slice, ...] | None:
    """Numpy's key for `0:10,:,3`."""
    if text is None:
        return None
    found: list[int | slice] = []
    for part in text.split(","):
        match = _CUT.fullmatch(part)
        if match is None or not part.strip():
            raise click.BadParameter(
                f"{part!r} is no range such as 0:10, : or 3", param_hint="--slice"
            )
        first, colon, last, step = match.groups()
        if step is not None and not int(step):
            raise click.BadParameter(f"{part!r}: a step of 0", param_hint="--slice")
        ends = (None if word is None else int(word) for word in (first, last, step))
        found.append(slice(*ends) if colon else int(first))
    return tuple(found)


def _write(data: bytes, output: str | None) -> None:
    if output is None:
        sys.stdout.buffer.write(data)
        return
    from ckpt.core.storage import write_file

    write_file(output, data)
