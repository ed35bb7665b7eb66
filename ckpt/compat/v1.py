"""`ckpt.compat.v1`: the names of `ckpt` again, for programs that say `import tensorflow.compat.v1 as tf`."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """The name of the package itself."""
    return getattr(import_module("ckpt"), name)


def __dir__() -> list[str]:
    """The names of the package itself."""
    return dir(import_module("ckpt"))
