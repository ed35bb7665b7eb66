"""Sums, means, products and extremes of the rows that share a segment id."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, NUMERIC, REAL
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.rows import combine_rows
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import casting, compare, constants, division, elementwise, indexing, joining, shaping

INDEX_TYPE = Attr("type", allowed=INDEX)


def lowest(dtype: Any) -> Any:
    """The least finite number of a numpy dtype."""
    return dtypes.as_dtype(dtype).min


def highest(dtype: Any) -> Any:
    """The greatest finite number of a numpy dtype."""
    return dtypes.as_dtype(dtype).max


def combined(ufunc: Any, data: Any, ids: Any, count: int, start: Any) -> np.ndarray:
    """Rows of `data` combined by `ufunc` into `count` rows by their ids; `start` where no row comes."""
    narrow = data.dtype.itemsize == 2 and data.dtype.kind in "fV"
    wide = data.astype(np.float32) if narrow else data
    found = np.full((count, *np.shape(data)[1:]), start, dtype=wide.dtype)
    combine_rows(ufunc, found, np.asarray(ids), wide)
    return found.astype(data.dtype)


def check_order(ids: Any, count: int) -> None:
    """Raises InvalidArgumentError, as TensorFlow's kernels do segment by segment, unless 0 <= ids < count ascend."""
    if ids[0] >= 0 and ids[-1] < count and (np.diff(ids) >= 0).all():
        return
    if count <= 0:
        raise InvalidArgumentError(None, None, "segment ids must be >= 0")
    starts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist()]
    for here, after in zip(starts, [*starts[1:], None], strict=True):
        if after is not None and ids[after] < ids[here]:
            raise InvalidArgumentError(None, None, "segment ids are not increasing")
        if not 0 <= ids[here] < count:
            raise InvalidArgumentError(
                None,
                None,
                f"Segment id {ids[here]} out of range [0, {count}), possibly because 'segment_ids' input "
                f"is not sorted.",
            )


def _check_sorted(data, ids):
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise InvalidArgumentError(None, None, "segment_ids should be a vector.")
    if np.ndim(data) < 1 or len(ids) != np.shape(data)[0]:
        raise InvalidArgumentError(
            None, None, "segment_ids should be the same size as dimension 0 of input."
        )
    if ids.size:
        check_order(ids, int(ids[-1]) + 1)
    return ids


def _segment(type_name: str, ufunc: Any, kinds: Any, start: Any, empty: Any, doc: str) -> OpDef:
    """Segments of sorted ids; `start(dtype)` begins the combination, `empty` stands where no row came."""

    def kernel(data, segment_ids):
        ids = _check_sorted(data, segment_ids)
        count = int(ids[-1]) + 1 if ids.size else 0
        found = combined(ufunc, data, ids, count, start(data.dtype))
        missing = np.ones(count, bool)
        missing[ids] = False
        found[missing] = empty
        return found

    kernel.__doc__ = doc
    opdef = op(
        type_name, "data: T, segment_ids: Tindices -> output: T", T=kinds, Tindices=INDEX_TYPE
    )(kernel)
    opdef.shape(_segment_shape)
    return opdef


def _segment_shape(data, segment_ids, *rest):
    segment_ids.shape.with_rank(1)
    if data.shape.sizes is None:
        return [TensorShape(None)]
    if not data.shape.sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    return [(None, *data.shape.sizes[1:])]


segment_sum = _segment(
    "SegmentSum", np.add, NUMERIC, lambda d: 0, 0, "output[i] = the sum of the rows with id i."
)
segment_prod = _segment(
    "SegmentProd",
    np.multiply,
    NUMERIC,
    lambda d: 1,
    1,
    "output[i] = the product of the rows with id i.",
)
segment_max = _segment(
    "SegmentMax", np.maximum, REAL, lowest, 0, "output[i] = the largest of the rows with id i."
)
segment_min = _segment(
    "SegmentMin", np.minimum, REAL, highest, 0, "output[i] = the smallest of the rows with id i."
)


