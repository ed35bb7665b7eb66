"""What a MetaGraph may hold besides nodes survives export and import under a scope, and still works."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import any_pb2, wrappers_pb2

import ckpt as tf
from ckpt.core.errors import GraphError
from ckpt.wire.schema import message_class

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "control_flow"


@pytest.mark.parametrize(
    ("key", "kind"), [("while_context", "WhileContextDef"), ("cond_context", "CondContextDef")]
)
def test_contexts_of_loops_and_branches_are_renamed_as_tensorflow_does(key, kind):
    with tf.Graph().as_default():
        tf.train.import_meta_graph(str(FIXTURES / "contexts.meta"), import_scope="s")
        ours = tf.train.export_meta_graph()
    theirs = tf.MetaGraphDef.FromString((FIXTURES / "contexts_scoped.meta").read_bytes())
    parsed = [
        [message_class(kind).FromString(data) for data in meta.collection_def[key].bytes_list.value]
        for meta in (ours, theirs)
    ]
    assert parsed[0]
    assert parsed[0] == parsed[1]


def test_a_graph_with_contexts_runs_under_a_scope():
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(str(FIXTURES / "contexts.meta"), import_scope="s")
        sess.run(tf.global_variables_initializer())
        assert [sess.run("s/y:0", {"s/n:0": n}) for n in (1, 3)] == [-2, 10]


def everything():
    """Partitions, tables, resources, loops, branches, sparse tensors in collections, in one graph."""
    x = tf.placeholder(tf.string, [None], name="x")
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64)), 0
    )
    ids = table.lookup(x, name="ids")
    rows = tf.get_variable("rows", [3, 2], partitioner=tf.fixed_size_partitioner(3))
    taken = tf.nn.embedding_lookup(rows, ids)
    scale = tf.get_variable("scale", [], use_resource=True, initializer=tf.ones_initializer())
    _, grown = tf.while_loop(lambda i, t: i < 2, lambda i, t: (i + 1, t * 2.0), (0, taken))
    total = tf.cond(tf.reduce_sum(grown) > 0, lambda: grown * scale, lambda: grown - scale)
    y = tf.reduce_sum(total, name="y")
    tf.add_to_collection("outputs", y)
    tf.add_to_collection("savers", tf.train.Saver(name="inner"))
    tf.add_to_collection("notes", "text")
    tf.add_to_collection("numbers", 3)
    return y


def test_partitions_tables_resources_and_flow_survive_twice_in_one_graph(tmp_path):
    feeds = np.array(["a", "b", "a", "z"], object)
    with tf.Graph().as_default(), tf.Session() as sess:
        y = everything()
        sess.run([tf.global_variables_initializer(), tf.tables_initializer()])
        wanted = sess.run(y, {"x:0": feeds})
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        savers = [tf.train.import_meta_graph(prefix + ".meta", import_scope="m") for _ in range(2)]
        for saver in savers:
            saver.restore(sess, prefix)
        sess.run(tf.tables_initializer())
        found = sess.run(["m/y:0", "m_1/y:0"], {"m/x:0": feeds, "m_1/x:0": feeds})
        assert found == [wanted, wanted]
        assert [t.name for t in graph.get_collection("outputs")] == ["m/y:0", "m_1/y:0"]
        inner = graph.get_collection("savers")
        assert len(inner) == 2
        sess.run(tf.global_variables_initializer())
        inner[1].restore(sess, prefix)
        assert sess.run("m_1/y:0", {"m_1/x:0": feeds}) == wanted
        assert graph.get_collection("notes") == ["m/text", "m_1/text"]  # a text is a name
        assert graph.get_collection("numbers") == [3, 3]
        once = savers[0].export_meta_graph()
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(once)
        assert graph.as_graph_def(add_shapes=True).node == once.graph_def.node


def test_a_message_of_any_type_survives():
    packed = any_pb2.Any()
    packed.Pack(wrappers_pb2.StringValue(value="mine"))
    tf.constant(1.0)
    tf.add_to_collection("own", packed)
    meta = tf.train.export_meta_graph()
    (written,) = meta.collection_def["own"].any_list.value
    assert (written.type_url, written.value) == (packed.type_url, packed.value)
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(meta, import_scope="s")
        assert graph.get_collection("own") == [packed]
        again = tf.train.export_meta_graph()
        assert again.collection_def["own"] == meta.collection_def["own"]


def broken(change):
    """A model's MetaGraph after `change(meta)`."""
    with tf.Graph().as_default():
        tf.Variable(1.0, name="v")
        tf.add_to_collection("kept", tf.constant(1.0, name="c"))
        meta = tf.train.export_meta_graph(saver_def=tf.train.Saver().as_saver_def())
    change(meta)
    return meta


