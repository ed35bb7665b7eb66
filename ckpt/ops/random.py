"""Random values from TensorFlow's own streams: the same seeds give the same numbers.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). The key is
(low, high word of `seed`), the upper half of the counter is `seed2`; each node owns a stream, and each run of it
skips what the run before reserved. Source of the conventions: TensorFlow, core/lib/random/philox_random.h,
core/lib/random/random_distributions.h and core/kernels/random_op.cc.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert, stack
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import constants, elementwise
from ckpt.ops.families import same_shape
from ckpt.ops.random_order import shuffled

DEFAULT_GRAPH_SEED = 87654321
MAX_SEED = 2**31 - 1
"""TensorFlow, python/framework/random_seed.py."""

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
"""Salmon et al. 2011, table 2, Philox4x32-10."""

RESERVED = 256
"""For how many words each output value moves the stream on, whatever it used (kReservedSamplesPerOutput)."""

BATCH = 1 << 14
"""How many counters are worked on at a time: their words stay in the cache."""

CUT = 2.0
"""Truncated normal values are closer to 0 than this many standard deviations."""

EPSILON = 1e-7
"""The least uniform value that Box-Muller takes the logarithm of."""

WORD = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


class Philox:
    """One stream: groups of four 32-bit words, each a function of its position alone."""

    def __init__(self, seed: int, seed2: int) -> None:
        if seed == 0 and seed2 == 0:
            seed, seed2 = secrets.randbits(64), secrets.randbits(64)
        self.key = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
        self.position = (seed2 & 0xFFFFFFFFFFFFFFFF) << 64
        self._lock = threading.Lock()

    @classmethod
    def at(cls, key: int, position: int) -> Philox:
        """The stream of this 64-bit key at this 128-bit position."""
        stream = cls(1, 0)
        stream.key, stream.position = (key & 0xFFFFFFFF, key >> 32), position
        return stream

    def reserve(self, groups: int) -> int:
        """The position where `groups` groups are this caller's alone."""
        with self._lock:
            start = self.position
            self.position = (start + groups) % (1 << 128)
        return start

    def words(self, start: int, groups: Any) -> Any:
        """The words [4, count] of the groups at `start` plus the offsets `groups` (an array of uint64)."""
        low = np.uint64(start & 0xFFFFFFFFFFFFFFFF)
        with np.errstate(over="ignore"):
            first = groups + low
        high = np.full(first.shape, (start >> 64) & 0xFFFFFFFFFFFFFFFF, np.uint64)
        carried = first < low
        if carried.any():
            high[carried] = ((start >> 64) + 1) & 0xFFFFFFFFFFFFFFFF
        return _rounds(first & WORD, first >> SHIFT, high & WORD, high >> SHIFT, *self.key)


def _rounds(c0, c1, c2, c3, k0: int, k1: int):
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> SHIFT) ^ c1 ^ np.uint64(k0), p1 & WORD, (p0 >> SHIFT) ^ c3 ^ np.uint64(k1), p0 & WORD,
        )  # fmt: skip
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)


def _uniform32(words):
    """Uniform float32 in [0, 1) from words: 23 bits are the fraction of a number in [1, 2)."""
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def _uniform64(high, low):
    """Uniform float64 in [0, 1) from pairs of words: 52 bits are the fraction of a number in [1, 2)."""
    bits = (
        ((high & np.uint32(0xFFFFF)).astype(np.uint64) << SHIFT)
        | low
        | np.uint64(0x3FF0000000000000)
    )
    return bits.view(np.float64) - 1.0


def _uniform16(words, kind):
    """Uniform float16 or bfloat16 in [0, 1) from words: the lowest bits are the fraction of a number in [1, 2)."""
    fraction, one = (0x3FF, 0x3C00) if kind == np.float16 else (0x7F, 0x3F80)
    bits = ((words & np.uint32(fraction)) | np.uint32(one)).astype(np.uint16)
    return bits.view(kind) - kind.type(1)


