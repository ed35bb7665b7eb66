"""Local response normalisation: each element divided by what its neighbours along the channels say.

Source of the formula: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr

KINDS = Attr("type", dtypes.float32, frozenset({dtypes.float16, dtypes.bfloat16, dtypes.float32}))
SETTINGS = {"depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5}


def _neighbours(x, radius):
    """The sum of each element and `radius` neighbours on both sides along the last axis."""
    depth = x.shape[-1]
    sums = np.zeros((*x.shape[:-1], depth + 1), np.float64)
    np.cumsum(x, axis=-1, dtype=np.float64, out=sums[..., 1:])
    places = np.arange(depth)
    last = np.minimum(places + radius + 1, depth)
    return (sums[..., last] - sums[..., np.maximum(places - radius, 0)]).astype(np.float32)


def _scales(x, depth_radius, bias, alpha):
    return np.float32(bias) + np.float32(alpha) * _neighbours(np.square(x), depth_radius)


@op("LRN", "input: T -> output: T", T=KINDS, **SETTINGS)
def lrn_op(x, *, depth_radius, bias, alpha, beta):
    """output = input / (bias + alpha * sum of the squares of the neighbours) ** beta."""
    wide = x.astype(np.float32)
    return (wide * _scales(wide, depth_radius, bias, alpha) ** np.float32(-beta)).astype(x.dtype)


lrn_op.shape(lambda x: [x.shape.with_rank(4)])


@lrn_op.grad
def lrn_op_grad(node, dy):
    more = {key: node.attrs[key] for key in SETTINGS}
    return [lrn_grad_op(dy, node.inputs[0], node.outputs[0], **more)]


@op("LRNGrad", "input_grads: T, input_image: T, output_image: T -> output: T", T=KINDS, **SETTINGS)
def lrn_grad_op(dy, x, y, *, depth_radius, bias, alpha, beta):
    """The gradient of LRN by its input."""
    grads, wide, result = (v.astype(np.float32) for v in (dy, x, y))
    scales = _scales(wide, depth_radius, bias, alpha)
    shares = _neighbours(grads * result / scales, depth_radius)
    dx = grads * scales ** np.float32(-beta) - np.float32(2 * alpha * beta) * wide * shares
    return dx.astype(x.dtype)


lrn_grad_op.shape(lambda dy, x, y: [dy.shape.merge_with(x.shape)])
lrn_grad_op.no_gradient(UNDEFINED)


def local_response_normalization(
    input: Any, depth_radius: int | None = None, bias: float | None = None, alpha: float | None = None,
    beta: float | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Each element of [batch, rows, columns, channels] divided by what its neighbours along the channels say."""
    given = {"depth_radius": depth_radius, "bias": bias, "alpha": alpha, "beta": beta}
    return lrn_op(input, name=name, **{k: v for k, v in given.items() if v is not None})
