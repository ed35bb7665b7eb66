"""Graphs that grow: warned of when they do, and restoring adds nothing to them."""

import time

import numpy as np
import pytest

import ckpt as tf
from ckpt.saver.growth import growth_text


@pytest.fixture
def model(tmp_path):
    with tf.variable_scope("net"):
        v = tf.get_variable("v", [3], initializer=tf.zeros_initializer())
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(v.initializer)
        yield sess, v, saver, str(tmp_path / "m")


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_operations_added_in_a_loop_are_named_by_scope(model, caplog):
    sess, v, saver, path = model
    saver.save(sess, path, global_step=0)
    for step in range(1, 4):
        with tf.name_scope("update"):
            sess.run(v.assign_add(np.ones(3)))
        saver.save(sess, path, global_step=step)
    told = warnings_in(caplog)
    assert len(told) == 1  # again when the graph has doubled
    assert "the graph has grown from" in told[0]
    assert "update/" in told[0]
    assert "net/" not in told[0]


def test_a_graph_that_doubles_again_is_warned_of_again(model, caplog):
    sess, v, saver, path = model
    saver.save(sess, path)
    for _ in range(200):
        tf.identity(v)
        saver.save(sess, path, write_state=False, durable=False)
    told = warnings_in(caplog)
    assert 2 <= len(told) <= 6
    assert all("Identity (+" in text for text in told)


def test_a_graph_that_stays_and_another_graph_are_nothing_to_tell(model, caplog):
    sess, _, saver, path = model
    for step in range(3):
        saver.save(sess, path, global_step=step)
    assert warnings_in(caplog) == []


def test_large_constants_are_named_once_with_their_size(model, caplog):
    sess, _, saver, path = model
    tf.constant(np.random.default_rng(0).normal(size=(600, 600)), name="weights")
    tf.constant(np.zeros(10), name="small")
    saver.save(sess, path, global_step=0)
    saver.save(sess, path, global_step=1)
    told = warnings_in(caplog)
    assert len(told) == 1
    assert "constants of more than 1 MiB" in told[0]
    assert "weights (2.7 MiB)" in told[0]


def test_the_text_counts_by_scope_and_shows_the_largest():
    names = [f"Assign_{n}" for n in range(9)] + ["a_1/b/c", "a_2/b/d"] + list("uvwxyz")
    text = growth_text(names, 40)
    assert "grown from 23 to 40 nodes between saves, in: Assign (+9), a/b/ (+2), u (+1)" in text
    assert text.count("(+") == 5
    assert ", …" in text


def test_a_thousand_restores_add_no_node_and_take_no_longer(model):
    """tf#14155: each restore was slower than the one before."""
    sess, _, saver, path = model
    saver.save(sess, path)
    nodes = len(sess.graph.get_operations())
    times = []
    for _ in range(1000):
        start = time.perf_counter()
        saver.restore(sess, path)
        times.append(time.perf_counter() - start)
    assert len(sess.graph.get_operations()) == nodes
    print(f"first 100: {sorted(times[:100])[50]:.6f} s, last 100: {sorted(times[-100:])[50]:.6f} s")
    sess.graph.finalize()
    saver.restore(sess, path)
    saver.save(sess, path)
