"""Export and import of MetaGraphs: files, scopes, input maps, collections."""

from pathlib import Path

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import GraphError
from ckpt.wire.schema import message_class


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
    with pytest.raises(ValueError, match=r"not found in graph_def: \[nothing:0\]"):
        tf.train.import_meta_graph(meta, import_scope="m", input_map={"nothing:0": given})


@pytest.mark.parametrize("scope", [None, "s/"])
def test_what_is_imported_twice_is_the_first_with_copies_that_nothing_refers_to(meta, scope):
    tf.train.import_meta_graph(meta, import_scope=scope)
    graph = tf.get_default_graph()
    count, variables = len(graph.get_operations()), tf.global_variables()
    trainable = tf.trainable_variables()
    saver, (w, w_1) = tf.train.import_meta_graph(
        meta, import_scope=scope, return_elements=["dense/w", "dense/w:0"]
    )
    lead = scope or ""
    assert (w.name, w_1.name) == (f"{lead}dense/w", f"{lead}dense/w:0")
    assert len(graph.get_operations()) == 2 * count
    assert graph.get_operation_by_name(f"{lead}dense/w_1").type == w.type
    assert all(a is b for a, b in zip(tf.global_variables(), variables, strict=True))
    assert tf.trainable_variables() == trainable
    with tf.Session() as sess:
        sess.run(variables[0].assign([[8.0], [9.0]]))
        saved = saver.save(sess, meta.removesuffix(".meta"))
        sess.run(tf.global_variables_initializer())
        saver.restore(sess, saved)
        assert sess.run(f"{lead}y:0", {f"{lead}x:0": [[1, 1]]}).tolist() == [[17.0]]
    tf.train.Saver()  # TensorFlow finds each variable twice


def test_importing_over_another_model_changes_nothing_and_says_what_to_do(meta):
    tf.get_variable("dense/w", [3])
    tf.get_variable("mine", [3])
    count = len(tf.get_default_graph().get_operations())
    with pytest.raises(
        GraphError, match=r"other nodes \(dense/w.*it has not \(.*import_scope.*Saver\(\).restore"
    ):
        tf.train.import_meta_graph(meta)
    assert len(tf.get_default_graph().get_operations()) == count


def test_importing_over_a_part_of_the_model_changes_nothing(meta):
    """TensorFlow would restore into new variables that nothing refers to, and leave those that are there unset."""
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(meta)
        last = graph.as_graph_def().node[-1].name
        whole = tf.train.export_meta_graph()
    part = type(whole).FromString(whole.SerializeToString())
    del part.graph_def.node[-1]
    part.ClearField("saver_def")
    part.ClearField("collection_def")
    tf.train.import_meta_graph(part)
    with pytest.raises(GraphError, match=f"1 it has not .{last}"):
        tf.train.import_meta_graph(meta)


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


def test_a_scope_says_what_it_takes_from_outside():
    outside = tf.constant(1.0, name="outside")
    with tf.name_scope("inner"), tf.control_dependencies([outside]):
        tf.identity(outside, name="a")
    meta = tf.train.export_meta_graph(export_scope="inner")
    assert [(n.name, list(n.input)) for n in meta.graph_def.node] == [
        ("a", ["$unbound_inputs_outside"])
    ]
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError, match=r"unbound inputs: \$unbound_inputs_outside"):
            tf.train.import_meta_graph(meta)
        assert graph.get_operations() == []
        two = tf.constant(2.0)
        tf.train.import_meta_graph(
            meta, import_scope="s", input_map={"$unbound_inputs_outside": two}
        )
        assert tf.Session().run("s/a:0") == 2


def test_a_scope_is_copied_with_its_savers(tmp_path):
    source = tf.get_default_graph()
    with tf.name_scope("old"):
        v = tf.Variable([1.0], name="v")
        tf.add_to_collection("savers", tf.train.Saver([v]))
    with tf.Session() as sess:
        sess.run(v.initializer)
        path = source.get_collection("savers")[0].save(sess, tmp_path / "m", write_state=False)
    with pytest.raises(ValueError, match="need to be different"):
        tf.train.copy_scoped_meta_graph("old", "old/new")
    with tf.Graph().as_default() as target, tf.Session() as sess:
        variables = tf.train.copy_scoped_meta_graph("old", "new", from_graph=source)
        assert {name: v.op.name for name, v in variables.items()} == {"v:0": "new/v"}
        (saver,) = target.get_collection("savers")
        saver.restore(sess, path)
        assert sess.run("new/v:0") == 1


def test_savers_of_others_are_left_out_where_asked():
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    other, own = tf.train.Saver([a], name="other"), tf.train.Saver([b], name="own")
    tf.add_to_collection("savers", other)
    meta = own.export_meta_graph(clear_extraneous_savers=True)
    names = {node.name for node in meta.graph_def.node}
    assert {"a", "a/read", "b", "own/SaveV2", "own/restore_all"} <= names
    assert not {name for name in names if name.startswith("other/")}
    assert "savers" not in meta.collection_def
    assert meta.saver_def == own.as_saver_def()
    tf.add_to_collection("savers", own)
    meta = own.export_meta_graph(clear_extraneous_savers=True)
    (kept,) = meta.collection_def["savers"].bytes_list.value
    assert kept == own.as_saver_def().SerializeToString()


