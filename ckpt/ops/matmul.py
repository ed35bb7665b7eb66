"""Products of matrices and of batches of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import COMPLEX, FLOATING, INDEX, int16, uint8, uint16, uint32, uint64
from ckpt.core.errors import ShapeError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import elementwise, reduction, shaping, unbroadcasting

RING = FLOATING | COMPLEX | INDEX | {uint8, uint16, uint32, uint64}


@op(
    "MatMul",
    "a: T, b: T -> product: T",
    T=RING,
    transpose_a=False,
    transpose_b=False,
    grad_a=False,
    grad_b=False,
)
def mat_mul(xp, a, b, *, transpose_a, transpose_b):
    """product[m, n] = sum over k of a[m, k] * b[k, n], after the transposes asked for.

    a: [m, k] (or [k, m]), b: [k, n] (or [n, k]), product: [m, n]; all of dtype T.
    Source: TF 1.5 core/ops/math_ops.cc, op "MatMul".
    """
    return xp.matmul(a.T if transpose_a else a, b.T if transpose_b else b)


@mat_mul.shape
def mat_mul_shape(a, b, *, transpose_a, transpose_b):
    (m, k), (k_b, n) = _flip(a.shape, transpose_a), _flip(b.shape, transpose_b)
    if k is not None and k_b is not None and k != k_b:
        raise ShapeError(f"Dimensions must be equal, but are {k} and {k_b}")
    return [TensorShape.of((m, n))]


def _flip(shape, transpose):
    sizes = shape.sizes if shape.sizes is not None else (None, None)
    if len(sizes) != 2:
        raise ShapeError(f"Shape must be rank 2 but is rank {len(sizes)}")
    return sizes[::-1] if transpose else sizes


@mat_mul.grad
def mat_mul_grad(node, d_product):
    """d_a = d_product · bᴴ and d_b = aᴴ · d_product, with the transposes folded in."""
    a, b = (elementwise.conj_of(x) for x in node.inputs)
    t_a, t_b = node.attrs["transpose_a"], node.attrs["transpose_b"]
    if t_a:
        d_a = mat_mul(b, d_product, transpose_a=t_b, transpose_b=True)
    else:
        d_a = mat_mul(d_product, b, transpose_b=not t_b)
    if t_b:
        d_b = mat_mul(d_product, a, transpose_a=True, transpose_b=t_a)
    else:
        d_b = mat_mul(a, d_product, transpose_a=not t_a)
    return [d_a, d_b]


@op(
    "BatchMatMulV2",
    "x: T, y: T -> output: T",
    T=RING | {int16},
    adj_x=False,
    adj_y=False,
    grad_x=False,
    grad_y=False,
)
def batch_mat_mul(x, y, *, adj_x, adj_y):
    """The product of the last two axes, the axes before them broadcast; `adj_` takes the adjoint first.

    x: [..., m, k], y: [..., k, n], output: [..., m, n].
    """
    return np.matmul(_adjoint(x) if adj_x else x, _adjoint(y) if adj_y else y)


def _adjoint(x):
    flipped = np.swapaxes(x, -1, -2)
    return np.conj(flipped) if np.iscomplexobj(x) else flipped


@batch_mat_mul.shape
def batch_mat_mul_shape(x, y, *, adj_x, adj_y):
    if x.shape.sizes is None or y.shape.sizes is None:
        return [TensorShape(None)]
    x.shape.with_rank_at_least(2)
    y.shape.with_rank_at_least(2)
    batch = broadcast(TensorShape.of(x.shape.sizes[:-2]), TensorShape.of(y.shape.sizes[:-2]))
    m, k = x.shape.sizes[-2:][::-1] if adj_x else x.shape.sizes[-2:]
    k_y, n = y.shape.sizes[-2:][::-1] if adj_y else y.shape.sizes[-2:]
    if k is not None and k_y is not None and k != k_y:
        raise ShapeError(f"Dimensions must be equal, but are {k} and {k_y}")
    return [batch.concatenate([m, n])]


@batch_mat_mul.grad
def batch_mat_mul_grad(node, dz):
    x, y = node.inputs
    adj_x, adj_y = node.attrs["adj_x"], node.attrs["adj_y"]
    if adj_x:
        dx = batch_mat_mul(y, dz, adj_x=adj_y, adj_y=True, name="MatMul")
    else:
        dx = batch_mat_mul(dz, y, adj_y=not adj_y, name="MatMul")
    if adj_y:
        dy = batch_mat_mul(dz, x, adj_x=True, adj_y=adj_x, name="MatMul")
    else:
        dy = batch_mat_mul(x, dz, adj_x=not adj_x, name="MatMul")
    return [sum_batch(x, dx), sum_batch(y, dy)]


def sum_batch(x: Tensor, dx: Tensor) -> Tensor:
    """`dx` summed over the batch axes along which `x` was broadcast."""
    if x.shape.is_fully_defined() and dx.shape.sizes == x.shape.sizes:
        return dx
    shape_x, shape_dx = shaping.shape(x), shaping.shape(dx)
    axes, _ = unbroadcasting.broadcast_gradient_args(shape_x[:-2], shape_dx[:-2])
    return shaping.reshape(reduction.sum_op(dx, axes), shape_x)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor) and value._shape.rank == 2


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of two matrices, or of the matrices in the last two axes of higher-rank tensors.

    Raises ValueError when a matrix is to be both transposed and conjugated, or when the inner sizes differ.
    """
    if not (adjoint_a or adjoint_b) and _is_matrix(a) and _is_matrix(b):  # no scope is needed
        wanted = "MatMul" if name is None else name
        return mat_mul(a, b, transpose_a=transpose_a, transpose_b=transpose_b, name=wanted)
    with name_scope(name, "MatMul", [a, b]) as scope:
        if (transpose_a and adjoint_a) or (transpose_b and adjoint_b):
            raise ValueError("Only one of transpose_ and adjoint_ can be True.")
        a = convert.convert_to_tensor(a, name="a")
        b = convert.convert_to_tensor(b, dtype=a.dtype.base_dtype, name="b")
        ranks = (a.shape.rank, b.shape.rank)
        if all(r is None or r > 2 for r in ranks) or any(r is not None and r > 2 for r in ranks):
            if transpose_a:
                a, adjoint_a = elementwise.conj(a), True
            if transpose_b:
                b, adjoint_b = elementwise.conj(b), True
            return batch_mat_mul(a, b, adj_x=adjoint_a, adj_y=adjoint_b, name=scope)
        if adjoint_a:
            a, transpose_a = elementwise.conj(a), True
        if adjoint_b:
            b, transpose_b = elementwise.conj(b), True
        return mat_mul(a, b, transpose_a=transpose_a, transpose_b=transpose_b, name=scope)
