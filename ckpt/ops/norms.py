"""Norms of vectors and matrices. A composition: knows no kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import (
    decompositions,
    elementwise,
    reduction,
    shaping,
)


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    keep_dims: Any = None,
) -> Tensor:
    """The norm of vectors (along one axis) or matrices (along two), or of all elements.

    Raises ValueError for an `ord` that does not go with the axes.
    """
    keep = bool(keepdims if keepdims is not None else keep_dims)
    is_matrix = isinstance(axis, (tuple, list)) and len(axis) == 2
    if is_matrix:
        axis = tuple(axis)
        if axis[0] == axis[1]:
            raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
        allowed: list[Any] = ["euclidean", "fro", 1, 2, np.inf]
    else:
        if axis is not None and not isinstance(axis, (int, np.integer)) and np.size(axis) != 1:
            raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
        allowed = ["euclidean", 1, 2, np.inf]
    if not (ord in allowed or (not is_matrix and isinstance(ord, (int, float)) and ord > 0)):
        raise ValueError(
            f"'ord' must be a supported {'matrix' if is_matrix else 'vector'} norm, got {ord}"
        )
    if axis is not None and not is_matrix and not isinstance(axis, (list, tuple)):
        axis = (axis,)
    with name_scope(name, "norm", [tensor]):
        tensor = convert.convert_to_tensor(tensor)
        if ord in ("fro", "euclidean", 2) and not (is_matrix and ord == 2):
            squares = tensor * elementwise.conj_of(tensor)
            result = elementwise.sqrt(reduction.reduce_sum(squares, axis, keepdims=True))
        else:
            result = _other_norm(tensor, ord, axis, is_matrix)
        return result if keep else shaping.squeeze(result, axis)


def _other_norm(tensor: Tensor, ord: Any, axis: Any, is_matrix: bool) -> Tensor:
    if is_matrix and ord == 2:
        rank = tensor.shape.rank
        if rank is None:
            raise ValueError("the spectral norm needs a known rank")
        axes = [a % rank for a in axis]
        order = [i for i in range(rank) if i not in axes] + axes
        values = decompositions.svd(shaping.transpose(tensor, order), compute_uv=False)
        largest = reduction.reduce_max(values, -1)
        for a in sorted(axes):
            largest = shaping.expand_dims(largest, a)
        return largest
    sizes = elementwise.abs_(tensor)
    if not is_matrix:
        if ord == np.inf:
            return reduction.reduce_max(sizes, axis, keepdims=True)
        if ord == 1:
            return reduction.reduce_sum(sizes, axis, keepdims=True)
        powers = elementwise.pow_(sizes, ord)
        return elementwise.pow_(reduction.reduce_sum(powers, axis, keepdims=True), 1.0 / ord)
    first, second = axis if ord == 1 else axis[::-1]
    summed = reduction.reduce_sum(sizes, first, keepdims=True)
    return reduction.reduce_max(summed, second, keepdims=True)
