"""Batches and inputs through queues: values, order, ends, sparse tensors, what is kept; node names are TensorFlow's."""

from contextlib import contextmanager

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, OutOfRangeError


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


@contextmanager
def filled():
    """A session whose queues are being filled."""
    coord = tf.train.Coordinator()
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        threads = tf.train.start_queue_runners(session, coord)
        yield session
        coord.request_stop()
        coord.join(threads, stop_grace_period_secs=20)


def counted(limit):
    """A number that grows with every run, below `limit`."""
    return tf.train.range_input_producer(limit, num_epochs=1, shuffle=False).dequeue()


def all_of(fetches):
    """What the runs give until there is no more."""
    with filled() as session:
        found = []
        with pytest.raises(OutOfRangeError):
            while True:
                found.append(session.run(fetches))
    return found


def test_batches_are_full_unless_a_smaller_last_one_is_allowed():
    number = counted(7)
    whole = tf.train.batch([number, number * 10], 3)
    assert [t.shape.as_list() for t in whole] == [[3], [3]]
    found = all_of(whole)
    assert [part.tolist() for pair in found for part in pair] == [
        [0, 1, 2], [0, 10, 20], [3, 4, 5], [30, 40, 50]]  # fmt: skip


def test_a_smaller_last_batch():
    batch = tf.train.batch([counted(7)], 3, allow_smaller_final_batch=True)
    assert batch.shape.as_list() == [None]
    assert [part.tolist() for part in all_of(batch)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_dicts_come_back_as_dicts():
    number = counted(4)
    batch = tf.train.batch({"b": number, "a": tf.constant("x")}, 2)
    found = all_of(batch)
    assert [list(part) for part in found] == [["a", "b"]] * 2
    assert found[1]["b"].tolist() == [2, 3]
    assert found[1]["a"].tolist() == [b"x", b"x"]


def test_tensors_of_many_examples():
    place = counted(3)
    examples = tf.stack([place * 2, place * 2 + 1])
    assert [b.tolist() for b in all_of(tf.train.batch([examples], 3, enqueue_many=True))] == [
        [0, 1, 2],
        [3, 4, 5],
    ]


def test_several_threads_lose_and_double_nothing():
    batch = tf.train.batch([counted(60)], 5, num_threads=4)
    assert sorted(np.concatenate(all_of(batch)).tolist()) == list(range(60))


def test_several_sources_are_joined():
    first, second = counted(10), counted(10) + 100
    found = np.concatenate(all_of(tf.train.batch_join([[first], [second]], 4)))
    assert sorted(found.tolist()) == [*range(10), *range(100, 110)]


def test_shuffled_batches_hold_everything_in_another_order():
    batch = tf.train.shuffle_batch([counted(50)], 10, capacity=40, min_after_dequeue=20, seed=5)
    found = np.concatenate(all_of(batch)).tolist()
    assert sorted(found) == list(range(50))
    assert found != sorted(found)


def test_shuffled_sources_are_joined():
    sources = [[counted(20)], [counted(20) + 100]]
    batch = tf.train.shuffle_batch_join(sources, 10, capacity=30, min_after_dequeue=10, seed=5)
    found = np.concatenate(all_of(batch)).tolist()
    assert sorted(found) == [*range(20), *range(100, 120)]


def test_batches_are_padded():
    number = counted(4)
    batch = tf.train.batch([tf.range(number)], 2, dynamic_pad=True)
    assert [part.tolist() for part in all_of(batch)] == [[[0], [0]], [[0, 1, 0], [0, 1, 2]]]


def even(number):
    return tf.equal(number % 2, 0)


def test_only_what_is_kept_gets_into_batches():
    number = counted(8)
    assert [b.tolist() for b in all_of(tf.train.maybe_batch([number], even(number), 2))] == [
        [0, 2],
        [4, 6],
    ]


def test_of_many_examples_each_is_kept_or_not():
    place = counted(3)
    examples = tf.stack([place * 2, place * 2 + 1])
    batch = tf.train.maybe_batch([examples], even(examples), 3, enqueue_many=True)
    assert [part.tolist() for part in all_of(batch)] == [[0, 2, 4]]


def test_nothing_is_kept_where_that_is_known():
    batch = tf.train.maybe_shuffle_batch([counted(3)], 2, 4, 1, False)
    assert all_of(batch) == []


def sparse(number):
    return tf.SparseTensor(tf.cast([[number]], tf.int64), [tf.cast(number, tf.float32)], [9])


def test_sparse_tensors_are_batched():
    number = counted(6)
    batch = tf.train.batch([sparse(number), number], 3)
    assert batch[0].dense_shape.shape.as_list() == [2]
    found = all_of(batch)
    assert len(found) == 2
    value, numbers = found[1]
    assert numbers.tolist() == [3, 4, 5]
    assert value.indices.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert value.values.tolist() == [3, 4, 5]
    assert value.dense_shape.tolist() == [3, 9]


@pytest.mark.parametrize("many", [False, True])
def test_sparse_tensors_are_kept_or_not(many):
    number = counted(6)
    if many:
        value = tf.SparseTensor(tf.cast([[0, number], [1, 7]], tf.int64), [1.0, 2.0], [2, 9])
        batch = tf.train.maybe_batch([value], even(number), 2, enqueue_many=True)
    else:
        batch = tf.train.maybe_batch([sparse(number)], even(number), 3)
    found = all_of(batch)
    if many:
        assert [b.indices.tolist() for b in found] == [[[0, n], [1, 7]] for n in (0, 2, 4)]
    else:
        assert [b.indices.tolist() for b in found] == [[[0, 0], [1, 2], [2, 4]]]


def test_sparse_examples_are_kept_one_by_one():
    number = counted(4)
    value = tf.SparseTensor(tf.cast([[0, number], [1, 7]], tf.int64), [1.0, 2.0], [2, 9])
    keep = tf.stack([even(number), tf.constant(False)])
    batch = tf.train.maybe_batch([value], keep, 2, enqueue_many=True)
    assert [b.indices.tolist() for b in all_of(batch)] == [[[0, 0], [1, 2]]]


def test_sparse_sources_share_a_map():
    first, second = counted(3), counted(3) + 3
    batch = tf.train.batch_join([[sparse(first)], [sparse(second)]], 6)
    (found,) = all_of(batch)
    assert sorted(found.indices[:, 1].tolist()) == list(range(6))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda one, _: tf.train.batch([], 4), ValueError, "at least one tensor in batch"),
        (lambda one, _: tf.train.batch_join([], 4), ValueError, "at least one set of tensors"),
        (lambda one, _: tf.train.batch(one, 4), TypeError, "lists or dicts"),
        (lambda one, _: tf.train.maybe_batch([one], [True], 4), ValueError, "cannot be a vector"),
        (lambda one, _: tf.train.maybe_batch([one], [[True]], 4), ValueError, "0 or 1 dimensions"),
        (lambda one, x: tf.train.batch([x], 4), ValueError, "Cannot infer Tensor's rank"),
        (lambda one, x: tf.train.batch([tf.reshape(x, [-1])], 4), ValueError, "fully defined"),
        (lambda one, x: tf.train.batch_join([[one], [x]], 4), TypeError, "types to be consistent"),
        (lambda one, _: tf.train.batch_join([[one], [one, one]], 4), ValueError, "same number"),
        (lambda one, _: tf.train.batch_join([{"a": one}, {"b": one}], 4), ValueError, "same keys"),
        (lambda one, _: tf.train.shuffle_batch([one], 4, 5, 5), ValueError, "capacity 5 must be bigger"),
        (lambda one, _: tf.train.batch_join([[sparse(one)], [one]], 4), TypeError, "all sources or in none"),
    ],
)  # fmt: skip
def test_what_makes_no_batch_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make(tf.constant(1), tf.placeholder(tf.float32))


