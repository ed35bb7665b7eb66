"""What all distributions share: shapes, names, and every measure that follows from another. Knows none of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.ops import assertions, checking, constants, control, elementwise, joining, shaping


class ReparameterizationType:
    """Whether gradients of drawn values reach the parameters."""

    def __init__(self, rep_type: str) -> None:
        self._rep_type = rep_type

    def __repr__(self) -> str:
        return f"<Reparameterization Type: {self._rep_type}>"


FULLY_REPARAMETERIZED = ReparameterizationType("FULLY_REPARAMETERIZED")
NOT_REPARAMETERIZED = ReparameterizationType("NOT_REPARAMETERIZED")


def salted(seed: int | None, salt: str) -> int | None:
    """Another seed that follows from `seed`, as TensorFlow derives it: 31 bits of an MD5 of both."""
    if seed is None:
        return None
    digest = hashlib.md5(f"{seed}{salt}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) & 0x7FFFFFFF


def parameter(value: Any, name: str, dtype: Any = None) -> Tensor:
    """A parameter as a tensor of a floating dtype, with a name of its own."""
    tensor = convert.convert_to_tensor(
        value, dtype=dtype, name=f"{name}/input", preferred_dtype=dtypes.float32
    )
    named: Tensor = control.identity(tensor, name=name)
    return named


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor, from its `locals()` before it did anything."""
    return {key: value for key, value in values.items() if key not in ("self", "__class__")}


def positive(value: Tensor, is_checked: bool) -> Tensor:
    """`value`, which raises InvalidArgumentError when run where it is not positive, if that is checked."""
    if not is_checked:
        return value
    with control_dependencies([assertions.assert_positive(value)]):
        checked: Tensor = control.identity(value)
        return checked


