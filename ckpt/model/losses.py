"""The names of `tf.losses`: losses weighted, reduced to one number and entered in a collection.

Source of the reductions and texts: TensorFlow's python/ops/losses/losses_impl.py.
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import add_to_collection, control_dependencies, name_scope
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import (
    activation,
    casting,
    compare,
    constants,
    control,
    division,
    elementwise,
    indexing,
    loss,
    reduction,
    shaping,
)
from ckpt.ops.distinct import remove_squeezable_dimensions


class Reduction:
    """How the weighted losses of the elements become one number."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All of them."""
        return (
            cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )  # fmt: skip

    @classmethod
    def validate(cls, key: str) -> None:
        """Raise ValueError unless `key` is one of them."""
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key}. Must be one of: {cls.all()}")


DEFAULT = Reduction.SUM_BY_NONZERO_WEIGHTS


def _refuse_none(**values: Any) -> None:
    for name, value in values.items():
        if value is None:
            raise ValueError(f"Argument `{name}` must not be None.")


def _as_float(value: Any) -> Tensor:
    return casting.cast(value, dtypes.float32)


def _pair(labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    """Both as float32. Raises ValueError when the shapes do not fit."""
    predictions, labels = _as_float(predictions), _as_float(labels)
    predictions.shape.assert_is_compatible_with(labels.shape)
    return labels, predictions


def assert_broadcastable(weights: Any, values: Any) -> Operation:
    """An operation that fails unless `weights` is a scalar or has the rank of `values` with sizes 1 or the same.

    Raises ValueError where the static shapes already say so.
    """
    with name_scope(None, "assert_broadcastable", (weights, values)) as scope:
        weights = convert.convert_to_tensor(weights, name="weights")
        values = convert.convert_to_tensor(values, name="values")
        weights_shape = shaping.shape(weights, name="weights/shape")
        weights_rank = shaping.rank(weights, name="weights/rank")
        values_shape = shaping.shape(values, name="values/shape")
        values_rank = shaping.rank(values, name="values/rank")
        found, wanted = (
            constant_value_as_shape(weights_shape).sizes,
            constant_value_as_shape(values_shape).sizes,
        )
        if found == ():
            return control.no_op(name="static_scalar_check_success")
        if found is not None and wanted is not None:
            _check_static(found, wanted, weights, values)
            if None not in found and None not in wanted:
                return control.no_op(name="static_dims_check_success")
        return _assert_dynamic(weights_shape, weights_rank, values_shape, values_rank, scope)


def _check_static(found: Any, wanted: Any, weights: Tensor, values: Tensor) -> None:
    said = (
        f"values.rank={len(wanted)}. weights.rank={len(found)}. values.shape={values.shape}. "
        f"weights.shape={weights.shape}."
    )
    if len(found) != len(wanted):
        raise ValueError(f"weights can not be broadcast to values. {said}")
    for axis, (w, v) in enumerate(zip(found, wanted, strict=True)):
        if None not in (w, v) and w not in (1, v):
            raise ValueError(
                f"weights can not be broadcast to values. Mismatch at dim {axis}. {said}"
            )


def _assert_dynamic(
    weights_shape: Tensor,
    weights_rank: Tensor,
    values_shape: Tensor,
    values_rank: Tensor,
    name: str,
) -> Operation:
    # Vectors of different lengths are unequal as a whole; of equal ranks the sizes are compared one by one.
    equal = OPS["Equal"](weights_shape, values_shape, incompatible_shape_error=False)
    fits = reduction.reduce_all(compare.logical_or(equal, compare.equal(weights_shape, 1)))
    same_rank = compare.equal(weights_rank, values_rank)
    good = compare.logical_or(compare.equal(weights_rank, 0), compare.logical_and(same_rank, fits))
    said = [
        "weights can not be broadcast to values.", "weights.shape=", weights_shape, "values.shape=", values_shape,
    ]  # fmt: skip
    data = [v if isinstance(v, Tensor) else constants.constant(v) for v in said]
    return OPS["Assert"](good, data, name=name)  # type: ignore[no-any-return]  # it has no outputs


def broadcast_weights(weights: Any, values: Any) -> Tensor:
    """`weights` in the shape of `values`. Raises ValueError where they do not fit."""
    with name_scope(None, "broadcast_weights", (weights, values)) as scope:
        values = convert.convert_to_tensor(values, name="values")
        weights = convert.convert_to_tensor(weights, dtype=values.dtype.base_dtype, name="weights")
        if weights.shape.is_fully_defined() and weights.shape.is_compatible_with(values.shape) \
                and values.shape.is_fully_defined():  # fmt: skip
            return weights  # type: ignore[no-any-return]  # rebound above
        with control_dependencies((assert_broadcastable(weights, values),)):
            found: Tensor = elementwise.mul(weights, constants.ones_like(values), name=scope)
            return found


def _num_present(losses: Tensor, weights: Any, per_batch: bool = False) -> Tensor:
    """How many elements have a weight other than 0, in all or for each row."""
    with name_scope(None, "num_present", (losses, weights)) as scope:
        weights = _as_float(weights)
        present = compare.where(
            compare.equal(weights, 0.0), constants.zeros_like(weights), constants.ones_like(weights)
        )
        present = broadcast_weights(present, losses)
        if per_batch:
            axes = indexing.range_(1, shaping.rank(present))
            rows: Tensor = reduction.reduce_sum(present, axes, keepdims=True, name=scope)
            return rows
        total: Tensor = reduction.reduce_sum(present, name=scope)
        return total


def _num_elements(losses: Tensor) -> Tensor:
    with name_scope(None, "num_elements", [losses]) as scope:
        return casting.cast(shaping.size(losses, name=scope), losses.dtype)


def compute_weighted_loss(
    losses: Any, weights: Any = 1.0, scope: str | None = None, loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The losses times their weights, reduced as `reduction` says and entered in `loss_collection`.

    `weights` is a scalar or has the rank of `losses`, with sizes 1 or the same. Raises ValueError otherwise.
    """
    Reduction.validate(reduction)
    with (
        name_scope(scope, "weighted_loss", (losses, weights)),
        control_dependencies((assert_broadcastable(weights, losses),)),
    ):
        losses = convert.convert_to_tensor(losses)
        kind = losses.dtype
        losses, weights = _as_float(losses), _as_float(weights)
        found = _reduced(elementwise.mul(losses, weights), losses, weights, reduction)
        found = casting.cast(found, kind)
        add_loss(found, loss_collection)
        return found


def _reduced(weighted: Tensor, losses: Tensor, weights: Tensor, kind: str) -> Any:
    if kind == Reduction.NONE:
        return weighted
    total = reduction.reduce_sum(weighted)
    if kind == Reduction.SUM:
        return total
    if kind == Reduction.MEAN:
        count = reduction.reduce_sum(constants.ones_like(losses) * weights)
    elif kind == Reduction.SUM_OVER_BATCH_SIZE:
        count = _num_elements(losses)
    else:
        count = _num_present(losses, weights)
    return division.div_no_nan(reduction.reduce_sum(total), count, name="value")


def absolute_difference(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The weighted |predictions - labels|."""
    _refuse_none(labels=labels, predictions=predictions)
    with name_scope(scope, "absolute_difference", (predictions, labels, weights)) as inner:
        labels, predictions = _pair(labels, predictions)
        losses = elementwise.abs_(elementwise.sub(predictions, labels))
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def cosine_distance(
    labels: Any, predictions: Any, axis: Any = None, weights: Any = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT, dim: Any = None,
) -> Tensor:  # fmt: skip
    """1 - the cosine of labels and predictions along `axis`, both of length 1 already. ValueError without `axis`."""
    axis = axis if axis is not None else dim
    if axis is None:
        raise ValueError("You must specify argument `axis`.")
    _refuse_none(labels=labels, predictions=predictions)
    with name_scope(scope, "cosine_distance_loss", (predictions, labels, weights)) as inner:
        labels, predictions = _pair(labels, predictions)
        products = elementwise.mul(predictions, labels)
        losses = 1 - _sum_along(products, axis)
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def _sum_along(x: Tensor, axis: Any) -> Any:
    return reduction.reduce_sum(x, (axis,), keepdims=True)


def hinge_loss(
    labels: Any, logits: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """max(0, 1 - s * logits), s being 1 where the label is 1 and -1 where it is 0."""
    _refuse_none(labels=labels, logits=logits)
    with name_scope(scope, "hinge_loss", (logits, labels, weights)) as inner:
        labels, logits = _pair(labels, logits)
        ones = constants.ones_like(labels)
        signs = elementwise.sub(2 * labels, ones)
        losses = activation.relu(elementwise.sub(ones, elementwise.mul(signs, logits)))
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def huber_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, delta: float = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """Half the squared error up to `delta`, linear with the slope `delta` beyond."""
    _refuse_none(labels=labels, predictions=predictions)
    with name_scope(scope, "huber_loss", (predictions, labels, weights)) as inner:
        labels, predictions = _pair(labels, predictions)
        size = elementwise.abs_(elementwise.sub(predictions, labels))
        quadratic = elementwise.minimum(size, delta)
        linear = elementwise.sub(size, quadratic)
        half = constants.constant(0.5, dtype=quadratic.dtype)
        losses = elementwise.add(
            elementwise.mul(half, elementwise.mul(quadratic, quadratic)),
            elementwise.mul(delta, linear),
        )
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def log_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, epsilon: float = 1e-7, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The cross entropy of labels and predictions, both probabilities; `epsilon` keeps the logarithms finite."""
    _refuse_none(labels=labels, predictions=predictions)
    with name_scope(scope, "log_loss", (predictions, labels, weights)) as inner:
        labels, predictions = _pair(labels, predictions)
        losses = -elementwise.mul(labels, elementwise.log(predictions + epsilon)) - elementwise.mul(
            1 - labels, elementwise.log(1 - predictions + epsilon)
        )
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def mean_pairwise_squared_error(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
) -> Tensor:  # fmt: skip
    """The squared differences between all pairs of errors of a row: 0 when all errors of each row are the same."""
    _refuse_none(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_pairwise_squared_error", (predictions, labels, weights)):
        weights = _as_float(weights)
        labels = _as_float(labels)
        with control_dependencies((assert_broadcastable(weights, labels),)):
            labels, predictions = _pair(labels, predictions)
            errors = elementwise.sub(predictions, labels)
            axes = indexing.range_(1, shaping.rank(errors))
            squares = reduction.reduce_sum(elementwise.square(errors), axes, keepdims=True)
            count = _num_present(errors, weights, per_batch=True)
            first = 2.0 * division.div_no_nan(
                squares, elementwise.maximum(count - 1, 0), name="value"
            )
            sums = elementwise.square(reduction.reduce_sum(errors, axes, keepdims=True))
            pairs = elementwise.maximum(elementwise.mul(count, count - 1), 0)
            second = 2.0 * division.div_no_nan(sums, pairs, name="value")
            total = reduction.reduce_sum(elementwise.mul(first - second, weights))
            some = compare.greater(reduction.reduce_sum(count), 0)
            found = compare.where(some, total, constants.zeros_like(total), name="value")
            add_loss(found, loss_collection)
            return found


def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The weighted (predictions - labels)²."""
    _refuse_none(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_squared_error", (predictions, labels, weights)) as inner:
        labels, predictions = _pair(labels, predictions)
        losses = elementwise.squared_difference(predictions, labels)
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def sigmoid_cross_entropy(
    multi_class_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The cross entropy of labels and sigmoid(logits); smoothing moves labels towards 1/2."""
    _refuse_none(multi_class_labels=multi_class_labels, logits=logits)
    with name_scope(
        scope, "sigmoid_cross_entropy_loss", (logits, multi_class_labels, weights)
    ) as inner:
        logits = convert.convert_to_tensor(logits)
        labels = casting.cast(multi_class_labels, logits.dtype)
        logits.shape.assert_is_compatible_with(labels.shape)
        if label_smoothing > 0:
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        losses = loss.sigmoid_cross_entropy_with_logits(
            labels=labels, logits=logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The cross entropy of one-hot labels and softmax(logits); smoothing moves labels towards 1/classes."""
    _refuse_none(onehot_labels=onehot_labels, logits=logits)
    with name_scope(scope, "softmax_cross_entropy_loss", (logits, onehot_labels, weights)) as inner:
        logits = convert.convert_to_tensor(logits)
        labels = casting.cast(onehot_labels, logits.dtype)
        logits.shape.assert_is_compatible_with(labels.shape)
        if label_smoothing > 0:
            classes = casting.cast(shaping.shape(labels)[1], logits.dtype)
            least = label_smoothing / classes
            labels = labels * (1.0 - label_smoothing) + least
        labels = control.stop_gradient(labels, name="labels_stop_gradient")
        losses = loss.softmax_cross_entropy_with_logits_v2(
            labels=labels, logits=logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def _squeezed(
    labels: Any, predictions: Any, weights: Any, expected: int
) -> tuple[Tensor, Tensor, Any]:
    """Labels, predictions and weights, without a last axis of size 1 that one has more than the others."""
    labels, predictions = remove_squeezable_dimensions(labels, predictions, expected)
    if weights is not None:
        weights = convert.convert_to_tensor(weights)
        if (
            weights.shape.rank
            and labels.shape.rank is not None
            and weights.shape.rank - labels.shape.rank == 1
        ):
            weights = shaping.squeeze(weights, [-1])
    return labels, predictions, weights


def sparse_softmax_cross_entropy(
    labels: Any, logits: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES, reduction: str = DEFAULT,
) -> Tensor:  # fmt: skip
    """The cross entropy of the classes `labels` and softmax(logits); a last axis of size 1 of `labels` is dropped."""
    _refuse_none(labels=labels, logits=logits)
    with name_scope(scope, "sparse_softmax_cross_entropy_loss", (logits, labels, weights)) as inner:
        labels, logits, weights = _squeezed(labels, logits, weights, 1)
        losses = loss.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, inner, loss_collection, reduction)


def add_loss(loss: Tensor, loss_collection: Any = GraphKeys.LOSSES) -> None:
    """Enter a loss in the collection that `get_total_loss` sums up."""
    if loss_collection:
        add_to_collection(loss_collection, loss)


def get_losses(scope: str | None = None, loss_collection: Any = GraphKeys.LOSSES) -> list[Any]:
    """The losses entered so far, of a scope where one is given."""
    return stack.get_default_graph().get_collection(loss_collection, scope)


def get_regularization_losses(scope: str | None = None) -> list[Any]:
    """The losses of regularizers."""
    return stack.get_default_graph().get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def get_regularization_loss(
    scope: str | None = None, name: str = "total_regularization_loss"
) -> Tensor:
    """The sum of the losses of regularizers; 0 where there is none."""
    losses = get_regularization_losses(scope)
    return elementwise.add_n(losses, name=name) if losses else constants.constant(0.0)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of all losses, those of regularizers included unless told otherwise."""
    losses = get_losses(scope)
    if add_regularization_losses:
        losses = losses + get_regularization_losses(scope)
    return elementwise.add_n(losses, name=name)
