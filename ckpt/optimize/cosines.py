"""Learning rates along cosines: with warm restarts, with a linear fall, with noise. Knows no optimizer.

Formulas and names of operations are TensorFlow 1's.
"""

from __future__ import annotations

import math
from typing import Any

from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.branches import cond
from ckpt.ops import casting, compare, constants, elementwise, random
from ckpt.optimize.schedules import given_step, initial_rate


def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Any,
    first_decay_steps: Any,
    t_mul: Any = 2.0,
    m_mul: Any = 1.0,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Tensor:
    """Half cosines one after the other, each `t_mul` times as long and `m_mul` times as high as the one before.

    The first takes `first_decay_steps` steps; each ends at the fraction `alpha` of `learning_rate`. Source: Loshchilov &
    Hutter 2016, arXiv:1608.03983.
    """
    given_step(global_step, "cosine_decay_restarts")
    with name_scope(name, "SGDRDecay", [learning_rate, global_step]) as scope:
        rate, dtype = initial_rate(learning_rate)
        first, lowest, longer, lower = (
            casting.cast(value, dtype) for value in (first_decay_steps, alpha, t_mul, m_mul)
        )
        periods = casting.cast(global_step, dtype) / first
        number, done = cond(
            compare.equal(longer, 1.0),
            lambda: _of_equal_periods(periods),
            lambda: _of_growing_periods(periods, longer),
        )
        height = lower**number
        cosine = 0.5 * height * (1.0 + elementwise.cos(_half_turn(dtype) * done))
        decayed: Tensor = elementwise.mul(rate, (1 - lowest) * cosine + lowest, name=scope)
        return decayed


def linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Tensor:
    """learning_rate * ((alpha + linear) * cosine + beta): both fall from 1 to 0 in `decay_steps` steps.

    The cosine makes `num_periods` turns meanwhile. Source: Bello et al. 2017, arXiv:1709.07417.
    """
    given_step(global_step, "linear_cosine_decay")
    with name_scope(name, "LinearCosineDecay", [learning_rate, global_step]) as scope:
        rate, dtype = initial_rate(learning_rate)
        steps, turns, least, offset = (
            casting.cast(value, dtype) for value in (decay_steps, num_periods, alpha, beta)
        )
        step = elementwise.minimum(casting.cast(global_step, dtype), steps)
        linear = (steps - step) / steps
        return _along(rate, linear, step / steps, turns, least, offset, scope)


def noisy_linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    initial_variance: Any = 1.0,
    variance_decay: Any = 0.55,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Tensor:
    """As linear_cosine_decay, with normal noise on the linear part.

    The variance of the noise is initial_variance / (1 + global_step) ** variance_decay. Source: as there.
    """
    given_step(global_step, "noisy_linear_cosine_decay")
    with name_scope(name, "NoisyLinearCosineDecay", [learning_rate, global_step]) as scope:
        rate, dtype = initial_rate(learning_rate)
        given = (decay_steps, initial_variance, variance_decay, num_periods, alpha, beta)
        steps, variance, decay, turns, least, offset = (
            casting.cast(value, dtype) for value in given
        )
        step = elementwise.minimum(casting.cast(global_step, dtype), steps)
        linear = (steps - step) / steps
        spread = elementwise.sqrt(variance / elementwise.pow_(1.0 + step, decay))
        noisy = linear + random.random_normal(linear.shape, stddev=spread, dtype=dtype)
        return _along(rate, noisy, step / steps, turns, least, offset, scope)


def _of_equal_periods(periods: Tensor) -> tuple[Tensor, Tensor]:
    number = elementwise.floor(periods)
    return number, periods - number


def _of_growing_periods(periods: Tensor, longer: Tensor) -> tuple[Tensor, Tensor]:
    """(number of the period, fraction of it that is done), from the sum of a geometric series."""
    logarithm = elementwise.log(1.0 - periods * (1.0 - longer)) / elementwise.log(longer)
    number = elementwise.floor(logarithm)
    before = (1.0 - longer**number) / (1.0 - longer)
    return number, (periods - before) / longer**number


def _along(
    rate: Tensor, linear: Tensor, done: Tensor, turns: Tensor, least: Tensor, offset: Tensor, name: str
) -> Tensor:  # fmt: skip
    fraction = 2.0 * turns * done
    cosine = 0.5 * (1.0 + elementwise.cos(_half_turn(rate.dtype) * fraction))
    decayed: Tensor = elementwise.mul(rate, (least + linear) * cosine + offset, name=name)
    return decayed


def _half_turn(dtype: Any) -> Tensor:
    """Half a turn, in radians."""
    return constants.constant(math.pi, dtype=dtype)
