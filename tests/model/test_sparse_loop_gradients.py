"""Gradients of rows gathered in branches and loops stay rows, as TensorFlow keeps them, and add up to the dense ones."""

import numpy as np
import pytest

import ckpt as tf

WHOLE = np.arange(8.0).reshape(4, 2)


def looped(body, count=3):
    return tf.while_loop(
        lambda i, a: i < count, lambda i, a: (i + 1, body(i, a)), [0, tf.zeros([2, 2], tf.float64)]
    )[1]


PROGRAMS = {
    "loop": lambda t: looped(lambda i, a: a + tf.gather(t, [i, 3]) * tf.gather(t, [0, i])),
    "branch": lambda t: tf.cond(tf.constant(1) > 0, lambda: tf.gather(t, [1, 1]), lambda: a_zero()),
    "both branches": lambda t: tf.cond(tf.constant(1) < 0, lambda: tf.gather(t, [1, 1]), lambda: tf.gather(t, [2])),
    "branch in loop": lambda t: looped(lambda i, a: tf.cond(i < 2, lambda: a + tf.gather(t, [i, 3]), lambda: a * a)),
    "loop in branch": lambda t: tf.cond(
        tf.constant(1) > 0, lambda: looped(lambda i, a: a + tf.gather(t, [i, 3])), a_zero),
    "loop in loop": lambda t: looped(lambda i, a: looped(lambda j, b: b + tf.gather(t, [j, i])) + a),
    "case": lambda t: tf.switch_case(tf.constant(1), [a_zero, lambda: tf.gather(t, [3, 3]) ** 2]),
    "no iterations": lambda t: looped(lambda i, a: a + tf.gather(t, [i, 3]), 0),
}  # fmt: skip
DENSE = {
    "gather or the whole": lambda t: tf.cond(tf.constant(1) > 0, lambda: tf.gather(t, [1, 1]), lambda: t * 2),
    "gather and the whole in a loop": lambda t: looped(lambda i, a: a + tf.gather(t, [i, 3]) * tf.reduce_sum(t)),
}  # fmt: skip


def a_zero():
    return tf.zeros([2, 2], tf.float64)


def dense_gradient(program, table):
    """The gradient by central differences."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float64, [4, 2])
        y = tf.reduce_sum(program(x))
        found = np.zeros((4, 2))
        for index in np.ndindex(4, 2):
            step = np.zeros((4, 2))
            step[index] = 1e-6
            found[index] = (
                session.run(y, {x: table + step}) - session.run(y, {x: table - step})
            ) / 2e-6
    return found


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
@pytest.mark.parametrize("name", [*PROGRAMS, *DENSE])
def test_rows_stay_rows(name, use_resource):
    program = PROGRAMS.get(name) or DENSE[name]
    with tf.Graph().as_default(), tf.Session() as session:
        table = tf.get_variable("t", dtype=tf.float64, initializer=WHOLE, use_resource=use_resource)
        y = program(table)
        (grad,) = tf.gradients(y, table)
        assert isinstance(grad, tf.IndexedSlices) == (name in PROGRAMS)
        session.run(table.initializer)
        np.testing.assert_allclose(
            session.run(tf.convert_to_tensor(grad)), dense_gradient(program, WHOLE), atol=1e-6
        )


def test_an_optimizer_moves_only_the_rows_that_a_loop_gathered():
    with tf.Graph().as_default(), tf.Session() as session:
        table = tf.get_variable("t", dtype=tf.float64, initializer=WHOLE)
        loss = tf.reduce_sum(
            looped(lambda i, a: a + tf.gather(table, [0, 0]) + tf.gather(table, [2, 2]))
        )
        train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
        session.run(tf.global_variables_initializer())
        session.run([train, train])
        moved = session.run(table) != WHOLE
        assert moved.any(axis=1).tolist() == [True, False, True, False]


def test_rows_have_second_derivatives():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float64, [4, 2])
        y = tf.reduce_sum(looped(lambda i, a: a + tf.gather(x, [i, 3]) ** 3))
        (first,) = tf.gradients(y, x)
        (second,) = tf.gradients(tf.convert_to_tensor(first), x)
        found = session.run(tf.convert_to_tensor(second), {x: WHOLE})
        np.testing.assert_allclose(found, 6 * WHOLE * np.array([[1], [1], [1], [3]]))
