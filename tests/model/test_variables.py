"""Variables of both kinds, whole and in parts: values, names, updates, sharing."""

import threading

import numpy as np
import pytest

import ckpt as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture(params=[False, True], ids=["reference", "resource"])
def use_resource(request):
    return request.param


def started():
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return session


def test_assignments_return_the_new_value(use_resource):
    v = tf.Variable([1.0, 2.0], use_resource=use_resource)
    session = started()
    assert session.run(v.assign_add([1.0, 1.0])).tolist() == [2.0, 3.0]
    assert session.run(v.assign_sub([0.5, 0.5])).tolist() == [1.5, 2.5]
    assert session.run(tf.assign(v, [7.0, 8.0])).tolist() == [7.0, 8.0]
    assert session.run(v + 1.0).tolist() == [8.0, 9.0]


def test_rows_are_updated_in_place_of_the_whole(use_resource):
    v = tf.Variable(np.zeros((3, 2), np.float32), use_resource=use_resource)
    session = started()
    assert session.run(tf.scatter_add(v, [0, 0], [[1.0, 1.0], [2.0, 2.0]])).tolist()[0] == [3, 3]
    assert session.run(tf.scatter_update(v, [1], [[5.0, 6.0]])).tolist()[1] == [5, 6]
    assert session.run(tf.scatter_nd_update(v, [[2, 1]], [9.0])).tolist()[2] == [0, 9]
    assert session.run(tf.scatter_max(v, 0, [1.0, 4.0])).tolist()[0] == [3, 4]


def test_a_row_outside_is_refused_and_changes_nothing(use_resource):
    v = tf.Variable([1.0, 2.0], use_resource=use_resource)
    session = started()
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"indices\[0\] = 5 is not in \[0, 2\)"
    ):
        session.run(tf.scatter_add(v, [5], [1.0]))
    assert session.run(v).tolist() == [1.0, 2.0]


def test_reading_before_a_value_was_given_fails(use_resource):
    v = tf.Variable(1.0, name="v", use_resource=use_resource)
    session = tf.Session()
    assert not session.run(tf.is_variable_initialized(v))
    assert session.run(tf.report_uninitialized_variables()).tolist() == [b"v"]
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized"):
        session.run(v)


def test_counting_stops_at_the_limit(use_resource):
    v = tf.Variable(0, use_resource=use_resource)
    count = v.count_up_to(2)
    session = started()
    assert [session.run(count), session.run(count)] == [0, 1]
    with pytest.raises(tf.errors.OutOfRangeError, match="limit of 2"):
        session.run(count)


def test_a_resource_variable_has_tensorflows_nodes(graph):
    v = tf.get_variable("v", [2], use_resource=True, initializer=tf.zeros_initializer())
    assert [f"{o.name} {o.type}" for o in graph.get_operations()] == [
        "v/Initializer/zeros Const",
        "v VarHandleOp",
        "v/IsInitialized/VarIsInitializedOp VarIsInitializedOp",
        "v/Assign AssignVariableOp",
        "v/Read/ReadVariableOp ReadVariableOp",
    ]
    again = tf.Variable.from_proto(v.to_proto())
    assert (again.handle, again.dtype, again.shape) == (v.handle, tf.float32, v.shape)


def test_the_nodes_of_a_resource_variable_are_on_its_device_and_beside_nothing(graph):
    with tf.device("/cpu:1"):
        tf.Variable([1.0], use_resource=True, name="v")
    for name in ("v/Assign", "v/Read/ReadVariableOp"):
        node = graph.get_operation_by_name(name)
        assert (node.device, node.node_def.attr.get("_class")) == ("/device:CPU:1", None)


def test_what_is_beside_a_variable_is_beside_its_handle(use_resource):
    v = tf.get_variable("v", [2], use_resource=use_resource)
    with tf.colocate_with(v):
        assert tf.constant(1.0).op.colocation_groups() == [b"loc:@v"]


def test_a_cache_is_on_its_own_device(graph, use_resource):
    with tf.device("/cpu:0"):
        tf.get_variable("v", [2], caching_device="/cpu:1", use_resource=use_resource)
    read, copy = ("v/Read/ReadVariableOp", "v/Read/Identity") if use_resource else ("v", "v/read")
    places = [graph.get_operation_by_name(name).device for name in (read, copy)]
    assert places == ["/device:CPU:0", "/device:CPU:1"]


def test_gradients_flow_through_reads_and_rows_of_a_resource_variable():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]], use_resource=True)
    by_read = tf.gradients(v * v, v)[0]
    by_rows = tf.gradients(v.sparse_read([1, 1]), v)[0]
    session = started()
    assert session.run(by_read).tolist() == [[2, 4], [6, 8]]
    assert session.run(tf.convert_to_tensor(by_rows)).tolist() == [[0, 0], [2, 2]]


