"""Functions that kernels call: planned once, the same before and after they are compiled, errors named."""

import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.run.callee import RUNS_BEFORE_GENERATING
from ckpt.run.dataflow import Dataflow
from ckpt.run.state import SessionState

CALLS = 3 * RUNS_BEFORE_GENERATING


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def drawn(dataset, count):
    following = dataset.make_one_shot_iterator().get_next()
    with tf.Session() as session:
        return [session.run(following) for _ in range(count)]


def test_a_compiled_function_gives_what_the_interpreted_gave():
    unused = tf.data.Dataset.zip((tf.data.Dataset.range(CALLS), tf.data.Dataset.range(CALLS)))
    assert drawn(unused.map(lambda a, b: b * 3 + 1), CALLS) == [3 * i + 1 for i in range(CALLS)]


@pytest.mark.parametrize("place", [0, 5, RUNS_BEFORE_GENERATING, CALLS - 1])
def test_the_node_that_fails_is_named(place):
    def checked(v):
        return tf.floordiv(7, v - place, name="seventh")

    following = tf.data.Dataset.range(CALLS).map(checked).make_one_shot_iterator().get_next()
    with tf.Session() as session:
        for i in range(CALLS):
            if i == place:
                with pytest.raises(InvalidArgumentError, match="seventh"):
                    session.run(following)
            else:
                assert session.run(following) == 7 // (i - place)


def test_functions_call_functions():
    def inner(v):
        return tf.cond(
            v > 3, lambda: tf.while_loop(lambda w: w < 50, lambda w: w * 2, [v]), lambda: -v
        )

    nested = tf.data.Dataset.range(9).flat_map(lambda v: tf.data.Dataset.from_tensors(v).map(inner))
    assert drawn(nested, 9) == [0, -1, -2, -3, 64, 80, 96, 56, 64]


def test_kernels_of_irregular_graphs_are_given_functions_too():
    following = tf.data.Dataset.range(9).map(lambda v: v * 2).make_one_shot_iterator().get_next()
    nodes = tf.get_default_graph().get_operations()
    program = Dataflow(nodes, [following], [], SessionState(), {})
    assert [program() for _ in range(3)] == [[0], [2], [4]]
