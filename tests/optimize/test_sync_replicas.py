"""Optimizers that average the gradients of several replicas, in threads of one process."""

import threading

import numpy as np
import pytest

import ckpt as tf

LONG = 20  # seconds after which a test has failed

# A runner waits for gradients until its session is closed; where nobody joins it any more it raises that, as in TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


def built(replicas=1, total=None, is_sparse=False, **options):
    """(optimizer, training operation, variable, global step): the gradient is what is fed, at rows 0 and 2 of three."""
    step = tf.train.get_or_create_global_step()
    v = tf.get_variable("v", initializer=np.zeros((3, 1), np.float32))
    fed = tf.placeholder(tf.float32, [2, 1])
    grad = tf.IndexedSlices(fed, tf.constant([0, 2]), tf.constant([3, 1]))
    optimizer = tf.train.SyncReplicasOptimizer(
        tf.train.GradientDescentOptimizer(1.0), replicas, total, **options
    )
    train = optimizer.apply_gradients(
        [(grad if is_sparse else tf.convert_to_tensor(grad), v)], step
    )
    return optimizer, train, v, step, fed


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_monitored_session_trains(is_sparse):
    optimizer, train, v, step, fed = built(is_sparse=is_sparse)
    hooks = [
        optimizer.make_session_run_hook(is_chief=True, num_tokens=0),
        tf.train.StopAtStepHook(last_step=5),
    ]
    seen = []
    with tf.train.MonitoredTrainingSession(hooks=hooks, stop_grace_period_secs=0.1) as session:
        while not session.should_stop():
            session.run(train, {fed: [[1.0], [2.0]]})
            seen.append(
                session.run_step_fn(lambda step_context: step_context.session.run([step, v]))
            )
    assert seen[-1][0] >= 5
    for number, value in seen:
        np.testing.assert_allclose(value[:, 0], [-number, 0, -2 * number])


def test_replicas_wait_for_each_other_and_their_gradients_are_averaged():
    optimizer, train, v, step, fed = built(replicas=2)
    tokens, runner = optimizer.get_init_tokens_op(0), optimizer.get_chief_queue_runner()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(optimizer.chief_init_op)
        session.run(tokens)
        coord = tf.train.Coordinator()
        threads = runner.create_threads(session, coord, daemon=True, start=True)
        replicas = [
            threading.Thread(target=session.run, args=(train, {fed: [[k], [2 * k]]}), daemon=True)
            for k in (1.0, 3.0)
        ]
        replicas[0].start()
        replicas[0].join(0.2)
        assert replicas[0].is_alive()
        assert session.run(step) == 0
        replicas[1].start()
        for replica in replicas:
            replica.join(LONG)
            assert not replica.is_alive()
        assert session.run(step) == 1
        np.testing.assert_allclose(session.run(v)[:, 0], [-2, 0, -4])
        coord.request_stop()
    coord.join(threads, stop_grace_period_secs=LONG)


def test_gradients_of_an_earlier_step_are_dropped():
    optimizer, train, v, step, fed = built(replicas=1, total=2)
    update = optimizer.get_chief_queue_runner().enqueue_ops
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run([optimizer.chief_init_op, optimizer.get_init_tokens_op(5)])
        session.run(train, {fed: [[1.0], [1.0]]})
        session.run(update)
        session.run(tf.assign(tf.local_variables()[0], 0))
        session.run(train, {fed: [[9.0], [9.0]]})  # computed for step 0
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(update, options=tf.RunOptions(timeout_in_ms=50))
        assert session.run(step) == 1
        assert session.run(v)[:, 0].tolist() == [-1, 0, -1]


def test_averages_are_kept_after_each_update():
    averages = tf.train.ExponentialMovingAverage(0.5)
    step = tf.train.get_or_create_global_step()
    v = tf.get_variable("v", initializer=0.0)
    optimizer = tf.train.SyncReplicasOptimizer(
        tf.train.GradientDescentOptimizer(1.0),
        1,
        variable_averages=averages,
        variables_to_average=[v],
    )
    train = optimizer.apply_gradients([(tf.constant(-1.0), v), (None, tf.Variable(3.0))], step)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run([optimizer.chief_init_op, optimizer.get_init_tokens_op()])
        for _ in range(2):
            session.run(optimizer.local_step_init_op)
            session.run(train)
            session.run(optimizer.get_chief_queue_runner().enqueue_ops)
        assert session.run([v, averages.average(v)]) == [2.0, 1.25]


def test_the_hook_refuses_variables_without_values():
    optimizer, *_ = built()
    hook = optimizer.make_session_run_hook(is_chief=False)
    hook.begin()
    with (
        tf.Session() as session,
        pytest.raises(RuntimeError, match="not initialized: global_step, v"),
    ):
        hook.after_create_session(session, tf.train.Coordinator())


def test_a_gradient_must_be_a_tensor_or_rows():
    optimizer = tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(1.0), 1)
    step, v = tf.train.create_global_step(), tf.Variable(1.0)
    with pytest.raises(TypeError, match="must be a tensor or IndexedSlices"):
        optimizer.apply_gradients([("steep", v)], step)
