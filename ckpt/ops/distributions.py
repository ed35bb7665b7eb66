"""Gamma, Poisson and multinomial values from TensorFlow's own streams, and random crops.

Each output value owns RESERVED groups of words, so that its value depends on no other's. Source of the algorithms:
Marsaglia and Tsang 2000 (gamma), Knuth and Hörmann 1993 "PTRS" (Poisson), as TensorFlow's core/kernels/random_op.cc,
random_poisson_op.cc and multinomial_op.cc use them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.ops import (
    checking,
    compare,
    constants,
    control,
    elementwise,
    indexing,
    joining,
    random,
    reduction,
    shaping,
    slicing,
    special_values,
)
from ckpt.ops.families import broadcast_shape
from ckpt.ops.random import RESERVED, Philox

GAMMA = frozenset({dtypes.float16, dtypes.float32, dtypes.float64})
POISSON = GAMMA | INDEX
SEEDS = {"seed": 0, "seed2": 0}
DIRECT_BELOW = 10
"""From this rate on Poisson values come by rejection, below it by multiplying uniform values."""


class Draws:
    """The values of many outputs at once: of each, pairs of float64 from its own groups, each pair used from behind.

    Each output owns `groups` groups of words: one number, or one for each.
    """

    def __init__(self, stream: Philox, start: int, count: int, groups: Any = RESERVED) -> None:
        self._stream = stream
        self._start = start
        self._next = np.arange(count, dtype=np.uint64) * np.asarray(groups, np.uint64)
        self._kept: dict[Any, tuple[Any, Any]] = {}

    def take(self, kind: Any, rows: Any) -> Any:
        """The next value of a distribution (`random.uniform_values` or `normal_values`) for each output of `rows`."""
        if kind not in self._kept:
            count = len(self._next)
            self._kept[kind] = np.empty(count), np.zeros(count, bool)
        kept, is_kept = self._kept[kind]
        fresh = rows[~is_kept[rows]]
        found = kept[rows]
        pairs = kind(self._stream.words(self._start, self._next[fresh]), np.dtype(np.float64))
        found[~is_kept[rows]] = pairs[:, 1]
        is_kept[rows] = False
        kept[fresh], is_kept[fresh] = pairs[:, 0], True
        self._next[fresh] += np.uint64(1)
        return found


def _outer_shape(shape: Tensor, parameter: Tensor) -> list[Any]:
    return [constant_value_as_shape(shape).concatenate(parameter.shape)]


def _sampled(ctx, shape, parameter, seed, seed2, kind, values_of):
    """An array of shape `shape` + the parameter's; `values_of(draws, parameters)` gives all values."""
    sizes = tuple(int(v) for v in shape)
    if any(size < 0 for size in sizes):
        raise InvalidArgumentError(None, None, f"Dimensions must be >= 0, got {list(sizes)}")
    count = int(np.prod(sizes, dtype=np.int64))
    flat = np.asarray(parameter, np.float64).reshape(-1)
    stream = random.stream_of(ctx, seed, seed2)
    start = stream.reserve(count * flat.size * RESERVED)
    found = values_of(Draws(stream, start, flat.size * count), np.repeat(flat, count))
    rows = found.reshape(flat.size, count).T
    return rows.astype(kind).reshape(*sizes, *np.shape(parameter))


def gamma_values(draws, alpha):
    """Marsaglia and Tsang's method, for all outputs that have no value yet at once."""
    found = np.empty(alpha.shape)
    d = alpha + np.where(alpha < 1, 2 / 3, -1 / 3)
    c = 1 / 3 / np.sqrt(d)
    one = np.flatnonzero(alpha == 1)
    found[one] = -np.log1p(-draws.take(random.uniform_values, one))
    left = np.flatnonzero(alpha != 1)
    while left.size:
        x = draws.take(random.normal_values, left)
        v = 1 + c[left] * x
        possible = v > 0
        rows, x, v = left[possible], x[possible], v[possible] ** 3
        u = draws.take(random.uniform_values, rows)
        with np.errstate(divide="ignore"):  # the logarithm of 0 is below everything
            taken = (u < 1 - 0.0331 * (x * x) * (x * x)) | (
                np.log(u) < 0.5 * x * x + d[rows] * (1 - v + np.log(v))
            )
        found[rows[taken]] = d[rows[taken]] * v[taken]
        left = np.setdiff1d(left, rows[taken], assume_unique=True)
    small = np.flatnonzero(alpha < 1)
    found[small] *= draws.take(random.uniform_values, small) ** (1 / alpha[small])
    return found


