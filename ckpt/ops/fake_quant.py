"""Numbers rounded to as few values as a quantized model would have, and the gradients that go through it.

Source: B. Jacob et al., "Quantization and Training of Neural Networks" (2018), section 3; the nudged zero point is
TensorFlow's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor

BITS = {"num_bits": 8, "narrow_range": False}
ONE = np.float32(1)


def _nudged(low: Any, high: Any, num_bits: int, narrow_range: bool) -> tuple[Any, Any, Any]:
    """(low, high, step) moved so that zero is one of the values."""
    if not 2 <= num_bits <= 16:
        raise InvalidArgumentError(
            None, None, f"num_bits must be between 2 and 16, inclusive, got {num_bits}"
        )
    first, last = np.float32(narrow_range), np.float32(2**num_bits - 1)
    low, high = np.float32(low), np.float32(high)
    step = (high - low) / (last - first)
    zero = first - low / step
    place = np.floor(zero + np.float32(0.5)).clip(first, last)
    return (first - place) * step, (last - place) * step, step


def _quantized(x: Any, low: Any, high: Any, num_bits: int, narrow_range: bool) -> Any:
    bottom, top, step = _nudged(low, high, num_bits, narrow_range)
    steps = np.floor((np.clip(x, bottom, top) - bottom) * (ONE / step) + np.float32(0.5))
    return np.where((low == 0) & (high == 0), np.float32(0), steps * step + bottom)


def _parted(dy: Any, x: Any, low: Any, high: Any, num_bits: int, narrow_range: bool) -> Any:
    """The gradient of what lies between, below and above the values."""
    bottom, top, _ = _nudged(low, high, num_bits, narrow_range)
    nothing = (low == 0) & (high == 0)
    below, above = ~nothing & (x < bottom), ~nothing & (x > top)
    return dy * (~below & ~above), dy * below, dy * above


@op(
    "FakeQuantWithMinMaxArgs", "inputs: float32 -> outputs: float32", min=-6.0, max=6.0, **BITS
)  # fmt: skip
def fake_quant_with_min_max_args_op(x, *, min, max, num_bits, narrow_range):
    """Each number as the nearest of 2**num_bits values from about `min` to about `max`."""
    if min >= max:
        raise InvalidArgumentError(
            None, None, f"min has to be smaller than max, was: {min} >= {max}"
        )
    return _quantized(x, np.float32(min), np.float32(max), num_bits, narrow_range)


fake_quant_with_min_max_args_op.shape(lambda x: [x.shape])


@fake_quant_with_min_max_args_op.grad
def fake_quant_with_min_max_args_grad(node, dy):
    attrs = {key: node.attrs[key] for key in ("min", "max", "num_bits", "narrow_range")}
    return [fake_quant_with_min_max_args_gradient_op(dy, node.inputs[0], **attrs)]


@op(
    "FakeQuantWithMinMaxArgsGradient", "gradients: float32, inputs: float32 -> backprops: float32",
    min=-6.0, max=6.0, **BITS,
)  # fmt: skip
def fake_quant_with_min_max_args_gradient_op(dy, x, *, min, max, num_bits, narrow_range):
    """The gradient where `inputs` lie between the values, zero elsewhere."""
    return _parted(dy, x, np.float32(min), np.float32(max), num_bits, narrow_range)[0]


fake_quant_with_min_max_args_gradient_op.shape(lambda dy, x: [dy.shape.merge_with(x.shape)])
fake_quant_with_min_max_args_gradient_op.no_gradient("TensorFlow says that there is none")


def _scalar(x: Tensor, name: str) -> None:
    if x.shape.rank not in (None, 0):
        raise ShapeError(f"{name} must be a scalar, not {x.shape}")


@op(
    "FakeQuantWithMinMaxVars", "inputs: float32, min: float32, max: float32 -> outputs: float32", **BITS
)  # fmt: skip
def fake_quant_with_min_max_vars_op(x, low, high, *, num_bits, narrow_range):
    """Each number as the nearest of 2**num_bits values from about `min` to about `max`, scalars."""
    return _quantized(x, low, high, num_bits, narrow_range)


@fake_quant_with_min_max_vars_op.shape
def fake_quant_with_min_max_vars_shape(x, low, high):
    _scalar(low, "min")
    _scalar(high, "max")
    return [x.shape]


@fake_quant_with_min_max_vars_op.grad
def fake_quant_with_min_max_vars_grad(node, dy):
    return list(fake_quant_with_min_max_vars_gradient_op(dy, *node.inputs, **_bits(node)))


def _bits(node: Any) -> dict[str, Any]:
    return {key: node.attrs[key] for key in BITS}


GRADIENTS = (
    "gradients: float32, inputs: float32, min: float32, max: float32 "
    "-> backprops_wrt_input: float32, backprop_wrt_min: float32, backprop_wrt_max: float32"
)


@op("FakeQuantWithMinMaxVarsGradient", GRADIENTS, **BITS)
def fake_quant_with_min_max_vars_gradient_op(dy, x, low, high, *, num_bits, narrow_range):
    """The gradients by `inputs` (between the values), `min` (below them) and `max` (above them)."""
    between, below, above = _parted(dy, x, low, high, num_bits, narrow_range)
    return between, np.sum(below, dtype=np.float32), np.sum(above, dtype=np.float32)


fake_quant_with_min_max_vars_gradient_op.shape(
    lambda dy, x, low, high: [dy.shape.merge_with(x.shape), (), ()]
)
fake_quant_with_min_max_vars_gradient_op.no_gradient("TensorFlow says that there is none")


def _check_channels(x: Any, low: Any, high: Any) -> None:
    wanted = np.shape(x)[-1:]
    for given, name in ((low, "min"), (high, "max")):
        if np.shape(given) != wanted:
            raise InvalidArgumentError(
                None,
                None,
                f"{name} has incorrect size, expected {list(wanted)} was {list(np.shape(given))}",
            )


@op(
    "FakeQuantWithMinMaxVarsPerChannel",
    "inputs: float32, min: float32, max: float32 -> outputs: float32",
    **BITS,
)
def fake_quant_per_channel_op(x, low, high, *, num_bits, narrow_range):
    """Each number as the nearest of the values of its channel (the last axis); `min` and `max` are [channels]."""
    _check_channels(x, low, high)
    return _quantized(x, low, high, num_bits, narrow_range)


@fake_quant_per_channel_op.shape
def fake_quant_per_channel_shape(x, low, high):
    shape = x.shape.with_rank_at_least(1)
    channels = low.shape.with_rank(1).merge_with(high.shape)
    if shape.sizes is None:
        return [shape]
    return [[*shape.sizes[:-1], TensorShape(shape.sizes[-1:]).merge_with(channels).sizes[0]]]


@fake_quant_per_channel_op.grad
def fake_quant_per_channel_grad(node, dy):
    return list(fake_quant_per_channel_gradient_op(dy, *node.inputs, **_bits(node)))


@op("FakeQuantWithMinMaxVarsPerChannelGradient", GRADIENTS, **BITS)
def fake_quant_per_channel_gradient_op(dy, x, low, high, *, num_bits, narrow_range):
    """The gradients by `inputs` (between the values), `min` (below them) and `max` (above them), by channel."""
    _check_channels(x, low, high)
    between, below, above = _parted(dy, x, low, high, num_bits, narrow_range)
    over = tuple(range(np.ndim(x) - 1))
    return between, below.sum(axis=over, dtype=np.float32), above.sum(axis=over, dtype=np.float32)


fake_quant_per_channel_gradient_op.shape(
    lambda dy, x, low, high: [dy.shape.merge_with(x.shape), low.shape, high.shape]
)
fake_quant_per_channel_gradient_op.no_gradient("TensorFlow says that there is none")


def fake_quant_with_min_max_args(
    inputs: Any, min: float = -6, max: float = 6, num_bits: int = 8, narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Each number as the nearest of 2**num_bits values from about `min` to about `max`; the gradient goes through."""
    return fake_quant_with_min_max_args_op(
        inputs, min=min, max=max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


def fake_quant_with_min_max_args_gradient(
    gradients: Any, inputs: Any, min: float = -6, max: float = 6, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """What `fake_quant_with_min_max_args` hands back of `gradients`."""
    return fake_quant_with_min_max_args_gradient_op(
        gradients, inputs, min=min, max=max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


fake_quant_with_min_max_vars = fake_quant_with_min_max_vars_op
fake_quant_with_min_max_vars_gradient = fake_quant_with_min_max_vars_gradient_op
fake_quant_with_min_max_vars_per_channel = fake_quant_per_channel_op
fake_quant_with_min_max_vars_per_channel_gradient = fake_quant_per_channel_gradient_op
