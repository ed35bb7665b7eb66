"""Values that JSON lacks, in what JSON text says: objects with one key, replaced by what they stand for.

Must not know records. The tags are in docs/formats/metagraph.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ckpt.core import defs
from ckpt.wire import metagraph_tensors as tensors
from ckpt.wire.metagraph_body import Damage
from ckpt.wire.metagraph_values import read_func

DEEPEST = 64  # containers within containers


def untagged(value: Any, check_attrs: Callable[[Any, str], Any], depth: int) -> Any:
    """`value` with its tagged objects replaced by what they stand for."""
    if depth > DEEPEST:
        raise Damage(f"nested more than {DEEPEST} deep")
    if type(value) is list:
        return [untagged(item, check_attrs, depth + 1) for item in value]
    if type(value) is not dict:
        return value
    plain = {name: untagged(item, check_attrs, depth + 1) for name, item in value.items()}
    return tagged(plain, check_attrs)


def tagged(plain: dict[str, Any], check_attrs: Callable[[Any, str], Any]) -> Any:
    """What an object stands for whose members are no tagged objects any more: most stand for themselves."""
    if len(plain) == 1:
        ((tag, content),) = plain.items()
        read = _UNTAG.get(tag)
        if read is not None and not _is_named_only(tag, content):
            return read(content)
        if tag == "$func" and type(content) is list:
            return read_func(content, check_attrs)
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
