"""The text form of a `.meta` file: the same records as JSON objects; see docs/formats/metagraph.md.

Must not know live graphs, nor where the text is stored.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from ckpt.core import defs
from ckpt.core.collector import paused
from ckpt.core.dtypes import DType
from ckpt.core.errors import DataLossError, GraphError, UnimplementedError
from ckpt.core.shapes import TensorShape
from ckpt.wire import metagraph_tensors as tensors
from ckpt.wire import metagraph_values as values
from ckpt.wire.metagraph_body import VERSION, Damage
from ckpt.wire.metagraph_budget import graph_budget
from ckpt.wire.metagraph_file import tree_reader
from ckpt.wire.metagraph_tree import FIELDS, names_of, shown

DEEPEST = 64  # containers within containers

FORMAT = "ckpt-metagraph"

# an element takes up to 64 bytes of memory; in graphs that were written here there is one in 30 characters
_FEW_ELEMENTS = 1 << 19
_CHARACTERS = 8
_TIMES = 10  # as long as one of msgpack it takes to read an element


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


def parsed(text: str, where: str) -> Any:
    """What JSON text says, if it has no more elements than graphs have. Raises DataLossError that names `where`."""
    count = sum(map(text.count, ",[{"))
    if count > _FEW_ELEMENTS + len(text) // _CHARACTERS:
        raise DataLossError(
            None, None, f"{where}: JSON of more lists and elements than any graph of its size has"
        )
    try:
        graph_budget().spend(_TIMES * count)
        return json.loads(text)
    except Damage as error:
        raise DataLossError(None, None, f"{where}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise DataLossError(None, None, f"{where}: not JSON: {error}") from error


def from_json(text: str, where: str = "MetaGraph") -> defs.MetaGraphDef:
    """The MetaGraph in JSON text. Raises DataLossError or UnimplementedError that names `where`."""
    with paused():
        return from_tree(parsed(text, where), where)


def from_tree(document: Any, where: str) -> defs.MetaGraphDef:
    """The MetaGraph in what JSON text says. Raises as `from_json` does."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataLossError(None, None, f'{where}: JSON, but its "format" is not {FORMAT!r}')
    version = document.get("version")
    if version != VERSION:
        raise UnimplementedError(
            None,
            None,
            f"{where}: is a text .meta file of version {shown(version)}; this ckpt reads {VERSION}",
        )
    reader = tree_reader(named=True)
    try:
        tree = _untagged(document.get("meta_graph"), reader.attrs, 0)
        meta: defs.MetaGraphDef = reader.meta_graph(tree, "")
    except Damage as error:
        raise DataLossError(None, None, f"{where}: {str(error).strip()}") from error
    return meta


def _untagged(value: Any, check_attrs: Callable[[Any, str], Any], depth: int) -> Any:
    """`value` with its tagged objects replaced by what they stand for."""
    if depth > DEEPEST:
        raise Damage(f"nested more than {DEEPEST} deep")
    if type(value) is list:
        return [_untagged(item, check_attrs, depth + 1) for item in value]
    if type(value) is not dict:
        return value
    plain = {name: _untagged(item, check_attrs, depth + 1) for name, item in value.items()}
    if len(plain) == 1:
        ((tag, content),) = plain.items()
        read = _UNTAG.get(tag)
        if read is not None and not _is_named_only(tag, content):
            return read(content)
        if tag == "$func" and type(content) is list:
            return values.read_func(content, check_attrs)
    return plain


def _is_named_only(tag: str, content: Any) -> bool:
    """True when `{tag: content}` is a map with one key that is called as a tag is, not a value."""
    return not isinstance(content, _CONTENT[tag])


def _base64(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Damage(f"not base64: {error}") from error


def _float(content: str) -> float:
    if content not in ("nan", "inf", "-inf"):
        raise Damage(f"{content!r} is not one of nan, inf, -inf")
    return float(content)


_UNTAG: dict[str, Callable[[Any], Any]] = {
    "$bytes": str.encode,
    "$base64": _base64,
    "$float": _float,
    "$type": tensors.read_type,
    "$shape": tensors.read_shape,
    "$tensor": tensors.read_tensor,
    "$placeholder": defs.Placeholder,
}
_CONTENT: dict[str, Any] = {
    "$bytes": str,
    "$base64": str,
    "$float": str,
    "$type": str,
    "$shape": (list, type(None)),
    "$tensor": list,
    "$placeholder": str,
}
