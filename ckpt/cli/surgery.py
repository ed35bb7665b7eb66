"""`ckpt rename`, `ckpt extract`, `ckpt freeze`: a saved model edited, graph and checkpoint together."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from ckpt.cli.verb import Verb

SCHEMA, VERSION = "ckpt.edit", 1
_Options = Callable[[Callable[..., Any]], Callable[..., Any]]


def writing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments of every verb that makes a new model of an old one."""
    for option in (
        click.option(
            "--json", "as_json", is_flag=True, help="Write the report as one JSON document."
        ),
        click.option(
            "-n", "--dry-run", is_flag=True, help="Say what would change and write nothing."
        ),
        click.option("--force", is_flag=True, help="Replace OUT when it exists."),
        click.option("-o", "--output", metavar="OUT", required=True, help="Prefix of the result."),
        click.argument("source", metavar="IN", type=click.Path()),
    ):
        function = option(function)
    return function


@click.command(
    "rename",
    cls=Verb,
    short_help="Rename scopes, nodes and variables.",
    examples=[
        "ckpt rename run/model.ckpt-100 -o renamed --map old/=new/ --sub 'weights$=kernel'",
        "ckpt rename run -o renamed --map-file names.yaml --dry-run",
        "ckpt rename run -o renamed --like other/model.ckpt-7",
    ],
)
@writing
@click.option("--map", "maps", multiple=True, metavar="OLD=NEW", help="A name, a scope or a glob.")
@click.option(
    "--sub",
    "subs",
    multiple=True,
    metavar="REGEX=NEW",
    help="A regular expression, \\1 for its groups.",
)
@click.option(
    "--map-file",
    type=click.File("r"),
    help="YAML or JSON: a mapping from old names to new ones, or a list of these and of presets.",
)
@click.option("--preset", multiple=True, metavar="NAME", help="ema, module., object or lower.")
@click.option(
    "--like",
    metavar="MODEL",
    type=click.Path(),
    help="Find the rules that lead to the names in this checkpoint, and apply them.",
)
def rename_command(
    source: str,
    output: str,
    maps: tuple[str, ...],
    subs: tuple[str, ...],
    map_file: Any,
    preset: tuple[str, ...],
    like: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Rename scopes, nodes and variables: graph, collections, Saver and checkpoint in one step.

    --like MODEL takes what is unambiguous: equal dtypes and shapes, each variable once. The rules are shown; --json gives
    them as --map-file takes them. Other options are applied first.
    """
    from ckpt.surgery import open_draft, rename, rules_like

    rules: list[Any] = list(preset)
    rules += [{old: new} for old, new in pairs(maps, "--map")]
    rules += [(_compiled(old), new) for old, new in pairs(subs, "--sub")]
    if map_file is not None:
        rules += _rules(map_file)
    if not rules and like is None:
        raise click.UsageError("say what to rename: --map, --sub, --map-file, --preset or --like")
    draft, changed = rename(open_draft(source), rules)
    changes: dict[str, Any] = {}
    if like is not None:
        found, left = rules_like(draft, like)
        draft, more = rename(draft, found)
        changes = {"rules": found if isinstance(found, list) else [found], "unexplained": left}
        before = {new: old for old, new in changed.items()}
        changed = changed | {before.get(old, old): new for old, new in more.items()}
    finish(draft, output, force, dry_run, as_json, {**changes, "renamed": changed})


@click.command(
    "extract",
    cls=Verb,
    short_help="Take the part of a model that some outputs need.",
    examples=[
        "ckpt extract run/model.ckpt-100 -o encoder --keep encoder/features",
        "ckpt extract run -o small --drop @slots --drop @summaries",
    ],
)
@writing
@click.option("--keep", multiple=True, metavar="TENSOR", help="Keep only what these need.")
@click.option(
    "--feed", multiple=True, metavar="TENSOR", help="Feed this tensor: what computed it goes."
)
@click.option(
    "--drop",
    "--exclude",
    "selectors",
    multiple=True,
    metavar="SELECTOR",
    help="What goes: @slots, @training, @summaries, @trainable, @scope:NAME, names, globs, re:REGEX, !SELECTOR.",
)
def extract_command(
    source: str,
    output: str,
    keep: tuple[str, ...],
    feed: tuple[str, ...],
    selectors: tuple[str, ...],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take a part of a model: the graph that some outputs need, and the checkpoint to match."""
    from ckpt.surgery import drop, extract, open_draft

    if not (keep or selectors):
        raise click.UsageError("say what stays (--keep) or what goes (--drop)")
    before = draft = open_draft(source)
    if selectors:
        draft = drop(draft, selectors)
    if keep:
        draft = extract(draft, keep, feed)
    dropped = sorted(before.tensors.keys() - draft.tensors.keys())
    finish(draft, output, force, dry_run, as_json, {"dropped": dropped})


@click.command(
    "freeze",
    cls=Verb,
    short_help="Turn variables into constants.",
    examples=[
        "ckpt freeze run/model.ckpt-100 -o frozen --keep probabilities --fold",
    ],
)
@writing
@click.option("--keep", multiple=True, metavar="TENSOR", required=True, help="The outputs.")
@click.option(
    "--variables",
    multiple=True,
    metavar="PATTERN",
    help="Which to freeze, such as 'encoder/**', @trainable, '!@ema'; all by default.",
)
@click.option(
    "--fold", is_flag=True, help="Fold constants and batch normalisation, remove identities."
)
def freeze_command(
    source: str,
    output: str,
    keep: tuple[str, ...],
    variables: tuple[str, ...],
    fold: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Turn variables into constants: the graph alone computes the outputs."""
    from ckpt.surgery import (
        extract,
        fold_batch_norms,
        fold_constants,
        freeze,
        open_draft,
        remove_identities,
    )

    before = open_draft(source)
    draft = freeze(before, keep, variables or ("**",))
    if fold:
        draft = fold_constants(remove_identities(draft, keep))
        if not draft.entries:
            draft = fold_batch_norms(draft)
        draft = extract(draft, keep)
    gone = before.tensors.keys() - draft.tensors.keys()
    used = extract(before, keep).tensors.keys()
    changes = {"frozen": sorted(gone & used), "dropped": sorted(gone - used)}
    finish(draft, output, force, dry_run, as_json, changes)


def finish(
    draft: Any, output: str, force: bool, dry_run: bool, as_json: bool, changes: Mapping[str, Any]
) -> None:
    """Write the draft and the report."""
    from ckpt.surgery import write_draft

    files = [] if dry_run else write_draft(draft, output, force=force)
    nodes, tensors = len(draft.meta.graph_def.node), len(draft.tensors)
    if as_json:
        document = {"schema": SCHEMA, "version": VERSION, "dry_run": dry_run, **changes}
        document.update(nodes=nodes, tensors=tensors, output=files)
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    from ckpt.inspect.render import printable

    lines = []
    for verb, what in changes.items():
        texts = [f"{old} -> {new}" for old, new in what.items()] if isinstance(what, dict) else what
        words = (text if isinstance(text, str) else json.dumps(text) for text in texts)
        lines += [f"{verb} {printable(text)}" for text in words]
    lines.append(f"{nodes} nodes, {tensors} tensors")
    lines += [f"wrote {printable(file)}" for file in files] or ["nothing was written"]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def pairs(texts: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    """OLD=NEW texts. Reports every bad one at once."""
    wrong = [repr(text) for text in texts if "=" not in text or text.startswith("=")]
    if wrong:
        raise click.BadParameter(f"{', '.join(wrong)}: not OLD=NEW", param_hint=option)
    return [(old, new) for old, _, new in (text.partition("=") for text in texts)]


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise click.BadParameter(f"{expression!r}: {error}", param_hint="--sub") from None


def _rules(file: Any) -> list[Any]:
    """The rules of a map file: a mapping, or a list of mappings and names of presets."""
    import yaml  # only a map file needs it

    try:
        found = yaml.safe_load(file)
    except yaml.YAMLError as error:
        raise click.BadParameter(f"{file.name}: {error}", param_hint="--map-file") from None
    rules = found if isinstance(found, list) and found else [found]
    if isinstance(found, str) or not all(isinstance(r, str) or _is_mapping(r) for r in rules):
        raise click.BadParameter(
            f"{file.name}: expected a mapping from old names to new ones, or a list of mappings and presets",
            param_hint="--map-file",
        )
    return rules


def _is_mapping(rule: Any) -> bool:
    return isinstance(rule, dict) and all(
        isinstance(name, str) for pair in rule.items() for name in pair
    )
