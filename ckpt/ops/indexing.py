"""Elements of tensors by position: gather, ranges, one-hot rows, where something is true."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, NUMERIC, REAL, bool_
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert, stack
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import colocate_with, name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.slices import IndexedSlices
from ckpt.graph.static import constant_value
from ckpt.ops import casting, joining, reduction, shaping

INDEX_TYPE = Attr("type", allowed=INDEX)


@op(
    "GatherV2",
    "params: Tparams, indices: Tindices, axis: Taxis -> output: Tparams",
    Tindices=INDEX_TYPE,
    Taxis=Attr("type", allowed=INDEX),
    batch_dims=0,
)
def gather_v2(params, indices, axis, *, batch_dims):
    """The slices of `params` along `axis` at `indices`; the first `batch_dims` axes are shared by both."""
    at = int(axis)
    size = np.shape(params)[at]
    if np.size(indices) and (np.min(indices) < 0 or np.max(indices) >= size):
        bad = np.argwhere((np.asarray(indices) < 0) | (np.asarray(indices) >= size))[0]
        place = f"[{','.join(str(i) for i in bad)}]" if len(bad) else ""
        value = np.asarray(indices)[tuple(bad)]
        raise InvalidArgumentError(None, None, f"indices{place} = {value} is not in [0, {size})")
    if not batch_dims:
        return np.take(params, indices, axis=at)
    lead = batch_dims if batch_dims >= 0 else batch_dims + np.ndim(indices)
    at = at if at >= 0 else at + np.ndim(params)
    shape = np.shape(indices)
    rows = [
        np.take(p, i, axis=at - lead)
        for p, i in zip(
            np.reshape(params, (-1, *np.shape(params)[lead:])),
            np.reshape(indices, (-1, *shape[lead:])),
            strict=True,
        )
    ]
    return np.stack(rows).reshape(shape[:lead] + rows[0].shape)


@gather_v2.shape
def gather_v2_shape(params, indices, axis, *, batch_dims):
    at, p, i = constant_value(axis), params.shape.sizes, indices.shape.sizes
    if p is None or i is None or at is None:
        known = p is not None and i is not None
        return [(None,) * (len(p) + len(i) - 1 - batch_dims) if known else TensorShape(None)]
    if not -len(p) <= int(at) < len(p):
        raise ShapeError(f"Shape must be at least rank {int(at) + 1} but is rank {len(p)}")
    position = int(at) % len(p)
    return [p[:position] + i[batch_dims:] + p[position + 1 :]]


@gather_v2.grad
def gather_v2_grad(node, dy):
    params, indices, axis = node.inputs
    at = constant_value(axis)
    # The gradient of a body is a graph beside it: nothing there can stand next to the body's nodes.
    beside = params.graph is stack.get_default_graph()
    with colocate_with(params) if beside else nullcontext():
        shape = shaping.shape(params)
    if at is not None and int(at) == 0 and not node.attrs["batch_dims"]:
        return [rows_gradient(dy, indices, shape), None, None]
    return [_gathered_back(dy, indices, at, shape, node.attrs["batch_dims"]), None, None]


def rows_gradient(dy: Tensor, indices: Tensor, shape: Tensor) -> IndexedSlices:
    """The gradient of a table of this shape whose rows `indices` were gathered: none for the other rows."""
    count = shaping.expand_dims(shaping.size(indices), 0)
    values = shaping.reshape(dy, joining.concat([count, shape[1:]], 0))
    return IndexedSlices(values, shaping.reshape(indices, count), shape)


def _gathered_back(
    dy: Tensor, indices: Tensor, axis: Any, shape: Tensor, batch_dims: int
) -> Tensor:
    """The gradient by `params`: the gathered axis is moved to the front, its rows summed by index, and moved back."""
    from ckpt.ops import segments  # segments gather rows

    rank = shape.shape.sizes[0] if shape.shape.sizes else None
    if rank is None or axis is None or indices.shape.rank is None:
        raise ValueError(
            "the gradient of gather needs the ranks of params and indices, and a known axis"
        )
    count = indices.shape.rank
    lead = batch_dims if batch_dims >= 0 else batch_dims + count
    at = int(axis) % rank
    inner = list(range(lead, at))
    order = [*range(lead), *range(at, at + count - lead), *inner]
    moved = shaping.transpose(dy, [*order, *range(len(order), rank - 1 + count - lead)])
    sizes = [shape[i] for i in range(rank)]
    rest = [sizes[i] for i in inner] + sizes[at + 1 :]
    ids = indices
    if lead:
        rows = reduction.reduce_prod(shape[:lead])
        offsets = range_(rows) * sizes[at]
        ids = shaping.reshape(ids, [-1, _count(indices, lead)]) + casting.cast(
            shaping.expand_dims(offsets, 1), ids.dtype
        )
        total = rows * sizes[at]
    else:
        total = sizes[at]
    flat = shaping.reshape(moved, joining.stack([-1, *rest]) if rest else [-1])
    summed = segments.unsorted_segment_sum(flat, shaping.reshape(ids, [-1]), total)
    whole = shaping.reshape(summed, joining.stack([*sizes[:lead], sizes[at], *rest]))
    back = [*range(lead), *range(lead + 1, at + 1), lead, *range(at + 1, rank)]
    return shaping.transpose(whole, back) if back != sorted(back) else whole


def _count(indices: Tensor, lead: int) -> Any:
    """How many indices each batch has."""
    sizes = indices.shape.as_list()[lead:]
    if None not in sizes:
        return math.prod(s for s in sizes if s is not None)
    return reduction.reduce_prod(shaping.shape(indices)[lead:])


def _is_zero(axis: Any) -> bool:
    known = constant_value(axis) if isinstance(axis, Tensor) else axis
    return known is not None and int(known) == 0


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    name: str | None = None,
    axis: Any = None,
    batch_dims: int = 0,
) -> Tensor:
    """The slices of `params` along `axis` (the first after `batch_dims` where None) at `indices`.

    Along the first axis of a resource variable that is ResourceGather, which reads no other rows.
    """
    if axis is None:
        axis = batch_dims
    if not batch_dims and hasattr(params, "sparse_read") and _is_zero(axis):
        rows: Tensor = params.sparse_read(indices, name=name)
        return rows
    return gather_v2(params, indices, axis, batch_dims=batch_dims, name=name)


@op(
    "Range",
    "start: Tidx, limit: Tidx, delta: Tidx -> output: Tidx",
    Tidx=Attr("type", dtypes.int32, REAL - {dtypes.uint8}),
)
def range_op(start, limit, delta):
    """start, start + delta, … up to but not including `limit`."""
    if delta == 0:
        raise InvalidArgumentError(None, None, "Requires delta != 0")
    if (delta > 0 and start > limit) or (delta < 0 and start < limit):
        raise InvalidArgumentError(
            None,
            None,
            f"Requires start {'<=' if delta > 0 else '>='} limit when delta {'>' if delta > 0 else '<'} 0: {start}/{limit}",
        )
    if np.asarray(start).dtype.kind in "iu":
        return np.arange(start, limit, delta, dtype=start.dtype)
    count = int(np.ceil(abs((float(limit) - float(start)) / float(delta))))
    return (start + np.arange(count, dtype=start.dtype) * delta).astype(start.dtype)


@range_op.shape
def range_shape(start, limit, delta):
    values = [constant_value(t) for t in (start, limit, delta)]
    if any(v is None for v in values):
        return [(None,)]
    s, e, d = values
    if d == 0:
        raise ShapeError("Requires delta != 0")
    if (d > 0 and s > e) or (d < 0 and s < e):
        raise ShapeError(
            f"Requires start {'<=' if d > 0 else '>='} limit when delta {'>' if d > 0 else '<'} 0: {s}/{e}"
        )
    if np.asarray(s).dtype.kind in "iu":
        return [(len(range(int(s), int(e), int(d))),)]
    return [(int(np.ceil(abs((float(e) - float(s)) / float(d)))),)]


range_op.no_gradient("TensorFlow says that there is none")


RANGED = [dtypes.as_dtype(name) for name in (
    "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32", "float64"
)]  # fmt: skip
"""The dtypes of ranges: of several values the last one here is the range's."""


