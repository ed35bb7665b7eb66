"""Sessions with hooks, one behaviour each; what goes wrong is compared by the class of the error."""

import contextlib
import os
import sys
import threading


def outcome(tf, call, *args):
    """What the call gives in a graph of its own, or the class of its error."""
    with tf.Graph().as_default():
        try:
            return call(tf, *args)
        except Exception as error:  # noqa: BLE001  # its class is the result
            return type(error).__name__


def counting(tf):
    step = tf.train.get_or_create_global_step()
    return step, tf.assign_add(step, 1)


def stopping(tf, **options):
    def run(tf):
        _, more = counting(tf)
        hook = tf.train.StopAtStepHook(**options)
        with tf.train.MonitoredTrainingSession(hooks=[hook]) as session:
            return steps(session, more)

    return outcome(tf, run)


def steps(session, more):
    found = []
    while not session.should_stop():
        found.append(int(session.run(more)))
    return found


def case_stop_at_a_step(tf):
    given = ({"num_steps": 2}, {"last_step": 3}, {}, {"num_steps": 2, "last_step": 3})
    return {str(options): stopping(tf, **options) for options in given}


def recorder(tf, log, name, fetches=None, feed=None):
    class Recorder(tf.train.SessionRunHook):
        def begin(self):
            log.append(f"{name} begin")

        def after_create_session(self, session, coord):
            log.append(f"{name} created {type(session).__name__} {type(coord).__name__}")

        def before_run(self, run_context):
            log.append(f"{name} before")
            return None if fetches is None else tf.train.SessionRunArgs(fetches, feed)

        def after_run(self, run_context, run_values):
            log.append(f"{name} after {run_values.results}")

        def end(self, session):
            log.append(f"{name} end")

    return Recorder()


def two_recorders(tf):
    _, more = counting(tf)
    log, x = [], tf.placeholder(tf.int32, [])
    hooks = [recorder(tf, log, "a", x * 2, {x: 3}), recorder(tf, log, "b")]
    with tf.train.SingularMonitoredSession(hooks=hooks) as session:
        session.run(more)
        session.run([])
    return [line.replace("np.int32(6)", "6") for line in log]


def fed_twice(tf, by_two_hooks):
    _, more = counting(tf)
    x = tf.placeholder(tf.int32, [])
    hooks = [recorder(tf, [], "a", x, {x: 3})] + [recorder(tf, [], "b", x, {x: 3})] * by_two_hooks
    with tf.train.SingularMonitoredSession(hooks=hooks) as session:
        session.run(more, None if by_two_hooks else {x: 4})


class Breaking:
    def __init__(self, base, error, at=1):
        count = [0]

        class Hook(base):
            def after_run(self, run_context, run_values):
                count[0] += 1
                if count[0] == at:
                    raise error

        self.hook = Hook()


def broken(tf):
    _, more = counting(tf)
    log = []
    hook = Breaking(tf.train.SessionRunHook, ValueError("broken")).hook
    with tf.train.SingularMonitoredSession(hooks=[recorder(tf, log, "a"), hook]) as session, contextlib.suppress(ValueError):  # fmt: skip
        session.run(more)
    return log


def lost(tf):
    """The session is made anew when it is aborted, from initializers where there is no checkpoint."""
    _, more = counting(tf)
    error = tf.errors.AbortedError(None, None, "lost")
    hook = Breaking(tf.train.SessionRunHook, error, 2).hook
    stop = tf.train.StopAtStepHook(last_step=4)
    with tf.train.MonitoredTrainingSession(hooks=[hook, stop]) as session:
        return steps(session, more)


def out_of_range(tf):
    _, more = counting(tf)
    hook = Breaking(tf.train.SessionRunHook, tf.errors.OutOfRangeError(None, None, "over")).hook
    with tf.train.MonitoredTrainingSession(hooks=[hook]) as session:
        session.run(more)
    return "passed over"


