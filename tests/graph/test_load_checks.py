"""What is wrong with a GraphDef is found before any of it is added, and told all at once."""

import pytest

import ckpt as tf


def chain(count):
    with tf.Graph().as_default() as graph:
        y = tf.placeholder(tf.float32, [], name="x")
        for i in range(count):
            y = tf.negative(y, name=f"n{i}")
        return graph.as_graph_def()


def nodes(*pairs):
    graph_def = tf.GraphDef()
    for name, op in pairs:
        graph_def.node.add(name=name, op=op)
    return graph_def


def test_names_that_no_node_can_have_are_refused_all_at_once_and_nothing_is_added():
    names = ["x:1", "_x", "a b", "é", "", "/x", "x^", "two\nlines", "tail\n", "^x"]
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError) as caught:
            tf.import_graph_def(nodes(*[(name, "NoOp") for name in names]), name="in")
        for name in names:
            assert f"Node '{name}': Node name contains invalid characters" in str(caught.value)
        assert not graph.get_operations()
        tf.import_graph_def(nodes(*[(n, "NoOp") for n in ["a/b.c-d>e\\f_", ".x", "0"]]), name="")
        assert len(graph.get_operations()) == 3


def test_problems_of_every_kind_are_listed_together():
    graph_def = nodes(("a", "NoOp"), ("a", "NoOp"), ("b", "MatMul"), ("_c", "NoOp"), ("d", "NoOp"))
    graph_def.node[2].input.extend(["nobody", "^nobody", "nobody:1"])
    graph_def.node[4].attr["_class"].list.s.append(b"loc:@nowhere")
    with tf.Graph().as_default() as graph:
        tf.no_op(name="before")
        with pytest.raises(ValueError, match="problems") as caught:
            tf.import_graph_def(graph_def, name="")
        assert [op.name for op in graph.get_operations()] == ["before"]
    for problem in (
        "'a' is not unique",
        "Unknown input node 'nobody'",
        "Unknown input node '^nobody'",
        "Unknown input node 'nobody:1'",
        "'b': op 'MatMul' needs the attribute 'T'",
        "'_c': Node name contains invalid characters",
        "'d' expects to be colocated with unknown node 'nowhere'",
    ):
        assert problem in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda g: setattr(g.node[3], "name", "x"),
        lambda g: g.node[3].input.append("nobody"),
        lambda g: g.node[3].attr["_class"].list.s.append(b"loc:@nowhere"),
        lambda g: g.node[3].attr.pop("T"),
        lambda g: setattr(g.node[3], "name", "no name"),
    ],
)
def test_one_problem_is_told_as_it_is(change):
    graph_def = chain(3)
    change(graph_def)
    with tf.Graph().as_default() as graph:
        tf.no_op(name="before")
        with pytest.raises(ValueError, match=r"^Node '"):
            tf.import_graph_def(graph_def, name="")
        assert [op.name for op in graph.get_operations()] == ["before"]
