"""A run in stages computes everything once and keeps only what a later stage takes."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.run.stages import Stage


def test_what_one_stage_computed_the_next_ones_take():
    x = tf.placeholder(tf.float32, [])
    drawn = tf.random_uniform([])
    y = x * drawn
    with tf.Session() as sess:
        stages = sess.stages([Stage((x,), (y,)), Stage(fetches=(drawn, y + 1.0))])
        for _ in range(3):
            run = stages.begin()
            (product,) = run.advance({x: np.float32(2.0)})
            value, plus = run.advance({})
            assert product == np.float32(2.0) * value
            assert plus == product + 1


def test_updates_happen_once_also_where_a_later_stage_waits_for_them():
    count = tf.Variable(0, name="count")
    add = count.assign_add(1).op
    with tf.control_dependencies([add]):
        after = tf.constant(7) + 0 * tf.random_uniform([], maxval=2, dtype=tf.int32)
    with tf.Session() as sess:
        sess.run(count.initializer)
        run = sess.stages([Stage(targets=(add,)), Stage(fetches=(after,))]).begin()
        run.advance({})
        assert run.advance({}) == [7]
        assert sess.run(count) == 1


def test_variables_are_read_when_a_stage_needs_them():
    v = tf.Variable(1.0)
    double = v * 2.0
    with tf.Session() as sess:
        sess.run(v.initializer)
        stages = sess.stages(
            [
                Stage(fetches=(double,)),
                Stage(targets=(v.assign(5.0).op,)),
                Stage(fetches=(v.read_value(), double)),
            ]
        )
        run = stages.begin()
        assert run.advance({}) == [2.0]
        run.advance({})
        assert run.advance({}) == [5.0, 2.0]  # the product is not computed again


def test_only_what_a_later_stage_takes_is_kept():
    x = tf.placeholder(tf.float32, [4])
    a = tf.exp(x)
    b = tf.sin(a)
    c = tf.cos(a)
    with tf.Session() as sess:
        run = sess.stages([Stage((x,), (b,)), Stage(fetches=(c,))]).begin()
        run.advance({x: np.zeros(4, np.float32)})
        assert set(run._values) == {a}
        run.advance({})
        assert run._values == {}


def test_a_reference_that_an_assignment_returned_is_refused():
    v = tf.Variable(1.0)
    assigned = v.assign(2.0)
    with (
        tf.Session() as sess,
        pytest.raises(tf.errors.InvalidArgumentError, match="read the variable"),
    ):
        sess.stages([Stage(targets=(assigned.op,)), Stage(fetches=(tf.identity(assigned),))])