def uniform_values(words, kind):
    """Uniform values [count, 4] (float64: [count, 2]) from the words of `count` groups."""
    if kind == np.float64:
        return np.stack([_uniform64(words[0], words[1]), _uniform64(words[2], words[3])], axis=1)
    rows = np.ascontiguousarray(words.T)
    return _uniform32(rows) if kind == np.float32 else _uniform16(rows, kind)


def _box_muller32(a, b):
    """Two independent normal float32 values from two words. Inner steps are float64, rounded once each."""
    u = np.maximum(_uniform32(a), np.float32(EPSILON))
    angle = (2.0 * np.pi * _uniform32(b).astype(np.float64)).astype(np.float32).astype(np.float64)
    logarithm = np.log(u.astype(np.float64)).astype(np.float32)
    radius = np.sqrt(np.float32(-2) * logarithm)
    return np.sin(angle).astype(np.float32) * radius, np.cos(angle).astype(np.float32) * radius


def _box_muller64(a, b, c, d):
    """Two independent normal float64 values from four words."""
    radius = np.sqrt(-2.0 * np.log(np.maximum(_uniform64(a, b), EPSILON)))
    angle = 2.0 * np.pi * _uniform64(c, d)
    return np.sin(angle) * radius, np.cos(angle) * radius


def normal_values(words, kind):
    """Normal values [count, 4] (float64: [count, 2]) from the words of `count` groups."""
    if kind == np.float64:
        return np.stack(_box_muller64(*words), axis=1)
    pairs = _box_muller32(words[0], words[1]) + _box_muller32(words[2], words[3])
    return np.stack(pairs, axis=1).astype(kind, copy=False)


def integers(low: int, span: int):
    """The distribution of integers in [low, low + span), 32 or 64 bits wide."""

    def distribution(words, kind):
        found = whole_words(words, np.dtype(f"u{kind.itemsize}"))
        return (found % found.dtype.type(span) + _wrapped(low, found.dtype)).view(kind)

    return distribution


def _wrapped(number: int, kind):
    """A number as an unsigned one of the same bits."""
    return kind.type(number & ((1 << 8 * kind.itemsize) - 1))


def whole_words(words, kind):
    """Integers of all bits, [count, 4] (of 64 bits: [count, 2]), from the words of `count` groups."""
    if kind.itemsize == 4:
        return np.ascontiguousarray(words.T).view(kind)
    wide = words.astype(np.uint64)
    pairs = np.stack([wide[0] | (wide[1] << SHIFT), wide[2] | (wide[3] << SHIFT)], axis=1)
    return pairs.view(kind)


