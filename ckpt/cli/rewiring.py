"""`ckpt tie`, `ckpt untie`, `ckpt graft`, `ckpt redirect`: variables and scopes of saved models put together otherwise."""

from __future__ import annotations

import click

from ckpt.cli.surgery import finish, pairs, writing
from ckpt.cli.verb import Verb


@click.command(
    "tie",
    cls=Verb,
    short_help="Make two variables one.",
    examples=[
        "ckpt tie run/model.ckpt-100 -o tied encoder/emb=decoder/emb",
    ],
)
@writing
@click.argument("ties", nargs=-1, required=True, metavar="KEPT=REPLACED...")
def tie_command(
    source: str, output: str, ties: tuple[str, ...], force: bool, dry_run: bool, as_json: bool
) -> None:
    """Make two variables one: what used the second uses the first, whose value counts."""
    from ckpt.surgery import open_draft, tie

    found = pairs(ties, "KEPT=REPLACED")
    draft = tie(open_draft(source), found)
    finish(draft, output, force, dry_run, as_json, {"tied": {old: new for new, old in found}})


@click.command(
    "untie",
    cls=Verb,
    short_help="Give some nodes a copy of a variable of their own.",
    examples=[
        "ckpt untie tied -o apart encoder/emb --name decoder/emb --user decoder",
    ],
)
@writing
@click.argument("variable")
@click.option("--name", required=True, help="The name of the copy.")
@click.option(
    "--user", "users", multiple=True, required=True, metavar="SCOPE", help="Who gets the copy."
)
def untie_command(
    source: str,
    output: str,
    variable: str,
    name: str,
    users: tuple[str, ...],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give some nodes or scopes a copy of a variable, with its value, of their own."""
    from ckpt.surgery import open_draft, untie

    draft = untie(open_draft(source), variable, users, name)
    finish(draft, output, force, dry_run, as_json, {"copied": {variable: name}})


@click.command(
    "graft",
    cls=Verb,
    short_help="Put a scope of another model in the place of one.",
    examples=[
        "ckpt graft run/model.ckpt-100 -o grafted better/model.ckpt-7 --scope encoder=encoder",
    ],
)
@writing
@click.argument("other", type=click.Path())
@click.option(
    "--scope", required=True, metavar="FROM=TO", help="The scope of OTHER, and where it goes."
)
@click.option(
    "--connect",
    multiple=True,
    metavar="THERE=HERE",
    help="A tensor that the scope takes from outside, and the tensor of IN that it is.",
)
def graft_command(
    source: str,
    output: str,
    other: str,
    scope: str,
    connect: tuple[str, ...],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a scope of another model into IN, in the place of what is there: nodes, variables and values."""
    from ckpt.surgery import graft, open_draft

    ((there, here),) = pairs((scope,), "--scope")
    draft = graft(
        open_draft(source), open_draft(other), there, here, dict(pairs(connect, "--connect"))
    )
    finish(draft, output, force, dry_run, as_json, {"grafted": {f"{other}: {there}": here}})


@click.command(
    "redirect",
    cls=Verb,
    short_help="Make what takes one tensor take another.",
    examples=[
        "ckpt redirect run/model.ckpt-100 -o plain dropout/mul:0=features:0",
    ],
)
@writing
@click.argument("wires", nargs=-1, required=True, metavar="OLD=NEW...")
def redirect_command(
    source: str, output: str, wires: tuple[str, ...], force: bool, dry_run: bool, as_json: bool
) -> None:
    """Make whatever takes one tensor take another."""
    from ckpt.surgery import open_draft, redirect

    found = dict(pairs(wires, "OLD=NEW"))
    draft = redirect(open_draft(source), found)
    finish(draft, output, force, dry_run, as_json, {"redirected": found})
