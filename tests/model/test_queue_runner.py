"""Threads that fill queues: how they end, whom they tell, and how runners travel with their graph."""

import threading

import pytest

import ckpt as tf
from ckpt.core.errors import CancelledError, DataLossError, InvalidArgumentError, OutOfRangeError
from ckpt.saver.copying import export_scoped_meta_graph, import_scoped_meta_graph

LONG = 20  # seconds after which a test has failed


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


class Stopper:
    """What a QueueRunner asks of a coordinator."""

    def __init__(self):
        self.stopped = threading.Event()
        self.reported = []
        self.registered = []

    def should_stop(self):
        return self.stopped.is_set()

    def request_stop(self, ex=None):
        self.reported.append(ex)
        self.stopped.set()

    def wait_for_stop(self, timeout=None):
        return self.stopped.wait(timeout)

    def register_thread(self, thread):
        self.registered.append(thread)


def join(threads):
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()


def counted(limit, **options):
    """A queue that a runner fills with the numbers below `limit`."""
    number = tf.get_variable("number", [], tf.int64, tf.zeros_initializer(), trainable=False)
    queue = tf.FIFOQueue(3, tf.int64, shapes=[()], name="q")
    runner = tf.train.QueueRunner(queue, [queue.enqueue(number.count_up_to(limit))], **options)
    tf.train.add_queue_runner(runner)
    return queue, runner


def started(session, coord=None):
    session.run(tf.global_variables_initializer())
    return tf.train.start_queue_runners(session, coord)


def test_a_queue_is_filled_to_its_end():
    queue, _ = counted(7)
    got = queue.dequeue()
    with tf.Session() as session:
        threads = started(session)
        assert [session.run(got) for _ in range(7)] == list(range(7))
        with pytest.raises(OutOfRangeError):
            session.run(got)
        join(threads)


def test_the_queue_is_closed_when_the_last_thread_has_ended():
    with tf.name_scope("a"):
        numbers = [tf.get_variable(f"n{i}", [], tf.int64, tf.zeros_initializer()) for i in range(2)]
    queue = tf.FIFOQueue(100, tf.int64, shapes=[()])
    puts = [
        queue.enqueue(number.count_up_to(limit))
        for number, limit in zip(numbers, (3, 9), strict=True)
    ]
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, puts))
    rest = queue.dequeue_up_to(100)
    with tf.Session() as session:
        threads = started(session)
        assert sorted(session.run(rest)) == sorted([*range(3), *range(9)])
        join(threads)


def test_a_coordinator_stops_threads_that_wait():
    queue, runner = counted(1000)
    coord = Stopper()
    with tf.Session() as session:
        threads = started(session, coord)
        assert [t.name for t in threads] == [
            "QueueRunnerThread-q-q_enqueue", "QueueRunnerThread-q-close_on_stop"]  # fmt: skip
        assert coord.registered == threads
        assert runner.create_threads(session, coord) == []  # they are at work
        session.run(queue.dequeue())
        coord.stopped.set()
        join(threads)
        assert all(isinstance(error, CancelledError) for error in coord.reported)
        assert len(runner.create_threads(session, coord)) == 2


def failing(queue):
    return queue.enqueue(tf.cast(tf.check_numerics(tf.constant(float("nan")), "bad"), tf.int64))


def test_errors_go_to_the_coordinator_or_are_kept():
    queue = tf.FIFOQueue(3, tf.int64, shapes=[()])
    runner = tf.train.QueueRunner(queue, [failing(queue)])
    coord = Stopper()
    with tf.Session() as session:
        join(runner.create_threads(session, coord, start=True))
        assert isinstance(coord.reported[0], InvalidArgumentError)
        assert runner.exceptions_raised == []
        join(runner.create_threads(session, start=True))
        assert isinstance(runner.exceptions_raised[0], InvalidArgumentError)


def test_other_errors_may_mean_the_end():
    queue = tf.FIFOQueue(3, tf.int64, shapes=[()])
    runner = tf.train.QueueRunner(
        queue, [failing(queue)], queue_closed_exception_types=(InvalidArgumentError,)
    )
    with tf.Session() as session:
        join(runner.create_threads(session, start=True))
        assert runner.exceptions_raised == []
        assert session.run(queue.is_closed())


