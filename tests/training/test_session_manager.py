"""Getting a session that is ready: restored, initialized, or awaited; and what a Scaffold finds or makes."""

import pytest

import ckpt as tf


def manager(**given):
    return tf.train.SessionManager(ready_op=tf.report_uninitialized_variables(), **given)


def saved(directory, value):
    """A checkpoint of `v`; returns its prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(value, name="v").initializer.run()
        return tf.train.Saver().save(session, f"{directory}/m", global_step=value)


def test_initialized_where_there_is_no_checkpoint(tmp_path):
    v = tf.Variable(1, name="v")
    called = []
    session = manager().prepare_session(
        "",
        init_op=v.initializer,
        saver=tf.train.Saver(),
        checkpoint_dir=tmp_path,
        init_fn=called.append,
    )
    assert session.run(v) == 1
    assert called == [session]


def test_restored_from_the_newest_whole_checkpoint(tmp_path):
    saved(tmp_path, 5)
    newest = saved(tmp_path, 7)
    v = tf.Variable(1, name="v")
    saver = tf.train.Saver()
    made = manager().prepare_session(
        "", init_op=v.initializer, saver=saver, checkpoint_dir=tmp_path
    )
    assert made.run(v) == 7
    assert saver.last_checkpoints[-1] == newest
    with open(newest + ".h5", "r+b") as file:
        file.truncate(100)
    session, is_ready = manager().recover_session("", saver=saver, checkpoint_dir=tmp_path)
    assert (session.run(v), is_ready) == (5, True)


def test_restored_from_a_file(tmp_path):
    path = saved(tmp_path, 5)
    v = tf.Variable(1, name="v")
    session = manager().prepare_session(
        "", saver=tf.train.Saver(), checkpoint_filename_with_path=path
    )
    assert session.run(v) == 5
    with pytest.raises(ValueError, match="Can not provide both"):
        manager().prepare_session("", checkpoint_dir=tmp_path, checkpoint_filename_with_path=path)


def test_what_is_left_without_values_is_named():
    v, w = tf.Variable(1, name="v"), tf.Variable(1, name="w")
    with pytest.raises(
        RuntimeError, match=r"did not make model ready.*Variables not initialized: w"
    ):
        manager().prepare_session("", init_op=v.initializer)
    with pytest.raises(RuntimeError, match="no init_op or init_fn or local_init_op was given"):
        manager().prepare_session("")
    waits = manager(
        local_init_op=w.initializer, ready_for_local_init_op=tf.report_uninitialized_variables([v])
    )
    with pytest.raises(RuntimeError, match=r"ready for local_init.*not initialized: v"):
        waits.prepare_session("", init_op=tf.no_op())
    session = waits.prepare_session("", init_op=v.initializer)
    assert session.run([v, w]) == [1, 1]


def test_what_feeds_and_local_initializers_get():
    x = tf.placeholder(tf.int32, [])
    v = tf.Variable(x, name="v")
    w = tf.Variable(x, name="w", collections=[tf.GraphKeys.LOCAL_VARIABLES])
    ready = manager(local_init_op=w.initializer, local_init_feed_dict={x: 2})
    assert ready.prepare_session("", init_op=v.initializer, init_feed_dict={x: 3}).run([v, w]) == [
        3,
        2,
    ]
    with pytest.raises(ValueError, match="must also pass a local_init_op"):
        tf.train.SessionManager(ready_for_local_init_op=tf.constant("x"))


def test_recovering_says_whether_it_did(tmp_path):
    v = tf.Variable(1, name="v")
    saver = tf.train.Saver()
    session, is_ready = manager().recover_session("", saver=saver, checkpoint_dir=tmp_path)
    assert not is_ready
    assert not session.run(tf.is_variable_initialized(v))
    saved(tmp_path, 5)
    w = tf.Variable(1, name="w")
    session, is_ready = manager().recover_session("", saver=saver, checkpoint_dir=tmp_path)
    assert not is_ready
    assert session.run(v) == 5
    assert not session.run(tf.is_variable_initialized(w))


def test_a_checkpoint_that_comes_late(tmp_path, monkeypatch):
    v = tf.Variable(1, name="v")
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            saved(tmp_path, 5)

    monkeypatch.setattr("ckpt.training.session_manager.time.sleep", nap)
    session = manager(recovery_wait_secs=7).prepare_session(
        "", saver=tf.train.Saver(), checkpoint_dir=tmp_path, wait_for_checkpoint=True
    )
    assert session.run(v) == 5
    assert naps == [7, 7]


def test_waiting_ends(tmp_path):
    v = tf.Variable(1, name="v")
    patient = manager(recovery_wait_secs=0.001)
    with pytest.raises(
        tf.errors.DeadlineExceededError, match=r"not ready after waiting 0\.005 secs.*: v"
    ):
        patient.wait_for_session("", max_wait_secs=0.005)
    with pytest.raises(RuntimeError, match="no init_op"):
        patient.prepare_session(
            "",
            saver=tf.train.Saver(),
            checkpoint_dir=tmp_path,
            wait_for_checkpoint=True,
            max_wait_secs=0.005,
        )
    old = tf.train.SessionManager(
        ready_op=tf.assert_variables_initialized([v]), recovery_wait_secs=0.001
    )
    with pytest.raises(tf.errors.DeadlineExceededError, match="uninitialized"):
        old.wait_for_session("", max_wait_secs=0.005)
    assert old.prepare_session("", init_op=v.initializer).run(v) == 1


def test_another_failure_while_asking_is_raised():
    tf.Variable(1, name="v")
    broken = tf.train.SessionManager(ready_op=tf.check_numerics([float("nan")], "broken"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="broken"):
        broken.wait_for_session("", max_wait_secs=0)


def test_what_a_scaffold_makes():
    v = tf.Variable(1, name="v")
    w = tf.Variable(2, name="w", collections=[tf.GraphKeys.LOCAL_VARIABLES])
    scaffold = tf.train.Scaffold().finalize()
    assert tf.get_default_graph().finalized
    assert scaffold.summary_op is None
    assert scaffold.init_fn is None
    assert tf.get_collection(tf.GraphKeys.SAVERS) == [scaffold.saver]
    with tf.Session() as session:
        assert set(session.run(scaffold.ready_op)) == {b"v", b"w"}
        assert session.run(scaffold.ready_for_local_init_op).tolist() == [b"v"]
        session.run(scaffold.init_op)
        session.run(scaffold.local_init_op)
        assert session.run([v, w]) == [1, 2]
        assert session.run(scaffold.ready_op).size == 0


def test_what_a_scaffold_finds():
    one = tf.no_op()
    tf.add_to_collection(tf.GraphKeys.INIT_OP, one)
    summary = tf.summary.scalar("x", 1.0)
    scaffold = tf.train.Scaffold(init_fn=lambda scaffold, session: (scaffold, session)).finalize()
    assert scaffold.init_op is one
    assert scaffold.summary_op is not None
    assert scaffold.summary_op is not summary
    assert scaffold.init_fn("session") == (scaffold, "session")
    copied = tf.train.Scaffold(copy_from_scaffold=scaffold, local_init_feed_dict={"x": 1})
    assert (copied.init_op, copied.saver) == (one, scaffold.saver)
    assert copied.local_init_feed_dict == {"x": 1}
    assert copied.init_fn("session") == (copied, "session")
    with pytest.raises(TypeError, match="not a Scaffold"):
        tf.train.Scaffold(copy_from_scaffold=1)


def test_a_collection_with_two_members_is_asked_about():
    for _ in range(2):
        tf.add_to_collection(tf.GraphKeys.INIT_OP, tf.no_op())
    with pytest.raises(
        RuntimeError, match=r'collection "init_op".*tf\.Scaffold\(init_op=item to use\)'
    ):
        tf.train.Scaffold().finalize()
    with tf.Graph().as_default():
        tf.Variable(1)
        for _ in range(2):
            tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())
        with pytest.raises(RuntimeError, match="collection SAVERS"):
            tf.train.Scaffold().finalize()
