"""Many nodes as the wire bytes of NodeDef messages, made without a message for each. Must not know live graphs.

`tf_pb` is the reference: parsing these bytes gives the messages that it fills. The bytes are put together as text of one
character a byte, which Python does some five times as fast as it fills messages or joins bytes.

Source of the encoding: https://protobuf.dev/programming-guides/encoding/; field numbers are those of `tensorflow.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape
from ckpt.wire.attr_value import attr_to_message

_PLAIN = frozenset({str, bytes, int})
_ONLY_TEXT = frozenset({str})
EMPTY: Mapping[str, Any] = MappingProxyType({})
_SHORT = 64
"""Constants of up to so many bytes (sizes, axes, zeros) are compared with those that were written before."""


def nodes_as_bytes(
    nodes: Iterable[defs.NodeDef], output_shapes: Mapping[str, Sequence[TensorShape]] = EMPTY
) -> bytes:
    """The nodes as field 1 of a GraphDef; those that `output_shapes` names have the attribute `_output_shapes`, too.

    Raises GraphError naming node and attribute that cannot be written.
    """
    sizes, attrs, fields = _Sizes(), _Attrs(), []
    for node in nodes:
        name, op = node.name, node.op
        if not (name.isascii() and op.isascii()):
            name, op = _as_text(name.encode()), _as_text(op.encode())
        body = f"\x0a{sizes[len(name)]}{name}\x12{sizes[len(op)]}{op}"
        for source in node.input:
            if not source.isascii():
                source = _as_text(source.encode())
            body += f"\x1a{sizes[len(source)]}{source}"
        if node.device:
            device = _as_text(node.device.encode())
            body += f"\x22{sizes[len(device)]}{device}"
        if node.attr:
            body += attrs.of(node)
        shapes = output_shapes.get(node.name)
        if shapes is not None:
            body += attrs.entry("_output_shapes", shapes)
        fields.append(f"\x0a{sizes[len(body)]}{body}")
    return "".join(fields).encode("latin-1")


def _as_text(data: bytes | bytearray) -> str:
    """A character for each byte."""
    return data.decode("latin-1")


class _Sizes(dict[int, str]):
    """Lengths as they are written: in base 128, low digits first, each worked out once."""

    def __missing__(self, size: int) -> str:
        digits, left = bytearray(), size
        while left > 127:
            digits.append(left & 127 | 128)
            left >>= 7
        digits.append(left)
        self[size] = text = _as_text(digits)
        return text


class _Attrs:
    """The attributes of the nodes of one graph: what was written for one object, or an equal value, is used again."""

    def __init__(self) -> None:
        self._sizes = _Sizes()
        self._by_object: dict[tuple[str, int], str] = {}  # the graph keeps the objects alive
        self._by_value: dict[Any, str] = {}

    def of(self, node: defs.NodeDef) -> str:
        """The attributes of `node` as fields 5 of a NodeDef."""
        known, entries = self._by_object, ""
        for name, value in node.attr.items():
            entry = known.get((name, id(value)))
            if entry is None:
                try:
                    entry = self.entry(name, value)
                except GraphError as error:
                    raise GraphError(f"node {node.name!r}, attribute {name!r}: {error}") from error
            entries += entry
        return entries

    def entry(self, name: str, value: Any) -> str:
        """One attribute as field 5 of a NodeDef."""
        found = self._by_object.get((name, id(value)))
        if found is None:
            found = self._by_object[name, id(value)] = self._entry(name, value)
        return found

    def _entry(self, name: str, value: Any) -> str:
        kind = type(value)
        if kind is TensorShape:
            key: Any = (name, kind, value.sizes)
        elif kind in _PLAIN:
            key = (name, kind, value)
        elif kind is np.ndarray and value.nbytes <= _SHORT and not value.dtype.hasobject:
            key = (name, id(value.dtype), value.shape, value.tobytes())
        else:
            return self._written(name, value)
        entry = self._by_value.get(key)
        if entry is None:
            entry = self._by_value[key] = self._written(name, value)
        return entry

    def _written(self, name: str, value: Any) -> str:
        sizes, key = self._sizes, _as_text(name.encode())
        if type(value) is list and _ONLY_TEXT.issuperset(map(type, value)):
            inner = ""
            for member in value:
                text = member if member.isascii() else _as_text(member.encode())
                inner += f"\x12{sizes[len(text)]}{text}"
            data = f"\x0a{sizes[len(inner)]}{inner}"
        else:
            data = _as_text(attr_to_message(value).SerializeToString(deterministic=True))
        body = f"\x0a{sizes[len(key)]}{key}\x12{sizes[len(data)]}{data}"
        return f"\x2a{sizes[len(body)]}{body}"
