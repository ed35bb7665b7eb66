"""Ranks are checked, and so is that they are ranks."""

import pytest

import ckpt as tf


def test_a_rank_that_turns_out_to_be_no_scalar_is_refused_when_run():
    with tf.Graph().as_default(), tf.Session() as session:
        one, rank = tf.placeholder(tf.int32), tf.placeholder(tf.int32)
        x = tf.constant([1.0, 2.0])
        for check in (tf.assert_rank(x, rank), tf.assert_rank_in(x, (one, rank))):
            session.run(check, {one: 3, rank: 1})
            with pytest.raises(tf.errors.InvalidArgumentError, match="Rank must be a scalar"):
                session.run(check, {one: 3, rank: [1, 2]})
            with pytest.raises(tf.errors.InvalidArgumentError, match="must have rank"):
                session.run(check, {one: 3, rank: 2})
