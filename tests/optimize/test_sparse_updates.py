"""Gradients of some rows: which rows move, and that a row named twice moves by the sum."""

import numpy as np
import pytest

import ckpt as tf


def trained(optimizer, steps):
    """The rows of a variable, after each number of steps in `steps`, each with the gradient of the next entry."""
    v = tf.Variable(np.zeros([4, 1], np.float32))
    slices = [
        tf.IndexedSlices(tf.constant(rows, shape=[len(at), 1]), tf.constant(at), tf.constant([4, 1]))
        for at, rows in steps
    ]
    updates = [optimizer.apply_gradients([(part, v)]) for part in slices]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for update in updates:
            sess.run(update)
        return sess.run(v)[:, 0].tolist()


def test_gradient_descent_adds_up_rows_that_are_named_twice():
    assert trained(tf.train.GradientDescentOptimizer(0.5), [([2, 0, 2], [1.0, 1.0, 2.0])]) == [
        -0.5,
        0.0,
        -1.5,
        0.0,
    ]


@pytest.mark.parametrize(("nesterov", "row_2"), [(False, -3.0), (True, -4.5)])
def test_momentum_adds_up_rows_that_are_named_twice(nesterov, row_2):
    optimizer = tf.train.MomentumOptimizer(1.0, 0.5, use_nesterov=nesterov)
    assert trained(optimizer, [([2, 2], [1.0, 2.0])]) == [0.0, 0.0, row_2, 0.0]


def test_momentum_leaves_rows_without_a_gradient_where_they_are():
    first, second = ([0, 1], [1.0, 1.0]), ([1], [1.0])
    found = trained(tf.train.MomentumOptimizer(1.0, 0.5), [first, second])
    assert found == [-1.0, -2.5, 0.0, 0.0]  # row 0 has a velocity of 1, and rests


@pytest.mark.parametrize("wrong", [-1, 4])
def test_momentum_names_a_row_that_is_not_there(wrong):
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{wrong} at offset 1 .*\[0, 4\)"):
        trained(tf.train.MomentumOptimizer(1.0, 0.5), [([3, wrong], [1.0, 1.0])])
