"""Training sessions: hooks around every run, recovery, an orderly end."""

import threading

import pytest

import ckpt as tf


class Recorder(tf.train.SessionRunHook):
    """Notes the calls, fetches `fetches`, and does `act` after each run."""

    def __init__(self, fetches=None, feeds=None, options=None, act=None):
        self.calls = []
        self.results = []
        self.fetches, self.feeds, self.options, self.act = fetches, feeds, options, act

    def begin(self):
        self.calls.append("begin")

    def after_create_session(self, session, coord):
        self.calls.append("created")
        self.coord = coord

    def before_run(self, run_context):
        self.calls.append("before")
        if self.fetches is None and self.feeds is None and self.options is None:
            return None
        return tf.train.SessionRunArgs(self.fetches, self.feeds, self.options)

    def after_run(self, run_context, run_values):
        self.calls.append("after")
        self.results.append(run_values.results)
        self.values = run_values
        if self.act is not None:
            self.act(run_context)

    def end(self, session):
        self.calls.append("end")


def counter():
    step = tf.train.get_or_create_global_step()
    return step, tf.assign_add(step, 1)


def failing_once(error):
    """Something to do after a run, that fails the second time."""
    calls = []

    def act(context):
        calls.append(1)
        if len(calls) == 2:
            raise error

    return act


def test_a_loop_from_first_values_to_the_last_step():
    step, up = counter()
    hook = Recorder(fetches=step)
    with tf.train.MonitoredSession(hooks=[hook, tf.train.StopAtStepHook(num_steps=3)]) as session:
        assert session.graph is tf.get_default_graph()
        assert session.graph.finalized
        while not session.should_stop():
            session.run(up)
    assert hook.calls == ["begin", "created", *["before", "after"] * 3, "end"]
    assert [int(one) in (0, 1, 2, 3) for one in hook.results] == [True] * 3
    assert not tf.get_default_graph().finalized
    assert session.should_stop()
    assert session.graph is None
    with pytest.raises(RuntimeError, match="already closed"):
        session.run(up)
    with pytest.raises(RuntimeError, match="already closed"):
        session.close()


def test_hooks_feed_and_fetch_along_with_the_caller():
    x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    total = x + y
    hook = Recorder(fetches={"twice": x * 2}, feeds={x: 3.0})
    with tf.train.SingularMonitoredSession(hooks=[hook, Recorder()]) as session:
        assert session.run([total], {y: 1.0}) == [4.0]
        assert hook.results == [{"twice": 6.0}]
        with pytest.raises(RuntimeError, match="by a SessionRunHook and user"):
            session.run(x, {x: 1.0})


def test_two_hooks_must_not_feed_the_same_tensor():
    x = tf.placeholder(tf.float32)
    with (
        tf.train.MonitoredSession(
            hooks=[Recorder(feeds={x: 1}), Recorder(feeds={x: 2})]
        ) as session,
        pytest.raises(RuntimeError, match="by two hooks"),
    ):
        session.run(x)


def test_a_hook_that_returns_something_else_is_told():
    x = tf.constant(1)

    class Wrong(tf.train.SessionRunHook):
        def before_run(self, run_context):
            return [x]

    with (
        pytest.raises(TypeError, match=r"Wrong\.before_run must return SessionRunArgs"),
        tf.train.MonitoredSession(hooks=[Wrong()]) as session,
    ):
        session.run(x)


def test_options_of_all_are_merged():
    x = tf.constant(1.0) + tf.placeholder_with_default(1.0, [])
    traced = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    hook = Recorder(options=tf.RunOptions(timeout_in_ms=60000))
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
        metadata = tf.RunMetadata()
        session.run(x, options=traced, run_metadata=metadata)
    assert hook.values.options.trace_level == tf.RunOptions.FULL_TRACE
    assert hook.values.options.timeout_in_ms == 60000
    assert metadata.step_stats.dev_stats
    assert hook.values.run_metadata is metadata


@pytest.mark.parametrize("kind", [tf.errors.AbortedError, tf.errors.UnavailableError])
def test_a_lost_session_is_made_again_from_the_checkpoint(tmp_path, kind):
    _, up = counter()
    hook = Recorder(act=failing_once(kind(None, None, "lost")))
    saver = tf.train.CheckpointSaverHook(tmp_path, save_steps=1, saver=tf.train.Saver())
    creator = tf.train.ChiefSessionCreator(checkpoint_dir=tmp_path)
    with tf.train.MonitoredSession(creator, hooks=[saver, hook]) as session:
        assert session.run(up) == 1
        assert session.run(up) == 3  # the second was saved, then lost; it is done again after it
    assert hook.calls.count("created") == 2
    assert hook.calls[-1] == "end"