def poisson_values(draws, rate):
    """A value of each rate, no number where it is negative or not finite."""
    found = np.full(rate.shape, np.nan)
    known = np.isfinite(rate) & (rate >= 0)
    _poisson_by_products(draws, rate, np.flatnonzero(known & (rate < DIRECT_BELOW)), found)
    _poisson_by_rejection(draws, rate, np.flatnonzero(known & (rate >= DIRECT_BELOW)), found)
    return found


def _poisson_by_products(draws, rate, left, found):
    """As many uniform values as keep their product above exp(-rate)."""
    limit = np.exp(-rate)
    product = np.ones(rate.shape)
    product[left] = draws.take(random.uniform_values, left)
    found[left] = 0
    while True:
        left = left[product[left] > limit[left]]
        if not left.size:
            return
        found[left] += 1
        product[left] *= draws.take(random.uniform_values, left)


def _poisson_by_rejection(draws, rate, left, found):
    """Transformed rejection with squeeze: PTRS."""
    while left.size:
        r = rate[left]
        b = 0.931 + 2.53 * np.sqrt(r)
        a = -0.059 + 0.02483 * b
        inverse = 1.1239 + 1.1328 / (b - 3.4)
        u = draws.take(random.uniform_values, left) - 0.5
        v = draws.take(random.uniform_values, left)
        us = 0.5 - np.abs(u)
        with np.errstate(divide="ignore", invalid="ignore"):
            k = np.floor((2 * a / us + b) * u + r + 0.43)
            taken = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
            open_ = ~taken & (k >= 0) & ~((us < 0.013) & (v > us))
            gap = np.log(v * inverse / (a / (us * us) + b)) + r - k * np.log(r)
        taken[open_] = gap[open_] <= -_log_factorial(k[open_])
        found[left[taken]] = k[taken]
        left = left[~taken]


_log_factorial = np.vectorize(lambda k: math.lgamma(k + 1), otypes=[float])


@op("RandomGamma", "shape: S, alpha: T -> output: T", S=INDEX, T=GAMMA, **SEEDS)
def random_gamma_op(ctx, shape, alpha, *, seed, seed2):
    """Gamma values with the shape parameters `alpha` and rate 1: `shape` of them for each alpha."""
    return _sampled(ctx, shape, alpha, seed, seed2, alpha.dtype, gamma_values)


@op(
    "RandomPoissonV2", "shape: S, rate: R -> output: dtype", S=INDEX, R=Attr("type", dtypes.float64, POISSON),
    dtype=Attr("type", dtypes.int64, POISSON), **SEEDS,
)  # fmt: skip
def random_poisson_op(ctx, shape, rate, *, seed, seed2, dtype):
    """Poisson values: `shape` of them for each rate."""
    return _sampled(ctx, shape, rate, seed, seed2, dtype.as_numpy_dtype, poisson_values)


random_gamma_op.shape(_outer_shape)
random_poisson_op.shape(_outer_shape)
random_poisson_op.no_gradient("whole numbers have no derivative")


@op(
    "RandomGammaGrad",
    "alpha: T, sample: T -> output: T",
    T=frozenset({dtypes.float32, dtypes.float64}),
)
def random_gamma_grad(alpha, sample):
    """How a gamma value moves with its `alpha`: -(dP / d alpha) / (dP / d sample), with P the distribution function.

    Source: Figurnov, Mohamed and Mnih 2018, "Implicit reparameterization gradients".
    """
    a, x = np.broadcast_arrays(alpha.astype(np.float64), sample.astype(np.float64))
    density = np.exp((a - 1) * np.log(x) - x - np.vectorize(math.lgamma, otypes=[float])(a))
    return (-special_values.igamma_grad_a_values(a, x) / density).astype(alpha.dtype)


random_gamma_grad.shape(broadcast_shape)
random_gamma_grad.no_gradient(UNDEFINED)


@random_gamma_op.grad
def random_gamma_gradient(node, dy):
    shape, alpha = node.inputs
    (samples,) = node.outputs
    added = shaping.size(shape)
    ones = constants.fill([added], 1)
    aligned = shaping.reshape(alpha, joining.concat([ones, shaping.shape(alpha)], 0))
    moved = dy * random_gamma_grad(aligned, samples)
    return [None, reduction.reduce_sum(moved, indexing.range_(added))]


