"""Sums and means over segments of chosen rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX, REAL
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import UNDEFINED, OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import indexing, segments, shaping

TIDX = Attr("type", dtypes.int32, INDEX)
INPUTS = "data: T, indices: Tidx, segment_ids: Tsegmentids"


def _checked(data, indices, segment_ids, count):
    """(rows of data, segment ids, number of segments). Raises InvalidArgumentError as TensorFlow's kernel does."""
    indices, ids = np.asarray(indices), np.asarray(segment_ids)
    if indices.ndim != 1:
        raise InvalidArgumentError(None, None, "indices should be a vector.")
    if ids.ndim != 1:
        raise InvalidArgumentError(None, None, "segment_ids should be a vector.")
    if indices.shape != ids.shape:
        raise InvalidArgumentError(None, None, "segment_ids and indices should have same size.")
    rows = np.shape(data)[0]
    bad = np.flatnonzero((indices < 0) | (indices >= rows))
    if bad.size:
        raise InvalidArgumentError(
            None,
            None,
            f"Bad: indices[{bad[0]}] == {indices[bad[0]]} out of range [0, {rows})",
        )
    last = int(ids[-1]) + 1 if ids.size else 0
    if count is not None and int(count) < last:
        raise InvalidArgumentError(None, None, "segment ids must be < num_segments")
    if ids.size:
        segments.check_order(ids, last if count is None else int(count))
    if count is None:
        return np.asarray(data)[indices], ids, last
    return np.asarray(data)[indices], ids, int(count)


def _scale(kind: str, ids: Any, count: int, like: Any) -> Any:
    """By what each segment's sum is divided."""
    sizes = np.maximum(np.bincount(ids, minlength=count), 1).astype(np.float64)
    sizes = {"Sum": np.ones_like(sizes), "Mean": sizes, "SqrtN": np.sqrt(sizes)}[kind]
    return sizes.reshape((-1,) + (1,) * (np.ndim(like) - 1))


def _combine(kind, data, indices, segment_ids, count=None):
    rows, ids, count = _checked(data, indices, segment_ids, count)
    total = segments.combined(np.add, rows, ids, count, 0)
    return total if kind == "Sum" else (total / _scale(kind, ids, count, total)).astype(data.dtype)


def _shape(data, indices, segment_ids, *count):
    indices.shape.merge_with(segment_ids.shape).with_rank(1)
    if data.shape.sizes is None:
        return [TensorShape(None)]
    if not data.shape.sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    rows = constant_value(count[0]) if count else None
    return [(None if rows is None else int(rows), *data.shape.sizes[1:])]


def _grad(kind):
    def rule(node, dy):
        data, indices, ids = node.inputs[:3]
        rows = shaping.shape(data)[0]
        if kind == "Sum":
            found = segments.unsorted_segment_sum(indexing.gather(dy, ids), indices, rows)
        else:
            found = GRADS[kind](dy, indices, ids, rows)
        return [found] + [None] * (len(node.inputs) - 1)

    return rule


def _family(kind: str) -> tuple[OpDef, OpDef]:
    kinds = REAL if kind == "Sum" else FLOATING
    attrs = {"T": kinds, "Tidx": TIDX, "Tsegmentids": TIDX, "sparse_gradient": False}

    def kernel(data, indices, segment_ids):
        return _combine(kind, data, indices, segment_ids)

    def counted(data, indices, segment_ids, num_segments):
        return _combine(kind, data, indices, segment_ids, num_segments)

    kernel.__doc__ = counted.__doc__ = f"{kind} of the rows of `data` at `indices`, by segment id."
    plain = op(f"SparseSegment{kind}", f"{INPUTS} -> output: T", **attrs)(kernel)
    sized = op(
        f"SparseSegment{kind}WithNumSegments",
        f"{INPUTS}, num_segments: Tnumsegments -> output: T",
        Tnumsegments=TIDX,
        **attrs,
    )(counted)
    for opdef in (plain, sized):
        opdef.shape(_shape)
        opdef.grad(_grad(kind))
    return plain, sized


def _backward(kind: str) -> OpDef:
    def kernel(grad, indices, segment_ids, output_dim0):
        ids, count = np.asarray(segment_ids), np.shape(grad)[0]
        if ids.size and int(ids.max()) >= count:
            raise InvalidArgumentError(
                None, None, f"Segment id {int(ids.max())} out of range [0, {count})"
            )
        bad = np.flatnonzero((np.asarray(indices) < 0) | (np.asarray(indices) >= output_dim0))
        if bad.size:
            raise InvalidArgumentError(
                None, None, f"Index {indices[bad[0]]} out of range [0, {int(output_dim0)})"
            )
        scaled = (grad / _scale(kind, ids, count, grad)).astype(grad.dtype)
        return segments.combined(np.add, scaled[ids], indices, int(output_dim0), 0)

    kernel.__doc__ = f"The gradient of SparseSegment{kind} by its data, of `output_dim0` rows."
    opdef = op(
        f"SparseSegment{kind}Grad",
        "grad: T, indices: Tidx, segment_ids: Tsegmentids, output_dim0: int32 -> output: T",
        T=FLOATING,
        Tidx=TIDX,
        Tsegmentids=TIDX,
    )(kernel)

    @opdef.shape
    def rule(grad, indices, segment_ids, output_dim0):
        if grad.shape.sizes is None:
            return [TensorShape(None)]
        rows = constant_value(output_dim0)
        return [(None if rows is None else int(rows), *grad.shape.sizes[1:])]

    return opdef.no_gradient(UNDEFINED)


sum_op, sum_sized = _family("Sum")
mean_op, mean_sized = _family("Mean")
sqrt_n_op, sqrt_n_sized = _family("SqrtN")
GRADS = {kind: _backward(kind) for kind in ("Sum", "Mean", "SqrtN")}


def _front(plain: OpDef, sized: OpDef, doc: str) -> Any:
    def sparse_segment(
        data: Any,
        indices: Any,
        segment_ids: Any,
        name: str | None = None,
        num_segments: Any = None,
    ) -> Tensor:
        if num_segments is not None:
            return sized(data, indices, segment_ids, num_segments, name=name)
        return plain(data, indices, segment_ids, name=name)

    sparse_segment.__doc__ = doc
    return sparse_segment


sparse_segment_sum = _front(
    sum_op, sum_sized, "The sums of the rows of `data` at `indices` by segment."
)
sparse_segment_mean = _front(
    mean_op, mean_sized, "The means of the rows of `data` at `indices` by segment."
)
sparse_segment_sqrt_n = _front(
    sqrt_n_op, sqrt_n_sized, "The sums of n rows of `data` by segment, divided by the root of n."
)
