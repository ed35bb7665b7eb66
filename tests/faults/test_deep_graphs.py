"""Graphs from files whose functions, loops and branches lie very deep in others: no RecursionError. Gate G12."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.library import DEEPEST

FLOAT = tf.float32
X = defs.NodeDef("x", "Placeholder", (), "", {"dtype": FLOAT, "shape": tf.TensorShape([])})


def call(name, source, function):
    attrs = {"f": defs.Func(function), "Tin": [FLOAT], "Tout": [FLOAT]}
    return defs.NodeDef(name, "PartitionedCall", (source,), "", attrs)


def function(name, callee):
    node = call("c", "x", callee) if callee else defs.NodeDef("c", "Identity", ("x",), "", {"T": FLOAT})  # fmt: skip
    return defs.FunctionDef(
        name,
        (defs.ArgDef("x", FLOAT),),
        (defs.ArgDef("y", FLOAT),),
        (node,),
        {"y": "c:output:0"},
    )


def chain(count):
    return [function(f"f{n}", f"f{n + 1}" if n + 1 < count else "") for n in range(count)]


def imported(nodes, library=()):
    graph_def = defs.GraphDef(tuple(nodes), tuple(library))
    tf.train.import_meta_graph(defs.MetaGraphDef(graph_def=graph_def))
    graph = tf.get_default_graph()
    return graph.get_tensor_by_name("x:0"), graph.get_tensor_by_name("y:0")


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ([function("f0", "f0")], "function 'f0' calls itself: f0 → f0"),
        ([function("f0", "f1"), function("f1", "f2"), function("f2", "f1")], "'f1' calls itself: f1 → f2 → f1"),
        (chain(DEEPEST + 1), "more than 100 deep: f0 → f1 → "),
        (chain(5000), "more than 100 deep: f0 → f1 → "),
    ],
    ids=["itself", "each other", "too deep", "very deep"],
)  # fmt: skip
def test_functions_without_end_are_refused_by_name(library, told):
    x, y = imported([X, call("y", "x", "f0")], library)
    with tf.Session() as sess:
        with pytest.raises(GraphError, match=told):
            sess.run(y, {x: 1.0})
        with pytest.raises(GraphError, match=told):
            tf.gradients(y, x)


def test_functions_called_by_many_are_walked_once():
    """2**60 ways lead to the last."""
    library = [
        defs.FunctionDef(
            f"f{n}",
            (defs.ArgDef("x", FLOAT),),
            (defs.ArgDef("y", FLOAT),),
            (call("a", "x", f"f{n + 1}"), call("b", "x", f"f{n + 1}")),
            {"y": "b:output:0"},
        )
        for n in range(60)
    ]
    from ckpt.graph.library import check_calls

    functions = {f.name: f for f in [*library, function("f60", "")]}
    heights = {}
    check_calls(functions, "f0", heights)
    assert {name: height for name, (_, height) in heights.items()} == {
        f"f{n}": 61 - n for n in range(61)
    }


def test_functions_as_deep_as_they_may_be_are_run_and_differentiated():
    x, y = imported([X, call("y", "x", "f0")], chain(DEEPEST))
    (gradient,) = tf.gradients(y, x)
    with tf.Session() as sess:
        assert sess.run([y, gradient], {x: 3.0}) == [3.0, 1.0]


def loops(depth):
    """Loops in loops, none of which goes round."""
    nodes, source, outer = [X], "x", "p"
    nodes.append(defs.NodeDef("p", "Const", (), "", {"value": np.array(False), "dtype": tf.bool}))

    def add(name, kind, *inputs, **attrs):
        nodes.append(defs.NodeDef(name, kind, inputs, "", attrs))
        return name

    for n in range(depth):
        frame = {"frame_name": f"frame{n}", "parallel_iterations": 10}
        add(f"enter{n}", "Enter", source, T=FLOAT, is_constant=False, **frame)
        outer = add(f"p{n}", "Enter", outer, T=tf.bool, is_constant=True, **frame)
        add(f"merge{n}", "Merge", f"enter{n}", f"next{n}", T=FLOAT, N=2)
        add(f"again{n}", "LoopCond", outer)
        add(f"switch{n}", "Switch", f"merge{n}", f"again{n}", T=FLOAT)
        source = add(f"body{n}", "Identity", f"switch{n}:1", T=FLOAT)
    for n in reversed(range(depth)):
        add(f"next{n}", "NextIteration", source, T=FLOAT)
        source = add(f"exit{n}", "Exit", f"switch{n}", T=FLOAT)
    add("y", "Identity", source, T=FLOAT)
    return nodes


@pytest.mark.parametrize("depth", [2, 40, 400])
def test_loops_in_loops_run(depth):
    x, y = imported(loops(depth))
    with tf.Session() as sess:
        assert sess.run(y, {x: 3.0}) == 3.0
        if depth < 100:
            assert sess.run(tf.gradients(y, x), {x: 3.0}) == [1.0]
        else:  # too deep for functions in functions
            with pytest.raises(LookupError, match="No gradient defined for operation"):
                tf.gradients(y, x)