def unknown_node(meta):
    meta.collection_def["kept"].node_list.value[0] = "nowhere:0"


def no_message(meta):
    meta.collection_def["while_context"].bytes_list.value.append(b"\xff\xff")


def variable_without_node(meta):
    for key in ("variables", "trainable_variables"):
        found = meta.collection_def[key].bytes_list
        found.value[0] = found.value[0].replace(b"v/Assign", b"w/Assign")


def half_a_saver(meta):
    meta.saver_def.restore_op_name = ""


def no_text(meta):
    meta.graph_def.node[0].attr["_class"].list.s.append(b"loc:@\xff")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (unknown_node, "collection 'kept', member 0: .*nowhere"),
        (no_message, "collection 'while_context', member 0: not a WhileContextDef message"),
        (variable_without_node, "collection '.*variables', member 0: .*w/Assign"),
        (half_a_saver, "saver_def must name"),
        (no_text, "attribute '_class' is no list of names"),
    ],
)
def test_a_member_that_is_broken_is_named_and_nothing_is_imported(change, said):
    with tf.Graph().as_default() as graph:
        with pytest.raises(GraphError, match=said):
            tf.train.import_meta_graph(broken(change), import_scope="s")
        assert not graph.get_operations()
        assert not graph.get_all_collection_keys()


def test_a_node_unknown_is_a_key_error_as_in_tensorflow():
    with tf.Graph().as_default(), pytest.raises(KeyError, match="collection 'kept'"):
        tf.train.import_meta_graph(broken(unknown_node))


def test_a_saver_that_cannot_be_made_takes_the_nodes_back():
    """Without a SaverDef a Saver over all variables is made, here of two variables that are one."""
    meta = broken(lambda meta: meta.ClearField("saver_def"))
    also = meta.collection_def["variables"].bytes_list.value
    also.append(also[0])
    with tf.Graph().as_default() as graph:
        with pytest.raises(GraphError, match="same"):
            tf.train.import_meta_graph(meta)
        assert not graph.get_operations()


def test_outputs_and_shapes_of_different_numbers_are_refused_by_name():
    def change(meta):
        (restore,) = [node for node in meta.graph_def.node if node.op == "RestoreV2"]
        restore.attr["dtypes"].list.type.append(tf.float32.as_datatype_enum)

    with tf.Graph().as_default(), pytest.raises(GraphError, match=r"save/RestoreV2.*outputs"):
        tf.train.import_meta_graph(broken(change))


def test_a_part_of_a_variable_that_cannot_be_one_is_refused_by_name():
    with tf.Graph().as_default():
        tf.get_variable("v", [4, 2], partitioner=tf.fixed_size_partitioner(2))
        meta = tf.train.export_meta_graph()
    for key in ("variables", "trainable_variables"):
        found = meta.collection_def[key].bytes_list
        part = message_class("VariableDef").FromString(found.value[1])
        del part.save_slice_info_def.var_offset[1:]
        found.value[1] = part.SerializeToString()
    with tf.Graph().as_default(), pytest.raises(GraphError, match=r"v/part_1:0.*axes"):
        tf.train.import_meta_graph(meta)
