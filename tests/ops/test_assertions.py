"""The assert_* family says what was wrong, in TensorFlow's words."""

import pytest

import ckpt as tf


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("assert_negative", "x < 0 did not hold"),
        ("assert_positive", "x > 0 did not hold"),
        ("assert_non_negative", "x >= 0 did not hold"),
        ("assert_non_positive", "x <= 0 did not hold"),
    ],
)
def test_a_sign_that_is_known_to_be_wrong_is_refused_at_once(name, words):
    with tf.Graph().as_default():
        x = tf.constant([-2, 2], name="rachel")
        with pytest.raises(tf.errors.InvalidArgumentError, match=words) as caught:
            getattr(tf, name)(x)
        assert "x (rachel:0) = \n[-2  2]" in caught.value.message
        with pytest.raises(tf.errors.InvalidArgumentError, match="my words"):
            getattr(tf, name)(x, message="my words")


def test_shapes_that_do_not_broadcast_are_refused_as_by_the_comparison():
    with tf.Graph().as_default():
        for check in (tf.assert_none_equal, tf.assert_equal, tf.assert_less):
            with pytest.raises(ValueError, match="Dimensions must be equal, but are 3 and 2"):
                check(tf.constant([1, 1, 1]), tf.constant([10, 10]))