@op(
    "Multinomial", "logits: T, num_samples: int32 -> output: output_dtype", T=REAL,
    output_dtype=Attr("type", dtypes.int64, INDEX), **SEEDS,
)  # fmt: skip
def multinomial_op(ctx, logits, num_samples, *, seed, seed2, output_dtype):
    """For each row of unnormalised log-probabilities as many classes, drawn independently."""
    rows, count = drawn_shape(logits, num_samples)
    stream = random.stream_of(ctx, seed, seed2)
    start = stream.reserve(rows * (-(-count // 4) * 4) * 2 * RESERVED)
    return drawn_classes(logits, count, stream, start, output_dtype.as_numpy_dtype)


def drawn_shape(logits, num_samples) -> tuple[int, int]:
    """(rows, samples of each). Raises InvalidArgumentError where nothing can be drawn."""
    count = int(num_samples)
    if logits.ndim != 2 or count < 0 or (logits.shape[1] == 0 and logits.shape[0]):
        raise InvalidArgumentError(
            None, None, f"logits should be a matrix with at least one class and num_samples >= 0, got "
            f"{list(logits.shape)} and {count}"
        )  # fmt: skip
    return logits.shape[0], count


def drawn_classes(logits, count: int, stream: random.Philox, start: int, kind):
    """`count` classes for each row of unnormalised log-probabilities, from the uniform values of a stream."""
    rows = logits.shape[0]
    groups = -(-rows * count // 2)
    unit = random.uniform_values(
        stream.words(start, np.arange(groups, dtype=np.uint64)), np.dtype(np.float64)
    )
    wide = np.asarray(logits, np.float64)
    finite = np.isfinite(wide)
    top = np.max(wide, axis=1, keepdims=True, where=finite, initial=-np.inf)
    total = np.cumsum(np.where(finite, np.exp(wide - top), 0), axis=1)
    found = np.empty((rows, count), kind)
    for row, (sums, units) in enumerate(
        zip(total, unit.reshape(-1)[: rows * count].reshape(rows, count), strict=True)
    ):
        found[row] = np.searchsorted(sums, units * sums[-1], side="right")
    return found


@multinomial_op.shape
def multinomial_shape(logits, num_samples):
    count = constant_value(num_samples)
    return [(logits.shape.with_rank(2).sizes[0], None if count is None else int(count))]


multinomial_op.no_gradient("whole numbers have no derivative")


def _seeds(seed: int | None) -> Any:
    return random.seeds_of(seed)


def multinomial(
    logits: Any,
    num_samples: Any,
    seed: int | None = None,
    name: str | None = None,
    output_dtype: Any = None,
) -> Tensor:
    """`num_samples` classes for each row of unnormalised log-probabilities [batch, classes]."""
    with name_scope(name, "multinomial", [logits]):
        logits = convert.convert_to_tensor(logits, name="logits")
        found: Tensor = multinomial_op(
            logits, num_samples, output_dtype=output_dtype or dtypes.int64, **_seeds(seed)
        )
        return found


def categorical(
    logits: Any,
    num_samples: Any,
    dtype: Any = None,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """For each row of unnormalised log-probabilities [batch, classes] `num_samples` classes (int64 where not said)."""
    with name_scope(name, "categorical", [logits]):
        kind = dtypes.int64 if dtype is None else dtype
        found: Tensor = multinomial_op(logits, num_samples, output_dtype=kind, **_seeds(seed))
        return found


def random_gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = dtypes.float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Gamma values: `shape` of them for each pair of `alpha` and the rate `beta`, which broadcast."""
    with name_scope(name, "random_gamma", [shape, alpha, beta]):
        shape = convert.convert_to_tensor(shape, name="shape", dtype=dtypes.int32)
        alpha = convert.convert_to_tensor(alpha, name="alpha", dtype=dtype)
        beta = convert.convert_to_tensor(1 if beta is None else beta, name="beta", dtype=dtype)
        wide = alpha + constants.zeros_like(beta)
        tiny = np.finfo(np.dtype(dtypes.as_dtype(dtype).as_numpy_dtype)).tiny
        return elementwise.maximum(tiny, random_gamma_op(shape, wide, **_seeds(seed)) / beta)


def random_poisson(
    lam: Any,
    shape: Any,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Poisson values: `shape` of them for each rate `lam`."""
    with name_scope(name, "random_poisson", [lam, shape]):
        shape = convert.convert_to_tensor(shape, name="shape", dtype=dtypes.int32)
        found: Tensor = random_poisson_op(shape, lam, dtype=dtype, **_seeds(seed))
        return found


def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """A part of `value` of this size at a random place. Raises InvalidArgumentError when it is larger than the value."""
    with name_scope(name, "random_crop", [value, size]) as scope:
        value = convert.convert_to_tensor(value, name="value")
        size = convert.convert_to_tensor(size, dtype=dtypes.int32, name="size")
        whole = shaping.shape(value)
        fits = reduction.reduce_all(compare.greater_equal(whole, size))
        said = ["Need value.shape >= size, got ", whole, size]
        with control_dependencies([checking.Assert(fits, said)]):
            whole = control.identity(whole, name="control_dependency")
        limit = whole - size + 1
        offset = (
            random.random_uniform(
                shaping.shape(whole), dtype=size.dtype, maxval=size.dtype.max, seed=seed
            )
            % limit
        )
        return slicing.slice_(value, offset, size, name=scope)
