"""Distributions of counts and classes, and the Dirichlet distribution of probabilities. Formulas: Johnson, Kotz, Balakrishnan."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.model.distributions.base import (
    FULLY_REPARAMETERIZED,
    NOT_REPARAMETERIZED,
    Distribution,
    RegisterKL,
    arguments,
    parameter,
    positive,
    salted,
    shape_of,
)
from ckpt.ops import (
    activation,
    assertions,
    casting,
    compare,
    constants,
    control,
    elementwise,
    indexing,
    joining,
    reduction,
    shaping,
    special,
)
from ckpt.ops.distributions import multinomial, random_gamma
from ckpt.ops.elementwise import exp, log, log1p
from ckpt.ops.random import random_uniform


def _logits_and_probs(
    logits: Any, probs: Any, is_vector: bool, is_checked: bool
) -> tuple[Tensor, Tensor]:
    """Both forms of probabilities, of which one is given. Raises ValueError where none or both are."""
    if (logits is None) == (probs is None):
        raise ValueError("Must pass probs or logits, but not both.")
    if logits is not None:
        logits = parameter(logits, "logits")
        with name_scope("probs"):
            return logits, activation.softmax(logits) if is_vector else elementwise.sigmoid(logits)
    probs = parameter(probs, "probs")
    if is_checked:
        one = constants.constant(1.0, probs.dtype.base_dtype)
        checks = [assertions.assert_non_negative(probs)]
        checks += (
            [
                assertions.assert_near(
                    reduction.reduce_sum(probs, -1), one, message="probs does not sum to 1."
                )
            ]
            if is_vector
            else [
                assertions.assert_less_equal(
                    probs, one, message="probs has components greater than 1."
                )
            ]
        )
        with control_dependencies(checks):
            probs = control.identity(probs)
    with name_scope("logits"):
        return log(probs) if is_vector else log(probs) - log1p(-probs), probs


class Bernoulli(Distribution):
    """0 or 1: 1 with probability `probs`, or sigmoid(`logits`)."""

    def __init__(
        self, logits: Any = None, probs: Any = None, dtype: Any = dtypes.int32, validate_args: bool = False,
        allow_nan_stats: bool = True, name: str = "Bernoulli",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name) as scope:
            self._logits, self._probs = _logits_and_probs(logits, probs, False, validate_args)
        super().__init__(dtype, NOT_REPARAMETERIZED, validate_args, allow_nan_stats, given, scope)

    @property
    def logits(self) -> Tensor:
        """The logarithm of the odds of 1."""
        return self._logits

    @property
    def probs(self) -> Tensor:
        """The probability of 1."""
        return self._probs

    def _batch(self) -> Tensor:
        return self._logits

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        shape = shape_of(n, self._logits)
        uniform = random_uniform(shape, seed=seed, dtype=self._probs.dtype.base_dtype)
        return casting.cast(compare.less(uniform, self._probs), self.dtype)

    def _log_prob(self, x: Tensor) -> Tensor:
        happened = casting.cast(x, self._logits.dtype.base_dtype)
        return happened * self._logits - activation.softplus(self._logits)

    def _entropy(self) -> Tensor:
        return -self._logits * (elementwise.sigmoid(self._logits) - 1.0) + activation.softplus(
            -self._logits
        )

    def _mean(self) -> Tensor:
        found: Tensor = control.identity(self._probs)
        return found

    def _variance(self) -> Tensor:
        return self._mean() * (1.0 - self._probs)

    def _mode(self) -> Tensor:
        return casting.cast(compare.greater(self._probs, 0.5), self.dtype)


@RegisterKL(Bernoulli, Bernoulli)
def _kl_bernoulli(a: Bernoulli, b: Bernoulli, name: str | None = None) -> Tensor:
    def gain(sign: float) -> Tensor:
        found: Tensor = activation.softplus(sign * b._logits) - activation.softplus(
            sign * a._logits
        )
        return found

    return elementwise.sigmoid(a._logits) * gain(-1.0) + elementwise.sigmoid(-a._logits) * gain(1.0)


class Categorical(Distribution):
    """One of k classes, with probabilities `probs` or softmax(`logits`): [..., k]."""

    def __init__(
        self, logits: Any = None, probs: Any = None, dtype: Any = dtypes.int32, validate_args: bool = False,
        allow_nan_stats: bool = True, name: str = "Categorical",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name) as scope:
            self._logits, self._probs = _logits_and_probs(logits, probs, True, validate_args)
        super().__init__(dtype, NOT_REPARAMETERIZED, validate_args, allow_nan_stats, given, scope)

    @property
    def event_size(self) -> Tensor:
        """How many classes there are, a scalar int32."""
        return shaping.shape(self._logits)[-1]

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities, up to a constant: [..., k]."""
        return self._logits

    @property
    def probs(self) -> Tensor:
        """The probabilities: [..., k]."""
        return self._probs

    def _batch(self) -> Tensor:
        return self._logits[..., 0]

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        flat = shaping.reshape(self._logits, joining.stack([-1, self.event_size]))
        drawn = shaping.transpose(multinomial(flat, n, seed=seed), [1, 0])
        shape = shape_of(n, self._batch())
        return casting.cast(shaping.reshape(drawn, shape), self.dtype)

    def _chosen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The classes of `x` one-hot, and the logits, in one shape."""
        hot = indexing.one_hot(
            casting.cast(x, dtypes.int32), self.event_size, dtype=self._logits.dtype.base_dtype
        )
        return hot, self._logits + constants.zeros_like(hot)

    def _log_prob(self, x: Tensor) -> Tensor:
        hot, logits = self._chosen(x)
        normal = activation.log_softmax(logits)
        kept = compare.select(compare.greater(hot, 0.0), normal, constants.zeros_like(normal))
        return reduction.reduce_sum(kept, -1)

    def _cdf(self, x: Tensor) -> Tensor:
        """The probability of less than x, as TensorFlow counts."""
        classes = indexing.range_(self.event_size)
        below = compare.less(classes, shaping.expand_dims(casting.cast(x, dtypes.int32), -1))
        return reduction.reduce_sum(
            self._probs * casting.cast(below, self._probs.dtype.base_dtype), -1
        )

    def _entropy(self) -> Tensor:
        normal = activation.log_softmax(self._logits)
        return -reduction.reduce_sum(elementwise.mul(exp(normal), normal), -1)

    def _mode(self) -> Tensor:
        return casting.cast(reduction.argmax(self._logits, -1), self.dtype)


@RegisterKL(Categorical, Categorical)
def _kl_categorical(a: Categorical, b: Categorical, name: str | None = None) -> Tensor:
    distance = activation.log_softmax(a._logits) - activation.log_softmax(b._logits)
    return reduction.reduce_sum(activation.softmax(a._logits) * distance, -1)


class _Vectors(Distribution):
    """Distributions of vectors [k], whose parameters are [..., k]."""

    def _vectors(self) -> Tensor:
        raise NotImplementedError

    def _batch(self) -> Tensor:
        return self._vectors()[..., 0]

    @property
    def event_shape(self) -> TensorShape:
        """[k], as far as it is known."""
        return self._vectors().shape[-1:]

    def _event_size(self) -> Tensor:
        return shaping.shape(self._vectors())[-1:]

    def _variance(self) -> Tensor:
        from ckpt.ops import diagonals

        return diagonals.matrix_diag_part(self._covariance())

    def _covariance(self) -> Tensor:
        raise NotImplementedError


def _covariances(mean: Tensor, share: Tensor, factor: Tensor) -> Tensor:
    """factor * (diag(mean) - mean shareᵀ)."""
    from ckpt.ops import diagonals, matmul

    outer = matmul.matmul(shaping.expand_dims(mean, -1), shaping.expand_dims(share, -2))
    inner = diagonals.matrix_diag(mean) - outer
    return inner * shaping.expand_dims(shaping.expand_dims(factor, -1), -1)


class Dirichlet(_Vectors):
    """Probabilities of k classes, with weights `concentration`: [..., k]."""

    def __init__(
        self,
        concentration: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Dirichlet",
    ) -> None:
        given = arguments(locals())
        with name_scope(name, values=[concentration]) as scope:
            self._concentration = positive(parameter(concentration, "concentration"), validate_args)
            self._total = reduction.reduce_sum(self._concentration, -1)
        super().__init__(
            self._concentration.dtype.base_dtype,
            FULLY_REPARAMETERIZED,
            validate_args,
            allow_nan_stats,
            given,
            scope,
        )

    @property
    def concentration(self) -> Tensor:
        """The weights: [..., k]."""
        return self._concentration

    @property
    def total_concentration(self) -> Tensor:
        """The sums of the weights."""
        return self._total

    def _vectors(self) -> Tensor:
        return self._concentration

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        gamma = random_gamma(
            shaping.reshape(n, [1]), self._concentration, dtype=self.dtype, seed=seed
        )
        return gamma / reduction.reduce_sum(gamma, -1, keepdims=True)

    def _log_prob(self, x: Tensor) -> Tensor:
        weighted = reduction.reduce_sum((self._concentration - 1.0) * log(x), -1)
        return weighted - special.lbeta(self._concentration)

    def _entropy(self) -> Tensor:
        k = casting.cast(shaping.shape(self._concentration)[-1], self.dtype)
        a = self._concentration
        return (
            special.lbeta(a) + (self._total - k) * special.digamma(self._total)
            - reduction.reduce_sum((a - 1.0) * special.digamma(a), -1)
        )  # fmt: skip

    def _mean(self) -> Tensor:
        return self._concentration / shaping.expand_dims(self._total, -1)

    def _covariance(self) -> Tensor:
        return _covariances(self._mean(), self._mean(), 1.0 / (1.0 + self._total))

    def _mode(self) -> Tensor:
        k = casting.cast(shaping.shape(self._concentration)[-1], self.dtype)
        mode = (self._concentration - 1.0) / shaping.expand_dims(self._total - k, -1)
        low = reduction.reduce_any(compare.less_equal(self._concentration, 1.0), -1, keepdims=True)
        return self._nan_where(low, mode, "Mode undefined when any concentration <= 1")


@RegisterKL(Dirichlet, Dirichlet)
def _kl_dirichlet(a: Dirichlet, b: Dirichlet, name: str | None = None) -> Tensor:
    p, q = a._concentration, b._concentration
    distance = special.digamma(p) - special.digamma(shaping.expand_dims(a._total, -1))
    return reduction.reduce_sum((p - q) * distance, -1) - special.lbeta(p) + special.lbeta(q)


class Multinomial(_Vectors):
    """How often each of k classes comes in `total_count` draws, with probabilities `probs` or softmax(`logits`)."""

    def __init__(
        self, total_count: Any, logits: Any = None, probs: Any = None, validate_args: bool = False,
        allow_nan_stats: bool = True, name: str = "Multinomial",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name) as scope:
            self._total_count = parameter(total_count, "total_count")
            if validate_args:
                with control_dependencies([assertions.assert_non_negative(self._total_count)]):
                    self._total_count = control.identity(self._total_count)
            self._logits, self._probs = _logits_and_probs(logits, probs, True, validate_args)
            self._mean_value = self._probs * shaping.expand_dims(self._total_count, -1)
        super().__init__(
            self._probs.dtype.base_dtype,
            NOT_REPARAMETERIZED,
            validate_args,
            allow_nan_stats,
            given,
            scope,
        )

    @property
    def total_count(self) -> Tensor:
        """How many draws there are."""
        return self._total_count

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities, up to a constant: [..., k]."""
        return self._logits

    @property
    def probs(self) -> Tensor:
        """The probabilities: [..., k]."""
        return self._probs

    def _vectors(self) -> Tensor:
        return self._mean_value

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        counts = self._total_count + constants.zeros_like(self._mean_value[..., 0])
        logits = self._logits + constants.zeros_like(self._mean_value)
        return drawn_counts(n, counts, logits, self.dtype, seed)

    def _log_prob(self, x: Tensor) -> Tensor:
        weighted = reduction.reduce_sum(x * activation.log_softmax(self._logits), -1)
        return weighted + log_combinations(self._total_count, x)

    def _mean(self) -> Tensor:
        found: Tensor = control.identity(self._mean_value)
        return found

    def _covariance(self) -> Tensor:
        share = self._probs + constants.zeros_like(self._mean_value)
        return _covariances(self._mean_value, share, constants.ones_like(self._mean_value[..., 0]))


