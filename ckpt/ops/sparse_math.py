"""Arithmetic with sparse tensors: products, sums, reductions, softmax, larger and smaller of two."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor, operator
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import ANY, Attr
from ckpt.graph.sparse import SparseTensor, SparseTensorValue
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.ops import (
    casting,
    constants,
    division,
    elementwise,
    indexing,
    linear_algebra,
    reduction,
    scattering,
    shaping,
)
from ckpt.ops.sparse_parts import EVERY_NUMBER, in_order, rank_of
from ckpt.ops.sparse_tensors import as_sparse, parts

INDICES = Attr("type", dtypes.int64, INDEX)
A = "a_indices: int64, a_values: T, a_shape: int64"
B = "b_indices: int64, b_values: T, b_shape: int64"


@op(
    "SparseTensorDenseMatMul",
    "a_indices: Tindices, a_values: T, a_shape: int64, b: T -> product: T",
    T=ANY,
    Tindices=INDICES,
    adjoint_a=False,
    adjoint_b=False,
)
def sparse_tensor_dense_matmul_op(indices, values, shape, b, *, adjoint_a, adjoint_b):
    """The matrix product of a sparse and a dense matrix."""
    rows, columns = indices[:, 0], indices[:, 1]
    height, width = (int(s) for s in shape)
    if adjoint_a:
        rows, columns, height, width, values = columns, rows, width, height, np.conj(values)
    b = np.conj(b).T if adjoint_b else b
    if b.shape[0] != width:
        raise InvalidArgumentError(
            None, None, f"Cannot multiply A and B because inner dimension does not match: {width} vs. {b.shape[0]}"
        )  # fmt: skip
    for where, size, name in ((rows, height, "row"), (columns, width, "column")):
        bad = np.flatnonzero((where < 0) | (where >= size))
        if bad.size:
            raise InvalidArgumentError(
                None,
                None,
                f"{name} {int(where[bad[0]])} of entry {int(bad[0])} is out of bounds (>={size})",
            )
    found = np.zeros((height, b.shape[1]), values.dtype)
    if len(rows):
        order = np.argsort(rows, kind="stable")
        there, starts = np.unique(rows[order], return_index=True)
        products = values[order, None] * b[columns[order]]
        found[there] = np.add.reduceat(products, starts, axis=0)
    return found


@sparse_tensor_dense_matmul_op.shape
def sparse_tensor_dense_matmul_shape(indices, values, shape, b, *, adjoint_a, adjoint_b):
    a, b = constant_value_as_shape(shape).with_rank(2).as_list(), b.shape.with_rank(2)
    columns = None if b.sizes is None else b.sizes[0 if adjoint_b else 1]
    return [(a[1 if adjoint_a else 0], columns)]


@sparse_tensor_dense_matmul_op.grad
def sparse_tensor_dense_matmul_grad(node, dy):
    indices, values, shape, b = node.inputs
    flip_a, flip_b = node.attrs["adjoint_a"], node.attrs["adjoint_b"]
    d_b = sparse_tensor_dense_matmul_op(indices, values, shape, dy, adjoint_a=not flip_a)
    d_b = linear_algebra.adjoint(d_b) if flip_b else d_b
    rows, columns = indices[:, 0], indices[:, 1]
    b = linear_algebra.adjoint(b) if flip_b else b
    of_dy = indexing.gather(dy, columns if flip_a else rows)
    of_b = indexing.gather(b, rows if flip_a else columns)
    of_b = elementwise.conj(of_b) if not flip_a else of_b
    of_dy = elementwise.conj(of_dy) if flip_a else of_dy
    return [None, reduction.reduce_sum(of_dy * of_b, 1), None, d_b]


def sparse_tensor_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Tensor:
    """The matrix product of a sparse matrix and a dense one (or of a dense one and a sparse one)."""
    if isinstance(b, (SparseTensor, SparseTensorValue)):
        turned = sparse_tensor_dense_matmul(
            b, sp_a, adjoint_a=not adjoint_b, adjoint_b=not adjoint_a, name=name
        )
        return linear_algebra.adjoint(turned)
    sp_a = as_sparse(sp_a)
    with name_scope(name, "SparseTensorDenseMatMul", [sp_a.indices]):
        b = convert.convert_to_tensor(b, name="b")
        return sparse_tensor_dense_matmul_op(
            *parts(sp_a), b, adjoint_a=adjoint_a, adjoint_b=adjoint_b
        )


def _joined(a_indices, b_indices):
    """(distinct indices in row-major order, for each entry of both the place of its index)."""
    both = np.concatenate([a_indices, b_indices])
    if not len(both):
        return both, np.zeros(0, np.int64)
    order = in_order(both)
    is_new = np.ones(len(both), bool)
    is_new[1:] = np.any(both[order][1:] != both[order][:-1], axis=1)
    places = np.empty(len(both), np.int64)
    places[order] = np.cumsum(is_new) - 1
    return both[order][is_new], places


def _check_same_shape(a_shape, b_shape):
    if not np.array_equal(a_shape, b_shape):
        raise InvalidArgumentError(
            None,
            None,
            f"Operands' shapes do not match: got {a_shape.tolist()} and {b_shape.tolist()}",
        )


@op(
    "SparseAdd",
    f"{A}, {B}, thresh: Treal -> sum_indices: int64, sum_values: T, sum_shape: int64",
    T=EVERY_NUMBER,
    Treal=REAL,
)
def sparse_add_op(a_indices, a_values, a_shape, b_indices, b_values, b_shape, thresh):
    """The sum of two sparse tensors; where both have an entry, a sum smaller than `thresh` is left out."""
    _check_same_shape(a_shape, b_shape)
    indices, places = _joined(a_indices, b_indices)
    total = np.zeros(len(indices), a_values.dtype)
    np.add.at(total, places, np.concatenate([a_values, b_values]))
    is_sum = np.bincount(places, minlength=len(indices)) > 1
    kept = ~is_sum | (np.abs(total) >= thresh)
    return indices[kept], total[kept], a_shape


@sparse_add_op.shape
def sparse_add_shape(a_indices, a_values, a_shape, *_):
    rank = rank_of(a_shape)
    return [(None, rank), (None,), (rank,)]


@sparse_add_op.grad
def sparse_add_grad(node, _, dy, __):
    d_a, d_b = sparse_add_grad_op(dy, node.inputs[0], node.inputs[3], node.outputs[0])
    return [None, d_a, None, None, d_b, None, None]


@op(
    "SparseAddGrad",
    "backprop_val_grad: T, a_indices: int64, b_indices: int64, sum_indices: int64 "
    "-> a_val_grad: T, b_val_grad: T",
    T=EVERY_NUMBER,
)
def sparse_add_grad_op(dy, a_indices, b_indices, sum_indices):
    """For each entry of both the gradient of the sum that it went into, zero where that was left out."""
    held = {tuple(row): value for row, value in zip(sum_indices.tolist(), dy, strict=True)}
    return [
        np.array([held.get(tuple(row), 0) for row in indices.tolist()], dy.dtype)
        for indices in (a_indices, b_indices)
    ]


@sparse_add_grad_op.shape
def sparse_add_grad_shape(dy, a_indices, b_indices, sum_indices):
    return [(t.shape.with_rank(2).as_list()[0],) for t in (a_indices, b_indices)]


sparse_add_grad_op.no_gradient("TensorFlow says that there is none")


@op(
    "SparseTensorDenseAdd",
    "a_indices: Tindices, a_values: T, a_shape: Tindices, b: T -> output: T",
    T=EVERY_NUMBER,
    Tindices=Attr("type", allowed=INDEX),
)
def sparse_tensor_dense_add_op(indices, values, shape, b):
    """The sum of a sparse and a dense tensor of the same shape."""
    _check_same_shape(np.asarray(shape), np.array(b.shape))
    found = np.array(b)
    np.add.at(found, tuple(indices.T), values)
    return found


sparse_tensor_dense_add_op.shape(lambda indices, values, shape, b: [b.shape])


@sparse_tensor_dense_add_op.grad
def sparse_tensor_dense_add_grad(node, dy):
    return [None, scattering.gather_nd(dy, node.inputs[0]), None, dy]


def sparse_add(a: Any, b: Any, threshold: Any = None, thresh: Any = None) -> Any:
    """a + b, of which at least one is sparse: a SparseTensor when both are, else a Tensor.

    Where both are sparse and both have an entry, a sum smaller than `threshold` is left out.
    """
    limit = thresh if threshold is None else threshold
    kinds = (SparseTensor, SparseTensorValue)
    if not isinstance(a, kinds) and not isinstance(b, kinds):
        raise TypeError("At least one input should be SparseTensor; do you mean to use tf.add()?")
    if isinstance(a, kinds) and isinstance(b, kinds):
        a, b = as_sparse(a), as_sparse(b)
        limit = convert.convert_to_tensor(
            0 if limit is None else limit, a.values.dtype.real_dtype.base_dtype, "threshold"
        )
        found = SparseTensor(*sparse_add_op(*parts(a), *parts(b), limit))
        if a.shape.rank is not None:
            found.set_shape(a.shape.merge_with(b.shape))
        return found
    sparse, dense = (as_sparse(a), b) if isinstance(a, kinds) else (as_sparse(b), a)
    return sparse_tensor_dense_add_op(*parts(sparse), dense)


def _dense_at(indices, shape, dense):
    """The elements of `dense`, broadcast to `shape`, where the entries are."""
    sizes = [int(s) for s in shape]
    if dense.ndim > len(sizes) or any(
        d not in (1, s) for d, s in zip(dense.shape[::-1], sizes[::-1], strict=False)
    ):
        raise InvalidArgumentError(
            None, None, f"SparseDenseBinaryOpShared broadcasts dense to sparse only; got incompatible shapes: "
            f"{sizes} vs. {list(dense.shape)}",
        )  # fmt: skip
    return np.broadcast_to(dense, sizes)[tuple(indices.T)]


def _cwise(type_name, function, doc):
    def kernel(indices, values, shape, dense):
        return np.asarray(function(values, _dense_at(indices, shape, dense))).astype(values.dtype)

    kernel.__doc__ = doc
    opdef = op(
        type_name,
        "sp_indices: int64, sp_values: T, sp_shape: int64, dense: T -> output: T",
        T=EVERY_NUMBER,
    )(kernel)
    opdef.shape(lambda indices, values, shape, dense: [(values.shape.with_rank(1).as_list()[0],)])
    return opdef


sparse_dense_cwise_mul = _cwise(
    "SparseDenseCwiseMul", np.multiply, "The entries times the dense tensor, broadcast to them."
)
sparse_dense_cwise_div = _cwise(
    "SparseDenseCwiseDiv",
    lambda x, y: x // y if x.dtype.kind in "iu" else x / y,
    "The entries divided by the dense tensor, broadcast to them.",
)
sparse_dense_cwise_add = _cwise(
    "SparseDenseCwiseAdd", np.add, "The entries plus the dense tensor, broadcast to them."
)


def _dense_of(node):
    """What the dense input has where the entries are, as a tensor."""
    indices, _, shape, dense = node.inputs
    ones = constants.ones_like(node.inputs[1])
    return sparse_dense_cwise_mul(indices, ones, shape, dense)


@sparse_dense_cwise_mul.grad
def sparse_dense_cwise_mul_grad(node, dy):
    return [None, dy * _dense_of(node), None, None]


@sparse_dense_cwise_div.grad
def sparse_dense_cwise_div_grad(node, dy):
    return [None, dy / _dense_of(node), None, None]


sparse_dense_cwise_add.no_gradient("TensorFlow says that there is none")


def _with_dense(opdef, name):
    def apply(sparse, dense):
        with name_scope(None, name, [sparse.indices, dense]) as scope:
            dense = convert.convert_to_tensor(dense, dtype=sparse.dtype.base_dtype, name="y")
            return sparse.with_values(opdef(*parts(sparse), dense, name=scope))

    return apply


operator("sparse __mul__")(_with_dense(sparse_dense_cwise_mul, "mul"))
operator("sparse __div__")(_with_dense(sparse_dense_cwise_div, "div"))
operator("sparse __truediv__")(_with_dense(sparse_dense_cwise_div, "truediv"))


def _reduced(indices, values, shape, axes, keep_dims, ufunc, empty):
    """(indices of what is left, combined values, shape of what is left), in row-major order."""
    rank = len(shape)
    bad = [int(a) for a in axes if not -rank <= a < rank]
    if bad:
        raise InvalidArgumentError(
            None, None, f"Invalid reduction dimension {bad[0]} of rank {rank}"
        )
    gone = {int(a) % rank for a in axes} if np.size(axes) else set(range(rank))
    kept = [axis for axis in range(rank) if axis not in gone]
    left = indices[:, kept]
    distinct, places = _joined(left, left[:0])
    found = np.full(len(distinct), empty, values.dtype)
    ufunc.at(found, places, values)
    if keep_dims:
        whole = np.zeros((len(distinct), rank), np.int64)
        whole[:, kept] = distinct
        sizes = [1 if axis in gone else int(shape[axis]) for axis in range(rank)]
        return whole, found, np.array(sizes, np.int64)
    return distinct, found, np.asarray(shape)[kept]


def _reduction(type_name, ufunc, kinds, least):
    doc = "over `reduction_axes` (all where none are named); what has no entry counts as zero."

    def dense(indices, values, shape, axes, *, keep_dims):
        at, found, sizes = _reduced(
            indices, values, shape, np.reshape(axes, -1), keep_dims, ufunc, least(values.dtype)
        )
        whole = np.zeros(sizes, values.dtype)
        if len(found):  # without axes left there is one value, and no place
            whole[tuple(at.T)] = found if at.shape[1] else found[0]
        return whole

    def sparse(indices, values, shape, axes, *, keep_dims):
        return _reduced(
            indices, values, shape, np.reshape(axes, -1), keep_dims, ufunc, least(values.dtype)
        )

    dense.__doc__ = f"The {type_name.removeprefix('SparseReduce').lower()} {doc}"
    sparse.__doc__ = f"{dense.__doc__} The result is sparse."
    inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32"
    to_dense = op(type_name, f"{inputs} -> output: T", T=kinds, keep_dims=False)(dense)
    outputs = "output_indices: int64, output_values: T, output_shape: int64"
    to_sparse = op(f"{type_name}Sparse", f"{inputs} -> {outputs}", T=kinds, keep_dims=False)(sparse)

    @to_dense.shape
    def shape_rule(indices, values, shape, axes, *, keep_dims):
        known, over = constant_value_as_shape(shape), constant_value(axes)
        if known.sizes is None or over is None:
            return [TensorShape(None)]
        rank = len(known.sizes)
        gone = {int(a) % rank for a in np.reshape(over, -1)} if np.size(over) else set(range(rank))
        sizes = [
            1 if a in gone else s for a, s in enumerate(known.sizes) if keep_dims or a not in gone
        ]
        return [sizes]

    to_sparse.shape(lambda *_: [None, None, None])
    to_sparse.no_gradient(UNDEFINED)
    return to_dense, to_sparse


def _least_of(dtype):
    return -np.inf if dtype.kind not in "iu" else np.iinfo(dtype).min


sparse_reduce_sum_op, sparse_reduce_sum_sparse_op = _reduction(
    "SparseReduceSum", np.add, EVERY_NUMBER, lambda dtype: dtype.type(0)
)
sparse_reduce_max_op, sparse_reduce_max_sparse_op = _reduction(
    "SparseReduceMax", np.maximum, REAL, _least_of
)
sparse_reduce_max_op.no_gradient(UNDEFINED)


@sparse_reduce_sum_op.grad
def sparse_reduce_sum_grad(node, dy):
    indices, _, shape, axes = node.inputs
    kept = reduction.reduced_shape(casting.cast(shape, dtypes.int32), axes)
    kept = casting.cast(kept, dtypes.int64)
    places = division.floordiv(indices, division.floordiv(shape, kept))
    return [None, scattering.gather_nd(shaping.reshape(dy, kept), places), None, None]


def _reduce(opdef, is_sparse, doc):
    def reduce(
        sp_input: Any, axis: Any = None, keepdims: Any = None, reduction_axes: Any = None,
        keep_dims: Any = None,
    ) -> Any:  # fmt: skip
        sp_input = as_sparse(sp_input)
        at = reduction_axes if axis is None else axis
        if at is None:
            at = indexing.range_(0, shaping.shape(sp_input.dense_shape)[0])
        keep = bool(keepdims if keepdims is not None else keep_dims)
        found = opdef(*parts(sp_input), at, keep_dims=keep)
        return SparseTensor(*found) if is_sparse else found

    reduce.__doc__ = doc
    return reduce


sparse_reduce_sum = _reduce(
    sparse_reduce_sum_op, False, "The sum over `axis` (all where None), as a Tensor."
)
sparse_reduce_sum_sparse = _reduce(
    sparse_reduce_sum_sparse_op, True, "The sum over `axis` (all where None), as a SparseTensor."
)
sparse_reduce_max = _reduce(
    sparse_reduce_max_op, False, "The largest entry over `axis` (all where None), as a Tensor."
)
sparse_reduce_max_sparse = _reduce(
    sparse_reduce_max_sparse_op, True, "The largest entry over `axis` (all where None), as a SparseTensor."
)  # fmt: skip


@op(
    "SparseSoftmax", "sp_indices: int64, sp_values: T, sp_shape: int64 -> output: T",
    T=frozenset(FLOATING - {dtypes.bfloat16}),
)  # fmt: skip
def sparse_softmax_op(indices, values, shape):
    """The softmax over the entries of each row (the last axis); what has no entry takes no part."""
    if len(shape) < 2:
        raise InvalidArgumentError(
            None, None, f"Input should have rank >= 2, but got shape {shape}"
        )
    _, rows = _joined(indices[:, :-1], indices[:0, :-1])
    count = int(rows.max()) + 1 if rows.size else 0
    top = np.full(count, -np.inf, values.dtype)
    np.maximum.at(top, rows, values)
    powers = np.exp(values - top[rows])
    total = np.zeros(count, values.dtype)
    np.add.at(total, rows, powers)
    return powers / total[rows]


sparse_softmax_op.shape(lambda indices, values, shape: [values.shape])


@sparse_softmax_op.grad
def sparse_softmax_grad(node, dy):
    indices, _, shape = node.inputs
    y = node.outputs[0]
    sums = sparse_reduce_sum_op(indices, dy * y, shape, [-1])
    return [None, (dy - scattering.gather_nd(sums, indices[:, :-1])) * y, None]


def sparse_softmax(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The softmax over the entries of each row (the last axis)."""
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseSoftmax", [sp_input.indices]):
        return sp_input.with_values(sparse_softmax_op(*parts(sp_input)))


