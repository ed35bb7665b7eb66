"""What can be converted to what."""

import pytest

import ckpt as tf


@pytest.mark.parametrize(("value", "dtype"), [(["1"], tf.int32), ([1], tf.string)])
def test_strings_are_not_cast_to_numbers_nor_numbers_to_strings(value, dtype):
    with tf.Graph().as_default(), tf.Session() as session:
        cast = tf.cast(value, dtype)
        with pytest.raises(tf.errors.UnimplementedError, match="is not supported"):
            session.run(cast)
