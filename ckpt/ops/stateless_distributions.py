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
from ckpt.ops import distributions, elementwise, indexing, random, reduction, shaping, stateless
from ckpt.ops.random import RESERVED, Philox

KINDS = distributions.GAMMA | INDEX
RESERVED_WHERE_RARE = 42
"""How many groups of words a binomial value owns that is found by waiting times."""
SHAPE = Attr("type", allowed=INDEX)
SEED = Attr("type", dtypes.int64, INDEX)


def _drawn(stream: Philox, shape: Any, parameters: list[Any], kind: Any, value_of: Any, reserved: Any) -> Any:  # fmt: skip
    """An array of `shape`, which ends with that of the parameters; `value_of(draws, *numbers)` gives each value."""
    sizes = random.checked_sizes(shape)
    numbers = np.broadcast_arrays(*(np.asarray(p, np.float64) for p in parameters))
    own = numbers[0].shape
    if own and sizes[-len(own) :] != own:
        raise InvalidArgumentError(
            None, None, f"Shape passed in must end with broadcasted shape. {list(sizes)} does not end with {list(own)}"
        )  # fmt: skip
    flat = list(zip(*(n.reshape(-1).tolist() for n in numbers), strict=True))
    count = int(np.prod(sizes, dtype=np.int64)) // max(1, len(flat))
    found = np.empty((count, len(flat)), np.float64)
    for place, given in enumerate(flat):
        step = reserved(*given)
        for sample in range(count):
            draws = distributions.Draws(stream, stream.position + step * (place * count + sample))
            found[sample, place] = value_of(draws, *given)
    return found.astype(kind).reshape(sizes)


def _always(*_: float) -> int:
    return RESERVED


def _sized(shape, *_):
    return [constant_value_as_shape(shape)]


@op(
    "StatelessRandomGammaV2", "shape: T, seed: Tseed, alpha: dtype -> output: dtype",
    dtype=distributions.GAMMA, T=SHAPE, Tseed=SEED,
)  # fmt: skip
def gamma_op(shape, seed, alpha):
    """Gamma values with the shape parameters `alpha` and rate 1; `shape` ends with that of `alpha`."""
    stream = stateless.seeded(seed)
    return _drawn(stream, shape, [alpha], alpha.dtype, distributions.gamma_value, _always)


@op(
    "StatelessRandomGammaV3", "shape: shape_dtype, key: uint64, counter: uint64, alg: int32, alpha: dtype "
    "-> output: dtype",
    dtype=distributions.GAMMA, shape_dtype=Attr("type", dtypes.int32, INDEX),
)  # fmt: skip
def gamma_v3_op(shape, key, counter, alg, alpha):
    """The same from the place of a stream that key and counter say."""
    stream = stateless.keyed(key, counter, alg)
    return _drawn(stream, shape, [alpha], alpha.dtype, distributions.gamma_value, _always)


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
    return _drawn(stream, shape, [rate], dtype.as_numpy_dtype, distributions.poisson_value, _always)


def _is_rare(count: float, share: float) -> bool:
    """Whether fewer than ten successes, or failures, are expected."""
    return count * min(share, 1 - share) < 10


def _waited(draws: Any, count: float, share: float) -> int:
    """How many successes there are in `count` trials, by how long each is waited for."""
    gone, found = 0, 0
    while True:
        u = draws.take(random.uniform_values)
        gone += math.ceil(math.log(u) / math.log1p(-share)) if u else count + 1
        if gone > count:
            return found
        found += 1


def _tail(k: float) -> float:
    """log k! beyond Stirling's formula."""
    return math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))  # fmt: skip


def _rejected(draws: Any, count: float, share: float) -> float:
    """How many successes there are in `count` trials, by rejection (BTRS)."""
    deviation = math.sqrt(count * share * (1 - share))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * share
    centre, least, odds = count * share + 0.5, 0.92 - 4.2 / b, share / (1 - share)
    alpha, mode = (2.83 + 5.1 / b) * deviation, math.floor((count + 1) * share)
    while True:
        u = draws.take(random.uniform_values) - 0.5
        v = draws.take(random.uniform_values)
        near = 0.5 - abs(u)
        k = math.floor((2 * a / near + b) * u + centre) if near else -1
        if near >= 0.07 and v <= least:
            return k
        if k < 0 or k > count or not v:
            continue
        limit = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + _tail(mode) + _tail(count - mode) - _tail(k) - _tail(count - k)
        )  # fmt: skip
        if math.log(v * alpha / (a / (near * near) + b)) <= limit:
            return k


def _binomial(draws: Any, count: float, share: float) -> float:
    if math.isnan(count) or math.isnan(share):
        return math.nan
    if count <= 0 or share <= 0:
        return 0
    if share >= 1:
        return count
    lesser = min(share, 1 - share)
    found = _waited(draws, count, lesser) if _is_rare(count, share) else _rejected(draws, count, lesser)  # fmt: skip
    return found if share <= 0.5 else count - found


def _binomial_groups(count: float, share: float) -> int:
    return RESERVED_WHERE_RARE if _is_rare(count, share) else RESERVED


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
