"""Gamma, Poisson and multinomial values: TensorFlow's own numbers for the same seeds; random crops.

The numbers are TensorFlow 2.21's, with the graph seed 7.
"""

import numpy as np
import pytest

import ckpt as tf


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        tf.set_random_seed(7)
        yield


def run(tensor):
    with tf.Session() as session:
        return session.run(tensor)


def test_gamma_is_tensorflows():
    found = run(tf.random_gamma([7], [0.5, 1.0, 3.0], seed=3))[:2]
    wanted = [
        [0.1070515066, 0.0844564289, 1.2866762877],
        [1.1853370667, 0.7607411742, 5.6665110588],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_poisson_is_tensorflows():
    found = run(tf.random_poisson([0.5, 3.0, 12.0, 40.0], [6], seed=5))
    assert found[:3].tolist() == [[0, 3, 12, 38], [1, 3, 14, 40], [2, 4, 14, 33]]


def test_multinomial_is_tensorflows():
    logits = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert run(tf.multinomial(logits, 7, seed=2)).tolist() == [
        [1, 1, 3, 2, 3, 1, 2], [1, 2, 0, 1, 1, 1, 2], [1, 1, 1, 1, 1, 3, 1],
    ]  # fmt: skip


def test_static_shapes():
    assert tf.random_gamma([4], [1.0, 2.0]).shape.as_list() == [4, 2]
    assert tf.random_poisson([1.0, 2.0], [4]).shape.as_list() == [4, 2]
    assert tf.multinomial(np.zeros((2, 3), np.float32), 5).shape.as_list() == [2, 5]


def test_impossible_classes_are_never_drawn():
    logits = np.array([[-np.inf, 0.0, -np.inf]], np.float32)
    assert set(run(tf.multinomial(logits, 100, seed=1)).flat) == {1}


def test_means_are_right():
    assert abs(run(tf.random_gamma([3000], 2.5, seed=1)).mean() - 2.5) < 0.15
    assert abs(run(tf.random_poisson(20.0, [3000], seed=1)).mean() - 20) < 0.5


def test_crop_is_a_part_of_the_value():
    whole = np.arange(60).reshape(5, 4, 3)
    part = run(tf.random_crop(whole, [2, 3, 3], seed=4))
    corner = np.argwhere(whole == part[0, 0, 0])[0]
    np.testing.assert_array_equal(part, whole[corner[0] : corner[0] + 2, corner[1] : corner[1] + 3])


def test_crop_larger_than_the_value_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(tf.random_crop(np.zeros((2, 2)), [3, 2], seed=4))
