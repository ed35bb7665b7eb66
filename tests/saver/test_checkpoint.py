"""Checkpoints of objects: which names variables get, what is restored, what the status says."""

import os

import numpy as np
import pytest

import ckpt as tf
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def names(path):
    return [name.removesuffix(VALUE) for name, _ in tf.train.list_variables(path)]


pytestmark = pytest.mark.usefixtures("default_session")


def initialise():
    tf.get_default_session().run(tf.global_variables_initializer())


def value(variable):
    return tf.get_default_session().run(variable)


def test_variables_are_named_by_the_shortest_way_to_them(tmp_path):
    a, b, c = (tf.Variable(float(n), name=f"anything{n}") for n in range(3))
    root = tf.train.Checkpoint(a=a)
    root.listed = [a, b]
    root.named = {"key/with.signs": c, "number": 3}
    root.inner = tf.train.Checkpoint(again=b)
    initialise()
    prefix = root.save(tmp_path / "ck")
    assert prefix == str(tmp_path / "ck-1")
    assert names(prefix) == ["a", "listed/1", "named/key.Swith..signs", "save_counter"]
    assert tf.train.latest_checkpoint(tmp_path) == prefix


def test_slots_follow_their_variable(tmp_path):
    v = tf.Variable([1.0], name="v")
    optimizer = tf.train.AdamOptimizer(0.1)
    step = optimizer.minimize(tf.reduce_sum(v))
    root = tf.train.Checkpoint(model=tf.train.Checkpoint(v=v), optimizer=optimizer)
    initialise()
    value(step.outputs or [step])
    prefix = root.save(tmp_path / "ck")
    assert {"model/v/.OPTIMIZER_SLOT/optimizer/m", "optimizer/beta1_power"} <= set(names(prefix))
    before = value([optimizer.get_slot(v, "m"), v])
    initialise()
    status = root.restore(prefix).assert_consumed()
    status.run_restore_ops()
    np.testing.assert_array_equal(value([optimizer.get_slot(v, "m"), v]), before)


def test_saving_again_and_again_counts_and_adds_no_node(tmp_path):
    root = tf.train.Checkpoint(v=tf.Variable(1.0))
    initialise()
    root.save(tmp_path / "ck")
    size = len(tf.get_default_graph().get_operations())
    for _ in range(3):
        prefix = root.save(tmp_path / "ck")
    assert prefix.endswith("ck-4")
    assert value(root.save_counter) == 4
    assert len(tf.get_default_graph().get_operations()) == size


def test_writing_makes_nothing_the_latest(tmp_path):
    root = tf.train.Checkpoint(v=tf.Variable(1.0))
    initialise()
    assert root.write(tmp_path / "x") == str(tmp_path / "x")
    assert os.listdir(tmp_path) == ["x.h5"]


def test_what_the_checkpoint_lacks_is_initialised(tmp_path):
    v = tf.Variable(5.0)
    initialise()
    prefix = tf.train.Checkpoint(v=v).save(tmp_path / "ck")
    other, new = tf.Variable(0.0, name="other"), tf.Variable(7.0, name="new")
    root = tf.train.Checkpoint(v=other, new=new)
    status = root.restore(prefix)
    for check in (status.assert_consumed, status.assert_existing_objects_matched):
        with pytest.raises(AssertionError, match=r"1 Python objects .* \['new:0'\]"):
            check()
    assert status.assert_nontrivial_match() is status.expect_partial() is status
    report = status.run_restore_ops()
    assert sorted(report.restored) == [f"save_counter{VALUE}", f"v{VALUE}"]
    assert report.skipped == report.missing == (f"new{VALUE}",)
    report = status.initialize_or_restore()
    assert (report.missing, report.initialized) == ((f"new{VALUE}",), (f"new{VALUE}",))
    assert value([other, new]) == [5.0, 7.0]


