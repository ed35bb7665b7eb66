"""HDF5's filters as functions of bytes: shuffle and deflate are ours, others come from the hdf5plugin package.

Source: HDF5 file format specification, "Data Storage - Filter Pipeline"; filter numbers as registered with The HDF Group.
"""

from __future__ import annotations

import zlib

from ckpt.core.errors import UnimplementedError
from ckpt.formats.hdf5_index import Pipeline

DEFLATE, SHUFFLE = 1, 2


def encode(data: bytes | memoryview, pipeline: Pipeline, item: int) -> bytes:
    """The stored form of a chunk, whose elements take `item` bytes."""
    for number, parameters in pipeline:
        if number == SHUFFLE:
            data = _shuffled(data, item)
        elif number == DEFLATE:
            data = zlib.compress(data, parameters[0])
        else:
            raise _unknown(number)
    return bytes(data)


def decode(stored: bytes, pipeline: Pipeline, length: int, item: int) -> bytes:
    """The `length` bytes of a chunk. Raises ValueError when `stored` is not their stored form."""
    data = stored
    for number, _ in reversed(pipeline):
        if number == SHUFFLE:
            data = _unshuffled(data, item)
        elif number == DEFLATE:
            data = _inflated(data, length)
        else:
            raise _unknown(number)
    if len(data) != length:
        raise ValueError(f"holds {len(data)} bytes, expected {length}")
    return data


def _inflated(data: bytes, length: int) -> bytes:
    """At most one byte more than `length`, whatever the stream announces."""
    try:
        return zlib.decompressobj().decompress(data, length + 1)
    except zlib.error as error:
        raise ValueError(f"is no deflate stream: {error}") from error


def _shuffled(data: bytes | memoryview, item: int) -> bytes:
    """First bytes of all elements, then all second bytes, and so on."""
    import numpy as np

    return np.frombuffer(data, np.uint8).reshape(-1, item).T.tobytes()


def _unshuffled(data: bytes, item: int) -> bytes:
    import numpy as np

    if len(data) % item:
        raise ValueError(f"holds {len(data)} bytes, expected a multiple of {item}")
    return np.frombuffer(data, np.uint8).reshape(item, -1).T.tobytes()


def _unknown(number: int) -> UnimplementedError:
    return UnimplementedError(
        None, None, f"HDF5 filter {number} is not known here; pip install 'ckpt[compression]'"
    )
