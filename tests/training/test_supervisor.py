"""The Supervisor and its loop: what led training before MonitoredSession."""

import threading

import pytest

import ckpt as tf


def events_in(directory):
    return [
        event
        for path in sorted(directory.glob("events.out.tfevents.*"))
        for event in tf.train.summary_iterator(path)
    ]


def counter():
    step = tf.train.get_or_create_global_step()
    return step, tf.assign_add(step, 1)


def test_a_program_that_is_led_and_goes_on_where_it_ended(tmp_path):
    step, up = counter()
    tf.summary.scalar("one", 1.0)
    supervisor = tf.train.Supervisor(logdir=tmp_path)
    assert supervisor.global_step is step
    assert tf.get_default_graph().finalized
    for expected in (3, 6):
        with supervisor.managed_session() as session:
            assert not supervisor.should_stop()
            for _ in range(3):
                reached = session.run(up)
            supervisor.saver.save(session, supervisor.save_path, global_step=reached)
        assert reached == expected
        assert supervisor.should_stop()
    assert (tmp_path / "graph.pbtxt").exists()
    events = events_in(tmp_path)
    assert [event.session_log.status for event in events if event.HasField("session_log")].count(
        tf.SessionLog.STOP
    ) == 2
    assert any(event.graph_def for event in events)


def test_services_save_sum_up_and_count(tmp_path):
    _, up = counter()
    tf.summary.scalar("one", 1.0)
    supervisor = tf.train.Supervisor(
        logdir=tmp_path, save_summaries_secs=0.01, save_model_secs=0.01
    )
    with supervisor.managed_session() as session:
        for _ in range(2000):
            session.run(up)
            if tf.train.latest_checkpoint(tmp_path) and len(events_in(tmp_path)) > 1:
                break
            supervisor.coord.wait_for_stop(0.005)
            supervisor.summary_writer.flush()
    events = events_in(tmp_path)
    tags = {value.tag for event in events for value in event.summary.value}
    statuses = {event.session_log.status for event in events if event.HasField("session_log")}
    assert tags == {"one", "global_step/sec"}
    assert statuses == {tf.SessionLog.START, tf.SessionLog.CHECKPOINT, tf.SessionLog.STOP}


def test_without_a_directory(caplog):
    _, up = counter()
    supervisor = tf.train.Supervisor()
    with supervisor.managed_session() as session:
        assert session.run(up) == 1
        assert "need a 'logdir'" in caplog.text
        with pytest.raises(RuntimeError, match="requires a summary writer"):
            supervisor.summary_computed(session, b"")
    assert (supervisor.save_path, supervisor.summary_writer) == (None, None)


def test_summaries_of_the_program(tmp_path):
    _, up = counter()
    summary = tf.summary.scalar("one", 1.0)
    supervisor = tf.train.Supervisor(logdir=tmp_path, summary_op=None)
    with supervisor.managed_session(close_summary_writer=False) as session:
        session.run(up)
        supervisor.summary_computed(session, session.run(summary))
        supervisor.summary_computed(session, session.run(summary), 7)
    supervisor.summary_writer.close()
    steps = [event.step for event in events_in(tmp_path) if event.HasField("summary")]
    assert [one for one in steps if one in (1, 7)] == [1, 7]


def test_errors_of_the_block_and_the_end_of_the_input():
    counter()
    supervisor = tf.train.Supervisor()
    with pytest.raises(ValueError, match="mine"), supervisor.managed_session():
        raise ValueError("mine")
    with supervisor.managed_session():
        raise tf.errors.OutOfRangeError(None, None, "no more")
    with pytest.raises(ZeroDivisionError), supervisor.managed_session():
        supervisor.loop(None, lambda: 1 / 0)
        supervisor.wait_for_stop()
    with supervisor.managed_session(), supervisor.stop_on_exception():
        raise tf.errors.OutOfRangeError(None, None, "no more")


def test_loops_and_queues_of_threads():
    counter()
    calls = []

    class Runner:
        def create_threads(self, sess, coord=None, daemon=False, start=False):
            thread = threading.Thread(target=coord.wait_for_stop, daemon=daemon)
            thread.start()
            return [thread]

    tf.add_to_collection(tf.GraphKeys.QUEUE_RUNNERS, Runner())
    supervisor = tf.train.Supervisor()
    with supervisor.managed_session() as session:
        supervisor.loop(0.001, calls.append, args=(1,))
        (thread,) = supervisor.start_queue_runners(session)
        while not calls:
            supervisor.coord.wait_for_stop(0.001)
        supervisor.request_stop()
    assert set(calls) == {1}
    assert not thread.is_alive()


def test_one_who_is_not_chief_waits_and_writes_nothing(tmp_path):
    with tf.device("/job:ps/task:0"):
        v = tf.Variable(1, name="v")
    supervisor = tf.train.Supervisor(is_chief=False, logdir=tmp_path, recovery_wait_secs=0.001)
    with pytest.raises(tf.errors.DeadlineExceededError, match="v"):
        supervisor.prepare_or_wait_for_session(max_wait_secs=0.005)
    session = tf.Session()
    session.run(v.initializer)
    with pytest.raises(RuntimeError, match="Only chief supervisor"):
        supervisor.start_standard_services(session)
    with pytest.raises(RuntimeError, match="requires a summary writer"):
        supervisor.summary_computed(session, b"")
    assert list(tmp_path.iterdir()) == []


def test_variables_of_several_processes_need_devices():
    tf.Variable(1, name="v")
    with pytest.raises(ValueError, match="must have their device set: v"):
        tf.train.Supervisor(is_chief=False)


def test_parts_that_are_given_or_turned_off():
    v = tf.Variable(1, name="v")
    seen = []
    supervisor = tf.train.Supervisor(
        ready_op=None, init_op=None, init_fn=lambda sess: seen.append(sess.run(v.initializer)),
        local_init_op=None, saver=None, summary_op=None, global_step=None,
    )  # fmt: skip
    with supervisor.managed_session() as session:
        assert session.run(v) == 1
    assert seen == [None]
    with tf.Graph().as_default():
        tf.Variable(1)
        manager = tf.train.SessionManager(ready_op=tf.report_uninitialized_variables())
        assert tf.train.Supervisor(session_manager=manager).session_manager is manager


def test_the_basic_loop_goes_on_after_an_abort():
    _, up = counter()
    supervisor = tf.train.Supervisor()
    done = []

    def train(session, first, second=None):
        done.append((int(session.run(up)), first, second))
        if len(done) == 2:
            raise tf.errors.AbortedError(None, None, "lost")
        if len(done) == 4:
            supervisor.request_stop()

    tf.train.basic_train_loop(supervisor, train, args=(1,), kwargs={"second": 2})
    assert done == [(1, 1, 2), (2, 1, 2), (1, 1, 2), (2, 1, 2)]

    def fails(session):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        tf.train.basic_train_loop(supervisor, fails)
