"""The program `ckpt`, also `python -m ckpt`: a plain listing is done here, everything else by `ckpt.cli`.

So `ckpt inspect PATH` costs little more than Python's own start: no click, and nothing that a listing has no use for.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the program and leave the process with its exit code."""
    arguments = sys.argv[1:]
    try:
        if _listed(arguments):
            return
    except (OSError, KeyboardInterrupt) as error:
        from ckpt.cli.main import outcome

        sys.exit(outcome(error))
    from ckpt.cli.main import run

    sys.exit(run(arguments))


def _listed(arguments: list[str]) -> bool:
    """True when this was `ckpt inspect PATH`, or with `--names`, of a file that `ckpt.inspect.listing` can list."""
    names = arguments[2:] == ["--names"]
    if (
        len(arguments) != 2 + names
        or arguments[0] not in ("inspect", "ls")
        or arguments[1][:1] == "-"
    ):
        return False
    from ckpt.inspect.listing import listing

    gc.disable()  # nothing that a listing makes is in cycles
    try:
        if (found := listing(arguments[1])) is None:
            return False
        from ckpt.inspect import render

        sys.stdout.writelines(render.shown(found, names=names, terminal=sys.stdout.isatty()))
        sys.stdout.flush()
    finally:
        gc.enable()
    return True


if __name__ == "__main__":
    main()
