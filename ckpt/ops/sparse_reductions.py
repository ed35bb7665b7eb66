"""Sums, largest entries and softmax of sparse tensors along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.ops import (
    casting,
    division,
    indexing,
    reduction,
    scattering,
    shaping,
)
from ckpt.ops.sparse_parts import EVERY_NUMBER, distinct_indices
from ckpt.ops.sparse_tensors import as_sparse, parts


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
    distinct, places = distinct_indices(left, left[:0])
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
    _, rows = distinct_indices(indices[:, :-1], indices[:0, :-1])
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
