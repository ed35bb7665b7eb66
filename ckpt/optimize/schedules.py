"""Learning rates that fall with the global step: tensors to hand to an optimizer. Knows no optimizer.

Formulas and names of operations are TensorFlow 1's (`tf.train.exponential_decay` and its kin).
"""

from __future__ import annotations

import math
from typing import Any

from ckpt.core.dtypes import DType
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import compare, constants, elementwise


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
    _require(global_step, "exponential_decay")
    with name_scope(name, "ExponentialDecay") as scope:
        rate, dtype = _rate(learning_rate)
        steps = elementwise.cast(decay_steps, dtype)
        base = elementwise.cast(decay_rate, dtype)
        periods = _periods(elementwise.cast(global_step, dtype), steps, staircase)
        return elementwise.mul(rate, elementwise.pow_(base, periods), name=scope)


def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """learning_rate * exp(-decay_rate * global_step / decay_steps); `staircase` rounds the quotient down."""
    _require(global_step, "natural_exp_decay")
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
    _require(global_step, "inverse_time_decay")
    with name_scope(name, "InverseTimeDecay") as scope:
        rate, dtype = _rate(learning_rate)
        steps = elementwise.cast(decay_steps, dtype)
        factor = elementwise.cast(decay_rate, dtype)
        periods = _periods(elementwise.cast(global_step, dtype), steps, staircase)
        one = elementwise.cast(constants.constant(1), dtype)
        divisor = elementwise.add(one, elementwise.mul(factor, periods, name="Mul"), name="Add")
        return elementwise.real_div(rate, divisor, name=scope)


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
    _require(global_step, "polynomial_decay")
    with name_scope(name, "PolynomialDecay") as scope:
        rate, dtype = _rate(learning_rate)
        end = elementwise.cast(end_learning_rate, dtype)
        exponent = elementwise.cast(power, dtype)
        step = elementwise.cast(global_step, dtype)
        steps = elementwise.cast(decay_steps, dtype)
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
    _require(global_step, "cosine_decay")
    with name_scope(name, "CosineDecay"):
        rate, dtype = _rate(learning_rate)
        steps = elementwise.cast(decay_steps, dtype)
        done = elementwise.minimum(elementwise.cast(global_step, dtype), steps) / steps
        half_turn = constants.constant(math.pi, dtype=dtype)
        cosine = 0.5 * (1.0 + elementwise.cos(half_turn * done))
        return elementwise.mul(rate, (1 - alpha) * cosine + alpha, name="Mul")


def _require(global_step: Any, schedule: str) -> None:
    if global_step is None:
        raise ValueError(f"global_step is required for {schedule}.")


def _rate(learning_rate: Any) -> tuple[Tensor, DType]:
    rate = convert.convert_to_tensor(learning_rate, name="initial_learning_rate")
    return rate, rate.dtype


def _periods(step: Tensor, steps: Tensor, staircase: bool) -> Tensor:
    periods = step / steps
    return elementwise.floor(periods) if staircase else periods
