"""Initial values that depend on variables; tests/oracle/programs/initial_values.py compares with TensorFlow."""

import pytest

import ckpt as tf


def variable(value, name):
    return tf.Variable(value, name=name, use_resource=False)


def test_a_chain_is_initialized_from_its_end():
    with tf.Graph().as_default(), tf.Session() as session:
        v = variable(1.0, "v_0")
        for i in range(1, 6):
            v = variable(v + 1.0, f"v_{i}")
        session.run(v.initializer)
        assert session.run(v) == 6.0
        session.run(tf.global_variables_initializer())
        assert session.run(tf.global_variables()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_a_random_value_is_drawn_once_for_all_who_depend_on_it():
    with tf.Graph().as_default(), tf.Session() as session:
        a = variable(tf.random_uniform([100]), "a")
        b = variable(a + 0.0, "b")
        session.run(tf.global_variables_initializer())
        assert (session.run(a) == session.run(b)).all()


def test_a_deep_computation_is_no_deep_recursion():
    with tf.Graph().as_default(), tf.Session() as session:
        y = variable(2.0, "a") * 1.0
        for _ in range(2000):
            y = tf.identity(y)
        b = variable(y, "b")
        session.run(b.initializer)
        assert session.run(b) == 2.0


@pytest.mark.parametrize(
    "value",
    [
        lambda a: tf.assign_add(a, 1.0) * 2.0,
        lambda a: tf.cond(a > 0.0, lambda: a * 2.0, lambda: a) + 2.0,
        lambda a: tf.while_loop(lambda x: x < 4.0, lambda x: x + 1.0, [a * 1.0]),
    ],
)
def test_what_is_not_copied_waits_for_its_variables(value):
    with tf.Graph().as_default() as graph, tf.Session() as session:
        a = variable(1.0, "a")
        found = value(a)
        count = len(graph.get_operations())
        b = variable(found, "b")
        assert [op.name for op in graph.get_operations()[count:]] == ["b", "b/Assign", "b/read"]
        with pytest.raises(tf.errors.FailedPreconditionError, match="a"):
            session.run(b.initializer)
        session.run(tf.global_variables_initializer())
        assert session.run(b) == 4.0
