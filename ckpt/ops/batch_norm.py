"""Batch normalisation in one operation, and its gradients.

Source of the formulas: Ioffe and Szegedy 2015, arXiv:1502.03167; of the outputs' meaning: TensorFlow,
core/kernels/fused_batch_norm_op.cc (the CPU kernel keeps mean and uncorrected variance for the gradient).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.ops import casting, constants, elementwise, reduction, shaping

NARROW = frozenset({dtypes.float16, dtypes.bfloat16, dtypes.float32})
ONLY_FLOAT = frozenset({dtypes.float32})
OLD_FORMATS = Attr("string", "NHWC", frozenset({"NHWC", "NCHW"}))
FORMATS = Attr("string", "NHWC", frozenset({"NHWC", "NCHW", "NDHWC", "NCDHW"}))
FORWARD = {"epsilon": 0.0001, "exponential_avg_factor": 1.0, "is_training": True}
BACKWARD = {"epsilon": 0.0001, "is_training": True}


def _is_first(data_format: str) -> bool:
    return data_format.startswith("NC")


def _rows(x, data_format):
    """`x` as [positions, channels] in float32."""
    moved = np.moveaxis(x, 1, -1) if _is_first(data_format) else x
    return np.ascontiguousarray(moved, np.float32).reshape(-1, moved.shape[-1])


def _back(rows, x, data_format):
    """[positions, channels] in the shape and dtype of `x`."""
    if not _is_first(data_format):
        return rows.reshape(x.shape).astype(x.dtype, copy=False)
    moved = rows.reshape(x.shape[0], *x.shape[2:], x.shape[1])
    return np.ascontiguousarray(np.moveaxis(moved, -1, 1)).astype(x.dtype, copy=False)


def _sum(rows):
    """The sum of each column."""
    return np.ones(rows.shape[0], rows.dtype) @ rows


def _forward(x, scale, offset, mean, variance, epsilon, factor, data_format, is_training):
    """(y, batch_mean, batch_variance, kept mean, kept variance)."""
    rows = _rows(x, data_format)
    kind = scale.dtype
    count = max(rows.shape[0], 1)
    kept, spread = mean, variance
    running, wide = mean, variance
    if is_training:
        kept = _sum(rows) / np.float32(count)
        centred = rows - kept
        spread = np.einsum("pc,pc->c", centred, centred) / np.float32(count)
        running, wide = kept, spread * np.float32(count / max(count - 1, 1))
        if factor != 1:
            running = np.float32(1 - factor) * mean + np.float32(factor) * running
            wide = np.float32(1 - factor) * variance + np.float32(factor) * wide
    else:
        centred = rows - kept
    y = centred * (scale / np.sqrt(spread + np.float32(epsilon))) + offset
    small = [np.asarray(v, np.float32).astype(kind) for v in (running, wide, kept, spread)]
    return (_back(y.astype(np.float32, copy=False), x, data_format), *small)


def _backward(dy, x, scale, mean, variance, epsilon, data_format, is_training):
    """(dx, dscale, doffset) for the mean and variance that normalised `x`."""
    rows, grads = _rows(x, data_format), _rows(dy, data_format)
    inverse = 1 / np.sqrt(np.asarray(variance, np.float32) + np.float32(epsilon))
    normal = (rows - mean) * inverse
    doffset = _sum(grads)
    dscale = np.einsum("pc,pc->c", grads, normal)
    if is_training:
        count = np.float32(max(rows.shape[0], 1))
        grads = grads - doffset / count - normal * (dscale / count)
    dx = grads * (scale * inverse)
    kind = scale.dtype
    return _back(dx, x, data_format), dscale.astype(kind), doffset.astype(kind)


def _check(x, scale, offset, mean, variance, data_format, is_training, factor) -> None:
    if x.ndim not in (4, 5):
        raise InvalidArgumentError(
            None, None, f"input must be 4 or 5-dimensional, got {list(x.shape)}"
        )
    channels = x.shape[1 if _is_first(data_format) else -1]
    wanted = [("scale", scale), ("offset", offset)]
    if not is_training or factor != 1:
        wanted += [("mean", mean), ("variance", variance)]
    for name, value in wanted:
        if value.shape != (channels,):
            raise InvalidArgumentError(
                None, None, f"{name} must have the same number of elements as the channels of x, "
                f"got {list(value.shape)} and {channels}"
            )  # fmt: skip


def _shapes(x, scale, data_format, extra):
    channels = scale.shape.with_rank(1)
    sizes = x.shape.sizes
    if sizes is not None:
        if len(sizes) not in (4, 5):
            raise ValueError(f"Shape must be rank 4 but is rank {len(sizes)}")
        at = 1 if _is_first(data_format) else len(sizes) - 1
        channels = channels.merge_with((sizes[at],))
        x_shape = (*sizes[:at], channels.sizes[0], *sizes[at + 1 :])
    else:
        x_shape = x.shape
    return [x_shape, *[channels] * 4, *[None] * extra]


def _define(version, signature, back_signature, formats, extra, kinds, back_kinds):
    """FusedBatchNorm<version> and its gradient; they differ in dtypes and in a last output that only GPUs use."""

    @op(f"FusedBatchNorm{version}", signature, data_format=formats, **kinds, **FORWARD)
    def forward(
        x,
        scale,
        offset,
        mean,
        variance,
        *,
        epsilon,
        exponential_avg_factor,
        data_format,
        is_training,
    ):
        """x normalised per channel, times scale plus offset; mean and variance of the batch or, not training, given."""
        _check(x, scale, offset, mean, variance, data_format, is_training, exponential_avg_factor)
        found = _forward(
            x,
            scale,
            offset,
            mean,
            variance,
            epsilon,
            exponential_avg_factor,
            data_format,
            is_training,
        )
        return (*found, *[np.zeros((), scale.dtype)] * extra)  # fmt: skip

    forward.shape(
        lambda x, scale, offset, mean, variance, *, data_format: _shapes(
            x, scale, data_format, extra
        )
    )

    @op(
        f"FusedBatchNormGrad{version}",
        back_signature,
        data_format=formats,
        **back_kinds,
        **BACKWARD,
    )
    def backward(dy, x, scale, mean, variance, *rest, epsilon, data_format, is_training):
        """The gradients of FusedBatchNorm by x, scale and offset."""
        found = _backward(dy, x, scale, mean, variance, epsilon, data_format, is_training)
        return (*found, *[np.zeros((0,), found[1].dtype)] * 2)

    @backward.shape
    def backward_shape(dy, x, scale, *rest, data_format):
        x_shape, channels = _shapes(x, scale, data_format, 0)[:2]
        return [x_shape, channels, channels, (0,), (0,)]

    @forward.grad
    def forward_grad(node, dy, *_):
        x, scale, _, mean, variance = node.inputs
        more = {key: node.attrs[key] for key in ("epsilon", "data_format", "is_training")}
        kept = node.outputs[3:] if more["is_training"] else (mean, variance, *node.outputs[5:])
        return [*backward(dy, x, scale, *kept, **more)[:3], None, None]

    @backward.grad
    def backward_grad(node, *dzs):
        return _second_order(node, *dzs[:3])

    return forward, backward


def _second_order(node, d_dx, d_dscale, d_doffset):
    """The gradients of the gradient by dy, x and scale, with means over all axes but the channels.

    With n = (x - mean) / sqrt(variance + epsilon), r = 1 / sqrt(variance + epsilon), D = d_dx:
    dx = scale·r·(dy - M(dy) - n·M(dy·n)) while training, scale·r·dy otherwise.
    """
    dy, x, scale, mean, variance = node.inputs[:5]
    first = _is_first(node.attrs["data_format"])
    rank = len(x.shape)
    axes = [i for i in range(rank) if i != (1 if first else rank - 1)]
    wide = [1 if i in axes else -1 for i in range(rank)]
    kind = dtypes.float32
    dy, x, d = (casting.cast(t, kind) for t in (dy, x, d_dx))

    def along(v):
        return shaping.reshape(casting.cast(v, kind), wide) if v.shape.rank == 1 else v

    def total(v):
        return reduction.reduce_sum(v, axes, keepdims=True)

    def average(v):
        return reduction.reduce_mean(v, axes, keepdims=True)

    r = elementwise.rsqrt(along(variance) + node.attrs["epsilon"])
    s, ds, do = along(scale), along(d_dscale), along(d_doffset)
    if not node.attrs["is_training"]:
        n = (x - along(mean)) * r
        by_dy, by_x = s * r * d + ds * n + do, ds * r * dy
        by_scale = total(d * r * dy)
    else:
        m = average(x)
        n = (x - m) * r
        inner = dy - average(dy) - n * average(dy * n)
        spread = d - average(d) - n * average(d * n)
        by_dy = s * r * spread + ds * n + do
        # What reaches n directly, then through n(x) and r(x).
        by_n = ds * dy - s * r * (d * average(dy * n) + dy * average(d * n))
        by_x = r * (by_n - average(by_n) - n * average(by_n * n)) - s * r * r * n * average(
            d * inner
        )
        by_scale = total(d * r * inner)
    flat = shaping.reshape(by_scale, [-1])
    return [
        casting.cast(by_dy, node.inputs[0].dtype), casting.cast(by_x, node.inputs[1].dtype),
        casting.cast(flat, scale.dtype), *[None] * (len(node.inputs) - 3),
    ]  # fmt: skip


fused_batch_norm_op, fused_batch_norm_grad_op = _define(
    "", "x: T, scale: T, offset: T, mean: T, variance: T -> y: T, batch_mean: T, batch_variance: T, "
    "reserve_space_1: T, reserve_space_2: T",
    "y_backprop: T, x: T, scale: T, reserve_space_1: T, reserve_space_2: T -> x_backprop: T, scale_backprop: T, "
    "offset_backprop: T, reserve_space_3: T, reserve_space_4: T",
    OLD_FORMATS, 0, {"T": ONLY_FLOAT}, {"T": ONLY_FLOAT},
)  # fmt: skip
fused_batch_norm_v2_op, fused_batch_norm_grad_v2_op = _define(
    "V2", "x: T, scale: U, offset: U, mean: U, variance: U -> y: T, batch_mean: U, batch_variance: U, "
    "reserve_space_1: U, reserve_space_2: U",
    "y_backprop: T, x: T, scale: float32, reserve_space_1: U, reserve_space_2: U -> x_backprop: T, "
    "scale_backprop: U, offset_backprop: U, reserve_space_3: U, reserve_space_4: U",
    OLD_FORMATS, 0, {"T": NARROW, "U": ONLY_FLOAT}, {"T": NARROW, "U": ONLY_FLOAT},
)  # fmt: skip
fused_batch_norm_v3_op, fused_batch_norm_grad_v3_op = _define(
    "V3", "x: T, scale: U, offset: U, mean: U, variance: U -> y: T, batch_mean: U, batch_variance: U, "
    "reserve_space_1: U, reserve_space_2: U, reserve_space_3: U",
    "y_backprop: T, x: T, scale: float32, reserve_space_1: U, reserve_space_2: U, reserve_space_3: U -> "
    "x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_4: U, reserve_space_5: U",
    FORMATS, 1, {"T": NARROW, "U": ONLY_FLOAT | {dtypes.bfloat16}}, {"T": NARROW, "U": ONLY_FLOAT},
)  # fmt: skip


def fused_batch_norm(
    x: Any, scale: Any, offset: Any, mean: Any = None, variance: Any = None, epsilon: float = 0.001,
    data_format: str = "NHWC", is_training: bool = True, name: str | None = None, exponential_avg_factor: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(y, mean, variance): x normalised per channel, times `scale` plus `offset`.

    While training the statistics are those of the batch (the variance corrected by N / (N - 1)), else `mean` and
    `variance`. Raises ValueError when these are missing although needed.
    """
    if (not is_training or exponential_avg_factor != 1.0) and (mean is None or variance is None):
        raise ValueError(
            "Both `mean` and `variance` must be a 1D tensor when `is_training` is False or "
            f"`exponential_avg_factor` != 1.0. Received: `mean` {mean!r} and `variance` {variance!r}"
        )
    x = convert.convert_to_tensor(x, name="input")
    scale = convert.convert_to_tensor(scale, name="scale")
    offset = convert.convert_to_tensor(offset, name="offset")
    mean = constants.constant([]) if mean is None else mean
    variance = constants.constant([]) if variance is None else variance
    # TensorFlow never lets cuDNN see less than this.
    epsilon = max(epsilon, 1.001e-5)
    found = fused_batch_norm_v3_op(
        x, scale, offset, mean, variance, epsilon=epsilon, exponential_avg_factor=exponential_avg_factor,
        data_format=data_format, is_training=is_training, name=name,
    )  # fmt: skip
    y, running_mean, running_variance = found[:3]
    return y, running_mean, running_variance
