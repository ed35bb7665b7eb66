"""Facade: the names of TensorFlow 1's `tf.gfile`. Re-exports only."""

from ckpt.core.gfile import GFile
from ckpt.core.gfile_v1 import (
    Copy,
    DeleteRecursively,
    Exists,
    FastGFile,
    Glob,
    IsDirectory,
    ListDirectory,
    MakeDirs,
    MkDir,
    Open,
    Remove,
    Rename,
    Stat,
    Walk,
)

__all__ = [
    "Copy",
    "DeleteRecursively",
    "Exists",
    "FastGFile",
    "GFile",
    "Glob",
    "IsDirectory",
    "ListDirectory",
    "MakeDirs",
    "MkDir",
    "Open",
    "Remove",
    "Rename",
    "Stat",
    "Walk",
]
