"""Metrics over several batches against numbers that numpy finds from all of them at once, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf


def streamed(build, batches):
    """The value of the metric after all batches; every update gave the value of its moment."""
    with tf.Graph().as_default():
        holders = [tf.placeholder(tf.as_dtype(np.asarray(b).dtype)) for b in batches[0]]
        value, update = build(*holders)
        with tf.Session() as session:
            session.run(tf.local_variables_initializer())
            for batch in batches:
                after = session.run(update, dict(zip(holders, batch, strict=True)))
            found = session.run(value)
        np.testing.assert_allclose(found, after, rtol=1e-6)
        return found


BITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None)
@given(st.lists(BITS, min_size=1, max_size=3))
def test_precision_and_recall_count_over_all_batches(batches):
    fed = [tuple(np.array(column) for column in zip(*batch, strict=True)) for batch in batches]
    labels, predictions = (np.concatenate(column) for column in zip(*fed, strict=True))
    hits = np.sum(labels & predictions)
    precision = hits / max(1, np.sum(predictions))
    recall = hits / max(1, np.sum(labels))
    assert streamed(tf.metrics.precision, fed) == pytest.approx(precision)
    assert streamed(tf.metrics.recall, fed) == pytest.approx(recall)


NUMBERS = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=3))
def test_a_mean_over_batches_is_the_mean_of_all_elements(batches):
    fed = [(np.array(batch, np.float32),) for batch in batches]
    wanted = np.mean(np.concatenate([batch[0] for batch in fed]))
    assert streamed(tf.metrics.mean, fed) == pytest.approx(wanted, abs=1e-4)


def test_before_the_first_batch_the_value_is_zero():
    value, _ = tf.metrics.mean(tf.constant([1.0]))
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        assert session.run(value) == 0


def test_weights_count_elements_as_often_as_they_say():
    labels, predictions, weights = np.array([1, 2, 3]), np.array([1, 2, 0]), np.float32([1, 0, 3])
    found = streamed(tf.metrics.accuracy, [(labels, predictions, weights)])
    assert found == pytest.approx(0.25)


def test_a_perfect_ranking_has_an_area_of_one_and_its_reverse_of_none():
    labels, scores = np.array([0, 0, 1, 1]), np.float32([0.1, 0.2, 0.8, 0.9])
    assert streamed(tf.metrics.auc, [(labels, scores)]) == pytest.approx(1.0, abs=1e-3)
    assert streamed(tf.metrics.auc, [(1 - labels, scores)]) == pytest.approx(0.0, abs=1e-3)


def test_variables_are_local_and_known_as_those_of_metrics():
    tf.metrics.precision(tf.constant([1]), tf.constant([1]))
    names = ["precision/true_positives/count", "precision/false_positives/count"]
    assert [v.op.name for v in tf.get_collection(tf.GraphKeys.METRIC_VARIABLES)] == names
    assert [v.op.name for v in tf.local_variables()] == names
    assert tf.global_variables() == []


def test_results_enter_the_collections_that_are_named():
    value, update = tf.metrics.mean(tf.constant([1.0]), None, ["values"], ["updates"])
    assert tf.get_collection("values") == [value]
    assert tf.get_collection("updates") == [update]


def test_a_last_axis_of_size_one_fits_labels_without_it():
    labels, predictions = tf.constant([1, 0, 1]), tf.constant([[1], [1], [1]])
    value, update = tf.metrics.accuracy(labels, predictions)
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        session.run(update)
        assert session.run(value) == pytest.approx(2 / 3)


def test_average_precision_does_not_count_labels_that_are_no_class():
    scores = np.float32([[0.9, 0.8, 0.1]])
    of_both = streamed(
        lambda labels, s: tf.metrics.average_precision_at_k(
            tf.ensure_shape(labels, [1, 2]), tf.ensure_shape(s, [1, 3]), 2
        ),
        [(np.array([[1, 7]]), scores)],
    )
    assert of_both == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda m, x: m.auc(x, x, curve="LIFT"), "ROC or PR"),
        (lambda m, x: m.auc(x, x, summation_method="simpson"), "summation_method"),
        (lambda m, x: m.sensitivity_at_specificity(x, x, -0.1), "specificity"),
        (lambda m, x: m.specificity_at_sensitivity(x, x, 1.1), "sensitivity"),
        (lambda m, x: m.average_precision_at_k([[1]], [[0.5]], 0), "k=0"),
        (lambda m, x: m.accuracy(x, tf.zeros([3])), "ompatible"),
        (lambda m, x: m.mean(x, weights=tf.ones([3])), "broadcast"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, match):
    with pytest.raises(ValueError, match=match):
        build(tf.metrics, tf.zeros([2]))


def test_probabilities_outside_of_0_to_1_stop_the_run():
    _, update = tf.metrics.auc([0, 1], tf.placeholder_with_default([0.5, 1.5], [2]))
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"predictions must be in \[0, 1\]"
        ):
            session.run(update)
