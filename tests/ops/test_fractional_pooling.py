"""Pooling by fractions: TensorFlow's very windows where they are deterministic, and what all windows must fulfil."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError, UnimplementedError
from ckpt.ops import fractional_pooling as pooling
from tests.conformance.ops import case, conformance, distinct

X = distinct(2, 7, 9, 2, dtype=np.float64)
FIXED = {"deterministic": True, "seed": 1, "seed2": 2}
SEQUENCES = "TensorFlow says one less of where windows begin than there is"


def of(opdef, x, ratio=(1.0, 1.5, 1.7, 1.0), **attrs):
    return list(opdef(x, list(ratio), **{**FIXED, **attrs}))


def max_pool(x, **attrs):
    return of(tf.nn.fractional_max_pool, x, **attrs)


def avg_pool(x, **attrs):
    return of(tf.nn.fractional_avg_pool, x, **attrs)


WAYS = [{"pseudo_random": p, "overlapping": o} for p in (False, True) for o in (False, True)]
TestFractionalPool = conformance([
    *[case(f, X, looser=SEQUENCES, **way) for f in (max_pool, avg_pool) for way in WAYS],
    case(max_pool, X.astype(np.float32), grad=0, looser=SEQUENCES),
    case(avg_pool, np.arange(72).reshape(1, 6, 6, 2).astype(np.int32), grad=0, looser=SEQUENCES),
    case(max_pool, np.arange(72).reshape(1, 6, 6, 2), overlapping=True, grad=0, looser=SEQUENCES),
    case(max_pool, X, ratio=(1.0, 2.3, 3.9, 1.0), looser=SEQUENCES),
    case(max_pool, X, ratio=(1.0, 1.0, 1.0, 1.0), looser=SEQUENCES, expect=(X, np.arange(8), np.arange(10))),
    case(max_pool, X, ratio=(1.0, 0.5, 1.0, 1.0), raises=ShapeError, match="smaller than 1"),
    case(max_pool, X, ratio=(2.0, 1.5, 1.5, 1.0), raises=UnimplementedError, match="batch nor channel"),
    case(max_pool, X, ratio=(1.0, 8.0, 1.0, 1.0), raises=InvalidArgumentError, match="0 windows"),
    case(max_pool, X, deterministic=False, raises=InvalidArgumentError, match="should be 0"),
    case(max_pool, X[0], raises=ShapeError),
])  # fmt: skip


def max_back(x, y, dy, rows, columns, **attrs):
    return pooling.fractional_max_pool_grad(x, y, dy, rows, columns, **attrs)


def avg_back(dy, shape, rows, columns, **attrs):
    return pooling.fractional_avg_pool_grad(shape, dy, rows, columns, **attrs)


ZEROS, ONES = np.zeros((1, 4, 4, 1), np.float32), np.ones((1, 2, 2, 1), np.float32)
HALF, SKEWED = np.array([0, 2, 4]), np.array([0, 1, 4])
TestGradients = conformance([
    case(max_back, ZEROS, 0 * ONES, ONES, HALF, HALF, overlapping=True, grad=0,
         expect=np.array([[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4], np.float32).reshape(1, 4, 4, 1)),
    case(avg_back, ONES, np.array([1, 4, 4, 1]), HALF, SKEWED, overlapping=True, grad=0),
    case(avg_back, ONES, np.array([1, 4, 4, 1]), HALF, SKEWED, grad=0),
    case(max_back, ZEROS, 0 * ONES, ONES, HALF, np.array([0, 2, 5]), raises=InvalidArgumentError, match="col_pooling", unasked="TensorFlow reads on"),
    case(avg_back, ONES, np.array([1, 4, 4, 1]), np.array([0, 0, 4]), HALF, raises=InvalidArgumentError, match="row_pooling", unasked="TensorFlow reads on"),
])  # fmt: skip


def test_the_windows_of_a_known_seed():
    """By TensorFlow 2.21."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.zeros([1, 20, 30, 1])
        found = session.run([of(tf.nn.fractional_max_pool, x, pseudo_random=p)[1:] for p in (True, False)])  # fmt: skip
    assert found[0][0].tolist() == [0, 1, 3, 4, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20]
    assert found[0][1].tolist() == [0, 2, 3, 5, 7, 9, 10, 12, 14, 16, 18, 19, 21, 23, 25, 26, 28, 30]  # fmt: skip
    assert found[1][0].tolist() == [0, 2, 3, 4, 6, 8, 9, 11, 13, 14, 16, 17, 18, 20]
    assert found[1][1].tolist() == [0, 1, 2, 3, 5, 7, 9, 11, 13, 14, 16, 18, 20, 22, 24, 26, 28, 30]


@pytest.mark.parametrize(("deterministic", "is_same"), [(True, True), (False, False)])
def test_windows_change_from_run_to_run_unless_deterministic(deterministic, is_same):
    with tf.Graph().as_default(), tf.Session() as session:
        made = tf.nn.fractional_max_pool(tf.zeros([1, 200, 3, 1]), [1.0, 1.5, 1.0, 1.0], deterministic=deterministic)  # fmt: skip
        first, second = (session.run(made.row_pooling_sequence).tolist() for _ in range(2))
    assert (first == second) == is_same


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(1, 8), st.booleans(), st.integers(1, 1000))
def test_windows_are_of_two_neighbouring_sizes(size, ratio, pseudo_random, seed):
    count = int(size / ratio)
    if not count:
        return
    with tf.Graph().as_default(), tf.Session() as session:
        made = of(tf.nn.fractional_max_pool, tf.zeros([1, size, 1, 1]), (1.0, ratio, 1.0, 1.0), pseudo_random=pseudo_random, seed=seed)  # fmt: skip
        ends = session.run(made[1])
    sizes = np.diff(ends)
    assert (ends[0], ends[-1], len(sizes)) == (0, size, count)
    assert set(sizes) <= {size // count, size // count + 1} or pseudo_random
    assert sizes.min() >= 1
