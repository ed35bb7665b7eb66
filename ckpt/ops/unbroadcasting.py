"""Gradients of operations that broadcast, summed back to the shapes of the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.shapes import Dims
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.ops import reduction, shaping


@op("BroadcastGradientArgs", "s0: T, s1: T -> r0: T, r1: T", T=Attr("type", dtypes.int32, INDEX))
def broadcast_gradient_args(s0, s1):
    """Over which axes the gradients of two inputs of shapes s0 and s1 must be summed."""
    rank = max(len(s0), len(s1))
    a = [1] * (rank - len(s0)) + [int(v) for v in s0]
    b = [1] * (rank - len(s1)) + [int(v) for v in s1]
    r0 = [i for i in range(rank) if a[i] == 1 and (b[i] != 1 or i < rank - len(s0) or a[i] == b[i])]
    r1 = [i for i in range(rank) if b[i] == 1 and (a[i] != 1 or i < rank - len(s1) or a[i] == b[i])]
    return np.array(r0, s0.dtype), np.array(r1, s0.dtype)


broadcast_gradient_args.shape(lambda a, b: [[None], [None]])
broadcast_gradient_args.no_gradient("axes are integers")


def unbroadcast(x: Tensor, y: Tensor, dx: Tensor | None, dy: Tensor | None) -> list[Tensor | None]:
    """The gradients of a broadcasting operation, summed back to the shapes of its inputs.

    Where the static shapes say over which axes to sum, even if not how long these are, nothing is left to be
    found at run time.
    """
    shape_x, shape_y = shaping.shape(x), shaping.shape(y)
    static_x = _broadcast_axes(x.shape.sizes, y.shape.sizes)
    static_y = _broadcast_axes(y.shape.sizes, x.shape.sizes)
    if static_x is not None and static_y is not None:
        return [
            grad
            if grad is None or (not axes and grad.shape.rank == tensor.shape.rank)
            else _summed(grad, axes, shape)
            for tensor, grad, axes, shape in (
                (x, dx, static_x, shape_x),
                (y, dy, static_y, shape_y),
            )
        ]
    axes_x, axes_y = broadcast_gradient_args(shape_x, shape_y)
    return [_summed(dx, axes_x, shape_x), _summed(dy, axes_y, shape_y)]


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
        if size == 1 and beside != 1:
            found.append(axis)
    return found


def _summed(grad: Tensor | None, axes: Any, shape: Tensor) -> Tensor | None:
    """`grad` summed over `axes` to `shape`."""
    return (
        None
        if grad is None
        else shaping.reshape(reduction.sum_op(grad, axes, keep_dims=True), shape)
    )
