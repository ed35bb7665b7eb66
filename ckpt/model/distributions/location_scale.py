"""Distributions of numbers around a middle: normal, Laplace, Student's t. Formulas: Johnson, Kotz, Balakrishnan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.distributions.base import (
    FULLY_REPARAMETERIZED,
    Distribution,
    RegisterKL,
    arguments,
    parameter,
    positive,
    salted,
    shape_of,
)
from ckpt.ops import (
    compare,
    constants,
    elementwise,
    shaping,
    special,
)
from ckpt.ops.distributions import random_gamma
from ckpt.ops.elementwise import abs_, exp, log, log1p, rsqrt, sign, square
from ckpt.ops.random import random_normal, random_uniform


class _LocationScale(Distribution):
    """Distributions of `loc` + `scale` times a standard value."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool,
        allow_nan_stats: bool,
        name: str,
        given: Any,
    ) -> None:
        with name_scope(name, values=[loc, scale]) as scope:
            self._loc = parameter(loc, "loc")
            self._scale = positive(
                parameter(scale, "scale", self._loc.dtype.base_dtype), validate_args
            )
        super().__init__(
            self._loc.dtype.base_dtype,
            FULLY_REPARAMETERIZED,
            validate_args,
            allow_nan_stats,
            given,
            scope,
        )

    @property
    def loc(self) -> Tensor:
        """The middle."""
        return self._loc

    @property
    def scale(self) -> Tensor:
        """The spread."""
        return self._scale

    def _batch(self) -> Tensor:
        return self._loc + self._scale

    def _mean(self) -> Tensor:
        return self._loc * constants.ones_like(self._scale)

    def _mode(self) -> Tensor:
        return self._mean()

    def _z(self, x: Tensor) -> Tensor:
        return (x - self._loc) / self._scale


class Normal(_LocationScale):
    """The normal distribution with mean `loc` and standard deviation `scale`."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Normal",
    ) -> None:
        super().__init__(loc, scale, validate_args, allow_nan_stats, name, arguments(locals()))

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        drawn = random_normal(shape_of(n, self._batch()), dtype=self.dtype, seed=seed)
        return drawn * self._scale + self._loc

    def _log_prob(self, x: Tensor) -> Tensor:
        return -0.5 * square(self._z(x)) - (0.5 * math.log(2 * math.pi) + log(self._scale))

    def _cdf(self, x: Tensor) -> Tensor:
        return ndtr(self._z(x))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return log_ndtr(self._z(x))

    def _survival_function(self, x: Tensor) -> Tensor:
        return ndtr(-self._z(x))

    def _log_survival_function(self, x: Tensor) -> Tensor:
        return log_ndtr(-self._z(x))

    def _quantile(self, p: Tensor) -> Tensor:
        return special.ndtri(p) * self._scale + self._loc

    def _entropy(self) -> Tensor:
        spread = self._scale * constants.ones_like(self._loc)
        return 0.5 * math.log(2 * math.pi) + 0.5 + log(spread)

    def _stddev(self) -> Tensor:
        return self._scale * constants.ones_like(self._loc)


def ndtr(x: Tensor) -> Tensor:
    """The standard normal distribution function."""
    return 0.5 * special.erfc(-math.sqrt(0.5) * x)


def log_ndtr(x: Tensor) -> Tensor:
    """Its logarithm; far below zero by the asymptotic series (Abramowitz and Stegun 26.2.12)."""
    far = -20.0 if x.dtype.size > 4 else -10.0
    inner = log(ndtr(elementwise.maximum(x, far)))
    z = elementwise.minimum(x, far)
    series, term = constants.ones_like(z), constants.ones_like(z)
    for i in range(1, 6):
        term = -term * (2 * i - 1) / square(z)
        series += term
    outer = -0.5 * square(z) - log(-z) - 0.5 * math.log(2 * math.pi) + log(series)
    found: Tensor = compare.select(compare.greater(x, far), inner, outer)
    return found


@RegisterKL(Normal, Normal)
def _kl_normal(a: Normal, b: Normal, name: str | None = None) -> Tensor:
    ratio = square(a._scale) / square(b._scale)
    return square(a._loc - b._loc) / (2.0 * square(b._scale)) + 0.5 * (ratio - 1.0 - log(ratio))


class Laplace(_LocationScale):
    """The double exponential distribution around `loc` with mean distance `scale`."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Laplace",
    ) -> None:
        super().__init__(loc, scale, validate_args, allow_nan_stats, name, arguments(locals()))

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        kind = self.dtype.as_numpy_dtype
        drawn = random_uniform(
            shape_of(n, self._batch()), np.nextafter(kind(-1), kind(0)), 1.0, self.dtype, seed=seed
        )
        return self._loc - self._scale * sign(drawn) * log1p(-abs_(drawn))

    def _log_prob(self, x: Tensor) -> Tensor:
        return -abs_(self._z(x)) - math.log(2.0) - log(self._scale)

    def _cdf(self, x: Tensor) -> Tensor:
        z = self._z(x)
        return 0.5 - 0.5 * sign(z) * elementwise.expm1(-abs_(z))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return _log_laplace(self._z(x))

    def _survival_function(self, x: Tensor) -> Tensor:
        z = self._z(x)
        return 0.5 + 0.5 * sign(z) * elementwise.expm1(-abs_(z))

    def _log_survival_function(self, x: Tensor) -> Tensor:
        return _log_laplace(-self._z(x))

    def _entropy(self) -> Tensor:
        return math.log(2.0) + 1.0 + log(self._scale * constants.ones_like(self._loc))

    def _stddev(self) -> Tensor:
        return math.sqrt(2.0) * self._scale * constants.ones_like(self._loc)