class Distribution:
    """A distribution with batches of parameters.

    Drawn values have the shape `sample_shape` + `batch_shape` + `event_shape`. Methods raise NotImplementedError where the
    distribution does not define a measure. A subclass gives those that it knows as methods with an underscore.
    """

    def __init__(
        self, dtype: Any, reparameterization_type: ReparameterizationType, validate_args: bool,
        allow_nan_stats: bool, parameters: dict[str, Any], scope: str,
    ) -> None:  # fmt: skip
        self._dtype = dtypes.as_dtype(dtype)
        self._reparameterization_type = reparameterization_type
        self._validate_args = validate_args
        self._allow_nan_stats = allow_nan_stats
        self._parameters = parameters
        self._scope = scope if scope.endswith("/") else f"{scope}/"

    # What it is.

    @property
    def name(self) -> str:
        """The name of its scope, with a slash at the end."""
        return self._scope

    @property
    def dtype(self) -> Any:
        """The dtype of drawn values."""
        return self._dtype

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments that it was made with."""
        return dict(self._parameters)

    @property
    def reparameterization_type(self) -> ReparameterizationType:
        """Whether gradients of drawn values reach the parameters."""
        return self._reparameterization_type

    @property
    def validate_args(self) -> bool:
        """Whether parameters are checked when run."""
        return self._validate_args

    @property
    def allow_nan_stats(self) -> bool:
        """Whether a measure that does not exist is NaN; where not, it is an error when run."""
        return self._allow_nan_stats

    @property
    def batch_shape(self) -> TensorShape:
        """The shape of the parameters, as far as it is known."""
        return self._batch().shape

    @property
    def event_shape(self) -> TensorShape:
        """The shape of one drawn value, as far as it is known."""
        return TensorShape([])

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Tensor:
        """The shape of the parameters, as an int32 vector."""
        with self._named(name):
            return shaping.shape(self._batch())

    def event_shape_tensor(self, name: str = "event_shape_tensor") -> Tensor:
        """The shape of one drawn value, as an int32 vector."""
        with self._named(name):
            return self._event_size()

    def is_scalar_batch(self, name: str = "is_scalar_batch") -> Tensor:
        """Whether there is one set of parameters."""
        with self._named(name):
            return convert.convert_to_tensor(self.batch_shape.rank == 0, name="is_scalar_batch")

    def is_scalar_event(self, name: str = "is_scalar_event") -> Tensor:
        """Whether one drawn value is a number."""
        with self._named(name):
            return convert.convert_to_tensor(self.event_shape.rank == 0, name="is_scalar_event")

    def copy(self, **override_parameters_kwargs: Any) -> Distribution:
        """The same distribution made again, with some arguments replaced."""
        return type(self)(**{**self._parameters, **override_parameters_kwargs})

    # Drawn values.

    def sample(
        self, sample_shape: Any = (), seed: int | None = None, name: str = "sample"
    ) -> Tensor:
        """Drawn values of shape `sample_shape` + batch + event."""
        with self._named(name):
            wanted = convert.convert_to_tensor(sample_shape, dtypes.int32, name="sample_shape")
            static = TensorShape(sample_shape) if not isinstance(sample_shape, Tensor) else None
            outer = shaping.reshape(wanted, [-1])
            count = (
                constants.constant(1)
                if static is not None and static.num_elements() == 1
                else _product(outer)
            )
            drawn = self._sample_n(count, seed)
            inner = shaping.shape(drawn)[1:]
            found = shaping.reshape(drawn, joining.concat([outer, inner], 0))
            if static is not None:
                found.set_shape(static.concatenate(self.batch_shape).concatenate(self.event_shape))
            return found

    # Densities.

    def log_prob(self, value: Any, name: str = "log_prob") -> Tensor:
        """The logarithm of the density (or probability) at `value`."""
        return self._measured(name, value, ("_log_prob",), ("_prob", elementwise.log))

    def prob(self, value: Any, name: str = "prob") -> Tensor:
        """The density (or probability) at `value`."""
        return self._measured(name, value, ("_prob",), ("_log_prob", elementwise.exp))

    def cdf(self, value: Any, name: str = "cdf") -> Tensor:
        """The probability of at most `value`."""
        return self._measured(
            name, value, ("_cdf",), ("_log_cdf", elementwise.exp),
            ("_survival_function", lambda p: 1.0 - p),
        )  # fmt: skip

    def log_cdf(self, value: Any, name: str = "log_cdf") -> Tensor:
        """The logarithm of the probability of at most `value`."""
        return self._measured(name, value, ("_log_cdf",), ("_cdf", elementwise.log))

    def survival_function(self, value: Any, name: str = "survival_function") -> Tensor:
        """The probability of more than `value`."""
        return self._measured(
            name, value, ("_survival_function",), ("_log_survival_function", elementwise.exp),
            ("_cdf", lambda p: 1.0 - p), ("_log_cdf", lambda p: 1.0 - elementwise.exp(p)),
        )  # fmt: skip

    def log_survival_function(self, value: Any, name: str = "log_survival_function") -> Tensor:
        """The logarithm of the probability of more than `value`."""
        return self._measured(
            name, value, ("_log_survival_function",), ("_survival_function", elementwise.log),
            ("_cdf", lambda p: elementwise.log1p(-p)),
            ("_log_cdf", lambda p: elementwise.log1p(-elementwise.exp(p))),
        )  # fmt: skip

    def quantile(self, value: Any, name: str = "quantile") -> Tensor:
        """The value below which the probability is `value`, which lies in [0, 1]."""
        return self._measured(name, value, ("_quantile",))

    # Moments.

    def entropy(self, name: str = "entropy") -> Tensor:
        """The Shannon entropy in nats."""
        return self._moment(name, ("_entropy",))

    def mean(self, name: str = "mean") -> Tensor:
        """The mean."""
        return self._moment(name, ("_mean",))

    def mode(self, name: str = "mode") -> Tensor:
        """The most probable value."""
        return self._moment(name, ("_mode",))

    def variance(self, name: str = "variance") -> Tensor:
        """The mean squared distance from the mean."""
        return self._moment(name, ("_variance",), ("_stddev", elementwise.square))

    def stddev(self, name: str = "stddev") -> Tensor:
        """The root of the variance."""
        return self._moment(name, ("_stddev",), ("_variance", elementwise.sqrt))

    def covariance(self, name: str = "covariance") -> Tensor:
        """The covariances of the parts of a vector."""
        return self._moment(name, ("_covariance",))

    def cross_entropy(self, other: Distribution, name: str = "cross_entropy") -> Tensor:
        """The mean of -log q of values drawn from this one, with q the density of `other`."""
        with self._named(name):
            return kl_divergence(self, other) + self.entropy()

    def kl_divergence(self, other: Distribution, name: str = "kl_divergence") -> Tensor:
        """How far `other` is from this one: the mean of log p / q."""
        with self._named(name):
            return kl_divergence(self, other)

    def __repr__(self) -> str:
        return (
            f"<ckpt.distributions.{type(self).__name__} '{self.name}' batch_shape={self.batch_shape} "
            f"event_shape={self.event_shape} dtype={self.dtype.name}>"
        )

    # What a subclass gives, and how the measures are found.

    def _batch(self) -> Tensor:
        """A tensor of the shape of the batch."""
        raise NotImplementedError

    def _event_size(self) -> Tensor:
        return constants.constant([], dtypes.int32)

    def _sample_n(self, n: Tensor, seed: int | None) -> Tensor:
        """`n` drawn values: [n] + batch + event."""
        raise NotImplementedError(f"sample is not implemented: {type(self).__name__}")

    def _named(self, name: str) -> Any:
        from contextlib import ExitStack

        scopes = ExitStack()
        scopes.enter_context(name_scope(self._scope))
        scopes.enter_context(name_scope(name))
        return scopes

    def _measured(self, name: str, value: Any, *ways: Any) -> Tensor:
        with self._named(name):
            return self._first(
                name, ways, convert.convert_to_tensor(value, preferred_dtype=self.dtype)
            )

    def _moment(self, name: str, *ways: Any) -> Tensor:
        with self._named(name):
            return self._first(name, ways)

    def _first(self, name: str, ways: Any, *values: Tensor) -> Tensor:
        """By the first of `ways`, (method, what is done with its result), that this distribution has."""
        for method, *after in ways:
            function: Callable[..., Tensor] | None = getattr(self, method, None)
            if function is not None:
                found = function(*values)
                return after[0](found) if after else found
        raise NotImplementedError(f"{name} is not implemented: {type(self).__name__}")

    def _nan_where(self, is_missing: Tensor, value: Tensor, message: str) -> Tensor:
        """`value`, and NaN where it does not exist; an error when run, where NaN is not allowed."""
        from ckpt.ops import compare

        if self.allow_nan_stats:
            nothing = constants.fill(
                shaping.shape(value), constants.constant(float("nan"), value.dtype)
            )
            found: Tensor = compare.select(_spread(is_missing, value), nothing, value)
            return found
        with control_dependencies(
            [assertions.assert_equal(is_missing, constants.zeros_like(is_missing), message=message)]
        ):
            kept: Tensor = control.identity(value)
            return kept


def _spread(condition: Tensor, value: Tensor) -> Tensor:
    return shaping.broadcast_to(condition, shaping.shape(value))


def _product(sizes: Tensor) -> Tensor:
    from ckpt.ops import reduction

    return reduction.reduce_prod(sizes)


_DIVERGENCES: dict[tuple[type, type], Callable[[Any, Any, str | None], Tensor]] = {}


class RegisterKL:
    """Decorator: the divergence of two classes of distributions, a function of (a, b, name).

    Raises ValueError where one is registered.
    """

    def __init__(self, dist_cls_a: type, dist_cls_b: type) -> None:
        self._key = (dist_cls_a, dist_cls_b)

    def __call__(self, kl_fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Enter the function. Raises TypeError for what cannot be called."""
        if not callable(kl_fn):
            raise TypeError(f"kl_fn must be callable, received: {kl_fn}")
        if self._key in _DIVERGENCES:
            names = ", ".join(kind.__name__ for kind in self._key)
            raise ValueError(f"KL({names}) has already been registered")
        _DIVERGENCES[self._key] = kl_fn
        return kl_fn


