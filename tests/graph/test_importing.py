"""import_graph_def where the graph has names already; tests/oracle/programs/imported_names.py compares with TensorFlow."""

import tracemalloc

import pytest

import ckpt as tf


def pair():
    with tf.Graph().as_default() as graph:
        a = tf.constant(2.0, name="a")
        with tf.colocate_with(a), tf.control_dependencies([tf.no_op(name="n")]):
            tf.add(a, a, name="b")
    return graph.as_graph_def()


def test_names_that_are_taken_get_numbers_everywhere():
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(pair(), name="")
        a, b = tf.import_graph_def(pair(), name="", return_elements=["a:0", "b"])
        assert [a.name, b.name] == ["a_1:0", "b_1"]
        assert [t.name for t in b.inputs] == ["a_1:0", "a_1:0"]
        assert [c.name for c in b.control_inputs] == ["n_1"]
        assert b.colocation_groups() == [b"loc:@a_1"]
        assert session.run(["b:0", "b_1:0"], {a: 5.0}) == [4.0, 10.0]


def test_a_number_is_none_of_a_name_of_the_definition():
    with tf.Graph().as_default() as definition:
        tf.constant(1.0, name="a")
        tf.constant(1.0, name="a_1")
    with tf.Graph().as_default() as graph:
        tf.constant(0.0, name="a")
        tf.import_graph_def(definition.as_graph_def(), name="")
        assert [op.name for op in graph.get_operations()] == ["a", "a_2", "a_1"]


def test_a_name_of_many_scopes_takes_no_memory_for_each():
    deep = "a/" * 20_000 + "b"  # its scopes are 400 MB of text
    with tf.Graph().as_default() as graph:
        tf.no_op(name=deep)
        given = graph.as_graph_def()
        tracemalloc.start()
        try:
            tf.import_graph_def(given, name="")
            assert tracemalloc.get_traced_memory()[1] < 10 << 20
        finally:
            tracemalloc.stop()
        assert [op.name for op in graph.get_operations()] == [deep, f"{deep}_1"]


def test_a_failed_import_leaves_no_name_behind():
    given = pair()
    given.node[2].input[0] = "nowhere:0"
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError, match="nowhere"):
            tf.import_graph_def(given, name="")
        assert not graph.get_operations()
        assert tf.constant(1.0, name="a").name == "a:0"
