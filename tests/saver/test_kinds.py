"""Every kind of thing that a Saver saves: reference and resource variables, parts, tables, saveable objects."""

import contextlib
import os

import numpy as np
import pytest

import ckpt as tf


def saved(tmp_path, build, name="m", feed=None, **saver):
    """Build and initialise a graph, save it; returns (prefix, values of the global variables by name)."""
    with tf.Graph().as_default(), tf.Session() as sess:
        build()
        made = tf.train.Saver(**saver)
        sess.run([tf.global_variables_initializer(), *(feed() if feed else [])])
        prefix = made.save(sess, tmp_path / name)
        return prefix, {v.op.name: sess.run(v) for v in tf.global_variables()}


def restored(prefix, build, **saver):
    """Build a graph and restore it without initialisation; the values of the global variables by name."""
    with tf.Graph().as_default(), tf.Session() as sess:
        build()
        tf.train.Saver(**saver).restore(sess, prefix)
        return {v.op.name: sess.run(v) for v in tf.global_variables()}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def pieces(parts, name="p", use_resource=False):
    return tf.get_variable(
        name,
        initializer=np.arange(14, dtype=np.float32).reshape(7, 2),
        partitioner=tf.fixed_size_partitioner(parts),
        use_resource=use_resource,
    )


def whole(values, name="p"):
    parts = sorted(key for key in values if key.startswith(f"{name}/part_"))
    return np.concatenate([values[key] for key in parts])


DTYPES = [
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bool", "complex64", "complex128", "string",
    *tf.dtypes.experimental.__all__,  # float8, float4, int4, ...
]  # fmt: skip


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3)])
def test_all_dtypes_and_shapes(tmp_path, use_resource, shape):
    def build():
        for dtype in DTYPES:
            kind = tf.as_dtype(dtype)
            if dtype == "string":
                value = np.full(shape, b"a\0\xff", object)
            else:
                value = np.ones(shape, np.int8).astype(kind.as_numpy_dtype)
            tf.Variable(tf.constant(value, kind, shape=shape), name=dtype, use_resource=use_resource)  # fmt: skip

    prefix, values = saved(tmp_path, build)
    same(restored(prefix, build), values)


@pytest.mark.parametrize("scope", ["", "p", "s", "longer/than/the/name"])
@pytest.mark.parametrize("use_resource", [False, True])
def test_slots_made_in_a_scope_are_restored_into_other_parts(tmp_path, scope, use_resource):
    """TensorFlow names them after the number of their part, and by the lengths of names, so that they are lost."""

    def build(parts):
        p = pieces(parts, use_resource=use_resource)
        with tf.variable_scope(scope) if scope else contextlib.nullcontext():
            step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(tf.square(p)))
            with tf.control_dependencies([step]):
                return tf.train.ExponentialMovingAverage(0.5).apply(list(p))

    with tf.Graph().as_default(), tf.Session() as sess:
        move = build(3)
        sess.run(tf.global_variables_initializer())
        sess.run(move)
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    before = f"{scope}/p" if scope else "p"
    names = sorted(["p", f"{before}/Momentum", f"{before}/ExponentialMovingAverage"])
    assert [name for name, _ in tf.train.list_variables(prefix)] == names
    for number in (1, 2, 4):
        found = restored(prefix, lambda number=number: build(number))
        for slot in ("Momentum", "ExponentialMovingAverage"):
            held = [found[f"{before}/part_{part}/{slot}"] for part in range(number)]
            np.testing.assert_array_equal(
                np.concatenate(held), tf.train.load_variable(prefix, f"{before}/{slot}")
            )


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_resource_and_reference_variables_read_each_others_checkpoints(tmp_path, before, after):
    def build(use_resource):
        tf.Variable([1.0, 2.0], name="a", use_resource=use_resource)
        tf.Variable(3, name="b", use_resource=use_resource)

    prefix, values = saved(tmp_path, lambda: build(before))
    same(restored(prefix, lambda: build(after)), values)


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 5), (7, 4), (3, 3)])
def test_a_variable_saved_in_parts_is_restored_in_other_parts(
    tmp_path, before, after, use_resource
):
    prefix, values = saved(tmp_path, lambda: pieces(before, use_resource=use_resource))
    found = restored(prefix, lambda: pieces(after, use_resource=use_resource))
    assert len(found) == after
    np.testing.assert_array_equal(whole(found), whole(values))
    unparted = restored(prefix, lambda: tf.get_variable("p", [7, 2]))
    np.testing.assert_array_equal(unparted["p"], whole(values))


