"""Pooling by a ratio between 1 and 2, or any other: windows of two neighbouring sizes in random order.

Source: B. Graham, "Fractional Max-Pooling" (2014), sections 2 and 3; where the windows begin is drawn as TensorFlow does.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import random, shaping

KINDS = frozenset({dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int64})
ATTRS: dict[str, Any] = {
    "pooling_ratio": Attr("list(float)", minimum=4), "pseudo_random": False, "overlapping": False,
    "deterministic": False, "seed": 0, "seed2": 0, "T": KINDS,
}  # fmt: skip
OUTPUTS = "output: T, row_pooling_sequence: int64, col_pooling_sequence: int64"
PLACES = "row_pooling_sequence: int64, col_pooling_sequence: int64"


def _pseudo_random(size: int, count: int, stream: Any) -> list[int]:
    """Where windows begin: ceil(size / count · (i + u)) for one random u (section 3)."""
    words = stream.words(stream.reserve(1), np.zeros(1, np.uint64))
    ratio, least = size / count, size // count
    most = min((least + 2) / ratio - 1, (size + 1 - least) / ratio - (count - 1))
    u = float(random.uniform_values(words, np.dtype(np.float64))[0, 0]) * most
    return [0, *(math.ceil(ratio * (i + u)) - 1 for i in range(1, count)), size]


def _shuffled(size: int, count: int, stream: Any) -> list[int]:
    """Where windows begin whose sizes are shuffled: `size % count` of the larger size, the others of the smaller."""
    groups = -(-count // 4)
    words = stream.words(stream.reserve(groups), np.arange(groups, dtype=np.uint64)).T.reshape(-1)
    least, larger = divmod(size, count)
    steps = [least + 1] * larger + [least] * (count - larger)
    for i in range(count - 1):
        j = i + int(words[i]) % (count - i)
        steps[i], steps[j] = steps[j], steps[i]
    return [0, *np.cumsum(steps).tolist()]


def _places(ctx, value, pooling_ratio, pseudo_random, deterministic, seed, seed2):
    """Where windows begin along rows and along columns, and where the last one ends."""
    if np.ndim(value) != 4:
        raise InvalidArgumentError(
            None, None, f"value must be 4-dimensional, got {list(np.shape(value))}"
        )
    if pooling_ratio[0] != 1 or pooling_ratio[3] != 1:
        raise UnimplementedError(
            None, None, "Fractional pooling is not yet supported on the batch nor channel dimension, got pooling_ratio "
            f"{pooling_ratio}"
        )  # fmt: skip
    if not deterministic and (seed or seed2):
        raise InvalidArgumentError(
            None, None, "Both seed and seed2 should be 0 if deterministic is false."
        )
    stream = random.stream_of(ctx, seed, seed2)
    if deterministic:  # from the same place in every run
        low, high = stream.key
        stream = random.Philox.at(low | high << 32, stream.position)
    draw = _pseudo_random if pseudo_random else _shuffled
    found = []
    for size, ratio in zip(value.shape[1:3], pooling_ratio[1:3], strict=True):
        count = int(size / ratio)
        if not 1 <= count <= size:
            raise InvalidArgumentError(
                None, None, f"pooling_ratio {ratio} gives {count} windows along {size} elements"
            )
        whole = list(range(size + 1)) if count == size else draw(size, count, stream)
        found.append(np.array(whole, np.int64))
    return found


def _pool_shape(value, *, pooling_ratio):
    if any(ratio < 1 for ratio in pooling_ratio):
        raise ValueError(f"pooling_ratio cannot be smaller than 1, got: {min(pooling_ratio)}")
    sizes = value.shape.with_rank(4).as_list()
    pooled = [None if n is None else int(n / r) for n, r in zip(sizes, pooling_ratio)]
    ends = [(None if n is None else n + 1,) for n in pooled[1:3]]
    return [pooled, *ends]


def _with_next(parts: Any, value: Any, ends: Any, axis: int, function: Any) -> Any:
    """Windows that share their last element with the next one's first."""
    inner = [slice(None)] * value.ndim
    inner[axis] = ends[1:-1]
    windows = [slice(None)] * value.ndim
    windows[axis] = slice(0, len(ends) - 2)
    found = parts.copy()
    found[tuple(windows)] = function(parts[tuple(windows)], value[tuple(inner)])
    return found


@op("FractionalMaxPool", f"value: T -> {OUTPUTS}", **ATTRS)
def fractional_max_pool(
    ctx, value, *, pooling_ratio, pseudo_random, overlapping, deterministic, seed, seed2
):
    """The largest of each window [batch, rows, columns, channels], and where the windows begin along rows and columns.

    `pooling_ratio` is [1, rows, columns, 1]. `pseudo_random` makes windows more alike than a shuffle does;
    `overlapping` ones share an element with the next. Where `deterministic`, every run draws the same windows by
    `seed` and `seed2`, which otherwise must be 0.
    """
    ends = _places(ctx, value, pooling_ratio, pseudo_random, deterministic, seed, seed2)
    found = value
    for axis, of_axis in enumerate(ends, 1):
        whole, found = found, np.maximum.reduceat(found, of_axis[:-1], axis=axis)
        found = _with_next(found, whole, of_axis, axis, np.maximum) if overlapping else found
    return found, *ends


