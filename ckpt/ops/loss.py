"""Cross entropies. Gradients are those of TensorFlow's python/ops/nn_grad.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import (
    activation,
    casting,
    compare,
    constants,
    control,
    elementwise,
    indexing,
    joining,
    matmul,
    shaping,
    slicing,
)


@op("SoftmaxCrossEntropyWithLogits", "features: T, labels: T -> loss: T, backprop: T", T=FLOATING)
def softmax_cross_entropy_op(features, labels):
    """loss[b] = -sum over c of labels[b, c] * log(softmax(features)[b, c]); backprop = softmax(features) - labels.

    features, labels: [batch, classes], broadcast with each other.
    """
    kind = features.dtype
    if features.shape != labels.shape:
        features, labels = np.broadcast_arrays(features, labels)
    features, labels = activation.wide(features), activation.wide(labels)
    shifted = activation.shifted(features)
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    shifted -= np.log(total)
    loss = -np.einsum("bc,bc->b", labels, shifted)
    powers /= total
    powers -= labels
    return loss.astype(kind, copy=False), powers.astype(kind, copy=False)


@softmax_cross_entropy_op.shape
def softmax_cross_entropy_shape(features, labels):
    found = broadcast(features.shape.with_rank(2), labels.shape.with_rank(2))
    return [found.sizes[:1], found]


def _column_times(column: Tensor, matrix: Tensor) -> Tensor:
    """Each row of `matrix` times its number in the vector `column`."""
    return shaping.expand_dims(column, -1) * matrix


def _is_zero(gradient: Any) -> bool:
    """True when `gradient` is absent, or zeros that stand for an output without gradient."""
    if gradient is None or gradient.op.type in ("ZerosLike", "Zeros"):
        return True
    value = constant_value(gradient)
    return value is not None and not np.any(value)


def _second_order(d_backprop: Tensor, logits: Tensor) -> Tensor:
    """What the gradient of `backprop` adds to the gradient of the logits."""
    softmax = activation.softmax(logits)
    inner = shaping.squeeze(
        matmul.matmul(shaping.expand_dims(d_backprop, 1), shaping.expand_dims(softmax, 2)), axis=[1]
    )
    return (d_backprop - inner) * softmax


@softmax_cross_entropy_op.grad
def softmax_cross_entropy_grad(node: Operation, d_loss, d_backprop):
    logits = node.inputs[0]
    d_logits = None if d_loss is None else _column_times(d_loss, node.outputs[1])
    if not _is_zero(d_backprop):
        more = _second_order(d_backprop, logits)
        d_logits = more if d_logits is None else d_logits + more
    d_labels = None if d_loss is None else _column_times(d_loss, -activation.log_softmax(logits))
    return [d_logits, d_labels]


@op(
    "SparseSoftmaxCrossEntropyWithLogits", "features: T, labels: Tlabels -> loss: T, backprop: T",
    T=FLOATING, Tlabels=Attr("type", dtypes.int64, INDEX),
)  # fmt: skip
def sparse_softmax_cross_entropy_op(features, labels):
    """loss[b] = -log(softmax(features)[b, labels[b]]); backprop is its gradient by the features.

    features: [batch, classes], labels: [batch]. Raises InvalidArgumentError for a label that is no class.
    """
    kind, classes = features.dtype, features.shape[1]
    if labels.ndim != 1:
        raise InvalidArgumentError(
            None, None, f"labels must be 1-D, but got shape {list(labels.shape)}"
        )
    if labels.shape != features.shape[:1]:
        raise InvalidArgumentError(
            None, None, f"logits and labels must have the same first dimension, got logits shape "
            f"{list(features.shape)} and labels shape {list(labels.shape)}"
        )  # fmt: skip
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        bad = labels[(labels < 0) | (labels >= classes)][0]
        raise InvalidArgumentError(
            None, None, f"Received a label value of {bad} which is outside the valid range of [0, {classes}).  "
            f"Label values: {' '.join(str(v) for v in labels.tolist()[:20])}"
        )  # fmt: skip
    shifted = activation.shifted(activation.wide(features))
    rows = np.arange(labels.shape[0])
    chosen = shifted[rows, labels]
    powers = np.exp(shifted, out=shifted)
    total = powers.sum(axis=1)
    loss = np.log(total) - chosen
    powers /= total[:, None]
    powers[rows, labels] -= 1
    return loss.astype(kind, copy=False), powers.astype(kind, copy=False)


@sparse_softmax_cross_entropy_op.shape
def sparse_softmax_cross_entropy_shape(features, labels):
    batch, classes = features.shape.with_rank(2).sizes
    merged = TensorShape.of((batch,)).merge_with(labels.shape.with_rank(1)).sizes
    return [merged, (merged[0], classes)]


@sparse_softmax_cross_entropy_op.grad
def sparse_softmax_cross_entropy_grad(node: Operation, d_loss, d_backprop):
    d_logits = None if d_loss is None else _column_times(d_loss, node.outputs[1])
    if not _is_zero(d_backprop):
        more = _second_order(d_backprop, node.inputs[0])
        d_logits = more if d_logits is None else d_logits + more
    return [d_logits, None]


def _require_keywords(sentinel: Any, labels: Any, logits: Any, function: str) -> None:
    if sentinel is not None:
        raise ValueError(
            f"Only call `{function}` with named arguments (labels=..., logits=..., ...)"
        )
    if labels is None or logits is None:
        raise ValueError("Both labels and logits must be provided.")


def softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, dim: int = -1, name: str | None = None,
    axis: Any = None,
) -> Tensor:  # fmt: skip
    """The cross entropy of `labels`, probabilities along `axis`, and softmax(logits). Gradients skip the labels.

    Raises ValueError without labels or logits.
    """
    _require_keywords(_sentinel, labels, logits, "softmax_cross_entropy_with_logits")
    with name_scope(name, "softmax_cross_entropy_with_logits_sg", [logits, labels]) as scope:
        labels = control.stop_gradient(labels, name="labels_stop_gradient")
        return softmax_cross_entropy_with_logits_v2(
            labels, logits, dim if axis is None else axis, name=scope
        )


def softmax_cross_entropy_with_logits_v2(
    labels: Any, logits: Any, axis: Any = None, name: str | None = None, dim: Any = None
) -> Tensor:
    """The cross entropy of `labels`, probabilities along `axis`, and softmax(logits), differentiable by both.

    logits, labels: [..., classes], broadcast with each other; the result lacks `axis`.
    """
    axis = axis if axis is not None else dim
    axis = -1 if axis is None else axis
    with name_scope(name, "softmax_cross_entropy_with_logits", [logits, labels]) as scope:
        logits = convert.convert_to_tensor(logits, name="logits")
        labels = convert.convert_to_tensor(labels, name="labels", dtype=logits.dtype.base_dtype)
        if logits.dtype.base_dtype in (dtypes.float16, dtypes.bfloat16):
            losses = _dense_losses(casting.cast(labels, dtypes.float32),
                                   casting.cast(logits, dtypes.float32), axis, None)  # fmt: skip
            return casting.cast(losses, logits.dtype, name=scope)
        return _dense_losses(labels, logits, axis, scope)


def _dense_losses(labels: Tensor, logits: Tensor, axis: int, name: str | None) -> Tensor:
    """The losses over `axis` of tensors of any rank: flattened to matrices and back."""
    rank = shaping.rank(logits)
    known = logits.shape.rank
    if axis != -1 and (known is None or axis != known - 1):
        logits, labels = (_moved_to_end(t, axis, rank) for t in (logits, labels))
    shape = shaping.shape(logits)
    logits_2d, labels_2d = _flattened(logits), _flattened(labels)
    losses, _ = softmax_cross_entropy_op(logits_2d, labels_2d, name=name)
    outer = slicing.slice_(shape, [0], [elementwise.sub(rank, 1)])
    losses = shaping.reshape(losses, outer)
    if logits.shape.rank is not None:
        losses.set_shape(logits.shape[:-1])
    return losses


def _moved_to_end(tensor: Tensor, axis: int, rank: Tensor) -> Tensor:
    if axis < 0:
        axis += len(tensor.shape.with_rank_at_least(-axis))
    order = joining.concat([indexing.range_(axis), indexing.range_(axis + 1, rank), [axis]], 0)
    return shaping.transpose(tensor, order)


def _flattened(tensor: Tensor) -> Tensor:
    """[..., classes] as [-1, classes]."""
    rank = shaping.rank(tensor)
    last = slicing.slice_(shaping.shape(tensor), [elementwise.sub(rank, 1)], [1])
    flat = shaping.reshape(tensor, joining.concat([[-1], last], 0))
    if tensor.shape.rank is not None:
        flat.set_shape((tensor.shape[:-1].num_elements(), tensor.shape[-1]))
    return flat


def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """The cross entropy of the classes `labels` [...] and softmax(logits), logits: [..., classes].

    Raises ValueError for ranks and shapes that do not fit; labels outside the classes are refused when run.
    """
    _require_keywords(_sentinel, labels, logits, "sparse_softmax_cross_entropy_with_logits")
    with name_scope(name, "SparseSoftmaxCrossEntropyWithLogits", [labels, logits]):
        labels = convert.convert_to_tensor(labels)
        logits = convert.convert_to_tensor(logits)
        narrow = logits.dtype.base_dtype in (dtypes.float16, dtypes.bfloat16)
        precise = casting.cast(logits, dtypes.float32) if narrow else logits
        shape = shaping.shape(labels)
        _check_sparse(labels, logits)
        losses = _sparse_losses(labels, precise, shape, name)
        return casting.cast(losses, dtypes.float16 if logits.dtype == dtypes.float16 else dtypes.bfloat16) \
            if narrow else losses  # fmt: skip


def _check_sparse(labels: Tensor, logits: Tensor) -> None:
    outer = None if logits.shape.rank is None else logits.shape[:-1]
    if logits.shape.rank == 0:
        raise ValueError(f"Logits cannot be scalars - received shape {logits.shape}.")
    if logits.shape.rank is not None and labels.shape.rank not in (None, logits.shape.rank - 1):
        raise ValueError(
            f"Rank mismatch: Rank of labels (received {labels.shape.rank}) should equal rank of logits minus 1 "
            f"(received {logits.shape.rank})."
        )
    if outer is not None and not outer.is_compatible_with(labels.shape):
        raise ValueError(
            f"Shape mismatch: The shape of labels (received {labels.shape}) should equal the shape of logits "
            f"except for the last dimension (received {logits.shape})."
        )


def _sparse_losses(labels: Tensor, logits: Tensor, shape: Tensor, name: str | None) -> Tensor:
    if logits.shape.rank == 2:
        return sparse_softmax_cross_entropy_op(logits, labels, name=name)[0]
    classes = shaping.shape(logits)[elementwise.sub(shaping.rank(logits), 1, name="sub")]
    logits = shaping.reshape(logits, [-1, classes])
    labels = shaping.reshape(labels, [-1])
    losses, _ = sparse_softmax_cross_entropy_op(logits, labels, name=name)
    return shaping.reshape(losses, shape)


def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """For each element the cross entropy of the probability `labels` and sigmoid(logits), without overflow.

    Raises ValueError when the shapes differ.
    """
    _require_keywords(_sentinel, labels, logits, "sigmoid_cross_entropy_with_logits")
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = convert.convert_to_tensor(logits, name="logits")
        labels = convert.convert_to_tensor(labels, name="labels", dtype=logits.dtype.base_dtype)
        _check_same(labels, logits)
        # max(x, 0) - x·z + log(1 + exp(-|x|)), with selections whose gradient at 0 is right.
        zeros = constants.zeros_like(logits, dtype=logits.dtype)
        positive = compare.greater_equal(logits, zeros)
        relu = compare.where(positive, logits, zeros)
        negative = compare.where(positive, -logits, logits)
        return elementwise.add(
            relu - logits * labels, elementwise.log1p(elementwise.exp(negative)), name=scope
        )


def _check_same(labels: Tensor, logits: Tensor) -> None:
    if not labels.shape.is_compatible_with(logits.shape):
        raise ValueError(
            f"logits and labels must have the same shape, received ({logits.shape} vs {labels.shape})."
        )


def weighted_cross_entropy_with_logits(
    labels: Any = None,
    logits: Any = None,
    pos_weight: Any = None,
    name: str | None = None,
    targets: Any = None,
) -> Tensor:
    """`sigmoid_cross_entropy_with_logits` with the positive part of the loss times `pos_weight`.

    Raises ValueError when the shapes differ or both `labels` and `targets` are given.
    """
    if labels is not None and targets is not None:
        raise ValueError("Cannot specify both 'labels' and 'targets'")
    labels = targets if labels is None else labels
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = convert.convert_to_tensor(logits, name="logits")
        labels = convert.convert_to_tensor(labels, name="labels", dtype=logits.dtype.base_dtype)
        _check_same(labels, logits)
        # (1 - z)·x + (1 + (q - 1)·z)·(log(1 + exp(-|x|)) + max(-x, 0))
        weight = 1 + (pos_weight - 1) * labels
        tail = elementwise.log1p(elementwise.exp(-elementwise.abs_(logits))) + activation.relu(
            -logits
        )
        return elementwise.add((1 - labels) * logits, weight * tail, name=scope)
