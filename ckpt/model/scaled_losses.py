"""Losses of one step shared out over a batch or over replicas, of which there is one. Knows no kernel."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.ops import (
    assertions,
    casting,
    division,
    elementwise,
    rank_assertions,
    reduction,
    shaping,
)


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Tensor:
    """The sum of the losses [batch], each times its weight, by the size of the batch (`global_batch_size` where given)."""
    losses = convert.convert_to_tensor(per_example_loss)
    held = losses.dtype
    if sample_weight is not None:
        weights = casting.cast(convert.convert_to_tensor(sample_weight), dtypes.float32)
        losses = elementwise.mul(casting.cast(losses, dtypes.float32), weights)
    losses = casting.cast(losses, held)
    if global_batch_size is None:
        replicas = 1
        global_batch_size = shaping.shape(losses)[0] * replicas
    else:
        rank_assertions.assert_scalar(global_batch_size)
    assertions.assert_integer(global_batch_size)
    assertions.assert_non_negative(
        global_batch_size, message="global_batch_size must be non-negative."
    )
    total = reduction.reduce_sum(losses)
    return division.div_no_nan(total, casting.cast(global_batch_size, losses.dtype))


def scale_regularization_loss(regularization_loss: Any) -> Tensor:
    """The sum of the losses by the number of replicas, which is 1."""
    found: Tensor = division.truediv(reduction.reduce_sum(regularization_loss), 1.0)
    return found
