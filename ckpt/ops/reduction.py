"""Sums, means, extremes and other reductions over axes, and the sums that undo broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, NUMERIC, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    compare,
    constants,
    division,
    elementwise,
    indexing,
    joining,
    shaping,
)

TIDX = Attr("type", dtypes.int32, INDEX)


def _axes(x, axis):
    """The axes to reduce, non-negative. Raises InvalidArgumentError for one that `x` does not have."""
    rank = np.ndim(x)
    found = []
    for a in np.asarray(axis).reshape(-1).tolist():
        if not -rank <= a < rank:
            raise InvalidArgumentError(
                None, None, f"Invalid reduction dimension ({a} for input with {rank} dimension(s))"
            )
        found.append(a % rank)
    return tuple(found)


def reduction_shape(x, axis, *, keep_dims):
    """The shape rule of all reductions."""
    value = constant_value(axis)
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    rank = len(sizes)
    if value is None:
        return [(None,) * rank] if keep_dims else [TensorShape(None)]
    reduced = set()
    for a in np.asarray(value).reshape(-1).tolist():
        if not -rank <= a < rank:
            raise ValueError(f"Invalid reduction dimension {a} for input with {rank} dimensions")
        reduced.add(a % rank)
    if keep_dims:
        return [tuple(1 if i in reduced else s for i, s in enumerate(sizes))]
    return [tuple(s for i, s in enumerate(sizes) if i not in reduced)]


def _reduction(type_name, kernel, kinds):
    opdef = op(
        type_name,
        "input: T, reduction_indices: Tidx -> output: T",
        T=kinds,
        Tidx=TIDX,
        keep_dims=False,
    )(kernel)
    opdef.shape(reduction_shape)
    return opdef


def _sum(x, axis, *, keep_dims):
    """The sum over `reduction_indices`."""
    axes = _axes(x, axis)
    if not axes:
        return x
    kept = np.ndim(x) - len(axes)
    if axes and kept and x.size and x.dtype.char in "fd" and sorted(axes) == list(range(len(axes))):
        total = sum_of_rows(x.reshape(-1, int(np.prod(x.shape[len(axes) :]))))
        return total.reshape((1,) * len(axes) * keep_dims + x.shape[len(axes) :])
    return np.sum(x, axis=axes, keepdims=keep_dims, dtype=x.dtype)


def sum_of_rows(matrix):
    """The sum of the rows of a float32 or float64 matrix, as a product: faster than numpy's sum along that axis."""
    return np.ones(matrix.shape[0], matrix.dtype) @ matrix


def _mean(x, axis, *, keep_dims):
    """The mean over `reduction_indices`; integers round towards zero."""
    axes = _axes(x, axis)
    if x.dtype.kind not in "iu":
        if not x.size:  # numpy warns of the mean of nothing; it is no number
            return (np.sum(x, axis=axes, keepdims=keep_dims) * np.nan).astype(x.dtype)
        return np.mean(x, axis=axes, keepdims=keep_dims).astype(x.dtype)
    total = np.sum(x, axis=axes, keepdims=keep_dims, dtype=x.dtype)
    count = int(np.prod([x.shape[a] for a in axes])) or 1
    return np.trunc(total / count).astype(x.dtype)


def _prod(x, axis, *, keep_dims):
    """The product over `reduction_indices`."""
    return np.prod(x, axis=_axes(x, axis), keepdims=keep_dims, dtype=x.dtype)


def _max(x, axis, *, keep_dims):
    """The largest over `reduction_indices`; the least value of the dtype where there is nothing."""
    return np.max(x, axis=_axes(x, axis), keepdims=keep_dims, initial=_least(x.dtype))


def _min(x, axis, *, keep_dims):
    """The smallest over `reduction_indices`; the greatest value of the dtype where there is nothing."""
    return np.min(x, axis=_axes(x, axis), keepdims=keep_dims, initial=_greatest(x.dtype))


