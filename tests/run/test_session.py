"""Sessions: fetches, feeds, callables, errors, and what keeps its value."""

import threading
from typing import Any, NamedTuple

import numpy as np
import pytest

import ckpt as tf


class Pair(NamedTuple):
    first: Any
    second: Any


def test_fetches_come_back_in_their_nest():
    a, b = tf.constant(1.0, name="a"), tf.constant(2)
    with tf.Session() as sess:
        found = sess.run({"x": [a, (b, "a:0")], "y": Pair(a, b), "z": a.op})
    assert found == {"x": [1.0, (2, 1.0)], "y": Pair(1.0, 2), "z": None}
    assert isinstance(found["y"], Pair)
    assert isinstance(found["x"][0], np.float32)


def test_any_tensor_can_be_fed():
    a = tf.constant(1.0)
    b = a + 1.0
    with tf.Session() as sess:
        assert sess.run(b * 2.0, {b: 10.0}) == 20.0
        assert sess.run([a, b], {a: 5.0}) == [5.0, 6.0]


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([1.0], ValueError, r"shape \(1,\) for Tensor x:0, which has shape \(2,\)"),
        ("text", ValueError, "Cannot feed"),
        (None, (TypeError, ValueError), "."),
    ],
)
def test_bad_feeds_are_refused(value, error, match):
    x = tf.placeholder(tf.float32, [2], name="x")
    with tf.Session() as sess, pytest.raises(error, match=match):
        sess.run(x + 1.0, {x: value})


def test_a_placeholder_must_be_fed():
    x = tf.placeholder(tf.float32, [2], name="x")
    with (
        tf.Session() as sess,
        pytest.raises(
            tf.errors.InvalidArgumentError, match="feed a value for placeholder tensor 'x'"
        ),
    ):
        sess.run(x + 1.0)


def test_a_variable_must_be_initialised():
    v = tf.Variable(1.0, name="v")
    with tf.Session() as sess:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
            sess.run(v)
        assert not sess.run(tf.is_variable_initialized(v))
        sess.run(v.initializer)
        assert sess.run(tf.is_variable_initialized(v))


def test_only_variables_keep_values_and_sessions_share_none():
    v = tf.Variable(1.0)
    with tf.Session() as one, tf.Session() as two:
        one.run(v.initializer)
        two.run(v.initializer)
        one.run(v.assign(5.0))
        assert (one.run(v), two.run(v)) == (5.0, 1.0)


def test_a_failed_run_leaves_what_was_done():
    v = tf.Variable([1.0, 2.0])
    done = v.assign([3.0, 4.0])
    x = tf.placeholder(tf.int32, [])
    with tf.control_dependencies([done]):
        bad = tf.floordiv(1, x)
    with tf.Session() as sess:
        sess.run(v.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError):
            sess.run(bad, {x: 0})
        assert sess.run(v).tolist() == [3.0, 4.0]


def test_a_callable_takes_its_feeds_in_order():
    a, b = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    with tf.Session() as sess:
        call = sess.make_callable({"d": a - b}, [a, b])
        assert call(5, 3) == {"d": 2.0}
        with pytest.raises(ValueError, match="Expected 2 feed values"):
            call(1)


def test_a_closed_session_is_refused():
    a = tf.constant(1.0)
    sess = tf.Session()
    sess.close()
    with pytest.raises(RuntimeError, match="closed Session"):
        sess.run(a)


def test_the_default_session_evaluates():
    a = tf.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="No default session"):
        a.eval()
    with tf.Session():
        assert a.eval().tolist() == [1.0, 2.0]
    sess = tf.InteractiveSession()
    assert a.eval().tolist() == [1.0, 2.0]
    sess.close()
    assert tf.get_default_session() is None


def test_elements_of_another_graph_are_refused():
    with tf.Graph().as_default():
        stranger = tf.constant(1.0)
    tf.constant(1.0)
    with tf.Session() as sess, pytest.raises(ValueError, match="not an element of this graph"):
        sess.run(stranger)


def test_plans_are_kept_while_the_graph_grows():
    a = tf.placeholder(tf.float32, [])
    b = a + 1.0
    with tf.Session() as sess:
        first = sess.plan(b, [a])
        tf.constant(3.0)
        assert sess.plan(b, [a]) is first
        b.op._set_attr("_note", b"changed")
        assert sess.plan(b, [a]) is not first


def test_each_thread_has_a_default_graph_of_its_own():
    tf.constant(1.0, name="ours")
    seen = []

    def build():
        seen.append(tf.constant(2.0, name="ours").name)
        tf.reset_default_graph()
        seen.append(len(tf.get_default_graph().get_operations()))

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    assert seen == ["ours:0", 0]
    assert [op.name for op in tf.get_default_graph().get_operations()] == ["ours"]


@pytest.mark.parametrize("divide", [tf.floordiv, tf.mod, tf.div])
def test_nothing_divided_by_zero_is_nothing(divide):
    x = tf.placeholder(tf.int32, [None])
    with tf.Session() as sess:
        assert sess.run(divide(x, 0), {x: []}).tolist() == []
        with pytest.raises(tf.errors.InvalidArgumentError, match="division by zero"):
            sess.run(divide(x, 0), {x: [1]})