def test_closing_the_session_ends_the_threads():
    _, runner = counted(1000)
    session = tf.Session()
    threads = started(session)
    session.close()
    join(threads)
    assert len(runner.exceptions_raised) == 1


def test_each_session_has_threads_of_its_own():
    queue, _ = counted(3)
    rest = queue.dequeue_many(3)
    with tf.Session() as first, tf.Session() as second:
        threads = started(first) + started(second)
        assert [s.run(rest).tolist() for s in (first, second)] == [[0, 1, 2]] * 2
        join(threads)


def test_threads_are_only_made_when_asked_so():
    counted(3)
    with tf.Session() as session:
        threads = tf.train.start_queue_runners(session, start=False, daemon=False)
        assert [t.ident for t in threads] == [None]
        assert not threads[0].daemon


def test_the_default_session_is_taken():
    with pytest.raises(ValueError, match="No default session"):
        tf.train.start_queue_runners()
    with pytest.raises(TypeError, match=r"must be a `tf\.Session`"):
        tf.train.start_queue_runners(3)
    with tf.Session():
        assert tf.train.start_queue_runners() == []


def test_bad_arguments_are_refused():
    queue, runner = counted(3)
    for wrong in (
        lambda: tf.train.QueueRunner(),
        lambda: tf.train.QueueRunner(queue),
        lambda: tf.train.QueueRunner(queue, []),
        lambda: tf.train.QueueRunner(queue, runner.enqueue_ops, queue_runner_def=runner.to_proto()),
    ):
        with pytest.raises(ValueError, match=r"Must provide|mutually exclusive"):
            wrong()
    for kinds in (OutOfRangeError, (), (ValueError,)):
        with pytest.raises(TypeError, match=r"must be a tuple of tf\.error types"):
            tf.train.QueueRunner(queue, runner.enqueue_ops, queue_closed_exception_types=kinds)


def test_messages_are_tensorflows():
    _, runner = counted(3)
    assert (
        runner.to_proto().SerializeToString()
        == b'\n\x01q\x12\tq_enqueue\x1a\x07q_Close"\tq_Close_1*\x01\x0b'
    )
    assert runner.to_proto("elsewhere") is None
    again = tf.train.QueueRunner.from_proto(runner.to_proto())
    assert again.to_proto() == runner.to_proto()
    assert again.enqueue_ops == runner.enqueue_ops
    assert again.queue_closed_exception_types == (OutOfRangeError,)


@pytest.mark.parametrize("scope", ["", "copy"])
def test_runners_come_back_with_their_meta_graph(scope):
    queue, _ = counted(3)
    queue.dequeue(name="got")
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(meta, import_scope=scope)
        prefix = f"{scope}/" if scope else ""
        (runner,) = graph.get_collection("queue_runners")
        assert isinstance(runner, tf.train.QueueRunner)
        assert runner.name == f"{prefix}q"
        with tf.Session() as session:
            threads = started(session)
            assert [session.run(f"{prefix}got:0") for _ in range(3)] == [0, 1, 2]
            join(threads)


def test_runners_travel_from_scope_to_scope():
    with tf.variable_scope("a"):
        counted(3)
    tf.train.add_queue_runner(tf.train.QueueRunner(*_other()))
    meta, _ = export_scoped_meta_graph(export_scope="a")
    with tf.Graph().as_default() as graph:
        import_scoped_meta_graph(meta, import_scope="b")
        assert [runner.name for runner in graph.get_collection("queue_runners")] == ["b/q"]


def _other():
    queue = tf.FIFOQueue(3, tf.int64, shapes=[()], name="other")
    return queue, [queue.enqueue(1)]


def test_a_damaged_message_is_named():
    counted(3)
    meta = tf.train.export_meta_graph()
    meta.collection_def["queue_runners"].bytes_list.value[0] = b"\xff\xff"
    with tf.Graph().as_default(), pytest.raises(DataLossError, match="collection 'queue_runners'"):
        tf.train.import_meta_graph(meta)