@pytest.mark.parametrize("use_resource", [False, True])
def test_slots_follow_the_parts_of_their_variable(tmp_path, use_resource):
    def build(parts):
        variable = pieces(parts, use_resource=use_resource)
        loss = tf.reduce_sum(tf.square(tf.convert_to_tensor(variable) - 1))
        return tf.train.AdamOptimizer(0.1).minimize(loss)

    with tf.Graph().as_default(), tf.Session() as sess:
        step = build(2)
        sess.run(tf.global_variables_initializer())
        sess.run(step)
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
        sess.run(step)
        wanted = {v.op.name: sess.run(v) for v in tf.global_variables()}
    with tf.Graph().as_default(), tf.Session() as sess:
        step = build(3)
        tf.train.Saver().restore(sess, prefix)
        sess.run(step)
        found = {v.op.name: sess.run(v) for v in tf.global_variables()}

    def joined(values, slot):
        keys = [k for k in sorted(values) if k.startswith("p/part_") and k.endswith(slot)]
        return np.concatenate([values[k] for k in keys if (k.count("/") == 1) == (slot == "")])

    for slot in ("/Adam", "/Adam_1"):
        np.testing.assert_allclose(joined(found, slot), joined(wanted, slot), rtol=1e-6)


def test_parts_may_be_renamed_as_one(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        variable = pieces(2)
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver({"q": variable}).save(sess, tmp_path / "m")
    assert restored(prefix, lambda: tf.get_variable("q", [7, 2]))["q"].shape == (7, 2)


def mutable(sess, table):
    keys, values = sess.run(list(table.export()))
    return dict(zip(keys.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("sharded", [False, True])
def test_tables_are_saved_with_the_variables(tmp_path, sharded):
    def build():
        tf.Variable(1.0, name="v")
        return tf.lookup.MutableHashTable(tf.string, tf.int64, -1, name="t")

    with tf.Graph().as_default(), tf.Session() as sess:
        table = build()
        sess.run([tf.global_variables_initializer(), table.insert(["a", "b"], [1, 2])])
        prefix = tf.train.Saver(sharded=sharded).save(sess, tmp_path / "m")
    with tf.Graph().as_default(), tf.Session() as sess:
        table = build()
        sess.run(table.insert(["gone"], [0]))
        tf.train.Saver(sharded=sharded).restore(sess, prefix)
        assert mutable(sess, table) == {b"a": 1, b"b": 2}


def test_empty_tables_are_restored_empty(tmp_path):
    def build():
        return tf.lookup.MutableHashTable(tf.int64, tf.float32, 0.0, name="t")

    with tf.Graph().as_default(), tf.Session() as sess:
        build()
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    with tf.Graph().as_default(), tf.Session() as sess:
        table = build()
        sess.run(table.insert([1], [2.0]))
        tf.train.Saver().restore(sess, prefix)
        assert mutable(sess, table) == {}


def test_tables_that_ask_not_to_be_saved_are_not():
    with tf.Graph().as_default():
        tf.lookup.MutableHashTable(tf.string, tf.int64, -1, checkpoint=False)
        with pytest.raises(ValueError, match="No variables to save"):
            tf.train.Saver()


class Doubled(tf.train.SaveableObject):
    """Saves twice the value of a variable, and restores half of what it reads."""

    def __init__(self, variable, name):
        spec = tf.train.SaveSpec(lambda: variable * 2, "", name, variable.dtype, variable.device)
        super().__init__(variable, [spec], name)

    def restore(self, restored_tensors, restored_shapes):
        return tf.assign(self.op, restored_tensors[0] / 2).op


def test_saveable_objects_say_what_is_written_and_read(tmp_path):
    def build():
        variable = tf.Variable([1.0, 2.0], name="v", collections=[])
        tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, Doubled(variable, "twice"))
        return variable

    with tf.Graph().as_default(), tf.Session() as sess:
        variable = build()
        sess.run(variable.initializer)
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    same(restored(prefix, lambda: tf.get_variable("twice", [2])), {"twice": [2, 4]})
    with tf.Graph().as_default(), tf.Session() as sess:
        variable = build()
        tf.train.Saver().restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(variable), [1, 2])


def test_a_saveable_object_without_restore_says_so():
    with tf.Graph().as_default():
        v = tf.Variable(1.0)
        spec = tf.train.SaveSpec(v._ref(), "", "x")
        with pytest.raises(NotImplementedError, match="override restore"):
            tf.train.Saver([tf.train.SaveableObject(v, [spec], "x")])
        with pytest.raises(AssertionError, match="dtype and device"):
            tf.train.SaveSpec(lambda: v, "", "x")


def on_devices():
    for name, place in (("a", "/cpu:0"), ("b", "/cpu:1"), ("c", "/job:ps/task:1"), ("d", "/job:ps/task:0")):  # fmt: skip
        with tf.device(place):
            tf.get_variable(name, [2], use_resource=name == "b")
    tf.get_variable("e", [3])


@pytest.mark.parametrize("sequentially", [False, True])
def test_a_sharded_saver_writes_a_file_per_device_that_any_saver_reads(tmp_path, sequentially):
    prefix, values = saved(tmp_path, on_devices, sharded=True, restore_sequentially=sequentially)
    names = sorted(os.listdir(tmp_path))
    assert names.count("m.index") == 1
    assert sum(name.endswith(".h5") for name in names) == 6  # five devices and the MetaGraph
    assert "m_temp" not in names
    same(restored(prefix, on_devices), values)
    same(restored(prefix, on_devices, sharded=True, restore_sequentially=sequentially), values)
    with tf.Graph().as_default(), tf.Session() as sess:
        imported = tf.train.import_meta_graph(prefix + ".index")
        imported.restore(sess, prefix)
        np.testing.assert_array_equal(sess.run("e:0"), values["e"])
        imported.save(sess, tmp_path / "again")
    same(restored(str(tmp_path / "again"), on_devices), values)


def test_shards_are_compressed_when_asked(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        with tf.device("/cpu:1"):
            tf.get_variable("big", [300, 300], initializer=tf.zeros_initializer())
        tf.get_variable("small", [1])
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver(sharded=True)
        prefix = saver.save(sess, tmp_path / "m", compression="deflate", write_meta_graph=False)
        saver.restore(sess, prefix)
        assert not sess.run("big:0").any()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.h5")) < 100_000


def test_parts_on_different_devices_are_one_variable(tmp_path):
    def build():
        with tf.device(lambda op: f"/cpu:{int('part_1' in op.name)}"):
            pieces(2)

    prefix, values = saved(tmp_path, build, sharded=True)
    np.testing.assert_array_equal(
        restored(prefix, lambda: tf.get_variable("p", [7, 2]))["p"], whole(values)
    )
    assert sum(name.endswith(".h5") for name in os.listdir(tmp_path)) == 3


def test_a_sharded_save_that_fails_leaves_what_was_there(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        on_devices()
        late = tf.Variable(1.0, name="late")
        sess.run(tf.variables_initializer([v for v in tf.global_variables() if v is not late]))
        saver = tf.train.Saver(sharded=True)
        with pytest.raises(tf.errors.FailedPreconditionError, match="late"):
            saver.save(sess, tmp_path / "m")
        assert os.listdir(tmp_path) == []
        sess.run(late.initializer)
        prefix = saver.save(sess, tmp_path / "m")
        before = sorted(os.listdir(tmp_path))
        saver.save(sess, tmp_path / "m")
        assert len(os.listdir(tmp_path)) == len(before)
        tf.train.remove_checkpoint(prefix)
        assert sorted(os.listdir(tmp_path)) == ["checkpoint"]


@pytest.mark.parametrize("options", [{"sharded": True}, {"restore_sequentially": True}])
def test_restores_in_several_reads_assign_nothing_unless_everything_fits(tmp_path, options):
    prefix, _ = saved(tmp_path, on_devices, sharded=True)
    with tf.Graph().as_default(), tf.Session() as sess:
        on_devices()
        tf.get_variable("new", [1])
        tf.get_variable("newer", [1])
        saver = tf.train.Saver(**options)
        with pytest.raises(
            tf.errors.NotFoundError, match="2 of 7 variables cannot be restored"
        ) as caught:
            saver.restore(sess, prefix)
        assert caught.value.op.type == "RestoreV2"
        assert len(sess.run(tf.report_uninitialized_variables())) == 7


def test_reshape_takes_values_of_another_shape(tmp_path):
    def build(shape):
        tf.get_variable("a", shape)
        tf.get_variable("b", shape, use_resource=True)

    prefix, values = saved(tmp_path, lambda: build([2, 3]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="2 tensors have another shape"):
        restored(prefix, lambda: build([3, 2]))
    found = restored(prefix, lambda: build([3, 2]), reshape=True)
    same(found, {name: value.reshape(3, 2) for name, value in values.items()})


def test_an_imported_saver_still_reshapes(tmp_path):
    with tf.Graph().as_default():
        tf.get_variable("a", [3, 2], use_resource=True)
        meta = tf.train.Saver(reshape=True).export_meta_graph()
    prefix, values = saved(tmp_path, lambda: tf.get_variable("a", [2, 3]))
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(meta).restore(sess, prefix)
        np.testing.assert_array_equal(
            sess.run("a/Read/ReadVariableOp:0"), values["a"].reshape(3, 2)
        )


class Counting(tf.train.SaverBuilder):
    """A builder that notes what it is asked to save."""

    def __init__(self):
        self.names = []

    def save_op(self, filename_tensor, saveables):
        self.names.append([saveable.name for saveable in saveables])
        return super().save_op(filename_tensor, saveables)


def test_a_builder_of_ones_own_adds_the_nodes(tmp_path):
    builder = Counting()
    prefix, values = saved(tmp_path, on_devices, builder=builder, sharded=True)
    assert builder.names == [["e"], ["a"], ["b"], ["d"], ["c"]]
    same(restored(prefix, on_devices), values)


def test_saving_a_thousand_times_adds_no_node_and_no_memory_of_the_old(tmp_path):
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        pieces(2, use_resource=True)
        tf.lookup.MutableHashTable(tf.string, tf.int64, -1)
        saver = tf.train.Saver(max_to_keep=1)
        sess.run(tf.global_variables_initializer())
        graph.finalize()
        for step in range(1000):
            prefix = saver.save(sess, tmp_path / "m", step, durable=False, write_meta_graph=False)
        saver.restore(sess, prefix)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "m-999.h5"]


@pytest.mark.parametrize(
    ("var_list", "error", "text"),
    [
        (lambda: 3, TypeError, "should be passed in a dict or a list"),
        (lambda: pieces(2), TypeError, "should be passed in a dict or a list"),
        (lambda: ["nothing/like/it"], ValueError, "match none of"),
        (lambda: [tf.constant(1.0)], TypeError, "not a Variable"),
        (lambda: [tf.Variable(1.0).value()], TypeError, "not a Variable"),
        (lambda: [tf.Variable(1.0, use_resource=True).handle], TypeError, "not a Variable"),
        (lambda: {3: tf.Variable(1.0)}, TypeError, "Name is not a string"),
        (lambda: {"a": tf.constant(1.0)}, TypeError, "Not a variable"),
        (lambda: [*pieces(2), tf.Variable(1.0, name="p")], ValueError, "same name: p"),
        (lambda: [tf.Variable(1.0, name="p"), *pieces(2)], ValueError, "same name"),
        (lambda: {"a": [tf.Variable(1.0)]}, ValueError, "must all be slices"),
        (lambda: {"a": [tf.constant(1.0)]}, ValueError, "must all be Variables"),
        (
            lambda: {"a": [next(iter(pieces(2, "x"))), next(iter(pieces(2, "y")))]},
            ValueError,
            "same tensor: x != y",
        ),
    ],
)  # fmt: skip
def test_what_is_no_variable_is_refused(var_list, error, text):
    with tf.Graph().as_default(), pytest.raises(error, match=text):
        tf.train.Saver(var_list())


def test_tensors_of_variables_stand_for_them(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        a = tf.Variable(1.0, name="a")
        b = tf.Variable(2.0, name="b", use_resource=True)
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver([a._ref(), b.value()])
        prefix = saver.save(sess, tmp_path / "m")
        sess.run([a.assign(0.0), b.assign(0.0)])
        saver.restore(sess, prefix)
        assert sess.run([a, b]) == [1.0, 2.0]
