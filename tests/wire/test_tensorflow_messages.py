"""Our messages against bytes that real TensorFlow wrote; see tools/fixtures/make_wire_goldens.py."""

from __future__ import annotations

import pathlib
import pickle
import subprocess
import sys

import pytest
from google.protobuf import text_format, unknown_fields
from google.protobuf.message import Message

from ckpt.wire import messages as pb
from ckpt.wire import schema

GOLDENS = pathlib.Path(__file__).parents[2] / "fixtures" / "wire"
CLASSES = {
    "meta_graph_def": "MetaGraphDef",
    "run_metadata": "RunMetadata",
    "summary": "Summary",
    "event": "Event",
    "example": "Example",
    "config_proto": "ConfigProto",
}


def messages_within(message):
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = (
                value.values() if field.message_type.fields_by_name["value"].message_type else []
            )
        else:
            inner = [value] if isinstance(value, Message) else value
        for item in inner:
            yield from messages_within(item)


@pytest.mark.parametrize("name", CLASSES)
def test_golden_bytes_parse_without_unknown_fields_and_come_out_identical(name):
    data = (GOLDENS / f"{name}.pb").read_bytes()
    message = getattr(pb, CLASSES[name]).FromString(data)
    strangers = [m for m in messages_within(message) if len(unknown_fields.UnknownFieldSet(m))]
    assert not strangers
    assert message.SerializeToString(deterministic=True) == data


def test_messages_have_the_habits_of_protocol_buffers():
    node = pb.NodeDef(name="a", op="Const")
    node.attr["dtype"].type = pb.DT_FLOAT
    other = pb.NodeDef()
    other.CopyFrom(node)
    assert other == node
    assert not other.HasField("experimental_debug_info")
    assert text_format.Parse(text_format.MessageToString(node), pb.NodeDef()) == node
    assert pickle.loads(pickle.dumps(node)) == node
    assert pb.DataType.Name(pb.DT_HALF) == "DT_HALF"
    assert "GraphDef" in dir(pb)
    assert "DT_INT32_REF" in dir(pb)


def test_a_name_that_is_no_message_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchDef"):
        pb.NoSuchDef  # noqa: B018


def test_importing_the_messages_does_not_import_protobuf():
    code = "import sys; from ckpt.wire import messages; print('google.protobuf' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_the_schema_reader_refuses_what_it_does_not_know():
    for text in ('syntax = "proto3"; package p; service S {}', "message M { int32 a = 1; } ?"):
        with pytest.raises(SyntaxError):
            schema.parse(text)


def test_the_schema_reader_knows_nesting_oneofs_maps_and_enums():
    file = schema.parse(
        """
        syntax = "proto3";
        package p;  // a comment
        message A {
          enum E { X = 0; Y = -1; }
          A.E e = 1;
          oneof one { string s = 2; B b = 3; }
          map<string, B> by_name = 4;
          repeated int64 numbers = 5;
        }
        message B {}
        """
    )
    a = file.message_type[0]
    kinds = {field.name: (field.type, field.label, field.type_name) for field in a.field}
    assert kinds == {
        "e": (14, 1, ".p.A.E"),
        "s": (9, 1, ""),
        "b": (11, 1, ".p.B"),
        "by_name": (11, 3, ".p.A.ByNameEntry"),
        "numbers": (3, 3, ""),
    }
    assert [field.HasField("oneof_index") for field in a.field] == [False, True, True, False, False]
    assert a.nested_type[0].options.map_entry
    assert [(value.name, value.number) for value in a.enum_type[0].value] == [("X", 0), ("Y", -1)]
