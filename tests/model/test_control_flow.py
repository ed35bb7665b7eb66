"""Branches and loops: values, derivatives of every order, variables, deadlines, and the way through a GraphDef."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.wire import messages


def runs(session, fetches, feeds=None):
    """The values, interpreted and generated: both must be the same."""
    first = session.run(fetches, feeds)
    for _ in range(2):
        again = session.run(fetches, feeds)
    for a, b in zip(tf.nest.flatten(first), tf.nest.flatten(again), strict=True):
        np.testing.assert_array_equal(a, b)
    return again


@pytest.fixture
def session():
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_cond_runs_one_branch_and_has_the_gradient_of_that_one(session):
    x, y = tf.placeholder(tf.float32, []), tf.constant(3.0)
    z = tf.cond(x > 0, lambda: x * y, lambda: x - y)
    grads = tf.gradients(z, [x, y])
    assert z.name == "cond/Merge:0"
    assert runs(session, [z, grads], {x: 2.0}) == [6.0, [3.0, 2.0]]
    assert runs(session, [z, grads], {x: -2.0}) == [-5.0, [1.0, -1.0]]


def test_a_loop_has_derivatives_of_every_order(session):
    x, y = tf.placeholder(tf.float32, []), tf.constant(3.0)
    _, power = tf.while_loop(lambda i, a: i < 5, lambda i, a: (i + 1, a * x), [0, y])
    first = tf.gradients(power, [x, y])
    second = tf.gradients(first[0], x)
    third = tf.gradients(second[0], x)
    found = runs(session, [power, first, second, third], {x: 2.0})
    assert found == [96.0, [240.0, 32.0], [480.0], [720.0]]


def test_nested_loops_and_branches_agree_with_finite_differences(session):
    x = tf.placeholder(tf.float64, [])

    def body(i, a):
        def inner(j, b):
            return j + 1, tf.cond(b > 10, lambda: b * x, lambda: b + x)

        return i + 1, tf.while_loop(lambda j, b: j < i, inner, [0, a])[1]

    (_, y) = tf.while_loop(lambda i, a: i < 4, body, [0, tf.constant(3.0, tf.float64)])
    (grad,) = tf.gradients(y, x)
    step = 1e-6
    up, down = (session.run(y, {x: 2.0 + d}) for d in (step, -step))
    assert runs(session, grad, {x: 2.0}) == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_a_loop_that_never_runs_passes_values_and_gradients_through(session):
    x = tf.constant([1.0, 2.0])
    (y,) = tf.while_loop(lambda a: False, lambda a: a * 2, [x], return_same_structure=True)
    assert runs(session, tf.gradients(y, x))[0].tolist() == [1.0, 1.0]


def test_a_body_sees_the_variable_that_it_assigns(session):
    v = tf.Variable(0)

    def body(i):
        with tf.control_dependencies([v.assign_add(2)]):
            return i + 1

    loop = tf.while_loop(lambda i: v < 10, body, [0])
    session.run(tf.global_variables_initializer())
    assert session.run(loop) == 5
    assert session.run(v) == 10


def test_a_variable_made_in_a_body_lies_outside(session):
    def body(i, a):
        return i + 1, a + tf.get_variable("w", [], initializer=tf.ones_initializer())

    with tf.variable_scope("layer"):
        loop = tf.while_loop(lambda i, a: i < 3, body, [0, 1.0])
    (w,) = tf.global_variables()
    session.run(w.initializer)
    assert w.name == "layer/w:0"
    assert session.run([loop[1], tf.gradients(loop[1], w)]) == [4.0, [3.0]]


def test_an_endless_loop_stops_at_the_deadline(session):
    loop = tf.while_loop(lambda i: True, lambda i: i, [0])
    for _ in range(2):
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(loop, options=messages.RunOptions(timeout_in_ms=50))


def test_a_changing_shape_needs_an_invariant():
    with tf.Graph().as_default():
        x = tf.ones([1])
        with pytest.raises(ValueError, match="shape_invariants"):
            tf.while_loop(lambda a: tf.size(a) < 9, lambda a: tf.concat([a, a], 0), [x])


def test_functions_travel_in_the_library_of_a_graph_def(session):
    x = tf.placeholder(tf.float32, [], name="x")
    _, y = tf.while_loop(
        lambda i, a: i < 3, lambda i, a: (i + 1, tf.cond(a > 4, lambda: a + 1, lambda: a * x)), [0, x]
    )  # fmt: skip
    (grad,) = tf.gradients(y, x)
    wanted = session.run([y, grad], {x: 2.0})
    graph_def = tf.get_default_graph().as_graph_def()
    with tf.Graph().as_default() as other:
        for name in ("a", "b"):
            tf.import_graph_def(graph_def, name=name)
        with tf.Session(graph=other) as second:
            names = [f"b/{y.name}", f"b/{grad.name}"]
            assert second.run(names, {"b/x:0": 2.0}) == wanted


def test_scan_through_tensor_arrays_has_second_derivatives(session):
    x = tf.placeholder(tf.float64, [3])
    total = tf.reduce_sum(tf.scan(lambda a, e: a * e + 1.0, x))
    (grad,) = tf.gradients(total, x)
    (second,) = tf.gradients(grad[0], x)
    assert runs(session, grad, {x: [1.0, 2.0, 3.0]}).tolist() == [9.0, 4.0, 3.0]
    assert runs(session, second, {x: [1.0, 2.0, 3.0]}).tolist() == [0.0, 4.0, 2.0]


@pytest.mark.parametrize(
    "make", [tf.nn.rnn_cell.BasicRNNCell, tf.nn.rnn_cell.GRUCell, tf.nn.rnn_cell.BasicLSTMCell]
)
def test_dynamic_and_static_rnn_agree(session, make):
    x = tf.constant(np.random.RandomState(0).randn(2, 5, 3).astype(np.float32))
    lengths = tf.constant([3, 5])
    cell = make(4)
    with tf.variable_scope("net"):
        dynamic, _ = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32, scope="rnn")
        static, _ = tf.nn.static_rnn(
            cell, tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=lengths, scope="rnn"
        )
    static = tf.stack(static, axis=1)
    session.run(tf.global_variables_initializer())
    weights = tf.trainable_variables()
    a, b = runs(session, [[t, tf.gradients(t * t, weights)] for t in (dynamic, static)])
    for one, other in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_branch_waits_only_for_what_its_results_wait_for(session):
    holder, a = tf.placeholder(tf.float32, ()), tf.constant(3)

    def branch(is_used):
        with tf.control_dependencies([holder]):
            other = a + 1
        return other if is_used else a + 2

    free, bound = (
        tf.cond(tf.constant(True), lambda used=used: branch(used), lambda: tf.constant(1))
        for used in (False, True)
    )
    assert session.run(free) == 5
    with pytest.raises(tf.errors.InvalidArgumentError, match="must feed"):
        session.run(bound)
    assert session.run(bound, {holder: 0.0}) == 4


def test_an_exclusive_case_with_two_that_hold_is_an_error(session):
    x, y = tf.constant(1), tf.constant(2)
    pairs = [(x < y, lambda: tf.constant(17)), (x < y, lambda: tf.constant(23))]
    found = tf.case(pairs, default=lambda: tf.constant(-1), exclusive=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Input error: exclusive=True"):
        session.run(found)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Input error: None of conditions"):
        session.run(tf.case([(x > y, lambda: tf.constant(1)), (x > y, lambda: tf.constant(2))]))


def test_the_invariant_of_a_sparse_tensor_is_the_shape_of_its_dense_shape():
    with tf.Graph().as_default():
        x = tf.SparseTensor(
            tf.constant([[0], [3]], tf.int64), [2.0, 4.0], tf.constant([10], tf.int64)
        )

        def looped(invariant):
            def body(i, x):
                return i + 1, tf.SparseTensor(x.indices, x.values * 2.0, x.dense_shape)

            shapes = [tf.TensorShape([]), tf.TensorShape(invariant)]
            return tf.while_loop(lambda i, x: i < 3, body, [0, x], shapes)[1]

        assert looped([None]).dense_shape.shape.as_list() == [None]
        assert looped([1]).indices.shape.as_list() == [None, 1]
        with pytest.raises(ValueError, match="is not compatible with"):
            looped([5])
        with pytest.raises(ValueError, match="1 dimension"):
            looped([None, 1])


def test_gradients_stop_where_back_prop_is_off(session):
    x = tf.constant(2.0)
    loop = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [0, x], back_prop=False)
    assert tf.gradients(loop[1], x) == [None]


def test_a_resource_variable_in_nested_branches_and_loops_has_its_gradient(session):
    v = tf.get_variable("v", [], tf.float64, tf.constant_initializer(2.0), use_resource=True)

    def body(i, a):
        return i + 1, tf.cond(i < 2, lambda: a * v, lambda: a + v)

    _, y = tf.while_loop(
        lambda i, a: i < 3, body, [0, tf.constant(1.0, tf.float64)],
        parallel_iterations=1, swap_memory=True,
    )  # fmt: skip
    session.run(v.initializer)
    assert runs(session, [y, tf.gradients(y, v)]) == [6.0, [5.0]]


def test_nodes_that_share_a_function_have_gradients_of_their_own():
    """As in libraries that TensorFlow writes: what the gradient keeps for one call changes no other."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float64, [], name="x")
        tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a) * a), [0, x])
        graph_def = graph.as_graph_def()
    loop = next(node for node in graph_def.node if node.op == "While")
    again = graph_def.node.add()
    again.CopyFrom(loop)
    again.name = "again"
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        x = graph.get_tensor_by_name("x:0")
        first, second = (graph.get_tensor_by_name(f"{n}:1") for n in (loop.name, "again"))
        (of_first,) = tf.gradients(first, x)
        alone = session.run([first, of_first], {x: 0.9})
        (of_both,) = tf.gradients(first * second, x)
        value, slope = alone
        assert session.run([second, of_both], {x: 0.9}) == pytest.approx([value, 2 * value * slope])
        step = 1e-6
        up, down = (session.run(second, {x: 0.9 + d}) for d in (step, -step))
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)


@pytest.mark.parametrize(
    ("start", "body", "is_alone"),
    [
        ([0], lambda i: i + 1, True),
        ([(0,)], lambda p: [(p[0] + 1,)], True),
        ([(0, 1)], lambda p: [(p[0] + 1, p[1])], False),
    ],
)
@pytest.mark.parametrize("limit", [None, 5])
def test_a_loop_over_one_tensor_gives_it_without_its_list(start, body, is_alone, limit):
    first = lambda v: v[0] if isinstance(v, tuple) else v  # noqa: E731
    with tf.Graph().as_default():
        found = tf.while_loop(lambda v: first(v) < 3, body, start, maximum_iterations=limit)
        assert isinstance(found, list) is not is_alone