def truncated_values(stream: Philox, start: int, groups, kind):
    """Truncated normal values [count, 4] (float64: [count, 2]): each group draws from its own words until full."""
    width = 2 if kind == np.float64 else 4
    working = np.float64 if kind == np.float64 else np.float32
    found = np.zeros((groups.size, width), working)
    filled = np.zeros(groups.size, np.int64)
    open_rows = np.arange(groups.size)
    draw = 0
    while open_rows.size:
        positions = groups[open_rows] * np.uint64(width * RESERVED // 4) + np.uint64(draw)
        candidates = normal_values(stream.words(start, positions), np.dtype(working))
        for column in range(candidates.shape[1]):
            values = candidates[:, column]
            taken = (np.abs(values) < CUT) & (filled[open_rows] < width)
            rows = open_rows[taken]
            found[rows, filled[rows]] = values[taken]
            filled[rows] += 1
        open_rows = open_rows[filled[open_rows] < width]
        draw += 1
    return found.astype(kind, copy=False)


def _filled(ctx, shape, seed, seed2, kind, values_of):
    """An array of `shape` from the node's own stream, which then moves on."""
    sizes = checked_sizes(shape)
    stream = stream_of(ctx, seed, seed2)
    start = stream.reserve(int(np.prod(sizes, dtype=np.int64)) * RESERVED)
    return filled(stream, start, sizes, kind, values_of)


def checked_sizes(shape) -> tuple[int, ...]:
    """The sizes in `shape`. Raises InvalidArgumentError for a negative one."""
    sizes = tuple(int(v) for v in shape)
    if any(size < 0 for size in sizes):
        raise InvalidArgumentError(None, None, f"Dimensions must be >= 0, got {list(sizes)}")
    return sizes


def filled(stream: Philox, start: int, sizes, kind, values_of):
    """An array of these sizes; `values_of(stream, start, groups)` gives the values of the groups at these offsets."""
    count = int(np.prod(sizes, dtype=np.int64))
    width = 2 if kind.itemsize == 8 else 4
    groups = -(-count // width)
    flat = np.empty(groups * width, kind)
    for first in range(0, groups, BATCH):
        last = min(first + BATCH, groups)
        values = values_of(stream, start, np.arange(first, last, dtype=np.uint64))
        flat[first * width : last * width] = values.reshape(-1)
    return flat[:count].reshape(sizes)


def stream_of(ctx, seed: int, seed2: int) -> Philox:
    return ctx.resource("philox", "", ctx.node.name, lambda: Philox(seed, seed2))


def _shape_of(shape, *_):
    return [constant_value_as_shape(shape)]


def _random(type_name, distribution, doc):
    """`output` of shape `shape`, filled from a distribution: (words, numpy dtype) -> values."""

    def kernel(ctx, shape, *, seed, seed2, dtype):
        kind = np.dtype(dtype.as_numpy_dtype)
        return _filled(ctx, shape, seed, seed2, kind, lambda stream, start, groups: distribution(
            stream.words(start, groups), kind))  # fmt: skip

    return _entered(type_name, kernel, doc)


def _entered(type_name, kernel, doc):
    kernel.__doc__ = doc
    opdef = op(type_name, "shape: T -> output: dtype", T=INDEX, dtype=FLOATING, seed=0, seed2=0)(
        kernel
    )
    opdef.shape(_shape_of)
    return opdef.no_gradient("random values depend on no input")


random_uniform_op = _random("RandomUniform", uniform_values, "Uniform values in [0, 1).")
random_standard_normal_op = _random(
    "RandomStandardNormal", normal_values, "Values of mean 0 and standard deviation 1."
)


def _truncated_kernel(ctx, shape, *, seed, seed2, dtype):
    kind = np.dtype(dtype.as_numpy_dtype)
    return _filled(
        ctx,
        shape,
        seed,
        seed2,
        kind,
        lambda stream, start, groups: truncated_values(stream, start, groups, kind),
    )


truncated_normal_op = _entered(
    "TruncatedNormal",
    _truncated_kernel,
    "Normal values, those beyond two standard deviations drawn again.",
)


@op(
    "RandomUniformInt", "shape: T, minval: Tout, maxval: Tout -> output: Tout",
    T=INDEX, Tout=INDEX, seed=0, seed2=0,
)  # fmt: skip
def random_uniform_int_op(ctx, shape, minval, maxval, *, seed, seed2, Tout):
    """Integers in [minval, maxval), uniform but for the bias of the remainder that TensorFlow has too."""
    low, high = int(minval), int(maxval)
    if low >= high:
        raise InvalidArgumentError(None, None, f"Need minval < maxval, got {low} >= {high}")
    kind = np.dtype(Tout.as_numpy_dtype)
    distribution = integers(low, high - low)
    return _filled(
        ctx, shape, seed, seed2, kind,
        lambda stream, start, groups: distribution(stream.words(start, groups), kind),
    )  # fmt: skip


@random_uniform_int_op.shape
def random_uniform_int_shape(shape, minval, maxval):
    minval.shape.with_rank(0)
    maxval.shape.with_rank(0)
    return _shape_of(shape)


random_uniform_int_op.no_gradient("random values depend on no input")


@op("RandomShuffle", "value: T -> output: T", seed=0, seed2=0)
def random_shuffle_op(ctx, value, *, seed, seed2):
    """`value` with its first axis in random order (Fisher and Yates, from the front)."""
    value = np.asarray(value)
    if value.ndim == 0 or value.shape[0] <= 1:
        return value
    count = value.shape[0]
    stream = stream_of(ctx, seed, seed2)
    groups = -(-(count - 1) // 4)
    start = stream.reserve(groups)
    words = stream.words(start, np.arange(groups, dtype=np.uint64)).T.reshape(-1)[: count - 1]
    return value[shuffled(words % np.arange(count, 1, -1, dtype=np.uint32))]


random_shuffle_op.shape(same_shape)
random_shuffle_op.no_gradient("TensorFlow says that there is none")


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """(seed, seed2) for an operation: from the graph's seed and the operation's own, or (None, None).

    With a graph seed alone, the second seed is how many operations of the graph have asked before.
    """
    graph = stack.get_default_graph()
    if graph.seed is None:
        return (None, None) if op_seed is None else (DEFAULT_GRAPH_SEED, op_seed % MAX_SEED)
    if op_seed is None:
        op_seed = graph.last_op_seed
        graph.last_op_seed += 1
    seeds = graph.seed % MAX_SEED, op_seed % MAX_SEED
    # (0, 0) asks the kernels for a stream of their own choice.
    return (0, MAX_SEED) if seeds == (0, 0) else seeds


def seeds_of(seed: int | None) -> dict[str, int]:
    first, second = get_seed(seed)
    return {"seed": first or 0, "seed2": second or 0}


def shape_tensor(shape: Any) -> Tensor:
    if isinstance(shape, (list, tuple)) and not shape:
        return constants.constant([], dtype=dtypes.int32, name="shape")
    if isinstance(shape, (list, tuple)) and any(isinstance(s, int) and s >= 2**31 for s in shape):
        return constants.constant(shape, dtype=dtypes.int64, name="shape")
    return convert.convert_to_tensor(shape, name="shape")


def random_uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dtypes.float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Uniform values in [minval, maxval); maxval is 1 where None. Integers need a maxval (ValueError)."""
    dtype = dtypes.as_dtype(dtype).base_dtype
    if dtype not in FLOATING | INDEX:
        raise ValueError(
            f"Argument `dtype` got invalid value {dtype!r}. Accepted dtypes are float16, bfloat16, float32, "
            "float64, int32 and int64."
        )
    if maxval is None:
        if dtype.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {dtype!r}")
        maxval = 1
    with name_scope(name, "random_uniform", [shape, minval, maxval]) as scope:
        shape = shape_tensor(shape)
        # Values known to be 0 and 1 need no arithmetic, in TensorFlow either.
        from_zero = _is_number(minval, 0)
        unscaled = not dtype.is_integer and from_zero and _is_number(maxval, 1)
        if unscaled:
            return random_uniform_op(shape, dtype=dtype, **seeds_of(seed))
        seeds = seeds_of(seed)
        minval = convert.convert_to_tensor(minval, dtype=dtype, name="min")
        maxval = convert.convert_to_tensor(maxval, dtype=dtype, name="max")
        if dtype.is_integer:
            return random_uniform_int_op(shape, minval, maxval, name=scope, **seeds)
        unit = random_uniform_op(shape, dtype=dtype, **seeds)
        if from_zero:
            return elementwise.mul(unit, maxval)
        return elementwise.add(unit * (maxval - minval), minval, name=scope)


def _is_number(value: Any, number: int) -> bool:
    return isinstance(value, int) and value == number


def _scaled_normal(opdef, shape, mean, stddev, dtype, seed, name, default_name) -> Tensor:
    dtype = dtypes.as_dtype(dtype).base_dtype
    with name_scope(name, default_name, [shape, mean, stddev]) as scope:
        shape = shape_tensor(shape)
        mean = convert.convert_to_tensor(mean, dtype=dtype, name="mean")
        stddev = convert.convert_to_tensor(stddev, dtype=dtype, name="stddev")
        return elementwise.add(
            opdef(shape, dtype=dtype, **seeds_of(seed)) * stddev, mean, name=scope
        )


def random_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Normally distributed values."""
    return _scaled_normal(
        random_standard_normal_op, shape, mean, stddev, dtype, seed, name, "random_normal"
    )


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Normally distributed values, those more than two standard deviations from the mean drawn again."""
    return _scaled_normal(
        truncated_normal_op, shape, mean, stddev, dtype, seed, name, "truncated_normal"
    )


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """`value` with its first axis in random order."""
    return random_shuffle_op(value, name=name, **seeds_of(seed))
