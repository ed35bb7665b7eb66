"""Random values that depend on nothing but their seeds: the same seeds give the same numbers, run after run.

The streams are those of `ckpt.ops.random` (Philox4x32-10). A seed is two numbers; the cipher itself, under a fixed
key, scrambles them into the key and the upper half of the counter of the stream that is drawn from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX, REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import OpDef, op, opdef_of
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.ops import distributions, elementwise, random
from ckpt.ops.random import Philox

SCRAMBLER = 0x02461E293EC8F720
"""The key under which seeds are enciphered (TensorFlow's value; its outputs are compared in tests)."""

PHILOX = 1
"""TensorFlow's number of the algorithm."""

NUMBER = Attr("type", dtypes.int32, INDEX)
SEED = Attr("type", dtypes.int64, INDEX)
WHOLE = INDEX | {dtypes.uint32, dtypes.uint64}
KEYED = "shape: Tshape, key: uint64, counter: uint64, alg: int32"


def key_and_counter(seed) -> tuple[int, int]:
    """(key, upper half of the counter) of the stream that a seed of two numbers names."""
    if np.shape(seed) != (2,):
        raise InvalidArgumentError(
            None, None, f"seed must have shape [2], not {list(np.shape(seed))}"
        )
    low, high = (int(v) & (2**64 - 1) for v in np.asarray(seed).tolist())
    words = Philox.at(SCRAMBLER, low | high << 64).words(low | high << 64, np.zeros(1, np.uint64))
    a, b, c, d = (int(w) for w in words[:, 0])
    return a | b << 32, c | d << 32


def seeded(seed) -> Philox:
    """The stream that a seed of two numbers names."""
    key, counter = key_and_counter(seed)
    return Philox.at(key, counter << 64)


def keyed(key, counter, alg) -> Philox:
    """The stream that key and counter name."""
    if np.shape(key) != (1,) or np.ndim(counter) != 1 or len(counter) < 2:
        raise InvalidArgumentError(
            None, None, f"key must have shape [1] and counter at least 2 elements, got {list(np.shape(key))} and "
            f"{list(np.shape(counter))}"
        )  # fmt: skip
    if int(alg) not in (PHILOX, 3):
        raise InvalidArgumentError(
            None, None, f"Unsupported algorithm id: {int(alg)}. Only Philox ({PHILOX}) is there"
        )
    return Philox.at(int(key[0]), int(counter[0]) | int(counter[1]) << 64)


def _drawn(stream: Philox, shape, kind, distribution):
    return random.filled(
        stream, stream.position, random.checked_sizes(shape), kind,
        lambda s, start, groups: distribution(s, start, groups, kind),
    )  # fmt: skip


def _of_words(distribution):
    """A distribution that needs the words of its own group alone."""
    return lambda stream, start, groups, kind: distribution(stream.words(start, groups), kind)


@op(
    "StatelessRandomGetKeyCounter", "seed: Tseed -> key: uint64, counter: uint64", Tseed=SEED
)  # fmt: skip
def get_key_counter_op(seed):
    """The key [1] and the counter [2] of the stream that a seed names."""
    key, counter = key_and_counter(seed)
    return np.array([key], np.uint64), np.array([0, counter], np.uint64)


@op(
    "StatelessRandomGetKeyCounterAlg", "seed: Tseed -> key: uint64, counter: uint64, alg: int32",
    Tseed=SEED,
)  # fmt: skip
def get_key_counter_alg_op(seed):
    """The key [1] and the counter [2] of the stream that a seed names, and the number of the algorithm."""
    return (*get_key_counter_op.kernel(seed), np.int32(PHILOX))


@op("StatelessRandomGetAlg", "-> alg: int32")
def get_alg_op():
    """The number of the algorithm: Philox."""
    return np.int32(PHILOX)


get_key_counter_op.shape(lambda seed: [(1,), *_two_numbers(seed)])
get_key_counter_alg_op.shape(lambda seed: [(1,), *_two_numbers(seed), ()])
get_alg_op.shape(lambda: [()])
get_alg_op.stateful()
for _opdef in (get_key_counter_op, get_key_counter_alg_op, get_alg_op):
    _opdef.no_gradient("whole numbers have no derivative")


def _two_numbers(seed):
    return [seed.shape.merge_with((2,))]


def _sized(shape, *_):
    return [constant_value_as_shape(shape)]


def _finished(opdef: OpDef, doc: str) -> OpDef:
    opdef.kernel.__doc__ = doc
    opdef.shape(_sized)
    return opdef.no_gradient("random values depend on no input that is a number")


def _pair(
    name: str, distribution: Any, doc: str, kinds: Any = FLOATING, default: Any = dtypes.float32
):
    """The operation that takes a seed, and the one that takes key and counter ("V2")."""

    def by_seed(shape, seed, *, dtype):
        return _drawn(seeded(seed), shape, np.dtype(dtype.as_numpy_dtype), distribution)

    def by_key(shape, key, counter, alg, *, dtype):
        return _drawn(keyed(key, counter, alg), shape, np.dtype(dtype.as_numpy_dtype), distribution)

    kind = Attr("type", default, kinds)
    seeds = Attr("type", dtypes.int64, WHOLE if kinds is WHOLE else INDEX)
    first = op(name, "shape: T, seed: Tseed -> output: dtype", dtype=kind, T=NUMBER, Tseed=seeds)
    second = op(f"{name}V2", f"{KEYED} -> output: dtype", dtype=kind, Tshape=NUMBER)
    return _finished(first(by_seed), doc), _finished(second(by_key), doc)


uniform_op, uniform_v2_op = _pair(
    "StatelessRandomUniform", _of_words(random.uniform_values), "Uniform values in [0, 1)."
)
normal_op, normal_v2_op = _pair(
    "StatelessRandomNormal",
    _of_words(random.normal_values),
    "Values of mean 0 and standard deviation 1.",
)
truncated_op, truncated_v2_op = _pair(
    "StatelessTruncatedNormal", random.truncated_values,
    "Normal values, those beyond two standard deviations drawn again.",
)  # fmt: skip
full_int_op, full_int_v2_op = _pair(
    "StatelessRandomUniformFullInt", _of_words(random.whole_words), "Integers of all values alike.", WHOLE,
    dtypes.uint64,
)  # fmt: skip


def _between(stream: Philox, shape, minval, maxval, dtype):
    low, high = int(minval), int(maxval)
    if low >= high:
        raise InvalidArgumentError(None, None, f"Need minval < maxval, got {low} >= {high}")
    distribution = _of_words(random.integers(low, high - low))
    return _drawn(stream, shape, np.dtype(dtype.as_numpy_dtype), distribution)


@op(
    "StatelessRandomUniformInt", "shape: T, seed: Tseed, minval: dtype, maxval: dtype -> output: dtype",
    dtype=INDEX, T=INDEX, Tseed=SEED,
)  # fmt: skip
def uniform_int_op(shape, seed, minval, maxval, *, dtype):
    return _between(seeded(seed), shape, minval, maxval, dtype)


@op(
    "StatelessRandomUniformIntV2", f"{KEYED}, minval: dtype, maxval: dtype -> output: dtype",
    dtype=WHOLE, Tshape=NUMBER,
)  # fmt: skip
def uniform_int_v2_op(shape, key, counter, alg, minval, maxval, *, dtype):
    return _between(keyed(key, counter, alg), shape, minval, maxval, dtype)


for _opdef in (uniform_int_op, uniform_int_v2_op):
    _finished(_opdef, "Integers in [minval, maxval), uniform but for the bias of the remainder.")


@op(
    "StatelessMultinomial", "logits: T, num_samples: int32, seed: Tseed -> output: output_dtype",
    T=REAL, Tseed=SEED, output_dtype=Attr("type", dtypes.int64, INDEX),
)  # fmt: skip
def stateless_multinomial_op(logits, num_samples, seed, *, output_dtype):
    """For each row of unnormalised log-probabilities as many classes, drawn independently."""
    _, count = distributions.drawn_shape(logits, num_samples)
    stream = seeded(seed)
    return distributions.drawn_classes(
        logits, count, stream, stream.position, output_dtype.as_numpy_dtype
    )


@stateless_multinomial_op.shape
def stateless_multinomial_shape(logits, num_samples, seed):
    count = constant_value(num_samples)
    return [(logits.shape.with_rank(2).sizes[0], None if count is None else int(count))]


stateless_multinomial_op.no_gradient("whole numbers have no derivative")


def _key_counter(seed: Any) -> Any:
    return opdef_of("StatelessRandomGetKeyCounter")(seed)


def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dtypes.float32,
    name: str | None = None, alg: str = "auto_select",
) -> Tensor:  # fmt: skip
    """Uniform values in [minval, maxval) that depend on `seed`, two integers, alone.

    maxval is 1 where None. Integers with neither limit are of all values alike. Raises ValueError for another dtype
    and for integers with one limit alone.
    """
    _check_algorithm(alg)
    dtype = dtypes.as_dtype(dtype).base_dtype
    if dtype not in FLOATING | WHOLE:
        raise ValueError(
            f"Argument `dtype` got invalid value {dtype!r}. Accepted dtypes are float16, bfloat16, float32, float64, "
            "int32, int64, uint32 and uint64."
        )
    if dtype.is_integer and (minval is None) != (maxval is None):
        raise ValueError(
            f"For integer `dtype` argument {dtype!r}, argument `minval` and `maxval` must be both None or both not None"
        )
    if maxval is None and not dtype.is_integer:
        maxval = 1
    with name_scope(name, "stateless_random_uniform", [shape, seed, minval, maxval]) as scope:
        shape = random.shape_tensor(shape)
        if dtype.is_integer and minval is None:
            return full_int_v2_op(shape, *_key_counter(seed), PHILOX, dtype=dtype, name=scope)
        minval = convert.convert_to_tensor(minval, dtype=dtype, name="min")
        maxval = convert.convert_to_tensor(maxval, dtype=dtype, name="max")
        if dtype.is_integer:
            return uniform_int_v2_op(
                shape, *_key_counter(seed), PHILOX, minval=minval, maxval=maxval, name=scope
            )
        unit = uniform_v2_op(shape, *_key_counter(seed), PHILOX, dtype=dtype)
        return elementwise.add(unit * (maxval - minval), minval, name=scope)