def _least(dtype):
    return dtype.type(-np.inf) if dtype.kind not in "iu" else np.iinfo(dtype).min


def _greatest(dtype):
    return dtype.type(np.inf) if dtype.kind not in "iu" else np.iinfo(dtype).max


sum_op = _reduction("Sum", _sum, NUMERIC)
mean_op = _reduction("Mean", _mean, NUMERIC)
prod_op = _reduction("Prod", _prod, NUMERIC)
max_op = _reduction("Max", _max, REAL)
min_op = _reduction("Min", _min, REAL)


def _euclidean(x, axis, *, keep_dims):
    """The root of the sum of squares over `reduction_indices`."""
    size = np.abs(x) if np.iscomplexobj(x) else x
    total = np.sum(np.square(size), axis=_axes(x, axis), keepdims=keep_dims)
    return np.sqrt(total).astype(x.dtype)


euclidean_norm_op = _reduction("EuclideanNorm", _euclidean, NUMERIC)


def _logical(type_name, function):
    opdef = op(
        type_name,
        "input: bool, reduction_indices: Tidx -> output: bool",
        Tidx=TIDX,
        keep_dims=False,
    )(function)
    opdef.shape(reduction_shape)
    return opdef.no_gradient("a truth value has no derivative")


def _all(x, axis, *, keep_dims):
    """True where all elements over `reduction_indices` are."""
    return np.all(x, axis=_axes(x, axis), keepdims=keep_dims)


def _any(x, axis, *, keep_dims):
    """True where some element over `reduction_indices` is."""
    return np.any(x, axis=_axes(x, axis), keepdims=keep_dims)


all_op = _logical("All", _all)
any_op = _logical("Any", _any)


@sum_op.grad
def sum_grad(node, dy):
    return [_spread(node, dy), None]


