"""The file of a SavedModel: round trips, TensorFlow's own, damage."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import defs, dtypes
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.core.shapes import TensorShape
from ckpt.wire import messages, metagraph_file, saved_model_file, tf_pb
from tests.faults import hostile

INFO = defs.TensorInfo("x:0", dtypes.float32, TensorShape([None, 2]))
SPARSE = defs.TensorInfo("", dtypes.int64, TensorShape([3]), ("v:0", "i:0", "s:0"))
MODELS = [
    defs.MetaGraphDef(
        defs.MetaInfoDef(tags=("serve", "ä")),
        defs.GraphDef((defs.NodeDef("x", "Placeholder", (), "", {"dtype": dtypes.float32}),)),
        signature_def={"sig": defs.SignatureDef({"x": INFO, "s": SPARSE}, {}, "method")},
        collection_def={"a": defs.CollectionDef("any_list", (("url", b"\x00\xff"),))},
    ),
    defs.MetaGraphDef(),
]


@pytest.mark.parametrize("models", [MODELS, MODELS[:1], []])
def test_both_forms_hold_everything(models):
    assert saved_model_file.load(saved_model_file.pack(models)) == models
    assert saved_model_file.load(saved_model_file.to_json(models).encode()) == models


def test_tensorflows_own_file_is_read():
    message = messages.SavedModel(saved_model_schema_version=1)
    message.meta_graphs.add().CopyFrom(tf_pb.to_message(MODELS[0]))
    found = saved_model_file.load(message.SerializeToString())
    assert found[0].signature_def == MODELS[0].signature_def
    assert found[0].meta_info_def.tags == MODELS[0].meta_info_def.tags


@given(st.data())
def test_any_changed_byte_is_noticed(data):
    whole = bytearray(saved_model_file.pack(MODELS))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((DataLossError, UnimplementedError), match=r"where\.bin"):
        saved_model_file.load(bytes(whole), "where.bin")


@given(st.data())
def test_a_file_that_was_cut_is_noticed(data):
    whole = saved_model_file.pack(MODELS)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataLossError):
        saved_model_file.load(whole[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"{}",
        b"{",
        b"[]",
        b'{"meta_graphs": 3}',
        b'{"\xff": 1}',
        b"\x08\x01\x12\xff",
    ],
)
def test_what_is_no_saved_model(content):
    with pytest.raises(DataLossError):
        saved_model_file.load(content)


def empty_nodes(mib):
    """A MetaGraph of many nodes that are nothing, which deflates a thousandfold; it is not sealed yet."""
    node = defs.NodeDef("n", "o")
    return defs.MetaGraphDef(graph_def=defs.GraphDef((node,) * (mib << 17)))


def test_many_metagraphs_unfold_to_no_more_than_one_of_their_size_may():
    models = [empty_nodes(1)] * 6
    data = saved_model_file.pack(models)
    assert len(data) > 6 << 20  # each alone would be deflated, to 5 KB
    assert len(saved_model_file.load(data)) == 6
    parts = [metagraph_file.pack(model) for model in models]
    assert sum(map(len, parts)) < 64 << 10
    hostile_file = hostile.saved_model(msgpack.packb(parts))
    with pytest.raises(DataLossError, match=r"where\.bin: .*deflated"):
        saved_model_file.load(hostile_file, "where.bin")
