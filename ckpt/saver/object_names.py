"""What the graph calls the variables of an object-based checkpoint: noted in its metadata, so that a Saver finds them.

TensorFlow notes the same in the description of the objects. Must not know Savers or sessions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ckpt.core.errors import SelectionError
from ckpt.formats.base import TensorReader
from ckpt.model.selection import name_of
from ckpt.model.variables import Variable
from ckpt.wire.json_text import flat_object

GRAPH_NAMES = "graph_names"
"""Key in a checkpoint's metadata: JSON, name in the checkpoint to name in the graph."""


def noted(variables: Mapping[str, Any]) -> dict[str, str]:
    """The metadata for a checkpoint of these: variables, partitioned ones or saveable objects by their keys."""
    names = {
        key: name_of(value) if isinstance(value, Variable) else str(value.name)
        for key, value in variables.items()
    }
    return {GRAPH_NAMES: json.dumps(names, sort_keys=True)}


def graph_names(reader: TensorReader) -> dict[str, str]:
    """Name in the checkpoint -> name in the graph, where only one has it; {} where nobody noted them, or not so."""
    found = flat_object(reader.metadata().get(GRAPH_NAMES, ""), len(reader.names()))
    names = {key: name for key, name in found.items() if isinstance(name, str)}
    often = Counter(names.values())
    return {key: name for key, name in names.items() if often[name] == 1}


def best_way(
    ways: Sequence[Mapping[str, str]],
    renamed: Callable[[Collection[str]], Mapping[str, str]],
    wanted: Collection[str],
) -> dict[str, str]:
    """Name after the rules -> name in the checkpoint, by that of the `ways` to call tensors that leads to most `wanted`.

    Each way maps what rules may see to names in the checkpoint, the first is preferred; `renamed` gives for names that
    rules see those that they come to. Raises its SelectionError where it refuses all ways.
    """
    found: list[dict[str, str]] = []
    errors = []
    for keys in ways:
        try:
            sources = renamed(keys)
        except SelectionError as error:
            errors.append(error)
        else:
            found.append({new: keys[name] for new, name in sources.items()})
    if not found:
        raise errors[0]
    sought = set(wanted)
    return max(found, key=lambda sources: len(sources.keys() & sought))
