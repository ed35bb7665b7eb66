"""Export and import of MetaGraphs: files, scopes, input maps, collections."""

from pathlib import Path

import numpy as np
import pytest

import ckpt as tf


def small_model():
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("dense/w", initializer=tf.constant([[1.0], [2.0]]))
    y = tf.matmul(x, w, name="y")
    tf.add_to_collection("outputs", y)
    tf.add_to_collection("numbers", 3)
    tf.add_to_collection("texts", "ä")
    return x, w, y


@pytest.fixture
def meta(tmp_path):
    with tf.Graph().as_default():
        small_model()
        tf.train.Saver().export_meta_graph(str(tmp_path / "m.meta"))
    return str(tmp_path / "m.meta")


def run_imported(fetch, feeds):
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return sess.run(fetch, feeds)


def test_an_imported_graph_computes_the_same(meta):
    saver = tf.train.import_meta_graph(meta)
    assert isinstance(saver, tf.train.Saver)
    assert run_imported("y:0", {"x:0": [[1, 1]]}).tolist() == [[3.0]]
    assert [v.name for v in tf.trainable_variables()] == ["dense/w:0"]
    assert tf.trainable_variables()[0] is tf.global_variables()[0]
    assert tf.get_collection("outputs")[0].name == "y:0"
    assert tf.get_collection("numbers") == [3]
    assert tf.get_collection("texts") == ["ä".encode()]


def test_text_form_is_json_and_imports_too(tmp_path):
    small_model()
    tf.train.export_meta_graph(str(tmp_path / "m.json"), as_text=True)
    assert (tmp_path / "m.json").read_text().startswith("{")
    with tf.Graph().as_default():
        tf.train.import_meta_graph(str(tmp_path / "m.json"))
        assert run_imported("y:0", {"x:0": [[1, 1]]}).tolist() == [[3.0]]


def test_a_scope_prefixes_nodes_collections_variables_and_saver(meta, tmp_path):
    saver = tf.train.import_meta_graph(meta, import_scope="a")
    assert [v.name for v in tf.global_variables()] == ["a/dense/w:0"]
    assert tf.get_collection("outputs")[0].name == "a/y:0"
    assert saver.as_saver_def().restore_op_name == "a/save/restore_all"
    again = tf.train.import_meta_graph(meta, import_scope="a")
    assert again.as_saver_def().restore_op_name == "a_1/save/restore_all"
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        prefix = saver.save(sess, tmp_path / "part")
        sess.run(tf.global_variables()[0].assign([[5.0], [5.0]]))
        saver.restore(sess, prefix)
        assert sess.run("a/y:0", {"a/x:0": [[1, 1]]}).tolist() == [[3.0]]
        again.restore(sess, prefix)


def test_an_input_map_replaces_inputs(meta):
    given = tf.constant([[10.0, 0.0]], name="given")
    tf.train.import_meta_graph(meta, import_scope="m", input_map={"x:0": given})
    assert run_imported("m/y:0", {}).tolist() == [[10.0]]


def test_an_input_map_that_nothing_uses_is_refused(meta):
    given = tf.constant(1.0)
    with pytest.raises(ValueError, match="not found in graph_def: nothing"):
        tf.train.import_meta_graph(meta, import_scope="m", input_map={"nothing:0": given})


def test_importing_over_existing_names_changes_nothing(meta):
    tf.train.import_meta_graph(meta)
    count = len(tf.get_default_graph().get_operations())
    with pytest.raises(ValueError, match="Node name 'dense/w' already exists"):
        tf.train.import_meta_graph(meta)
    assert len(tf.get_default_graph().get_operations()) == count


def test_messages_go_in_and_out():
    small_model()
    message = tf.train.export_meta_graph()
    assert isinstance(message, tf.MetaGraphDef)
    assert "MatMul" in [op.name for op in message.meta_info_def.stripped_op_list.op]
    copy = tf.MetaGraphDef.FromString(message.SerializeToString())
    with tf.Graph().as_default():
        tf.train.import_meta_graph(copy)
        assert run_imported("y:0", {"x:0": [[1, 1]]}).tolist() == [[3.0]]


def test_only_a_scope_is_exported_without_its_name():
    with tf.name_scope("inner"):
        a = tf.constant(2.0, name="a")
        tf.multiply(a, a, name="b")
    tf.constant(1.0, name="outside")
    message = tf.train.export_meta_graph(export_scope="inner")
    assert [n.name for n in message.graph_def.node] == ["a", "b"]


def test_a_scope_with_inputs_from_outside_is_refused():
    outside = tf.constant(1.0, name="outside")
    with tf.name_scope("inner"):
        tf.identity(outside, name="a")
    with pytest.raises(ValueError, match="inner/a <- outside"):
        tf.train.export_meta_graph(export_scope="inner")


def test_default_attributes_can_be_left_out():
    small_model()
    full = tf.train.export_meta_graph().graph_def
    bare = tf.train.export_meta_graph(strip_default_attrs=True).graph_def
    assert "transpose_a" in next(n for n in full.node if n.op == "MatMul").attr
    assert "transpose_a" not in next(n for n in bare.node if n.op == "MatMul").attr
    with tf.Graph().as_default():
        tf.import_graph_def(bare, name="")
        assert run_imported(tf.get_default_graph().get_tensor_by_name("dense/w/read:0").op.type and "y:0",
                            {"x:0": np.zeros((1, 2)), "dense/w:0": np.zeros((2, 1))}).tolist() == [[0.0]]  # fmt: skip


def test_devices_can_be_cleared():
    with tf.device("/gpu:1"):
        tf.constant(1.0, name="a")
    assert tf.train.export_meta_graph().graph_def.node[0].device == "/device:GPU:1"
    assert tf.train.export_meta_graph(clear_devices=True).graph_def.node[0].device == ""


def test_return_elements_come_in_order(meta):
    with tf.Graph().as_default():
        small_model()
        graph_def = tf.get_default_graph().as_graph_def()
    y, op = tf.import_graph_def(graph_def, return_elements=["y:0", "x"])
    assert (y.name, op.name) == ("import/y:0", "import/x")
    with pytest.raises(ValueError, match="'z:0' not found"):
        tf.import_graph_def(graph_def, return_elements=["z:0"], name="again")


def test_a_damaged_file_is_named(meta):
    data = bytearray(Path(meta).read_bytes())
    data[-1] ^= 1
    Path(meta).write_bytes(data)
    with pytest.raises(tf.errors.DataLossError, match=r"m\.meta"):
        tf.train.import_meta_graph(meta)


def test_unknown_operations_can_be_carried_but_not_run():
    graph_def = tf.GraphDef()
    graph_def.node.add(name="a", op="NobodyKnows").attr["T"].type = 1
    graph_def.node.add(name="b", op="Identity", input=["a"]).attr["T"].type = 1
    tf.import_graph_def(graph_def, name="")
    assert tf.get_default_graph().as_graph_def().node[0] == graph_def.node[0]
    with tf.Session() as sess, pytest.raises(tf.errors.UnimplementedError, match="NobodyKnows: a"):
        sess.run("b:0")
