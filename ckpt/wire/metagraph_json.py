"""The text form of a `.meta` file, written: the same records as JSON objects; see docs/formats/metagraph.md.

Must not know live graphs, nor where the text is stored.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from ckpt.core import defs
from ckpt.core.dtypes import DType
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape
from ckpt.wire import metagraph_values as values
from ckpt.wire.metagraph_body import VERSION
from ckpt.wire.metagraph_tree import FIELDS, names_of

FORMAT = "ckpt-metagraph"


def to_json(meta: defs.MetaGraphDef) -> str:
    """`meta` as JSON text. Raises GraphError for values that no file can hold."""
    document = {"format": FORMAT, "version": VERSION, "meta_graph": _plain(meta)}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """`value` as what JSON knows."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(float(value))}
    if type(value) in FIELDS:
        names, fields = names_of(type(value)), FIELDS[type(value)](value)
        return {name: _plain(item) for name, item in zip(names, fields, strict=True)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _tagged(value)


def _tagged(value: Any) -> Any:
    """A value that JSON lacks, as an object with one key."""
    if isinstance(value, bytes):
        try:
            return {"$bytes": value.decode("utf-8")}
        except UnicodeDecodeError:
            return {"$base64": base64.b64encode(value).decode()}
    if isinstance(value, DType):
        return {"$type": value.name}
    if isinstance(value, TensorShape):
        return {"$shape": None if value.sizes is None else list(value.sizes)}
    if isinstance(value, defs.Func):
        return {"$func": [value.name, _plain(value.attr)]}
    if isinstance(value, defs.Placeholder):
        return {"$placeholder": value.name}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        if not value.shape and not hasattr(value, "flags"):
            return _plain(value.item())
        name, sizes, content = values.tensor_parts(value)
        if isinstance(content, bytes):
            return {"$tensor": [name, sizes, {"$base64": base64.b64encode(content).decode()}]}
        return {"$tensor": [name, sizes, [_plain(item) for item in content]]}
    raise GraphError(f"{type(value).__name__} {value!r} cannot be written to a .meta file")
