"""Graphs and what hangs on their nodes: devices, sparse tensors, static values, descriptions."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import ckpt as tf
from ckpt.graph.opdef import OPS


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_inner_devices_add_to_outer_ones():
    with tf.device("/job:w"), tf.device("/cpu:1"):
        assert tf.constant(1).device == "/job:w/device:CPU:1"


def test_a_device_function_decides_alone():
    with tf.device(lambda op: "/gpu:0"), tf.device("/job:w"):
        assert tf.constant(1).device == "/device:GPU:0"


def test_what_changes_a_variable_stands_beside_it():
    with tf.device("/job:ps"):
        v = tf.Variable(0, name="v")
    with tf.device("/job:worker"):
        op = v.assign(1).op
    assert (op.device, op.colocation_groups()) == ("/job:ps", [b"loc:@v"])


def test_device_specs_are_parsed_merged_and_written():
    spec = tf.DeviceSpec.from_string("/job:w/cpu:*")
    spec.merge_from(tf.DeviceSpec(task=3, device_type="GPU", device_index=1))
    assert spec.to_string() == "/job:w/task:3/device:GPU:1"
    with pytest.raises(ValueError, match="Cannot specify multiple device"):
        tf.DeviceSpec.from_string("/cpu:0/device:GPU:1")


def test_parts_of_a_sparse_tensor_must_agree():
    with pytest.raises(ValueError, match=r"not compatible|incompatible"):
        tf.SparseTensor([[0, 1]], [1.0, 2.0], [3, 4])


def test_static_values_follow_from_constants_and_shapes():
    x = tf.placeholder(tf.float32, [3, None])
    assert tf.get_static_value(tf.rank(x)) == 2
    assert tf.get_static_value(tf.shape(x)) is None
    assert tf.get_static_value(tf.stack([1, tf.placeholder(tf.int32, [])]), partial=True)[1] is None
    assert tf.get_static_value(tf.Variable(1)) is None


def test_tensor_messages_hold_arrays():
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    assert tf.make_ndarray(tf.make_tensor_proto(array)).tolist() == array.tolist()
    assert tf.make_ndarray(tf.make_tensor_proto(1.5, shape=[2])).tolist() == [1.5, 1.5]
    with pytest.raises(ValueError, match="Too many elements"):
        tf.make_tensor_proto([1, 2, 3], shape=[2])


def test_descriptions_are_equal_when_they_say_the_same():
    spec = tf.TensorSpec([1, None], tf.float32, "x")
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec != tf.TensorSpec([1, None], tf.float32, "y")


def test_nested_structures_are_taken_apart_in_the_order_of_sorted_keys():
    nest = {"b": [1, (2,)], "a": 0}
    assert tf.nest.flatten(nest) == [0, 1, 2]
    assert tf.nest.map_structure(lambda v: v + 1, nest) == {"b": [2, (3,)], "a": 1}
    with pytest.raises(ValueError, match="Could not pack sequence"):
        tf.nest.pack_sequence_as(nest, [1])


def test_a_graph_is_written_to_a_file_and_read_again(tmp_path):
    tf.constant(3.0, name="three")
    path = tf.train.write_graph(tf.get_default_graph(), tmp_path / "new", "g.pb", as_text=False)
    with tf.Graph().as_default():
        found = tf.import_graph_def(
            tf.GraphDef.FromString(Path(path).read_bytes()), return_elements=["three:0"], name=""
        )
        assert tf.Session().run(found) == [3.0]


def test_a_graph_is_written_behind_a_url_too():
    fsspec = pytest.importorskip("fsspec", reason="remote files need fsspec")
    tf.constant(3.0, name="three")
    path = tf.train.write_graph(tf.get_default_graph(), "memory://graphs/new", "g.pbtxt")
    assert path == "memory://graphs/new/g.pbtxt"
    assert 'name: "three"' in fsspec.filesystem("memory").cat_file("/graphs/new/g.pbtxt").decode()


def test_an_import_says_what_is_missing():
    def node(name, *inputs, op="Identity"):
        found = tf.NodeDef(name=name, op=op, input=inputs)
        found.attr["T"].type = tf.float32.as_datatype_enum
        return found

    with pytest.raises(ValueError, match=r"Node 'B': Unknown input node 'A:0'"):
        tf.import_graph_def(tf.GraphDef(node=[node("B", "A:0")]))
    with pytest.raises(ValueError, match=r"Node 'A' is not unique"):
        tf.import_graph_def(tf.GraphDef(node=[node("A", "A"), node("A", "A")]))
    three = tf.constant(3.0)
    found = tf.import_graph_def(
        tf.GraphDef(node=[node("B", "A:0")]), {"A": three}, return_elements=["B"]
    )
    assert found[0].inputs[0] is three


def _made_by_a_long_function():
    padding = [None] * 300  # fmt: skip
    for _ in padding:
        pass
    return tf.constant(1, name="made"), sys._getframe().f_lineno


def test_a_node_knows_the_line_that_made_it():
    made, line = _made_by_a_long_function()
    filename, number, function = made.op.traceback[-1]
    assert (filename, number, function) == (__file__, line, "_made_by_a_long_function")
    assert made.op.created_at() == f"{__file__}:{line}, in _made_by_a_long_function"
    assert [entry[2] for entry in made.op.traceback[-2:]] == [
        "test_a_node_knows_the_line_that_made_it",
        "_made_by_a_long_function",
    ]


def test_an_imported_node_is_made_where_it_was_imported():
    made = tf.constant(1, name="made")
    with tf.Graph().as_default() as other:
        tf.import_graph_def(made.graph.as_graph_def(), name="")
    assert __file__ in other.get_operation_by_name("made").created_at()


def test_tensors_are_keys_by_identity():
    one = tf.constant(1)
    assert {one: 1}[one.op.outputs[0]] == 1
    assert one != tf.constant(1)
    assert one.ref() == one.ref()


def test_a_node_knows_where_its_device_was_said():
    with tf.device("/cpu:0"):
        line = sys._getframe().f_lineno - 1
        made = tf.constant(1)
    (said,) = made.op._device_assignments
    assert (said.obj, said.filename, said.lineno) == ("/cpu:0", __file__, line)


def test_what_is_set_on_one_node_is_set_on_no_other():
    x = tf.placeholder(tf.float32, [2])
    one, two = tf.exp(x).op, tf.exp(x).op
    assert one.attrs is two.attrs  # nodes of one kind share what they have in common
    one._set_attr("_mark", tf.AttrValue(i=7))
    with tf.Graph().as_default() as graph, graph.container("box"):
        v = tf.Variable([1.0]).op
    with tf.get_default_graph()._attr_scope({"_mark": tf.AttrValue(s=b"in")}):
        three = tf.exp(x).op
    with tf.get_default_graph().gradient_override_map({"Exp": "Other"}), tf.colocate_with(one):
        four = tf.exp(x).op
    assert one.get_attr("_mark") == 7
    assert dict(two.attrs) == {"T": tf.float32}
    assert three.get_attr("_mark") == b"in"
    assert four.get_attr("_gradient_op_type") == b"Other"
    assert four.get_attr("_class") == [b"loc:@" + one.name.encode()]
    assert v.get_attr("container") == b"box"
    assert dict(tf.exp(x).op.attrs) == {"T": tf.float32}


def test_attributes_that_compare_equal_are_not_shared():
    graph = tf.get_default_graph()
    x = tf.placeholder(tf.float32, [2])
    kinds = [tf.float32, True, 1]  # each equals tf.float32, whose number is 1
    made = [
        graph.add("Exp", OPS["Exp"], [x], {"T": kind}, f"n{kind}", [tf.float32]) for kind in kinds
    ]
    assert [type(op.attrs["T"]) for op in made] == [tf.DType, bool, int]


def test_a_reference_is_needed_where_a_variable_is_changed():
    with pytest.raises(TypeError, match="mutable tensor"):
        OPS["Assign"](tf.constant([1.0]), tf.constant([2.0]), T=tf.float32)


def test_rows_of_a_gradient_are_waited_for():
    with tf.Graph().as_default():
        rows = tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([0]))
        with tf.control_dependencies([rows]):
            waiting = tf.no_op()
        assert waiting.control_inputs == [rows.op]


def test_an_unknown_name_comes_with_similar_ones_which_are_looked_for_only_when_it_is_shown(
    monkeypatch,
):
    with tf.Graph().as_default() as graph:
        tf.constant(1, name="weights")
        with pytest.raises(KeyError, match=r"'weigths' .*Similar names: weights\."):
            graph.get_operation_by_name("weigths")
        with pytest.raises(KeyError, match=r"does not exist.*Similar names: weights\."):
            graph.get_tensor_by_name("weigths:0")
        with pytest.raises(KeyError) as caught:
            graph.get_operation_by_name("weigths")
        assert str(pickle.loads(pickle.dumps(caught.value))).startswith('"The name')
        monkeypatch.setattr("ckpt.graph.lookup._similar_names", None)
        v = tf.get_variable("v", [2])
        tf.train.AdamOptimizer().minimize(tf.reduce_sum(v))  # asks whether names of slots are free
