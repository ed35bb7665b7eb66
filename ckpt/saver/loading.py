"""Tensors of a checkpoint as a dict of arrays: those that are selected, and no other bytes are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ckpt.core import renames, selectors
from ckpt.core.atomic import StrPath
from ckpt.core.errors import InvalidArgumentError, SelectionError
from ckpt.core.selectors import Candidate
from ckpt.formats import detect
from ckpt.formats.base import Slices, TensorReader
from ckpt.saver.readers import checkpoint_file

Array = np.ndarray[Any, Any]


def load(
    path: StrPath,
    include: str | Iterable[str] = "**",
    *,
    rename: Any = None,
    parts: Mapping[str, Any] | None = None,
) -> dict[str, Array]:
    """The tensors of a checkpoint that the patterns of `include` select, by name, in the order of the file.

    `path` is a prefix, a file of any format known, or a directory (its newest checkpoint). `rename` are rules from the
    names in the checkpoint to the names of the result; the patterns are for the names in the checkpoint. `parts` gives
    for some of them, by pattern, a slice or a tuple of slices of step 1: only that part is read. Only the bytes that
    are asked for are read. Raises SelectionError (a ValueError) for patterns and rules that match nothing,
    InvalidArgumentError for parts that no tensor has, NotFoundError and DataLossError as every reader.
    """
    file = checkpoint_file(path)
    with detect.open_reader(file) as reader:
        facts = [Candidate(name, reader.spec(name).dtype) for name in reader.names()]
        try:
            names = selectors.select(include, facts, what="tensors") if facts else []
            called = renames.renamed(names, rename).sources if rename else {n: n for n in names}
            cuts = _cuts(parts or {}, [fact for fact in facts if fact.name in set(names)], reader)
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