def kl_divergence(
    distribution_a: Distribution,
    distribution_b: Distribution,
    allow_nan_stats: bool = True,
    name: str | None = None,
) -> Tensor:
    """The mean of log p_a / p_b of values drawn from a.

    Raises NotImplementedError where nobody registered how it is computed for these classes, or their bases.
    With `allow_nan_stats` False, NaN is an error when run.
    """
    kinds = type(distribution_a), type(distribution_b)
    pairs = ((a, b) for a in kinds[0].__mro__ for b in kinds[1].__mro__)
    function = next((_DIVERGENCES[pair] for pair in pairs if pair in _DIVERGENCES), None)
    if function is None:
        raise NotImplementedError(
            "No KL(distribution_a || distribution_b) registered for distribution_a type "
            f"{kinds[0].__name__} and distribution_b type {kinds[1].__name__}"
        )
    with name_scope(name, "KullbackLeibler"):
        found = function(distribution_a, distribution_b, name)
        if allow_nan_stats:
            return found
        checked: Tensor = checking.check_numerics(found, "KL calculation returned NaN values")
        return checked


def shape_of(n: Tensor, like: Tensor) -> Tensor:
    """The shape of `n` samples of a distribution whose batch is like that tensor."""
    return joining.concat([shaping.reshape(n, [1]), shaping.shape(like)], 0)
