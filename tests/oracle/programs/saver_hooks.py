"""The hook that saves in a training loop, its listeners and its timer, driven by a plain loop."""

import os
import tempfile
from types import SimpleNamespace


def outcome(tf, steps, stop_after=None, **arguments):
    told = []

    class Listener(tf.train.CheckpointSaverListener):
        def begin(self):
            told.append("begin")

        def before_save(self, session, global_step_value):
            told.append(f"before {global_step_value}")

        def after_save(self, session, global_step_value):
            told.append(f"after {global_step_value}")
            return global_step_value == stop_after

        def end(self, session, global_step_value):
            told.append(f"end {global_step_value}")

    step = tf.train.create_global_step()
    train = tf.assign_add(step, 1)
    with tempfile.TemporaryDirectory() as directory:
        saver = tf.train.Saver(max_to_keep=100)
        hook = tf.train.CheckpointSaverHook(
            directory, saver=saver, listeners=[Listener(), Listener()], **arguments
        )
        hook.begin()
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            hook.after_create_session(sess, None)
            for _ in range(steps):
                context = tf.train.SessionRunContext(tf.train.SessionRunArgs(train), sess)
                asked = hook.before_run(context)
                values = sess.run([train, asked.fetches])
                hook.after_run(context, tf.train.SessionRunValues(values[1], None, None))
                if context.stop_requested:
                    told.append("stop")
                    break
            else:
                hook.end(sess)
        saved = [path.rpartition("/")[2] for path in saver.last_checkpoints]
        meta = len(tf.gfile.Glob(f"{directory}/*.meta"))
        graph = tf.gfile.Exists(f"{directory}/graph.pbtxt")
    return {"told": told, "saved": saved, "meta": meta, "graph": graph}


def case_every_two_steps(tf):
    return outcome(tf, 5, save_steps=2)


def case_every_step_and_stop(tf):
    return outcome(tf, 5, save_steps=1, stop_after=3)


def case_last_step_saved_already(tf):
    return outcome(tf, 4, save_steps=2)


def case_seldom(tf):
    return outcome(tf, 3, save_secs=1000, checkpoint_basename="x")


def case_without_graph(tf):
    return outcome(tf, 2, save_steps=1, save_graph_def=False)


def case_timer(tf):
    timer = tf.train.SecondOrStepTimer(every_steps=3)
    found = [timer.last_triggered_step(), timer.should_trigger_for_step(7)]
    found += list(timer.update_last_triggered_step(7))
    found += [timer.should_trigger_for_step(step) for step in (7, 8, 9, 10, 6)]
    found += [timer.update_last_triggered_step(12)[1], timer.last_triggered_step()]
    timer.reset()
    return {"found": [str(x) for x in [*found, timer.should_trigger_for_step(12)]]}


def error_no_interval(tf):
    tf.train.CheckpointSaverHook("d")


def error_two_intervals(tf):
    tf.train.CheckpointSaverHook("d", save_secs=1, save_steps=1)


def error_saver_and_scaffold(tf):
    tf.train.CheckpointSaverHook("d", save_steps=1, saver=1, scaffold=2)


def error_no_global_step(tf):
    tf.train.CheckpointSaverHook("d", save_steps=1).begin()


def _save_with(tf, savers):
    step = tf.train.create_global_step()
    for _ in range(savers):
        tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        hook = tf.train.CheckpointSaverHook("d", save_steps=1, save_graph_def=False)
        hook.begin()
        context = SimpleNamespace(session=sess, request_stop=None)
        hook.after_run(context, tf.train.SessionRunValues(sess.run(step), None, None))


def error_no_saver(tf):
    _save_with(tf, 0)


def error_two_savers(tf):
    _save_with(tf, 2)


class Told:
    """What a listener was told, with the types of the steps."""

    def __init__(self, tf):
        told = self.told = []

        class Listener(tf.train.CheckpointSaverListener):
            def begin(self):
                told.append("begin")

            def before_save(self, session, global_step_value):
                told.append(f"before {global_step_value} {type(global_step_value).__name__}")

            def after_save(self, session, global_step_value):
                told.append(f"after {global_step_value} {type(global_step_value).__name__}")

            def end(self, session, global_step_value):
                told.append(f"end {global_step_value} {type(global_step_value).__name__}")

        self.listener = Listener()


def in_sessions(tf, steps, session_options=(), **options):
    """Two runs of a monitored session, the second going on where the first ended: (told, saved, latest) of each."""
    found = {}
    for run in range(2):
        with tf.Graph().as_default():
            step = tf.train.get_or_create_global_step()
            train = tf.assign_add(step, 1)
            told = Told(tf)
            hook = tf.train.CheckpointSaverHook("d", listeners=[told.listener], **options)
            given = {
                "save_checkpoint_secs": None,
                "save_checkpoint_steps": None,
                **dict(session_options),
            }
            with tf.train.MonitoredTrainingSession(
                checkpoint_dir="d", hooks=[hook], **given
            ) as sess:
                for _ in range(steps):
                    sess.run(train)
            state = tf.train.get_checkpoint_state("d")
            found[f"{run}"] = [told.told, list(state.all_model_checkpoint_paths)]
            found[f"{run}, graphs"] = sorted(
                n for n in os.listdir("d") if n.endswith(("meta", "txt"))
            )
    return found


def case_in_sessions(tf):
    return in_sessions(tf, 5, save_steps=2)


def case_in_sessions_by_time(tf):
    return in_sessions(tf, 2, save_secs=1000, checkpoint_basename="x.y")


def case_in_sessions_without_steps(tf):
    return in_sessions(tf, 0, save_steps=2)


def case_beside_the_session_s_own(tf):
    return in_sessions(tf, 3, {"save_checkpoint_steps": 2}.items(), save_steps=100)


def case_a_session_that_fails(tf):
    """What was saved before the failure is restored; nothing is saved for the failure."""
    found = {}
    for run in range(2):
        with tf.Graph().as_default():
            train = tf.assign_add(tf.train.get_or_create_global_step(), 1)
            try:
                with tf.train.MonitoredTrainingSession(
                    checkpoint_dir="d", save_checkpoint_steps=2
                ) as sess:
                    for number in range(4):
                        found[f"{run} {number}"] = int(sess.run(train))
                        if number == 2:
                            raise KeyError("boom")
            except KeyError:
                found[f"{run}, latest"] = tf.train.latest_checkpoint("d")
    return found


def case_intervals(tf):
    make = tf.train.CheckpointSaverHook
    kinds = {
        "zero steps": (None, 0),
        "negative": (None, -1),
        "zero seconds": (0, None),
        "both": (1, 1),
        "none": (None, None),
    }
    return {
        **{
            name: lambda given=given: type(make("d", *given)).__name__
            for name, given in kinds.items()
        },
        "no directory": lambda: make(None, save_steps=1),
    }


def case_monitored_sessions_and_savers(tf):
    """A Saver restores into a monitored session; it saves only the session behind it."""
    tf.train.get_or_create_global_step()
    v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
    saver, clear = tf.train.Saver(), tf.assign(v, [0.0, 0.0])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = saver.save(sess, "m")
    found = {}
    for kind in (tf.train.MonitoredSession, tf.train.SingularMonitoredSession):
        with kind() as sess:
            sess.run(clear)
            saver.restore(sess, path)
            found[f"{kind.__name__}, restored"] = sess.run(v)
            try:
                saver.save(sess, "n")
            except TypeError:
                found[f"{kind.__name__}, saved"] = "TypeError"
            found[f"{kind.__name__}, behind it"] = saver.save(sess._tf_sess(), "n", 1)
    return found
