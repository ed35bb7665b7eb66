"""`ckpt graph`: the graph of a saved model as a tree, DOT, SVG or Mermaid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import click

from ckpt.cli.verb import Verb


@click.command(
    "graph",
    cls=Verb,
    short_help="Show a graph: as a tree, DOT, SVG or Mermaid.",
    examples=[
        "ckpt graph run",
        "ckpt graph run/model.ckpt-100 --scope encoder --depth 3",
        "ckpt graph run --format svg -o model.svg",
    ],
)
@click.argument("path", type=click.Path())
@click.option(
    "--format",
    "kind",
    type=click.Choice(["tree", "dot", "svg", "mermaid"]),
    default="tree",
    help="svg needs Graphviz.",
)
@click.option(
    "--depth",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Scopes deeper than this are one box.",
)
@click.option("--scope", metavar="NAME", help="Only what is inside this scope.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write to this file.")
def graph_command(path: str, kind: str, depth: int, scope: str | None, output: str | None) -> None:
    """Show the graph of a saved model: a prefix, a .meta file, or a directory (its latest checkpoint)."""
    from ckpt.core.errors import GraphError
    from ckpt.inspect import graph_view
    from ckpt.saver.meant import checkpoint_prefix, meta_graph_path
    from ckpt.saver.meta_files import read_meta_graph_file

    graph = read_meta_graph_file(meta_graph_path(checkpoint_prefix(path))).graph_def
    if scope is not None:
        try:
            graph = graph_view.within(graph, scope)
        except KeyError as error:
            raise GraphError(f"{path}: {error.args[0]}") from None
    views: dict[str, Any] = {"tree": graph_view.tree, "mermaid": graph_view.mermaid}
    text = views.get(kind, graph_view.dot)(graph, depth)
    if kind == "svg":
        text = _svg(text)
    if output is None:
        from ckpt.inspect.render import printable

        sys.stdout.write("\n".join(map(printable, text.split("\n"))))
    else:
        from ckpt.core.storage import write_file

        write_file(output, text.encode())


def _svg(text: str) -> str:
    """DOT drawn by Graphviz. Raises a usage error that says how to get it, CkptError when it fails."""
    program = shutil.which("dot")
    if program is None:
        raise click.UsageError(
            "svg needs Graphviz, whose program `dot` is not installed; --format dot writes what it draws"
        )
    done = subprocess.run(
        [program, "-Tsvg"], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        from ckpt.core.errors import CkptError

        raise CkptError(f"Graphviz cannot draw the graph: {done.stderr.strip()}")
    return done.stdout