class DirichletMultinomial(_Vectors):
    """Counts in `total_count` draws, whose probabilities are drawn from a Dirichlet distribution: [..., k]."""

    def __init__(
        self, total_count: Any, concentration: Any, validate_args: bool = False, allow_nan_stats: bool = True,
        name: str = "DirichletMultinomial",
    ) -> None:  # fmt: skip
        given = arguments(locals())
        with name_scope(name, values=[total_count, concentration]) as scope:
            self._total_count = parameter(total_count, "total_count")
            self._concentration = positive(parameter(concentration, "concentration"), validate_args)
            self._total = reduction.reduce_sum(self._concentration, -1)
        super().__init__(
            self._concentration.dtype.base_dtype,
            NOT_REPARAMETERIZED,
            validate_args,
            allow_nan_stats,
            given,
            scope,
        )

    @property
    def total_count(self) -> Tensor:
        """How many draws there are."""
        return self._total_count

    @property
    def concentration(self) -> Tensor:
        """The weights: [..., k]."""
        return self._concentration

    @property
    def total_concentration(self) -> Tensor:
        """The sums of the weights."""
        return self._total

    def _vectors(self) -> Tensor:
        return self._mean()

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        gamma = random_gamma(
            shaping.reshape(n, [1]), self._concentration, dtype=self.dtype, seed=seed
        )
        counts = self._total_count + constants.zeros_like(gamma[..., 0])
        one = constants.constant(1)
        return drawn_counts(
            one, counts, log(gamma), self.dtype, salted(seed, "dirichlet_multinomial")
        )[0]

    def _log_prob(self, x: Tensor) -> Tensor:
        found = special.lbeta(self._concentration + x) - special.lbeta(self._concentration)
        return found + log_combinations(self._total_count, x)

    def _mean(self) -> Tensor:
        share = self._concentration / shaping.expand_dims(self._total, -1)
        return shaping.expand_dims(self._total_count, -1) * share

    def _covariance(self) -> Tensor:
        share = self._concentration / shaping.expand_dims(self._total, -1)
        factor = (self._total_count + self._total) / (1.0 + self._total)
        return _covariances(self._mean(), share, factor)


