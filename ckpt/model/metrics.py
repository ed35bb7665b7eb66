"""Streaming means as `tf.metrics` has them: accuracy, errors, and whatever else is a mean over all batches so far.

Each metric is a pair: its value so far, and the operation that takes one more batch into account and gives the value
after it. Both rest on local variables in `GraphKeys.METRIC_VARIABLES`.
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.model.losses import broadcast_weights
from ckpt.model.scopes import variable_scope
from ckpt.model.variables import Variable
from ckpt.ops import casting, compare, constants, division, elementwise, reduction, shaping, state

Metric = tuple[Any, Any]


def metric_variable(shape: Any, dtype: Any, name: str) -> Any:
    """A local variable of zeros that holds what a metric has seen; `name` is made unique as node names are."""
    return Variable(
        lambda: constants.zeros(shape, dtype),
        trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES],
        name=name,
        dtype=dtype,
    )


def entered(value: Any, update: Any, metrics_collections: Any, updates_collections: Any) -> Metric:
    """The pair, entered in the collections of these names."""
    graph = stack.get_default_graph()
    for names, member in ((metrics_collections, value), (updates_collections, update)):
        if names:
            graph.add_to_collections(names, member)
    return value, update


def as_float(value: Any) -> Tensor:
    """The value as float32."""
    cast: Tensor = casting.cast(value, dtypes.float32)
    return cast


def quotient(total: Any, count: Any, name: str) -> Tensor:
    """total / count, and 0 where nothing was counted."""
    found: Tensor = division.div_no_nan(total, elementwise.maximum(count, 0), name=name)
    return found


def squeezed(
    predictions: Any, labels: Any, weights: Any
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The three with ranks that fit: a last axis of size 1 goes where one has it and the other has not."""
    predictions = convert.convert_to_tensor(predictions)
    if labels is not None:
        labels = convert.convert_to_tensor(labels)
        predictions, labels = _last_axis_dropped(predictions, labels)
        predictions.shape.assert_is_compatible_with(labels.shape)
    if weights is None:
        return predictions, labels, None
    weights = convert.convert_to_tensor(weights)
    if weights.shape.ndims in (None, 0) or predictions.shape.ndims is None:
        return predictions, labels, weights
    more = weights.shape.ndims - predictions.shape.ndims
    if more == 1:
        weights = shaping.squeeze(weights, [-1])
    elif more == -1:
        weights = shaping.expand_dims(weights, -1)
    return predictions, labels, weights


