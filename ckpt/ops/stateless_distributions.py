"""Gamma, Poisson and binomial values that depend on nothing but their seeds and parameters, from TensorFlow's own streams.

Source of the binomial algorithms: L. Devroye, "Non-Uniform Random Variate Generation" (1986), chapter X.4 (waiting
times), and W. Hörmann, "The generation of binomial random variates" (1993), algorithm BTRS.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op, opdef_of
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import (  # fmt: skip
    distributions,
    elementwise,
    indexing,
    random,
    reduction,
    shaping,
    special_values,
    stateless,
)
from ckpt.ops.distributions import Draws
from ckpt.ops.random import RESERVED, Philox

KINDS = distributions.GAMMA | INDEX
RESERVED_WHERE_RARE = 42
"""How many groups of words a binomial value owns that is found by waiting times."""
SHAPE = Attr("type", allowed=INDEX)
SEED = Attr("type", dtypes.int64, INDEX)


def _drawn(stream: Philox, shape: Any, parameters: list[Any], kind: Any, values_of: Any, groups_of: Any = None) -> Any:  # fmt: skip
    """An array of `shape`, which ends with that of the parameters; `values_of(draws, *numbers)` gives all values.

    `groups_of(*numbers)` is how many groups of words each value owns.
    """
    sizes = random.checked_sizes(shape)
    numbers = np.broadcast_arrays(*(np.asarray(p, np.float64) for p in parameters))
    own = numbers[0].shape
    if own and sizes[-len(own) :] != own:
        raise InvalidArgumentError(
            None, None, f"Shape passed in must end with broadcasted shape. {list(sizes)} does not end with {list(own)}"
        )  # fmt: skip
    count = int(np.prod(sizes, dtype=np.int64)) // max(1, numbers[0].size)
    flat = [np.repeat(n.reshape(-1), count) for n in numbers]
    groups = RESERVED if groups_of is None else groups_of(*flat)
    found = values_of(Draws(stream, stream.position, len(flat[0]), groups), *flat)
    return found.reshape(-1, count).T.astype(kind).reshape(sizes)


def _sized(shape, *_):
    return [constant_value_as_shape(shape)]


@op(
    "StatelessRandomGammaV2", "shape: T, seed: Tseed, alpha: dtype -> output: dtype",
    dtype=distributions.GAMMA, T=SHAPE, Tseed=SEED,
)  # fmt: skip
def gamma_op(shape, seed, alpha):
    """Gamma values with the shape parameters `alpha` and rate 1; `shape` ends with that of `alpha`."""
    stream = stateless.seeded(seed)
    return _drawn(stream, shape, [alpha], alpha.dtype, distributions.gamma_values)


@op(
    "StatelessRandomGammaV3", "shape: shape_dtype, key: uint64, counter: uint64, alg: int32, alpha: dtype "
    "-> output: dtype",
    dtype=distributions.GAMMA, shape_dtype=Attr("type", dtypes.int32, INDEX),
)  # fmt: skip
def gamma_v3_op(shape, key, counter, alg, alpha):
    """The same from the place of a stream that key and counter say."""
    stream = stateless.keyed(key, counter, alg)
    return _drawn(stream, shape, [alpha], alpha.dtype, distributions.gamma_values)


@gamma_op.grad
@gamma_v3_op.grad
def gamma_gradient(node, dy):
    """The gradient by `alpha`, through the values (implicit reparameterization)."""
    *others, alpha = node.inputs
    (samples,) = node.outputs
    moved = dy * distributions.random_gamma_grad(alpha, samples)
    added = shaping.rank(samples) - shaping.rank(alpha)
    return [*[None] * len(others), reduction.reduce_sum(moved, indexing.range_(added))]


@op(
    "StatelessRandomPoisson", "shape: T, seed: Tseed, lam: Rtype -> output: dtype",
    Rtype=KINDS, dtype=Attr("type", allowed=KINDS), T=SHAPE, Tseed=SEED,
)  # fmt: skip
def poisson_op(shape, seed, rate, *, dtype):
    """Poisson values of the rates `lam`; `shape` ends with that of `lam`."""
    stream = stateless.seeded(seed)
    return _drawn(stream, shape, [rate], dtype.as_numpy_dtype, distributions.poisson_values)


def _is_rare(count: Any, share: Any) -> Any:
    """Whether fewer than ten successes, or failures, are expected."""
    return count * np.minimum(share, 1 - share) < 10


def _waited(draws: Any, count: Any, share: Any, left: Any, found: Any) -> None:
    """How many successes there are in `count` trials, by how long each is waited for."""
    gone = np.zeros(count.shape)
    found[left] = -1
    while left.size:
        found[left] += 1
        u = draws.take(random.uniform_values, left)
        with np.errstate(divide="ignore"):  # a success that never comes
            gone[left] += np.ceil(np.log(u) / np.log1p(-share[left]))
        left = left[gone[left] <= count[left]]


def _tail(k: Any) -> Any:
    """log k! beyond Stirling's formula."""
    return special_values.lgamma_values(k + 1) - (
        (k + 0.5) * np.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi)
    )


