"""Symbolic derivatives: options, aggregation, own rules, size."""

import numpy as np
import pytest

import ckpt as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_integers_carry_no_gradient():
    k = tf.constant([3, 4])
    assert tf.gradients(k * k, k) == [None]


@pytest.mark.parametrize("method", [None, 0, 1, 2])
def test_every_way_of_adding_gives_the_sum(method):
    x = tf.constant([1.0, 2.0])
    y = x * 2.0 + x * 3.0 + x * x
    grad = tf.gradients(y, x, aggregation_method=method)[0]
    assert tf.Session().run(grad).tolist() == [7.0, 9.0]


def test_an_unknown_way_of_adding_is_refused():
    x = tf.constant(1.0)
    with pytest.raises(ValueError, match="Invalid aggregation_method"):
        tf.gradients(x * 2.0, x, aggregation_method=7)


def test_sums_stand_beside_the_first_gradient():
    w, x, y = tf.constant([[1.0]]), tf.constant([[1.0, 2.0]]), tf.constant([[1.0, 2.0]])
    wx = tf.matmul(w, x)
    grad = tf.gradients(wx + tf.matmul(w, y), [w], colocate_gradients_with_ops=True)[0]
    assert grad.op.colocation_groups() == wx.op.colocation_groups()
    assert grad.op.inputs[0].op._original_op is wx.op


def test_hessians_are_second_derivatives():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    found = tf.Session().run(tf.hessians(tf.reduce_sum(x * x * x), x))[0]
    assert found.reshape(4, 4).tolist() == np.diag([6.0, 12.0, 18.0, 24.0]).tolist()


def test_a_function_may_bring_its_own_gradient():
    @tf.custom_gradient
    def doubled(x):
        return x * 2.0, lambda dy: dy * 10.0

    x = tf.constant(3.0)
    y = doubled(x)
    assert tf.Session().run([y, tf.gradients(y, x)[0]]) == [6.0, 10.0]


def test_its_own_gradient_covers_the_variables_it_reads():
    @tf.custom_gradient
    def scaled(x):
        v = tf.get_variable("v", initializer=2.0, use_resource=True)

        def grad(dy, variables):
            return dy * 10.0, [dy * 20.0 for _ in variables]

        return x * v, grad

    x = tf.constant(3.0)
    y = scaled(x)
    found = tf.gradients(y, [x, *tf.global_variables()])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run([y, *found]) == [6.0, 10.0, 20.0]


def test_a_chain_of_ten_thousand_operations_has_a_gradient():
    x = y = tf.constant(1.0)
    for _ in range(10_000):
        y = tf.identity(y)
    assert tf.Session().run(tf.gradients(y, x)[0]) == 1.0
