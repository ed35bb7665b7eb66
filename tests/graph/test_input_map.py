"""Tensors in the place of inputs: by either name of an output, for colocation too."""

import pytest

import ckpt as tf
from ckpt.core.defs import GraphDef, NodeDef
from ckpt.graph.load import load_graph

PLACEHOLDER = NodeDef("p", "Placeholder", (), "", {"dtype": tf.float32})
BESIDE = NodeDef("a", "Neg", ("p",), "", {"T": tf.float32, "_class": [b"loc:@p"]})


@pytest.mark.parametrize("key", ["p", "p:0"])
@pytest.mark.parametrize(
    ("nodes", "group"),
    [((BESIDE,), b"loc:@given"), ((BESIDE, PLACEHOLDER), b"loc:@i/p")],
    ids=["a node that is not there", "a node that is there"],
)
def test_a_node_beside_one_that_is_mapped(key, nodes, group):
    with tf.Graph().as_default() as graph:
        given = tf.constant(2.0, name="given")
        made = load_graph(graph, GraphDef(nodes), "i", {key: given})["a"]
        assert made.inputs[0] is given
        assert made.colocation_groups() == [group]