def _rejected(draws: Any, count: Any, share: Any, left: Any, found: Any) -> None:
    """How many successes there are in `count` trials, by rejection (BTRS)."""
    while left.size:
        n, p = count[left], share[left]
        deviation = np.sqrt(n * p * (1 - p))
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p
        alpha, mode, odds = (2.83 + 5.1 / b) * deviation, np.floor((n + 1) * p), p / (1 - p)
        u = draws.take(random.uniform_values, left) - 0.5
        v = draws.take(random.uniform_values, left)
        near = 0.5 - np.abs(u)
        with np.errstate(all="ignore"):  # what is out of range is not taken
            k = np.floor((2 * a / near + b) * u + n * p + 0.5)
            limit = (
                (mode + 0.5) * np.log((mode + 1) / (odds * (n - mode + 1)))
                + (n + 1) * np.log((n - mode + 1) / (n - k + 1))
                + (k + 0.5) * np.log(odds * (n - k + 1) / (k + 1))
                + _tail(mode) + _tail(n - mode) - _tail(k) - _tail(n - k)
            )  # fmt: skip
            is_below = np.log(v * alpha / (a / (near * near) + b)) <= limit
        is_taken = (near >= 0.07) & (v <= 0.92 - 4.2 / b)
        is_taken |= (k >= 0) & (k <= n) & is_below
        found[left[is_taken]] = k[is_taken]
        left = left[~is_taken]


def _binomial(draws: Any, count: Any, share: Any) -> Any:
    lesser, found = np.minimum(share, 1 - share), np.full(count.shape, np.nan)
    is_drawn = (count > 0) & (share > 0) & (share < 1)
    rare = _is_rare(count, share)
    _waited(draws, count, lesser, np.flatnonzero(is_drawn & rare), found)
    _rejected(draws, count, lesser, np.flatnonzero(is_drawn & ~rare), found)
    found = np.where(share > 0.5, count - found, found)
    found = np.where((count <= 0) | (share <= 0), 0.0, np.where(share >= 1, np.maximum(count, 0), found))  # fmt: skip
    return np.where(np.isnan(count) | np.isnan(share), np.nan, found)


def _binomial_groups(count: Any, share: Any) -> Any:
    return np.where(_is_rare(count, share), RESERVED_WHERE_RARE, RESERVED)


@op(
    "StatelessRandomBinomial", "shape: S, seed: Tseed, counts: T, probs: T -> output: dtype",
    S=SHAPE, Tseed=SEED, T=Attr("type", dtypes.float64, KINDS), dtype=Attr("type", dtypes.int64, KINDS),
)  # fmt: skip
def binomial_op(shape, seed, counts, probs, *, dtype):
    """How many of `counts` trials succeed that each do with probability `probs`; `shape` ends with that of both."""
    return _drawn(
        stateless.seeded(seed), shape, [counts, probs], dtype.as_numpy_dtype, _binomial, _binomial_groups
    )  # fmt: skip


for _opdef in (gamma_op, gamma_v3_op, poisson_op, binomial_op):
    _opdef.shape(_sized)
for _opdef in (poisson_op, binomial_op):
    _opdef.no_gradient("whole numbers have no derivative")


def stateless_gamma(
    shape: Any, seed: Any, alpha: Any, beta: Any = None, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:  # fmt: skip
    """Gamma values of shape parameter `alpha` and rate `beta` (1) that depend on `seed`, two integers, alone.

    `shape` ends with the shape that `alpha` and `beta` broadcast to. Gradients reach `alpha` and `beta`.
    """
    with name_scope(name, "stateless_random_gamma", [shape, seed, alpha, beta]) as scope:
        del scope
        shape = random.shape_tensor(shape)
        alpha = convert.convert_to_tensor(alpha, dtype=dtype, name="alpha")
        beta = convert.convert_to_tensor(1 if beta is None else beta, dtype=dtype, name="beta")
        common = opdef_of("BroadcastArgs")(shaping.shape(alpha), shaping.shape(beta))
        alpha = shaping.broadcast_to(alpha, common)
        kind = alpha.dtype.base_dtype
        least = np.finfo(kind.as_numpy_dtype).tiny
        key, counter = opdef_of("StatelessRandomGetKeyCounter")(seed)
        values = gamma_v3_op(shape, key, counter, stateless.PHILOX, alpha)
        found: Tensor = elementwise.maximum(np.asarray(least, kind.as_numpy_dtype), values / beta)
        return found


def stateless_poisson(
    shape: Any, seed: Any, lam: Any, dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """Poisson values of rate `lam` that depend on `seed`, two integers, alone; `shape` ends with the shape of `lam`."""
    with name_scope(name, "stateless_random_poisson", [shape, seed, lam]):
        found: Tensor = poisson_op(random.shape_tensor(shape), seed, lam, dtype=dtype)
        return found


def stateless_binomial(
    shape: Any, seed: Any, counts: Any, probs: Any, output_dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:  # fmt: skip
    """How many of `counts` trials succeed that each do with probability `probs`, by `seed`, two integers, alone.

    `shape` ends with the shape that `counts` and `probs` broadcast to.
    """
    with name_scope(name, "stateless_random_binomial", [shape, seed, counts, probs]):
        shape = random.shape_tensor(shape)
        probs = convert.convert_to_tensor(probs, preferred_dtype=dtypes.float32, name="probs")
        counts = convert.convert_to_tensor(counts, dtype=probs.dtype, name="counts")
        found: Tensor = binomial_op(shape, seed, counts, probs, dtype=output_dtype)
        return found
