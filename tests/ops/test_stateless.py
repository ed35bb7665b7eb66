"""Random values by their seeds alone: TensorFlow's numbers, and the same ones run after run."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import stateless
from tests.conformance.ops import case, conformance

SEED = np.array([1, 2], np.int64)
KEY = np.array([0x908502C96D2F7FBA], np.uint64)
COUNTER = np.array([0, 0xF7734320619CB60B], np.uint64)
THREE = np.array([3], np.int32)
MANY = np.array([41, 5], np.int32)
LOGITS = np.log(np.array([[1, 2, 3.0], [5, 1, 0.5]], np.float32))
UNIFORM = [0.8440604209899902, 0.19204533100128174, 0.9962232112884521, 0.16038739681243896]
INTEGERS = [140, 849, 294, 179]
"""Of TensorFlow 2.21, seed [1, 2]; the integers lie in [0, 1000)."""


def drawn(function, *inputs, **more):
    """A row: what is drawn has no derivative."""
    return case(function, *inputs, grad=0, **more)


def kinds(opdef, *types, **more):
    return [drawn(opdef, MANY, SEED, dtype=kind, **more) for kind in types]


FLOATS = (tf.float32, tf.float64, tf.float16)
TestStateless = conformance([
    drawn(stateless.get_key_counter_op, SEED, expect=(KEY, COUNTER)),
    drawn(stateless.get_key_counter_op, np.array([-1, 3], np.int32)),
    drawn(stateless.get_key_counter_op, np.array([2**40 + 5, -9], np.int64)),
    drawn(stateless.get_key_counter_op, np.array([1, 2, 3], np.int64), raises=ValueError, match="3"),
    drawn(stateless.get_key_counter_alg_op, SEED, expect=(KEY, COUNTER, np.int32(1))),
    drawn(stateless.get_alg_op, expect=np.int32(1)),
    *kinds(stateless.uniform_op, *FLOATS),
    *kinds(stateless.normal_op, *FLOATS, rtol=1e-5, atol=1e-6),
    *kinds(stateless.truncated_op, *FLOATS, rtol=1e-5, atol=1e-6),
    *kinds(stateless.full_int_op, tf.int32, tf.int64, tf.uint32, tf.uint64),
    drawn(stateless.uniform_v2_op, THREE, KEY, COUNTER, np.int32(1)),
    drawn(stateless.uniform_v2_op, THREE, KEY, np.array([2**64 - 1, 7], np.uint64), np.int32(1), dtype=tf.float64),
    drawn(stateless.uniform_v2_op, THREE, KEY, COUNTER[:1], np.int32(1), raises=InvalidArgumentError, match="counter",
          unasked="TensorFlow reads on past the counter"),
    drawn(stateless.uniform_v2_op, -THREE, KEY, COUNTER, np.int32(1), raises=InvalidArgumentError),
    drawn(stateless.normal_v2_op, MANY, KEY, COUNTER, np.int32(1), rtol=1e-5, atol=1e-6),
    drawn(stateless.truncated_v2_op, MANY, KEY, COUNTER, np.int32(1), rtol=1e-5, atol=1e-6),
    drawn(stateless.full_int_v2_op, MANY, KEY, COUNTER, np.int32(1), dtype=tf.int32),
    drawn(stateless.uniform_int_op, MANY, SEED, np.int32(-5), np.int32(2_000_000_000)),
    drawn(stateless.uniform_int_op, MANY, SEED, np.int64(-2**60), np.int64(2**61)),
    drawn(stateless.uniform_int_op, MANY, SEED, np.int32(5), np.int32(5), raises=InvalidArgumentError, match="minval"),
    drawn(stateless.uniform_int_v2_op, MANY, KEY, COUNTER, np.int32(1), np.int64(-3), np.int64(4)),
    drawn(stateless.uniform_int_v2_op, MANY, KEY, COUNTER, np.int32(1), np.uint32(3), np.uint32(4_000_000_000),
          unasked="TensorFlow has no kernel for it on CPUs"),
    drawn(stateless.stateless_multinomial_op, LOGITS, np.int32(17), SEED),
    drawn(stateless.stateless_multinomial_op, LOGITS, np.int32(3), np.array([-4, 9], np.int32), output_dtype=tf.int32),
    drawn(stateless.stateless_multinomial_op, LOGITS[0], np.int32(3), SEED, raises=ValueError),
    drawn(stateless.stateless_uniform, [3], seed=[1, 2], minval=2.0, maxval=4.0),
    drawn(stateless.stateless_uniform, [3], seed=[1, 2], minval=None, maxval=None, dtype=tf.int32),
    drawn(stateless.stateless_uniform, [3], seed=[1, 2], minval=-4, maxval=9, dtype=tf.int64),
    drawn(stateless.stateless_uniform, [3], seed=[1, 2], dtype=tf.int32, raises=ValueError, match="both None"),
    drawn(stateless.stateless_uniform, [3], seed=[1, 2], dtype=tf.bool, raises=ValueError, match="Accepted dtypes"),
    drawn(stateless.stateless_normal, [3], seed=[7, 0], mean=1.0, rtol=1e-5),
    drawn(stateless.stateless_truncated_normal, [3], seed=[7, 0], stddev=3.0, rtol=1e-5),
    drawn(stateless.stateless_categorical, LOGITS, 5, seed=[7, 0]),
    drawn(stateless.stateless_multinomial, LOGITS, 5, seed=[7, 0]),
    drawn(stateless.stateless_normal, [3], seed=[7, 0], alg="threefry", raises=ValueError, match="alg"),
])  # fmt: skip


def test_numbers_that_tensorflow_gave():
    with tf.Graph().as_default(), tf.Session() as session:
        draws = [
            tf.random.stateless_uniform([4], [1, 2]),
            tf.random.stateless_uniform([4], [1, 2], 0, 1000, tf.int32),
        ]
        first, second = session.run(draws), session.run(draws)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[1].tolist() == INTEGERS
    np.testing.assert_array_equal(first[0], np.array(UNIFORM, np.float32))


def test_names_are_tensorflows():
    with tf.Graph().as_default() as graph:
        tf.random.stateless_normal([2], [1, 2])
        names = [(op.type, op.name) for op in graph.get_operations()]
    scope = "stateless_random_normal"
    assert names == [
        ("Const", f"{scope}/shape"), ("Const", f"{scope}/mean"), ("Const", f"{scope}/stddev"),
        ("Const", f"{scope}/StatelessRandomGetKeyCounter/seed"),
        ("StatelessRandomGetKeyCounter", f"{scope}/StatelessRandomGetKeyCounter"),
        ("Const", f"{scope}/StatelessRandomNormalV2/alg"),
        ("StatelessRandomNormalV2", f"{scope}/StatelessRandomNormalV2"),
        ("Mul", f"{scope}/mul"), ("AddV2", scope),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [dtypes.float32, dtypes.float64])
def test_truncated_values_stay_within_two_deviations(kind):
    with tf.Graph().as_default(), tf.Session() as session:
        values = session.run(tf.random.stateless_truncated_normal([5000], [3, 4], dtype=kind))
    assert np.abs(values).max() < 2
    assert abs(values.std() - 0.88) < 0.03
