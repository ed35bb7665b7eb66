"""Circles that wires close, and what a merge looks at: on plain graphs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.compose import parts
from ckpt.compose.wiring import Wire, circle
from ckpt.core import defs


def graph(inputs, loops=()):
    return defs.GraphDef(
        tuple(
            defs.NodeDef(name, "NextIteration" if name in loops else "Identity", tuple(sources))
            for name, sources in inputs.items()
        )
    )


def wires(*sources):
    return [Wire("unused:0", source, "float32", "()", "()") for source in sources]


def test_only_the_circle_itself_is_named():
    inputs = {"a": ["x"], "b": ["a", "c:1"], "c": ["^d"], "d": ["b"], "e": ["d"], "x": []}
    assert sorted(circle(graph(inputs), wires("e:0"))) == ["b", "c", "d"]
    assert circle(graph(inputs), wires("a:0")) == []
    assert circle(graph(inputs), []) == []
    assert circle(graph(inputs, loops=["c"]), wires("e:0")) == []


def test_a_wire_from_a_node_that_is_gone_closes_nothing():
    assert circle(graph({"a": []}), wires("gone:0", "a:0")) == []


def test_long_chains_and_many_ways_through_them_are_walked_once():
    inputs = {"n0": []}
    inputs.update({f"n{i}": [f"n{i - 1}", f"n{i - 1}:1", f"n{i // 2}"] for i in range(1, 20_000)})
    assert circle(graph(inputs), wires("n19999:0", "n5:0")) == []


@given(
    st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=3)), st.integers(0, 7)
)
@settings(max_examples=300, deadline=None)
def test_a_circle_is_found_where_there_is_one(edges, start):
    inputs = {str(name): [str(s) for s in edges.get(name, ())] for name in range(8)}

    def reached(name):
        found, pending = set(), list(inputs[name])
        while pending:
            if (node := pending.pop()) not in found:
                found.add(node)
                pending += inputs[node]
        return found

    before = {str(start)} | reached(str(start))
    found = circle(graph(inputs), wires(f"{start}:0"))
    assert bool(found) == any(name in reached(name) for name in before)
    for name, source in zip(found, [*found[1:], *found[:1]], strict=True):
        assert source in inputs[name]


@pytest.mark.parametrize(
    "name", ["", "_a", "é", "a b", "-x", "x/", "/x", "a/b", "x\n", "^x", "x:0"]
)
def test_the_name_of_a_part_must_be_one_that_a_scope_can_have(name, tmp_path):
    graph = tf.Graph()
    with pytest.raises(ValueError, match="name of a part is the scope") as caught:
        tf.merge_graphs({"fine": str(tmp_path / "m"), name: str(tmp_path / "m")}, graph=graph)
    assert repr(name) in str(caught.value)
    assert not graph.get_operations()


def test_a_model_that_is_several_parts_is_read_once_and_only_as_far_as_its_endpoints_need(
    tmp_path, monkeypatch
):
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float32, [2], name="x")
        y = tf.identity(x * tf.get_variable("w", [2]), name="y")
        tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(y))
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, str(tmp_path / "m"))
    read, looked_at = [], []
    was, load = parts.read_meta_graph_file, parts.load_graph
    monkeypatch.setattr(parts, "read_meta_graph_file", lambda path: read.append(path) or was(path))
    monkeypatch.setattr(
        parts, "load_graph", lambda graph, nodes: looked_at.append(nodes) or load(graph, nodes)
    )
    wired = {"b/x:0": "a/y:0", "c/x:0": "b/y:0"}
    merged = tf.merge_graphs({"a": path, "b": path, "c": path}, connect=wired, graph=tf.Graph())
    assert len(read) == 1
    assert [sorted(n.name for n in nodes.node) for nodes in looked_at] == [
        ["x"] if len(nodes.node) == 1 else ["mul", "w", "w/read", "x", "y"] for nodes in looked_at
    ]
    assert len(looked_at) == 3
    with tf.Session(graph=merged.graph) as sess:
        merged.restore(sess)
        w = sess.run("a/w:0")
        assert sess.run("c/y:0", {"a/x:0": [1, 2]}).tolist() == (w * w * w * [1, 2]).tolist()