def asking(tf):
    _, more = counting(tf)

    class Asking(tf.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            run_context.request_stop()

    with tf.train.SingularMonitoredSession(hooks=[Asking()]) as session:
        session.run(more)
        stopped = session.should_stop()
        session.run(more)
    return stopped


def closed(tf):
    _, more = counting(tf)
    session = tf.train.MonitoredTrainingSession()
    session.close()
    session.close()
    session.run(more)


def step_functions(tf):
    step, more = counting(tf)

    def go(step_context):
        first, second = step_context.run_with_hooks(more), step_context.session.run(step)
        if second >= 2:
            step_context.request_stop()
        return int(first), int(second)

    with tf.train.MonitoredTrainingSession() as session:
        found = []
        while not session.should_stop():
            found.append(list(session.run_step_fn(go)))
    return found


def only_of_the_chief(tf, is_chief):
    _, more = counting(tf)
    log = []
    with tf.train.MonitoredTrainingSession(
        is_chief=is_chief,
        chief_only_hooks=[recorder(tf, log, "chief")],
        hooks=[recorder(tf, log, "all")],
    ) as session:
        session.run(more)
    return log


def case_sessions(tf):
    return {
        "recorded": outcome(tf, two_recorders),
        "fed by hook and caller": outcome(tf, fed_twice, False),
        "fed by two hooks": outcome(tf, fed_twice, True),
        "broken": outcome(tf, broken),
        "lost": outcome(tf, lost),
        "out of range": outcome(tf, out_of_range),
        "asked to stop": outcome(tf, asking),
        "closed": outcome(tf, closed),
        "step functions": outcome(tf, step_functions),
        "chief": outcome(tf, only_of_the_chief, True),
    }


def logged(tf, options):
    step, more = counting(tf)
    calls = []

    def formatter(values):
        calls.append([[getattr(key, "name", key), int(value)] for key, value in values.items()])
        return ""

    named = {"the step": step} if "every_n_iter" in options else [step]
    hook = tf.train.LoggingTensorHook(named, formatter=formatter, **options)
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
        for _ in range(5):
            session.run(more)
    return calls


def case_logging(tf):
    given = (
        {"every_n_iter": 2}, {"every_n_secs": 100}, {"at_end": True}, {"every_n_iter": 2, "at_end": True}, {},
        {"every_n_iter": 2, "every_n_secs": 1}, {"every_n_iter": 0}, {"every_n_iter": -1},
    )  # fmt: skip
    return {str(options): outcome(tf, logged, options) for options in given}


def summaries(tf, several):
    step, more = counting(tf)
    one, two = tf.summary.scalar("a", tf.cast(step, tf.float32)), tf.summary.scalar("b", 2.0)
    chosen = [one, two] if several else tf.summary.merge([one, two])
    folder = f"events {several}"
    hook = tf.train.SummarySaverHook(save_steps=2, output_dir=folder, summary_op=chosen)
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
        for _ in range(5):
            session.run(more)
    found = []
    for name in sorted(os.listdir(folder)):
        for event in tf.train.summary_iterator(os.path.join(folder, name)):
            kind = event.WhichOneof("what")
            tags = [value.tag for value in event.summary.value] if kind == "summary" else []
            found.append([kind, event.step, tags])
    return found


def case_summaries(tf):
    refused = ({}, {"save_steps": 2, "save_secs": 3}, {"save_steps": 2})
    found = {str(several): outcome(tf, summaries, several) for several in (False, True)}
    for options in refused:
        found[str(options)] = outcome(tf, lambda tf, o=options: tf.train.SummarySaverHook(**o))
    for options in ({"every_n_steps": None}, {"every_n_steps": 2, "every_n_secs": 3}):
        found[str(options)] = outcome(tf, lambda tf, o=options: tf.train.StepCounterHook(**o))
    return found


def final(tf):
    hook = tf.train.FinalOpsHook([tf.constant(1), {"a": tf.constant(2)}])
    before = hook.final_ops_values
    with tf.train.SingularMonitoredSession(hooks=[hook]):
        pass
    one, named = hook.final_ops_values
    return [before, int(one), int(named["a"])]


def nan(tf, fails):
    _, more = counting(tf)
    hook = tf.train.NanTensorHook(tf.constant(float("nan")), fail_on_nan_loss=fails)
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
        session.run(more)
        return session.should_stop()


def fed(tf):
    counting(tf)
    x, count = tf.placeholder(tf.int32, []), [0]

    def feed():
        count[0] += 1
        return {x: count[0]}

    with tf.train.SingularMonitoredSession(hooks=[tf.train.FeedFnHook(feed)]) as session:
        return [int(session.run(x)) for _ in range(3)]


def case_small_hooks(tf):
    return {
        "final": outcome(tf, final),
        "nan fails": outcome(tf, nan, True),
        "nan stops": outcome(tf, nan, False),
        "fed": outcome(tf, fed),
        "message": str(tf.train.NanLossDuringTrainingError()),
    }


def turning(coord):
    while not coord.should_stop():
        coord.wait_for_stop(0.01)


def joined(tf):
    coord = tf.train.Coordinator()
    threads = [threading.Thread(target=turning, args=(coord,)) for _ in range(3)]
    for thread in threads:
        thread.start()
        coord.register_thread(thread)
    before = [coord.should_stop(), coord.joined]
    coord.request_stop()
    coord.join()
    after = [coord.should_stop(), coord.joined, any(thread.is_alive() for thread in threads)]
    coord.clear_stop()
    return before + after + [coord.should_stop()]


def failing(tf, **options):
    def run(tf):
        coord = tf.train.Coordinator(**options)

        def fail():
            with coord.stop_on_exception():
                raise KeyError("gone")

        thread = threading.Thread(target=fail)
        thread.start()
        coord.join([thread])
        return coord.should_stop()

    return outcome(tf, run)


def out_of_patience(tf, ignores):
    coord, end = tf.train.Coordinator(), threading.Event()
    thread = threading.Thread(target=end.wait, args=(20,))
    thread.start()
    coord.request_stop()
    try:
        coord.join([thread], stop_grace_period_secs=0.1, ignore_live_threads=ignores)
    finally:
        end.set()
    return "joined"


def raised_later(tf):
    coord = tf.train.Coordinator()
    try:
        raise ZeroDivisionError("first")
    except ZeroDivisionError:
        coord.request_stop(sys.exc_info())
    coord.request_stop(KeyError("second"))
    coord.raise_requested_exception()


def case_coordinators(tf):
    return {
        "joined": outcome(tf, joined),
        "failing": failing(tf),
        "clean": failing(tf, clean_stop_exception_types=(KeyError,)),
        "waits": outcome(tf, out_of_patience, False),
        "ignores": outcome(tf, out_of_patience, True),
        "later": outcome(tf, raised_later),
        "no exception": outcome(tf, lambda tf: tf.train.Coordinator().request_stop(3)),
    }
