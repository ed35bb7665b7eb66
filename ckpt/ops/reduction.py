"""Sums, means, extremes and other reductions over axes, and the sums that undo broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, NUMERIC, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import Dims, TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import compare, constants, elementwise, indexing, joining, shaping

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
    """`dy` of a reduction, repeated over the axes that it reduced."""
    x = node.inputs[0]
    return shaping.broadcast_to(_reshaped_like_reduced(node, dy), shaping.shape(x))


def reduced_shape(shape: Tensor, axes: Tensor) -> Tensor:
    """A shape with 1 in place of the reduced axes, built from TensorFlow's own operations."""
    rank = shaping.size(shape)
    axes = shaping.reshape((axes + rank) % rank, [-1])
    return joining.dynamic_stitch(
        [indexing.range_(rank), axes],
        [shape, constants.fill(shaping.shape(axes), constants.constant(1))],
    )


@mean_op.grad
def mean_grad(node, dy):
    spread = _spread(node, dy)
    x, y = node.inputs[0], node.outputs[0]
    before, after = x.shape.num_elements(), y.shape.num_elements()
    if before is not None and after is not None:
        factor = constants.constant(before // max(after, 1), dtype=dtypes.int32)
    elif y.shape.rank == 0:
        factor = shaping.size(x)
    else:
        axes = elementwise.floor_mod(node.inputs[1], shaping.rank(x))
        factor = prod_op(indexing.gather(shaping.shape(x), shaping.reshape(axes, [-1])), [0])
    return [elementwise.truediv(spread, elementwise.cast(factor, spread.dtype)), None]


@prod_op.grad
def prod_grad(node, dy):
    """For each element the product of all others of its group, from running products: right with zeros too."""
    from ckpt.ops import cumulative, distinct  # only this rule scans

    x, axis = node.inputs
    shape = shaping.shape(x)
    spread = _spread(node, dy)
    axes, rank = constant_value(axis), x.shape.rank
    if axes is not None and rank is not None:
        reduced: Any = (
            sorted({int(a) % max(rank, 1) for a in np.asarray(axes).reshape(-1)}) if rank else []
        )
        perm: Any = reduced + [i for i in range(rank) if i not in reduced]
        inverse: Any = np.argsort(perm).astype(np.int32)
        perm = np.array(perm, np.int32)
        other: Any = np.array(perm[len(reduced) :], np.int32)
        reduced = np.array(reduced, np.int32)
    else:
        count = shaping.rank(x)
        reduced = elementwise.cast(shaping.reshape((axis + count) % count, [-1]), dtypes.int32)
        other, _ = distinct.list_diff_op(indexing.range_(0, count), reduced)
        perm = joining.concat([reduced, other], 0)
        inverse = indexing.invert_permutation(perm)
    permuted = shaping.transpose(x, perm)
    sizes = [prod_op(indexing.gather(shape, group), [0]) for group in (reduced, other)]
    flat = shaping.reshape(permuted, joining.stack(sizes))
    left = cumulative.cumprod(flat, axis=0, exclusive=True)
    right = cumulative.cumprod(flat, axis=0, exclusive=True, reverse=True)
    others = shaping.reshape(
        elementwise.conj_of(left) * elementwise.conj_of(right), shaping.shape(permuted)
    )
    found = spread * shaping.transpose(others, inverse)
    return [shaping.reshape(found, shape), None]


def _reshaped_like_reduced(node, value: Tensor) -> Tensor:
    """`value` (of the reduced shape) with the reduced axes kept as 1."""
    x, axis = node.inputs
    axes = constant_value(axis)
    if node.attrs["keep_dims"]:
        return value
    if x.shape.rank is None or axes is None:
        return shaping.reshape(value, reduced_shape(shaping.shape(x), axis))
    reduced = {int(a) % max(x.shape.rank, 1) for a in np.asarray(axes).reshape(-1)}
    kept = [1 if i in reduced else s for i, s in enumerate(x.shape.sizes)]
    if kept.count(None) <= 1 and 0 not in kept:
        return shaping.reshape(value, [-1 if s is None else s for s in kept])
    return shaping.reshape(value, reduced_shape(shaping.shape(x), axis))


def _extreme_grad(node, dy):
    x, axis = node.inputs
    y, dy = (_reshaped_like_reduced(node, v) for v in (node.outputs[0], dy))
    chosen = elementwise.cast(compare.equal(y, x), dy.dtype)
    count = sum_op(chosen, axis, keep_dims=True)
    return [elementwise.real_div(chosen, count) * dy, None]


@euclidean_norm_op.grad
def euclidean_norm_grad(node, dy):
    y, dy = (_reshaped_like_reduced(node, v) for v in (node.outputs[0], dy))
    return [elementwise.real_div(node.inputs[0], elementwise.real_div(y, dy)), None]


max_op.grad(_extreme_grad)
min_op.grad(_extreme_grad)


def unbroadcast(x: Tensor, y: Tensor, dx: Tensor | None, dy: Tensor | None) -> list[Tensor | None]:
    """The gradients of a broadcasting operation, summed back to the shapes of its inputs.

    Where the static shapes say over which axes to sum, even if not how long these are, nothing is left to be
    found at run time.
    """
    axes = (
        _broadcast_axes(x.shape.sizes, y.shape.sizes),
        _broadcast_axes(y.shape.sizes, x.shape.sizes),
    )
    if axes[0] is not None and axes[1] is not None:
        return [_summed(x, dx, axes[0]), _summed(y, dy, axes[1])]
    shape_x, shape_y = shaping.shape(x), shaping.shape(y)
    axes_x, axes_y = elementwise.broadcast_gradient_args(shape_x, shape_y)
    return [
        None if grad is None else shaping.reshape(sum_op(grad, found), shape)
        for grad, found, shape in ((dx, axes_x, shape_x), (dy, axes_y, shape_y))
    ]


def _broadcast_axes(sizes: Dims, others: Dims) -> list[int] | None:
    """The axes of the result over which a gradient must be summed to have `sizes` again; None where unknown.

    An axis of size 1 beside one of unknown size is summed: that is right whatever the size turns out to be.
    """
    if sizes is None or others is None:
        return None
    rank = max(len(sizes), len(others))
    own = (1,) * (rank - len(sizes)) + sizes
    other = (1,) * (rank - len(others)) + others
    found = []
    for axis, (size, beside) in enumerate(zip(own, other, strict=True)):
        if size is None and beside != 1:
            return None
        if axis < rank - len(sizes) or (size == 1 and beside != 1):
            found.append(axis)
    return found


def _summed(x: Tensor, grad: Tensor | None, axes: list[int]) -> Tensor | None:
    if grad is None or not axes:
        return grad
    summed = sum_op(grad, axes)
    sizes = x.shape.sizes or ()
    if len(sizes) == (grad.shape.rank or 0) - len(axes):
        return summed
    if sizes.count(None) <= 1 and 0 not in sizes:
        return shaping.reshape(summed, [-1 if size is None else size for size in sizes])
    return shaping.reshape(summed, shaping.shape(x))


def _axis_tensor(x: Tensor, axis: Any, reduction_indices: Any = None) -> Any:
    """The axes as TensorFlow's Python front makes them: all of them where none are named."""
    if reduction_indices is not None:
        if axis is not None:
            raise ValueError("Cannot specify both 'axis' and 'reduction_indices'.")
        axis = reduction_indices
    if axis is not None:
        return axis
    if x.shape.rank is not None:
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
        reduced = opdef(x, _axis_tensor(x, axis, reduction_indices), keep_dims=keep, name=name)
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
