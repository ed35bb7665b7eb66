"""Tensors of a checkpoint as a dict of arrays: those that are selected, and no other bytes are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ckpt.core import renames, selectors
from ckpt.core.atomic import StrPath
from ckpt.core.errors import InvalidArgumentError, SelectionError
from ckpt.core.selectors import Candidate
from ckpt.formats import detect
from ckpt.formats.base import Slices, TensorReader
from ckpt.saver.candidates import Patterns, selected
from ckpt.saver.readers import checkpoint_file

Array = np.ndarray[Any, Any]


def load(
    path: StrPath,
    include: Patterns | None = None,
    *,
    exclude: Patterns | None = None,
    rename: Any = None,
    parts: Mapping[str, Any] | None = None,
) -> dict[str, Array]:
    """The tensors of a checkpoint that `include` without `exclude` selects, by name, in the order of the file.

    `path` is a prefix, a file of any format known, or a directory (its newest checkpoint). Patterns and words are those of
    docs/restoring.md; all tensors are taken unless something is said. `rename` are rules from the names in the checkpoint
    to the names of the result; the patterns are for the names in the checkpoint. `parts` gives for some of them, by
    pattern, a slice or a tuple of slices of step 1: only that part is read. Only the bytes that are asked for are read.
    Raises SelectionError (a ValueError) for patterns and rules that match nothing, InvalidArgumentError for parts that no
    tensor has, NotFoundError and DataLossError as every reader.
    """
    file = checkpoint_file(path)
    with detect.open_reader(file) as reader:
        names = selected(reader, file, include, exclude)
        try:
            called = renames.renamed(names, rename).sources
            cuts = _cuts(parts or {}, [Candidate(n, reader.spec(n).dtype) for n in names], reader)
        except SelectionError as error:
            raise SelectionError(f"{file}: {error}") from error
        return {new: reader.read(name, cuts.get(name)) for new, name in called.items()}


def _cuts(
    parts: Mapping[str, Any], facts: list[Candidate], reader: TensorReader
) -> dict[str, Slices]:
    """Name -> slices. Raises InvalidArgumentError listing the tensors that have no such part."""
    found: dict[str, Slices] = {}
    wrong: list[str] = []
    for pattern, part in parts.items():
        cut = part if isinstance(part, tuple) else (part,)
        for name in selectors.select(pattern, facts, what="tensors that are loaded"):
            spec = reader.spec(name)
            is_cut = all(isinstance(s, slice) and s.step in (None, 1) for s in cut)
            if not is_cut or len(cut) > len(spec.shape):
                wrong.append(f"  {name} {spec}: {part!r}")
            found[name] = cut
    if wrong:
        raise InvalidArgumentError(
            None,
            None,
            "a part is a slice of step 1, or a tuple of at most one for each axis; not\n"
            + "\n".join(wrong),
        )
    return found
