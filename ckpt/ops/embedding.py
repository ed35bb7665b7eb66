"""Rows of tables by their numbers: embeddings, also where the table lies in parts.

Source of the two ways of splitting ("mod" and "div"): TensorFlow's python/ops/embedding_ops.py. Functions only.
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.opdef import opdef_of
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import colocate_with, name_scope
from ckpt.ops import (
    casting,
    clipping,
    compare,
    constants,
    control,
    division,
    elementwise,
    indexing,
    joining,
    reduction,
    shaping,
)


def _parts(params: Any) -> list[Any]:
    """The parts of a table: a list as it is, a partitioned variable's parts, anything else alone."""
    if params is None or (isinstance(params, (list, tuple)) and not params):
        raise ValueError(f"`params` must be specified, got {params!r}")
    if isinstance(params, (list, tuple)):
        return list(params)
    return list(params) if hasattr(params, "_get_partitions") else [params]


def _clipped(rows: Tensor, ids: Tensor, max_norm: Any) -> Tensor:
    """`rows` with each row's Euclidean norm at most `max_norm`, where that is given."""
    if max_norm is None:
        return rows
    first, end = ids.shape.rank, rows.shape.rank
    if first is not None and end is not None:
        return clipping.clip_by_norm(rows, max_norm, axes=list(range(first, end)))
    axes = indexing.range_(shaping.rank(ids), shaping.rank(rows))
    return clipping.clip_by_norm(rows, max_norm, axes=axes)