def _check_algorithm(alg: Any) -> None:
    if alg not in ("auto_select", "philox", PHILOX, 3):
        raise ValueError(f'Argument `alg` must be "philox" or "auto_select", got {alg!r}')


def _normal(opdef: OpDef, shape, seed, mean, stddev, dtype, name, default, alg) -> Tensor:
    _check_algorithm(alg)
    dtype = dtypes.as_dtype(dtype).base_dtype
    with name_scope(name, default, [shape, seed, mean, stddev]) as scope:
        shape = random.shape_tensor(shape)
        mean = convert.convert_to_tensor(mean, dtype=dtype, name="mean")
        stddev = convert.convert_to_tensor(stddev, dtype=dtype, name="stddev")
        values = opdef(shape, *_key_counter(seed), PHILOX, dtype=dtype)
        return elementwise.add(values * stddev, mean, name=scope)


def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32,
    name: str | None = None, alg: str = "auto_select",
) -> Tensor:  # fmt: skip
    """Normally distributed values that depend on `seed`, two integers, alone."""
    return _normal(
        normal_v2_op, shape, seed, mean, stddev, dtype, name, "stateless_random_normal", alg
    )


def stateless_truncated_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32,
    name: str | None = None, alg: str = "auto_select",
) -> Tensor:  # fmt: skip
    """Normal values, none more than two standard deviations from the mean, that depend on `seed` alone."""
    return _normal(
        truncated_v2_op, shape, seed, mean, stddev, dtype, name, "stateless_truncated_normal", alg
    )


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """For each row of unnormalised log-probabilities `num_samples` classes, which depend on `seed` alone."""
    with name_scope(name, "stateless_categorical", [logits, seed]):
        logits = convert.convert_to_tensor(logits, name="logits")
        return stateless_multinomial_op(logits, num_samples, seed, output_dtype=dtype)


def stateless_multinomial(
    logits: Any,
    num_samples: Any,
    seed: Any,
    output_dtype: Any = dtypes.int64,
    name: str | None = None,
) -> Tensor:
    """`stateless_categorical` by its older name."""
    with name_scope(name, "stateless_multinomial", [logits, seed]):
        logits = convert.convert_to_tensor(logits, name="logits")
        return stateless_multinomial_op(logits, num_samples, seed, output_dtype=output_dtype)
