"""Members of collections when nodes are renamed: what names a node follows it, anything else stays."""

from __future__ import annotations

import pytest

import ckpt as tf
from ckpt.core import defs
from ckpt.graph.renaming import renamed, under
from ckpt.wire import tf_pb


def texts(*values):
    graph = defs.GraphDef((defs.NodeDef("x", "NoOp"), defs.NodeDef("s/y", "NoOp")))
    meta = defs.MetaGraphDef(
        graph_def=graph, collection_def={"texts": defs.CollectionDef("bytes_list", values)}
    )
    return renamed(meta, under("a")).collection_def["texts"].value


def test_texts_that_name_nodes_are_renamed_and_others_are_not():
    named = (b"x", b"x:0", b"^x", b"loc:@s/y", b"s/y:12")
    other = (b"", b"y", b"x:", b"x:y", b":0", b"/x", b"s", b"^", b"\xff\x00", b"\n\x01x", b"x x")
    assert texts(*named) == (b"a/x", b"a/x:0", b"^a/x", b"loc:@a/s/y", b"a/s/y:12")
    assert texts(*other) == other


def test_a_merged_model_keeps_its_texts_with_its_nodes(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float32, [2], name="x")
        v = tf.get_variable("v", [2])
        tf.add(x, v, name="y")
        for text in ("y:0", "x", "a path/of no node"):
            tf.add_to_collection("inputs", text)
        tf.add_to_collection("mixed", x)
        tf.add_to_collection("mixed", v)
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, str(tmp_path / "m"))
    merged = tf.merge_graphs({"a": path, "b": path}, connect={"b/x:0": "a/y:0"}, graph=tf.Graph())
    assert merged.graph.get_collection("inputs") == [
        *(b"a/y:0", b"a/x", b"a path/of no node"),
        *(b"b/y:0", b"b/x", b"a path/of no node"),
    ]
    found = [member.name for member in merged.graph.get_collection("mixed")]
    assert found == ["a/x:0", "a/v:0", "b/x:0", "b/v:0"]


@pytest.mark.parametrize("key", ["mine", tf.GraphKeys.MODEL_VARIABLES])
def test_variables_in_a_collection_of_ones_own_go_to_tensorflow_by_name(key):
    with tf.Graph().as_default():
        tf.add_to_collection(key, tf.get_variable("v", [2]))
        message = tf.train.export_meta_graph()
    kind = "bytes_list" if key == tf.GraphKeys.MODEL_VARIABLES else "node_list"
    assert message.collection_def[key].WhichOneof("kind") == kind
    again = tf_pb.from_message(message)
    assert again.collection_def[key].kind == ("node_list" if key == "mine" else "variables")
    with tf.Graph().as_default():
        tf.train.import_meta_graph(message, import_scope="in")
        assert [member.name for member in tf.get_collection(key)] == ["in/v:0"]
