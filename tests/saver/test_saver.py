"""The Saver: what it writes, keeps, restores and refuses."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.saver.restored import restored as find
from tests.saver.models import restored, saved, two_variables

DTYPES = [
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128", "string",
]  # fmt: skip


def test_what_was_saved_is_restored_without_initialisation(tmp_path):
    prefix, values = saved(tmp_path, global_step=7)
    assert prefix == str(tmp_path / "model.ckpt-7")
    found = restored(prefix, *two_variables())
    for ours, theirs in zip(found, values, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_shards_are_restored_imported_and_deleted_as_one_checkpoint(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        variables = two_variables()
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver(max_to_keep=1)
        for step in (1, 2):
            prefix = saver.save(sess, tmp_path / "m", step, shard_size=1)
        values = sess.run(list(variables))
    files = sorted(os.listdir(tmp_path))
    assert files[0] == "checkpoint"
    assert [name.rpartition("-")[2] for name in files[1:]] == ["00002.h5"] * 2 + [
        "2.index",
        "2.meta",
    ]
    assert tf.train.latest_checkpoint(str(tmp_path)) == prefix
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(prefix + ".index").restore(sess, prefix)
        for name, value in zip(("layer/a:0", "b:0"), values, strict=True):
            np.testing.assert_array_equal(sess.run(name), value)


def test_a_list_saves_only_its_members(tmp_path):
    a, b = two_variables()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver([b]).save(sess, tmp_path / "m")
        with pytest.raises(tf.errors.NotFoundError, match=r"layer/a"):
            tf.train.Saver([a, b]).restore(sess, prefix)


def test_a_dict_renames_both_ways(tmp_path):
    _, b = two_variables()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver({"other/name": b}).save(sess, tmp_path / "m")
        sess.run(b.assign([9, 9, 9]))
        tf.train.Saver({"other/name": b}).restore(sess, prefix)
        assert sess.run(b).tolist() == [1, 2, 3]


def test_nodes_have_tensorflows_names_and_types():
    two_variables()
    before = set(tf.get_default_graph().get_operations())
    saver = tf.train.Saver()
    added = {n.name: n.type for n in tf.get_default_graph().get_operations() if n not in before}
    assert added["save/SaveV2"] == "SaveV2"
    assert added["save/RestoreV2"] == "RestoreV2"
    assert added["save/Assign_1"] == "Assign"
    assert added["save/restore_all"] == "NoOp"
    assert saver.as_saver_def().filename_tensor_name == "save/Const:0"
    assert saver.as_saver_def().save_tensor_name == "save/control_dependency:0"


def test_saving_and_restoring_a_hundred_times_adds_no_node(tmp_path):
    two_variables()
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        count = len(tf.get_default_graph().get_operations())
        for _ in range(100):
            saver.restore(sess, saver.save(sess, tmp_path / "m", durable=False))
        assert len(tf.get_default_graph().get_operations()) == count


def test_one_file_is_a_whole_model(tmp_path):
    prefix, values = saved(tmp_path)
    os.unlink(prefix + ".meta")
    saver = tf.train.import_meta_graph(prefix + ".h5")
    with tf.Session() as sess:
        saver.restore(sess, prefix + ".h5")
        np.testing.assert_array_equal(sess.run("layer/a:0"), values[0])


def test_the_meta_graph_follows_the_graph(tmp_path):
    a, _ = two_variables()
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver.save(sess, tmp_path / "m")
        tf.identity(a, name="later")
        tf.add_to_collection("mine", a)
        prefix = saver.save(sess, tmp_path / "m")
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(prefix + ".meta")
        assert graph.get_tensor_by_name("later:0").shape == (2, 3)
        assert [v.name for v in tf.get_collection("mine")] == ["layer/a:0"]


@pytest.mark.parametrize(
    ("var_list", "error"),
    [
        ([1], TypeError),
        ({1: "x"}, TypeError),
        ("x", ValueError),
        ([], ValueError),
        ({}, ValueError),
    ],
)
def test_bad_var_lists_are_refused(var_list, error):
    two_variables()
    with pytest.raises(error):
        tf.train.Saver(var_list)


def test_one_variable_under_two_names_is_refused():
    a, _ = two_variables()
    with pytest.raises(ValueError, match="two names: x and y"):
        tf.train.Saver({"x": a, "y": a})


def test_nothing_to_save_is_refused_unless_allowed(tmp_path):
    tf.constant(1.0)
    with pytest.raises(ValueError, match="No variables to save"):
        tf.train.Saver()
    saver = tf.train.Saver(allow_empty=True)
    with tf.Session() as sess:
        assert saver.save(sess, tmp_path / "m", write_meta_graph=False) is None
        assert list(tmp_path.iterdir()) == []
        assert saver.save(sess, tmp_path / "m") is None
        saver.restore(sess, "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["m.meta"]
    with tf.Graph().as_default() as graph:
        assert tf.train.import_meta_graph(tmp_path / "m.meta") is None
        assert len(graph.get_operations()) == 1


def test_every_missing_tensor_is_named_with_what_is_like_it(tmp_path):
    prefix, _ = saved(tmp_path)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.get_variable("layer/aa", [2, 3])
        tf.get_variable("c", [1])
        with pytest.raises(tf.errors.NotFoundError) as caught:
            tf.train.Saver().restore(sess, prefix)
    text = str(caught.value)
    assert "  c float32[1]\n" in text
    assert "  layer/aa float32[2, 3]\n      perhaps layer/a: 'aa' became" not in text
    assert "perhaps layer/a: 'a' became 'aa'" in text
    assert caught.value.op.type == "RestoreV2"


def test_every_wrong_shape_is_named_and_nothing_assigned(tmp_path):
    prefix, _ = saved(tmp_path)
    with tf.Graph().as_default(), tf.Session() as sess:
        a = tf.get_variable("layer/a", [3, 2])
        b = tf.get_variable("b", [4], dtype=tf.int32)
        sess.run(tf.global_variables_initializer())
        before = sess.run([a, b])
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            tf.train.Saver().restore(sess, prefix)
        text = str(caught.value)
        assert "layer/a: the graph has float32[3, 2], the checkpoint has float32[2, 3]" in text
        assert "b: the graph has int32[4], the checkpoint has int32[3]" in text
        for now, then in zip(sess.run([a, b]), before, strict=True):
            np.testing.assert_array_equal(now, then)


def test_a_wrong_dtype_is_named(tmp_path):
    prefix, _ = saved(tmp_path)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.get_variable("b", [3], dtype=tf.float32)
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match="expected dtype float32 does not equal original dtype int32",
        ):
            tf.train.Saver().restore(sess, prefix)


def test_reshape_restores_into_another_shape(tmp_path):
    prefix, values = saved(tmp_path)
    with tf.Graph().as_default(), tf.Session() as sess:
        a = tf.get_variable("layer/a", [3, 2])
        tf.train.Saver(reshape=True).restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(a), values[0].reshape(3, 2))


def test_a_path_without_checkpoint_is_a_value_error(tmp_path):
    two_variables()
    with tf.Session() as sess:
        saver = tf.train.Saver()
        with pytest.raises(ValueError, match=rf"valid checkpoint: {tmp_path}/nothing: no such"):
            saver.restore(sess, tmp_path / "nothing")
        with pytest.raises(ValueError, match="save_path when it is None"):
            saver.restore(sess, None)
        with pytest.raises(ValueError, match=f"Parent directory .* make {tmp_path}/no first"):
            saver.save(sess, tmp_path / "no" / "such" / "m")
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value"):
            saver.save(sess, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_session_and_what_is_no_step_are_type_errors(tmp_path):
    prefix, _ = saved(tmp_path)
    two_variables()
    saver, unbuilt = tf.train.Saver(), tf.train.Saver(defer_build=True)
    with pytest.raises(TypeError, match="'sess' must be a Session; None"):
        saver.restore(None, prefix)
    with tf.Session() as sess:
        with pytest.raises(RuntimeError, match="called before restore"):
            unbuilt.restore(sess, prefix)
        for step in (3.7, [1], np.array(5)):
            with pytest.raises(TypeError, match="global_step must be an integer"):
                saver.save(sess, tmp_path / "m", step)


def test_the_nodes_of_a_saver_can_be_run_by_hand(tmp_path):
    two_variables()
    saver = tf.train.Saver()
    described = saver.as_saver_def()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = {described.filename_tensor_name: str(tmp_path / "new" / "m")}
        sess.run(described.save_tensor_name, path)
        assert [file.name for file in (tmp_path / "new").iterdir()] == ["m.h5"]
        sess.run(described.restore_op_name, path)
        (tmp_path / "new" / "m.h5").rename(tmp_path / "new" / "m2.h5")
        with pytest.raises(
            tf.errors.NotFoundError,
            match=r"new/m: no such .* similar: .*m2[\s\S]*node save/Restore",
        ):
            sess.run(described.restore_op_name, path)


def test_a_damaged_checkpoint_is_an_error_that_names_file_and_tensor(tmp_path):
    prefix, values = saved(tmp_path)
    data = bytearray((tmp_path / "model.ckpt.h5").read_bytes())
    at = bytes(data).index(values[0].tobytes())
    data[at] ^= 1
    (tmp_path / "model.ckpt.h5").write_bytes(data)
    with tf.Graph().as_default(), tf.Session() as sess:
        variables = two_variables()
        with pytest.raises(tf.errors.DataLossError, match=r"model\.ckpt\.h5.*layer/a"):
            tf.train.Saver(list(variables)).restore(sess, prefix)


def test_a_saver_restored_from_its_def_still_works(tmp_path):
    a, _ = two_variables()
    definition = tf.train.Saver(max_to_keep=3).as_saver_def()
    saver = tf.train.Saver(saver_def=definition)
    assert saver.as_saver_def() == definition
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        before = sess.run(a)
        prefix = saver.save(sess, tmp_path / "m")
        sess.run(a.assign(np.zeros((2, 3))))
        saver.restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(a), before)


def test_what_a_restore_takes_is_looked_for_once_per_state_of_the_graph(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(
        "ckpt.saver.restored.restored", lambda *given: looked.append(given) or find(*given)
    )
    a, b = two_variables()
    saver = tf.train.Saver([a])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        prefix = saver.save(sess, tmp_path / "m")
        for _ in range(3):
            saver.restore(sess, prefix)
        assert len(looked) == 1
        more = tf.assign(b, b, name="more")
        saver.restore(sess, prefix)
        assert len(looked) == 2
        restore = sess.graph.get_operation_by_name(saver.as_saver_def().restore_op_name)
        restore._add_control_input(more.op)
        assert len(saver.restore(sess, prefix).restored) == 1
        assert len(looked) == 3


names = st.from_regex(
    r"[A-Za-z0-9.][A-Za-z0-9_.\-]{0,12}(/[A-Za-z0-9_.\-]{1,8}){0,2}", fullmatch=True
)
shapes = st.lists(st.integers(0, 4), max_size=3)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(names, st.tuples(st.sampled_from(DTYPES), shapes), min_size=1, max_size=5))
def test_any_names_dtypes_and_shapes_survive(tmp_path_factory, wanted):
    folded = {}
    for (
        name,
        spec,
    ) in wanted.items():  # node names are unique whatever their case, and no scope is a node
        folded.setdefault(name.lower(), (name, spec))
    kept = [
        pair for key, pair in folded.items() if not any(o.startswith(key + "/") for o in folded)
    ]
    path = tmp_path_factory.mktemp("any")
    rng = np.random.RandomState(len(kept))
    with tf.Graph().as_default(), tf.Session() as sess:
        variables = {}
        for name, (dtype, shape) in kept:
            raw = rng.bytes(int(np.prod(shape, dtype=int)) * 16)
            value = _value(raw, tf.as_dtype(dtype), shape)
            variables[name] = tf.Variable(tf.constant(value, dtype=dtype, shape=shape), name=name)
        sess.run(tf.global_variables_initializer())
        before = sess.run(variables)
        prefix = tf.train.Saver().save(sess, path / "m", durable=False)
    with tf.Graph().as_default(), tf.Session() as sess:
        saver = tf.train.import_meta_graph(prefix + ".meta")
        saver.restore(sess, prefix)
        after = sess.run({name: f"{name}:0" for name in variables})
    for name, value in before.items():
        assert np.asarray(after[name]).dtype == np.asarray(value).dtype
        assert np.shape(after[name]) == np.shape(value)
        assert np.asarray(after[name]).tobytes() == np.asarray(value).tobytes() or (
            np.asarray(value).tolist() == np.asarray(after[name]).tolist()
        )


def _value(raw, dtype, shape):
    count = int(np.prod(shape, dtype=int))
    if dtype == tf.string:
        array = np.empty(count, dtype=object)
        array[:] = [raw[i : i + i % 5] for i in range(count)]
        return array.reshape(shape)
    if dtype == tf.bool:
        return (np.frombuffer(raw, np.uint8)[:count] & 1).astype(bool).reshape(shape)
    kind = np.dtype(dtype.as_numpy_dtype)
    return np.frombuffer(raw, kind, count).reshape(shape)


SAVE_FOREVER = """
import sys
import numpy as np
import ckpt as tf