def _last_axis_dropped(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    found, wanted = predictions.shape.sizes, labels.shape.sizes
    if found is None or wanted is None:
        return predictions, labels
    if len(found) == len(wanted) + 1 and found[-1] in (1, None):
        predictions = shaping.squeeze(predictions, [-1])
    elif len(wanted) == len(found) + 1 and wanted[-1] in (1, None):
        labels = shaping.squeeze(labels, [-1])
    return predictions, labels


def mean(
    values: Any, weights: Any = None, metrics_collections: Any = None, updates_collections: Any = None,
    name: str | None = None,
) -> Metric:  # fmt: skip
    """The weighted mean of all elements of all batches."""
    with variable_scope(name, "mean", (values, weights)):
        values = as_float(values)
        total = metric_variable([], dtypes.float32, "total")
        count = metric_variable([], dtypes.float32, "count")
        if weights is None:
            number = as_float(shaping.size(values))
        else:
            values, weights = weighted(values, weights)
            number = reduction.reduce_sum(weights)
        more = state.assign_add(total, reduction.reduce_sum(values))
        with control_dependencies([values]):
            longer = state.assign_add(count, number)
        return entered(
            quotient(total.value(), count.value(), "value"),
            quotient(more, longer, "update_op"),
            metrics_collections,
            updates_collections,
        )


def weighted(values: Tensor, weights: Any) -> tuple[Tensor, Tensor]:
    """(values times weights, the weights in the shape of the values)."""
    values, _, weights = squeezed(values, None, weights)
    weights = broadcast_weights(casting.cast(weights, values.dtype.base_dtype), values)
    product: Tensor = elementwise.mul(values, weights)
    return product, weights


def mean_tensor(
    values: Any, weights: Any = None, metrics_collections: Any = None, updates_collections: Any = None,
    name: str | None = None,
) -> Metric:  # fmt: skip
    """The weighted mean over all batches, for each element of a batch of its own."""
    with variable_scope(name, "mean", (values, weights)):
        values = as_float(values)
        total = metric_variable(values.shape, dtypes.float32, "total_tensor")
        count = metric_variable(values.shape, dtypes.float32, "count_tensor")
        number = constants.ones_like(values)
        if weights is not None:
            values, weights = weighted(values, weights)
            number = elementwise.mul(number, weights)
        more = state.assign_add(total, values)
        with control_dependencies([values]):
            longer = state.assign_add(count, number)
        return entered(
            quotient(total.value(), count.value(), "value"),
            quotient(more, longer, "update_op"),
            metrics_collections,
            updates_collections,
        )


def accuracy(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """How often predictions equal labels."""
    found, wanted, weights = squeezed(predictions, labels, weights)
    if wanted is not None and found.dtype.base_dtype != wanted.dtype.base_dtype:
        found = casting.cast(found, wanted.dtype)
    correct = as_float(compare.equal(found, wanted))
    return mean(correct, weights, metrics_collections, updates_collections, name or "accuracy")


def mean_absolute_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean of |prediction - label|."""
    found, wanted, weights = squeezed(predictions, labels, weights)
    errors = elementwise.abs_(found - wanted)
    name = name or "mean_absolute_error"
    return mean(errors, weights, metrics_collections, updates_collections, name)


def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean of (prediction - label) ** 2."""
    found, wanted, weights = squeezed(predictions, labels, weights)
    errors = elementwise.squared_difference(wanted, found)
    name = name or "mean_squared_error"
    return mean(errors, weights, metrics_collections, updates_collections, name)


def root_mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The root of the mean of (prediction - label) ** 2."""
    name = name or "root_mean_squared_error"
    squares = mean_squared_error(labels, predictions, weights, name=name)
    value, update = (elementwise.sqrt(part) for part in squares)
    return entered(value, update, metrics_collections, updates_collections)


def mean_relative_error(
    labels: Any, predictions: Any, normalizer: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean of |prediction - label| / normalizer, which is 0 where the normalizer is."""
    found, wanted, weights = squeezed(predictions, labels, weights)
    found, normalizer = _last_axis_dropped(found, convert.convert_to_tensor(normalizer))
    found.shape.assert_is_compatible_with(normalizer.shape)
    errors = compare.where(
        compare.equal(normalizer, 0.0),
        constants.zeros_like(wanted),
        elementwise.abs_(wanted - found) / normalizer,
    )
    name = name or "mean_relative_error"
    return mean(errors, weights, metrics_collections, updates_collections, name)


def mean_cosine_distance(
    labels: Any, predictions: Any, dim: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The mean of 1 - the scalar product along `dim`, for labels and predictions of length 1."""
    found, wanted, weights = squeezed(predictions, labels, weights)
    products = reduction.reduce_sum(elementwise.mul(found, wanted), [dim], keepdims=True)
    similarity = mean(products, weights, name=name or "mean_cosine_distance")
    value, update = (elementwise.sub(1.0, part) for part in similarity)
    return entered(value, update, metrics_collections, updates_collections)


def percentage_below(
    values: Any, threshold: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Metric:  # fmt: skip
    """The share, from 0 to 1, of elements below the threshold."""
    below = as_float(compare.less(values, threshold))
    name = name or "percentage_below_threshold"
    return mean(below, weights, metrics_collections, updates_collections, name)