def test_an_import_that_fails_adds_nothing(meta):
    tf.constant(0.0, name="mine")
    message = tf.MetaGraphDef()
    message.CopyFrom(tf.train.export_meta_graph())
    message.collection_def["nodes"].node_list.value.append("missing:0")
    with tf.Graph().as_default() as graph:
        with pytest.raises(KeyError, match="missing"):
            tf.train.import_meta_graph(message)
        assert graph.get_operations() == []
        assert graph.get_all_collection_keys() == []


def test_elements_are_returned(meta):
    with tf.Graph().as_default():
        _, (op, tensor) = tf.train.import_meta_graph(
            meta, import_scope="s", return_elements=["dense/w", "dense/w:0"]
        )
        assert (op.name, tensor.name) == ("s/dense/w", "s/dense/w:0")


def test_what_a_later_tensorflow_says_is_kept_and_not_guessed():
    tf.add(tf.constant(1.0), 2.0, name="y")
    graph_def = tf.get_default_graph().as_graph_def()
    node = next(n for n in graph_def.node if n.name == "y")
    node.attr["later"].b = False
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        assert tf.Session().run("y:0") == 3
        assert graph.get_operation_by_name("y").get_attr("later") is False
    node.attr["later"].b = True
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        assert graph.as_graph_def().node[2].attr["later"].b  # inspected and exported
        with pytest.raises(tf.errors.UnimplementedError, match="have no kernel"):
            tf.Session().run("y:0")
    producer = message_class("OpList")()
    attr = producer.op.add(name=node.op).attr.add(name="later", type="bool")
    attr.default_value.b = True
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="", producer_op_list=producer)
        assert tf.Session().run("y:0") == 3


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
    with pytest.raises(ValueError, match="'z' not found"):
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


def test_files_that_are_missing_or_no_metagraph_are_os_errors_too(tmp_path):
    (tmp_path / "bad.meta").write_text("filename_tensor_name: 3")
    with pytest.raises(OSError, match=r"Cannot parse file .*bad\.meta") as caught:
        tf.train.import_meta_graph(tmp_path / "bad.meta")
    assert isinstance(caught.value, tf.errors.DataLossError)
    with pytest.raises(OSError, match="does not exist") as caught:
        tf.train.import_meta_graph(tmp_path / "no.meta")
    assert isinstance(caught.value, tf.errors.NotFoundError)


def test_a_function_that_is_there_already_is_not_imported_again():
    x = tf.placeholder(tf.float32, [], name="x")
    _, y = tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t * x), (0, 1.0))
    tf.identity(y, name="y")
    graph_def = tf.get_default_graph().as_graph_def()
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        for scope in ("a", "b"):
            tf.import_graph_def(graph_def, name=scope)
        names = [f.signature.name for f in graph.as_graph_def().library.function]
        assert names == [f.signature.name for f in graph_def.library.function]
        a, b = (graph.get_tensor_by_name(f"{scope}/y:0") for scope in ("a", "b"))
        grad = tf.gradients(a, graph.get_tensor_by_name("a/x:0"))  # changes the body of one loop
        feeds = {"a/x:0": 2.0, "b/x:0": 3.0}
        assert sess.run([a, b, *grad], feeds) == [8, 27, 12]


def test_the_message_has_the_shapes_of_outputs_and_an_import_needs_none_of_them():
    with tf.Graph().as_default():
        tf.placeholder(tf.float32, [None, 3], name="x")
        meta = tf.train.export_meta_graph()
        scoped = tf.train.export_meta_graph(export_scope="")
    for message in (meta, scoped):
        shape = message.graph_def.node[0].attr["_output_shapes"].list.shape[0]
        assert [dim.size for dim in shape.dim] == [-1, 3]
    shape.dim[1].size = 4  # it says nothing about the node
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(scoped)
        assert graph.get_tensor_by_name("x:0").shape.as_list() == [None, 3]
        assert "_output_shapes" not in graph.get_operation_by_name("x").node_def.attr


def test_an_export_makes_its_directory_and_an_import_takes_bytes_as_a_path(tmp_path):
    path = tmp_path / "a" / "b" / "m.meta"
    with tf.Graph().as_default():
        small_model()
        tf.train.export_meta_graph(path)
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(str(path).encode())
        assert graph.get_tensor_by_name("y:0").shape.as_list() == [None, 1]


def test_a_saver_comes_back_where_the_scope_has_variables_also_those_of_others():
    with tf.Graph().as_default():
        tf.constant(1.0, name="c")
        nothing = tf.train.export_meta_graph()
    assert tf.train.import_meta_graph(nothing) is None
    tf.get_variable("mine/v", [2])
    assert tf.train.import_meta_graph(nothing, import_scope="other") is None
    assert isinstance(tf.train.import_meta_graph(nothing, import_scope="mine"), tf.train.Saver)
    assert isinstance(tf.train.import_meta_graph(nothing, import_scope=""), tf.train.Saver)
