"""GraphDefs without what only training needs; tests/oracle/programs/graph_util.py compares with TensorFlow."""

import pytest

import ckpt as tf


def chain(*links):
    """A GraphDef of `(name, type, inputs)`."""
    graph_def = tf.GraphDef()
    for name, kind, inputs in links:
        node = graph_def.node.add(name=name, op=kind, input=inputs)
        node.attr["T"].type = 1
    return graph_def


def lean(graph_def, protected=None):
    found = tf.graph_util.remove_training_nodes(graph_def, protected)
    return [(node.name, list(node.input)) for node in found.node]


def test_what_nothing_takes_goes_too():
    graph_def = chain(
        ("x", "Placeholder", []), ("a", "Identity", ["x"]), ("n", "Neg", ["a"]), ("c", "CheckNumerics", ["n"]),
        ("s", "StopGradient", ["c"]), ("last", "Identity", ["s"]),
    )  # fmt: skip
    assert lean(graph_def) == [("x", []), ("n", ["x"])]
    assert lean(graph_def, ["last"]) == [("x", []), ("n", ["x"]), ("last", ["n"])]
    assert lean(graph_def, "last") == lean(graph_def, ["last"])


def test_what_waits_stays():
    """So it does in TensorFlow, but for checks: it removes any of them, and leaves nothing to who took it."""
    graph_def = chain(
        ("x", "Placeholder", []), ("c", "CheckNumerics", ["x", "^x"]), ("n", "Neg", ["c"])
    )  # fmt: skip
    assert lean(graph_def) == [("x", []), ("c", ["x", "^x"]), ("n", ["c"])]


def test_nodes_that_take_each_other_in_a_circle_are_refused():
    graph_def = chain(("a", "Identity", ["b"]), ("b", "Identity", ["a"]), ("n", "Neg", ["a"]))
    with pytest.raises(ValueError, match="'a' takes itself"):
        lean(graph_def)
