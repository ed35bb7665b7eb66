"""Shapes of several tensors at once; tests/oracle/programs/shape_assertions.py compares with TensorFlow."""

import numpy as np
import pytest

import ckpt as tf


def test_names_stand_for_one_size():
    with tf.Graph().as_default(), tf.Session() as session:
        x, y = tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.float32)
        check = tf.debugging.assert_shapes({x: ("N", 3), y: (..., "N")})
        session.run(check, {x: np.zeros([2, 3]), y: np.zeros([7, 2])})
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"dimension\] \[-1\] \[must have size\] \[2\]"
        ):
            session.run(check, {x: np.zeros([2, 3]), y: np.zeros([2, 7])})


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (("N", "N"), "dimension 1 must have size 2"),
        (("N",), "rank 1"),
        ((2, "*"), "first"),
        (5, "iterable"),
    ],
)
def test_what_is_known_fails_while_building(shape, words):
    with pytest.raises(ValueError, match=words):
        tf.debugging.assert_shapes([(np.zeros([2, 3]), shape)], message="here")