def range_(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range"
) -> Tensor:
    """start, start + delta, … up to but not including `limit`; with one argument from 0 to it."""
    if limit is None:
        start, limit = 0, start
    with name_scope(name, "Range", [start, limit, delta]) as scope:
        given = [start, limit, delta]
        if dtype is None:
            found = [convert.inferred_dtype(v) for v in given]
            dtype = max((d for d in found if d in RANGED), key=RANGED.index, default=dtypes.int32)
        dtype = dtypes.as_dtype(dtype)
        names = ("start", "limit", "delta")
        parts = [
            casting.cast(v, dtype)
            if isinstance(v, Tensor)
            else convert.convert_to_tensor(v, dtype=dtype, name=n)
            for v, n in zip(given, names, strict=True)
        ]
        return range_op(*parts, name=scope)


@op("InvertPermutation", "x: T -> y: T", T=Attr("type", dtypes.int32, INDEX))
def invert_permutation(x):
    """y[x[i]] = i."""
    count = np.size(x)
    places = np.full(count, -1, x.dtype)
    is_inside = (x >= 0) & (x < count)
    places[x[is_inside]] = np.flatnonzero(is_inside)
    if not is_inside.all() or (places < 0).any():
        raise InvalidArgumentError(
            None, None, f"{np.asarray(x).tolist()} is no permutation of 0 … {count - 1}"
        )
    return places