def drawn_counts(n: Tensor, counts: Tensor, logits: Tensor, dtype: Any, seed: int | None) -> Tensor:
    """How often each class is drawn, `counts` times from `logits` [..., k]: [n, ..., k]."""
    classes = shaping.shape(logits)[-1]
    flat = shaping.reshape(logits, joining.stack([-1, classes]))
    wanted = shaping.reshape(counts, [-1, 1, 1])
    most = casting.cast(reduction.reduce_max(counts), dtypes.int32)
    drawn = shaping.reshape(multinomial(flat, n * most, seed=seed), joining.stack([-1, n, most]))
    is_counted = compare.less(casting.cast(indexing.range_(most), counts.dtype), wanted)
    hot = indexing.one_hot(drawn, classes, dtype=dtype)
    kept = hot * shaping.expand_dims(casting.cast(is_counted, dtype), -1)
    found = shaping.transpose(reduction.reduce_sum(kept, 2), [1, 0, 2])
    return shaping.reshape(found, shape_of(n, logits))


def log_combinations(n: Tensor, counts: Tensor) -> Tensor:
    """The logarithm of n! / (counts[..., 0]! ... counts[..., k - 1]!)."""
    return special.lgamma(n + 1.0) - reduction.reduce_sum(special.lgamma(counts + 1.0), -1)
