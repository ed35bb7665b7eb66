"""`core.defs` to TensorFlow's messages and back."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings

from ckpt.core import defs, dtypes
from ckpt.core.errors import DataLossError, GraphError
from ckpt.core.shapes import TensorShape
from ckpt.wire import messages as pb
from ckpt.wire import schema, tf_pb
from tests.wire import metagraphs
from tests.wire.metagraphs import GOLDENS, everything, same


def test_every_definition_survives_the_wire():
    meta = everything()
    assert same(tf_pb.from_bytes(defs.MetaGraphDef, tf_pb.to_bytes(meta), "x"), meta)


@given(metagraphs.graphs)
@settings(max_examples=100, deadline=None)
def test_any_graph_survives_the_wire(graph):
    assert same(tf_pb.from_message(tf_pb.to_message(graph)), graph)


def test_nodes_of_a_real_meta_graph_come_out_as_they_were():
    message = pb.MetaGraphDef.FromString((GOLDENS / "meta_graph_def.pb").read_bytes())
    again = tf_pb.to_message(tf_pb.from_message(message))
    assert again.saver_def == message.saver_def
    assert again.signature_def == message.signature_def
    for ours, theirs in zip(again.graph_def.node, message.graph_def.node, strict=True):
        theirs.ClearField("experimental_type")
        if theirs.op != "Const":  # TensorFlow's C++ part stores repeated constants shortened
            assert ours == theirs
    for name, collection in message.collection_def.items():
        assert again.collection_def[name] == collection


def test_collections_of_variables_are_read_as_variables():
    meta = tf_pb.from_bytes(defs.MetaGraphDef, (GOLDENS / "meta_graph_def.pb").read_bytes(), "x")
    variables = meta.collection_def["variables"]
    assert variables.kind == "variables"
    assert "layer/w:0" in [v.variable_name for v in variables.value]
    pieces = [v.save_slice_info_def for v in variables.value if v.save_slice_info_def]
    assert pieces[1] == defs.SaveSliceInfoDef("parts", (6, 2), (3, 0), (3, 2))
    assert meta.collection_def["while_context"].kind == "bytes_list"


def test_a_foreign_message_with_the_same_fields_is_taken():
    file = descriptor_pb2.FileDescriptorProto()
    schema.pool().FindFileByName(schema.FILE_NAME).CopyToProto(file)
    data = file.SerializeToString().replace(b".ckpt.", b".else.").replace(b"\x04ckpt", b"\x04else")
    pool = descriptor_pool.DescriptorPool()
    any_file = descriptor_pb2.FileDescriptorProto()
    schema.pool().FindFileByName("google/protobuf/any.proto").CopyToProto(any_file)
    pool.Add(any_file)
    pool.AddSerializedFile(data)
    foreign = message_factory.GetMessageClass(pool.FindMessageTypeByName("else.NodeDef"))
    node = foreign(name="n", op="Add")
    assert not isinstance(node, pb.NodeDef)
    assert tf_pb.from_message(node) == defs.NodeDef("n", "Add")


def test_definitions_pass_through_and_other_things_do_not():
    node = defs.NodeDef("a", "b")
    assert tf_pb.from_message(node) is node
    with pytest.raises(TypeError, match="GraphDef is needed"):
        tf_pb.from_message(node, defs.GraphDef)
    with pytest.raises(TypeError):
        tf_pb.from_message("node")
    with pytest.raises(TypeError):
        tf_pb.from_message(pb.Summary())


def test_damaged_bytes_are_a_typed_error_with_the_place():
    with pytest.raises(DataLossError, match=r"m\.pb"):
        tf_pb.from_bytes(defs.GraphDef, b"\xff\xff\xff", "m.pb")
    bad = pb.GraphDef(node=[pb.NodeDef(name="n", op="Const")])
    bad.node[0].attr["dtype"].type = 98
    with pytest.raises(DataLossError, match=r"m\.pb: node 'n'.*98"):
        tf_pb.from_bytes(defs.GraphDef, bad.SerializeToString(), "m.pb")


def test_a_value_that_no_attribute_can_have_names_node_and_attribute():
    for value in (object(), 1 << 70, [1, b"x"], {"a": 1}):
        node = defs.NodeDef("n", "Add", attr={"bad": value})
        with pytest.raises(GraphError, match="node 'n', attribute 'bad'"):
            tf_pb.to_message(node)


@pytest.mark.parametrize(
    ("value", "kind", "field", "expected"),
    [
        (1, "float", "f", 1.0),
        (1.0, "int", "i", 1),
        (1, "bool", "b", True),
        ("x", "string", "s", b"x"),
        ("float32", "type", "type", 1),
        (np.float64(0.5), None, "f", 0.5),
        (np.int32(5), None, "i", 5),
        (True, None, "b", True),
    ],
)
def test_the_declared_kind_chooses_the_field(value, kind, field, expected):
    message = tf_pb.attr_to_message(value, kind)
    assert message.WhichOneof("value") == field
    assert getattr(message, field) == expected


def test_lists_are_written_in_the_field_of_their_kind():
    assert tf_pb.attr_to_message([1, 2], "list(float)").list.f == [1.0, 2.0]
    assert tf_pb.attr_to_message([1, 2.5]).list.f == [1.0, 2.5]
    assert tf_pb.attr_to_message([True]).list.b == [True]
    assert tf_pb.attr_to_message([dtypes.int32]).list.type == [pb.DT_INT32]
    assert len(tf_pb.attr_to_message([[1, None]], "list(shape)").list.shape) == 1
    empty = tf_pb.attr_to_message([], "list(int)")
    assert empty.WhichOneof("value") == "list"
    assert tf_pb.attr_from_message(empty) == []


def test_shapes_keep_what_is_unknown():
    for sizes in (None, (), (None, 3)):
        shape = TensorShape.of(sizes)
        assert tf_pb.attr_from_message(tf_pb.attr_to_message(shape)).sizes == sizes