def test_how_full_queues_are_is_summarized(graph):
    tf.train.shuffle_batch([counted(3)], 2, capacity=30, min_after_dequeue=10)
    assert [s.op.name for s in graph.get_collection("summaries")] == [
        "input_producer/fraction_of_32_full", "shuffle_batch/fraction_over_10_of_20_full"]  # fmt: skip


def test_strings_come_round_and_round():
    queue = tf.train.string_input_producer(["a", "b"], num_epochs=2, shuffle=False)
    assert queue.name == "input_producer"
    assert all_of(queue.dequeue()) == [b"a", b"b", b"a", b"b"]


def test_without_a_number_of_epochs_there_is_no_end():
    got = tf.train.string_input_producer(["a", "b"], seed=1).dequeue_many(101)
    with filled() as session:
        found = session.run(got).tolist()
    assert set(found) == {b"a", b"b"}
    assert all(set(found[i : i + 2]) == {b"a", b"b"} for i in range(0, 100, 2))


def test_no_strings_are_refused_at_once_or_when_running():
    with pytest.raises(ValueError, match="non-null input tensor"):
        tf.train.string_input_producer([])
    queue = tf.train.string_input_producer(
        tf.placeholder_with_default(np.array([], object), [None])
    )
    runner = tf.get_collection("queue_runners")[0]
    with tf.Session() as session:
        for thread in runner.create_threads(session, start=True):
            thread.join(20)
    assert isinstance(runner.exceptions_raised[0], InvalidArgumentError)
    assert "non-null" in str(runner.exceptions_raised[0])
    assert queue.shapes == [tf.TensorShape([])]


def test_slices_of_tensors_stay_together():
    pair = tf.train.slice_input_producer([[1, 2, 3], [[10], [20], [30]]], num_epochs=1, seed=2)
    assert [t.shape.as_list() for t in pair] == [[], [1]]
    found = all_of(pair)
    assert sorted(int(one) for one, _ in found) == [1, 2, 3]
    assert all(ten.tolist() == [10 * one] for one, ten in found)


def test_shapes_of_inputs_must_be_known():
    with pytest.raises(ValueError, match="fully defined shape or `element_shape`"):
        tf.train.input_producer(tf.placeholder(tf.float32, [None, None]))
    queue = tf.train.input_producer(tf.placeholder(tf.float32, [None, None]), element_shape=[3])
    assert queue.shapes == [tf.TensorShape([3])]


def test_epochs_are_counted():
    limited = tf.train.limit_epochs(tf.constant([7]), num_epochs=2)
    assert [v.tolist() for v in all_of(limited)] == [[7], [7]]
    same = tf.constant([7])
    assert tf.train.limit_epochs(same) is same
    with pytest.raises(ValueError, match="num_epochs must be > 0 not 0"):
        tf.train.limit_epochs(same, 0)


def test_files_are_matched_once(tmp_path):
    (tmp_path / "a.txt").touch()
    names = tf.train.match_filenames_once(str(tmp_path / "*.txt"))
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        (tmp_path / "b.txt").touch()
        assert session.run(names).tolist() == [str(tmp_path / "a.txt").encode()]
