"""Losses over a few drawn classes instead of all: noise-contrastive estimation and the sampled softmax.

Gutmann and Hyvärinen 2010, "Noise-contrastive estimation"; Jean et al. 2015, arXiv:1412.2007. The names of the nodes
are those of TensorFlow's python/ops/nn_impl.py. Functions only.
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (
    candidates,
    casting,
    constants,
    control,
    elementwise,
    embedding,
    joining,
    loss,
    matmul,
    scattering,
    shaping,
    slicing,
)


def _sum_rows(x: Tensor) -> Tensor:
    """The sums of the rows of a matrix, as a product with ones."""
    columns = shaping.shape(x)[1]
    ones = constants.ones(joining.stack([columns, 1]), x.dtype.base_dtype)
    return shaping.reshape(matmul.matmul(x, ones), [-1])


def _dots(inputs: Tensor, true_weights: Tensor, num_true: int) -> Tensor:
    """[batch, num_true]: each row of `inputs` times the weights of its true classes."""
    dim = shaping.shape(true_weights)[1:2]
    shape = joining.concat([[-1, num_true], dim], 0)
    products = elementwise.mul(shaping.expand_dims(inputs, 1), shaping.reshape(true_weights, shape))
    rows = shaping.reshape(products, joining.concat([[-1], dim], 0))
    return shaping.reshape(_sum_rows(rows), [-1, num_true])


def _without_hits(
    logits: Tensor, labels: Tensor, sampled: Tensor, num_true: int, num_sampled: int
) -> Tensor:
    """`logits` of the drawn classes, the least possible where such a class is a true one of the row."""
    rows, places, weights = candidates.compute_accidental_hits(labels, sampled, num_true)
    rows = shaping.reshape(rows, [-1, 1])
    places = shaping.reshape(casting.cast(places, dtypes.int32), [-1, 1])
    indices = joining.concat([rows, places], 1, "sparse_indices")
    shape = joining.concat([shaping.shape(labels)[:1], shaping.expand_dims(num_sampled, 0)], 0)
    weights = casting.cast(weights, logits.dtype.base_dtype)
    hidden = scattering.sparse_to_dense(indices, shape, weights, 0.0, validate_indices=False)
    found: Tensor = logits + hidden
    return found


def _rows(table: Any, ids: Tensor, strategy: str, dtype: Any) -> Tensor:
    return casting.cast(embedding.embedding_lookup(table, ids, strategy), dtype)


def _sampled_logits(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int, num_true: int,
    sampled_values: Any, remove_accidental_hits: bool, strategy: str, name: str | None, seed: int | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(logits, labels), both [batch, num_true + num_sampled], the true classes first."""
    with name_scope(name, "compute_sampled_logits", [weights, biases, inputs, labels]):
        inputs = convert.convert_to_tensor(inputs, name="inputs")
        labels = casting.cast(convert.convert_to_tensor(labels, name="labels"), dtypes.int64)
        dtype = inputs.dtype.base_dtype
        flat = shaping.reshape(labels, [-1])
        if sampled_values is None:
            sampled_values = candidates.log_uniform_candidate_sampler(
                labels, num_true, num_sampled, True, num_classes, seed
            )
        sampled, true_count, sampled_count = (control.stop_gradient(v) for v in sampled_values)
        sampled = casting.cast(sampled, dtypes.int64)
        ids = joining.concat([flat, sampled], 0)
        rows = _rows(weights, ids, strategy, dtype)
        true_rows = slicing.slice_(rows, [0, 0], joining.stack([shaping.shape(flat)[0], -1]))
        sampled_rows = slicing.slice_(rows, joining.stack([shaping.shape(flat)[0], 0]), [-1, -1])
        sampled_logits = matmul.matmul(inputs, sampled_rows, transpose_b=True)
        offsets = _rows(biases, ids, strategy, dtype)
        true_offsets = slicing.slice_(offsets, [0], shaping.shape(flat))
        sampled_offsets = slicing.slice_(offsets, shaping.shape(flat), [-1])
        true_logits = _dots(inputs, true_rows, num_true)
        true_logits = true_logits + shaping.reshape(true_offsets, [-1, num_true])
        sampled_logits = sampled_logits + sampled_offsets
        if remove_accidental_hits:
            sampled_logits = _without_hits(sampled_logits, labels, sampled, num_true, num_sampled)
        true_logits = true_logits - elementwise.log(true_count)
        sampled_logits = sampled_logits - elementwise.log(sampled_count)
        logits = joining.concat([true_logits, sampled_logits], 1)
        share = constants.ones_like(true_logits) / num_true
        return logits, joining.concat([share, constants.zeros_like(sampled_logits)], 1)


def nce_loss(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int, num_true: int = 1,
    sampled_values: Any = None, remove_accidental_hits: bool = False, partition_strategy: str = "mod",
    name: str | None = "nce_loss",
) -> Tensor:  # fmt: skip
    """The loss of noise-contrastive estimation for each row of `inputs` [batch, dim].

    `labels` [batch, num_true] are the true classes; `weights` [num_classes, dim] and `biases` [num_classes] may lie in
    parts. `sampled_values` is what a candidate sampler gave, by default the log-uniform one.
    """
    logits, shares = _sampled_logits(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        partition_strategy, name, None,
    )  # fmt: skip
    return _sum_rows(
        loss.sigmoid_cross_entropy_with_logits(labels=shares, logits=logits, name="sampled_losses")
    )


def sampled_softmax_loss(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int, num_true: int = 1,
    sampled_values: Any = None, remove_accidental_hits: bool = True, partition_strategy: str = "mod",
    name: str | None = "sampled_softmax_loss", seed: int | None = None,
) -> Tensor:  # fmt: skip
    """The cross entropy over the true and some drawn classes for each row of `inputs`; arguments as `nce_loss`."""
    logits, shares = _sampled_logits(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        partition_strategy, name, seed,
    )  # fmt: skip
    shares = control.stop_gradient(shares, name="labels_stop_gradient")
    return loss.softmax_cross_entropy_with_logits_v2(labels=shares, logits=logits)