def test_values_that_nothing_takes_are_named(tmp_path):
    v, w = tf.Variable(5.0), tf.Variable(6.0)
    initialise()
    prefix = tf.train.Checkpoint(v=v, w=w).save(tmp_path / "ck")
    status = tf.train.Checkpoint(v=v).restore(prefix)
    status.assert_existing_objects_matched()
    assert status.run_restore_ops().unexpected == (f"w{VALUE}",)
    with pytest.raises(AssertionError, match=f"w{VALUE}"):
        status.assert_consumed()
    tf.train.Checkpoint(q=w).restore(prefix).assert_nontrivial_match()  # the counter
    strange = tf.train.Saver({"strange": v}).save(tf.get_default_session(), tmp_path / "strange")
    with pytest.raises(AssertionError, match="Nothing to load"):
        tf.train.Checkpoint(q=w).restore(strange).assert_nontrivial_match()


def test_to_restore_nothing_is_always_an_error(tmp_path):
    """Attributes were renamed: TensorFlow starts from new values and says nothing."""
    v = tf.Variable(5.0)
    initialise()
    prefix = tf.train.Checkpoint(net=tf.train.Checkpoint(v=v)).save(tmp_path / "ck")
    status = tf.train.Checkpoint(model=tf.train.Checkpoint(v=v)).restore(prefix)
    for call in (status.run_restore_ops, status.initialize_or_restore):
        with pytest.raises(
            tf.errors.NotFoundError, match="has model/v; the checkpoint holds net/v"
        ):
            call()
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(w=v), tmp_path, max_to_keep=2)
    with pytest.raises(tf.errors.NotFoundError, match="has w; the checkpoint holds net/v"):
        manager.restore_or_initialize()
    empty = tf.train.Checkpoint()
    empty.restore(prefix).run_restore_ops()  # it has nothing but the counter, which is there
    assert value(empty.save_counter) == 1


def test_checkpoints_of_savers_are_found_by_the_names_of_variables(tmp_path):
    v = tf.Variable(5.0, name="v")
    initialise()
    prefix = tf.train.Saver().save(tf.get_default_session(), tmp_path / "m")
    root = tf.train.Checkpoint(anything=v)
    value(v.assign(0.0))
    root.restore(prefix).run_restore_ops()
    assert value(v) == 5.0


def test_attributes_added_after_restore_are_restored_too(tmp_path):
    v = tf.Variable(5.0)
    initialise()
    prefix = tf.train.Checkpoint(v=v).save(tmp_path / "ck")
    root = tf.train.Checkpoint()
    status = root.restore(prefix)
    root.v = tf.Variable(0.0)
    status.initialize_or_restore()
    assert value(root.v) == 5.0


def test_no_checkpoint_is_only_initialised():
    root = tf.train.Checkpoint(v=tf.Variable(5.0))
    status = root.restore(None)
    for call in (
        status.assert_consumed,
        status.assert_existing_objects_matched,
        status.assert_nontrivial_match,
        status.run_restore_ops,
    ):
        with pytest.raises(AssertionError, match="No checkpoint specified"):
            call()
    status.initialize_or_restore()
    assert value(root.v) == 5.0


def test_what_cannot_be_tracked_is_refused_as_an_argument_only(tmp_path):
    with pytest.raises(ValueError, match="trackable object"):
        tf.train.Checkpoint(x=3)
    root = tf.train.Checkpoint(empty=[])
    root.number = 3
    assert names(root.save(tmp_path / "ck")) == ["save_counter"]


def test_a_missing_checkpoint_and_a_missing_session(tmp_path):
    root = tf.train.Checkpoint(v=tf.Variable(5.0))
    with pytest.raises(tf.errors.NotFoundError, match="no such checkpoint"):
        root.restore(tmp_path / "no")
    with tf.Graph().as_default():
        lonely = tf.train.Checkpoint(v=tf.Variable(5.0))
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        assert lonely.save(tmp_path / "ck", session=session).endswith("ck-1")


