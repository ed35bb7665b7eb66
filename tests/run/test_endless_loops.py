"""Loops without end stop at a time limit, when the session is closed, and at Ctrl-C, however they are run."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import ckpt as tf
from ckpt.ops import dataflow
from ckpt.run.dataflow import Dataflow
from ckpt.wire import messages


def nested():
    inner = lambda i: tf.while_loop(lambda j: True, lambda j: j, [i])  # noqa: E731  # two lines in one
    return tf.while_loop(lambda i: True, inner, [0])


def mapped():
    return tf.map_fn(
        lambda x: tf.while_loop(lambda j: j < 1, lambda j: j, [x]), tf.constant([0, 0])
    )


def imported(is_regular=True):
    """As TensorFlow 1 writes a loop; irregular where it asks which input its Merge took."""
    enter = dataflow.enter(tf.constant(0), frame_name="frame")
    merged, index = dataflow.merge([enter, enter])
    with tf.control_dependencies([merged]):
        one, none = tf.constant(1), tf.constant(0)
    test = merged < one if is_regular else merged < one + none * index
    left, stays = dataflow.switch(merged, dataflow.loop_cond(test))
    merged.op._update_input(1, dataflow.next_iteration(tf.identity(stays)))
    return dataflow.exit_(left)


def irregular():
    return imported(is_regular=False)


LIMIT = 60
LOOPS = pytest.mark.parametrize("loop", [nested, mapped, imported, irregular])


@LOOPS
def test_a_time_limit_ends_every_way_to_run(loop):
    options = messages.RunOptions(timeout_in_ms=LIMIT)
    traced = messages.RunOptions(timeout_in_ms=LIMIT, trace_level=3)
    with tf.Graph().as_default():
        y = loop()
        config = tf.ConfigProto(operation_timeout_in_ms=LIMIT)
        session, limited = tf.Session(), tf.Session(config=config)
        is_interpreted = isinstance(session.plan(y).steps[-1].kernel, Dataflow)
        assert is_interpreted == (loop is irregular)
        runs = [
            lambda: session.run(y, options=options),  # interpreted first, then generated
            lambda: session.run(y, options=options),
            lambda: session.run(y, options=traced, run_metadata=messages.RunMetadata()),
            lambda: session.make_callable(y, accept_options=True)(options=options),
            lambda: limited.run(y),
            lambda: limited.make_callable(y)(),
            lambda: limited.partial_run(limited.partial_run_setup([y]), y),
        ]
        for run in runs:
            with pytest.raises(tf.errors.DeadlineExceededError):
                run()


def test_what_ends_in_time_is_not_disturbed_by_a_limit():
    with tf.Graph().as_default(), tf.Session() as session:
        loop = tf.while_loop(lambda i: i < 5, lambda i: i + 1, [0])
        options = messages.RunOptions(timeout_in_ms=60_000)
        assert [session.run(loop, options=options) for _ in range(3)] == [5, 5, 5]


@LOOPS
def test_closing_the_session_from_another_thread_ends_the_run(loop):
    with tf.Graph().as_default():
        y = loop()
        session = tf.Session()
        threading.Timer(0.1, session.close).start()
        with pytest.raises(tf.errors.CancelledError):
            session.run(y)


SCRIPT = """
    import signal
    import sys
    import threading
    import ckpt as tf
    from tests.run import test_endless_loops as loops
    y = getattr(loops, sys.argv[1])()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    session = tf.Session()
    if sys.argv[2] == "generated":
        run = session.make_callable(y)
    else:
        from ckpt.run.interpret import interpret
        plan = session.plan(y)
        run = lambda: interpret(plan, [])
    threading.Timer(0.1, lambda: print("ready", flush=True)).start()
    try:
        run()
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


@pytest.mark.parametrize("how", ["interpreted", "generated"])
@pytest.mark.parametrize("loop", ["nested", "imported", "irregular"])
def test_ctrl_c_ends_it(loop, how):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), loop, how]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=os.getcwd(), env={**os.environ}
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert out == "stopped\n"
    assert process.returncode == 0
