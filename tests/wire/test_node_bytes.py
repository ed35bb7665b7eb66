"""Nodes as bytes: the same as the messages that `tf_pb` fills field by field."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import defs, dtypes
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape
from ckpt.wire import messages as pb
from ckpt.wire import tf_pb
from ckpt.wire.node_bytes import nodes_as_bytes
from tests.wire import metagraphs


def _is_as_filled(nodes):
    filled = [tf_pb.to_message(node) for node in nodes]
    parsed = pb.GraphDef.FromString(nodes_as_bytes(nodes)).node
    assert [n.SerializeToString(deterministic=True) for n in parsed] == [
        n.SerializeToString(deterministic=True) for n in filled
    ]


@given(st.lists(metagraphs.nodes, max_size=5))
@settings(max_examples=200, deadline=None)
def test_bytes_are_those_of_filled_messages(nodes):
    _is_as_filled(nodes)


def test_values_that_python_calls_equal_are_not_taken_for_one_another():
    values = [
        *(
            True,
            1,
            1.0,
            dtypes.float32,
            np.float32(1),
            np.int64(1),
            "1",
            b"1",
            defs.Placeholder("1"),
        ),
        *(False, 0, 0.0, -0.0, "", b"", [], None, TensorShape.of(()), TensorShape.of(None)),
        *(np.float32([0]), np.float32([-0.0]), np.int32([0]), np.zeros((1, 1), "f"), np.float32(0)),
        *(["a"], [b"a"], [1], [True], [1.0], [dtypes.float32], ["a", b"a"], ["é"], [""]),
        *(np.array([b"a"], object), np.array([b"b"], object), np.bool_([True]), np.uint8([1])),
    ]
    _is_as_filled([defs.NodeDef("n", "Odd", (), "", {"a": v, "b": v}) for v in values * 2])


@pytest.mark.parametrize("length", [0, 127, 128, 16383, 16384, 300_000])
def test_names_of_any_length(length):
    _is_as_filled([defs.NodeDef("n" * length, "O" * length, ("i" * length,), "d" * length)])
    _is_as_filled([defs.NodeDef("é" * length, "é", ("ü",), "à", {"ñ" * length: "日" * length})])


def test_large_constants_stand_where_they_belong():
    large = np.arange(100_000, dtype=np.float32)
    nodes = tuple(
        defs.NodeDef(f"n{i}", "Const", (), "", {"dtype": dtypes.float32, "value": value})
        for i, value in enumerate([np.float32(1), large, large, np.float32(2), large])
    )
    message = tf_pb.to_message(defs.GraphDef(nodes))
    assert list(message.node) == [tf_pb.to_message(node) for node in nodes]


def test_shapes_of_outputs_are_added_to_the_nodes_that_are_named():
    shapes = {"n0": [TensorShape([2, None]), TensorShape(None)], "n2": [], "n3": [TensorShape([])]}
    shapes["é"] = shapes["n0"]
    values = {"n0": np.float32(1), "n3": np.zeros(100_000, "f")}
    nodes = tuple(
        defs.NodeDef(name, "Const", (), "", {"value": values[name]} if name in values else {})
        for name in ("n0", "n1", "n2", "n3", "é")
    )
    message = tf_pb.meta_graph_message(defs.MetaGraphDef(graph_def=defs.GraphDef(nodes)), shapes)
    plain = tf_pb.from_message(message).graph_def.node
    assert {n.name: n.attr["_output_shapes"] for n in plain if "_output_shapes" in n.attr} == shapes


def test_the_error_names_node_and_attribute():
    nodes = [defs.NodeDef("ok", "A"), defs.NodeDef("bad", "A", (), "", {"x": 1, "y": 1 << 70})]
    with pytest.raises(GraphError, match="node 'bad', attribute 'y'"):
        nodes_as_bytes(nodes)


def test_a_node_is_frozen_and_made_by_position_or_name():
    node = defs.NodeDef("a", "B", attr={"x": 1})
    assert node == defs.NodeDef(name="a", op="B", input=(), device="", attr={"x": 1})
    assert dataclasses.replace(node, device="/cpu:0").device == "/cpu:0"
    assert defs.NodeDef("a", "B").attr == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.name = "b"
