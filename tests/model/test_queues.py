"""Queue objects in sessions: threads, ends of runs, shared queues, names; what TensorFlow 2.21 does was asked of it."""

import threading

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import (
    CancelledError,
    DeadlineExceededError,
    InvalidArgumentError,
    OutOfRangeError,
)

LONG = 20  # seconds after which a test has failed


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


class Running:
    """A run in a thread: how it ended."""

    def __init__(self, session, fetches, feeds=None, **options):
        self.value = self.error = None
        self.began = threading.Event()
        self.thread = threading.Thread(target=self._go, args=(session, fetches, feeds), daemon=True)
        self.thread.start()
        self.began.wait(LONG)

    def _go(self, session, fetches, feeds):
        self.began.set()
        try:
            self.value = session.run(fetches, feeds)
        except Exception as error:  # noqa: BLE001  # looked at by the test
            self.error = error

    def ended(self):
        self.thread.join(LONG)
        assert not self.thread.is_alive()
        return self


def waiting(queue_name, session):
    """Return once somebody waits for this queue of the session."""
    queue = session.state.resource("queue", "", queue_name, lambda: None)
    give_up = threading.Event()
    for _ in range(LONG * 100):
        if queue._puts or queue._takes:
            return
        give_up.wait(0.01)
    raise AssertionError(f"nobody waits for {queue_name}")


def scalars(capacity=10, **options):
    return tf.FIFOQueue(capacity, tf.float32, shapes=[()], name="q", **options)


def test_names_shapes_and_results_are_tensorflows():
    queue = tf.FIFOQueue(10, [tf.float32, tf.int32], shapes=[(2,), ()], name="Q")
    put = queue.enqueue(([1, 2], 3))
    one, many, some = queue.dequeue(), queue.dequeue_many(3), queue.dequeue_up_to(3)
    names = [put.name, one[0].op.name, many[0].op.name, some[0].op.name, queue.size().op.name]
    assert names == ["Q_enqueue", "Q_Dequeue", "Q_DequeueMany", "Q_DequeueUpTo", "Q_Size"]
    assert [queue.is_closed().op.name, queue.close().name] == ["Q_Is_Closed", "Q_Close"]
    assert [t.shape.as_list() for t in (*one, *many, *some)] == [
        [2],
        [],
        [3, 2],
        [3],
        [None, 2],
        [None],
    ]
    with tf.Session() as session:
        session.run(put)
        values, number = session.run(one)
    assert values.tolist() == [1, 2]
    assert number == 3


def test_a_queue_keeps_its_elements_when_the_fed_array_changes():
    queue = tf.FIFOQueue(3, tf.float32, shapes=[(2,)])
    value = np.zeros(2, np.float32)
    fed = tf.placeholder(tf.float32, [2])
    with tf.Session() as session:
        session.run(queue.enqueue(fed), {fed: value})
        value[:] = 7
        assert session.run(queue.dequeue()).tolist() == [0, 0]


def test_a_run_waits_for_another():
    queue = scalars()
    got, put = queue.dequeue_many(3), queue.enqueue_many([[1.0, 2.0]])
    with tf.Session() as session:
        session.run(put)
        taking = Running(session, got)
        waiting("q", session)
        assert session.run(queue.size()) == 0  # the first two are taken already
        session.run(put)
        assert taking.ended().value.tolist() == [1, 2, 1]


def test_a_full_queue_makes_puts_wait_and_closing_waits_for_them():
    queue = scalars(capacity=1)
    put, got, close, closed = queue.enqueue(1.0), queue.dequeue(), queue.close(), queue.is_closed()
    with tf.Session() as session:
        session.run(put)
        putting = Running(session, put)
        waiting("q", session)
        closing = Running(session, close)
        while len(session.state.resource("queue", "", "q", lambda: None)._puts) < 2:
            pass
        assert not session.run(closed)
        session.run(got)
        assert putting.ended().error is None
        assert closing.ended().error is None
        assert session.run(closed)
        session.run(got)
        with pytest.raises(OutOfRangeError, match="FIFOQueue 'q' is closed and has insufficient"):
            session.run(got)


def test_pending_puts_can_be_cancelled():
    queue = scalars(capacity=1)
    put = queue.enqueue(1.0)
    with tf.Session() as session:
        session.run(put)
        putting = Running(session, put)
        waiting("q", session)
        session.run(queue.close(cancel_pending_enqueues=True))
        assert isinstance(putting.ended().error, CancelledError)
        assert session.run(queue.size()) == 1


@pytest.mark.parametrize("what", ["take", "put"])
def test_closing_the_session_ends_a_run_that_waits(what):
    queue = scalars(capacity=1)
    fetched = queue.dequeue() if what == "take" else queue.enqueue_many([[1.0, 2.0]])
    session = tf.Session()
    running = Running(session, fetched)
    waiting("q", session)
    session.close()
    assert isinstance(running.ended().error, CancelledError)