invert_permutation.shape(lambda x: [x.shape.with_rank(1)])
invert_permutation.no_gradient("positions are integers")


@op("Where", "input: T -> index: int64", T=Attr("type", bool_, NUMERIC | {bool_}))
def where_op(x):
    """The indices [n, rank] of the elements that are not zero, in row-major order."""
    return np.argwhere(x).astype(np.int64)


where_op.shape(lambda x: [(None, x.shape.rank)])
where_op.no_gradient("positions are integers")


@op(
    "OneHot",
    "indices: TI, depth: int32, on_value: T, off_value: T -> output: T",
    axis=-1,
    TI=Attr("type", dtypes.int64, INDEX | {dtypes.uint8, dtypes.int8}),
)
def one_hot_op(indices, depth, on_value, off_value, *, axis):
    """`on_value` at the position that the index names along a new axis of size `depth`, else `off_value`."""
    count = int(depth)
    if count < 0:
        raise InvalidArgumentError(None, None, f"depth must be non-negative, got: {count}")
    hot = np.full((*np.shape(indices), count), off_value)
    flat, places = hot.reshape(-1, count), np.reshape(indices, -1)
    rows = np.flatnonzero((places >= 0) & (places < count))
    flat[rows, places[rows]] = on_value
    return hot if axis < 0 else np.ascontiguousarray(np.moveaxis(hot, -1, axis))


@one_hot_op.shape
def one_hot_shape(indices, depth, on_value, off_value, *, axis):
    sizes, count = indices.shape.sizes, constant_value(depth)
    if sizes is None:
        return [TensorShape(None)]
    at = len(sizes) if axis == -1 else axis
    return [(*sizes[:at], None if count is None else int(count), *sizes[at:])]


one_hot_op.grad(lambda node, dy: [None, None, None, None])


def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """Rows with `on_value` (1) at the index and `off_value` (0) elsewhere. Raises TypeError for unequal dtypes."""
    with name_scope(name, "one_hot", [indices, depth]) as scope:
        given = [convert.inferred_dtype(v) for v in (on_value, off_value) if v is not None]
        found = [known for known in given if known is not None]
        if dtype is None:
            dtype = found[0] if found else dtypes.float32
        dtype = dtypes.as_dtype(dtype)
        for value, label in ((on_value, "on_value"), (off_value, "off_value")):
            known = None if value is None else convert.inferred_dtype(value)
            if known is not None and hasattr(value, "dtype") and known != dtype:
                raise TypeError(
                    f"dtype {known.name} of {label} does not match dtype parameter {dtype.name}"
                )
        if (
            len(set(found)) > 1
            and on_value is not None
            and hasattr(on_value, "dtype")
            and hasattr(off_value, "dtype")
        ):
            raise TypeError(
                f"dtypes of on_value and off_value do not match: {found[0].name}, {found[1].name}"
            )
        on = _one_of(on_value, 1, dtype, "on_value")
        off = _one_of(off_value, 0, dtype, "off_value")
        return one_hot_op(indices, depth, on, off, axis=-1 if axis is None else axis, name=scope)


def _one_of(value: Any, default: int, dtype: Any, name: str) -> Tensor:
    """A value of `one_hot` as a tensor; only one that nobody gave is named."""
    if value is None:
        return convert.convert_to_tensor(default, dtype=dtype, name=name)
    return convert.convert_to_tensor(value, dtype=dtype)


def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: Any = None) -> Tensor:
    """The elements (or slices) of `tensor` where `mask` is true, along one axis. Raises ValueError for a bad mask."""
    with name_scope(name, "boolean_mask", [tensor, mask]):
        tensor = convert.convert_to_tensor(tensor, name="tensor")
        mask = convert.convert_to_tensor(mask, name="mask")
        rank = mask.shape.rank
        if rank is None:
            raise ValueError(
                "Number of mask dimensions must be specified, even if some dimensions are None."
            )
        if rank == 0:
            raise ValueError("mask cannot be scalar.")
        at = 0 if axis is None else int(axis)
        at = at if at >= 0 or tensor.shape.rank is None else at + tensor.shape.rank
        if tensor.shape.sizes is not None:
            TensorShape.of(tensor.shape.sizes[at : at + rank]).assert_is_compatible_with(mask.shape)
        leading = reduction.reduce_prod(shaping.shape(tensor)[at : at + rank], [0])
        before, behind = shaping.shape(tensor)[:at], shaping.shape(tensor)[at + rank :]
        flat = shaping.reshape(tensor, joining.concat([before, [leading], behind], 0))
        rows = shaping.squeeze(where_op(shaping.reshape(mask, [-1])), axis=[1])
        return gather(flat, rows, axis=at)
