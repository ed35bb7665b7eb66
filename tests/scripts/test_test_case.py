"""The TestCase of TensorFlow 1 programs: each assertion holds where it should and fails where it should."""

import threading

import numpy as np
import pytest

import ckpt as tf
from ckpt import test as tf_test

X = [1.0, 2.0]

HOLDING = [
    ("assertAllEqual", [[1, 2], np.array([1, 2])]),
    ("assertAllEqual", [np.float32("nan"), np.float32("nan")]),
    ("assertAllEqual", [["a", "b"], np.array(["a", "b"])]),
    ("assertNotAllEqual", [[1, 2], [1, 3]]),
    ("assertNotAllEqual", [[1, 2], [1]]),
    ("assertAllClose", [X, [1.0, 2.0 + 1e-7]]),
    ("assertAllClose", [{"a": X, "b": [X, [1.0]]}, {"a": X, "b": [X, [1.0]]}]),
    ("assertAllClose", [1 + 1j, 1 + 1j]),
    ("assertNotAllClose", [X, [1.0, 2.1]]),
    ("assertNotAllClose", [[X], [X, X]]),
    ("assertAllCloseAccordingToType", [np.float16(1), np.float16(1.001)]),
    ("assertAllGreater", [X, 0.5]),
    ("assertAllGreaterEqual", [X, 1]),
    ("assertAllLess", [X, 3]),
    ("assertAllLessEqual", [X, 2]),
    ("assertAllInRange", [X, 1, 2]),
    ("assertAllInSet", [[1, 2, 1], {1, 2}]),
    ("assertNear", [1.0, 1.05, 0.1]),
    ("assertNear", [np.inf, np.inf, 0.1]),
    ("assertArrayNear", [X, [1.05, 2], 0.1]),
    ("assertNDArrayNear", [X, [1.05, 2], 0.1]),
    ("assertDTypeEqual", [np.float32(1), tf.float32]),
    ("assertDeviceEqual", ["/cpu:0", "/device:CPU:0"]),
    ("assertStartsWith", ["abc", "ab"]),
]

FAILING = [
    ("assertAllEqual", [[1, 2], [1, 3]], "1 of 2 elements differ"),
    ("assertAllEqual", [[1, 2], [1]], "shapes differ"),
    ("assertNotAllEqual", [[1, 2], [1, 2]], "equal at all elements"),
    ("assertAllClose", [X, [1.0, 2.1]], "1 of 2 elements are not close"),
    ("assertAllClose", [[X], [X, X]], "shapes differ"),
    ("assertAllClose", [[X, [1.0]], [X]], "lengths differ: 2 and 1"),
    ("assertAllClose", [{"a": 1}, {"b": 1}], "keys differ"),
    ("assertAllClose", [{"a": [X, [1.0]]}, {"a": [X, [1.5]]}], "at 'a': at 1: 1 of 1"),
    ("assertNotAllClose", [X, X], "close at all elements"),
    ("assertAllCloseAccordingToType", [np.float32(1), np.float32(1.001)], "not close"),
    ("assertAllGreater", [X, 1], "1 elements are not greater than 1"),
    ("assertAllGreaterEqual", [X, 1.5], "not at least 1.5"),
    ("assertAllLess", [X, 2], "not less than 2"),
    ("assertAllLessEqual", [X, 1], "not at most 1"),
    ("assertAllInRange", [X, 1, 2, True], r"not in \(1, 2\]"),
    ("assertAllInRange", [X, 1, 2, False, True], r"not in \[1, 2\)"),
    ("assertAllInSet", [[1, 3], {1, 2}], "not in"),
    ("assertNear", [1.0, 1.2, 0.1], "not within 0.1"),
    ("assertArrayNear", [X, [1.0], 0.1], "2 != 1"),
    ("assertNDArrayNear", [X, [1.5, 2], 0.1], "not less than"),
    ("assertDTypeEqual", [np.float32(1), tf.float64], "float64"),
    ("assertDeviceEqual", ["/cpu:0", "/cpu:1"], "CPU:1"),
    ("assertStartsWith", ["abc", "b"], "does not start with 'b'"),
]


@pytest.fixture
def case():
    made = tf_test.TestCase()
    made.setUp()
    yield made
    made.tearDown()


@pytest.mark.parametrize(("name", "arguments"), HOLDING)
def test_holds(case, name, arguments):
    getattr(case, name)(*arguments)


@pytest.mark.parametrize(("name", "arguments", "message"), FAILING)
def test_fails(case, name, arguments, message):
    with pytest.raises(AssertionError, match=message):
        getattr(case, name)(*arguments)


def test_a_message_of_the_test_is_said(case):
    with pytest.raises(AssertionError, match=r"differ.*\n.*\n.* : the weights"):
        case.assertAllEqual([1], [2], "the weights")


