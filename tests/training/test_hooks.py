"""The hooks that stop, wait, feed, log, count, sum up, watch and profile."""

import json
import logging
import threading
import time

import numpy as np
import pytest

import ckpt as tf


class Writer:
    """Keeps what it is given."""

    def __init__(self):
        self.summaries = []
        self.logs = []
        self.flushed = 0

    def add_summary(self, summary, step):
        data = summary if isinstance(summary, bytes) else summary.SerializeToString()
        for value in tf.Summary.FromString(data).value:
            self.summaries.append((step, value.tag, value.simple_value))

    def add_session_log(self, log, step):
        self.logs.append((step, log.status))

    def flush(self):
        self.flushed += 1


def step_and_increment():
    step = tf.train.get_or_create_global_step()
    return step, tf.assign_add(step, 1)


def test_stops_after_steps_or_at_a_step():
    _, up = step_and_increment()
    tf.get_variable("other", initializer=3)
    for hook, last in (
        (tf.train.StopAtStepHook(num_steps=4), 4),
        (tf.train.StopAtStepHook(last_step=2), 2),
    ):
        with tf.train.MonitoredSession(hooks=[hook]) as session:
            while not session.should_stop():
                reached = session.run(up)
        assert reached == last
    with pytest.raises(ValueError, match="Only one of"):
        tf.train.StopAtStepHook(1, 2)
    with pytest.raises(ValueError, match="One of"):
        tf.train.StopAtStepHook()
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match="to use StopAtStepHook"):
        tf.train.StopAtStepHook(1).begin()


def test_nothing_is_written_before_the_global_step_is_found(tmp_path):
    tf.constant(1)
    for hook in (
        tf.train.StepCounterHook(output_dir=tmp_path),
        tf.train.SummarySaverHook(save_steps=1, output_dir=tmp_path, summary_op="x"),
        tf.train.CheckpointSaverHook(tmp_path, save_steps=1),
    ):
        with pytest.raises(RuntimeError, match="Global step should be created"):
            hook.begin()
    assert list(tmp_path.iterdir()) == []


def test_nan_stops_the_loop_or_fails():
    x = tf.placeholder_with_default(1.0, [])
    with (
        pytest.raises(tf.train.NanLossDuringTrainingError, match="NaN loss during training"),
        tf.train.MonitoredSession(hooks=[tf.train.NanTensorHook(x)]) as session,
    ):
        session.run(x)
        session.run(x, {x: np.nan})
    hook = tf.train.NanTensorHook(x, fail_on_nan_loss=False)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        session.run(x)
        assert not session.should_stop()
        session.run(x, {x: np.nan})
        assert session.should_stop()


def test_final_values_and_fed_ones():
    x = tf.placeholder(tf.float32, [])
    twice = x * 2
    numbers = iter([1.0, 2.0])
    final = tf.train.FinalOpsHook({"twice": twice}, {x: 5.0})
    feed = tf.train.FeedFnHook(lambda: {x: next(numbers)})
    with tf.train.MonitoredSession(hooks=[final, feed]) as session:
        assert [session.run(twice), session.run(twice)] == [2, 4]
        assert final.final_ops_values is None
    assert final.final_ops_values == {"twice": 10}
    nothing = tf.train.FinalOpsHook(None)
    nothing.end(None)
    assert nothing.final_ops_values is None


def test_a_waiter_holds_the_first_run():
    _, up = step_and_increment()
    hook = tf.train.GlobalStepWaiterHook(1)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        hook.begin()
        context = tf.train.SessionRunContext(tf.train.SessionRunArgs(up), session)
        waiter = threading.Thread(target=hook.before_run, args=(context,), daemon=True)
        waiter.start()
        time.sleep(0.05)
        assert waiter.is_alive()
        session.run(up)
        waiter.join(20)
        assert not waiter.is_alive()
        hook.before_run(None)  # it is over
        tf.train.GlobalStepWaiterHook(0).before_run(None)


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_values_in_the_log(caplog):
    caplog.set_level(logging.INFO, "ckpt")
    x = tf.placeholder_with_default(0.5, [], name="x")
    y = tf.identity(x * 2, name="y")
    hook = tf.train.LoggingTensorHook([x, "y:0"], every_n_iter=2)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for number in range(4):
            session.run(y, {x: number})
    first, second = messages(caplog)
    assert first == "x:0 = 0.0, y:0 = 0.0"
    assert second.startswith("x:0 = 2.0, y:0 = 4.0 (")
    assert second.endswith(" sec)")


