"""Dropout: elements zeroed at random while training. Functions only, no operation types of its own."""

from __future__ import annotations

import numbers
from typing import Any

from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import compare, constants, division, elementwise, random, shaping


def dropout(
    x: Any, keep_prob: Any = None, noise_shape: Any = None, seed: int | None = None, name: str | None = None,
    rate: Any = None,
) -> Tensor:  # fmt: skip
    """`x` with each element zeroed with the probability `rate` (1 - `keep_prob`), the others scaled up to the same sum.

    Axes where `noise_shape` is 1 are kept or dropped as a whole. Raises ValueError for a rate outside [0, 1), for
    both or neither of `rate` and `keep_prob`, and for integers.
    """
    if keep_prob is not None and rate is not None:
        raise ValueError("Cannot specify both 'rate' and 'keep_prob'")
    if keep_prob is None and rate is None:
        raise ValueError("You must provide a rate to dropout.")
    if rate is None:
        if isinstance(keep_prob, numbers.Real) and not 0 < float(keep_prob) <= 1:
            raise ValueError(
                f"`keep_prob` must be a scalar tensor or a float in the range (0, 1], got {keep_prob}"
            )
        try:
            rate = 1.0 - keep_prob
        except TypeError:
            raise ValueError(
                f"`keep_prob` must be a floating point number or Tensor, got {keep_prob!r}"
            ) from None
    return dropout_v2(x, rate, noise_shape, seed, name)


def dropout_v2(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """`dropout` by its rate alone."""
    with name_scope(name, "dropout", [x]):
        is_number = isinstance(rate, numbers.Real)
        if is_number and not 0 <= rate < 1:
            raise ValueError(
                f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}"
            )
        x = convert.convert_to_tensor(x, name="x")
        if not x.dtype.is_floating:
            raise ValueError(
                "`x.dtype` must be a floating point tensor as `x` will be scaled. "
                f"Received: x.dtype={x.dtype}"
            )
        if is_number and rate == 0:
            return x
        if is_number:
            scaled = elementwise.mul(
                x, constants.constant(1 / (1 - _rounded(rate, x)), dtype=x.dtype.base_dtype)
            )
        else:
            rate = convert.convert_to_tensor(
                rate, dtype=None if isinstance(rate, Tensor) else x.dtype, name="rate"
            )
            if not TensorShape(rate.shape).is_compatible_with(()):
                raise ValueError(f"`rate` must be a scalar tensor, got shape {rate.shape}")
            if rate.dtype.base_dtype != x.dtype.base_dtype:
                if not rate.dtype.is_compatible_with(x.dtype):
                    raise ValueError(
                        f"`x` has dtype {x.dtype.name} and `rate` {rate.dtype.name}; they must be the same"
                    )
            one = constants.constant(1, dtype=rate.dtype.base_dtype)
            scaled = division.real_div(x, elementwise.sub(one, rate))
        noise = random.random_uniform(_noise_shape(x, noise_shape), seed=seed, dtype=x.dtype)
        kept = compare.greater_equal(noise, rate)
        found = compare.select_v2(kept, scaled, constants.constant(0, dtype=x.dtype.base_dtype))
        found.set_shape(x.shape)
        return found


def _rounded(rate: float, x: Tensor) -> float:
    """The rate as the dtype of `x` knows it."""
    return float(x.dtype.base_dtype.as_numpy_dtype(rate))


def _noise_shape(x: Tensor, noise_shape: Any) -> Any:
    """The shape of the random values: that of `x` where nothing else is said, or where an axis says None."""
    if noise_shape is None:
        return shaping.shape(x)
    try:
        given = as_shape(noise_shape)
    except (TypeError, ValueError):
        return noise_shape
    if (
        x.shape.sizes is not None
        and given.sizes is not None
        and len(given.sizes) == len(x.shape.sizes)
    ):
        sizes = [s if g is None else g for s, g in zip(x.shape.sizes, given.sizes, strict=True)]
        return sizes if None not in sizes else noise_shape
    return noise_shape