def _of_two(type_name, ufunc, kinds):
    def kernel(a_indices, a_values, a_shape, b_indices, b_values, b_shape):
        _check_same_shape(a_shape, b_shape)
        indices, places = _joined(a_indices, b_indices)
        both = np.zeros((2, len(indices)), a_values.dtype)
        both[0, places[: len(a_indices)]] = a_values
        both[1, places[len(a_indices) :]] = b_values
        return indices, ufunc(both[0], both[1])

    kernel.__doc__ = f"The {type_name.removeprefix('SparseSparse').lower()} of two sparse tensors, entry by entry."
    opdef = op(type_name, f"{A}, {B} -> output_indices: int64, output_values: T", T=kinds)(kernel)
    opdef.shape(lambda a_indices, *_: [(None, a_indices.shape.with_rank(2).as_list()[1]), (None,)])
    return opdef.no_gradient("TensorFlow says that there is none")


sparse_sparse_maximum = _of_two("SparseSparseMaximum", np.maximum, REAL)
sparse_sparse_minimum = _of_two("SparseSparseMinimum", np.minimum, EVERY_NUMBER)


def _front_of_two(opdef, word):
    def front(sp_a: Any, sp_b: Any, name: str | None = None) -> SparseTensor:
        a, b = as_sparse(sp_a), as_sparse(sp_b)
        with name_scope(name, f"SparseSparse{word}", [a.indices, b.indices]) as scope:
            indices, values = opdef(*parts(a), *parts(b), name=scope)
        return SparseTensor(indices, values, a.dense_shape)

    front.__doc__ = (
        f"The {word.lower()} of two sparse tensors of the same shape; what has no entry is zero."
    )
    return front


