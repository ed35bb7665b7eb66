"""Plans: what they leave out, when values die, and that both executors mean the same."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.graph.opdef import OPS
from ckpt.run.generate import generate
from ckpt.run.interpret import interpret


def kinds(plan):
    return [step.node.type for step in plan.steps]


def test_only_what_is_needed_runs():
    a = tf.placeholder(tf.float32, [2], name="a")
    wanted = tf.exp(a)
    tf.log(a)
    assert kinds(tf.Session().plan(wanted, [a])) == ["Exp"]


def test_constants_are_folded_and_identities_cost_nothing():
    a = tf.placeholder(tf.float32, [2], name="a")
    folded = tf.reduce_sum(tf.constant([1.0, 2.0]) * 3.0)
    out = tf.identity(tf.stop_gradient(a)) + folded
    plan = tf.Session().plan(out, [a])
    assert kinds(plan) == ["AddV2"]
    assert "9.0" in repr(plan.initial)


def test_variables_are_read_just_before_their_consumer():
    v = tf.Variable(1.0, name="v")
    first = v + 0.0
    with tf.control_dependencies([first]):
        changed = v.assign_add(1.0)
    with tf.control_dependencies([changed]):
        second = v + 0.0
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run([first, second]) == [1.0, 2.0]


def test_one_read_serves_until_something_may_write():
    v = tf.Variable(1.0, name="v")
    a, b = v * 2.0, v * 3.0
    with tf.control_dependencies([a, b]):
        changed = v.assign_add(1.0)
    with tf.control_dependencies([changed]):
        c = v * 4.0
    with tf.Session() as sess:
        sess.run(v.initializer)
        plan = sess.plan([a, b, c])
        assert sum(step.node.name == "v/read" for step in plan.steps) == 2
        assert sess.run([a, b, c]) == [2.0, 3.0, 8.0]


def test_each_value_dies_at_its_last_use():
    a = tf.placeholder(tf.float32, [4], name="a")
    chain = a
    for _ in range(5):
        chain = tf.exp(chain)
    plan = tf.Session().plan(chain, [a])
    for step in plan.steps[:-1]:
        assert step.last_uses == step.inputs
    assert "del v" in plan.source


def test_the_source_is_one_step_a_line_and_cannot_be_injected():
    name = "x\n    raise SystemExit  #"  # which no program and no import can give a node
    attrs = {"dtype": tf.float32, "shape": tf.TensorShape(None)}
    x = tf.get_default_graph().add("Placeholder", OPS["Placeholder"], [], attrs, name)
    tf.exp(x.outputs[0], name="y")
    with tf.Session() as sess:
        call = sess.make_callable("y:0", [x.outputs[0]])
        assert call(np.float32(0)) == 1.0
        assert len(sess.plan("y:0", [x.outputs[0]]).source.splitlines()) == 3


def test_both_executors_agree_to_the_bit():
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    w = tf.get_variable("w", [4, 3])
    loss = tf.reduce_sum(tf.square(tf.tanh(tf.matmul(x, w))))
    fetches = [loss, *tf.gradients(loss, [x, w])]
    data = np.random.RandomState(0).normal(size=(5, 4)).astype(np.float32)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        plan = sess.plan(fetches, [x])
        slow, fast = interpret(plan, [data]), generate(plan)([data])
        for a, b in zip(slow, fast, strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for _ in range(40):  # far enough for the session to switch executors
            again = sess.run(fetches, {x: data})
        assert again[0] == slow[0]


@pytest.mark.parametrize("runs", [1, 40])
def test_a_failure_names_the_node_and_the_line_that_made_it(runs):
    a = tf.placeholder(tf.int32, [], name="a")
    with tf.name_scope("deep"):
        out = tf.floordiv(10, a, name="quotient")
    with tf.Session() as sess:
        for _ in range(runs):
            assert sess.run(out, {a: 5}) == 2
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            sess.run(out, {a: 0})
    assert "Integer division by zero" in str(caught.value)
    assert "node deep/quotient (type FloorDiv)" in str(caught.value)
    assert "test_plans.py" in str(caught.value)
    assert caught.value.op is out.op


def test_a_cycle_is_refused_by_name():
    a = tf.no_op(name="a")
    with tf.control_dependencies([a]):
        b = tf.no_op(name="b")
    a._add_control_input(b)
    with (
        tf.Session() as sess,
        pytest.raises(tf.errors.InvalidArgumentError, match="cycle through a, b"),
    ):
        sess.run(b)


def test_a_long_chain_needs_no_recursion():
    node = tf.constant(0.0)
    one = tf.placeholder(tf.float32, [], name="one")
    for _ in range(20_000):
        node = node + one
    with tf.Session() as sess:
        assert sess.run(node, {one: 1.0}) == 20_000


def test_results_belong_to_the_caller():
    v = tf.Variable([1.0, 2.0])
    c = tf.constant([5.0, 6.0])
    x = tf.placeholder(tf.float32, [2])
    kept = v.assign(x)
    with tf.Session() as sess:
        mine = np.array([3.0, 4.0], np.float32)
        sess.run(kept.op, {x: mine})
        mine[:] = 0
        value, constant = sess.run([v, c])
        value[:] = 0
        constant[:] = 0
        assert sess.run(v).tolist() == [3.0, 4.0]
        assert sess.run(c).tolist() == [5.0, 6.0]


def test_waiting_for_a_variable_without_a_value_is_an_error():
    v = tf.Variable(1.0, name="v")
    with tf.control_dependencies([v.value()]):
        later = tf.constant(2.0) + 1.0
    with tf.Session() as sess:
        for fetch in (v.value().op, later):
            with pytest.raises(tf.errors.FailedPreconditionError, match="v/read"):
                sess.run(fetch)
        sess.run(v.initializer)
        assert sess.run(later) == 3.0
