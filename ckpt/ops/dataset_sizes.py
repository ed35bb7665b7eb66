"""How many elements a dataset has, as far as that is known before they are made: a rule for each kind of dataset.

A rule gets the dataset and the numbers of elements of its inputs: INFINITE and UNKNOWN are numbers too.
"""

from __future__ import annotations

INFINITE = -1
UNKNOWN = -2


def unknown(dataset, sizes):
    """Nobody knows."""
    return UNKNOWN


def same(dataset, sizes):
    """As many as the input has."""
    return sizes[0]


def least(dataset, sizes):
    """Those of the shortest input."""
    if UNKNOWN in sizes:
        return UNKNOWN
    return min((size for size in sizes if size != INFINITE), default=INFINITE)


def total(dataset, sizes):
    """Those of all inputs."""
    for kind in (INFINITE, UNKNOWN):
        if kind in sizes:
            return kind
    return sum(sizes)


def repeated(dataset, sizes):
    """Those of the input, `count` times."""
    (size,), count = sizes, dataset.count
    if 0 in (count, size):
        return 0
    if count < 0 or size == INFINITE:
        return INFINITE
    return UNKNOWN if size == UNKNOWN else size * count


def taken(dataset, sizes):
    """No more than `count`."""
    (size,), count = sizes, dataset.count
    if count < 0 or size == UNKNOWN:
        return size
    return count if size == INFINITE else min(size, count)


def skipped(dataset, sizes):
    """Without `count`."""
    (size,), count = sizes, dataset.count
    if count < 0:
        return 0
    return size if size < 0 else max(0, size - count)


def sharded(dataset, sizes):
    """Every `shards`-th from `index` on."""
    (size,) = sizes
    return size if size < 0 else -(-max(0, size - dataset.index) // dataset.shards)


def batched(dataset, sizes):
    """One for each `size`; what is left is one more, unless batches must be full."""
    (size,) = sizes
    if size < 0:
        return size
    return size // dataset.size if dataset.is_full else -(-size // dataset.size)


def windowed(dataset, sizes):
    """One for each `shift`; of full windows those that fit in."""
    (size,) = sizes
    if size < 0:
        return size
    if not dataset.is_full:
        return -(-size // dataset.shift)
    span = (dataset.size - 1) * dataset.stride + 1
    return 0 if size < span else (size - span) // dataset.shift + 1
