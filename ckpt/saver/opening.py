"""`ckpt.open`: a checkpoint of any format as a mapping of tensors that are read when they are asked for."""

from __future__ import annotations

from typing import Any

from ckpt.core import renames
from ckpt.core.errors import SelectionError
from ckpt.core.system import StrPath
from ckpt.formats.lazy import LazyCheckpoint
from ckpt.formats.renamed import RenamedReader
from ckpt.saver.candidates import Patterns, selected
from ckpt.saver.meant import open_meant


def open_checkpoint(
    path: StrPath,
    *,
    include: Patterns | None = None,
    exclude: Patterns | None = None,
    rename: Any = None,
    mmap: bool = True,
    verify: bool = True,
    max_expansion: int | None = None,
) -> LazyCheckpoint:
    """Open a checkpoint of any format as a mapping from names to tensors that are read when they are needed.

    `path` is a file, a prefix, or a directory or its state file (the newest checkpoint). `include` and `exclude` select
    names: globs (`layer1/**`), `re:…`, `@slots` and the like. `rename` are rules from the names in the checkpoint to
    those of the mapping; the patterns are for the names in the checkpoint. Every byte that is read is verified where the
    format has checksums; a mapped view is verified as a whole when it is first made.
    `verify=False` leaves that out for views only, `mmap=False` reads instead of mapping. Compressed values may take
    `max_expansion` times the bytes of their file (200 unless given), or 1 GiB if that is more. Raises NotFoundError,
    DataLossError and InvalidArgumentError for the file, SelectionError (a ValueError) for patterns and rules that cannot
    be understood or select nothing.
    """
    path, reader = open_meant(path, max_expansion=max_expansion)
    try:
        names = selected(reader, path, include, exclude)
        if rename is None:
            return LazyCheckpoint(path, reader, names, mmap=mmap, verify=verify)
        try:
            sources = renames.renamed(names, rename).sources
        except SelectionError as error:
            raise SelectionError(f"{path}: {error}") from error
        renamed = RenamedReader(reader, sources)
        return LazyCheckpoint(path, renamed, renamed.names(), mmap=mmap, verify=verify)
    except BaseException:
        reader.close()
        raise
