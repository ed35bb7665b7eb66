"""What all verbs of the command line have: a short help that fits on one line, and examples that can be pasted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


class Verb(click.Command):
    """A command whose help ends with examples, each on a line of its own."""

    def __init__(self, *args: Any, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, never wrapped."""
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for example in self.examples:
            formatter.write(f"  {example}\n")