def _log_laplace(z: Tensor) -> Tensor:
    below = z - math.log(2.0)
    above = log1p(-0.5 * exp(-abs_(z)))
    found: Tensor = compare.select(compare.less(z, 0.0), below, above)
    return found


class StudentT(Distribution):
    """Student's t distribution with `df` degrees of freedom, moved by `loc` and stretched by |scale|."""

    def __init__(
        self, df: Any, loc: Any, scale: Any, validate_args: bool = False, allow_nan_stats: bool = True,
        name: str = "StudentT",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name, values=[df, loc, scale]) as scope:
            self._df = positive(parameter(df, "df"), validate_args)
            kind = self._df.dtype.base_dtype
            self._loc = parameter(loc, "loc", kind)
            self._scale = parameter(scale, "scale", kind)
        super().__init__(kind, FULLY_REPARAMETERIZED, validate_args, allow_nan_stats, given, scope)

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self._df

    @property
    def loc(self) -> Tensor:
        """The middle."""
        return self._loc

    @property
    def scale(self) -> Tensor:
        """The spread."""
        return self._scale

    def _batch(self) -> Tensor:
        return self._df + self._loc + self._scale

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        normal = random_normal(shape_of(n, self._batch()), dtype=self.dtype, seed=seed)
        df = self._df * constants.ones_like(self._batch())
        gamma = random_gamma(
            shaping.reshape(n, [1]),
            0.5 * df,
            beta=0.5,
            dtype=self.dtype,
            seed=salted(seed, "student_t"),
        )
        return normal * rsqrt(gamma / df) * self._scale + self._loc

    def _log_prob(self, x: Tensor) -> Tensor:
        z = (x - self._loc) / self._scale
        return -0.5 * (self._df + 1.0) * log1p(square(z) / self._df) - (
            log(abs_(self._scale)) + 0.5 * log(self._df) + 0.5 * math.log(math.pi)
            + special.lgamma(0.5 * self._df) - special.lgamma(0.5 * (self._df + 1.0))
        )  # fmt: skip

    def _cdf(self, x: Tensor) -> Tensor:
        z = (x - self._loc) / abs_(self._scale)
        tail = 0.5 * special.betainc(
            0.5 * self._df * constants.ones_like(z),
            0.5 * constants.ones_like(z),
            self._df / (square(z) + self._df),
        )
        found: Tensor = compare.select(compare.less(z, 0.0), tail, 1.0 - tail)
        return found

    def _entropy(self) -> Tensor:
        half, next_half = 0.5 * self._df, 0.5 * (self._df + 1.0)
        beta = special.lgamma(half) + math.lgamma(0.5) - special.lgamma(half + 0.5)
        return (
            log(abs_(self._scale)) + 0.5 * log(self._df) + beta
            + next_half * (special.digamma(next_half) - special.digamma(half))
        ) * constants.ones_like(self._batch())  # fmt: skip

    def _mean(self) -> Tensor:
        mean = self._loc * constants.ones_like(self._batch())
        return self._nan_where(
            compare.less_equal(self._df, 1.0), mean, "mean not defined for components of df <= 1"
        )

    def _mode(self) -> Tensor:
        return self._loc * constants.ones_like(self._batch())

    def _variance(self) -> Tensor:
        df = self._df * constants.ones_like(self._batch())
        many = compare.greater(df, 2.0)
        safe = compare.select(many, df - 2.0, constants.ones_like(df))
        infinite = constants.fill(shaping.shape(df), constants.constant(np.inf, self.dtype))
        variance = compare.select(many, square(self._scale) * df / safe, infinite)
        return self._nan_where(
            compare.less_equal(df, 1.0), variance, "variance not defined for components of df <= 1"
        )
