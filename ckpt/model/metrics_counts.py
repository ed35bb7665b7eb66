"""Metrics that count: true and false positives and negatives, precision and recall, confusion matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.model.losses import broadcast_weights
from ckpt.model.metrics import (
    Metric,
    as_float,
    entered,
    metric_variable,
    quotient,
    squeezed,
)
from ckpt.model.scopes import variable_scope
from ckpt.ops import (
    assertions,
    casting,
    compare,
    constants,
    control,
    diagonals,
    distinct,
    division,
    elementwise,
    rank_assertions,
    reduction,
    scatter,
    shaping,
    state,
)


def _counted(kind: str, is_label: bool, is_prediction: bool, what: str) -> Callable[..., Metric]:
    """The metric `kind`: how often the label is `is_label` and the prediction `is_prediction`."""

    def metric(
        labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: str | None = None,
    ) -> Metric:  # fmt: skip
        with variable_scope(name, kind, (predictions, labels, weights)):
            found, wanted, weights = squeezed(
                casting.cast(predictions, dtypes.bool_),
                casting.cast(labels, dtypes.bool_),
                weights,
            )
            both = compare.logical_and(
                compare.equal(wanted, is_label), compare.equal(found, is_prediction)
            )
            assertions.assert_type(both, dtypes.bool_)
            count = metric_variable([], dtypes.float32, "count")
            hits = as_float(both)
            if weights is not None:
                weights = as_float(weights)
                rank = shaping.rank(hits)
                with control_dependencies([rank_assertions.assert_rank_in(weights, (0, rank))]):
                    hits = elementwise.mul(hits, weights)
            value = control.identity(count)
            update = state.assign_add(count, reduction.reduce_sum(hits))
            return entered(value, update, metrics_collections, updates_collections)

    metric.__name__ = metric.__qualname__ = kind
    metric.__doc__ = f"How many {what}, by weight. All values are taken as booleans."
    return metric


true_positives = _counted("true_positives", True, True, "labels are true and predicted to be")
false_positives = _counted("false_positives", False, True, "labels are false and predicted true")
true_negatives = _counted("true_negatives", False, False, "labels are false and predicted to be")
false_negatives = _counted("false_negatives", True, False, "labels are true and predicted false")


def precision(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """true positives / (true positives + false positives), and 0 without any positive prediction."""
    with variable_scope(name, "precision", (predictions, labels, weights)):
        return _share(
            false_positives, labels, predictions, weights, metrics_collections, updates_collections
        )


def recall(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """true positives / (true positives + false negatives), and 0 without any true label."""
    with variable_scope(name, "recall", (predictions, labels, weights)):
        return _share(
            false_negatives, labels, predictions, weights, metrics_collections, updates_collections
        )


def _share(
    of_false: Callable[..., Metric], labels: Any, predictions: Any, weights: Any, metrics_collections: Any,
    updates_collections: Any,
) -> Metric:  # fmt: skip
    """true positives / (true positives + those that `of_false` counts)."""
    predictions = casting.cast(predictions, dtypes.bool_)
    found, wanted, weights = squeezed(predictions, casting.cast(labels, dtypes.bool_), weights)
    hits = true_positives(wanted, found, weights)
    misses = of_false(wanted, found, weights)
    value, update = (
        compare.where(hit + miss > 0, hit / (hit + miss), 0.0, name=name)
        for hit, miss, name in zip(hits, misses, ("value", "update_op"), strict=True)
    )
    return entered(value, update, metrics_collections, updates_collections)


def mean_iou(
    labels: Any, predictions: Any, num_classes: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean over classes of intersection over union; the update gives the confusion matrix.

    Classes without labels or predictions do not count. Raises ValueError when shapes do not fit.
    """
    with variable_scope(name, "mean_iou", (predictions, labels, weights)):
        found, wanted, weights = _flat(predictions, labels, weights)
        size = [num_classes, num_classes]
        matrix = metric_variable(size, dtypes.float64, "total_confusion_matrix")
        classes = casting.cast(num_classes, dtypes.int64)
        batch = distinct.confusion_matrix(
            wanted, found, classes, dtype=dtypes.float64, weights=weights
        )
        update = state.assign_add(matrix, batch)
        return entered(_iou(matrix.value()), update, metrics_collections, updates_collections)


def _iou(matrix: Tensor) -> Tensor:
    by_row, by_column = (as_float(reduction.reduce_sum(matrix, axis)) for axis in (0, 1))
    hits = as_float(diagonals.diag_part(matrix))
    union = by_row + by_column - hits
    classes = reduction.reduce_sum(as_float(compare.not_equal(union, 0)))
    union = compare.where(union > 0, union, constants.ones_like(union))
    total = reduction.reduce_sum(hits / union, name="mean_iou")
    found: Tensor = compare.where(classes > 0, total / classes, 0)
    return found


def mean_per_class_accuracy(
    labels: Any, predictions: Any, num_classes: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean over classes of how often a class is predicted where it is the label; the update gives each class's."""
    with variable_scope(name, "mean_accuracy", (predictions, labels, weights)):
        found, wanted, weights = _flat(predictions, labels, weights)
        total = metric_variable([num_classes], dtypes.float32, "total")
        count = metric_variable([num_classes], dtypes.float32, "count")
        each = constants.ones([shaping.size(wanted)]) if weights is None else weights
        correct = as_float(compare.equal(found, wanted))
        if weights is not None:
            correct = elementwise.mul(correct, weights)
        more = scatter.scatter_add(total, wanted, each)
        right = scatter.scatter_add(count, wanted, correct)
        shares = division.div_no_nan(count.value(), elementwise.maximum(total.value(), 0))
        value = reduction.reduce_mean(shares, name="mean_accuracy")
        update = quotient(right, more, "update_op")
        return entered(value, update, metrics_collections, updates_collections)


def _flat(predictions: Any, labels: Any, weights: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Predictions, labels as int64 and weights as vectors."""
    predictions = convert.convert_to_tensor(predictions)
    labels = casting.cast(labels, dtypes.int64)
    predictions.shape.assert_is_compatible_with(labels.shape)
    parts = [casting.cast(predictions, dtypes.int64), labels]
    if weights is not None:
        parts.append(broadcast_weights(as_float(weights), as_float(labels)))
    flat = [part if part.shape.ndims == 1 else shaping.reshape(part, [-1]) for part in parts]
    return flat[0], flat[1], flat[2] if weights is not None else None