sparse_maximum = _front_of_two(sparse_sparse_maximum, "Maximum")
sparse_minimum = _front_of_two(sparse_sparse_minimum, "Minimum")

BFLOAT = Attr("type", dtypes.float32, frozenset({dtypes.float32, dtypes.bfloat16}))


@op(
    "SparseMatMul", "a: Ta, b: Tb -> product: float32", Ta=BFLOAT, Tb=BFLOAT, transpose_a=False, transpose_b=False,
    a_is_sparse=False, b_is_sparse=False,
)  # fmt: skip
def sparse_matmul(a, b, *, transpose_a, transpose_b):
    """The product of two dense matrices of which one may be mostly zeros; that it is changes nothing here."""
    a, b = (np.asarray(m).astype(np.float32) for m in (a, b))
    return np.matmul(a.T if transpose_a else a, b.T if transpose_b else b)


@sparse_matmul.shape
def sparse_matmul_shape(a, b, *, transpose_a, transpose_b):
    a, b = a.shape.with_rank(2).as_list(), b.shape.with_rank(2).as_list()
    a, b = a[::-1] if transpose_a else a, b[::-1] if transpose_b else b
    TensorShape([a[1]]).assert_is_compatible_with([b[0]])
    return [(a[0], b[1])]


@sparse_matmul.grad
def sparse_matmul_grad(node, dy):
    a, b = node.inputs
    flip_a, flip_b = node.attrs["transpose_a"], node.attrs["transpose_b"]

    def product(x, y, dtype, **flips):
        return casting.cast(sparse_matmul(x, y, **flips), dtype)

    if flip_a:
        d_a = product(b, dy, a.dtype, transpose_a=flip_b, transpose_b=True)
    else:
        d_a = product(dy, b, a.dtype, transpose_b=not flip_b)
    if flip_b:
        d_b = product(dy, a, b.dtype, transpose_a=True, transpose_b=flip_a)
    else:
        d_b = product(a, dy, b.dtype, transpose_a=not flip_a)
    return [d_a, d_b]