def test_values_in_the_log_by_name_with_a_form_and_at_the_end(caplog):
    caplog.set_level(logging.INFO, "ckpt")
    x = tf.constant(0.5)
    by_name = tf.train.LoggingTensorHook({"it": x}, at_end=True)
    formed = tf.train.LoggingTensorHook(
        {"it": x}, every_n_secs=1000, formatter=lambda d: f"<{d['it']}>"
    )
    with tf.train.MonitoredSession(hooks=[by_name, formed]) as session:
        session.run(x)
        session.run(x)
        assert messages(caplog) == ["<0.5>"]
    assert messages(caplog) == ["<0.5>", "it = 0.5"]


@pytest.mark.parametrize(
    "given", [{}, {"every_n_iter": 1, "every_n_secs": 1}, {"every_n_iter": 0}, {"every_n_iter": -1}]
)
def test_intervals_of_the_log_that_are_none(given):
    with pytest.raises(ValueError, match="every_n_iter"):
        tf.train.LoggingTensorHook(["x"], **given)


def test_steps_per_second():
    _, up = step_and_increment()
    writer = Writer()
    hook = tf.train.StepCounterHook(every_n_steps=2, summary_writer=writer)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(5):
            session.run(up)
    assert [(step, tag) for step, tag, _ in writer.summaries] == [
        (3, "global_step/sec"),
        (5, "global_step/sec"),
    ]
    assert all(value > 0 for _, _, value in writer.summaries)
    assert writer.flushed == 1
    with pytest.raises(ValueError, match="exactly one"):
        tf.train.StepCounterHook(every_n_steps=1, every_n_secs=1)


def test_a_global_step_that_stands_still_is_warned_of(caplog):
    step, _ = step_and_increment()
    with tf.train.MonitoredSession(hooks=[tf.train.StepCounterHook()]) as session:
        session.run(step)
        session.run(step)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "has not been increased" in caplog.text


def test_summaries_every_n_steps():
    step, up = step_and_increment()
    writer = Writer()
    summary = tf.summary.scalar("s", tf.cast(step, tf.float32) * 0 + 1)
    hook = tf.train.SummarySaverHook(save_steps=3, summary_writer=writer, summary_op=[summary])
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(8):
            session.run(up)
    assert writer.summaries == [(1, "s", 1), (4, "s", 1), (7, "s", 1)]
    assert writer.logs == [(1, tf.SessionLog.START)]
    assert writer.flushed == 1


@pytest.mark.parametrize("use_resource", [False, True])
def test_summaries_are_computed_only_when_they_are_due(use_resource):
    """Whether the run finds the global step before or after its own update."""
    with tf.variable_scope("", use_resource=use_resource):
        _, up = step_and_increment()
        count = tf.get_variable("count", initializer=0.0)
    writer = Writer()
    summary = tf.summary.scalar("s", tf.assign_add(count, 1.0))
    hook = tf.train.SummarySaverHook(save_steps=8, summary_writer=writer, summary_op=summary)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(18):
            session.run(up)
    assert writer.summaries == [(1, "s", 1), (9, "s", 2), (17, "s", 3)]


def test_summaries_of_a_scaffold_that_has_none():
    _, up = step_and_increment()
    writer = Writer()
    scaffold = tf.train.Scaffold()
    hook = tf.train.SummarySaverHook(save_secs=1, summary_writer=writer, scaffold=scaffold)
    with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(scaffold), [hook]) as session:
        session.run(up)
    assert writer.summaries == []
    with pytest.raises(ValueError, match="Exactly one of scaffold or summary_op"):
        tf.train.SummarySaverHook(save_steps=1)
    with pytest.raises(ValueError, match="Exactly one of scaffold or summary_op"):
        tf.train.SummarySaverHook(save_steps=1, scaffold=scaffold, summary_op="x")
    with pytest.raises(ValueError, match="every_secs"):
        tf.train.SummarySaverHook(scaffold=scaffold)


def test_a_profile_every_n_steps(tmp_path):
    _, up = step_and_increment()
    hook = tf.train.ProfilerHook(save_steps=2, output_dir=tmp_path)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(6):
            session.run(up)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "timeline-2.json",
        "timeline-4.json",
        "timeline-6.json",
    ]
    trace = json.loads((tmp_path / "timeline-2.json").read_text())
    assert any(event.get("name") == "AssignAdd" for event in trace["traceEvents"])
