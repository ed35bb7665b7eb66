"""Sessions: what they accept, run in parts, measure and refuse."""

import json
import threading

import numpy as np
import pytest

import ckpt as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_a_run_in_parts_keeps_what_it_computed():
    a, b, c = (tf.placeholder(tf.float32, []) for _ in range(3))
    r1 = a + b
    r2 = r1 * c
    session = tf.Session()
    handle = session.partial_run_setup([r1, r2], [a, b, c])
    assert session.partial_run(handle, r1, {a: 1, b: 2}) == 3.0
    assert session.partial_run(handle, r2, {c: 5}) == 15.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="All fetches were fetched"):
        session.partial_run(handle, r1)


def test_a_run_in_parts_takes_only_what_was_announced():
    a, b = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    session = tf.Session()
    handle = session.partial_run_setup([a * 2.0], [a])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not specified in partial_run_setup"):
        session.partial_run(handle, [], {b: 1})
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one target"):
        session.partial_run_setup([], [])


def test_a_state_change_happens_once_in_a_run_in_parts():
    v = tf.Variable(0.0, use_resource=True)
    c = tf.placeholder(tf.float32, [])
    added = v.assign_add(1.0).value()
    session = tf.Session()
    session.run(v.initializer)
    handle = session.partial_run_setup([added, added * c], [c])
    assert session.partial_run(handle, added) == 1.0
    assert session.run(v) == 1.0


def test_sparse_tensors_are_fed_and_fetched_whole():
    s = tf.sparse_placeholder(tf.float32, [2, None], name="s")
    assert s.shape.as_list() == [2, None]
    value = tf.SparseTensorValue(np.array([[0, 1]]), np.array([3.0]), np.array([2, 4]))
    found = tf.Session().run(s, {s: value})
    assert isinstance(found, tf.SparseTensorValue)
    assert [part.tolist() for part in found] == [[[0, 1]], [3.0], [2, 4]]


def test_every_step_of_a_traced_run_is_timed():
    x = tf.placeholder(tf.float32, [2])
    y = tf.add(x * 2.0, 1.0, name="last")
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    tf.Session().run(y, {x: [1, 2]}, options=options, run_metadata=metadata)
    names = [n.node_name for n in metadata.step_stats.dev_stats[0].node_stats]
    assert names[-1] == "last"
    trace = json.loads(tf.timeline.Timeline(metadata.step_stats).generate_chrome_trace_format())
    assert [e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "X"] == names


def test_many_threads_share_a_session():
    x = tf.placeholder(tf.float32, [])
    y = x * 2.0
    session, wrong = tf.Session(), []

    def work(number):
        wrong.extend(i for i in range(200) if session.run(y, {x: number + i}) != 2 * (number + i))

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_chain_builds_runs_and_is_exported(count):
    x = y = tf.placeholder(tf.float32, [])
    for _ in range(count):
        y = tf.negative(y)
    assert tf.Session().run(y, {x: 3.0}) == 3.0
    assert len(tf.get_default_graph().as_graph_def().node) == count + 1


def test_what_a_config_says_of_rewriting_graphs_is_taken_and_decides_nothing():
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.rewrite_options.optimizers.append("constfold")
    with tf.Session(config=tf.ConfigProto.FromString(config.SerializeToString())) as sess:
        assert sess.run(tf.constant(3)) == 3
