"""The bytes of arrays as files hold them: row-major and little-endian, converted in pieces where needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def plain(array: Array) -> Array:
    """A view of the same bits whose dtype numpy can iterate, swap, and show as a buffer."""
    if array.dtype.names:  # a quantized integer: one field
        array = array[array.dtype.names[0]]
    if array.dtype.isbuiltin == 2:  # bfloat16 and the like, which ml_dtypes registers
        array = array.view(f"u{array.itemsize}")
    return array


def is_ready(array: Array) -> bool:
    """True when the memory of a plain array holds its bytes as a file does."""
    return bool(array.flags.c_contiguous and array.dtype == array.dtype.newbyteorder("<"))


def bytes_of(array: Array) -> memoryview:
    """The memory of a contiguous array, to be read or, where it is writable, filled."""
    return memoryview(array.reshape(-1).view(np.uint8))


def pieces(array: Array, size: int) -> Iterator[memoryview]:
    """The bytes of a plain array: all at once where they are ready, else in converted pieces of about `size` bytes."""
    if is_ready(array):
        yield bytes_of(array)
        return
    converted = np.nditer(
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=[array.dtype.newbyteorder("<")],
        casting="equiv",
        order="C",
        buffersize=size // array.itemsize,
    )
    for piece in converted:
        yield memoryview(np.ascontiguousarray(piece).view(np.uint8))
