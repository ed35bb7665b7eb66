"""Metrics of probabilities, which become predictions at each of some thresholds: areas under curves and their points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core import dtypes
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.model.losses import broadcast_weights
from ckpt.model.metrics import Metric, as_float, entered, metric_variable, squeezed
from ckpt.model.scopes import variable_scope
from ckpt.ops import (
    assertions,
    casting,
    compare,
    constants,
    control,
    cumulative,
    division,
    elementwise,
    reduction,
    shaping,
    state,
)

TINY = 1e-7
SMALL = 1e-6
"""What keeps the quotients of `auc` from dividing by nothing."""
COUNTS = ("true_positives", "false_negatives", "true_negatives", "false_positives")

Counts = dict[str, Any]


def _counts(
    labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any, kinds: Sequence[str] = COUNTS
) -> tuple[Counts, Counts]:  # fmt: skip
    """(counts so far, counts after one more batch), each a vector with one element per threshold."""
    inside = "predictions must be in [0, 1]"
    predictions = as_float(predictions)
    with control_dependencies(
        [
            assertions.assert_greater_equal(
                predictions, casting.cast(0.0, dtypes.float32), message=inside
            ),
            assertions.assert_less_equal(
                predictions, casting.cast(1.0, dtypes.float32), message=inside
            ),
        ]
    ):
        found, wanted, weights = squeezed(predictions, casting.cast(labels, dtypes.bool_), weights)
    row = shaping.reshape(found, [1, -1])
    edges = constants.constant(list(thresholds), dtypes.float32, [len(thresholds), 1])
    positive = compare.greater(row, edges)
    is_true = shaping.reshape(wanted, [1, -1])
    each = None
    if weights is not None:
        each = shaping.reshape(broadcast_weights(as_float(weights), found), [1, -1])
    now, after = {}, {}
    for kind in COUNTS:
        if kind in kinds:
            variable = metric_variable([len(thresholds)], dtypes.float32, kind)
            hits = as_float(_hits(kind, is_true, positive))
            hits = hits if each is None else hits * each
            after[kind] = state.assign_add(variable, reduction.reduce_sum(hits, 1))
            now[kind] = variable.value()
    return now, after


def _hits(kind: str, is_true: Tensor, positive: Tensor) -> Tensor:
    is_right, predicted = kind.split("_")
    chosen = positive if predicted == "positives" else compare.logical_not(positive)
    # A label is true where it is called positive and rightly so, or negative and wrongly so.
    labelled = is_true if (is_right == "true") == (predicted == "positives") else compare.logical_not(is_true)  # fmt: skip
    both: Tensor = compare.logical_and(labelled, chosen)
    return both


def _counted_at(kind: str) -> Callable[..., Metric]:
    def metric(
        labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any = None,
        metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
    ) -> Metric:  # fmt: skip
        with variable_scope(name, kind, (predictions, labels, weights)):
            now, after = _counts(labels, predictions, thresholds, weights, [kind])
            value = control.identity(now[kind])
            return entered(value, after[kind], metrics_collections, updates_collections)

    metric.__name__ = metric.__qualname__ = f"{kind}_at_thresholds"
    metric.__doc__ = f"How many {kind.replace('_', ' ')} there are, by weight, at each threshold."
    return metric


true_positives_at_thresholds = _counted_at("true_positives")
false_negatives_at_thresholds = _counted_at("false_negatives")
true_negatives_at_thresholds = _counted_at("true_negatives")
false_positives_at_thresholds = _counted_at("false_positives")


def precision_at_thresholds(
    labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """true positives / (true positives + false positives) at each threshold."""
    with variable_scope(name, "precision_at_thresholds", (predictions, labels, weights)):
        kinds = ("true_positives", "false_positives")
        pairs = _counts(labels, predictions, thresholds, weights, kinds)
        value, update = _shares("precision", kinds, pairs)
        return entered(value, update, metrics_collections, updates_collections)


def recall_at_thresholds(
    labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """true positives / (true positives + false negatives) at each threshold."""
    with variable_scope(name, "recall_at_thresholds", (predictions, labels, weights)):
        kinds = ("true_positives", "false_negatives")
        pairs = _counts(labels, predictions, thresholds, weights, kinds)
        value, update = _shares("recall", kinds, pairs)
        return entered(value, update, metrics_collections, updates_collections)


def _shares(name: str, kinds: tuple[str, str], pairs: tuple[Counts, Counts]) -> list[Tensor]:
    return [
        division.real_div(c[kinds[0]], TINY + c[kinds[0]] + c[kinds[1]], name=f"{name}_{suffix}")
        for c, suffix in zip(pairs, ("value", "update_op"), strict=True)
    ]


def auc(
    labels: Any, predictions: Any, weights: Any = None, num_thresholds: int = 200,
    metrics_collections: Any = None, updates_collections: Any = None, curve: str = "ROC",
    name: str | None = None, summation_method: str = "trapezoidal", thresholds: Sequence[float] | None = None,
) -> Metric:  # fmt: skip
    """The area under the curve ROC (recall over false positive rate) or PR (precision over recall).

    Args:
        labels: true or false for each prediction.
        predictions: probabilities, from 0 to 1.
        weights: for each prediction, or broadcastable to them.
        num_thresholds: how many points of the curve there are, at equal distances of the thresholds.
        metrics_collections: names of collections that the value enters.
        updates_collections: names of collections that the update enters.
        curve: "ROC" or "PR".
        name: of the scope.
        summation_method: "trapezoidal"; "minoring" and "majoring", which bound the area from below and above; or
            "careful_interpolation", for PR after Davis & Goadrich 2006, "The relationship between
            Precision-Recall and ROC curves".
        thresholds: in place of those at equal distances, without 0 and 1.

    Raises ValueError for another curve or method. Running it on predictions outside [0, 1] is an error.
    """
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve must be either ROC or PR, {curve} unknown")
    methods = ("trapezoidal", "minoring", "majoring", "careful_interpolation")
    if summation_method not in methods:
        raise ValueError(f"Invalid summation_method: {summation_method}. Must be one of {methods}")
    with variable_scope(name, "auc", (labels, predictions, weights)):
        inner = _even(num_thresholds) if thresholds is None else sorted(thresholds)
        pairs = _counts(labels, predictions, [-TINY, *inner, 1.0 + TINY], weights)
        value, update = (
            _area(counts, curve, summation_method, name)
            for counts, name in zip(pairs, ("value", "update_op"), strict=True)
        )
        return entered(value, update, metrics_collections, updates_collections)


def _even(count: int) -> list[float]:
    """All of `count` thresholds at equal distances but the first and the last."""
    return [(i + 1) / (count - 1) for i in range(count - 2)]


def _area(c: Counts, curve: str, method: str, name: str) -> Tensor:
    tp, fn, tn, fp = (c[kind] for kind in COUNTS)
    if method == "careful_interpolation" and curve == "PR":
        return _interpolated(tp, fp, fn)
    recall = (tp + SMALL) / (tp + fn + SMALL)
    if curve == "ROC":
        x, y = fp / (fp + tn + SMALL), recall
    else:
        x, y = recall, (tp + SMALL) / (tp + fp + SMALL)
    left, right = y[:-1], y[1:]
    if method == "minoring":
        heights = elementwise.minimum(left, right)
    elif method == "majoring":
        heights = elementwise.maximum(left, right)
    else:
        heights = (left + right) / 2.0
    area: Tensor = reduction.reduce_sum(elementwise.mul(x[:-1] - x[1:], heights), name=name)
    return area


def _interpolated(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """The area under precision over recall, which between two points is not linear: false positives are, in true ones."""
    gained = tp[:-1] - tp[1:]
    p = tp + fp
    slope = division.div_no_nan(gained, elementwise.maximum(p[:-1] - p[1:], 0), name="prec_slope")
    intercept = tp[1:] - slope * p[1:]
    ratio = compare.where(
        compare.logical_and(p[:-1] > 0, p[1:] > 0),
        division.div_no_nan(p[:-1], elementwise.maximum(p[1:], 0)),
        constants.ones_like(p[1:]),
    )
    steps = division.div_no_nan(
        slope * (gained + intercept * elementwise.log(ratio)),
        elementwise.maximum(tp[1:] + fn[1:], 0),
        name="pr_auc_increment",
    )
    area: Tensor = reduction.reduce_sum(steps, name="interpolate_pr_auc")
    return area


def sensitivity_at_specificity(
    labels: Any, predictions: Any, specificity: float, weights: Any = None, num_thresholds: int = 200,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The recall at the threshold whose specificity, tn / (tn + fp), is nearest. Raises ValueError outside [0, 1]."""
    _require_share(specificity=specificity)
    with variable_scope(name, "sensitivity_at_specificity", (predictions, labels, weights)):
        pairs = _counts(labels, predictions, [-TINY, *_even(num_thresholds), 1.0 + TINY], weights)
        value, update = (
            _sensitivity(counts, specificity, name)
            for counts, name in zip(pairs, ("value", "update_op"), strict=True)
        )
        return entered(value, update, metrics_collections, updates_collections)


