"""Datasets in programs: nests, functions, iterators and positions that checkpoints keep."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import FailedPreconditionError, InvalidArgumentError
from ckpt.ops.iterator_state import packed, unpacked

Data = tf.data.Dataset


class Point(NamedTuple):
    x: Any
    y: Any


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def elements(dataset, most=99):
    with tf.Session() as session:
        iterator = dataset.make_initializable_iterator()
        following = iterator.get_next()
        session.run(iterator.initializer)
        return drawn(session, following, most)


def drawn(session, following, most=99):
    found = []
    while len(found) < most:
        try:
            found.append(session.run(following))
        except tf.errors.OutOfRangeError:
            break
    return found


def test_namedtuples_and_dicts_keep_their_kind():
    (found,) = elements(Data.from_tensors(Point(1, {"b": 2.0, "a": "t"})))
    assert type(found) is Point
    assert found == Point(1, {"b": 2.0, "a": b"t"})
    assert list(found.y) == ["b", "a"]


def test_functions_use_what_is_around_them():
    table = tf.constant([10, 20, 30])
    scale = tf.get_variable("scale", initializer=2)
    iterator = (
        Data.range(3).map(lambda v: tf.gather(table, v) * scale).make_initializable_iterator()
    )
    following = iterator.get_next()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(iterator.initializer)
        assert drawn(session, following) == [20, 40, 60]


def test_tables_can_be_looked_up():
    table = tf.lookup.index_table_from_tensor(["a", "b"])
    iterator = (
        Data.from_tensor_slices(["b", "x", "a"]).map(table.lookup).make_initializable_iterator()
    )
    following = iterator.get_next()
    with tf.Session() as session:
        session.run([tf.tables_initializer(), iterator.initializer])
        assert drawn(session, following) == [1, -1, 0]


def test_each_session_has_its_own_place():
    following = Data.range(3).make_one_shot_iterator().get_next()
    with tf.Session() as one, tf.Session() as other:
        assert [one.run(following), one.run(following), other.run(following)] == [0, 1, 0]


def test_one_run_takes_one_element_however_often_it_is_used():
    following = Data.range(9).make_one_shot_iterator().get_next()
    with tf.Session() as session:
        assert session.run([following, following + 1, following * 2]) == [0, 1, 0]
        assert session.run(following) == 1


def test_a_batch_is_trained_on():
    x = np.linspace(-1, 1, 40, dtype=np.float32)
    dataset = Data.from_tensor_slices((x, 3 * x + 1)).shuffle(40, seed=1).repeat(30).batch(8)
    inputs, labels = dataset.make_one_shot_iterator().get_next()
    w, b = tf.get_variable("w", initializer=0.0), tf.get_variable("b", initializer=0.0)
    loss = tf.reduce_mean(tf.square(inputs * w + b - labels))
    step = tf.train.GradientDescentOptimizer(0.3).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.OutOfRangeError, match="End of sequence"):
            while True:
                session.run(step)
        np.testing.assert_allclose(session.run([w, b]), [3, 1], atol=1e-3)


def test_the_pipeline_of_a_metagraph_runs(tmp_path):
    iterator = (
        Data.range(6).filter(lambda v: v > 1).map(lambda v: v * v).make_initializable_iterator()
    )
    name = iterator.get_next(name="following")[...].op.inputs[0].name
    tf.train.export_meta_graph(str(tmp_path / "graph.meta"))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(str(tmp_path / "graph.meta"))
        session.run("MakeIterator")
        assert drawn(session, name) == [4, 9, 16, 25]


def test_an_exported_graph_is_the_same_when_it_is_imported_and_exported_again():
    Data.range(6).map(lambda v: v * v).batch(2).make_one_shot_iterator().get_next()
    first = tf.get_default_graph().as_graph_def()
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(first, name="")
        again = graph.as_graph_def()
    assert {n.name for n in first.node} == {n.name for n in again.node}
    assert {f.signature.name for f in first.library.function} == {
        f.signature.name for f in again.library.function
    }


PIPELINES = {
    "range": lambda d: d,
    "shuffled": lambda d: d.shuffle(4, seed=2).repeat(2),
    "shuffled alike": lambda d: d.shuffle(4, seed=2, reshuffle_each_iteration=False).repeat(2),
    "batches": lambda d: d.batch(3),
    "filtered": lambda d: d.filter(lambda v: tf.equal(v % 3, 0)).repeat(2),
    "interleaved": lambda d: d.interleave(lambda v: Data.range(v).shuffle(3, seed=v), 3, 2),
    "flat": lambda d: d.flat_map(lambda v: Data.from_tensors(v).repeat(2)),
    "cached": lambda d: d.cache().repeat(3),
    "zipped": lambda d: Data.zip((d, d.skip(2).map(lambda v: v * 2))),
    "concatenated": lambda d: d.take(3).concatenate(d.shard(2, 1)).prefetch(2),
    "pieces": lambda d: d.batch(3).unbatch(),
    "taken": lambda d: d.take_while(lambda v: v < 6).enumerate(),
    "strings": lambda d: d.map(tf.as_string).shuffle(3, seed=1).batch(2),
    "sparse": lambda d: d.map(lambda v: tf.SparseTensor([[0]], tf.reshape(v, [1]), [3])).shuffle(3, seed=1).batch(2),
}  # fmt: skip


def flat(value):
    return [np.asarray(part).tolist() for part in tf.nest.flatten(value)]


@pytest.mark.parametrize("name", PIPELINES)
@settings(max_examples=6, deadline=None)
@given(passed=st.integers(0, 25))
def test_iteration_goes_on_where_a_saved_position_says(name, passed):
    with tf.Graph().as_default(), tf.Session() as session:
        iterator = PIPELINES[name](Data.range(8)).make_initializable_iterator()
        following = iterator.get_next()
        saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
        state = saveable.specs[0].tensor
        back = saveable.restore([state], None)
        session.run(iterator.initializer)
        drawn(session, following, passed)
        position = session.run(state)
        rest = [flat(v) for v in drawn(session, following)]
        with tf.Session() as other:
            other.run(iterator.initializer)
            drawn(other, following, 3)
            other.run(back, {state: position})
            assert [flat(v) for v in drawn(other, following)] == rest


def test_a_checkpoint_brings_the_position_back(tmp_path):
    iterator = Data.range(20).shuffle(5, seed=3).make_initializable_iterator()
    following = iterator.get_next()
    weight = tf.get_variable("weight", initializer=1.0)
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, saveable)
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run([iterator.initializer, weight.initializer])
        drawn(session, following, 7)
        path = saver.save(session, str(tmp_path / "model"))
        rest = drawn(session, following)
    with tf.Session() as session:
        session.run(iterator.initializer)
        saver.restore(session, path)
        assert drawn(session, following) == rest
        assert len(rest) == 13


def test_a_position_of_another_pipeline_is_refused():
    first = Data.range(5).batch(2).make_initializable_iterator()
    second = Data.range(5).repeat(2).make_initializable_iterator()
    state = tf.data.experimental.make_saveable_from_iterator(first).specs[0].tensor
    back = tf.data.experimental.make_saveable_from_iterator(second).restore([state], None)
    with tf.Session() as session:
        session.run([first.initializer, second.initializer])
        with pytest.raises(InvalidArgumentError, match="restore it into the pipeline"):
            session.run(back)


def test_a_restore_that_fails_leaves_the_iterator_where_it_is():
    iterator = Data.range(9).batch(2).skip(1).make_initializable_iterator()
    following = iterator.get_next()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    state = saveable.specs[0].tensor
    back = saveable.restore([state], None)
    with tf.Session() as session:
        session.run(iterator.initializer)
        session.run(following)
        name, fields, (inner,) = unpacked(session.run(state))
        for bad in (
            [name, fields, []],
            [name, [False], [["_Repeat", [], []]]],
            [name, [], [inner]],
            [name, fields, [["_Batch", [], [["_CountedPosition", [], []]]]]],
            3,
        ):
            with pytest.raises(InvalidArgumentError, match="pipeline that it was saved from"):
                session.run(back, {state: packed(bad)})
        assert session.run(following).tolist() == [4, 5]


@pytest.mark.parametrize("what", ["save", "restore"])
def test_no_position_before_the_initializer_has_run(what):
    iterator = Data.range(5).make_initializable_iterator()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    state = saveable.specs[0].tensor
    wanted = state if what == "save" else saveable.restore([state], None)
    feeds = {} if what == "save" else {state: b""}
    with tf.Session() as session, pytest.raises(FailedPreconditionError, match=what):
        session.run(wanted, feeds)


def test_the_place_of_a_generator_is_not_saved():
    iterator = Data.from_generator(lambda: iter([1, 2]), tf.int32, []).make_initializable_iterator()
    state = tf.data.experimental.make_saveable_from_iterator(iterator).specs[0].tensor
    following = iterator.get_next()
    with tf.Session() as session:
        session.run(iterator.initializer)
        session.run(following)
        with pytest.raises(FailedPreconditionError, match="PyFunc is stateful"):
            session.run(state)


def test_no_round_is_begun_that_nobody_asks_for():
    """A shuffle would draw the seeds of one, and the order of those after it be another than TensorFlow's."""
    shuffled = Data.range(8).shuffle(8, seed=3)
    assert elements(shuffled.repeat(1).repeat(3)) == elements(shuffled.repeat(3))


