"""Positions in datasets as bytes: msgpack of lists, numbers and arrays. Nothing in them is ever run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.errors import DataLossError, FailedPreconditionError
from ckpt.formats.counter import Counter

VERSION = 1
"""First and last of a position: its bytes never end with a 0, which numpy would take from a byte string."""

_ARRAY = 1
_DEEPEST = 32
"""Arrays within arrays: each takes some 20 KiB of the processor's stack while it is read."""
_MOST_MAPS = 1000
_FEW_LISTS = 1 << 20
"""But for so many, a list comes with six bytes: a buffered element has three and takes 15 bytes or more, or, a short
string, one and four."""


def packed(state: Any) -> bytes:
    """The bytes of a position. Raises FailedPreconditionError for what is neither a number, text, bytes nor an array."""
    import msgpack

    made: bytes = msgpack.packb([VERSION, state, VERSION], default=_packed_array)
    return made


def _packed_array(value: Any) -> Any:
    import msgpack

    if not isinstance(value, (np.ndarray, np.generic)):
        raise FailedPreconditionError(
            None, None, f"a position that holds a {type(value).__name__} cannot be saved"
        )
    array = np.asarray(value)
    content = array.reshape(-1).tolist() if array.dtype == object else array.tobytes()
    kind = "object" if array.dtype == object else array.dtype.name
    is_scalar = isinstance(value, np.generic)
    fields = [kind, list(array.shape), is_scalar, content]
    return msgpack.ExtType(_ARRAY, msgpack.packb(fields, default=_packed_array))


def unpacked(data: bytes) -> Any:
    """The position that bytes hold. Raises DataLossError for others."""
    import msgpack

    lists = Counter(_FEW_LISTS + len(data) // 6, "a position")
    maps = Counter(_MOST_MAPS, "a position")
    try:
        version, state, _ = _read(data, lists, maps, 0)
    except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException) as error:
        raise DataLossError(
            None, None, f"this is no saved position of an iterator: {error}"
        ) from error
    if version != VERSION:
        raise DataLossError(
            None, None, f"a saved position of an iterator in version {version}; this ckpt reads {VERSION}"
        )  # fmt: skip
    return state


def _read(data: bytes, lists: Counter, maps: Counter, depth: int) -> Any:
    """What bytes hold that lie within so many arrays."""
    import msgpack

    return msgpack.unpackb(
        data,
        ext_hook=lambda code, content: _read_array(code, content, lists, maps, depth),
        list_hook=lists.take,
        object_hook=maps.take,
        strict_map_key=False,
    )


def _read_array(code: int, data: bytes, lists: Counter, maps: Counter, depth: int) -> Any:
    from ckpt.core import dtypes  # bfloat16 and its like are known by name there

    if code != _ARRAY:
        raise ValueError(f"it holds something of kind {code}")
    if depth == _DEEPEST:
        raise ValueError(f"its arrays are nested more than {_DEEPEST} deep")
    kind, shape, is_scalar, content = _read(data, lists, maps, depth + 1)
    if kind == "object":
        array: Any = np.empty(len(content), object)
        for i, member in enumerate(content):  # members may be arrays
            array[i] = member
        return array.reshape(shape)
    array = np.frombuffer(content, np.dtype(dtypes.as_dtype(kind).as_numpy_dtype)).reshape(shape)
    return array[()] if is_scalar else array.copy()