def test_a_singular_session_does_not_recover():
    _, up = counter()
    hook = Recorder(act=failing_once(tf.errors.AbortedError(None, None, "lost")))
    with (
        pytest.raises(tf.errors.AbortedError, match="lost"),
        tf.train.SingularMonitoredSession(hooks=[hook]) as session,
    ):
        assert session.run(up) == 1
        session.run(up)
    assert "end" not in hook.calls


def test_a_session_that_cannot_be_made_at_first(tmp_path):
    counter()
    tries = []

    class Creator(tf.train.SessionCreator):
        def create_session(self):
            tries.append(1)
            if len(tries) < 3:
                raise tf.errors.UnavailableError(None, None, "not yet")
            return tf.train.ChiefSessionCreator().create_session()

    with tf.train.MonitoredSession(Creator()):
        assert len(tries) == 3
    with pytest.raises(TypeError, match="abstract"):
        tf.train.SessionCreator().create_session()


def test_an_error_leaves_the_block_and_hooks_are_not_told_of_an_end():
    counter()
    hook = Recorder()
    with pytest.raises(ValueError, match="mine"), tf.train.MonitoredSession(hooks=[hook]):
        raise ValueError("mine")
    assert hook.calls == ["begin", "created"]
    assert hook.coord.should_stop()


@pytest.mark.parametrize("error", [StopIteration, tf.errors.OutOfRangeError(None, None, "end")])
def test_the_end_of_the_input_is_an_end(error):
    counter()
    hook = Recorder()
    with tf.train.MonitoredSession(hooks=[hook]):
        raise error
    assert hook.calls[-1] == "end"


def test_a_thread_that_fails_ends_the_loop_with_its_error():
    counter()
    hook = Recorder()

    def fails():
        with hook.coord.stop_on_exception():
            raise ValueError("of the thread")

    with (
        pytest.raises(ValueError, match="of the thread"),
        tf.train.MonitoredSession(hooks=[hook]) as session,
    ):
        thread = threading.Thread(target=fails)
        hook.coord.register_thread(thread)
        thread.start()
        thread.join()
        assert session.should_stop()


def test_a_thread_that_lost_the_session_makes_it_new():
    _, up = counter()
    hook = Recorder()
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        session.run(up)
        hook.coord.request_stop(tf.errors.AbortedError(None, None, "lost in a thread"))
        assert not session.should_stop()
        assert hook.calls.count("created") == 2
        assert session.run(up) == 1


def test_a_step_of_several_runs():
    step, up = counter()
    hook = Recorder()
    with tf.train.MonitoredSession(hooks=[hook]) as session:

        def body(step_context):
            step_context.session.run(up)
            return step_context.run_with_hooks(up), step_context.session.run(step)

        assert session.run_step_fn(body) == (2, 2)
        assert hook.calls.count("after") == 1
        with pytest.raises(ValueError, match="one `step_context` argument"):
            session.run_step_fn(lambda other: None)
        session.run_step_fn(lambda step_context: step_context.request_stop())
        pytest.fail("the line above leaves the block")
    assert hook.calls[-1] == "end"
    other = tf.train.SingularMonitoredSession()
    with pytest.raises(StopIteration):
        other.run_step_fn(lambda step_context: step_context.request_stop())
    assert not other.should_stop()
    other.close()


def test_a_step_is_done_again_when_the_session_is_lost():
    _, up = counter()
    hook = Recorder(act=failing_once(tf.errors.AbortedError(None, None, "lost")))
    seen = []
    with tf.train.MonitoredSession(hooks=[hook]) as session:

        def body(step_context):
            seen.append(step_context.session)
            return step_context.run_with_hooks(up)

        assert [session.run_step_fn(body), session.run_step_fn(body)] == [1, 1]
    assert seen[0] is seen[1]
    assert seen[2] is not seen[1]


