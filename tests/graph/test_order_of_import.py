"""Nodes of a GraphDef may stand in any order; cycles are refused by name, unless they are loops."""

import pytest

import ckpt as tf


def chain(count):
    with tf.Graph().as_default() as graph:
        y = tf.placeholder(tf.float32, [], name="x")
        for i in range(count):
            y = tf.negative(y, name=f"n{i}")
        return graph.as_graph_def()


def test_a_graph_written_backwards_is_imported():
    graph_def = chain(5)
    nodes = list(graph_def.node)[::-1]
    del graph_def.node[:]
    graph_def.node.extend(nodes)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        assert session.run("n4:0", {"x:0": 2.0}) == -2.0


def test_a_cycle_is_refused_by_name_and_leaves_the_graph_as_it_was():
    graph_def = chain(5)
    next(n for n in graph_def.node if n.name == "n1").input[0] = "n3"
    with tf.Graph().as_default() as graph:
        tf.constant(1.0, name="before")
        with pytest.raises(ValueError, match=r"n[123].*cycle"):
            tf.import_graph_def(graph_def, name="")
        assert [op.name for op in graph.get_operations()] == ["before"]


def test_a_cycle_made_later_is_refused_when_run():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(chain(5), name="")
        graph.get_operation_by_name("n1")._update_input(0, graph.get_tensor_by_name("n3:0"))
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"cycle through n1, n2, n3"):
            session.run("n4:0")
