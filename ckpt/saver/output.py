"""Where an edited or merged model goes, by path or by URL: nothing is replaced unasked. Must not know what is written."""

from __future__ import annotations

from collections.abc import Sequence

from ckpt.core import storage
from ckpt.core.errors import AlreadyExistsError


def check_free(files: Sequence[str], *, force: bool) -> None:
    """Raise AlreadyExistsError naming those of the files that are there, unless `force`."""
    existing = [] if force else [file for file in files if storage.exists(file)]
    if existing:
        raise AlreadyExistsError(
            None, None, f"{', '.join(existing)}: exists; choose another output or force it"
        )


def make_home(prefix: str) -> None:
    """Make the directory of the checkpoint `prefix` and those above it."""
    storage.make_directory(storage.split(prefix)[0], parents=True)


def size_of(files: Sequence[str]) -> int:
    """Bytes of all the files. Raises NotFoundError."""
    total = 0
    for name in files:
        with storage.open_input(name) as file:
            total += file.size
    return total
