"""Compressed tensors: how they are cut in chunks, and the stored form of each, made by several threads.

Must not write files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.formats import hdf5_filters
from ckpt.formats.hdf5_index import Pipeline

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_CHUNK = 512 * 1024  # bytes of a chunk before it is filtered, at most: what a slice reads at least
_AHEAD = 8  # chunks that are filtered while others are written
_THREADS = 2


def chunk_shape(shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    """As many whole rows as fit in a chunk; where a row does not fit, a piece of one."""
    size, left = [], max(_CHUNK // item, 1)
    for full in reversed(shape):
        taken = max(1, min(full, left))
        size.append(taken)
        left //= taken
    return tuple(reversed(size))


def stored_chunks(
    arrays: tuple[Array, ...], shape: tuple[int, ...], size: tuple[int, ...], pipeline: Pipeline
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """First index and stored bytes of every chunk, row-major, of arrays that lie end to end along the first axis."""
    item = arrays[0].itemsize
    places = product(*(range(0, full, n) for full, n in zip(shape, size, strict=True)))

    def stored(place: tuple[int, ...]) -> tuple[tuple[int, ...], bytes]:
        data = _chunk(arrays, place, size)
        return place, hdf5_filters.encode(data, pipeline, size, item)

    with ThreadPoolExecutor(_THREADS) as pool:
        under_way: deque[Future[tuple[tuple[int, ...], bytes]]] = deque()
        for place in places:
            if len(under_way) == _AHEAD:
                yield under_way.popleft().result()
            under_way.append(pool.submit(stored, place))
        while under_way:
            yield under_way.popleft().result()


def _chunk(arrays: tuple[Array, ...], place: tuple[int, ...], size: tuple[int, ...]) -> bytes:
    """The bytes of one chunk, row-major and little-endian, zeros where it reaches beyond the tensor."""
    kind = arrays[0].dtype
    chunk = np.zeros(size, kind.newbyteorder("<"))
    inner = tuple(slice(start, start + n) for start, n in zip(place[1:], size[1:], strict=True))
    first, row = place[0], 0
    for array in arrays:
        low, high = max(first, row), min(first + size[0], row + len(array))
        if low < high:
            values = array[(slice(low - row, high - row), *inner)]
            chunk[(slice(low - first, high - first), *(slice(n) for n in values.shape[1:]))] = (
                values
            )
        row += len(array)
    return chunk.tobytes()
