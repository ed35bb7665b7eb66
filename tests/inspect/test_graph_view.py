"""Graphs as trees: scopes, nodes, and what they take."""

from __future__ import annotations

import numpy as np
import pytest

from ckpt.core import defs, dtypes
from ckpt.inspect import graph_view
from ckpt.wire.metagraph_values import packb


def constant(name, size):
    attr = {"dtype": dtypes.float32, "value": np.zeros(size, np.float32)}
    return defs.NodeDef(name, "Const", attr=attr)


GRAPH = defs.GraphDef(
    (
        defs.NodeDef("x", "Placeholder"),
        constant("net/weights", 50_000),
        constant("net/inner/a", 10),
        constant("net/inner/b", 10),
        defs.NodeDef("y", "Mul", ("x", "net/weights")),
    )
)


def test_a_tree_tells_scopes_nodes_and_bytes():
    inner = sum(len(packb(node)) for node in GRAPH.node[2:4])
    assert graph_view.tree(GRAPH).splitlines() == [
        "x  Placeholder",
        "net/  3 nodes, 195.6 KiB: Const 3",
        "  weights  Const  195.4 KiB",
        f"  inner/  2 nodes, {inner} B: Const 2",
        "y  Mul(x, net/weights)",
        "5 nodes, 195.6 KiB",
    ]
    assert graph_view.tree(GRAPH, depth=1).splitlines()[1:3] == [
        "net/  3 nodes, 195.6 KiB: Const 3",
        "y  Mul(x, net/weights)",
    ]


def test_names_cannot_steer_a_terminal():
    graph = defs.GraphDef((defs.NodeDef("a\x1b[2J\nb", "No\x07Op"),))
    assert graph_view.tree(graph).splitlines()[0] == r"a\x1b[2J\nb  No\x07Op"


def test_a_scope_and_one_that_is_not_there():
    assert [node.name for node in graph_view.within(GRAPH, "net/inner").node] == [
        "net/inner/a", "net/inner/b"
    ]  # fmt: skip
    with pytest.raises(KeyError, match=r"no scope 'nett'; similar: net"):
        graph_view.within(GRAPH, "nett")
