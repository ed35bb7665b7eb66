"""Elements that are made ahead, or several at a time: order, errors, places, ends of threads."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import CancelledError, InvalidArgumentError
from ckpt.ops import dataset_threads
from ckpt.ops.dataset_threads import Ahead, MadeAhead, Pace, Together, waiting_by
from ckpt.ops.iterator_state import packed, unpacked

LONG = 20  # seconds after which a test has failed


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


@pytest.fixture
def always_long(monkeypatch):
    """Have threads however short the work."""
    monkeypatch.setattr(Pace, "add", lambda self, seconds: None)


class Numbers:
    """A position in the elements (0,), (1,), … before `count`; `wrong` numbers raise instead."""

    def __init__(self, count=1000, wrong=(), gate=None):
        self.count, self.wrong, self.gate = count, set(wrong), gate
        self.number, self.is_closed = 0, False

    def __next__(self):
        if self.gate is not None:
            self.gate.acquire()
        if self.number >= self.count:
            raise StopIteration
        self.number += 1
        if self.number - 1 in self.wrong:
            raise InvalidArgumentError(None, None, f"number {self.number - 1} is wrong")
        return (self.number - 1,)

    def save(self):
        return self.number

    def load(self, state):
        self.number = state

    def close(self):
        self.is_closed = True


def all_of(position):
    """Its elements, an error standing for itself as its message."""
    found = []
    while True:
        try:
            found.append(next(position)[0])
        except StopIteration:
            return found
        except InvalidArgumentError as error:
            found.append(str(error))


def expected(count, wrong):
    return [f"number {n} is wrong" if n in wrong else n for n in range(count)]


def doubled(element):
    return (2 * element[0],)


KINDS = {
    "ahead": lambda source: MadeAhead(source, 3),
    "one ahead": lambda source: MadeAhead(source, 1),
    "none ahead": lambda source: MadeAhead(source, 0),
    "in turns": lambda source: MadeAhead(source, 3, threading.Semaphore(1)),
    "together": lambda source: Together(source, lambda element: element, 4),
    "one by one": lambda source: Together(source, lambda element: element, 1),
}


@pytest.mark.usefixtures("always_long")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 12), wrong=st.sets(st.integers(0, 11)))
def test_elements_and_errors_come_in_their_order(kind, count, wrong):
    position = KINDS[kind](Numbers(count, wrong))
    assert all_of(position) == expected(count, {n for n in wrong if n < count})
    assert all_of(position) == []


@pytest.mark.usefixtures("always_long")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(used=st.integers(0, 8), wrong=st.sets(st.integers(0, 7)))
def test_what_is_saved_counts_what_was_used(kind, used, wrong):
    position = KINDS[kind](Numbers(8, wrong))
    before = []
    for _ in range(used):
        try:
            before.append(next(position)[0])
        except InvalidArgumentError as error:
            before.append(str(error))
    state = unpacked(packed(position.save()))
    again = KINDS[kind](Numbers(8, wrong))
    again.load(state)
    assert before + all_of(again) == expected(8, wrong)
    assert before + all_of(position) == expected(8, wrong)


@pytest.mark.usefixtures("always_long")
def test_no_more_is_made_ahead_than_there_is_room_for():
    source = Numbers()
    position = MadeAhead(source, 3)
    next(position)
    for _ in range(LONG * 1000):
        if source.number == 4:
            break
        time.sleep(0.001)
    time.sleep(0.01)
    assert source.number == 4  # one was used, three are made


def test_calls_run_side_by_side():
    meeting = threading.Barrier(3)

    def met(element):
        meeting.wait(LONG)
        return element

    assert all_of(Together(Numbers(9), met, 3)) == list(range(9))


def test_short_work_is_done_by_who_wants_it():
    threads = set()

    def noted(element):
        threads.add(threading.get_ident())
        return element

    position = Together(Numbers(3000), noted, 4)
    for _ in range(2000):
        next(position)
    threads.clear()
    for _ in range(100):
        next(position)
    assert threads == {threading.get_ident()}


def test_threads_come_back_when_work_becomes_long():
    pace = Pace()
    for _ in range(dataset_threads.MEASURED):
        pace.add(1e-6)
    assert not pace.is_long
    for _ in range(dataset_threads.MEASURED):
        pace.add(1e-2)
    assert pace.is_long


@pytest.mark.usefixtures("always_long")
def test_the_thread_ends_when_nobody_holds_the_position():
    before = threading.active_count()
    source = Numbers()
    position = MadeAhead(source, 2)
    next(position)
    del position
    gc.collect()
    for _ in range(LONG * 1000):
        if threading.active_count() <= before:
            break
        time.sleep(0.001)
    assert source.is_closed


def test_whoever_waits_for_an_element_may_give_up():
    gate = threading.Semaphore(1)
    position = Ahead(Numbers(gate=gate), 2)
    assert next(position) == (0,)

    def give_up(condition):
        raise CancelledError(None, None, "enough")

    with waiting_by(give_up), pytest.raises(CancelledError, match="enough"):
        next(position)
    gate.release(2)
    assert next(position) == (1,)
    position.close()
    gate.release(100)


@pytest.mark.usefixtures("always_long")
def test_a_closed_position_gives_no_more_than_was_made():
    position = Ahead(Numbers(), 2)
    next(position)
    position.close()
    with pytest.raises(CancelledError, match="given up"):
        for _ in range(10):
            next(position)


# In sessions


def sleeping(numbers):
    time.sleep(0.002)
    return numbers


def slow(x):
    return tf.py_func(sleeping, [x], tf.int64)


def values(dataset, count):
    element = dataset.make_one_shot_iterator().get_next()
    with tf.Session() as session:
        return [session.run(element).tolist() for _ in range(count)]


PIPELINES = {
    "map": lambda d: d.map(lambda x: slow(x) * 2, num_parallel_calls=4),
    "map all": lambda d: d.map(lambda x: slow(x) * 2, num_parallel_calls=tf.data.AUTOTUNE),
    "prefetch": lambda d: d.map(lambda x: slow(x) * 2).prefetch(3),
    "both": lambda d: d.map(slow, 3).prefetch(2).map(lambda x: x * 2, 2).prefetch(tf.data.AUTOTUNE),
    "repeated": lambda d: d.take(5).map(lambda x: slow(x) * 2, 3).prefetch(2).repeat().take(20).map(lambda x: x),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_keep_their_order(name):
    found = values(PIPELINES[name](tf.data.Dataset.range(100)), 20)
    period = 5 if name == "repeated" else 100
    assert found == [2 * (n % period) for n in range(20)]


def test_interleaved_datasets_are_read_side_by_side_in_order():
    meeting = threading.Barrier(2)

    def met(number):
        if number in (0, 10):  # the first elements of the first two of the four inner datasets
            meeting.wait(LONG)
        return number

    def inner(x):
        numbers = tf.data.Dataset.range(4)
        return numbers.map(lambda y: tf.py_func(met, [10 * x + y], tf.int64))

    four = tf.data.Dataset.range(4)
    serial = tf.data.Dataset.range(4).interleave(
        lambda x: tf.data.Dataset.range(4).map(lambda y: 10 * x + y), 2, 2
    )
    together = four.interleave(inner, 2, 2, num_parallel_calls=2)
    assert values(together, 16) == values(serial, 16)


def test_an_error_is_raised_at_its_element_and_the_rest_follows():
    checked = tf.data.Dataset.range(6).map(
        lambda x: tf.check_numerics(1.0 / (tf.cast(slow(x), tf.float32) - 3.0), "three"), 4
    )
    element = checked.prefetch(2).make_one_shot_iterator().get_next()
    with tf.Session() as session:
        for number in range(6):
            if number == 3:
                with pytest.raises(tf.errors.InvalidArgumentError, match="three"):
                    session.run(element)
            else:
                assert session.run(element) == np.float32(1.0 / (number - 3.0))
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(element)


def hanging(gate):
    """An element that is made when the gate opens, the first but one of a dataset that is made ahead."""

    def wait(number):
        if number:
            gate.wait(LONG)
        return number

    return tf.data.Dataset.range(9).map(lambda x: tf.py_func(wait, [x], tf.int64)).prefetch(1)


def test_closing_the_session_ends_a_run_that_waits_for_an_element():
    gate, errors = threading.Event(), []
    element = hanging(gate).make_one_shot_iterator().get_next()
    session = tf.Session()
    assert session.run(element) == 0

    def wait():
        try:
            session.run(element)
        except tf.errors.CancelledError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.05)
    session.close()
    thread.join(LONG)
    gate.set()
    assert len(errors) == 1


def test_a_time_limit_ends_a_run_that_waits_and_loses_no_element():
    gate = threading.Event()
    element = hanging(gate).make_one_shot_iterator().get_next()
    with tf.Session() as session:
        assert session.run(element) == 0
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(element, options=tf.RunOptions(timeout_in_ms=30))
        gate.set()
        assert [session.run(element) for _ in range(3)] == [1, 2, 3]


def test_an_iterator_that_begins_again_is_not_disturbed_by_what_was_made_before():
    dataset = tf.data.Dataset.range(50).map(slow, 3).prefetch(3)
    iterator = dataset.make_initializable_iterator()
    element = iterator.get_next()
    with tf.Session() as session:
        for count in (1, 5, 2):
            session.run(iterator.initializer)
            assert [session.run(element) for _ in range(count)] == list(range(count))


def test_a_checkpoint_goes_on_behind_the_last_element_that_was_used(tmp_path):
    dataset = (
        tf.data.Dataset.range(40).shuffle(10, seed=5).map(lambda x: x * 2, 4).batch(3).prefetch(4)
    )
    iterator = dataset.make_initializable_iterator()
    element = iterator.get_next()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    saver = tf.train.Saver({"iterator": saveable})
    with tf.Session() as session:
        session.run(iterator.initializer)
        first = [session.run(element).tolist() for _ in range(4)]
        path = saver.save(session, str(tmp_path / "model"))
        rest = [session.run(element).tolist() for _ in range(5)]
    with tf.Session() as session:
        session.run(iterator.initializer)
        saver.restore(session, path)
        again = [session.run(element).tolist() for _ in range(5)]
    assert again == rest
    assert not {n for batch in first for n in batch} & {n for batch in rest for n in batch}


def test_a_session_that_nobody_closed_ends_its_threads_when_it_is_gone():
    before = set(threading.enumerate())
    element = tf.data.Dataset.range(10**6).map(slow).prefetch(2).make_one_shot_iterator().get_next()
    session = tf.Session()
    assert [session.run(element) for _ in range(3)] == [0, 1, 2]
    state = weakref.ref(session.state)
    del session
    for _ in range(LONG * 100):
        gc.collect()
        if state() is None:
            break
        time.sleep(0.01)
    assert state() is None
    assert [t for t in threading.enumerate() if t not in before and t.name == "ckpt-ahead"] == []