def test_a_generator_is_begun_anew_by_each_iteration():
    begun = []

    def counted():
        begun.append(len(begun))
        yield from (begun[-1], 7)

    assert elements(Data.from_generator(counted, tf.int32, []).repeat(2)) == [0, 7, 1, 7]


def test_a_generator_of_another_structure():
    dataset = Data.from_generator(lambda: iter([(1, 2, 3)]), (tf.int32, tf.int32))
    with pytest.raises(InvalidArgumentError, match="did not match the expected structure"):
        elements(dataset)


def test_caches_in_files_are_refused():
    with pytest.raises(InvalidArgumentError, match="keeps elements in memory only"):
        elements(Data.range(3).cache("somewhere"))


def test_a_cache_is_filled_once():
    calls = []
    counted = Data.range(3).map(lambda v: tf.py_func(lambda n: calls.append(n) or n, [v], tf.int64))
    assert elements(counted.cache().repeat(3)) == [0, 1, 2] * 3
    assert len(calls) == 3


@pytest.mark.parametrize(("build", "error", "match"), [
    (lambda: Data.zip([Data.range(2)]), TypeError, "structure of `Dataset` objects"),
    (lambda: Data.range(3).flat_map(lambda v: v), TypeError, "must return a `Dataset`"),
    (lambda: Data.range(3).map(lambda v: None), ValueError, "returns None"),
    (lambda: Data.range(3).apply(lambda d: 3), TypeError, "transformation_func"),
    (lambda: Data.range(), ValueError, "between 1 and 3"),
    (lambda: Data.range(3).reduce(0.0, lambda s, v: v), TypeError, "must match the initial state"),
    (lambda: Data.from_tensors([1, 2, 3]).padded_batch(2, [2]), ValueError, "not compatible"),
    (lambda: Data.from_tensors([1, 2, 3]).padded_batch(2, [2, 2]), ValueError, "not compatible"),
    (lambda: Data.from_tensors(1).unbatch(), ValueError, "rank >= 1"),
    (lambda: Data.from_sparse_tensor_slices(3), TypeError, "sparse_tensor"),
    (lambda: tf.data.experimental.make_saveable_from_iterator(Data.range(2).make_one_shot_iterator(), "ignore"), ValueError,
     "external_state_policy"),
])  # fmt: skip
def test_what_cannot_be_built(build, error, match):
    with pytest.raises(error, match=match):
        build()