def test_no_update_of_many_threads_is_lost(use_resource):
    v = tf.Variable(0.0, use_resource=use_resource)
    add = v.assign_add(1.0).op
    session = started()
    threads = [
        threading.Thread(target=lambda: [session.run(add) for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.run(v) == 800.0


def test_parts_make_one_tensor_and_know_where_they_belong():
    v = tf.get_variable("v", [5, 2], partitioner=tf.fixed_size_partitioner(2))
    parts = list(v)
    assert [p.name for p in parts] == ["v/part_0:0", "v/part_1:0"]
    assert [p._get_save_slice_info().spec for p in parts] == ["5 2 0,3:0,2", "5 2 3,2:0,2"]
    session = started()
    whole = session.run(tf.convert_to_tensor(v))
    assert whole.tolist() == np.concatenate(session.run(parts)).tolist()


@pytest.mark.parametrize(
    ("partitioner", "expected"),
    [
        (tf.fixed_size_partitioner(3, axis=1), [1, 3]),
        (tf.variable_axis_size_partitioner(16), [4, 1]),
        (tf.variable_axis_size_partitioner(16, max_shards=2), [2, 1]),
        (tf.min_max_variable_partitioner(max_partitions=8, min_slice_size=32), [2, 1]),
    ],
)
def test_partitioners_cut_as_they_are_told(partitioner, expected):
    found = partitioner(shape=tf.TensorShape([4, 4]), dtype=tf.float32)
    assert found == expected


def test_sharing_must_be_asked_for():
    with tf.variable_scope("s"):
        v = tf.get_variable("v", [1])
        with pytest.raises(ValueError, match="already exists"):
            tf.get_variable("v", [1])
    with tf.variable_scope("s", reuse=True):
        assert tf.get_variable("v", [1]) is v
        with pytest.raises(ValueError, match="does not exist"):
            tf.get_variable("w", [1])
    with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
        assert tf.get_variable("v") is v


def test_a_custom_getter_sees_the_full_name():
    seen = []

    def getter(getter, name, *args, **kwargs):
        seen.append(name)
        return getter(name + "_x", *args, **kwargs)

    with tf.variable_scope("s", custom_getter=getter):
        assert tf.get_variable("v", [1]).op.name == "s/v_x"
    assert seen == ["s/v"]


def test_creators_wrap_the_making_of_variables():
    def creator(next_creator, **kwargs):
        kwargs["name"] = "made"
        return next_creator(**kwargs)

    with tf.variable_creator_scope(creator):
        assert tf.Variable(1.0).op.name == "made"
    assert tf.Variable(1.0).op.name == "Variable"


def test_a_template_makes_its_variables_once():
    scale = tf.make_template("scale", lambda x: x * tf.get_variable("w", shape=[]))
    first, second = scale(1.0), scale(2.0)
    assert [v.op.name for v in tf.global_variables()] == ["scale/w"]
    assert [first.op.name, second.op.name] == ["scale/mul", "scale_1/mul"]


def test_a_scope_entered_again_keeps_variable_names_and_takes_a_new_name_scope():
    with tf.variable_scope("s") as scope:
        pass
    with tf.variable_scope(scope):
        assert tf.get_variable("v", [1]).op.name == "s/v"
        assert tf.constant(1).op.name == "s_1/Const"


def test_scopes_belong_to_a_thread():
    names = []
    graph = tf.get_default_graph()

    def inside():
        with graph.as_default(), tf.variable_scope("inner"):
            names.append(tf.get_variable_scope().name)

    with tf.variable_scope("outer"):
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
    assert names == ["inner"]


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
def test_a_part_of_a_variable_is_assigned(use_resource):
    v = tf.get_variable("v", initializer=np.arange(12.0).reshape(3, 4), use_resource=use_resource)
    row = v[1, ::2].assign(tf.constant([-1.0, -2.0], tf.float64))
    corner = tf.strided_slice(v, [0, 3], [1, 4], var=v).assign([[9.0]])
    assert not hasattr((v + 0.0)[0], "assign")
    with tf.Session() as sess:
        sess.run(v.initializer)
        sess.run(getattr(row, "op", row))
        sess.run(getattr(corner, "op", corner))
        wanted = np.arange(12.0).reshape(3, 4)
        wanted[1, ::2], wanted[0, 3] = [-1, -2], 9
        np.testing.assert_array_equal(sess.run(v), wanted)
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be the same"):
            sess.run(getattr(v[0].assign([[1.0]]), "op", None) or v[0].assign([[1.0]]))


def test_a_resource_variable_is_no_array_and_a_constraint_is_a_function():
    with tf.Graph().as_default():
        with pytest.raises(NotImplementedError, match="session"):
            np.asarray(tf.Variable([1.0], use_resource=True))
        with pytest.raises(ValueError, match="constraint"):
            tf.Variable(1.0, constraint=3)
