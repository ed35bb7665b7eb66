"""The order of imported nodes: inputs first, loops as TensorFlow allows them, every other cycle refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.defs import GraphDef, NodeDef
from ckpt.core.errors import GraphError
from ckpt.graph.load import load_graph
from ckpt.graph.node_order import in_order

FLOAT = {"T": tf.float32}
PLACEHOLDER = NodeDef("x", "Placeholder", (), "", {"dtype": tf.float32})


def chain(count):
    with tf.Graph().as_default() as graph:
        y = tf.placeholder(tf.float32, [], name="x")
        for i in range(count):
            y = tf.negative(y, name=f"n{i}")
        return graph.as_graph_def()


def nothing(_):
    return False


def names(nodes):
    return [node.name for node in in_order(nodes, nothing)]


def no_op(name, *inputs):
    return NodeDef(name, "NoOp", inputs)


def constant(name, value, *inputs):
    return NodeDef(name, "Const", inputs, "", {"dtype": tf.float32, "value": np.float32(value)})


@st.composite
def acyclic(draw):
    """Nodes whose inputs are nodes of lower numbers, in any order."""
    count = draw(st.integers(1, 12))
    nodes = []
    for number in range(count):
        sources = draw(st.sets(st.integers(0, number - 1))) if number else ()
        nodes.append(no_op(f"n{number}", *(f"^n{source}" for source in sources)))
    return draw(st.permutations(nodes))


@given(acyclic())
def test_inputs_come_first_and_otherwise_nodes_stay_as_they_stand(nodes):
    found = names(nodes)
    assert sorted(found) == sorted(node.name for node in nodes)
    inputs = {node.name: {text[1:] for text in node.input} for node in nodes}
    left = list(inputs)
    for place, name in enumerate(found):
        made = set(found[:place])
        assert name == next(other for other in left if inputs[other] <= made)
        left.remove(name)


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


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([no_op("a", "^a")], ["'a' needs 'a'"]),
        ([PLACEHOLDER, NodeDef("a", "AddV2", ("x", "a"), "", FLOAT)], ["'a' needs 'a'"]),
        ([no_op("a", "^b"), no_op("b", "^c"), no_op("c", "^a")], ["'a' needs 'b' needs 'c' needs 'a'"]),
        ([no_op("a", "^b"), no_op("b", "^a"), no_op("c", "^a"), no_op("d", "^d")],
         ["'a' needs 'b' needs 'a'", "'d' needs 'd'"]),
        ([PLACEHOLDER, NodeDef("m", "Merge", ("x", "b"), "", {**FLOAT, "N": 2}), NodeDef("b", "Identity", ("m",), "", FLOAT)],
         ["'m' needs 'b' needs 'm'"]),
        ([NodeDef("m", "Merge", ("b", "b"), "", {**FLOAT, "N": 2}), NodeDef("b", "NextIteration", ("m",), "", FLOAT)],
         ["'m' needs 'b' needs 'm'"]),
        ([PLACEHOLDER, NodeDef("m", "Merge", ("x", "b", "^b"), "", {**FLOAT, "N": 2}),
          NodeDef("b", "NextIteration", ("m",), "", FLOAT)], ["'m' needs 'b' needs 'm'"]),
    ],
    ids=["itself", "itself and a tensor", "a ring", "two rings", "a Merge", "a Merge with nothing from outside", "a Merge that waits"],
)  # fmt: skip
def test_cycles_that_are_no_loops_are_refused_by_name(nodes, told):
    graph = tf.Graph()
    with pytest.raises(GraphError) as caught:
        load_graph(graph, GraphDef(tuple(nodes)))
    for line in told:
        assert line in str(caught.value)
    assert str(caught.value).count("that is no loop:") == len(told)
    assert not graph.get_operations()


def loop(first, second):
    """`x` doubled until it is at least 100, as TensorFlow 1 writes it; the Merge has its inputs in this order."""
    enter = {**FLOAT, "frame_name": "loop", "is_constant": False, "parallel_iterations": 10}
    return [
        NodeDef("merge", "Merge", (first, second), "", {**FLOAT, "N": 2}),
        NodeDef("next", "NextIteration", ("double",), "", FLOAT),
        NodeDef("double", "AddV2", ("stay", "stay"), "", FLOAT),
        NodeDef("stay", "Identity", ("switch:1",), "", FLOAT),
        NodeDef("exit", "Exit", ("switch",), "", FLOAT),
        NodeDef("switch", "Switch", ("merge", "goes_on"), "", FLOAT),
        NodeDef("goes_on", "LoopCond", ("less",)),
        NodeDef("less", "Less", ("merge", "limit"), "", FLOAT),
        constant("limit", 100, "^merge"),
        NodeDef("enter", "Enter", ("x",), "", enter),
        PLACEHOLDER,
    ]


@pytest.mark.parametrize("inputs", [("enter", "next"), ("next", "enter")])
def test_a_loop_may_stand_in_any_order(inputs):
    with tf.Graph().as_default() as graph:
        load_graph(graph, GraphDef(tuple(loop(*inputs))))
        merge = graph.get_operation_by_name("merge")
        assert [tensor.op.name for tensor in merge.inputs] == list(inputs)
        with tf.Session() as session:
            assert session.run("exit:0", {"x:0": 3.0}) == 192


@pytest.mark.parametrize("inputs", [("enter", "next"), ("next", "enter")])
def test_what_comes_round_a_loop_has_the_dtype_of_what_enters_it(inputs):
    nodes = loop(*inputs)
    nodes[1] = NodeDef("next", "NextIteration", ("whole",), "", {"T": tf.int32})
    nodes.append(NodeDef("whole", "Cast", ("double",), "", {"SrcT": tf.float32, "DstT": tf.int32}))
    graph = tf.Graph()
    with pytest.raises(
        GraphError, match=r"node 'merge'.*int32 from next:0 incompatible with expected float32"
    ):
        load_graph(graph, GraphDef(tuple(nodes)))
    assert not graph.get_operations()


def test_a_map_of_inputs_may_cut_a_cycle():
    with tf.Graph().as_default() as graph:
        outside = tf.constant(2.0)
        nodes = (
            NodeDef("a", "Neg", ("b",), "", FLOAT),
            NodeDef("b", "Neg", ("a",), "", FLOAT),
        )
        made = load_graph(graph, GraphDef(nodes), "m", {"b:0": outside})
        with tf.Session() as session:
            assert session.run(made["b"].outputs[0]) == 2


class Counted(tuple):
    """Nodes that count how often somebody goes through all of them."""

    __slots__ = ()
    walks = 0

    def __iter__(self):
        Counted.walks += 1
        return super().__iter__()


@pytest.mark.parametrize("own", [True, False], ids=["cycles", "loops"])
def test_many_cycles_take_no_more_walks_than_one(own):
    def walks(count):
        Counted.walks = 0
        groups = range(count)
        if own:
            nodes = Counted(no_op(f"n{n}", f"^n{n}") for n in groups)
            with pytest.raises(GraphError, match="'n0' needs 'n0'"):
                in_order(nodes, nothing)
        else:
            pairs = (
                (NodeDef(f"m{n}", "Merge", ("x", f"b{n}")), NodeDef(f"b{n}", "NextIteration", (f"m{n}",)))
                for n in groups
            )  # fmt: skip
            nodes = Counted([PLACEHOLDER, *(node for pair in pairs for node in pair)])
            assert len(in_order(nodes, nothing)) == len(nodes)
        return Counted.walks

    assert walks(50) == walks(1)