def specificity_at_sensitivity(
    labels: Any, predictions: Any, sensitivity: float, weights: Any = None, num_thresholds: int = 200,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """tn / (tn + fp) at the highest threshold whose recall is nearest. Raises ValueError outside [0, 1]."""
    _require_share(sensitivity=sensitivity)
    with variable_scope(name, "specificity_at_sensitivity", (predictions, labels, weights)):
        pairs = _counts(labels, predictions, [-TINY, *_even(num_thresholds), 1.0 - TINY], weights)
        value, update = (
            _specificity(counts, sensitivity, name)
            for counts, name in zip(pairs, ("value", "update_op"), strict=True)
        )
        return entered(value, update, metrics_collections, updates_collections)


def _require_share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must be in the range [0, 1], got {value}.")


def _sensitivity(c: Counts, specificity: float, name: str) -> Tensor:
    tp, fn, tn, fp = (c[kind] for kind in COUNTS)
    at = reduction.argmin(elementwise.abs_(tn / (tn + fp + TINY) - specificity), 0)
    found: Tensor = division.real_div(tp[at], tp[at] + fn[at] + TINY, name=name)
    return found


def _specificity(c: Counts, sensitivity: float, name: str) -> Tensor:
    tp, fn, tn, fp = (c[kind] for kind in COUNTS)
    distance = elementwise.abs_(tp / (tp + fn + TINY) - sensitivity)
    is_nearest = casting.cast(compare.equal(distance, reduction.reduce_min(distance)), dtypes.int64)
    at = reduction.argmax(cumulative.cumsum(is_nearest), 0)  # the last of them
    found: Tensor = division.real_div(tn[at], tn[at] + fp[at] + TINY, name=name)
    return found
