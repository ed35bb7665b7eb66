"""The program `ckpt`, also `python -m ckpt`: a plain listing is done here, everything else by `ckpt.cli`.

So `ckpt inspect PATH` costs little more than Python's own start: no click, and nothing that a listing has no use for.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the program and leave the process with its exit code."""
    try:
        _prepare_streams()
        status = _status(sys.argv[1:])
    except KeyboardInterrupt:  # also while modules are loaded
        sys.stderr.write("interrupted\n")
        status = 130
    sys.exit(status)


def _prepare_streams() -> None:
    """Let output be written where a stream was closed, and to one that cannot show every character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the process ends
        elif stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="backslashreplace")


def _status(arguments: list[str]) -> int:
    try:
        if _listed(arguments):
            return 0
    except (OSError, MemoryError) as error:
        from ckpt.cli.main import outcome

        return outcome(error, arguments)
    from ckpt.cli.main import run

    return run(arguments)


def _listed(arguments: list[str]) -> bool:
    """True when this was `ckpt inspect PATH`, or with `--names`, of what `ckpt.inspect.listing` can list."""
    names = arguments[2:] == ["--names"]
    is_plain = len(arguments) == 2 + names and arguments[0] in ("inspect", "ls")
    if not is_plain or arguments[1].startswith("-"):
        return False
    from ckpt.inspect.listing import listing

    path: str | None = arguments[1]
    if os.path.isdir(arguments[1]):
        from ckpt.saver.plain_state import latest_in

        path = latest_in(arguments[1])
    gc.disable()  # nothing that a listing makes is in cycles
    try:
        if path is None or (found := listing(path)) is None:
            return False
        from ckpt.inspect import render

        sys.stdout.writelines(render.shown(found, names=names, terminal=sys.stdout.isatty()))
        sys.stdout.flush()
    finally:
        gc.enable()
    return True


if __name__ == "__main__":
    main()