def test_handles_of_other_sessions_are_unknown():
    handle = tf.placeholder(tf.string, [])
    following = tf.data.Iterator.from_string_handle(handle, tf.int64, []).get_next()
    with (
        tf.Session() as session,
        pytest.raises(InvalidArgumentError, match="no iterator of this session"),
    ):
        session.run(following, {handle: b"iterator:elsewhere"})


def test_the_message_of_a_graph_says_what_a_dataset_is():
    Data.range(3).batch(2)
    (node,) = [n for n in tf.get_default_graph().as_graph_def().node if n.op == "BatchDatasetV2"]
    assert [d.size for d in node.attr["output_shapes"].list.shape[0].dim] == [-1]


def test_a_window_that_is_begun_is_not_saved():
    dataset = Data.range(8).window(3).flat_map(lambda w: w.batch(3))
    iterator = dataset.make_initializable_iterator()
    state = tf.data.experimental.make_saveable_from_iterator(iterator).specs[0].tensor
    following = iterator.get_next()
    with tf.Session() as session:
        session.run(iterator.initializer)
        session.run(following)
        with pytest.raises(FailedPreconditionError, match="cannot be saved"):
            session.run(state)


def test_errors_that_are_left_out_are_logged_where_asked(caplog):
    dataset = Data.range(3).map(lambda v: 6 // (v - 1))
    assert elements(dataset.apply(tf.data.experimental.ignore_errors(log_warning=True))) == [-6, 6]
    assert "Integer division by zero" in caplog.text


def test_only_one_number_of_parallel_work():
    with pytest.raises(ValueError, match="allows only one of"):
        tf.data.experimental.map_and_batch(lambda v: v, 2, 1, num_parallel_calls=3)


def test_names_of_files_need_a_file(tmp_path):
    names = Data.list_files(str(tmp_path / "*"))
    with pytest.raises(InvalidArgumentError, match="No files matched pattern"):
        elements(names)
    (tmp_path / "a").write_text("")
    assert elements(names) == [str(tmp_path / "a").encode()]
