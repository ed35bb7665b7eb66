"""Distributions of numbers in a range: uniform, gamma, exponential, beta. Formulas: Johnson, Kotz, Balakrishnan."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
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
    assertions,
    compare,
    constants,
    control,
    elementwise,
    shaping,
    special,
)
from ckpt.ops.distributions import random_gamma
from ckpt.ops.division import div_no_nan
from ckpt.ops.elementwise import log, log1p, sqrt, square
from ckpt.ops.random import random_uniform


class Uniform(Distribution):
    """Every value from `low` up to, but not including, `high` alike."""

    def __init__(
        self, low: Any = 0.0, high: Any = 1.0, validate_args: bool = False, allow_nan_stats: bool = True,
        name: str = "Uniform",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name, values=[low, high]) as scope:
            self._low = parameter(low, "low")
            self._high = parameter(high, "high", self._low.dtype.base_dtype)
            if validate_args:
                ordered = assertions.assert_less(
                    self._low, self._high, message="uniform not defined when low >= high."
                )
                with control_dependencies([ordered]):
                    self._low, self._high = (
                        control.identity(self._low),
                        control.identity(self._high),
                    )
        super().__init__(
            self._low.dtype.base_dtype,
            FULLY_REPARAMETERIZED,
            validate_args,
            allow_nan_stats,
            given,
            scope,
        )

    @property
    def low(self) -> Tensor:
        """The lower end."""
        return self._low

    @property
    def high(self) -> Tensor:
        """The upper end."""
        return self._high

    def range(self, name: str = "range") -> Tensor:
        """`high` - `low`."""
        with self._named(name):
            return self._high - self._low

    def _batch(self) -> Tensor:
        return self._low + self._high

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        drawn = random_uniform(shape_of(n, self._batch()), dtype=self.dtype, seed=seed)
        return self._low + (self._high - self._low) * drawn

    def _prob(self, x: Tensor) -> Tensor:
        inside = compare.logical_and(
            compare.greater_equal(x, self._low), compare.less(x, self._high)
        )
        density = constants.ones_like(x) / (self._high - self._low)
        found: Tensor = compare.select(inside, density, constants.zeros_like(density))
        return found

    def _cdf(self, x: Tensor) -> Tensor:
        share = (x - self._low) / (self._high - self._low)
        return elementwise.minimum(elementwise.maximum(share, 0.0), 1.0)

    def _entropy(self) -> Tensor:
        return log(self._high - self._low)

    def _mean(self) -> Tensor:
        return (self._low + self._high) / 2.0

    def _variance(self) -> Tensor:
        return square(self._high - self._low) / 12.0


class Gamma(Distribution):
    """The gamma distribution of shape `concentration` and `rate`."""

    def __init__(
        self, concentration: Any, rate: Any, validate_args: bool = False, allow_nan_stats: bool = True,
        name: str = "Gamma",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name, values=[concentration, rate]) as scope:
            self._concentration = positive(parameter(concentration, "concentration"), validate_args)
            kind = self._concentration.dtype.base_dtype
            self._rate = positive(parameter(rate, "rate", kind), validate_args)
        super().__init__(kind, FULLY_REPARAMETERIZED, validate_args, allow_nan_stats, given, scope)

    @property
    def concentration(self) -> Tensor:
        """The shape."""
        return self._concentration

    @property
    def rate(self) -> Tensor:
        """The inverse scale."""
        return self._rate

    def _batch(self) -> Tensor:
        return self._concentration + self._rate

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        return random_gamma(
            shaping.reshape(n, [1]),
            self._concentration,
            beta=self._rate,
            dtype=self.dtype,
            seed=seed,
        )

    def _log_prob(self, x: Tensor) -> Tensor:
        whole = special.lgamma(self._concentration) - self._concentration * log(self._rate)
        return (self._concentration - 1.0) * log(x) - self._rate * x - whole

    def _cdf(self, x: Tensor) -> Tensor:
        return special.igamma(self._concentration, self._rate * x)

    def _entropy(self) -> Tensor:
        a = self._concentration
        return a - log(self._rate) + special.lgamma(a) + (1.0 - a) * special.digamma(a)

    def _mean(self) -> Tensor:
        return self._concentration / self._rate

    def _variance(self) -> Tensor:
        return self._concentration / square(self._rate)

    def _stddev(self) -> Tensor:
        return sqrt(self._concentration) / self._rate

    def _mode(self) -> Tensor:
        mode = (self._concentration - 1.0) / self._rate
        return self._nan_where(
            compare.less_equal(self._concentration, 1.0),
            mode,
            "mode not defined when any concentration <= 1",
        )


class Exponential(Gamma):
    """The exponential distribution: `gamma` with concentration 1."""

    def __init__(
        self,
        rate: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Exponential",
    ) -> None:
        given = arguments(locals())
        tensor = parameter(rate, "rate")
        super().__init__(constants.ones_like(tensor), tensor, validate_args, allow_nan_stats, name)
        self._parameters = given

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        least = np.finfo(self.dtype.as_numpy_dtype).tiny
        drawn = random_uniform(shape_of(n, self._rate), least, 1.0, self.dtype, seed=seed)
        return -log(drawn) / self._rate


@RegisterKL(Gamma, Gamma)
def _kl_gamma(a: Gamma, b: Gamma, name: str | None = None) -> Tensor:
    p, q = a._concentration, b._concentration
    return (
        (p - q) * special.digamma(p) + special.lgamma(q) - special.lgamma(p)
        + q * log(a._rate) - q * log(b._rate) + p * (b._rate / a._rate - 1.0)
    )  # fmt: skip


class Beta(Distribution):
    """The beta distribution of x in (0, 1): x**(concentration1 - 1) * (1 - x)**(concentration0 - 1)."""

    def __init__(
        self, concentration1: Any = None, concentration0: Any = None, validate_args: bool = False,
        allow_nan_stats: bool = True, name: str = "Beta",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name, values=[concentration1, concentration0]) as scope:
            self._concentration1 = positive(
                parameter(concentration1, "concentration1"), validate_args
            )
            kind = self._concentration1.dtype.base_dtype
            self._concentration0 = positive(
                parameter(concentration0, "concentration0", kind), validate_args
            )
            self._total = self._concentration1 + self._concentration0
        super().__init__(kind, FULLY_REPARAMETERIZED, validate_args, allow_nan_stats, given, scope)

    @property
    def concentration1(self) -> Tensor:
        """The weight of 1."""
        return self._concentration1

    @property
    def concentration0(self) -> Tensor:
        """The weight of 0."""
        return self._concentration0

    @property
    def total_concentration(self) -> Tensor:
        """The sum of both weights."""
        return self._total

    def _batch(self) -> Tensor:
        return self._total

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        ones = constants.ones_like(self._total)
        count = shaping.reshape(n, [1])
        one = random_gamma(count, ones * self._concentration1, dtype=self.dtype, seed=seed)
        other = random_gamma(
            count, ones * self._concentration0, dtype=self.dtype, seed=salted(seed, "beta")
        )
        return one / (one + other)

    def _log_beta(self) -> Tensor:
        return (
            special.lgamma(self._concentration1)
            + special.lgamma(self._concentration0)
            - special.lgamma(self._total)
        )

    def _log_prob(self, x: Tensor) -> Tensor:
        return (
            (self._concentration1 - 1.0) * log(x)
            + (self._concentration0 - 1.0) * log1p(-x)
            - self._log_beta()
        )

    def _cdf(self, x: Tensor) -> Tensor:
        ones = constants.ones_like(x + self._total)
        return special.betainc(self._concentration1 * ones, self._concentration0 * ones, x * ones)

    def _entropy(self) -> Tensor:
        one, other = self._concentration1, self._concentration0
        return (
            self._log_beta() - (one - 1.0) * special.digamma(one) - (other - 1.0) * special.digamma(other)
            + (self._total - 2.0) * special.digamma(self._total)
        )  # fmt: skip

    def _mean(self) -> Tensor:
        return self._concentration1 / self._total

    def _variance(self) -> Tensor:
        return self._mean() * (1.0 - self._mean()) / (1.0 + self._total)

    def _mode(self) -> Tensor:
        mode = div_no_nan(self._concentration1 - 1.0, self._total - 2.0)
        low = compare.logical_or(
            compare.less_equal(self._concentration1, 1.0),
            compare.less_equal(self._concentration0, 1.0),
        )
        return self._nan_where(low, mode, "Mode undefined for concentration <= 1.")


@RegisterKL(Beta, Beta)
def _kl_beta(a: Beta, b: Beta, name: str | None = None) -> Tensor:
    def distance(function: Any) -> Tensor:
        of_a, of_b = function(a), function(b)
        found: Tensor = (of_b - of_a) * special.digamma(of_a)
        return found

    of_one, of_other, of_total = (
        distance(lambda d, key=key: getattr(d, key))
        for key in ("_concentration1", "_concentration0", "_total")
    )
    return b._log_beta() - a._log_beta() - of_one - of_other + of_total
