"""What the tests of the Saver share."""

import pytest

import ckpt as tf
from tests.saver.models import model


@pytest.fixture
def bytes_read(reads):
    """How many bytes were read from files so far, headers and indexes included."""
    return lambda: sum(reads)


@pytest.fixture
def checkpoint(tmp_path):
    """(prefix, values): the model under the scope "net"."""
    with tf.Graph().as_default(), tf.Session() as sess:
        variables = model()
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, tmp_path / "m"), sess.run(variables)


@pytest.fixture
def sess():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


@pytest.fixture
def default_session():
    with tf.Graph().as_default(), tf.Session():
        yield
