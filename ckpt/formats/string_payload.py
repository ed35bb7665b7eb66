"""String tensors as bytes: the end offsets of all elements (u64, little-endian), then their characters."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_AT_ONCE = 1 << 16  # strings whose places are Python numbers at one time


def encode(array: Array) -> Array:
    """The payload of an array of bytes or str (as UTF-8), as a uint8 array. Raises TypeError for others."""
    items = [_as_bytes(item) for item in array.reshape(-1).tolist()]
    ends = np.cumsum([len(item) for item in items], dtype="<u8").tobytes()
    return np.frombuffer(ends + b"".join(items), np.uint8)


def decode(payload: bytes | bytearray, shape: tuple[int, ...]) -> Array:
    """The object array of bytes. Raises ValueError, before a string is made, when the payload does not hold `shape`
    elements."""
    count = prod(shape)
    if len(payload) < 8 * count:
        raise ValueError(f"{len(payload)} bytes cannot hold {count} strings")
    ends = np.frombuffer(payload, "<u8", count)
    text = memoryview(payload)[8 * count :]
    last = int(ends[-1]) if count else 0
    if last != len(text) or bool((ends[1:] < ends[:-1]).any()):
        raise ValueError("the ends of the strings do not fit the payload")
    out = np.empty(shape, object)
    flat, start = out.reshape(-1), 0
    for first in range(0, count, _AT_ONCE):
        here = ends[first : first + _AT_ONCE].tolist()
        flat[first : first + _AT_ONCE] = [bytes(text[a:b]) for a, b in zip([start, *here], here)]
        start = here[-1]
    return out


def _as_bytes(item: object) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise TypeError(f"element {item!r} is neither bytes nor str")
