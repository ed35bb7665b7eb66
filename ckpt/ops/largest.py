"""The k largest elements of rows, and where targets stand among them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, REAL
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    compare,
    division,
    elementwise,
    indexing,
    joining,
    reduction,
    segments,
    shaping,
)


class TopK(NamedTuple):
    """The largest elements of each row and their places."""

    values: Tensor
    indices: Tensor


SMALL_INDEX = frozenset({dtypes.int16, dtypes.int32, dtypes.int64})


def _order(x, k):
    """For each row the places of the k largest elements, largest first, equal ones in the order of their places."""
    width = x.shape[-1]
    if x.dtype.kind == "f" or x.dtype.kind not in "iu":
        down = -x.astype(np.float32 if x.dtype.itemsize == 2 else x.dtype, copy=False)
        if 4 * k >= width or width < 64:
            return np.argsort(down, axis=-1, kind="stable")[..., :k]
        # All that are not beaten by the k-th are candidates; ties beyond k are cut off after a stable sort.
        limit = np.partition(down, k - 1, axis=-1)[..., k - 1 : k] if k else down[..., :0]
        if k and np.count_nonzero(down <= limit) == k * (x.size // width):
            places = np.nonzero(down <= limit)[-1].reshape(*x.shape[:-1], k)
            best = np.argsort(np.take_along_axis(down, places, -1), axis=-1, kind="stable")
            return np.take_along_axis(places, best, -1)
        return np.argsort(down, axis=-1, kind="stable")[..., :k]
    # Negating integers overflows; a stable sort of the reversed row, read backwards, keeps equal ones in order.
    up = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    return width - 1 - up[..., :k]


def _top(x, k):
    k = int(k)
    if x.ndim < 1 or x.shape[-1] < k:
        raise InvalidArgumentError(
            None,
            None,
            f"input must have at least k={k} columns. Had {x.shape[-1] if x.ndim else 0}",
        )
    if k < 0:
        raise InvalidArgumentError(None, None, f"Need k >= 0, got {k}")
    order = _order(x, k)
    return np.take_along_axis(x, order, -1), order


@op(
    "TopKV2", "input: T, k: Tk -> values: T, indices: index_type", sorted=True, T=REAL,
    Tk=Attr("type", dtypes.int32, SMALL_INDEX), index_type=Attr("type", dtypes.int32, SMALL_INDEX),
)  # fmt: skip
def top_k_v2(x, k, *, index_type):
    """The k largest elements of each row (the last axis) and their places; of equal ones the first."""
    values, order = _top(x, k)
    return values, order.astype(index_type.as_numpy_dtype)


@op("TopK", "input: T -> values: T, indices: int32", k=Attr("int", minimum=0), sorted=True, T=REAL)
def top_k_v1(x, *, k):
    """TopKV2 with a fixed k."""
    values, order = _top(x, k)
    return values, order.astype(np.int32)


def _top_shape(x, k):
    sizes = x.shape.with_rank_at_least(1).sizes
    if sizes is None:
        return [None, None]
    if k is not None and sizes[-1] is not None and sizes[-1] < k:
        raise ShapeError(f"input must have last dimension >= k = {k} but is {sizes[-1]}")
    return [(*sizes[:-1], k)] * 2


@top_k_v2.shape
def top_k_v2_shape(x, k):
    known = constant_value(k)
    return _top_shape(x, None if known is None else int(known))


top_k_v1.shape(lambda x, *, k: _top_shape(x, k))


def _top_grad(node, dy, _):
    """Each gradient goes back to the place it came from; places are numbered through all rows for one scatter."""
    x, places = node.inputs[0], node.outputs[1]
    shape = shaping.shape(x)
    width = indexing.gather(shape, shaping.size(shape) - 1)
    flat = shaping.reshape(
        casting.cast(places, dtypes.int32), joining.stack([-1, shaping.shape(places)[-1]])
    )
    rows = elementwise.mul(indexing.range_(shaping.shape(flat)[0]), width)
    where = shaping.reshape(elementwise.add(flat, shaping.expand_dims(rows, -1)), [-1])
    dx = segments.unsorted_segment_sum(
        shaping.reshape(dy, [-1]), where, reduction.reduce_prod(shape)
    )
    return [shaping.reshape(dx, shape), *[None] * (len(node.inputs) - 1)]


top_k_v2.grad(_top_grad)
top_k_v1.grad(_top_grad)


def _in_top(predictions, targets, k):
    if predictions.ndim != 2 or targets.shape != predictions.shape[:1]:
        raise InvalidArgumentError(
            None, None, f"First dimension of predictions {list(predictions.shape)} must match length of targets "
            f"{list(targets.shape)}"
        )  # fmt: skip
    known = (targets >= 0) & (targets < predictions.shape[1])
    chosen = np.take_along_axis(
        predictions, np.where(known, targets, 0)[:, None].astype(np.int64), 1
    )
    finite = np.isfinite(chosen)[:, 0] & np.isfinite(predictions).all(axis=1)
    return known & finite & ((predictions > chosen).sum(axis=1) < int(k))


@op(
    "InTopK",
    "predictions: float32, targets: T -> precision: bool",
    k=Attr("int"),
    T=Attr("type", dtypes.int32, INDEX),
)
def in_top_k_v1(predictions, targets, *, k):
    """For each row: is the prediction of its target among the k largest? Ties with the k-th count."""
    return _in_top(predictions, targets, k)


@op(
    "InTopKV2",
    "predictions: float32, targets: T, k: T -> precision: bool",
    T=Attr("type", dtypes.int32, INDEX),
)
def in_top_k_v2(predictions, targets, k):
    """InTopK with k as a tensor."""
    return _in_top(predictions, targets, k)


def _in_top_shape(predictions, targets, *_):
    (rows, _) = predictions.shape.with_rank(2).sizes
    return [targets.shape.with_rank(1).merge_with((rows,))]


for _opdef in (in_top_k_v1, in_top_k_v2):
    _opdef.shape(_in_top_shape)
    _opdef.no_gradient("a truth value has no derivative")


@op("NthElement", "input: T, n: int32 -> values: T", reverse=False, T=REAL)
def nth_element_op(x, n, *, reverse):
    """The element of each row (the last axis) that would stand at place n if the row were sorted."""
    n = int(n)
    if not 0 <= n < x.shape[-1]:
        raise InvalidArgumentError(
            None, None, f"Input must have last dimension > n = {n}, got {list(x.shape)}"
        )
    place = x.shape[-1] - 1 - n if reverse else n
    return np.partition(x, place, axis=-1)[..., place]


@nth_element_op.shape
def nth_element_shape(x, n):
    sizes, place = x.shape.with_rank_at_least(1).sizes, constant_value(n)
    if sizes is not None and None not in (place, sizes[-1]) and sizes[-1] <= place:
        raise ShapeError(f"Input must have last dimension > n = {int(place)} but is {sizes[-1]}")
    return [None if sizes is None else sizes[:-1]]


@nth_element_op.grad
def nth_element_grad(node, dy):
    x = node.inputs[0]
    chosen = shaping.expand_dims(node.outputs[0], -1)
    hits = casting.cast(compare.equal(chosen, x), x.dtype)
    count = shaping.expand_dims(reduction.reduce_sum(hits, -1), -1)
    return [division.div(hits, count) * shaping.expand_dims(dy, -1), None]


def top_k(
    input: Any,
    k: Any = 1,
    sorted: bool = True,
    index_type: Any = dtypes.int32,
    name: str | None = None,
) -> TopK:
    """(values, indices) of the k largest elements of each row (the last axis)."""
    found = top_k_v2(input, k, sorted=sorted, index_type=index_type, name=name)
    return TopK(*found)


def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """For each row: is the prediction of its target among the k largest?"""
    with name_scope(name, "in_top_k", [predictions, targets]):
        return in_top_k_v2(predictions, targets, k, name=name)


def nth_element(input: Any, n: Any, reverse: bool = False, name: str | None = None) -> Tensor:
    """The n-th smallest (or, reversed, largest) element of each row."""
    return nth_element_op(input, n, reverse=reverse, name=name)
