"""Scatter updates work in place, and who read the variable before keeps what it had."""

import numpy as np
import pytest

import ckpt as tf

KINDS = {
    "rows by reference": (False, lambda v: tf.scatter_add(v, [1, 1], [[1.0], [2.0]])),
    "rows by handle": (True, lambda v: tf.scatter_add(v, [1, 1], [[1.0], [2.0]])),
    "elements by reference": (False, lambda v: tf.scatter_nd_add(v, [[1, 0], [1, 0]], [1.0, 2.0])),
    "elements by handle": (True, lambda v: tf.scatter_nd_add(v, [[1, 0], [1, 0]], [1.0, 2.0])),
    "sum by reference": (False, lambda v: tf.assign_add(v, [[0.0], [3.0]])),
    "sum by handle": (True, lambda v: tf.assign_add(v, [[0.0], [3.0]])),
    "descent by reference": (False, lambda v: tf.train.GradientDescentOptimizer(-1.0).apply_gradients(
        [(tf.constant([[0.0], [3.0]]), v)])),
    "descent by handle": (True, lambda v: tf.train.GradientDescentOptimizer(-1.0).apply_gradients(
        [(tf.IndexedSlices(tf.constant([[3.0]]), tf.constant([1])), v)])),
}  # fmt: skip


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def updated(request):
    """(session, variable, the update): [[0], [0]] becomes [[0], [3]]."""
    is_resource, update = request.param
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=np.zeros((2, 1), np.float32), use_resource=is_resource)
        step = update(v)
        sess.run(tf.global_variables_initializer())
        yield sess, v, getattr(step, "op", step)


def address(sess):
    return sess.state.resource("variable", "", "v", lambda: None).read().ctypes.data


def test_an_update_is_made_in_place(updated):
    sess, v, step = updated
    sess.run(step)  # the value that the variable began with is the constant's, too
    before = address(sess)
    sess.run(step)
    assert address(sess) == before
    assert sess.run(v).tolist() == [[0], [6]]


def test_a_value_fetched_before_stays(updated):
    sess, v, step = updated
    before = sess.run(v)
    sess.run(step)
    assert before.tolist() == [[0], [0]]


def test_a_value_read_before_in_the_same_run_stays():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=np.zeros((2, 1), np.float32), use_resource=True)
        read = v.read_value()
        with tf.control_dependencies([read]):
            step = tf.scatter_update(v, [1], [[5.0]])
        later = tf.identity(step)
        sess.run(tf.global_variables_initializer())
        before, after = sess.run([read, later])
    assert (before.tolist(), after.tolist()) == ([[0], [0]], [[0], [5]])


@pytest.mark.parametrize("is_resource", [False, True])
@pytest.mark.parametrize(
    ("update", "message"),
    [
        (lambda v, i, u: tf.scatter_add(v, i, u), r"indices\[1\] = 2 is not in \[0, 2\)"),
        (
            lambda v, i, u: tf.scatter_nd_add(v, i[:, None], u),
            r"indices\[1\] = \[2\] does not index",
        ),
    ],
)
def test_an_update_that_does_not_fit_changes_nothing(is_resource, update, message):
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=np.zeros((2, 1), np.float32), use_resource=is_resource)
        at = tf.placeholder(tf.int32, [2])
        step = update(v, at, [[1.0], [2.0]])
        sess.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            sess.run(getattr(step, "op", step), {at: [0, 2]})
        assert sess.run(v).tolist() == [[0], [0]]
        sess.run(getattr(step, "op", step), {at: [0, 1]})
        assert sess.run(v).tolist() == [[1], [2]]


def test_updates_of_another_shape_are_refused():
    with tf.Graph().as_default(), tf.Session() as sess:
        v = tf.get_variable("v", initializer=np.zeros((2, 3), np.float32))
        updates = tf.placeholder(tf.float32)
        sess.run(tf.global_variables_initializer())
        for step in (tf.scatter_add(v, [1], updates), tf.scatter_nd_add(v, [[1]], updates)):
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"Must have updates.shape"):
                sess.run(step, {updates: np.zeros((3, 1))})