def test_a_time_limit_ends_a_run_that_waits():
    queue = scalars()
    got = queue.dequeue()
    with tf.Session() as session:
        with pytest.raises(DeadlineExceededError):
            session.run(got, options=tf.RunOptions(timeout_in_ms=20))
        session.run(queue.enqueue(3.0))
        assert session.run(got) == 3
    limited = tf.ConfigProto(operation_timeout_in_ms=20)
    with tf.Session(config=limited) as session, pytest.raises(DeadlineExceededError):
        session.run(got)


def test_a_wait_inside_a_loop_ends_too():
    queue = scalars()
    total = tf.while_loop(lambda n, s: n < 3, lambda n, s: (n + 1, s + queue.dequeue()), (0, 0.0))
    with tf.Session() as session:
        session.run(queue.enqueue_many([[1.0, 2.0, 3.0]]))
        assert session.run(total) == (3, 6)
        running = Running(session, total)
        waiting("q", session)
    assert isinstance(running.ended().error, CancelledError)


def test_other_runs_go_on_while_one_waits():
    queue, step = scalars(), tf.Variable(0.0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        running = Running(session, tf.assign_add(step, queue.dequeue()))
        waiting("q", session)
        assert session.run(tf.assign_add(step, 1.0)) == 1
        session.run(queue.enqueue(10.0))
        assert running.ended().value == 11


def test_sessions_have_queues_of_their_own():
    queue = scalars()
    with tf.Session() as first, tf.Session() as second:
        first.run(queue.enqueue(1.0))
        assert [first.run(queue.size()), second.run(queue.size())] == [1, 0]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (lambda **k: tf.FIFOQueue(10, tf.float32, **k), lambda **k: tf.FIFOQueue(11, tf.float32, **k),
         "has capacity 10 but requested capacity was 11"),
        (lambda **k: tf.FIFOQueue(10, tf.float32, **k), lambda **k: tf.FIFOQueue(10, tf.int32, **k),
         "component types float32 but requested component types were int32"),
        (lambda **k: tf.FIFOQueue(10, tf.float32, shapes=[(2,)], **k),
         lambda **k: tf.FIFOQueue(10, tf.float32, shapes=[()], **k),
         r"component shapes \[\[2\]\] but requested component shapes were \[\[\]\]"),
        (lambda **k: tf.RandomShuffleQueue(10, 5, tf.float32, seed=1, **k),
         lambda **k: tf.RandomShuffleQueue(10, 2, tf.float32, seed=2, **k),
         r"min_after_dequeue 5 but requested min_after_dequeue was 2; .* random seeds \(87654321, 1\)"),
        (lambda **k: tf.FIFOQueue(10, tf.float32, **k),
         lambda **k: tf.RandomShuffleQueue(10, 2, tf.float32, **k), "has type FIFOQueue"),
    ],
)  # fmt: skip
def test_who_shares_a_queue_must_promise_the_same(first, second, what):
    first, same, second = (make(shared_name="s") for make in (first, first, second))
    with tf.Session() as session:
        assert session.run([first.size(), same.size()]) == [0, 0]
        for _ in range(2):
            with pytest.raises(InvalidArgumentError, match=what):
                session.run(second.size())


def test_unknown_sizes_of_shared_padding_queues_fit_any():
    first = tf.PaddingFIFOQueue(10, tf.float32, shapes=[(None,)], shared_name="s")
    second = tf.PaddingFIFOQueue(10, tf.float32, shapes=[(2,)], shared_name="s")
    with tf.Session() as session:
        assert session.run([first.size(), second.size()]) == [0, 0]


def test_padding_fills_with_zeros_and_empty_strings():
    queue = tf.PaddingFIFOQueue(10, [tf.float32, tf.string], shapes=[(None, 2), (None,)])
    with tf.Session() as session:
        session.run(queue.enqueue((np.ones((1, 2)), ["a", "b"])))
        session.run(queue.enqueue((np.ones((2, 2)), ["c"])))
        numbers, words = session.run(queue.dequeue_many(2))
        nothing = session.run(queue.dequeue_many(0))
    assert numbers.tolist() == [[[1, 1], [0, 0]], [[1, 1], [1, 1]]]
    assert words.tolist() == [[b"a", b"b"], [b"c", b""]]
    assert [part.shape for part in nothing] == [(0, 0, 2), (0, 0)]


def test_random_queues_shuffle_as_tensorflows_do():
    queue = tf.RandomShuffleQueue(20, 2, tf.int32, shapes=[()], seed=3)
    with tf.Session() as session:
        session.run(queue.enqueue_many([list(range(12))]))
        assert session.run(queue.dequeue_many(5)).tolist() == [11, 3, 0, 8, 7]
        assert session.run(queue.dequeue()) == 10
        session.run(queue.enqueue_many([list(range(12, 16))]))
        session.run(queue.close())
        rest = session.run(queue.dequeue_up_to(50)).tolist()
    assert rest == [12, 4, 1, 14, 9, 15, 5, 2, 13, 6]


