"""The flags of a script, which absl-py keeps, with TensorFlow 1's habits. Loaded with `ckpt.flags` or `ckpt.app`.

TensorFlow 1 reads the command line when the first flag is used, and lets flags that nobody defined pass; and it knows
the arguments of `DEFINE_string` and its siblings by older names too.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from absl import app
from absl import flags as absl_flags

OLDER_NAMES = {"flag_name": "name", "default_value": "default", "docstring": "help"}


class FlagValues:
    """absl's flag values; the command line is read when the first of them is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._read(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._read(), name)

    def __getitem__(self, name: str) -> Any:
        return absl_flags.FLAGS[name]

    def __setitem__(self, name: str, flag: Any) -> None:
        absl_flags.FLAGS[name] = flag

    def __contains__(self, name: str) -> bool:
        return name in absl_flags.FLAGS

    def __iter__(self) -> Iterator[str]:
        return iter(absl_flags.FLAGS)

    def __len__(self) -> int:
        return len(absl_flags.FLAGS)

    def __dir__(self) -> list[str]:
        return list(dir(absl_flags.FLAGS))

    def __call__(self, argv: Any, known_only: bool = False) -> list[str]:
        """Read `argv`, whose first word is the program's name; return what is no flag."""
        return absl_flags.FLAGS(argv, known_only=known_only)

    @staticmethod
    def _read() -> absl_flags.FlagValues:
        if not absl_flags.FLAGS.is_parsed():
            absl_flags.FLAGS(sys.argv)
        return absl_flags.FLAGS


FLAGS = FlagValues()


def _with_older_names(define: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(define)
    def defined(*args: Any, **kwargs: Any) -> Any:
        return define(*args, **{OLDER_NAMES.get(key, key): kwargs[key] for key in kwargs})

    return defined


DEFINE_bool = _with_older_names(absl_flags.DEFINE_bool)
DEFINE_boolean = DEFINE_bool
DEFINE_float = _with_older_names(absl_flags.DEFINE_float)
DEFINE_integer = _with_older_names(absl_flags.DEFINE_integer)
DEFINE_string = _with_older_names(absl_flags.DEFINE_string)


def run(main: Callable[[list[str]], Any] | None = None, argv: list[str] | None = None) -> None:
    """Read the flags, call `main` (that of the script where None) with the words that are none, and leave the process.

    The exit code is what `main` returns. Flags that nobody defined are passed on to `main`, as TensorFlow 1 does.
    """
    called = main or sys.modules["__main__"].main
    app.run(
        main=called,
        argv=argv,
        flags_parser=lambda words: absl_flags.FLAGS(words, known_only=True),
    )
