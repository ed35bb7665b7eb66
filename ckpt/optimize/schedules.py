"""Learning rates that fall with the global step: tensors to hand to an optimizer. Knows no optimizer.

Formulas and names of operations are TensorFlow 1's (`tf.train.exponential_decay` and its kin).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.branches import case
from ckpt.ops import casting, compare, constants, division, elementwise


def exponential_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """learning_rate * decay_rate ** (global_step / decay_steps); `staircase` rounds the exponent down.

    Raises ValueError without a `global_step`, as all schedules do.
    """
    given_step(global_step, "exponential_decay")
    with name_scope(name, "ExponentialDecay") as scope:
        rate, dtype = initial_rate(learning_rate)
        steps = casting.cast(decay_steps, dtype)
        base = casting.cast(decay_rate, dtype)
        periods = _periods(casting.cast(global_step, dtype), steps, staircase)
        decayed: Tensor = elementwise.mul(rate, elementwise.pow_(base, periods), name=scope)
        return decayed


def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """learning_rate * exp(-decay_rate * global_step / decay_steps); `staircase` rounds the quotient down."""
    given_step(global_step, "natural_exp_decay")
    factor = elementwise.exp(elementwise.neg(decay_rate))
    return exponential_decay(learning_rate, global_step, decay_steps, factor, staircase, name)


def inverse_time_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """learning_rate / (1 + decay_rate * global_step / decay_steps); `staircase` rounds the quotient down."""
    given_step(global_step, "inverse_time_decay")
    with name_scope(name, "InverseTimeDecay") as scope:
        rate, dtype = initial_rate(learning_rate)
        steps = casting.cast(decay_steps, dtype)
        factor = casting.cast(decay_rate, dtype)
        periods = _periods(casting.cast(global_step, dtype), steps, staircase)
        one = casting.cast(constants.constant(1), dtype)
        divisor = elementwise.add(one, elementwise.mul(factor, periods, name="Mul"), name="Add")
        decayed: Tensor = division.real_div(rate, divisor, name=scope)
        return decayed


def polynomial_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> Tensor:
    """From `learning_rate` to `end_learning_rate` in `decay_steps` steps, along (1 - step / decay_steps) ** power.

    With `cycle` the rate starts again from the top, and reaches the end at the next multiple of `decay_steps`.
    """
    given_step(global_step, "polynomial_decay")
    with name_scope(name, "PolynomialDecay") as scope:
        rate, dtype = initial_rate(learning_rate)
        end = casting.cast(end_learning_rate, dtype)
        exponent = casting.cast(power, dtype)
        step = casting.cast(global_step, dtype)
        steps = casting.cast(decay_steps, dtype)
        if cycle:
            first = compare.equal(step, 0)
            rounds = compare.select_v2(first, 1.0, elementwise.ceil(step / decay_steps))
            steps = elementwise.mul(steps, rounds, name="Mul")
        else:
            step = elementwise.minimum(step, steps)
        passed = step / steps
        above = rate - end
        left = elementwise.pow_(1 - passed, exponent)
        return elementwise.add(elementwise.mul(above, left, name="Mul"), end, name=scope)


def cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Tensor:
    """From `learning_rate` to the fraction `alpha` of it along half a cosine.

    Source: Loshchilov & Hutter 2016, arXiv:1608.03983.
    """
    given_step(global_step, "cosine_decay")
    with name_scope(name, "CosineDecay"):
        rate, dtype = initial_rate(learning_rate)
        steps = casting.cast(decay_steps, dtype)
        done = elementwise.minimum(casting.cast(global_step, dtype), steps) / steps
        half_turn = constants.constant(math.pi, dtype=dtype)
        cosine = 0.5 * (1.0 + elementwise.cos(half_turn * done))
        decayed: Tensor = elementwise.mul(rate, (1 - alpha) * cosine + alpha, name="Mul")
        return decayed


def piecewise_constant(x: Any, boundaries: Any, values: Any, name: str | None = None) -> Tensor:
    """values[0] up to the first boundary (included), values[1] up to the second, the last value beyond the last.

    `x` is a scalar, often the global step. Raises ValueError unless there is one value more than boundaries, boundaries
    are of the dtype of `x` (int32 ones serve an int64 `x`) and values are of one dtype.
    """
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    x = convert.convert_to_tensor(x)
    edges = convert.convert_n_to_tensor(boundaries)
    rates = convert.convert_n_to_tensor(values)
    edges = [_edge(edge, x.dtype.base_dtype) for edge in edges]
    for rate in rates:
        if rate.dtype.base_dtype != rates[0].dtype.base_dtype:
            raise ValueError(
                "Values must have elements all with the same dtype "
                f"({rates[0].dtype.base_dtype} vs {rate.dtype.base_dtype})."
            )
    with name_scope(name, "PiecewiseConstant", [x, *edges, *rates]):
        pairs = [
            (compare.less_equal(x, edges[0]), _giving(rates[0])),
            (compare.greater(x, edges[-1]), _giving(rates[-1])),
        ]
        for low, high, rate in zip(edges[:-1], edges[1:], rates[1:-1], strict=True):
            between = compare.logical_and(
                compare.greater(x, low), compare.less_equal(x, high), name="and"
            )
            pairs.append((between, _giving(rate)))
        chosen: Tensor = case(pairs, _giving(rates[0]), exclusive=True)
        return chosen


def _giving(rate: Tensor) -> Callable[[], Tensor]:
    return lambda: rate


def _edge(edge: Tensor, dtype: DType) -> Tensor:
    """A boundary in the dtype of what is compared with it."""
    if edge.dtype.base_dtype == dtype:
        return edge
    if (edge.dtype.base_dtype, dtype) == (dtypes.int32, dtypes.int64):
        widened: Tensor = casting.cast(edge, dtype)
        return widened
    raise ValueError(
        f"Boundaries ({edge.dtype.base_dtype}) must have the same dtype as x ({dtype})."
    )


def given_step(global_step: Any, schedule: str) -> None:
    """Raise ValueError without a step."""
    if global_step is None:
        raise ValueError(f"global_step is required for {schedule}.")


def initial_rate(learning_rate: Any) -> tuple[Tensor, DType]:
    """The learning rate as a tensor, and its dtype."""
    rate = convert.convert_to_tensor(learning_rate, name="initial_learning_rate")
    return rate, rate.dtype


def _periods(step: Tensor, steps: Tensor, staircase: bool) -> Tensor:
    periods: Tensor = step / steps
    return elementwise.floor(periods) if staircase else periods