@op(
    "SegmentMean",
    "data: T, segment_ids: Tindices -> output: T",
    T=NUMERIC,
    Tindices=INDEX_TYPE,
)
def segment_mean(data, segment_ids):
    """output[i] = the mean of the rows with id i."""
    ids = _check_sorted(data, segment_ids)
    total = combined(np.add, data, ids, int(ids[-1]) + 1 if ids.size else 0, 0)
    sizes = np.maximum(np.bincount(ids, minlength=len(total)), 1)
    sizes = sizes.reshape((-1,) + (1,) * (total.ndim - 1))
    return (total // sizes if data.dtype.kind in "iu" else total / sizes).astype(data.dtype)


segment_mean.shape(_segment_shape)


@segment_sum.grad
def segment_sum_grad(node, dy):
    return [indexing.gather(dy, node.inputs[1]), None]


@segment_mean.grad
def segment_mean_grad(node, dy):
    x, ids = node.inputs
    rest = constants.fill(shaping.expand_dims(shaping.rank(x) - 1, 0), constants.constant(1))
    ones = constants.fill(
        joining.concat([shaping.shape(ids), rest], 0),
        constants.constant(1, dtype=dy.dtype.base_dtype),
    )
    return [indexing.gather(division.real_div(dy, segment_sum(ones, ids)), ids), None]


def _extreme_grad(node, dy):
    x, ids = node.inputs
    is_chosen = compare.equal(x, indexing.gather(node.outputs[0], ids))
    count = segment_sum(casting.cast(is_chosen, dy.dtype), ids)
    gathered = indexing.gather(division.real_div(dy, count), ids)
    return [compare.select(is_chosen, gathered, constants.zeros_like(x)), None]


segment_max.grad(_extreme_grad)
segment_min.grad(_extreme_grad)


@segment_prod.grad
def segment_prod_grad(node, dy):
    x, ids = node.inputs
    return [_product_grad(node, dy, x, ids, lambda data: segment_prod(data, ids),
                          lambda data: segment_sum(data, ids)), None]  # fmt: skip


def _unsorted(type_name: str, ufunc: Any, kinds: Any, start: Any, doc: str) -> OpDef:
    """Segments of ids in any order; negative ids are dropped, `start(dtype)` stands where no row came."""

    def kernel(data, segment_ids, num_segments):
        ids = np.asarray(segment_ids)
        if np.ndim(num_segments):
            raise InvalidArgumentError(
                None,
                None,
                f"num_segments should be a scalar, not shape {list(np.shape(num_segments))}",
            )
        if np.shape(data)[: ids.ndim] != ids.shape:
            raise InvalidArgumentError(
                None,
                None,
                f"data.shape = {list(np.shape(data))} does not start with segment_ids.shape = {list(ids.shape)}",
            )
        flat_ids = ids.reshape(-1)
        bad = np.flatnonzero(flat_ids >= num_segments)
        if bad.size:
            place = "".join(f"[{i}]" for i in np.unravel_index(bad[0], ids.shape))
            raise InvalidArgumentError(
                None,
                None,
                f"segment_ids{place} = {flat_ids[bad[0]]} is out of range [0, {int(num_segments)})",
            )
        kept = flat_ids >= 0
        rest = np.shape(data)[ids.ndim :]
        flat = np.reshape(data, (flat_ids.size, *rest))
        return combined(ufunc, flat[kept], flat_ids[kept], int(num_segments), start(data.dtype))

    kernel.__doc__ = doc
    opdef = op(
        type_name,
        "data: T, segment_ids: Tindices, num_segments: Tnumsegments -> output: T",
        T=kinds,
        Tindices=INDEX_TYPE,
        Tnumsegments=Attr("type", dtypes.int32, INDEX),
    )(kernel)
    opdef.shape(_unsorted_shape)
    return opdef


def _unsorted_shape(data, segment_ids, num_segments):
    num_segments.shape.with_rank(0)
    count, rank = constant_value(num_segments), segment_ids.shape.rank
    if rank is None or data.shape.sizes is None:
        return [TensorShape(None)]
    TensorShape.of(data.shape.sizes[:rank]).assert_is_compatible_with(segment_ids.shape)
    return [(None if count is None else int(count), *data.shape.sizes[rank:])]


unsorted_segment_sum = _unsorted(
    "UnsortedSegmentSum",
    np.add,
    NUMERIC,
    lambda d: 0,
    "output[i] = the sum of the slices of `data` whose id is i; negative ids are dropped.",
)
unsorted_segment_prod = _unsorted(
    "UnsortedSegmentProd",
    np.multiply,
    NUMERIC,
    lambda d: 1,
    "output[i] = the product of the slices of `data` whose id is i; negative ids are dropped.",
)
unsorted_segment_max = _unsorted(
    "UnsortedSegmentMax",
    np.maximum,
    REAL,
    lowest,
    "output[i] = the largest of the slices of `data` whose id is i; negative ids are dropped.",
)
unsorted_segment_min = _unsorted(
    "UnsortedSegmentMin",
    np.minimum,
    REAL,
    highest,
    "output[i] = the smallest of the slices of `data` whose id is i; negative ids are dropped.",
)


def _gathered(params: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """(rows of `params` by id, zeros for negative ids; whether each element has an id)."""
    rows = indexing.gather(params, elementwise.maximum(ids, constants.zeros_like(ids)))
    has_id = compare.greater_equal(ids, constants.zeros_like(ids))
    if ids.shape.rank is not None and rows.shape.rank is not None:
        ones = [1] * (rows.shape.rank - ids.shape.rank)
    else:
        ones = constants.fill(
            shaping.expand_dims(shaping.rank(rows) - shaping.rank(has_id), 0), constants.constant(1)
        )
    shape = joining.concat([shaping.shape(has_id), ones], 0) if not _is_empty(ones) else None
    wide = has_id if shape is None else shaping.reshape(has_id, shape)
    has_id = compare.logical_and(wide, constants.ones_like(rows, dtype=dtypes.bool_))
    return compare.select(has_id, rows, constants.zeros_like(rows)), has_id


def _is_empty(ones: Any) -> bool:
    return isinstance(ones, list) and not ones


@unsorted_segment_sum.grad
def unsorted_segment_sum_grad(node, dy):
    return [_gathered(dy, node.inputs[1])[0], None, None]


def _unsorted_extreme_grad(node, dy):
    x, ids, count = node.inputs
    outputs, has_id = _gathered(node.outputs[0], ids)
    is_chosen = compare.logical_and(compare.equal(x, outputs), has_id)
    chosen = unsorted_segment_sum(casting.cast(is_chosen, dy.dtype), ids, count)
    rows, _ = _gathered(division.real_div(dy, chosen), ids)
    return [compare.select(is_chosen, rows, constants.zeros_like(rows)), None, None]


unsorted_segment_max.grad(_unsorted_extreme_grad)
unsorted_segment_min.grad(_unsorted_extreme_grad)


@unsorted_segment_prod.grad
def unsorted_segment_prod_grad(node, dy):
    x, ids, count = node.inputs
    return [_product_grad(node, dy, x, ids, lambda data: unsorted_segment_prod(data, ids, count),
                          lambda data: unsorted_segment_sum(data, ids, count)), None, None]  # fmt: skip


def _product_grad(node, dy, x, ids, prod, total):
    """d of a product by each factor: the product of the others, also where one factor is 0."""
    is_zero = compare.equal(x, constants.zeros_like(x))
    zeros = total(casting.cast(is_zero, dtypes.int32))
    dy = compare.select(
        compare.greater(zeros, constants.ones_like(zeros)), constants.zeros_like(dy), dy
    )
    others = prod(compare.select(is_zero, constants.ones_like(x), x))
    clipped = elementwise.maximum(ids, constants.zeros_like(ids))
    quotient = division.real_div(indexing.gather(node.outputs[0], clipped), x)
    partial = compare.select(is_zero, indexing.gather(others, clipped), quotient)
    return _gathered(dy, ids)[0] * partial


def unsorted_segment_mean(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """output[i] = the mean of the slices of `data` whose id is i; 0 where there are none."""
    return _scaled_sum(data, segment_ids, num_segments, name, "UnsortedSegmentMean", lambda n: n)


def unsorted_segment_sqrt_n(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """output[i] = the sum of the n slices of `data` whose id is i, divided by the root of n."""
    return _scaled_sum(
        data, segment_ids, num_segments, name, "UnsortedSegmentSqrtN", elementwise.sqrt
    )


def _scaled_sum(data, segment_ids, num_segments, name, default_name, scale):
    from ckpt.graph import convert  # fronts only
    from ckpt.graph.scopes import name_scope

    with name_scope(name, default_name):
        data = convert.convert_to_tensor(data)
        segment_ids = convert.convert_to_tensor(segment_ids)
        ones = constants.ones_like(segment_ids, dtype=data.dtype)
        count = unsorted_segment_sum(ones, segment_ids, num_segments)
        count = elementwise.maximum(count, constants.ones_like(count))
        rest = shaping.rank(data) - shaping.rank(segment_ids)
        shape = joining.concat(
            [
                shaping.shape(count),
                constants.fill(shaping.reshape(rest, [1]), constants.constant(1)),
            ],
            0,
        )
        summed = unsorted_segment_sum(data, segment_ids, num_segments)
        return summed / scale(shaping.reshape(count, shape))
