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


def test_a_cycle_that_something_enters_is_refused_too():
    """Ten thousand of them in no more time than as many nodes take."""
    graph_def = nodes(
        ("x", "Placeholder"), *[(f"{side}{i}", "AddV2") for i in range(5000) for side in "ab"]
    )
    graph_def.node[0].attr["dtype"].type = tf.float32.as_datatype_enum
    for node in graph_def.node[1:]:
        other = {"a": "b", "b": "a"}[node.name[0]] + node.name[1:]
        node.input.extend(["x", other])
        node.attr["T"].type = tf.float32.as_datatype_enum
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError, match=r"'a0' ← 'b0' ← 'a0' wait.*10000 nodes in a cycle"):
            tf.import_graph_def(graph_def, name="")
        assert not graph.get_operations()
        x = tf.constant(1.0)
        mapped = {f"b{i}": x for i in range(5000)}
        tf.import_graph_def(graph_def, mapped, name="cut")  # the way round is
        assert graph.get_operation_by_name("cut/b7").inputs[1].name == "cut/a7:0"


def loop(*merged, turned=tf.float32):
    """A loop that counts to ten; `merged` are the inputs of its Merge, of which `n` has the dtype `turned`."""
    graph_def = tf.GraphDef()

    def add(name, op, *inputs, **attrs):
        node = graph_def.node.add(name=name, op=op, input=inputs)
        for key, value in attrs.items():
            if key == "N":
                node.attr[key].i = value
            elif key == "frame_name":
                node.attr[key].s = value
            elif key == "value":
                node.attr[key].tensor.CopyFrom(tf.make_tensor_proto(value))
            else:
                node.attr[key].type = value.as_datatype_enum

    kind = tf.float32
    add("c", "Placeholder", dtype=kind)
    add("e", "Enter", "c", T=kind, frame_name=b"f")
    add("m", "Merge", *merged, T=kind, N=sum("^" not in name for name in merged))
    add("ten", "Const", "^m", value=10.0, dtype=kind)
    add("less", "Less", "m", "ten", T=kind)
    add("l", "LoopCond", "less")
    add("s", "Switch", "m", "l", T=kind)
    add("k", "Identity", "s:1", T=kind)
    add("one", "Const", "^k", value=1.0, dtype=kind)
    add("a", "AddV2", "k", "one", T=kind)
    add("t", "Cast", "a", SrcT=kind, DstT=turned)
    add("n", "NextIteration", "t", T=turned)
    add("x", "Exit", "s", T=kind)
    return graph_def


@pytest.mark.parametrize("merged", [("e", "n"), ("n", "e")])
def test_a_loop_is_entered_by_either_input_of_its_merge(merged):
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(loop(*merged), name="")
        assert [op.name for op in graph.get_operations()][:3] == ["c", "e", "m"]  # as in the file
        assert [t.op.name for t in graph.get_operation_by_name("m").inputs] == [*merged]
        assert session.run("x:0", {"c:0": 3.5}) == 10.5


@pytest.mark.parametrize(("merged", "turned", "match"), [
    (("e", "k"), tf.float32, r"'m' ← 'k' ← 's' ← 'l' ← 'less' ← 'm' wait for each other: 11 nodes in a cycle"),
    (("e", "e", "^n"), tf.float32, r"'m' ← 'n'.*nodes in a cycle that is no loop"),
    (("n", "n"), tf.float32, "node 'm' is part of a loop that nothing enters"),
    (("e", "n"), tf.int32, "node 'm'.*int32 from n:0 incompatible with expected float32"),
])  # fmt: skip
def test_what_is_no_loop_is_refused_by_name(merged, turned, match):
    """As in TensorFlow."""
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError, match=match):
            tf.import_graph_def(loop(*merged, turned=turned), name="")
        assert not graph.get_operations()


def test_a_cycle_made_later_is_refused_when_run():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(chain(5), name="")
        graph.get_operation_by_name("n1")._update_input(0, graph.get_tensor_by_name("n3:0"))
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"cycle through n1, n2, n3"):
            session.run("n4:0")


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
