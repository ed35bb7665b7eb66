"""The program `ckpt`: its verbs, and how an error becomes a message and an exit code. Must not do a verb's work."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from ckpt.core import errors
from ckpt.core.limits import allow_large_graphs, graph_elements

EXIT_CODES = """\b
Exit codes:
  0    ok
  1    a negative answer
  2    wrong usage or configuration
  3    input is missing, corrupt or of an unsupported format
  4    names, shapes or dtypes do not match
  5    of another format than ckpt's, so that it cannot be verified
  6    refused: the output exists
  7    out of disk space or memory
  130  interrupted
"""


_VERBS = {
    "inspect": "inspect:inspect_command",
    "cat": "cat:cat_command",
    "merge": "merge:merge_command",
    "latest": "latest:latest_command",
    "verify": "verify:verify_command",
    "salvage": "salvage:salvage_command",
    "prune": "prune:prune_command",
    "pin": "prune:pin_command",
    "graph": "graph:graph_command",
    "rename": "surgery:rename_command",
    "extract": "surgery:extract_command",
    "freeze": "surgery:freeze_command",
    "tie": "rewiring:tie_command",
    "untie": "rewiring:untie_command",
    "graft": "rewiring:graft_command",
    "redirect": "rewiring:redirect_command",
}
"""The verbs, and where in this package each is: a verb is loaded when it is used."""


class Verbs(click.Group):
    """The verbs, sorted as they are listed, with short forms."""

    aliases = {"ls": "inspect"}  # noqa: RUF012  # click's classes are not dataclasses

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all verbs."""
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb called `name` or the one that it is short for."""
        place = _VERBS.get(self.aliases.get(name, name))
        if place is None:
            return None
        module, _, command = place.partition(":")
        found: click.Command = getattr(import_module(f"ckpt.cli.{module}"), command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb under its own name, whatever short form was typed; for a wrong one, what may be meant."""
        try:
            _, command, rest = super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], [*_VERBS, *self.aliases], 1)
            advice = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(error.message + advice, ctx) from None
        return command.name if command else None, command, rest


@click.group(cls=Verbs, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--large-graphs", is_flag=True, help="Read graphs of more than some million nodes, too."
)
@click.version_option(package_name="ckpt", message="%(prog)s %(version)s")
def program(debug: bool, large_graphs: bool) -> None:
    """Inspect, merge and edit saved models: checkpoints, graphs, and both in one file.

    A model is named by a checkpoint's prefix (run/model.ckpt-100), one of its files, or a directory: its latest
    checkpoint. `ckpt COMMAND --help` shows options and examples.
    """


def run(args: list[str]) -> int:
    """Run the program and return its exit code; errors are written to standard error."""
    debug, large_graphs = "--debug" in args, "--large-graphs" in args
    args = [arg for arg in args if arg not in ("--debug", "--large-graphs")]
    try:
        with allow_large_graphs(None if large_graphs else graph_elements()):
            result = program.main(args, prog_name="ckpt", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  # raised again unless it is the user's
        return outcome(error, args, debug=debug)
    return result if isinstance(result, int) else 0


def outcome(error: BaseException, args: Sequence[str], *, debug: bool = False) -> int:
    """The exit code that `error` means, after a message on standard error. Raises what is no user's error again."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo("interrupted", err=True)
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, click.ClickException):
        return _usage(error, args)
    if isinstance(error, SystemExit):  # click leaves so when the reader of our output left
        return 0
    if isinstance(error, BrokenPipeError):  # the same, noticed by our own flush
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # so that the flush at exit finds a file
        return 0
    if debug or not isinstance(error, (errors.CkptError, OSError, MemoryError)):
        raise error
    return _report(error)


def _usage(error: click.ClickException, args: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    verb = f"ckpt {args[0]}" if args and args[0] in _VERBS else "ckpt"
    _say("E0201", error.format_message(), f"{context.command_path if context else verb} --help")
    return 2


# what each error means to the caller: class, code of the message, exit code, what to try
_MEANINGS: tuple[tuple[type[BaseException], str, int, str], ...] = (
    (errors.NotFoundError, "E0301", 3, "check the path; `ckpt inspect DIRECTORY` shows the latest"),
    (
        errors.DataLossError,
        "E0302",
        3,
        "restore the file from another copy, or use an earlier step",
    ),
    (
        errors.UnimplementedError,
        "E0303",
        3,
        "install the package that it names; where it names none, a newer ckpt may read it",
    ),
    (errors.PermissionDeniedError, "E0304", 3, "check the permissions of the file and its folder"),
    (errors.AlreadyExistsError, "E0601", 6, "give another output, or --force to replace it"),
    (errors.ResourceExhaustedError, "E0701", 7, "free some space, or write to another disk"),
    (
        errors.InvalidArgumentError,
        "E0305",
        3,
        "give a checkpoint's prefix, one of its files, or a directory",
    ),
    (errors.OpError, "E0305", 3, "--debug shows where it was found"),
    (errors.GraphError, "E0401", 4, "`ckpt inspect PATH` shows names, dtypes and shapes"),
    (errors.CkptError, "E0402", 4, "`ckpt inspect PATH --names` shows what there is"),
    (MemoryError, "E0702", 7, "close other programs, or use a machine with more memory"),
    (OSError, "E0306", 3, "--debug shows where it was found"),
)


def _report(error: BaseException) -> int:
    """Write the message for `error` and return the exit code it means."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, errors.CkptError):
        error = errors.from_os_error(error, error.filename or "standard output", "writing")
    for kind, code, status, advice in _MEANINGS:
        if isinstance(error, kind):
            _say(code, str(error) or type(error).__name__, advice)
            return status
    raise error


def _say(code: str, what: str, advice: str) -> None:
    from ckpt.inspect.render import printable

    shown = "\n".join(map(printable, what.splitlines()))
    click.echo(f"error[{code}]: {shown}\ntry: {advice}", err=True)
