"""The hook that saves while a loop runs, its listeners, and the timer behind it."""

import os

import numpy as np
import pytest

import ckpt as tf


class Listener(tf.train.CheckpointSaverListener):
    """Notes what it is told, and asks to stop after the save of one step."""

    def __init__(self, stop_after=None):
        self.told = []
        self.stop_after = stop_after

    def begin(self):
        self.told.append("begin")

    def before_save(self, session, global_step_value):
        assert isinstance(global_step_value, np.int64)  # as the session gives it
        self.told.append(("before", global_step_value, session.run("global_step:0")))

    def after_save(self, session, global_step_value):
        self.told.append(("after", global_step_value))
        return global_step_value == self.stop_after

    def end(self, session, global_step_value):
        self.told.append(("end", global_step_value))


def drive(hook, steps):
    """A training loop with one hook; returns the number of steps that were run."""
    step = tf.train.get_or_create_global_step()
    train = tf.assign_add(step, 1)
    hook.begin()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        hook.after_create_session(sess, None)
        for number in range(steps):
            context = tf.train.SessionRunContext(tf.train.SessionRunArgs(train), sess)
            asked = hook.before_run(context)
            _, results = sess.run([train, asked.fetches], asked.feed_dict)
            hook.after_run(context, tf.train.SessionRunValues(results, None, None))
            if context.stop_requested:
                return number + 1
        hook.end(sess)
    return steps


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        tf.train.create_global_step()
        yield


def saved(directory):
    return sorted(
        int(name.split("-")[1].split(".")[0])
        for name in os.listdir(directory)
        if name.endswith(".meta")
    )


def test_saves_at_the_start_every_n_steps_and_at_the_end(tmp_path):
    listener = Listener()
    hook = tf.train.CheckpointSaverHook(
        tmp_path, save_steps=2, saver=tf.train.Saver(max_to_keep=None), listeners=[listener]
    )
    assert drive(hook, 5) == 5
    assert saved(tmp_path) == [0, 2, 4, 5]
    assert (tmp_path / "graph.pbtxt").exists()
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-5")
    saves = [event for step in (0, 2, 4, 5) for event in (("before", step, step), ("after", step))]
    assert listener.told == ["begin", *saves, ("end", 5)]


def test_every_save_is_in_the_event_file_when_the_session_ends(tmp_path):
    drive(tf.train.CheckpointSaverHook(tmp_path, save_steps=2, saver=tf.train.Saver()), 3)
    (path,) = tmp_path.glob("events*")
    logs = [e for e in tf.train.summary_iterator(path) if e.WhichOneof("what") == "session_log"]
    assert [event.step for event in logs] == [0, 2, 3]


def test_a_last_step_that_has_been_saved_is_not_saved_again(tmp_path):
    listener = Listener()
    hook = tf.train.CheckpointSaverHook(
        tmp_path, save_steps=2, saver=tf.train.Saver(), listeners=[listener]
    )
    drive(hook, 4)
    assert listener.told.count(("after", 4)) == 1


def test_a_listener_may_stop_the_training(tmp_path):
    hook = tf.train.CheckpointSaverHook(
        tmp_path, save_steps=2, saver=tf.train.Saver(), listeners=[Listener(2), Listener()]
    )
    assert drive(hook, 10) == 2


def test_seconds_instead_of_steps(tmp_path, monkeypatch):
    from ckpt.run import hooks

    now = iter(range(0, 10000, 10))  # each look at the clock, ten seconds later
    monkeypatch.setattr(hooks.time, "time", lambda: next(now))
    hook = tf.train.CheckpointSaverHook(
        tmp_path, save_secs=25, saver=tf.train.Saver(max_to_keep=None), checkpoint_basename="m"
    )
    drive(hook, 6)
    assert 0 in saved(tmp_path)
    assert 1 < len(saved(tmp_path)) < 7


def test_the_saver_of_the_collection_or_of_the_scaffold(tmp_path):
    hook = tf.train.CheckpointSaverHook(tmp_path, save_steps=1)
    with pytest.raises(RuntimeError, match="No items in collection"):
        drive(hook, 1)
    tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())
    drive(tf.train.CheckpointSaverHook(tmp_path, save_steps=1), 1)
    assert saved(tmp_path) == [0, 1]
    tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())
    with pytest.raises(RuntimeError, match="More than one item"):
        drive(tf.train.CheckpointSaverHook(tmp_path, save_steps=1), 1)

    class Scaffold:
        saver = tf.train.Saver()

    drive(tf.train.CheckpointSaverHook(tmp_path, save_steps=1, scaffold=Scaffold()), 2)
    assert saved(tmp_path) == [0, 1, 2]


def test_without_graph_files(tmp_path):
    hook = tf.train.CheckpointSaverHook(
        tmp_path, save_steps=1, saver=tf.train.Saver(), save_graph_def=False
    )
    drive(hook, 1)
    names = sorted(name for name in os.listdir(tmp_path) if not name.startswith("events"))
    assert names == ["checkpoint", "model.ckpt-0.h5", "model.ckpt-1.h5"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "Either every_secs or every_steps"),
        ({"save_secs": 1, "save_steps": 1}, "both every_secs and every_steps"),
        ({"save_steps": 1, "saver": 1, "scaffold": 2}, "both saver and scaffold"),
    ],
)
def test_arguments_that_contradict_each_other(arguments, text):
    with pytest.raises(ValueError, match=text):
        tf.train.CheckpointSaverHook("d", **arguments)


def test_without_a_global_step():
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match="Global step"):
        tf.train.CheckpointSaverHook("d", save_steps=1).begin()


def test_the_timer_counts_steps():
    timer = tf.train.SecondOrStepTimer(every_steps=3)
    assert timer.last_triggered_step() is None
    assert timer.should_trigger_for_step(7)
    assert timer.update_last_triggered_step(7) == (None, None)
    assert [timer.should_trigger_for_step(step) for step in (7, 9, 10)] == [False, False, True]
    assert timer.update_last_triggered_step(11)[1] == 4
    assert timer.last_triggered_step() == 11
    timer.reset()
    assert timer.should_trigger_for_step(11)


def test_hooks_do_nothing_unless_told():
    hook = tf.train.SessionRunHook()
    assert hook.begin() is None
    assert hook.after_create_session(None, None) is None
    assert hook.before_run(None) is None
    assert hook.after_run(None, None) is None
    assert hook.end(None) is None
