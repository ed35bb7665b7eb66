"""What products and systems of matrices take: equal batches, adjoints, and what is known of both."""

from __future__ import annotations

from typing import Any

from ckpt.graph.operation import Tensor
from ckpt.ops import (
    assertions,
    casting,
    constants,
    elementwise,
    joining,
    linear_algebra,
    matmul,
    partitioning,
    shaping,
)


def on_one_batch(*tensors: Tensor) -> list[Tensor]:
    """Matrices [..., rows, columns] with equal sizes in front of the last two."""
    batches = [t.shape[:-2] for t in tensors]
    if all(b.is_fully_defined() and b.as_list() == batches[0].as_list() for b in batches):
        return list(tensors)
    batch = shaping.shape(tensors[0])[:-2]
    for tensor in tensors[1:]:
        batch = partitioning.broadcast_dynamic_shape(batch, shaping.shape(tensor)[:-2])
    return [
        shaping.broadcast_to(t, joining.concat([batch, shaping.shape(t)[-2:]], 0)) for t in tensors
    ]


def either(first: bool | None, second: bool | None) -> bool | None:
    """What is known when two hints must both hold: True for two that do, otherwise nothing."""
    return True if first and second else None


def dense_product(matrix: Tensor, x: Tensor, adjoint: bool, adjoint_arg: bool) -> Tensor:
    """The product of two matrices, each taken as its conjugate transpose where asked for."""
    return matmul.matmul(matrix, x, adjoint_a=adjoint, adjoint_b=adjoint_arg)


def no_zeros(values: Tensor, message: str) -> Any:
    """The operation that fails where one of the values is zero."""
    return assertions.assert_none_equal(
        elementwise.abs_(values), constants.zeros([], values.dtype.real_dtype), message=message
    )


def argument(x: Tensor, adjoint_arg: bool) -> Tensor:
    """What a product or a system is given: `x`, or its conjugate transpose."""
    return linear_algebra.adjoint(x) if adjoint_arg else x


def real_part(x: Tensor) -> Tensor:
    """The real parts."""
    return casting.cast(x, x.dtype.real_dtype) if x.dtype.is_complex else x