def test_a_singular_session_may_be_saved(tmp_path):
    _, up = counter()
    saver = tf.train.Saver()
    with tf.train.SingularMonitoredSession() as session:
        session.run(up)
        path = saver.save(session.raw_session(), str(tmp_path / "m"))
    with tf.train.SingularMonitoredSession(checkpoint_filename_with_path=path) as session:
        assert session.run(up) == 2


def test_threads_of_queues_are_started_and_stopped():
    counter()
    started = []

    class Runner:
        def create_threads(self, sess, coord=None, daemon=False, start=False):
            thread = threading.Thread(target=coord.wait_for_stop, daemon=daemon)
            coord.register_thread(thread)
            thread.start()
            started.append(thread)
            return [thread]

    tf.add_to_collection(tf.GraphKeys.QUEUE_RUNNERS, Runner())
    with tf.train.MonitoredSession():
        assert started[0].is_alive()
    assert not started[0].is_alive()


def test_training_saves_sums_up_and_starts_where_it_ended(tmp_path):
    step, up = counter()
    tf.summary.scalar("loss", tf.cast(step, tf.float32))
    for first in (0, 4):
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=tmp_path, save_checkpoint_steps=2, save_summaries_steps=2,
            log_step_count_steps=2, hooks=[tf.train.StopAtStepHook(num_steps=4)],
        ) as session:  # fmt: skip
            assert session.run(step) == first
            while not session.should_stop():
                session.run(up)
    assert tf.train.latest_checkpoint(tmp_path).endswith("model.ckpt-8")
    tf.summary.FileWriterCache.clear()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    events = list(tf.train.summary_iterator(path))
    tags = {value.tag for event in events for value in event.summary.value}
    assert tags == {"loss", "global_step/sec"}
    saved = [event.step for event in events if event.session_log.status == tf.SessionLog.CHECKPOINT]
    assert saved == [0, 2, 4, 4, 6, 8]


def test_intervals_that_are_off(tmp_path):
    counter()
    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=tmp_path, save_checkpoint_secs=None, save_summaries_steps=None,
        log_step_count_steps=None,
    ) as session:  # fmt: skip
        assert not session._hooks
    assert list(tmp_path.iterdir()) == []


def test_a_worker_waits_for_the_chief():
    counter()
    none = tf.constant([], tf.string)
    ready = tf.train.Scaffold(ready_op=none, ready_for_local_init_op=none)
    with tf.train.MonitoredTrainingSession(is_chief=False, scaffold=ready) as session:
        assert not session.should_stop()
    with pytest.raises(tf.errors.DeadlineExceededError, match="global_step"):
        tf.train.MonitoredTrainingSession(is_chief=False, max_wait_secs=0)


def test_a_queue_that_runs_empty_ends_the_loop():
    queue = tf.FIFOQueue(10, [tf.int32])
    enqueue = queue.enqueue(tf.Variable(0, name="counter").count_up_to(5))
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [enqueue]))
    item = queue.dequeue()
    hook = Recorder()
    found = []
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        while not session.should_stop():
            found.append(int(session.run(item)))
    assert found == [0, 1, 2, 3, 4]
    assert hook.calls[-1] == "end"


def test_the_error_of_a_queues_thread_ends_the_loop():
    queue = tf.FIFOQueue(10, [tf.float32])
    broken = tf.check_numerics(tf.constant(float("nan")), "broken input")
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(broken)]))
    item = queue.dequeue()
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="broken input"),
        tf.train.MonitoredSession() as session,
    ):
        while not session.should_stop():
            session.run(item)


@pytest.mark.parametrize("kind", [tf.train.MonitoredSession, tf.train.SingularMonitoredSession])
def test_a_saver_restores_into_it_and_saves_the_session_behind_it(tmp_path, kind):
    with tf.Graph().as_default():
        v = tf.get_variable("v", initializer=1.0)
        saver, clear = tf.train.Saver(), tf.assign(v, 0.0)
        with tf.Session() as sess:
            sess.run(v.initializer)
            path = saver.save(sess, tmp_path / "m")
        with kind() as sess:
            sess.run(clear)
            saver.restore(sess, path)
            assert sess.run(v) == 1.0
            with pytest.raises(TypeError, match="must be a Session"):
                saver.save(sess, tmp_path / "n")
            assert saver.save(sess._tf_sess(), tmp_path / "n") == str(tmp_path / "n")
        assert sess._tf_sess() is None
