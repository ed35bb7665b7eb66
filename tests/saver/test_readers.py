"""Looking into checkpoints without a graph, and waiting for new ones."""

import threading
import time

import numpy as np
import pytest

import ckpt as tf


@pytest.fixture
def prefix(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.Variable([1.5, 2.5], name="a")
        tf.Variable(3, name="scope/b")
        tf.Variable("text", name="s")
        tf.get_variable("p", [5, 2], partitioner=tf.fixed_size_partitioner(2))
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver()
        saver.save(sess, tmp_path / "m", 1)
        return saver.save(sess, tmp_path / "m", 2)


def test_a_reader_lists_and_reads(prefix):
    reader = tf.train.NewCheckpointReader(prefix)
    assert reader.get_variable_to_shape_map() == {"a": [2], "p": [5, 2], "s": [], "scope/b": []}
    assert reader.get_variable_to_dtype_map()["scope/b"] == tf.int32
    assert reader.has_tensor("a")
    assert not reader.has_tensor("q")
    np.testing.assert_array_equal(reader.get_tensor("a"), [1.5, 2.5])
    assert reader.get_tensor("scope/b") == 3
    assert reader.get_tensor("s") == b"text"
    assert reader.get_tensor("p").shape == (5, 2)
    assert b"a (DT_FLOAT) [2]\n" in reader.debug_string()


def test_quantized_integers_are_read_as_plain_ones(tmp_path):
    with tf.Session() as sess:
        tf.Variable(tf.constant(np.array([1, 2], np.int8), tf.qint8), name="q")
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    found = tf.train.load_variable(prefix, "q")
    assert found.dtype == np.int8
    assert found.tolist() == [1, 2]


def test_names_that_are_not_there_are_answered_with_what_is_like_them(prefix):
    reader = tf.train.load_checkpoint(prefix)
    with pytest.raises(tf.errors.NotFoundError, match=r"Key scope/bb not found .* scope/b"):
        reader.get_tensor("scope/bb")


def test_a_directory_stands_for_its_newest_checkpoint(prefix, tmp_path):
    assert tf.train.list_variables(tmp_path) == tf.train.list_variables(prefix)
    np.testing.assert_array_equal(tf.train.load_variable(tmp_path, "a:0"), [1.5, 2.5])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file"):
        tf.train.load_checkpoint(tmp_path / "empty")


def test_what_is_no_checkpoint_is_not_found(tmp_path):
    for function in (tf.train.NewCheckpointReader, tf.train.load_checkpoint):
        with pytest.raises(tf.errors.NotFoundError, match="nowhere"):
            function(tmp_path / "nowhere")


def test_times_of_checkpoints_that_are_there(prefix, tmp_path):
    found = tf.train.get_checkpoint_mtimes([prefix, str(tmp_path / "no")])
    assert len(found) == 1
    assert abs(found[0] - time.time()) < 3600


def test_waiting_for_a_checkpoint_that_is_there_already(prefix, tmp_path):
    assert tf.train.wait_for_new_checkpoint(tmp_path) == prefix
    assert tf.train.wait_for_new_checkpoint(tmp_path, prefix, 0.01, timeout=0.02) is None
    assert tf.train.wait_for_new_checkpoint(tmp_path / "no", None, 0.01, timeout=0) is None


def test_iterating_over_checkpoints_as_they_come(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        sess.run(tf.Variable(1.0).initializer)
        saver = tf.train.Saver()
        first = saver.save(sess, tmp_path / "m", 1)
        late = threading.Timer(0.05, lambda: saver.save(sess, tmp_path / "m", 2))
        seen = []
        for path in tf.train.checkpoints_iterator(tmp_path, timeout=5, timeout_fn=None):
            seen.append(path)
            if len(seen) == 1:
                late.start()
            else:
                break
        late.join()
    assert seen == [first, str(tmp_path / "m-2")]


def test_iteration_ends_when_nothing_comes_and_the_function_agrees(prefix, tmp_path):
    assert list(tf.train.checkpoints_iterator(tmp_path, timeout=0)) == [prefix]
    answers = iter([False, True])
    found = tf.train.checkpoints_iterator(
        tmp_path / "no", timeout=0, timeout_fn=lambda: next(answers)
    )
    assert list(found) == []
    assert list(answers) == []


def test_iteration_keeps_the_interval(tmp_path, prefix, monkeypatch):
    from ckpt.saver import polling

    slept = []
    monkeypatch.setattr(polling.time, "sleep", slept.append)
    list(tf.train.checkpoints_iterator(tmp_path, min_interval_secs=100, timeout=0))
    assert 99 < slept[0] <= 100


def test_names_may_be_bytes_and_nothing_else(prefix):
    reader = tf.train.NewCheckpointReader(prefix.encode())
    assert reader.has_tensor(b"a")
    np.testing.assert_array_equal(reader.get_tensor(b"a"), [1.5, 2.5])
    for name in (3, None):
        for ask in (reader.has_tensor, reader.get_tensor):
            with pytest.raises(TypeError, match="the name of a tensor is a text"):
                ask(name)
