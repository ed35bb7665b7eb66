"""Training sessions, hooks, threads and event files: what happens in which order, and what is written."""

import os
import tempfile
import threading


def _counter(tf):
    step = tf.train.get_or_create_global_step()
    return step, tf.assign_add(step, 1)


def _events(tf, directory):
    """What the event files say, without times and paths."""
    found = []
    for name in sorted(os.listdir(directory)):
        if ".tfevents." not in name:
            continue
        for event in tf.train.summary_iterator(os.path.join(directory, name)):
            values = [
                [value.tag, "" if value.tag.endswith("/sec") else value.simple_value]
                for value in event.summary.value
            ]
            status = event.session_log.status
            found.append([event.step, event.WhichOneof("what"), values, status])
    return found


def _recorder(tf, calls, name, act=None):
    class Recorder(tf.train.SessionRunHook):
        def begin(self):
            calls.append(f"{name} begin")

        def after_create_session(self, session, coord):
            calls.append(f"{name} created")

        def before_run(self, run_context):
            calls.append(f"{name} before")

        def after_run(self, run_context, run_values):
            calls.append(f"{name} after {run_values.results}")
            if act is not None:
                act(run_context)

        def end(self, session):
            calls.append(f"{name} end")

    return Recorder()


def case_training_writes_events(tf):
    step, up = _counter(tf)
    tf.summary.scalar("loss", tf.cast(step, tf.float32) * 0.0 + 2.0)
    with tempfile.TemporaryDirectory() as directory:
        for last in (5, 9):
            with tf.train.MonitoredTrainingSession(
                checkpoint_dir=directory, save_checkpoint_steps=3, save_summaries_steps=2,
                log_step_count_steps=2, hooks=[tf.train.StopAtStepHook(last_step=last)],
            ) as session:  # fmt: skip
                while not session.should_stop():
                    session.run(up)
        tf.summary.FileWriterCache.clear()
        return {"events": _events(tf, directory)}


def case_hooks_are_called_in_order(tf):
    _, up = _counter(tf)
    calls, runs = [], []

    def lost_once(context):
        runs.append(1)
        if len(runs) == 2:
            raise tf.errors.AbortedError(None, None, "lost")
        if len(runs) == 4:
            context.request_stop()

    hooks = [_recorder(tf, calls, "a"), _recorder(tf, calls, "b", lost_once)]
    values = []
    with tf.train.MonitoredSession(hooks=hooks) as session:
        while not session.should_stop():
            values.append(int(session.run(up)))
    return {"calls": calls, "values": values}


def case_steps_of_several_runs(tf):
    _, up = _counter(tf)
    calls = []
    with tf.train.MonitoredSession(hooks=[_recorder(tf, calls, "a")]) as session:

        def body(step_context):
            step_context.session.run(up)
            return int(step_context.run_with_hooks(up))

        found = [session.run_step_fn(body), session.run_step_fn(body)]
        session.run_step_fn(lambda step_context: step_context.request_stop())
        found.append("not reached")
    return {"values": found, "stop": session.should_stop(), "calls": calls}


def case_a_failed_thread(tf):
    coord = tf.train.Coordinator()

    def fails():
        with coord.stop_on_exception():
            raise KeyError("of the thread")

    thread = threading.Thread(target=fails)
    thread.start()
    try:
        coord.join([thread])
    except KeyError as error:
        return {"raised": str(error), "stop": coord.should_stop(), "joined": coord.joined}
    return {}


def case_a_supervised_program(tf):
    _, up = _counter(tf)
    summary = tf.summary.scalar("s", 1.0)
    with tempfile.TemporaryDirectory() as directory:
        supervisor = tf.train.Supervisor(
            logdir=directory, summary_op=None, save_model_secs=0, save_summaries_secs=0
        )
        with supervisor.managed_session() as session:
            session.run(up)
            supervisor.summary_computed(session, session.run(summary))
        return {"events": _events(tf, directory), "stop": supervisor.should_stop()}


def case_summaries_of_families(tf):
    made = [
        tf.summary.scalar("a b/c$", 3.0, family="fam!"),
        tf.summary.histogram("h", [1.0, 2.0, -3.0, 0.0, 1e30], family="h"),
        tf.summary.text("t", tf.constant(["x", "y"])),
        tf.summary.audio("au", [[0.5, -0.25, 0.1]], 10.0, max_outputs=1),
        tf.summary.scalar("a b/c$", 4.0),
    ]
    merged = tf.summary.merge_all()
    with tf.Session() as session:
        values = tf.Summary.FromString(session.run(merged)).value
    return {"names": [one.name for one in [*made, merged]], "values": [str(one) for one in values]}


def case_the_shapes_of_what_has_outputs(tf):
    tf.group(tf.constant([1, 2]).op, name="together")
    nodes = tf.get_default_graph().as_graph_def(add_shapes=True).node
    return {"nodes": [[node.name, "_output_shapes" in node.attr] for node in nodes]}


def error_the_graph_is_finalized(tf):
    _counter(tf)
    with tf.train.MonitoredSession():
        tf.constant(1)


def error_two_initializers(tf):
    for _ in range(2):
        tf.add_to_collection(tf.GraphKeys.INIT_OP, tf.no_op())
    tf.train.Scaffold().finalize()


def error_nothing_to_initialize_with(tf):
    tf.Variable(1)
    tf.train.SessionManager(ready_op=tf.report_uninitialized_variables()).prepare_session("")


def error_not_ready_in_time(tf):
    tf.Variable(1)
    manager = tf.train.SessionManager(
        ready_op=tf.report_uninitialized_variables(), recovery_wait_secs=1
    )
    manager.wait_for_session("", max_wait_secs=0)


def error_nan_loss(tf):
    x = tf.constant(float("nan"))
    with tf.train.MonitoredSession(hooks=[tf.train.NanTensorHook(x)]) as session:
        session.run(x)