def embedding_lookup(
    params: Any, ids: Any, partition_strategy: str = "mod", name: str | None = None, validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:  # fmt: skip
    """The rows `ids` of the table `params`, which may be a list of parts. Raises ValueError for another strategy.

    With "mod" row i is in part i % parts, with "div" the parts are consecutive. Rows of a resource variable are
    gathered without reading the others. `max_norm` limits the Euclidean norm of each row.
    """
    params = _parts(params)
    with name_scope(name, "embedding_lookup", [*params, ids]) as scope:
        params = [p if hasattr(p, "sparse_read") else convert.convert_to_tensor(p, name=f"params_{i}")
                  for i, p in enumerate(params)]  # fmt: skip
        ids = convert.convert_to_tensor(ids, name="ids")
        if len(params) == 1:
            with colocate_with(params[0]):
                rows = _clipped(indexing.gather(params[0], ids, name=scope), ids, max_norm)
            return control.identity(rows)
        return _clipped(_from_parts(params, ids, partition_strategy, scope), ids, max_norm)


def _from_parts(params: list[Any], ids: Tensor, strategy: str, name: str) -> Tensor:
    flat = shaping.reshape(ids, [-1])
    positions = indexing.range_(shaping.size(flat))
    place, part = _places(params, flat, strategy)
    part = casting.cast(part, dtypes.int32)
    count = len(params)
    split = opdef_of("DynamicPartition")
    wanted, where = (split(v, part, num_partitions=count) for v in (place, positions))
    found = []
    for table, chosen in zip(params, wanted, strict=True):
        with colocate_with(table):
            found.append(indexing.gather(table, chosen))
    whole = opdef_of("ParallelDynamicStitch")(list(where), found, name=name)
    row = params[0].shape[1:]
    for table in params[1:]:
        row = row.merge_with(table.shape[1:])
    outer = shaping.shape(ids)
    inner = row.as_list() if row.is_fully_defined() else shaping.shape(whole)[1:]
    result = shaping.reshape(whole, joining.concat([outer, inner], 0))
    if ids.shape.sizes is not None and row.sizes is not None:
        result.set_shape(ids.shape.concatenate(row))
    return result


def _places(params: list[Any], flat: Tensor, strategy: str) -> tuple[Tensor, Tensor]:
    """(row within its part, number of the part) for each id."""
    count = len(params)
    if strategy == "mod":
        part = flat % count
        return flat // count, part
    if strategy != "div":
        raise ValueError(
            f'Only "div" and "mod" are supported as partition strategies, got "{strategy}"'
        )
    heights = [p.shape for p in params]
    known = [h.as_list()[0] for h in heights if h.sizes]
    if len(known) == count and None not in known:
        total: Any = constants.constant(sum(known), flat.dtype)
    else:
        total = casting.cast(
            reduction.reduce_sum(joining.stack([shaping.shape(p)[0] for p in params])), flat.dtype
        )
    each, extras = total // count, total % count
    part = elementwise.maximum(flat // (each + 1), (flat - extras) // each)
    place = compare.where(compare.less(part, extras), flat % (each + 1), (flat - extras) % each)
    return place, part


def embedding_lookup_sparse(
    params: Any, sp_ids: Any, sp_weights: Any, partition_strategy: str = "mod", name: str | None = None,
    combiner: str | None = None, max_norm: Any = None,
) -> Tensor:  # fmt: skip
    """For each row of the sparse `sp_ids` the rows of the table that it names, combined into one.

    `combiner` is "sum", "mean" or "sqrtn" (the sum over the root of the sum of squared weights). `sp_weights` has the
    same indices as `sp_ids`, or is None. Raises TypeError when these are no SparseTensors, ValueError otherwise.
    """
    combiner = combiner or "mean"
    if combiner not in ("mean", "sqrtn", "sum"):
        raise ValueError(f"combiner must be one of 'mean', 'sqrtn' or 'sum', got {combiner}")
    for what, sparse in (("sp_ids", sp_ids), ("sp_weights", sp_weights)):
        if not hasattr(sparse, "dense_shape") and not (what == "sp_weights" and sparse is None):
            raise TypeError(f"{what} must be SparseTensor, got {type(sparse)}")
    if sp_weights is not None:
        for part in ("values", "indices", "dense_shape"):
            getattr(sp_ids, part).shape.assert_is_compatible_with(getattr(sp_weights, part).shape)
    params = _parts(params)
    with name_scope(name, "embedding_lookup_sparse", [*params, sp_ids.values]) as scope:
        segments = sp_ids.indices[:, 0]
        ids, places = opdef_of("Unique")(sp_ids.values)
        rows = embedding_lookup(params, ids, partition_strategy, max_norm=max_norm)
        if sp_weights is None:
            kind = {
                "sum": "SparseSegmentSum",
                "mean": "SparseSegmentMean",
                "sqrtn": "SparseSegmentSqrtN",
            }[combiner]
            return opdef_of(kind)(rows, places, segments, name=scope)
        segments = casting.cast(segments, dtypes.int32)
        gathered = indexing.gather(rows, places)
        dtype = gathered.dtype.base_dtype
        if dtype in (dtypes.float16, dtypes.bfloat16):  # sums of these lose too much
            gathered = casting.cast(gathered, dtypes.float32)
        found = _weighted(gathered, sp_weights.values, segments, combiner, scope)
        return casting.cast(found, dtype)


def _weighted(rows: Tensor, weights: Tensor, segments: Tensor, combiner: str, name: str) -> Tensor:
    """The weighted sum of each segment's rows, divided as `combiner` says; 0 where there are no weights."""
    if weights.dtype.base_dtype != rows.dtype.base_dtype:
        weights = casting.cast(weights, rows.dtype)
    inner = shaping.expand_dims(shaping.rank(rows) - 1, 0)
    outer = shaping.shape(weights)
    wide = shaping.reshape(
        weights, joining.concat([outer, constants.ones(inner, dtype=dtypes.int32)], 0)
    )
    if rows.shape.rank is not None:
        wide.set_shape(weights.shape.concatenate([1] * (rows.shape.rank - 1)))
    summed = opdef_of("SegmentSum")
    if combiner == "sum":
        return summed(rows * wide, segments, name=name)
    total = summed(rows * wide, segments)
    if combiner == "mean":
        return division.div_no_nan(total, summed(wide, segments), name=name)
    squares = summed(elementwise.pow_(wide, 2), segments)
    return division.div_no_nan(total, elementwise.sqrt(squares), name=name)
