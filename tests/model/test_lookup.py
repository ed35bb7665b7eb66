"""Lookup tables and Python functions in graphs."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.graph import dump, load


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


def test_table_from_a_vocabulary():
    table = tf.lookup.index_table_from_tensor(["one", "two", "three"], default_value=-7)
    ids = table.lookup(tf.constant([["two", "four"]]))
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="not initialized"):
            session.run(ids)
        session.run(tf.tables_initializer())
        np.testing.assert_array_equal(session.run(ids), [[1, -7]])
        assert session.run(table.size()) == 3


def test_table_from_a_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("red\ngreen\nblue\n")
    there = tf.lookup.index_table_from_file(str(path))
    back = tf.lookup.index_to_string_table_from_file(str(path), default_value="?")
    names = back.lookup(tf.constant([2, 5], tf.int64))
    ids = there.lookup(tf.constant(["green"]))
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        assert session.run(names).tolist() == [b"blue", b"?"]
        assert session.run(ids).tolist() == [1]
    assert len(tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS)) == 2


def test_missing_file_is_named(tmp_path):
    tf.lookup.index_table_from_file(str(tmp_path / "none.txt"))
    with tf.Session() as session, pytest.raises(tf.errors.NotFoundError, match=r"none\.txt"):
        session.run(tf.tables_initializer())


def test_two_values_for_one_key_are_refused():
    initializer = tf.lookup.KeyValueTensorInitializer(["a", "a"], tf.constant([1, 2], tf.int64))
    tf.lookup.StaticHashTable(initializer, -1)
    with (
        tf.Session() as session,
        pytest.raises(tf.errors.FailedPreconditionError, match="different value"),
    ):
        session.run(tf.tables_initializer())


def test_mutable_table():
    table = tf.lookup.MutableHashTable(tf.int64, tf.float32, 0.0)
    keys = tf.constant([1, 2], tf.int64)
    insert, found = table.insert(keys, [1.5, 2.5]), table.lookup(tf.constant([2, 3], tf.int64))
    with tf.Session() as session:
        session.run(insert)
        np.testing.assert_array_equal(session.run(found), [2.5, 0.0])
        assert session.run(table.export())[0].tolist() == [1, 2]


def test_python_function():
    x = tf.placeholder(tf.float32)
    doubled, name = tf.py_func(lambda v: (v * 2, b"twice"), [x], [tf.float32, tf.string])
    with tf.Session() as session:
        got = session.run([doubled, name], {x: np.float32([1, 2])})
    np.testing.assert_array_equal(got[0], [2, 4])
    assert got[1] == b"twice"


def test_python_function_that_returns_another_dtype_is_refused():
    y = tf.py_func(lambda: np.float64(1), [], tf.float32)
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match="float64"):
        session.run(y)


def test_loaded_graph_runs_a_python_function_only_when_allowed():
    calls = []
    node = tf.py_func(lambda: calls.append(1) or np.float32(3), [], tf.float32).op
    exported = dump.graph_def(tf.get_default_graph())
    with tf.Graph().as_default() as graph, tf.Session() as session:
        load.load_graph(graph, exported)
        y = graph.get_tensor_by_name(f"{node.name}:0")
        with pytest.raises(tf.errors.PermissionDeniedError, match="allow_py_functions"):
            session.run(y)
        assert calls == []
        tf.allow_py_functions({node.get_attr("token").decode(): lambda: np.float32(4)})
        assert session.run(y) == 4
