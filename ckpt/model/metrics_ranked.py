"""Metrics of rankings: precision, recall and average precision among the first k predictions of each row.

Labels are class numbers, several to a row: int64 of the shape of the predictions but for the last axis, or without it
where there is one to a row; dense, or sparse where their number varies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.model.branches import cond
from ckpt.model.losses import assert_broadcastable, broadcast_weights
from ckpt.model.metrics import Metric, entered, metric_variable
from ckpt.ops import (
    casting,
    compare,
    constants,
    cumulative,
    division,
    elementwise,
    joining,
    largest,
    reduction,
    sets,
    shaping,
    sparse_tensors,
    state,
)


def precision_at_k(
    labels: Any, predictions: Any, k: int, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The share of labels among the k classes that `predictions` ranks first, of all rows or for one class."""
    with name_scope(
        name, _named("precision", k, class_id), (predictions, labels, weights)
    ) as scope:
        top = largest.top_k(predictions, k)[1]
        found = _ratio("false_positive", labels, top, k, class_id, weights, scope)
        return entered(*found, metrics_collections, updates_collections)


def precision_at_top_k(
    labels: Any, predictions_idx: Any, k: int | None = None, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """As precision_at_k, where `predictions_idx` already are the first k classes."""
    values = (predictions_idx, labels, weights)
    with name_scope(name, _named("precision", k, class_id), values) as scope:
        found = _ratio("false_positive", labels, predictions_idx, k, class_id, weights, scope)
        return entered(*found, metrics_collections, updates_collections)


def recall_at_k(
    labels: Any, predictions: Any, k: int, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The share of the labels that are among the k classes that `predictions` ranks first."""
    with name_scope(name, _named("recall", k, class_id), (predictions, labels, weights)) as scope:
        top = largest.top_k(predictions, k)[1]
        found = _ratio("false_negative", labels, top, k, class_id, weights, scope)
        return entered(*found, metrics_collections, updates_collections)


def recall_at_top_k(
    labels: Any, predictions_idx: Any, k: int | None = None, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """As recall_at_k, where `predictions_idx` already are the first k classes."""
    values = (predictions_idx, labels, weights)
    with name_scope(name, _named("recall", k, class_id), values) as scope:
        found = _ratio("false_negative", labels, predictions_idx, k, class_id, weights, scope)
        return entered(*found, metrics_collections, updates_collections)


def average_precision_at_k(
    labels: Any, predictions: Any, k: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean over rows of the mean of precision_at_1 … precision_at_k at the places that hold a label.

    Labels that are no class, below 0 or too large, do not count. Raises ValueError unless k is at least 1.
    """
    if k < 1:
        raise ValueError(f"Invalid k={k}.")
    name_of_all = _named("average_precision", k, None)
    with name_scope(name, name_of_all, (predictions, labels, weights)) as scope:
        predictions = convert.convert_to_tensor(predictions)
        top = casting.cast(largest.top_k(predictions, k)[1], dtypes.int64)
        classes = casting.cast(shaping.shape(predictions)[-1], dtypes.int64)
        wanted = _only_classes(_with_last_axis(labels, top), classes)
        precisions = _average_precision(wanted, top, k)
        if weights is not None:
            weights = broadcast_weights(casting.cast(weights, dtypes.float64), precisions)
            precisions = elementwise.mul(precisions, weights)
        with name_scope(None, "max", (precisions,)) as inner:
            most = metric_variable([], dtypes.float64, inner)
            if weights is None:
                size = casting.cast(shaping.size(precisions), dtypes.float64)
            else:
                size = reduction.reduce_sum(weights)
            longer = state.assign_add(most, size, name="update")
        with name_scope(None, "total", (precisions,)) as inner:
            total = metric_variable([], dtypes.float64, inner)
            more = state.assign_add(total, reduction.reduce_sum(precisions), name="update")
        value = division.div_no_nan(total.value(), most.value(), name="mean")
        update = division.div_no_nan(more, longer, name=scope)
        return entered(value, update, metrics_collections, updates_collections)


def sparse_precision_at_k(
    labels: Any, predictions: Any, k: int, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """precision_at_k under its older name."""
    return precision_at_k(
        labels, predictions, k, class_id, weights, metrics_collections, updates_collections, name
    )


def sparse_average_precision_at_k(
    labels: Any, predictions: Any, k: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """average_precision_at_k under its older name."""
    return average_precision_at_k(
        labels, predictions, k, weights, metrics_collections, updates_collections, name
    )


def _named(name: str, k: int | None, class_id: int | None) -> str:
    of_class = "" if class_id is None else f"_class{class_id}"
    return f"{name}_at_{'k' if k is None else k}{of_class}"


def _ratio(
    missed: str, labels: Any, top: Any, k: int | None, class_id: int | None, weights: Any, scope: str
) -> Metric:  # fmt: skip
    """true positives / (true positives + those that `missed` names), so far and after one more batch."""
    found = casting.cast(top, dtypes.int64)
    wanted = _with_last_axis(labels, found)
    if class_id is not None:
        wanted, found = _of_class(wanted, class_id), _of_class(found, class_id)
    hits = _streamed("true_positive", wanted, found, k, class_id, weights)
    others = _streamed(missed, wanted, found, k, class_id, weights)
    value = division.real_div(hits[0], elementwise.add(hits[0], others[0]), name=scope)
    update = division.real_div(hits[1], elementwise.add(hits[1], others[1]), name="update")
    return value, update


SETS: dict[str, Callable[[Any, Any], Any]] = {
    "true_positive": lambda wanted, found: sets.set_intersection(found, wanted),
    "false_positive": lambda wanted, found: sets.set_difference(found, wanted),
    "false_negative": lambda wanted, found: sets.set_difference(found, wanted, aminusb=False),
}


def _streamed(
    kind: str, wanted: Any, found: Any, k: int | None, class_id: int | None, weights: Any
) -> tuple[Tensor, Tensor]:
    """How many there are of the kind, so far and after this batch."""
    with name_scope(None, _named(kind, k, class_id)) as scope:
        number = casting.cast(sets.set_size(SETS[kind](wanted, found)), dtypes.float64)
        if weights is not None:
            each = casting.cast(weights, dtypes.float64)
            with control_dependencies([assert_broadcastable(each, number)]):
                number = elementwise.mul(number, each)
        count = metric_variable([], dtypes.float64, scope)
        return count.value(), state.assign_add(count, reduction.reduce_sum(number), name="update")


def _of_class(classes: Any, class_id: int) -> Any:
    """For each row the set of that class, or the empty set."""
    if isinstance(classes, SparseTensor):
        return sparse_tensors.sparse_retain(classes, compare.equal(classes.values, class_id))
    rows = shaping.shape(classes)[:-1]
    shape = joining.concat([rows, [1]], 0)
    one = constants.fill(shape, constants.constant(class_id, dtypes.int64))
    return sets.set_intersection(one, classes)


def _with_last_axis(labels: Any, predictions: Tensor) -> Any:
    """The labels as int64, with a last axis of size 1 where there is one label to a row."""
    if isinstance(labels, SparseTensor):
        values = casting.cast(labels.values, dtypes.int64)
        sparse = SparseTensor(labels.indices, values, labels.dense_shape)
        ranks = sparse.shape.ndims, predictions.shape.ndims
        if None in ranks or ranks[0] == ranks[1]:
            return sparse
        longer = joining.concat([sparse.dense_shape, constants.constant([1], dtypes.int64)], 0)
        return sparse_tensors.sparse_reshape(sparse, longer)
    dense = casting.cast(labels, dtypes.int64)
    ranks = dense.shape.ndims, predictions.shape.ndims
    if None in ranks or ranks[0] == ranks[1]:
        return dense
    return shaping.expand_dims(dense, -1)


def _only_classes(labels: Any, classes: Tensor) -> Any:
    """The labels, of which those that are no class become -1 (dense) or go (sparse)."""
    values = labels.values if isinstance(labels, SparseTensor) else labels
    known = cond(
        compare.greater_equal(reduction.reduce_max(values), classes),
        lambda: compare.where(
            compare.greater_equal(values, classes), -constants.ones_like(values), values
        ),
        lambda: values,
    )
    if not isinstance(labels, SparseTensor):
        return known
    replaced = SparseTensor(labels.indices, known, labels.dense_shape)
    return sparse_tensors.sparse_retain(replaced, compare.greater_equal(known, 0))


def _average_precision(labels: Any, top: Tensor, k: int) -> Tensor:
    """For each row the sum of the precisions at the places that hold a label, over as many as there could be."""
    with name_scope(None, "average_precision", (top, labels)):
        if isinstance(labels, SparseTensor):
            known = sets.set_size(labels)
            labels = sparse_tensors.sparse_tensor_to_dense(
                labels, default_value=-1, validate_indices=False
            )
        else:
            known = reduction.reduce_sum(
                casting.cast(compare.greater_equal(labels, 0), dtypes.int32), -1
            )
        same = compare.equal(shaping.expand_dims(top, -1), shaping.expand_dims(labels, -2))
        is_label = casting.cast(reduction.reduce_any(same, -1), dtypes.float64)
        hits = cumulative.cumsum(is_label, -1)
        places = cumulative.cumsum(constants.ones_like(is_label), -1)
        total = reduction.reduce_sum(hits / places * is_label, -1)
        found: Tensor = total / casting.cast(elementwise.minimum(known, k), dtypes.float64)
        return found
