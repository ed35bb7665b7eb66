"""What is known of a tensor while the graph is built."""

import numpy as np
import pytest

import ckpt as tf
from ckpt import surgery
from ckpt.graph.static import constant_value
from tests.compose.test_merging import save


def test_constants_and_what_follows_from_them_are_known():
    assert constant_value(tf.constant(2.0) * 3.0) == 6


def test_a_placeholder_is_not_its_default():
    training = tf.placeholder_with_default(True, [])
    assert constant_value(training) is None
    assert constant_value(tf.logical_not(training)) is None


@pytest.mark.parametrize("fused", [True, False])
def test_a_switch_with_a_default_can_be_fed(fused):
    training = tf.placeholder_with_default(True, [])
    x = tf.placeholder(tf.float32, [None, 2, 2, 3])
    y = tf.layers.batch_normalization(x, training=training, fused=fused)
    value = np.random.RandomState(0).normal(5, 2, size=(4, 2, 2, 3)).astype("f")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        np.testing.assert_allclose(sess.run(y, {x: value}).mean((0, 1, 2)), 0, atol=1e-5)
        as_is = sess.run(y, {x: value, training: False})
        np.testing.assert_allclose(as_is, value / np.sqrt(1.001), rtol=1e-4)


def test_surgery_keeps_what_can_be_fed(tmp_path):
    def build():
        rate = tf.placeholder_with_default(2.0, [], name="rate")
        tf.multiply(tf.get_variable("w", [2]) * rate, 1.0 + rate, name="y")

    draft = surgery.freeze(surgery.open_draft(save(tmp_path / "m", build)), ["y"])
    folded = surgery.fold_constants(draft)
    assert folded.nodes["rate"].op == "PlaceholderWithDefault"
    surgery.write_draft(folded, tmp_path / "folded")
    assert tf.check(
        tmp_path / "m", tmp_path / "folded", inputs={"rate": 5.0}, outputs=["y:0"]
    ).is_equal
