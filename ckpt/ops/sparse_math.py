"""Arithmetic with sparse tensors: products, sums, larger and smaller of two."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor, operator
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import ANY, Attr
from ckpt.graph.sparse import SparseTensor, SparseTensorValue
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import (
    casting,
    constants,
    division,
    elementwise,
    indexing,
    linear_algebra,
    reduction,
    scattering,
)
from ckpt.ops.sparse_parts import EVERY_NUMBER, distinct_indices, rank_of
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
    indices, places = distinct_indices(a_indices, b_indices)
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
    "SparseDenseCwiseDiv", lambda x, y: division.div_op.kernel(x, y),
    "The entries divided by the dense tensor, broadcast to them; whole numbers are rounded towards zero.",
)  # fmt: skip
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
            if name == "truediv":
                values, dense = division.as_floating(sparse.values, dense)
                sparse = sparse.with_values(values)
            return sparse.with_values(opdef(*parts(sparse), dense, name=scope))

    return apply


operator("sparse __mul__")(_with_dense(sparse_dense_cwise_mul, "mul"))
operator("sparse __div__")(_with_dense(sparse_dense_cwise_div, "div"))
operator("sparse __truediv__")(_with_dense(sparse_dense_cwise_div, "truediv"))


def _of_two(type_name, ufunc, kinds):
    def kernel(a_indices, a_values, a_shape, b_indices, b_values, b_shape):
        _check_same_shape(a_shape, b_shape)
        indices, places = distinct_indices(a_indices, b_indices)
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
