"""Rules that give a saved model the names that another one has: found as for a restore that fails, from names, dtypes, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.compose.draft import Draft, Stored
from ckpt.core.dtypes import as_dtype
from ckpt.core.errors import GraphError
from ckpt.core.near_names import Named
from ckpt.core.suggestions import Suggestions, suggest
from ckpt.formats import detect
from ckpt.saver.meant import open_meant

_SHOWN = 30  # names in a message


def rules_like(draft: Draft, model: Any) -> tuple[Any, list[str]]:
    """The fewest rename rules that give entries of the draft the names that the checkpoint `model` (a file, prefix or
    directory) has, and the names of that one which nothing explains.

    Only what is unambiguous is explained: equal dtypes and shapes, each entry used once. Raises GraphError that lists the
    candidates when nothing is, or when no name is missing; NotFoundError when there is no such checkpoint.
    """
    path, reader = open_meant(model)
    with reader:
        specs = [reader.spec(name) for name in reader.names()]
    wanted = [Named(spec.name, spec.dtype, spec.shape) for spec in specs]
    missing = [named for named in wanted if named.name not in draft.tensors]
    if not missing:
        raise GraphError(f"nothing is to be renamed: all {len(wanted)} names of {path} are there")
    found = suggest(wanted, _held(draft), shown=_SHOWN)
    left = [named for named in missing if named.name not in found.pairs]
    if not found.pairs:
        raise GraphError(
            f"none of {len(missing)} names that only {path} has is explained by a rename rule:\n"
            + "\n".join(_candidates(named, found) for named in left[:_SHOWN])
        )
    return found.rename, [named.name for named in left]


def _candidates(named: Named, found: Suggestions) -> str:
    reasons = found.candidates.get(named.name, [])
    return "\n".join(
        [f"  {named.name} {named}", *(f"      perhaps {held}: {why}" for held, why in reasons)]
    )


def _held(draft: Draft) -> list[Named]:
    found = []
    paths = {stored.path for stored in draft.tensors.values() if isinstance(stored, Stored)}
    specs = {}
    for path in paths:
        with detect.open_reader(path) as reader:
            specs.update({(path, name): reader.spec(name) for name in reader.names()})
    for name, value in draft.tensors.items():
        if isinstance(value, Stored):
            spec = specs[value.path, value.key]
            found.append(Named(name, spec.dtype, spec.shape))
        else:
            array = np.asarray(value)
            found.append(Named(name, as_dtype(array.dtype).name, array.shape))
    return found
