"""Embeddings of sparse rows that may be empty or hold ids that are none."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import (
    casting,
    compare,
    constants,
    indexing,
    joining,
    reduction,
    shaping,
    slicing,
)
from ckpt.ops import sparse_tensors as sparse
from ckpt.ops.embedding import embedding_lookup_sparse


def safe_embedding_lookup_sparse(
    embedding_weights: Any, sparse_ids: Any, sparse_weights: Any = None, combiner: str = "mean",
    default_id: Any = None, name: str | None = None, partition_strategy: str = "div", max_norm: Any = None,
) -> Tensor:  # fmt: skip
    """`embedding_lookup_sparse` that passes over negative ids, and ids without a positive weight unless they are summed.

    `sparse_ids` is [d0, .., dn], the result [d0, .., dn-1, row]. A row without ids is zeros, or the row `default_id` of
    the table. Raises ValueError where there is no table, or for another combiner.
    """
    if embedding_weights is None or (
        isinstance(embedding_weights, (list, tuple)) and not embedding_weights
    ):
        raise ValueError(f"Missing embedding_weights {embedding_weights}.")
    tables = (
        embedding_weights if isinstance(embedding_weights, (list, tuple)) else [embedding_weights]
    )
    with name_scope(name, "embedding_lookup", [*tables, sparse_ids, sparse_weights]) as scope:
        outer = sparse_ids.dense_shape
        rank = sparse_ids.dense_shape.shape[0].value
        last = rank - 1 if rank is not None else shaping.size(outer) - 1
        lead = slicing.slice_(outer, [0], [last])
        ids = sparse.sparse_reshape(
            sparse_ids, joining.stack([reduction.reduce_prod(lead), indexing.gather(outer, last)])
        )
        weights = sparse_weights
        if weights is not None:
            weights = SparseTensor(ids.indices, weights.values, ids.dense_shape)
        ids, weights = _real_ids(ids, weights, combiner)
        ids, is_empty = sparse.sparse_fill_empty_rows(ids, default_id or 0)
        if weights is not None:
            weights, _ = sparse.sparse_fill_empty_rows(weights, 1.0)
        found = embedding_lookup_sparse(
            embedding_weights, ids, weights, partition_strategy,
            name=None if default_id is None else scope, combiner=combiner, max_norm=max_norm,
        )  # fmt: skip
        if default_id is None:
            flags = shaping.reshape(is_empty, [-1, 1])
            wide = shaping.tile(flags, joining.stack([1, shaping.shape(found)[1]]))
            found = compare.select(wide, constants.zeros_like(found), found, name=scope)
        sizes = slicing.slice_(casting.cast(outer, dtypes.int32), [0], [last])
        row = slicing.slice_(shaping.shape(found), [1], [-1])
        result = shaping.reshape(found, joining.concat([sizes, row], 0))
        known, inner = sparse_ids.shape.sizes, found.shape.sizes
        if known is not None and inner is not None:
            result.set_shape([*known[:-1], *inner[1:]])
        return result


def _real_ids(ids: SparseTensor, weights: Any, combiner: str) -> tuple[SparseTensor, Any]:
    """Those entries whose id is one, and whose weight is more than 0 where the weights are no summands."""
    is_id = compare.greater_equal(ids.values, 0)
    if weights is None:
        return sparse.sparse_retain(ids, is_id), None
    is_id = compare.logical_and(is_id, constants.ones_like(weights.values, dtypes.bool_))
    ids, weights = sparse.sparse_retain(ids, is_id), sparse.sparse_retain(weights, is_id)
    if combiner != "sum":
        is_positive = compare.greater(weights.values, 0)
        ids, weights = (
            sparse.sparse_retain(ids, is_positive),
            sparse.sparse_retain(weights, is_positive),
        )
    return ids, weights
