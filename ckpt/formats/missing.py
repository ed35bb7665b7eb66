"""The error for a checkpoint that is not there, which knows what is called alike. Loads no numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core.errors import NotFoundError, OpError
from ckpt.core.storage import exists, is_directory, is_remote, joined, names_in, split
from ckpt.formats.shard_index import SHARD_NAME

SUFFIXES = (".h5", ".index", ".meta")
"""What follows the prefix of a checkpoint in the names of its files, shards apart."""
_SHOWN = 3


class MissingCheckpointError(NotFoundError):
    """There is no checkpoint of this name. Its text ends with what is called alike, looked for when it is shown:

    many who meet this error only wait for the checkpoint.
    """

    def __init__(self, name: str, tried: Sequence[str]) -> None:
        super().__init__(None, None, f"{name}: no such checkpoint; looked for {', '.join(tried)}")
        self.name, self.tried = name, tuple(tried)

    def __str__(self) -> str:
        found = similar(self.name)
        return f"{self.message}; similar: {', '.join(found)}" if found else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.tried)


def similar(path: str) -> list[str]:
    """Checkpoints and directories on this machine whose paths are nearly `path`, the nearest first."""
    if is_remote(path) or "\0" in path:
        return []
    from difflib import get_close_matches  # only an error needs it

    directory, base = split(path.rstrip("/"))
    try:
        if not is_directory(directory):
            return [_within(found, base) for found in similar(directory)]
        stems = _stems(names_in(directory))
    except OpError:
        return []
    stems.pop(base, None)  # a graph without values
    near = get_close_matches(base, stems, 2 * _SHOWN)
    above = path.rstrip("/").removesuffix(base)
    return [above + stem for stem in near if stems[stem] or _leads_on(directory, stem)][:_SHOWN]


def _stems(names: Sequence[str]) -> dict[str, bool]:
    """The names without the suffixes of checkpoints; True for those that had one."""
    found: dict[str, bool] = {}
    for name in names:
        if name.startswith(".") or SHARD_NAME.fullmatch(name):
            continue
        suffix = next((end for end in SUFFIXES if name.endswith(end)), "")
        stem = name.removesuffix(suffix)
        found[stem] = found.get(stem, False) or bool(suffix)
    return found


def _leads_on(directory: str, name: str) -> bool:
    try:
        return is_directory(joined(directory, name))
    except OpError:
        return False


def _within(directory: str, base: str) -> str:
    """`base` in the directory, where there is such a checkpoint; else the directory."""
    path = joined(directory, base)
    return path if any(exists(path + suffix) for suffix in ("", *SUFFIXES)) else directory