def test_without_a_session(tmp_path, monkeypatch):
    root = tf.train.Checkpoint(v=tf.Variable(5.0))
    monkeypatch.setattr("ckpt.graph.stack.get_default_session", lambda: None)
    with pytest.raises(RuntimeError, match="needs a session"):
        root.save(tmp_path / "ck")


def test_directories_are_made(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        root = tf.train.Checkpoint(v=tf.Variable(1.0))
        sess.run(root.v.initializer)
        assert root.save(tmp_path / "a" / "b" / "c" / "x") == str(tmp_path / "a/b/c/x-1")
        assert root.write(tmp_path / "d" / "e" / "x") == str(tmp_path / "d/e/x")


def model(scope="net"):
    with tf.variable_scope(scope):
        v = tf.get_variable("v", initializer=[1.0, 2.0])
        w = tf.get_variable("w", initializer=3.0, use_resource=True)
    optimizer = tf.train.AdamOptimizer(0.1)
    return v, w, optimizer, optimizer.minimize(tf.reduce_sum(v * v) * w)


def test_a_saver_finds_the_variables_of_objects_by_their_names_in_the_graph(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        v, w, optimizer, step = model()
        sess.run(tf.global_variables_initializer())
        sess.run(step)
        path = tf.train.Checkpoint(a=v, b=w, optimizer=optimizer).save(tmp_path / "m")
        wanted = {
            v.name: sess.run(v).tolist() for v in tf.global_variables()[:-1]
        }  # not save_counter
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        report = tf.train.Saver().restore(sess, path)
        assert {v.name: sess.run(v).tolist() for v in tf.global_variables()} == wanted
        assert report.renamed["a/.ATTRIBUTES/VARIABLE_VALUE"] == "net/v"
        assert report.unexpected == ("save_counter/.ATTRIBUTES/VARIABLE_VALUE",)
    with tf.Graph().as_default(), tf.Session() as sess:
        v, *_ = model("other")
        tf.train.Saver().restore(sess, path, rename={"net/": "other/"})
        assert sess.run(v).tolist() == wanted["net/v:0"]
        u = tf.get_variable("u", [])
        with pytest.raises(tf.errors.NotFoundError, match="Key u not found"):
            tf.train.Saver([u]).restore(sess, path)


def test_rules_may_be_for_the_keys_of_objects_too(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        v, w, *_ = model()
        sess.run(tf.global_variables_initializer())
        path = tf.train.Checkpoint(part=tf.train.Checkpoint(v=v), w=w).save(tmp_path / "m")
    for rename, name in (
        ("object", "part/v"),
        (["object", {"part/": "other/"}], "other/v"),
        ({"net/": "other/"}, "other/v"),
    ):
        with tf.Graph().as_default(), tf.Session() as sess:
            restored = tf.get_variable(name, [2])
            report = tf.train.Saver().restore(sess, path, rename=rename)
            assert sess.run(restored).tolist() == [1.0, 2.0]
            assert report.renamed == {"part/v/.ATTRIBUTES/VARIABLE_VALUE": name}
            with pytest.raises(ValueError, match="rename rules fit none"):
                tf.train.Saver().restore(sess, path, rename={"nowhere/": "x/"})


@pytest.mark.parametrize(
    "noted", ["", "[1]", "{", "[" * 5000, '{"a": 3}', '{"a": "x", "b": "x"}', '{"gone": "x"}']
)
def test_names_that_nobody_can_have_noted_are_passed_over(tmp_path, noted):
    entries = [TensorEntry(name, np.zeros(2, np.float32)) for name in "ab"]
    write(tmp_path / "m.h5", entries, metadata={"graph_names": noted})
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.get_variable("x", [2])
        with pytest.raises(tf.errors.NotFoundError, match="Key x not found"):
            tf.train.Saver().restore(sess, tmp_path / "m")
