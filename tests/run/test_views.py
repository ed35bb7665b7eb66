"""What shares a variable's memory in TensorFlow shows its new value; tests/oracle/programs/variable_memory.py compares."""

import numpy as np
import pytest

import ckpt as tf

START = np.arange(64, dtype=np.float32).reshape(4, 16)


def shown_and_used(make, feeds=None):
    """What `make` gives of a variable: as it is fetched, and used, after an assignment that waits for it."""
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=START, use_resource=False)
        shown = make(v)
        with tf.control_dependencies([shown]):
            assigned = v.assign(START + 100)
        with tf.control_dependencies([assigned]):
            used = shown + 0
        sess.run(v.initializer)
        run = sess.make_callable([shown, used])
        for _ in range(40):  # far enough to be compiled
            sess.run(v.initializer)
            results = run()
        return results


@pytest.mark.parametrize(
    ("make", "is_view"),
    [
        (lambda v: tf.reshape(v, [-1]), True),
        (lambda v: v[1:], True),
        (lambda v: tf.unstack(v)[2], True),
        (lambda v: tf.split(v, [1, 3])[1], True),
        (lambda v: tf.check_numerics(v, "v"), True),
        (lambda v: v[:, :8], False),
        (lambda v: tf.transpose(v), False),
        (lambda v: v * 1, False),
    ],
)
def test_views_show_the_new_value_and_copies_the_old(make, is_view):
    expected = make_numpy(make, START + 100 if is_view else START)
    for result in shown_and_used(make):
        np.testing.assert_array_equal(result, expected)


def make_numpy(make, value):
    with tf.Graph().as_default(), tf.Session() as sess:
        return sess.run(make(tf.constant(value)))


def test_a_view_is_made_once_while_nothing_writes():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=START, use_resource=False)
        flat = tf.reshape(v, [-1])
        assert sess.plan([flat + 1, flat * 2]).source.count("Reshape") == 1


def test_a_view_that_is_fed_is_what_is_fed():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=START, use_resource=False)
        flat = tf.reshape(v, [-1])
        sess.run(v.initializer)
        result = sess.run(flat + 1, {flat: np.zeros(64, np.float32)})
        np.testing.assert_array_equal(result, np.ones(64))


def test_a_check_is_made_where_it_stands():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=[np.inf], use_resource=False)
        with tf.control_dependencies([tf.check_numerics(v, "before")]):
            assigned = v.assign([1.0])
        sess.run(v.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError, match="before"):
            sess.run(assigned)
        assert sess.run(v) == [np.inf]


def test_a_view_of_a_variable_without_a_value_fails_also_when_it_is_only_waited_for():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=START, use_resource=False)
        with tf.control_dependencies([tf.reshape(v, [-1])]):
            done = tf.no_op()
        with pytest.raises(tf.errors.FailedPreconditionError, match="v"):
            sess.run(done)
