"""Means and variances of a tensor along axes, and scaling by them. Functions only, no operation types of its own."""

from __future__ import annotations

import math
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (
    casting,
    compare,
    constants,
    control,
    division,
    elementwise,
    indexing,
    reduction,
    shaping,
)


def _either(new: Any, old: Any, default: Any = None) -> Any:
    """The argument under its new or its old name. Raises ValueError when both are given."""
    if new is not None and old is not None:
        raise ValueError("Cannot specify both the old and the new name of one argument.")
    found = new if new is not None else old
    return default if found is None else found


def _is_narrow(x: Tensor) -> bool:
    return x.dtype.base_dtype in (dtypes.float16, dtypes.bfloat16)


def sufficient_statistics(
    x: Any, axes: Any, shift: Any = None, keep_dims: Any = None, name: str | None = None, keepdims: Any = None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:  # fmt: skip
    """(count, sum, sum of squares, shift) of `x` along `axes`: what `normalize_moments` makes moments of."""
    keep = bool(_either(keepdims, keep_dims, False))
    axes = sorted(set(axes))
    with name_scope(name, "sufficient_statistics", [x, shift]):
        x = convert.convert_to_tensor(x, name="x")
        sizes = x.shape.sizes
        if sizes is not None and all(sizes[axis] is not None for axis in axes):
            count = math.prod(sizes[axis] for axis in axes)
            counts = constants.constant(count, dtype=x.dtype.base_dtype)
        else:
            rank = x.shape.rank
            if rank is not None:
                # TensorFlow makes it, too
                constants.constant(rank, dtype=dtypes.int32, name="Rank")
                axes = [axis % rank for axis in axes]
            wanted = indexing.gather(casting.cast(shaping.shape(x), x.dtype), axes)
            counts = reduction.reduce_prod(wanted, name="count")
        if shift is not None:
            shift = convert.convert_to_tensor(shift, name="shift")
            mean, variance = elementwise.sub(x, shift), elementwise.squared_difference(x, shift)
        else:
            mean, variance = x, elementwise.square(x)
        total = reduction.reduce_sum(mean, axes, keepdims=keep, name="mean_ss")
        squares = reduction.reduce_sum(variance, axes, keepdims=keep, name="var_ss")
        return counts, total, squares, shift


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """(mean, variance) from what `sufficient_statistics` gave."""
    with name_scope(name, "normalize", [counts, mean_ss, variance_ss, shift]):
        divisor = elementwise.reciprocal(counts, name="divisor")
        if shift is not None:
            shifted = elementwise.mul(mean_ss, divisor, name="shifted_mean")
            mean = elementwise.add(shifted, shift, name="mean")
        else:
            shifted = mean = elementwise.mul(mean_ss, divisor, name="mean")
        mean_square = elementwise.mul(variance_ss, divisor)
        variance = elementwise.sub(mean_square, elementwise.square(shifted), name="variance")
        return mean, variance


def moments(
    x: Any, axes: Any, shift: Any = None, name: str | None = None, keep_dims: Any = None, keepdims: Any = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(mean, variance) of `x` along `axes`. `shift` is accepted and ignored, as in TensorFlow."""
    keep = bool(_either(keepdims, keep_dims, False))
    with name_scope(name, "moments", [x, axes]):
        x = convert.convert_to_tensor(x)
        y = casting.cast(x, dtypes.float32) if _is_narrow(x) else x
        mean = reduction.reduce_mean(y, axes, keepdims=True, name="mean")
        deviation = elementwise.squared_difference(y, control.stop_gradient(mean))
        variance = reduction.reduce_mean(deviation, axes, keepdims=True, name="variance")
        if not keep:
            mean, variance = shaping.squeeze(mean, axes), shaping.squeeze(variance, axes)
        if _is_narrow(x):
            return casting.cast(mean, x.dtype), casting.cast(variance, x.dtype)
        return mean, variance


def weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, name: str | None = None, keep_dims: Any = None, keepdims: Any = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(mean, variance) of `x` along `axes`, where each element counts as often as its weight says.

    The weights broadcast against `x`.
    """
    keep = bool(_either(keepdims, keep_dims, False))
    with name_scope(name, "weighted_moments", [x, frequency_weights, axes]):
        x = convert.convert_to_tensor(x, name="x")
        weights = convert.convert_to_tensor(frequency_weights, name="frequency_weights")
        narrow = _is_narrow(x)
        kind = x.dtype.base_dtype
        if narrow:
            x = casting.cast(x, dtypes.float32)
        if weights.dtype.base_dtype != x.dtype.base_dtype:
            weights = casting.cast(weights, x.dtype)
        total = reduction.reduce_sum(weights * x, axes, name="weighted_input_sum", keepdims=True)
        # Zeros in the shape of the input make the sum run over the elements that weights broadcast to.
        spread = weights + constants.zeros_like(x)
        divisor = reduction.reduce_sum(spread, axes, name="sum_of_weights", keepdims=True)
        mean = division.div_no_nan(total, divisor)
        deviation = elementwise.squared_difference(x, mean)
        distance = reduction.reduce_sum(
            weights * deviation, axes, name="weighted_distsq", keepdims=True
        )
        variance = division.div_no_nan(distance, divisor)
        if not keep:
            mean, variance = shaping.squeeze(mean, axes), shaping.squeeze(variance, axes)
        if narrow:
            return casting.cast(mean, kind), casting.cast(variance, kind)
        return mean, variance


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any, name: str | None = None
) -> Tensor:  # fmt: skip
    """scale * (x - mean) / sqrt(variance + variance_epsilon) + offset; offset and scale may be None."""
    with name_scope(name, "batchnorm", [x, mean, variance, scale, offset]):
        x = convert.convert_to_tensor(x)
        variance = convert.convert_to_tensor(variance)
        inverse = elementwise.rsqrt(variance + variance_epsilon)
        if scale is not None:
            inverse = inverse * scale
        scaled = x * casting.cast(inverse, x.dtype)
        shift = offset - mean * inverse if offset is not None else -mean * inverse
        return scaled + casting.cast(shift, x.dtype)


def batch_norm_with_global_normalization(
    t: Any = None, m: Any = None, v: Any = None, beta: Any = None, gamma: Any = None, variance_epsilon: Any = None,
    scale_after_normalization: Any = None, name: str | None = None, input: Any = None, mean: Any = None,
    variance: Any = None,
) -> Tensor:  # fmt: skip
    """`batch_normalization` under its first name; `gamma` counts only with `scale_after_normalization`."""
    return batch_normalization(
        _either(input, t), _either(mean, m), _either(variance, v), beta,
        gamma if scale_after_normalization else None, variance_epsilon, name,
    )  # fmt: skip


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """`x` scaled along `axis` to the Euclidean norm 1; squares below `epsilon` count as `epsilon`."""
    axis = _either(axis, dim)
    with name_scope(name, "l2_normalize", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        if x.dtype.is_complex:
            squares = elementwise.square(elementwise.abs_(x))
            total = reduction.reduce_sum(squares, axis, keepdims=True)
            inverse = elementwise.rsqrt(elementwise.maximum(total, epsilon))
            return elementwise.mul(x, casting.cast(inverse, x.dtype), name=scope)
        total = reduction.reduce_sum(elementwise.square(x), axis, keepdims=True)
        return elementwise.mul(
            x, elementwise.rsqrt(elementwise.maximum(total, epsilon)), name=scope
        )


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """Which share of the elements is zero, as float32."""
    with name_scope(name, "zero_fraction", [value]):
        value = convert.convert_to_tensor(value, name="value")
        size = shaping.size(value, out_type=dtypes.int64)
        nonzero = casting.cast(
            compare.not_equal(value, constants.zeros([], value.dtype)), dtypes.int64
        )
        zeros = size - reduction.reduce_sum(nonzero)
        return division.div(
            casting.cast(zeros, dtypes.float32),
            casting.cast(size, dtypes.float32),
            name="fraction",
        )
