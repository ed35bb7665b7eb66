"""Layers: names, shapes, reuse, values, updates."""

import numpy as np
import pytest

import ckpt as tf
from tests.conformance.ops import normal


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


def run(fetches, feeds=None):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feeds)


def test_dense_names_and_values():
    x = normal(5, 3)
    y = tf.layers.dense(tf.constant(x), 2, activation=tf.nn.relu)
    kernel, bias = tf.trainable_variables()
    assert [y.name, kernel.name, bias.name] == ["dense/Relu:0", "dense/kernel:0", "dense/bias:0"]
    again = tf.layers.dense(tf.constant(x), 2)
    assert again.name == "dense_1/BiasAdd:0"
    got, k = run([y, kernel])
    np.testing.assert_allclose(got, np.maximum(x @ k, 0), rtol=1e-5, atol=1e-6)


def test_variables_are_shared_by_name():
    x = tf.constant(normal(1, 6, 6, 2))
    tf.layers.conv2d(x, 4, 3, name="c")
    tf.layers.conv2d(x, 4, 3, name="c", reuse=True)
    assert len(tf.global_variables()) == 2
    with pytest.raises(ValueError, match="already exists"):
        tf.layers.conv2d(x, 4, 3, name="c")


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        (lambda x: tf.layers.conv1d(x, 4, 3, strides=2), (2, 9, 3), [2, 4, 4]),
        (
            lambda x: tf.layers.conv2d(x, 4, 3, padding="same", strides=2),
            (2, 5, 6, 3),
            [2, 3, 3, 4],
        ),
        (lambda x: tf.layers.conv3d(x, 2, 2), (1, 3, 3, 3, 2), [1, 2, 2, 2, 2]),
        (lambda x: tf.layers.conv2d_transpose(x, 2, 3, strides=2), (1, 3, 3, 2), [1, 7, 7, 2]),
        (
            lambda x: tf.layers.conv3d_transpose(x, 2, 3, strides=2, padding="same"),
            (1, 2, 2, 2, 1),
            [1, 4, 4, 4, 2],
        ),
        (lambda x: tf.layers.separable_conv2d(x, 4, 3), (1, 5, 5, 2), [1, 3, 3, 4]),
        (lambda x: tf.layers.separable_conv1d(x, 4, 3), (1, 5, 2), [1, 3, 4]),
        (lambda x: tf.layers.max_pooling2d(x, 2, 2), (1, 5, 4, 2), [1, 2, 2, 2]),
        (lambda x: tf.layers.average_pooling1d(x, 2, 2), (1, 6, 2), [1, 3, 2]),
        (lambda x: tf.layers.flatten(inputs=x), (2, 3, 4), [2, 12]),
    ],
)
def test_shapes(make, shape, expected):
    y = make(tf.constant(normal(*shape)))
    assert y.shape.as_list() == expected
    assert list(run(y).shape) == expected


@pytest.mark.parametrize("fused", [True, False])
def test_batch_normalization_trains_and_infers(fused):
    x = normal(8, 3, 3, 2) * 3 + 1
    training = tf.placeholder(tf.bool)
    layer = tf.layers.BatchNormalization(fused=fused, momentum=0.5)
    y = layer(tf.constant(x), training=training)
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert updates == layer.updates
    assert len(updates) == 2
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        got = session.run([y, *updates], {training: True})[0]
        np.testing.assert_allclose(got.mean((0, 1, 2)), 0, atol=1e-5)
        mean, variance = session.run([layer.moving_mean, layer.moving_variance])
        np.testing.assert_allclose(mean, 0.5 * x.mean((0, 1, 2)), rtol=1e-5)
        got = session.run([y, *updates], {training: False})[0]
        np.testing.assert_allclose(got, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(session.run(layer.moving_mean), mean)


def test_dropout_only_while_training():
    x = tf.constant(np.ones((100, 10), np.float32))
    training = tf.placeholder(tf.bool, [])
    y = tf.layers.dropout(x, 0.5, training=training)
    dropped = run(y, {training: True})
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert 300 < np.count_nonzero(dropped) < 700
    assert (run(y, {training: False}) == 1).all()


def test_input_of_the_wrong_rank_is_refused():
    with pytest.raises(ValueError, match="expected ndim=4"):
        tf.layers.conv2d(tf.constant(normal(3, 3)), 1, 1)


def test_regularizers_and_activity():
    layer = tf.layers.Dense(2, kernel_regularizer=tf.nn.l2_loss, activity_regularizer=tf.reduce_sum)
    x = tf.constant(normal(2, 3))
    layer(x)
    assert layer.losses == tf.losses.get_regularization_losses()
    assert len(layer.losses) == 2
    assert len(layer.get_losses_for(x)) == 1
