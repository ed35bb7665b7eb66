"""The hook that saves in a training loop, its listeners and its timer, driven by a plain loop."""

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
