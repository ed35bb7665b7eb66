"""Imported branches and loops become If and While: the same values as interpreted, and derivatives."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.ops import dataflow
from ckpt.run import raising
from ckpt.run.dataflow import Dataflow
from ckpt.run.generate import generate
from ckpt.run.interpret import interpret
from tests.run.test_dataflow import RESULTS, imported
from tests.run.tf1_programs import by_functions, by_primitives, by_python, expressions


def is_interpreted(plan):
    return any(isinstance(step.kernel, Dataflow) for step in plan.steps)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(expressions(3))
def test_any_program_gives_the_same_raised_interpreted_and_in_python(expression):
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float64, [])
        y = tf.identity(by_primitives(expression, [x]))
        raised = session.plan(y, [x])
        before = raising.raised
        raising.raised = lambda *args: {}
        try:
            exact = tf.Session(graph=graph).plan(y, [x])
        finally:
            raising.raised = before
        assert not is_interpreted(raised)
        for fed in (1.5, -0.5):
            wanted = by_python(expression, [fed])
            for run in (
                generate(raised),
                lambda f: interpret(raised, f),
                lambda f: interpret(exact, f),
            ):
                assert run([np.float64(fed)])[0] == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(expressions(2))
def test_any_program_has_the_derivatives_of_cond_and_while_loop(expression):
    found = []
    for build in (by_functions, by_primitives):
        with tf.Graph().as_default(), tf.Session() as session:
            x = tf.placeholder(tf.float64, [])
            y = tf.identity(build(expression, [x]))
            (first,) = tf.gradients(y, x)
            (second,) = tf.gradients(first, x) if first is not None else (None,)
            fetches = [t for t in (y, first, second) if t is not None]
            found.append([session.run(fetches, {x: fed}) for fed in (1.5, -0.5)])
    # A derivative that is zero everywhere may be None on one side, as where a branch hides that nothing depends on x.
    for ours, theirs in zip(*found, strict=True):
        both = min(len(ours), len(theirs))
        np.testing.assert_allclose(ours[:both], theirs[:both], rtol=1e-9, atol=1e-12)
        assert not np.any(ours[both:])
        assert not np.any(theirs[both:])


@pytest.mark.parametrize("name", sorted(RESULTS["gradients"]))
def test_an_imported_graph_has_tensorflows_gradients(name):
    graph = imported(name)
    count = len(RESULTS["results"][name][0])
    with graph.as_default(), tf.Session() as session:
        x = graph.get_tensor_by_name("x:0")
        outputs = [graph.get_tensor_by_name(f"out_{i}:0") for i in range(count)]
        (slope,) = tf.gradients([t for t in outputs if t.dtype.is_floating], x)
        assert not is_interpreted(session.plan([*outputs, slope], [x]))
        for fed, wanted in zip(RESULTS["fed"], RESULTS["gradients"][name], strict=True):
            for _ in range(2):
                assert session.run(slope, {x: fed}) == pytest.approx(wanted, rel=1e-5)


def test_raising_leaves_the_graph_as_it_was():
    graph = imported("captured")
    before = graph.as_graph_def().SerializeToString(deterministic=True)
    with tf.Session(graph=graph) as session:
        session.run("out_0:0", {"x:0": 1.0})
    assert graph.as_graph_def().SerializeToString(deterministic=True) == before


def test_a_graph_with_gradients_of_imported_loops_is_imported_again_and_runs_each_loop_once():
    graph = imported("loop")
    with graph.as_default():
        (slope,) = tf.gradients(
            graph.get_tensor_by_name("out_1:0"), graph.get_tensor_by_name("x:0")
        )
    exported = graph.as_graph_def()
    with tf.Graph().as_default() as other, tf.Session() as session:
        tf.import_graph_def(exported, name="again")
        fetches = ["again/out_1:0", f"again/{slope.name}"]
        np.testing.assert_allclose(session.run(fetches, {"again/x:0": 2.0}), [64.0, 192.0])
        loops = [s for s in session.plan(fetches, ["again/x:0"]).steps if s.node.type == "While"]
        assert len(loops) == 2  # forwards and backwards
        assert {op.type for op in other.get_operations()} >= {"Enter", "Exit", "While"}


def test_a_node_inside_a_branch_may_be_fetched():
    graph = imported("branch")
    with tf.Session(graph=graph) as session:
        assert session.run(["out_0:0", "cond/mul:0"], {"x:0": 3.0}) == [6.0, 6.0]


def nested_branches():
    """y = x² + r + (3 x² or x), inside a branch inside a branch; r is drawn there. As TensorFlow 1 imports it."""
    x = tf.placeholder(tf.float32, [], name="x")
    no, yes = dataflow.switch(x, x > 0.0, name="outer")
    square = tf.multiply(yes, yes, name="square")
    with tf.control_dependencies([yes]):
        drawn = tf.random_uniform([], name="drawn")
    small, large = dataflow.switch(yes, yes > 10.0, name="inner")
    deep = tf.multiply(large * large, 3.0, name="deep")
    inner = dataflow.merge([tf.identity(small, name="shallow"), deep])[0]
    both = tf.add(tf.add(square, drawn), inner, name="both")
    y = dataflow.merge([tf.negative(no, name="minus"), both])[0]
    return x, tf.identity(y, name="y")


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("both:0", 3.0, None),
        ("square:0", 3.0, 9.0),
        ("minus:0", -2.0, 2.0),
        ("deep:0", 11.0, 363.0),
        ("shallow:0", 4.0, 4.0),
    ],
)
def test_a_node_inside_a_branch_is_fetched_with_its_gradient_and_the_branch_runs_once(
    name, x, expected
):
    with tf.Graph().as_default(), tf.Session() as session:
        fed, y = nested_branches()
        (slope,) = tf.gradients(y, fed)
        fetches = [y, slope, name]
        assert not is_interpreted(session.plan(fetches, [fed]))
        result = session.make_callable(fetches, [fed])
        for _ in range(40):  # far enough to be compiled
            total, _, found = result(x)
            assert found == (total if expected is None else expected)


def test_a_node_inside_a_branch_not_taken_has_no_value_also_beside_a_gradient():
    with tf.Graph().as_default(), tf.Session() as session:
        fed, y = nested_branches()
        (slope,) = tf.gradients(y, fed)
        for name, x in [("both:0", -1.0), ("minus:0", 1.0), ("deep:0", 1.0), ("deep:0", -1.0)]:
            with pytest.raises(tf.errors.InvalidArgumentError, match=name):
                session.run([slope, name], {fed: x})


def test_a_node_inside_a_branch_may_be_fed_beside_a_gradient():
    with tf.Graph().as_default(), tf.Session() as session:
        fed, y = nested_branches()
        tf.gradients(y, fed)
        total = session.run(y, {fed: 3.0, "square:0": 100.0})
        assert 103.0 <= total < 104.0


def test_a_finalized_graph_runs_but_takes_no_gradient():
    graph = imported("branch")
    graph.finalize()
    with graph.as_default(), tf.Session() as session:
        assert session.run("out_0:0", {"x:0": 3.0}) == 6.0
        with pytest.raises(RuntimeError, match="finalized"):
            tf.gradients(graph.get_tensor_by_name("out_0:0"), graph.get_tensor_by_name("x:0"))


def test_a_variable_assigned_in_an_imported_loop_and_branch():
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(1.0)
        session.run(v.initializer)
        pred = tf.placeholder(tf.bool, [])
        _, alive = dataflow.ref_switch(v._ref(), pred)
        other, _ = dataflow.switch(tf.constant(5.0), pred)
        found = dataflow.merge([other, tf.identity(tf.assign_add(alive, 2.0))])[0]
        plan = session.plan(found, [pred])
        assert not is_interpreted(plan)
        assert session.run(found, {pred: True}) == 3.0
        assert session.run(found, {pred: False}) == 5.0
        assert session.run(v) == 3.0


def test_what_is_not_regular_is_interpreted_beside_what_is():
    graph = imported("loop")
    with graph.as_default(), tf.Session() as session:
        y = graph.get_tensor_by_name("out_1:0")
        no, yes = dataflow.switch(y, y > 1)
        value, index = dataflow.merge([no * 2, yes + 1])
        assert session.run([value, index], {"x:0": 0.5}) == [2 * 0.5**6, 0]
        assert session.run([value, index], {"x:0": 2.0}) == [65.0, 1]
        step = next(iter(session.plan([value, index], ["x:0"]).steps))
        assert {node.type for node in step.kernel.nodes} >= {"While", "Merge"}
        with pytest.raises(LookupError, match=r"imported from\s+TensorFlow 1"):
            tf.gradients(value * tf.cast(index, tf.float32), graph.get_tensor_by_name("x:0"))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), min_size=1, max_size=5)
)
def test_a_branch_that_goes_on_after_its_result_was_used_outside(stages):
    """As gradients of branches do: they work in the branch with what it computed, and with what was made of its result."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float64, [])
        pred = x > 0
        sides = [[dataflow.switch(x, pred)[side]] for side in (0, 1)]
        outside = [x]
        for first, second, is_nested in stages:
            ends = []
            for side, known in enumerate(sides):
                new = dataflow.switch(outside[second % len(outside)], pred)[side]
                made = known[first % len(known)] * 0.5 + tf.sin(new) * (side + 1.0)
                if is_nested:
                    test = made > 0.3
                    low, high = dataflow.switch(made, test)
                    made = dataflow.merge([tf.sin(low) - new_in(test, new, 0), high * high])[0]
                known.append(made)
                ends.append(made)
            outside.append(tf.exp(-tf.abs(dataflow.merge(ends)[0])))
        y = tf.add_n(outside)
        raised = session.plan(y, [x])
        assert not is_interpreted(raised)
        before = raising.raised
        raising.raised = lambda *args: {}
        try:
            exact = tf.Session(graph=graph).plan(y, [x])
        finally:
            raising.raised = before
        for fed in (1.5, 0.2, -0.5):
            (wanted,) = interpret(exact, [np.float64(fed)])
            assert interpret(raised, [np.float64(fed)])[0] == wanted
            assert generate(raised)([np.float64(fed)])[0] == wanted


def new_in(test, value, side):
    """`value` in a branch inside the branch."""
    return dataflow.switch(value, test)[side]


def test_training_graphs_of_tensorflow_run_without_the_interpreter():
    for name in RESULTS["results"]:
        graph = imported(name)
        with tf.Session(graph=graph) as session:
            outputs = [f"out_{i}:0" for i in range(len(RESULTS["results"][name][0]))]
            assert not is_interpreted(session.plan(outputs, ["x:0"])), name
