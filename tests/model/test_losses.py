"""Weighted losses: reductions, weights, collections."""

import numpy as np
import pytest

import ckpt as tf
from tests.conformance.ops import normal

LABELS, PREDICTIONS = normal(3, 4), normal(3, 4, seed=1)


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


def value(tensor, **feeds):
    with tf.Session() as session:
        return session.run(tensor)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        (tf.losses.Reduction.SUM, lambda e, w: (e * w).sum()),
        (tf.losses.Reduction.MEAN, lambda e, w: (e * w).sum() / np.broadcast_to(w, e.shape).sum()),
        (tf.losses.Reduction.SUM_OVER_BATCH_SIZE, lambda e, w: (e * w).sum() / e.size),
        (
            tf.losses.Reduction.SUM_BY_NONZERO_WEIGHTS,
            lambda e, w: (e * w).sum() / (4 * (w != 0).sum()),
        ),
        (tf.losses.Reduction.NONE, lambda e, w: e * w),
    ],
)
def test_reductions(reduction, expected):
    weights = np.array([[0.0], [2.0], [3.0]], np.float32)
    loss = tf.losses.mean_squared_error(LABELS, PREDICTIONS, weights, reduction=reduction)
    errors = (LABELS - PREDICTIONS) ** 2
    np.testing.assert_allclose(value(loss), expected(errors, weights), rtol=1e-5)
    assert tf.losses.get_losses() == [loss]


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="can not be broadcast"):
        tf.losses.absolute_difference(LABELS, PREDICTIONS, np.ones((3, 2), np.float32))
    with pytest.raises(ValueError, match="Invalid Reduction"):
        tf.losses.absolute_difference(LABELS, PREDICTIONS, reduction="median")


def test_no_weight_at_all_gives_zero():
    assert value(tf.losses.log_loss(abs(LABELS), abs(PREDICTIONS), 0.0)) == 0


def test_hinge_and_huber():
    signs = np.sign(LABELS)
    hinge = tf.losses.hinge_loss((signs + 1) / 2, PREDICTIONS)
    np.testing.assert_allclose(
        value(hinge), np.maximum(0, 1 - signs * PREDICTIONS).mean(), rtol=1e-5
    )
    error = abs(LABELS - PREDICTIONS)
    huber = np.where(error <= 0.5, 0.5 * error**2, 0.5 * error - 0.125).mean()
    np.testing.assert_allclose(
        value(tf.losses.huber_loss(LABELS, PREDICTIONS, delta=0.5)), huber, rtol=1e-5
    )


def test_label_smoothing():
    onehot = np.eye(4, dtype=np.float32)[:3]
    plain = PREDICTIONS - PREDICTIONS.max(1, keepdims=True)
    log = plain - np.log(np.exp(plain).sum(1, keepdims=True))
    wanted = -((onehot * 0.8 + 0.2 / 4) * log).sum(1).mean()
    loss = tf.losses.softmax_cross_entropy(onehot, PREDICTIONS, label_smoothing=0.2)
    np.testing.assert_allclose(value(loss), wanted, rtol=1e-5)


def test_total_is_the_sum_of_losses_and_regularizers():
    tf.losses.add_loss(tf.constant(2.0))
    tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, tf.constant(3.0))
    assert value(tf.losses.get_total_loss()) == 5
    assert value(tf.losses.get_regularization_loss()) == 3


def test_pairwise_error_is_zero_where_all_errors_are_the_same():
    assert abs(value(tf.losses.mean_pairwise_squared_error(LABELS, LABELS + 3))) < 1e-4
