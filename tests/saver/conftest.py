"""What the tests of the Saver share."""

import pytest

import ckpt as tf
from ckpt.core.input_file import InputFile
from tests.saver.models import model


@pytest.fixture
def bytes_read(monkeypatch):
    """How many bytes were read from files so far, headers and indexes included."""
    counts = []
    read, read_into, read_each = InputFile.read, InputFile.read_into, InputFile.read_into_each

    def counted(self, offset, length):
        data = read(self, offset, length)
        counts.append(len(data))
        return data

    def counted_into(self, view, offset):
        read_into(self, view, offset)
        counts.append(len(view))

    def counted_each(self, buffers, offset, length):
        read_each(self, buffers, offset, length)
        counts.append(length)

    monkeypatch.setattr(InputFile, "read", counted)
    monkeypatch.setattr(InputFile, "read_into", counted_into)
    monkeypatch.setattr(InputFile, "read_into_each", counted_each)
    return lambda: sum(counts)


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