def _members(ends: Any, size: int, overlapping: bool) -> Any:
    """Which elements are in which window: a matrix [windows, elements] of ones and zeros."""
    at = np.arange(size)
    last = np.minimum(ends[1:] + bool(overlapping), size)
    return ((at >= ends[:-1, None]) & (at < last[:, None])).astype(np.float64)


@op("FractionalAvgPool", f"value: T -> {OUTPUTS}", **ATTRS)
def fractional_avg_pool(
    ctx, value, *, pooling_ratio, pseudo_random, overlapping, deterministic, seed, seed2
):
    """The mean of each window, as `fractional_max_pool` finds the largest; integers lose what is behind the point."""
    ends = _places(ctx, value, pooling_ratio, pseudo_random, deterministic, seed, seed2)
    rows, columns = (
        _members(e, n, overlapping) for e, n in zip(ends, value.shape[1:3], strict=True)
    )
    total = np.einsum("brcd,ir,jc->bijd", value.astype(np.float64), rows, columns, optimize=True)
    counts = np.outer(rows.sum(axis=1), columns.sum(axis=1))[..., None]
    return (total / counts).astype(value.dtype), *ends


for _opdef in (fractional_max_pool, fractional_avg_pool):
    _opdef.shape(_pool_shape)


@fractional_max_pool.grad
def fractional_max_pool_rule(node, dy, *_):
    y, rows, columns = node.outputs
    return [fractional_max_pool_grad(node.inputs[0], y, dy, rows, columns, overlapping=node.attrs["overlapping"])]  # fmt: skip


@fractional_avg_pool.grad
def fractional_avg_pool_rule(node, dy, *_):
    _, rows, columns = node.outputs
    shape = shaping.shape(node.inputs[0], out_type=dtypes.int64)
    return [fractional_avg_pool_grad(shape, dy, rows, columns, overlapping=node.attrs["overlapping"])]  # fmt: skip


def _check_places(ends: Any, windows: int, size: int, name: str) -> None:
    is_right = np.shape(ends) == (windows + 1,) and (np.diff(ends) > 0).all()
    if not is_right or ends[0] != 0 or ends[-1] != size:
        raise InvalidArgumentError(
            None, None, f"{name} must rise from 0 to {size} in {windows} steps, got {np.asarray(ends).tolist()}"
        )  # fmt: skip


@op(
    "FractionalMaxPoolGrad",
    f"orig_input: T, orig_output: T, out_backprop: T, {PLACES} -> output: T",
    overlapping=False,
    T=KINDS,
)
def fractional_max_pool_grad(x, y, dy, rows, columns, *, overlapping):
    """The gradient of each window for its first largest element."""
    for ends, windows, size, name in (
        (rows, dy.shape[1], x.shape[1], "row_pooling_sequence"),
        (columns, dy.shape[2], x.shape[2], "col_pooling_sequence"),
    ):
        _check_places(ends, windows, size, name)
    found, more = np.zeros_like(x), bool(overlapping)
    batch, channels = np.ogrid[: x.shape[0], : x.shape[3]]
    for i, (top, bottom) in enumerate(pairwise(rows)):
        for j, (left, right) in enumerate(pairwise(columns)):
            window = x[:, top : bottom + more, left : right + more]
            flat = window.reshape(x.shape[0], -1, x.shape[3]).argmax(axis=1)
            row, column = np.divmod(flat, window.shape[2])
            np.add.at(found, (batch, top + row, left + column, channels), dy[:, i, j])
    return found


fractional_max_pool_grad.shape(lambda x, *_: [x.shape])
fractional_max_pool_grad.no_gradient(UNDEFINED)


@op(
    "FractionalAvgPoolGrad",
    f"orig_input_tensor_shape: int64, out_backprop: T, {PLACES} -> output: T",
    overlapping=False,
    T=KINDS,
)
def fractional_avg_pool_grad(shape, dy, rows, columns, *, overlapping):
    """The gradient of each window shared out among its elements."""
    sizes = [int(n) for n in shape]
    _check_places(rows, dy.shape[1], sizes[1], "row_pooling_sequence")
    _check_places(columns, dy.shape[2], sizes[2], "col_pooling_sequence")
    of_rows, of_columns = _members(rows, sizes[1], overlapping), _members(columns, sizes[2], overlapping)  # fmt: skip
    shares = [m / m.sum(axis=1, keepdims=True) for m in (of_rows, of_columns)]
    found = np.einsum("bijd,ir,jc->brcd", dy.astype(np.float64), *shares, optimize=True)
    return found.astype(dy.dtype)


@fractional_avg_pool_grad.shape
def fractional_avg_pool_grad_shape(shape, *_):
    known = constant_value(shape)
    return [(None,) * 4 if known is None else [int(n) for n in known]]


fractional_avg_pool_grad.no_gradient(UNDEFINED)
