"""Chains of a thousand datasets are gone through, saved and restored, whatever they are made of."""

import threading

import pytest

import ckpt as tf
from ckpt.core.errors import CancelledError, DataLossError, InvalidArgumentError
from ckpt.ops import dataset_depth
from ckpt.ops.dataset_threads import wait_for, waiting_by
from ckpt.ops.datasets import Elements, Position
from ckpt.ops.datasets_order import concatenate_dataset, derived

Data = tf.data.Dataset
DEEP = 1000


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


def chain(step, dataset, number=DEEP):
    for _ in range(number):
        dataset = step(dataset)
    return dataset


def drawn(session, following, most=9):
    found = []
    try:
        while len(found) < most:
            found.append(session.run(following).tolist())
    except tf.errors.OutOfRangeError:
        pass
    return found


def elements(dataset):
    iterator = dataset.make_initializable_iterator()
    following = iterator.get_next()
    with tf.Session() as session:
        session.run(iterator.initializer)
        return drawn(session, following, most=2000)


def mixed(dataset):
    """Ten datasets more, and the same elements but for 2: seven numbers in batches of two stay seven."""
    return (
        dataset.skip(0).map(lambda v: v).filter(lambda v: v >= 0).shuffle(1).cache().prefetch(1)
        .batch(2).apply(tf.data.experimental.unbatch()).repeat(1).take(-1)
    )  # fmt: skip


def test_a_thousand_concatenations():
    """TensorFlow gives the same."""
    numbers = Data.range(3)
    assert (
        elements(chain(lambda d: d.concatenate(numbers.take(1)), numbers)) == [0, 1, 2] + [0] * DEEP
    )
    assert elements(chain(lambda d: numbers.take(1).concatenate(d), numbers)) == [0] * DEEP + [
        0,
        1,
        2,
    ]


def test_a_chain_of_concatenations_is_one_dataset_of_many_parts():
    made = low = Elements([tf.int64], [tf.TensorShape([])], [(1,)])
    for _ in range(5):
        made = concatenate_dataset.kernel(made, low, output_types=low.types, output_shapes=low.shapes)  # fmt: skip
    assert made.inputs == (low,) * 6
    assert (made.depth, made.cardinality) == (1, 6)


@pytest.mark.parametrize("step", [
    lambda d: d.map(lambda v: v), lambda d: Data.zip((d, Data.range(9))).map(lambda a, b: a), lambda d: d.repeat(1),
    lambda d: d.flat_map(Data.from_tensors), lambda d: d.map(lambda v: v, num_parallel_calls=2),
], ids=["map", "zip", "repeat", "flat_map", "parallel map"])  # fmt: skip
def test_a_thousand_of_one_kind(step):
    assert elements(chain(step, Data.range(3))) == [0, 1, 2]


def test_a_thousand_of_many_kinds_go_on_where_they_were_saved():
    dataset = chain(mixed, Data.range(7), DEEP // 10)
    iterator = dataset.make_initializable_iterator()
    following = iterator.get_next()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    state = saveable.specs[0].tensor
    back = saveable.restore([state], None)
    with tf.Session() as session:
        session.run(iterator.initializer)
        assert drawn(session, following, 3) == [0, 1, 2]
        position = session.run(state)
        assert drawn(session, following) == [3, 4, 5, 6]
        session.run(back, {state: position})
        assert drawn(session, following) == [3, 4, 5, 6]


def test_how_many_there_are_is_known():
    dataset = chain(lambda d: d.skip(1), Data.range(DEEP + 3))
    with tf.Session() as session:
        assert session.run(tf.data.experimental.cardinality(dataset)) == 3


def test_errors_come_up_from_the_deepest():
    wrong = Data.range(3).map(lambda v: tf.gather([7, 8], v))
    iterator = chain(lambda d: d.skip(0), wrong).make_initializable_iterator()
    following = iterator.get_next()
    with tf.Session() as session:
        session.run(iterator.initializer)
        assert drawn(session, following, 2) == [7, 8]
        with pytest.raises(InvalidArgumentError, match="indices"):
            session.run(following)


@pytest.fixture
def apart():
    """A position on a stack of its own."""
    low = Elements([tf.int64], [tf.TensorShape([])], [(0,), (1,), (2,)])
    return dataset_depth.started(low, dataset_depth.STACKED)


def test_where_a_stack_is_full_another_begins(apart):
    low = apart.dataset
    assert type(dataset_depth.started(low, dataset_depth.STACKED - 1)) is type(low.start())
    assert apart.some(2) == [(0,), (1,)]
    state = apart.save()
    assert next(apart) == (2,)
    with pytest.raises(StopIteration):
        next(apart)
    apart.load(state)
    assert apart.some(5) == [(2,)]


def test_the_state_of_a_lower_chain_is_refused(apart):
    with pytest.raises(DataLossError, match="no saved position"):
        apart.load(apart.dataset.start().save())


def test_what_waits_ends_with_the_run_of_its_caller():
    class Waiting(Position):
        def __next__(self):
            condition = threading.Condition()
            with condition:
                wait_for(condition)

    def end(condition):
        raise CancelledError(None, None, "the session was closed")

    low = derived(Waiting, Elements([tf.int64], [tf.TensorShape([])], []))
    apart = dataset_depth.started(low, dataset_depth.STACKED)
    with waiting_by(end), pytest.raises(CancelledError, match="closed"):
        next(apart)


def test_without_threads_the_stack_of_the_caller_must_do(apart, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert next(apart) == (0,)