def _spread(node, dy: Tensor) -> Tensor:
    """`dy` of a sum or mean, repeated over the axes that it reduced."""
    x = node.inputs[0]
    axes = constant_value(node.inputs[1])
    if axes is None or x.shape.rank is None:
        return _broadcast_back(node, dy)
    if np.array_equal(axes, np.arange(x.shape.rank)):
        dy = shaping.reshape(dy, [1] * x.shape.rank)
        if not x.shape.is_fully_defined():
            return shaping.tile(dy, shaping.shape(x))
        return shaping.tile(dy, constants.constant(x.shape.sizes, dtype=dtypes.int32))
    if not x.shape.is_fully_defined():
        return _broadcast_back(node, dy)
    sizes = np.array(x.shape.sizes, np.int32)
    kept = np.array(_with_ones(x.shape.sizes, axes), np.int32)
    known = (x.shape.sizes, tuple(np.ravel(axes).tolist()))
    if known not in x.graph.known_reductions:
        x.graph.known_reductions.add(known)
        division.floordiv(sizes, elementwise.maximum(kept, 1))  # TensorFlow's nodes for it
    dy = shaping.reshape(dy, kept)
    return shaping.tile(dy, sizes // np.maximum(kept, 1))


def _broadcast_back(node, dy: Tensor) -> Tensor:
    shape = shaping.shape(node.inputs[0])
    return shaping.broadcast_to(_reshaped_like_reduced(node, dy, shape), shape)


def _with_ones(sizes: Any, axes: Any) -> list[Any]:
    """The sizes with 1 for those of `axes`."""
    reduced = {int(a) % max(len(sizes), 1) for a in np.asarray(axes).reshape(-1)}
    return [1 if i in reduced else size for i, size in enumerate(sizes)]


def reduced_shape(shape: Tensor, axes: Tensor) -> Tensor:
    """A shape with 1 in place of the reduced axes, built from TensorFlow's own operations."""
    rank = shaping.size(shape)
    axes = (axes + rank) % rank
    count = shaping.shape(axes)
    return joining.dynamic_stitch(
        [indexing.range_(rank), axes], [shape, constants.ones(count, dtype=axes.dtype)]
    )


@mean_op.grad
def mean_grad(node, dy):
    spread = _spread(node, dy)
    x, y = node.inputs[0], node.outputs[0]
    before, after = x.shape.num_elements(), y.shape.num_elements()
    if before is not None and after is not None:
        factor = constants.constant(before // max(after, 1), dtype=spread.dtype)
    elif y.shape.rank == 0:
        factor = shaping.size(x)
    else:
        shape = shaping.shape(x)
        rank = shaping.size(shape)
        factor = reduce_prod(indexing.gather(shape, (node.inputs[1] + rank) % rank))
    return [division.truediv(spread, casting.cast(factor, spread.dtype)), None]


@prod_op.grad
def prod_grad(node, dy):
    """For each element the product of all others of its group, from running products: right with zeros too."""
    from ckpt.ops import cumulative, distinct  # only this rule scans

    x = node.inputs[0]
    shape = shaping.shape(x)
    axes = shaping.reshape(node.inputs[1], [-1])
    spread = shaping.broadcast_to(_reshaped_like_reduced(node, dy, shape), shape)
    rank = shaping.rank(x)
    reduced = casting.cast((axes + rank) % rank, dtypes.int32)
    other, _ = distinct.list_diff_op(indexing.range_(0, rank), reduced)
    perm = joining.concat([reduced, other], 0)
    sizes = [reduce_prod(indexing.gather(shape, group)) for group in (reduced, other)]
    permuted = shaping.transpose(x, perm)
    permuted_shape = shaping.shape(permuted)
    flat = shaping.reshape(permuted, sizes)
    left = cumulative.cumprod(flat, axis=0, exclusive=True)
    right = cumulative.cumprod(flat, axis=0, exclusive=True, reverse=True)
    others = shaping.reshape(elementwise.conj_of(left) * elementwise.conj_of(right), permuted_shape)
    found = spread * shaping.transpose(others, indexing.invert_permutation(perm))
    return [shaping.reshape(found, shape), None]


def _reshaped_like_reduced(node, value: Tensor, shape: Tensor) -> Tensor:
    """`value` (of the reduced shape) with the reduced axes kept as 1; `shape` is that of the input."""
    if node.attrs["keep_dims"]:
        return value
    return shaping.reshape(value, _shape_like_reduced(node, shape))


def _shape_like_reduced(node, shape: Tensor) -> Any:
    """The shape of a reduction's output, with the reduced axes kept as 1."""
    x, axis = node.inputs
    if node.attrs["keep_dims"]:
        return shaping.shape(node.outputs[0])
    axes = constant_value(axis)
    if x.shape.rank is not None and axes is not None:
        kept = _with_ones(x.shape.sizes, axes)
        if kept.count(None) <= 1 and 0 not in kept:
            return [-1 if size is None else size for size in kept]
    return reduced_shape(shape, axis)


def _extreme_grad(node, dy):
    x, axis = node.inputs
    kept = _shape_like_reduced(node, shaping.shape(x))
    y = node.outputs[0]
    if not node.attrs["keep_dims"]:
        y, dy = shaping.reshape(y, kept), shaping.reshape(dy, kept)
    chosen = casting.cast(compare.equal(y, x), dy.dtype)
    count = shaping.reshape(sum_op(chosen, axis), kept)
    return [chosen / count * dy, None]


@euclidean_norm_op.grad
def euclidean_norm_grad(node, dy):
    x, y = node.inputs[0], node.outputs[0]
    if not node.attrs["keep_dims"]:
        kept = _shape_like_reduced(node, shaping.shape(x))
        y, dy = shaping.reshape(y, kept), shaping.reshape(dy, kept)
    return [x / (y / dy), None]


max_op.grad(_extreme_grad)
min_op.grad(_extreme_grad)


def axis_tensor(x: Tensor, axis: Any, reduction_indices: Any = None) -> Any:
    """The axes as TensorFlow's Python front makes them: all of them where none are named."""
    if reduction_indices is not None:
        if axis is not None:
            raise ValueError("Cannot specify both 'axis' and 'reduction_indices'.")
        axis = reduction_indices
    if axis is not None:
        return axis
    if x.shape.rank:
        return constants.constant(np.arange(x.shape.rank, dtype=np.int32), name="Const")
    return indexing.range_(0, shaping.rank(x))


def _front(opdef, doc, to_tensor=None):
    def reduce(
        input_tensor: Any,
        axis: Any = None,
        keepdims: Any = None,
        name: str | None = None,
        reduction_indices: Any = None,
        keep_dims: Any = None,
    ) -> Tensor:
        x = convert.convert_to_tensor(
            input_tensor, dtype=None if isinstance(input_tensor, Tensor) else to_tensor
        )
        keep = bool(keepdims if keepdims is not None else keep_dims)
        reduced = opdef(x, axis_tensor(x, axis, reduction_indices), keep_dims=keep, name=name)
        if axis is None and reduction_indices is None and not keep:
            reduced.set_shape(())
        return reduced

    reduce.__doc__ = doc
    return reduce


reduce_sum = _front(
    sum_op, "The sum over `axis` (all axes where None); `keepdims` leaves them with size 1."
)
reduce_euclidean_norm = _front(
    euclidean_norm_op, "The root of the sum of squares over `axis` (all axes where None)."
)
reduce_mean = _front(
    mean_op, "The mean over `axis` (all axes where None); integers round towards zero."
)
reduce_prod = _front(prod_op, "The product over `axis` (all axes where None).")
reduce_max = _front(max_op, "The largest element over `axis` (all axes where None).")
reduce_min = _front(min_op, "The smallest element over `axis` (all axes where None).")
reduce_all = _front(all_op, "True where all elements over `axis` are true.", dtypes.bool_)
reduce_any = _front(any_op, "True where some element over `axis` is true.", dtypes.bool_)


def _arg_shape(x, dimension):
    value = constant_value(dimension)
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    if len(sizes) <= 1:
        return [()]
    if value is None:
        return [(None,) * (len(sizes) - 1)]
    a = int(value)
    if not -len(sizes) <= a < len(sizes):
        raise ValueError(f"Dimension ({a}) must be in the range [{-len(sizes)}, {len(sizes)})")
    return [tuple(s for i, s in enumerate(sizes) if i != a % len(sizes))]


def _arg(type_name, function, doc):
    def kernel(x, dimension, *, output_type):
        return np.asarray(function(x, axis=int(dimension)) if np.ndim(x) else 0).astype(
            output_type.as_numpy_dtype
        )

    kernel.__doc__ = doc
    opdef = op(
        type_name,
        "input: T, dimension: Tidx -> output: output_type",
        T=REAL | {dtypes.bool_},
        Tidx=TIDX,
        output_type=Attr("type", dtypes.int64, INDEX),
    )(kernel)
    opdef.shape(_arg_shape)
    return opdef.no_gradient("an index has no derivative")


arg_max_op = _arg("ArgMax", np.argmax, "The index of the largest element along `dimension`.")
arg_min_op = _arg("ArgMin", np.argmin, "The index of the smallest element along `dimension`.")


def argmax(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Tensor:  # TensorFlow's names
    """The index of the largest element along `axis` (0 where None); the first one of equals."""
    return arg_max_op(input, _first_of(axis, dimension), output_type=output_type, name=name)


def argmin(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Tensor:  # TensorFlow's names
    """The index of the smallest element along `axis` (0 where None); the first one of equals."""
    return arg_min_op(input, _first_of(axis, dimension), output_type=output_type, name=name)


def _first_of(axis: Any, dimension: Any) -> Any:
    if axis is not None and dimension is not None:
        raise ValueError("Cannot specify both 'axis' and 'dimension'")
    found = axis if axis is not None else dimension
    return 0 if found is None else found
