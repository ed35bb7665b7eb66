"""Distinct values, set differences and counts of values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    clipping,
    compare,
    constants,
    division,
    elementwise,
    joining,
    reduction,
    scattering,
    shaping,
)

OUT_IDX = Attr("type", dtypes.int32, INDEX)
COUNTED = frozenset({dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64})


DENSE = 4
"""Integers in a range of fewer than this many times their number are counted in an array, not sorted."""


class Unique(NamedTuple):
    """Distinct values `y`, and for each element `idx`, which of them it is."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """Distinct values `y`, for each element which of them it is, and how often each appears."""

    y: Tensor
    idx: Tensor
    count: Tensor  # type: ignore[assignment]  # TensorFlow's name, over tuple.count


class ListDiff(NamedTuple):
    """The elements `out` that the other list lacks, and their positions `idx`."""

    out: Tensor
    idx: Tensor


def _first_seen(x, axis):
    """(positions of the first of each value, in order; for each slice the number of its value; counts)."""
    rows = np.moveaxis(x, axis, 0) if np.ndim(x) else x
    if rows.ndim == 1 and rows.dtype.kind in "iu" and len(rows):
        low, high = int(rows.min()), int(rows.max())
        if high - low < DENSE * len(rows):
            return _first_seen_dense(
                rows.astype(np.int64) - low if high < 2**63 else rows - rows.min()
            )
    if rows.ndim == 1 and rows.dtype.kind in "biu":
        _, first, inverse, counts = np.unique(
            rows, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return first[order], rank[inverse.reshape(-1)], counts[order]
    seen: dict[Any, int] = {}
    first_list, numbers = [], []
    for i, row in enumerate(rows):
        key = row if rows.ndim == 1 and rows.dtype.kind == "O" else np.asarray(row).tobytes()
        if key not in seen:
            seen[key] = len(seen)
            first_list.append(i)
        numbers.append(seen[key])
    counts = np.bincount(numbers, minlength=len(seen)) if numbers else np.zeros(0, np.int64)
    return np.array(first_list, np.int64), np.array(numbers, np.int64), counts


def _first_seen_dense(places):
    """As `_first_seen`, of integers from 0 to a few times their number: without sorting them."""
    places = places.astype(np.intp, copy=False)
    counts = np.bincount(places)
    first = np.empty(len(counts), np.intp)
    first[places[::-1]] = np.arange(len(places) - 1, -1, -1)  # of equal places the last one counts
    values = np.flatnonzero(counts)
    values = values[np.argsort(first[values])]
    rank = np.empty(len(counts), np.intp)
    rank[values] = np.arange(len(values))
    return first[values], rank[places], counts[values]


def _unique(type_name: str, has_axis: bool, has_counts: bool) -> OpDef:
    inputs = "x: T, axis: Taxis" if has_axis else "x: T"
    outputs = "y: T, idx: out_idx" + (", count: out_idx" if has_counts else "")

    def kernel(x, *axis, out_idx):
        at = int(np.asarray(axis[0]).reshape(-1)[0]) if axis and np.size(axis[0]) else 0
        if np.ndim(x) != 1 and not (axis and np.size(axis[0])):
            raise InvalidArgumentError(None, None, "unique expects a 1D vector.")
        first, numbers, counts = _first_seen(x, at)
        kind = out_idx.as_numpy_dtype
        found = [np.take(x, first, axis=at), numbers.astype(kind), counts.astype(kind)]
        return found if has_counts else found[:2]

    kernel.__doc__ = (
        "The distinct values in the order of their first appearance, and which one each element is."
    )
    axis_attr = {"Taxis": Attr("type", dtypes.int64, INDEX)} if has_axis else {}
    opdef = op(type_name, f"{inputs} -> {outputs}", out_idx=OUT_IDX, **axis_attr)(kernel)

    @opdef.shape
    def rule(x, *axis):
        if axis:
            value = constant_value(axis[0])
            whole = np.size(value) == 0 if value is not None else None
            sizes = x.shape.sizes
            if whole is None and sizes is not None and len(sizes) == 1:
                found: Any = [(None,), x.shape]
            elif whole is None or sizes is None:
                found = [TensorShape(None), (None,)]
            elif whole:
                found = [(None,), x.shape.with_rank(1)]
            else:
                at = int(np.asarray(value).reshape(-1)[0]) % len(sizes)
                found = [(*sizes[:at], None, *sizes[at + 1 :]), (sizes[at],)]
        else:
            found = [(None,), x.shape.with_rank(1)]
        return [*found, (None,)] if has_counts else found

    return opdef.no_gradient(UNDEFINED)


unique_op = _unique("Unique", False, False)
unique_v2_op = _unique("UniqueV2", True, False)
unique_with_counts_op = _unique("UniqueWithCounts", False, True)
unique_with_counts_v2_op = _unique("UniqueWithCountsV2", True, True)


def unique(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Any:
    """(distinct values in the order of their first appearance, for each element the position of its value)."""
    return Unique(*unique_op(x, out_idx=out_idx, name=name))


def unique_with_counts(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Any:
    """(distinct values, for each element the position of its value, how often each value appears)."""
    return UniqueWithCounts(*unique_with_counts_op(x, out_idx=out_idx, name=name))


@op("ListDiff", "x: T, y: T -> out: T, idx: out_idx", out_idx=OUT_IDX)
def list_diff_op(x, y, *, out_idx):
    """The elements of `x` that `y` lacks, in order and with repetitions, and their positions."""
    for value, name in ((x, "x"), (y, "y")):
        if np.ndim(value) != 1:
            raise InvalidArgumentError(None, None, f"{name} should be a 1D vector.")
    if np.asarray(x).dtype.kind in "biu":
        places = np.flatnonzero(~np.isin(x, y)).astype(out_idx.as_numpy_dtype)
        return np.asarray(x)[places], places
    excluded = set(np.asarray(y).tolist())
    kept = [i for i, v in enumerate(np.asarray(x).tolist()) if v not in excluded]
    places = np.array(kept, dtype=out_idx.as_numpy_dtype)
    return np.asarray(x)[places], places


@list_diff_op.shape
def list_diff_shape(x, y):
    x.shape.with_rank(1)
    y.shape.with_rank(1)
    return [(None,), (None,)]


list_diff_op.no_gradient(UNDEFINED)


def setdiff1d(x: Any, y: Any, index_dtype: Any = dtypes.int32, name: str | None = None) -> Any:
    """(the elements of `x` that `y` lacks, their positions)."""
    return ListDiff(*list_diff_op(x, y, out_idx=index_dtype, name=name))


@op("Bincount", "arr: int32, size: int32, weights: T -> bins: T", T=COUNTED)
def bincount_op(arr, size, weights):
    """bins[i] = how often i is in `arr`, or the sum of the weights there; values from `size` on are left out."""
    if np.size(arr) and np.min(arr) < 0:
        raise InvalidArgumentError(None, None, "Input arr must be non-negative!")
    if int(size) < 0:
        raise InvalidArgumentError(None, None, f"size ({int(size)}) must be non-negative")
    if np.size(weights) and np.shape(weights) != np.shape(arr):
        raise InvalidArgumentError(
            None,
            None,
            "`weights` must be the same shape as `arr` or a length-0 `Tensor`, in which case it acts as all weights "
            f"equal to 1. Received {list(np.shape(weights))}",
        )
    bins = np.zeros(int(size), weights.dtype)
    flat = np.asarray(arr).reshape(-1)
    kept = flat < int(size)
    if not np.size(weights):
        return np.bincount(flat[kept], minlength=int(size)).astype(weights.dtype)
    np.add.at(bins, flat[kept], np.asarray(weights).reshape(-1)[kept])
    return bins


@bincount_op.shape
def bincount_shape(arr, size, weights):
    value = constant_value(size)
    return [(None if value is None else int(value),)]


bincount_op.no_gradient(UNDEFINED)


def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = dtypes.int32,
) -> Tensor:
    """How often each value from 0 to the largest one appears in `arr`, or the sums of its weights.

    `arr` and `weights` may be sparse: the values that they hold are counted. Values are cut to int32.
    """
    with name_scope("bincount"):
        arr = arr.values if isinstance(arr, SparseTensor) else arr
        weights = weights.values if isinstance(weights, SparseTensor) else weights
        if not isinstance(arr, (Tensor, np.ndarray)) and not np.size(arr):
            arr = np.zeros(np.shape(arr), np.int32)
        arr = casting.cast(convert.convert_to_tensor(arr, name="arr"), dtypes.int32)
        is_nonempty = compare.greater(reduction.reduce_prod(shaping.shape(arr)), 0)
        size = casting.cast(is_nonempty, dtypes.int32) * (reduction.reduce_max(arr) + 1)
        if minlength is not None:
            low = convert.convert_to_tensor(minlength, name="minlength", dtype=dtypes.int32)
            size = elementwise.maximum(low, size)
        if maxlength is not None:
            high = convert.convert_to_tensor(maxlength, name="maxlength", dtype=dtypes.int32)
            size = elementwise.minimum(high, size)
        if weights is not None:
            weights = convert.convert_to_tensor(weights, name="weights")
        else:
            weights = constants.constant([], dtype)
        return bincount_op(arr, size, weights)


@op(
    "HistogramFixedWidth",
    "values: T, value_range: T, nbins: int32 -> out: dtype",
    T=COUNTED,
    dtype=Attr("type", dtypes.int32, INDEX),
)
def histogram_fixed_width_op(values, value_range, nbins, *, dtype):
    """How many values are in each of `nbins` equal parts of the range; those outside count in the outermost."""
    low, high = np.asarray(value_range).tolist()
    count = int(nbins)
    if low >= high:
        raise InvalidArgumentError(
            None,
            None,
            f"value_range should satisfy value_range[0] < value_range[1], but got '[{low}, {high}]'",
        )
    if count <= 0:
        raise InvalidArgumentError(
            None, None, f"nbins should be a positive number, but got '{count}'"
        )
    step = (high - low) / count
    places = np.floor((np.asarray(values).reshape(-1).astype(np.float64) - low) / step)
    places = np.clip(places, 0, count - 1).astype(np.int64)
    return np.bincount(places, minlength=count).astype(dtype.as_numpy_dtype)


@histogram_fixed_width_op.shape
def histogram_fixed_width_shape(values, value_range, nbins):
    value = constant_value(nbins)
    value_range.shape.assert_is_compatible_with([2])
    if value is not None and int(value) <= 0:
        raise ShapeError(f"Requires nbins > 0, got {int(value)}")
    return [(None if value is None else int(value),)]


histogram_fixed_width_op.no_gradient(UNDEFINED)


def histogram_fixed_width(
    values: Any,
    value_range: Any,
    nbins: Any = 100,
    dtype: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:
    """How many values are in each of `nbins` equal parts of `value_range`."""
    with name_scope(name, "histogram_fixed_width", [values, value_range, nbins]) as scope:
        values = convert.convert_to_tensor(values, name="values")
        return histogram_fixed_width_op(values, value_range, nbins, dtype=dtype, name=scope)


def histogram_fixed_width_bins(
    values: Any,
    value_range: Any,
    nbins: Any = 100,
    dtype: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:
    """In which of `nbins` equal parts of `value_range` each value is."""
    with name_scope(name, "histogram_fixed_width_bins", [values, value_range, nbins]):
        values = convert.convert_to_tensor(values, name="values")
        shape = shaping.shape(values)
        values = shaping.reshape(values, [-1])
        value_range = convert.convert_to_tensor(value_range, name="value_range")
        count = casting.cast(convert.convert_to_tensor(nbins, name="nbins"), values.dtype)
        scaled = division.truediv(values - value_range[0], value_range[1] - value_range[0])
        places = elementwise.floor(count * scaled)
        inside = clipping.clip_by_value_op(places, constants.zeros((), places.dtype), count - 1)
        return shaping.reshape(casting.cast(inside, dtype), shape)


def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    dtype: Any = dtypes.int32,
    name: str | None = None,
    weights: Any = None,
) -> Tensor:
    """matrix[i, j] = how often label i was predicted as j (or the sum of the weights of these)."""
    from ckpt.ops import assertions  # checks stand on all other operations
    from ckpt.ops.control import with_dependencies

    with name_scope(name, "confusion_matrix", [predictions, labels, num_classes, weights]):
        labels = convert.convert_to_tensor(labels, name="labels")
        predictions = convert.convert_to_tensor(predictions, name="predictions")
        labels, predictions = remove_squeezable_dimensions(labels, predictions)
        predictions = casting.cast(predictions, dtypes.int64)
        labels = casting.cast(labels, dtypes.int64)
        labels = with_dependencies(
            [assertions.assert_non_negative(labels, message="`labels` contains negative values")], labels)  # fmt: skip
        predictions = with_dependencies(
            [assertions.assert_non_negative(predictions, message="`predictions` contains negative values")],
            predictions)  # fmt: skip
        if num_classes is None:
            largest = [reduction.reduce_max(t) for t in (predictions, labels)]
            num_classes = elementwise.maximum(*largest) + 1
        else:
            wide = casting.cast(num_classes, dtypes.int64)
            labels = with_dependencies(
                [assertions.assert_less(labels, wide, message="`labels` out of bound")], labels)  # fmt: skip
            predictions = with_dependencies(
                [assertions.assert_less(predictions, wide, message="`predictions` out of bound")],
                predictions)  # fmt: skip
        if weights is not None:
            weights = convert.convert_to_tensor(weights)
            predictions.shape.assert_is_compatible_with(weights.shape)
            weights = casting.cast(weights, dtype)
        shape = joining.stack([num_classes, num_classes])
        indices = joining.stack([labels, predictions], axis=1)
        values = constants.ones_like(predictions, dtype) if weights is None else weights
        return scattering.scatter_nd_op(indices, values, casting.cast(shape, dtypes.int64))


def remove_squeezable_dimensions(
    labels: Any, predictions: Any, expected_rank_diff: int = 0, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Both, the one of higher rank without its last axis where that has size 1."""
    with name_scope(name, "remove_squeezable_dimensions", [labels, predictions]):
        labels = convert.convert_to_tensor(labels)
        predictions = convert.convert_to_tensor(predictions)
        ranks = labels.shape.rank, predictions.shape.rank
        if ranks[0] is not None and ranks[1] is not None:
            difference = ranks[1] - ranks[0]
            if difference == expected_rank_diff + 1 and predictions.shape.sizes[-1] in (None, 1):
                predictions = shaping.squeeze(predictions, [-1])
            elif difference == expected_rank_diff - 1 and labels.shape.sizes[-1] in (None, 1):
                labels = shaping.squeeze(labels, [-1])
        return labels, predictions
