"""String tensors as bytes: the end offsets of all elements (u64, little-endian), then their characters."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def encode(array: Array) -> Array:
    """The payload of an array of bytes or str (as UTF-8), as a uint8 array. Raises TypeError for others."""
    items = [_as_bytes(item) for item in array.reshape(-1).tolist()]
    ends = np.cumsum([len(item) for item in items], dtype="<u8").tobytes()
    return np.frombuffer(ends + b"".join(items), np.uint8)


def decode(payload: bytes, shape: tuple[int, ...]) -> Array:
    """The object array of bytes. Raises ValueError when the payload does not hold `shape` elements."""
    count = prod(shape)
    if len(payload) < 8 * count:
        raise ValueError(f"{len(payload)} bytes cannot hold {count} strings")
    ends = np.frombuffer(payload, "<u8", count).tolist()
    starts = [0, *ends]
    if any(a > b for a, b in zip(starts, ends)) or starts[-1] != len(payload) - 8 * count:
        raise ValueError("the ends of the strings do not fit the payload")
    text = payload[8 * count :]
    out = np.empty(count, object)
    out[:] = [text[a:b] for a, b in zip(starts, ends)]
    return out.reshape(shape)


def _as_bytes(item: object) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise TypeError(f"element {item!r} is neither bytes nor str")
