"""ckpt: checkpoints and graphs of TensorFlow 1, and mixing of models, without TensorFlow.

    import ckpt as tf

offers TensorFlow 1's names (`tf.Graph`, `tf.Session`, `tf.train.Saver`, `tf.nn.relu`) and ckpt's own (`ckpt.open`,
`ckpt.load_models`, `ckpt.merge_graphs`). Importing this package loads nothing: the first name used loads `ckpt.api`,
so that the command line can list a checkpoint without numpy (docs/decisions/0002).
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes as long to load as a checkpoint takes to list
if TYPE_CHECKING:
    from typing import Any

    from ckpt.api import *  # noqa: F403  # the public names, for type checkers

__version__ = "0.1.0.dev0"

LOADED_ALONE = (
    "app",
    "audio",
    "compat",
    "config",
    "distributions",
    "flags",
    "raw_ops",
    "signal",
    "test",
)
"""Public modules that few programs use; the other names come from `ckpt.api`."""


def __getattr__(name: str) -> Any:
    """Load the public names the first time one of them is used."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'ckpt' has no attribute {name!r}")
    if name in LOADED_ALONE:
        return _module(name)
    api = _module("api")
    if name == "__all__":
        return sorted([*api.__all__, *LOADED_ALONE])
    try:
        value = getattr(api, name)
    except AttributeError:
        raise AttributeError(f"module 'ckpt' has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*_module("api").__all__, *LOADED_ALONE, "__version__"})


def _module(name: str) -> Any:
    from importlib import import_module

    return import_module(f"ckpt.{name}")