def test_names_make_dicts():
    queue = tf.FIFOQueue(10, [tf.float32, tf.int32], names=["a", "b"], shapes=[(), ()])
    with tf.Session() as session:
        session.run(queue.enqueue({"b": 2, "a": 1.0}))
        assert session.run(queue.dequeue()) == {"a": 1.0, "b": 2}
    with pytest.raises(ValueError, match="must enqueue a dictionary"):
        queue.enqueue((1.0, 2))
    with pytest.raises(ValueError, match=r"\['a', 'c'\],Queue: \['a', 'b'\]"):
        queue.enqueue({"a": 1.0, "c": 2})
    with pytest.raises(ValueError, match="must have names"):
        scalars().enqueue({"a": 1.0})


def test_the_queue_of_an_index_is_chosen_while_running():
    queues = [tf.FIFOQueue(10, tf.float32, shapes=[()]) for _ in range(2)]
    index = tf.placeholder(tf.int32, [])
    chosen = tf.QueueBase.from_list(index, queues)
    got = chosen.dequeue()
    assert got.shape.as_list() == []
    with tf.Session() as session:
        session.run([queues[0].enqueue(1.0), queues[1].enqueue(2.0)])
        assert [session.run(got, {index: i}) for i in (1, 0)] == [2, 1]
        with pytest.raises(InvalidArgumentError):
            session.run(chosen.size(), {index: 2})
    with pytest.raises(TypeError, match="matching component dtypes"):
        tf.QueueBase.from_list(index, [queues[0], tf.FIFOQueue(1, tf.int32)])
    with pytest.raises(TypeError, match="list of queues"):
        tf.QueueBase.from_list(index, [1])


def test_what_does_not_fit_is_refused_while_building():
    queue = tf.FIFOQueue(10, [tf.float32, tf.int32], shapes=[(2,), ()])
    for wrong, match in [
        (lambda: queue.enqueue(([1, 2, 3], 3)), r"\(3,\) and \(2,\)"),
        (lambda: queue.enqueue(([1, 2],)), "2 components, got 1"),
        (lambda: queue.enqueue_many(([[1, 2]], [3, 4])), "incompatible"),
        (lambda: queue.enqueue_many(([1, 2], 3)), "incompatible"),
        (lambda: tf.FIFOQueue(10, [tf.float32, tf.int32], shapes=[()]), "len\\(shapes\\)=1"),
        (lambda: tf.FIFOQueue(10, tf.float32, shapes=[(None,)]), "fully defined"),
        (lambda: tf.PaddingFIFOQueue(10, tf.float32, shapes=None), "must be provided"),
        (lambda: tf.FIFOQueue(10, tf.float32, names=["a", "b"]), "len\\(names\\)=2"),
    ]:
        with pytest.raises(ValueError, match=match):
            wrong()
    with pytest.raises(TypeError):
        queue.enqueue(([1, 2], "a"))


def test_queues_without_shapes_give_no_batches():
    queue = tf.FIFOQueue(10, tf.float32)
    with tf.Session() as session:
        session.run(queue.enqueue_many([[1.0, 2.0]]))
        with pytest.raises(
            InvalidArgumentError, match="require the components to have specified shapes"
        ):
            session.run(queue.dequeue_many(2))


def test_queues_come_back_with_their_graph():
    scalars()
    tf.get_default_graph().get_tensor_by_name("q:0")
    queue = tf.FIFOQueue(3, tf.float32, shapes=[(2,)], name="p")
    queue.enqueue(tf.ones([2]), name="put")
    queue.dequeue(name="got")
    definition = tf.get_default_graph().as_graph_def()
    with tf.Graph().as_default():
        put, got = tf.import_graph_def(definition, return_elements=["put", "got:0"], name="")
        with tf.Session() as session:
            session.run(put)
            assert session.run(got).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("capacity", "kept", "message"),
    [(10, -1, "min_after_dequeue -1 must be >= 0"), (2, 2, "min_after_dequeue 2 must be < capacity 2")],
)  # fmt: skip
def test_a_shuffled_queue_keeps_fewer_than_it_holds(capacity, kept, message):
    queue = tf.RandomShuffleQueue(capacity, kept, tf.int32)
    with tf.Session() as session, pytest.raises(InvalidArgumentError, match=message):
        session.run(queue.size())


def test_the_rank_of_what_is_padded_is_known():
    with pytest.raises(ValueError, match="must have a rank that is known"):
        tf.PaddingFIFOQueue(10, [tf.int32], shapes=[None])
