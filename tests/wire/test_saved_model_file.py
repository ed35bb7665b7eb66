"""The file of a SavedModel: round trips, TensorFlow's own, damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import defs, dtypes
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.core.shapes import TensorShape
from ckpt.wire import messages, saved_model_file, tf_pb

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
    "content", [b"", b"garbage", b"{}", b"{", b'{"meta_graphs": 3}', b"\x08\x01\x12\xff"]
)
def test_what_is_no_saved_model(content):
    with pytest.raises(DataLossError):
        saved_model_file.load(content)
