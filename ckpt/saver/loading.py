"""Tensors of a checkpoint as a dict of arrays, of which only those selected are read; and a checkpoint of such a dict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from ckpt.core import renames, selectors, storage
from ckpt.core.errors import InvalidArgumentError, SelectionError
from ckpt.core.selectors import Candidate
from ckpt.core.system import StrPath
from ckpt.formats import shards
from ckpt.formats.base import Slices, TensorEntry, TensorReader
from ckpt.saver.candidates import Patterns, selected
from ckpt.saver.meant import open_meant
from ckpt.saver.output import check_free, make_home

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

    `path` is a prefix, a file of any format known, or a directory or its state file (the newest checkpoint). Patterns and
    words are those of docs/restoring.md; all tensors are taken unless something is said. `rename` are rules from the
    names in the checkpoint to the names of the result; the patterns are for the names in the checkpoint. `parts` gives
    for some of them, by pattern, a slice or a tuple of slices of step 1: no other bytes are read.
    Raises SelectionError (a ValueError) for patterns and rules that match nothing, InvalidArgumentError for parts that no
    tensor has, NotFoundError and DataLossError as every reader.
    """
    if not isinstance(parts, (Mapping, NoneType)):
        raise TypeError(f"parts is a dict from patterns to slices, not {parts!r}")
    file, reader = open_meant(path)
    with reader:
        names = selected(reader, file, include, exclude)
        try:
            called = renames.renamed(names, rename).sources
            facts = [Candidate(name, reader.spec(name).dtype) for name in names]
            cuts = _cuts(file, parts or {}, facts, reader)
        except SelectionError as error:
            raise SelectionError(f"{file}: {error}") from error
        return {new: reader.read(name, cuts.get(name)) for new, name in called.items()}


def save(
    prefix: StrPath,
    tensors: Mapping[str, Any],
    *,
    metadata: Mapping[str, str] | None = None,
    shard_size: int | str | None = None,
    compression: str | None = None,
    durable: bool = True,
    force: bool = False,
) -> str:
    """Write arrays as the checkpoint `prefix`, as a Saver would without its graph, and return the prefix.

    This is the way in for values of other libraries: what they read is written here, and restored by a Saver. Anything
    that numpy makes an array of will do; strings are `bytes` or `str`. `metadata` is kept with them ("step" is the step);
    the other options are those of `Saver.save`. Raises AlreadyExistsError when there is such a checkpoint (unless
    `force`), InvalidArgumentError listing everything that cannot be written, ValueError without tensors and for what is
    no array, ResourceExhaustedError when the disk is full.
    """
    name = os.fspath(prefix).removesuffix(".h5")
    if not storage.split(name)[1]:
        raise ValueError(f"'{name}' names a directory; add a file name, such as {name}model.ckpt")
    if not isinstance(tensors, Mapping) or not all(isinstance(key, str) for key in tensors):
        raise TypeError(f"{name}: tensors is a dict from names, which are texts, to arrays")
    if not tensors:
        raise ValueError(f"{name}: there are no tensors to save")
    check_free([f"{name}.h5", f"{name}.index", f"{name}.meta"], force=force)
    entries = [TensorEntry(key, _as_array(key, value)) for key, value in tensors.items()]
    make_home(name)
    shards.write_checkpoint(
        name,
        entries,
        shard_size=shard_size,
        metadata=metadata,
        compression=compression,
        durable=durable,
    )
    storage.remove_file(f"{name}.meta")  # the graph of the checkpoint that was replaced
    return name


def _as_array(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: is no array: {error}") from error
    if array.dtype.kind != "U":
        return array
    encoded = [str(text).encode("utf-8") for text in array.reshape(-1)]
    strings = np.empty(len(encoded), object)
    strings[:] = encoded
    return strings.reshape(array.shape)


def _cuts(
    file: str, parts: Mapping[str, Any], facts: list[Candidate], reader: TensorReader
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
            f"{file}: a part is a slice of step 1, or a tuple of at most one for each axis; not\n"
            + "\n".join(wrong),
        )
    return found