v = tf.Variable(np.zeros(50_000, np.float32), name="v")
w = tf.Variable(np.zeros(50_000, np.float32), name="w")
value = tf.placeholder(tf.float32, [])
fill = tf.group(v.assign(tf.fill([50_000], value)), w.assign(tf.fill([50_000], value)))
saver = tf.train.Saver(max_to_keep=2)
with tf.Session() as sess:
    for step in range(100_000):
        sess.run(fill, {value: step})
        saver.save(sess, sys.argv[1] + "/m", global_step=step if sys.argv[2] == "steps" else None)
        print(step, flush=True)
"""


@pytest.mark.parametrize("naming", ["steps", "one prefix"])
def test_a_killed_program_leaves_whole_checkpoints_only(tmp_path, naming):
    """SIGKILL at ten arbitrary moments of saving: what `latest_checkpoint` names is whole, and not older than the
    last save that was acknowledged."""
    for delay in np.random.RandomState(3).uniform(0, 0.12, size=10):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SAVE_FOREVER), str(tmp_path), naming],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            acknowledged = int(process.stdout.readline())
            try:
                process.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                process.kill()
            rest = process.stdout.read().split()
            acknowledged = int(rest[-1]) if rest else acknowledged
        latest = tf.train.latest_checkpoint(tmp_path)
        with tf.Graph().as_default(), tf.Session() as sess:
            saver = tf.train.import_meta_graph(latest + ".h5")
            saver.restore(sess, latest)
            v, w = sess.run(["v:0", "w:0"])
        assert set(v) == set(w)
        assert len(set(v)) == 1
        assert v[0] >= acknowledged


def test_the_deprecated_format_is_warned_of_and_versions_that_never_were_are_refused(caplog):
    two_variables()
    with caplog.at_level("WARNING", "ckpt"):
        tf.train.Saver(write_version=tf.train.SaverDef.V2)
        assert not caplog.records
        saver = tf.train.Saver(write_version=tf.train.SaverDef.V1)
    assert "V1 checkpoint format has been deprecated" in caplog.text
    assert saver.as_saver_def().version == tf.train.SaverDef.V2  # what the nodes write
    for version in (tf.train.SaverDef.LEGACY, 3, "2", None):
        with pytest.raises(ValueError, match="write_version"):
            tf.train.Saver(write_version=version)


@pytest.mark.parametrize(
    "limit",
    [{"max_to_keep": 2.0}, {"max_to_keep": "5"}, {"keep_checkpoint_every_n_hours": "1"}],
)
def test_limits_are_numbers(limit):
    two_variables()
    (name,) = limit
    with pytest.raises(TypeError, match=name):
        tf.train.Saver(**limit)


def test_a_session_of_another_graph_is_told_so(tmp_path):
    prefix, _ = saved(tmp_path)
    two_variables()
    saver = tf.train.Saver()
    with tf.Graph().as_default(), tf.Session() as other:
        for use in (saver.save, saver.restore):
            with pytest.raises(TypeError, match="made for another graph than the session's"):
                use(other, prefix)


def test_a_saver_without_nodes_has_no_saver_def():
    tf.constant(1.0)
    for saver in (tf.train.Saver(allow_empty=True), tf.train.Saver(defer_build=True)):
        assert saver.as_saver_def() is None
        assert saver.to_proto("scope") is None
        assert len(saver.export_meta_graph().graph_def.node) == 1
    with pytest.raises(ValueError, match="saver_def must be a SaverDef"):
        tf.train.Saver(saver_def="x")