def test_tensors_are_evaluated(case):
    with case.cached_session():
        case.assertAllClose(tf.constant(X) * 2, [2.0, 4.0])
        case.assertAllEqual([tf.constant(1), tf.constant(2)], [1, 2])
        case.assertShapeEqual(np.zeros((2, 3)), tf.zeros([2, 3]))
        with pytest.raises(AssertionError):
            case.assertShapeEqual(np.zeros((2, 3)), tf.zeros([3, 2]))


def test_a_cached_session_keeps_variables_and_a_session_does_not(case):
    v = tf.Variable(3.0)
    with case.cached_session() as first:
        first.run(v.initializer)
    with case.test_session() as second:
        assert second is first
        assert v.eval() == 3.0
    assert case.evaluate({"v": v}) == {"v": 3.0}
    with case.session() as third:
        assert third is not first
        assert tf.get_default_session() is third
        with case.assertRaisesOpError("uninitialized value"):
            v.eval()
    with pytest.raises(ValueError, match=r"different"), case.cached_session(graph=tf.Graph()):
        pass


def test_each_test_starts_afresh(case):
    first = case.evaluate(tf.random_uniform([3]))
    case.tearDown()
    case.setUp()
    assert not tf.get_default_graph().get_operations()
    case.assertAllEqual(first, case.evaluate(tf.random_uniform([3])))


def test_errors_are_matched(case):
    with case.assertRaisesWithPredicateMatch(ValueError, "b.d"):
        raise ValueError("bad")
    with case.assertRaisesWithPredicateMatch(ValueError, lambda e: "bad" in str(e)):
        raise ValueError("bad")
    with (
        pytest.raises(AssertionError, match="is not what was expected"),
        case.assertRaisesWithPredicateMatch(ValueError, "good"),
    ):
        raise ValueError("bad")
    with (
        pytest.raises(AssertionError, match="ValueError not raised"),
        case.assertRaisesWithPredicateMatch(ValueError, "good"),
    ):
        pass
    with pytest.raises(KeyError), case.assertRaisesWithPredicateMatch(ValueError, "good"):
        raise KeyError("other")


def test_messages_are_compared(case):
    message = tf.train.Int64List(value=[1, 2])
    case.assertProtoEquals("value: 1 value: 2", message)
    case.assertProtoEquals(tf.train.Int64List(value=[1, 2]), message)
    with pytest.raises(AssertionError):
        case.assertProtoEquals("value: 1", message)


def test_a_thread_hands_on_its_failure(case):
    def fail():
        raise RuntimeError("lost")

    thread = case.checkedThread(fail)
    thread.start()
    with pytest.raises(AssertionError, match="Error in checkedThread: lost"):
        thread.join()
    done = threading.Event()
    thread = case.checkedThread(done.set)
    thread.start()
    thread.join()
    assert done.is_set()


def test_graph_defs_are_compared():
    def graph_def(value, order=1):
        with tf.Graph().as_default() as graph:
            for name in ("a", "b")[::order]:
                tf.constant(value, name=name)
            return graph.as_graph_def()

    tf_test.assert_equal_graph_def(graph_def(1), graph_def(1, -1))
    with pytest.raises(AssertionError, match="a differs"):
        tf_test.assert_equal_graph_def(graph_def(1), graph_def(2))
    with pytest.raises(AssertionError, match="only expected has a"):
        tf_test.assert_equal_graph_def(tf.GraphDef(), graph_def(2))
    with pytest.raises(TypeError, match=r"Expected tf\.GraphDef for actual, got int"):
        tf_test.assert_equal_graph_def(1, graph_def(1))


def test_jacobians():
    with tf.Graph().as_default(), tf.Session():
        x = tf.constant([1.0, 2.0, 3.0], dtype=tf.float64)
        y = tf.stack([x[0] * x[1], tf.square(x[2])])
        theoretical, numeric = tf.test.compute_gradient(
            x, [3], y, [2], x_init_value=[1.0, 2.0, 3.0]
        )
        np.testing.assert_allclose(theoretical, [[2, 0], [1, 0], [0, 6]])
        np.testing.assert_allclose(numeric, theoretical, atol=1e-6)
        both = tf.test.compute_gradient([x, tf.constant(1.0)], [[3], []], y, [2])
        assert [pair[0].shape for pair in both] == [(3, 2), (1, 2)]
        assert tf.test.compute_gradient_error(x, [3], y, [2]) < 1e-6

        @tf.custom_gradient
        def wrong(v):
            return v * v, lambda dy: dy

        assert tf.test.compute_gradient_error(x, [3], wrong(x), [3], [1.0, 2.0, 3.0]) > 1

        z = tf.constant([1 + 2j], dtype=tf.complex128)
        assert tf.test.compute_gradient_error(z, [1], z * z, [1]) < 1e-6


def test_jacobians_need_a_session():
    with tf.Graph().as_default():
        x = tf.constant(1.0)
        with pytest.raises(RuntimeError, match="default session"):
            tf.test.compute_gradient(x, [], x * x, [])
