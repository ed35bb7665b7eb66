"""Sparse tensors rearranged: reordered, reshaped, joined, cut, filled, masked. An entry is a row of indices and a value."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ckpt.core.dtypes import NUMERIC, QUANTIZED
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import ANY, Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import indexing, shaping

EVERY_NUMBER = NUMERIC | QUANTIZED


def in_order(indices: Any) -> Any:
    """The positions of the entries in row-major order; equal ones keep their order."""
    return np.lexsort(np.asarray(indices).T[::-1]) if np.size(indices) else np.arange(len(indices))


def distinct_indices(a_indices, b_indices):
    """(distinct indices of both in row-major order, for each entry of both the place of its index in them)."""
    both = np.concatenate([a_indices, b_indices])
    if not len(both):
        return both, np.zeros(0, np.int64)
    order = in_order(both)
    is_new = np.ones(len(both), bool)
    is_new[1:] = np.any(both[order][1:] != both[order][:-1], axis=1)
    places = np.empty(len(both), np.int64)
    places[order] = np.cumsum(is_new) - 1
    return both[order][is_new], places


def rank_of(shape: Tensor) -> int | None:
    """The rank of a sparse tensor from its dense shape."""
    sizes = shape.shape.with_rank(1).sizes
    return None if sizes is None else sizes[0]


@op(
    "SparseReorder",
    "input_indices: int64, input_values: T, input_shape: int64 -> output_indices: int64, output_values: T",
    T=ANY,
)
def sparse_reorder_op(indices, values, shape):
    """The entries in row-major order."""
    order = in_order(indices)
    return indices[order], values[order]


sparse_reorder_op.shape(lambda indices, values, shape: [indices.shape, values.shape])


@sparse_reorder_op.grad
def sparse_reorder_grad(node, _, dy):
    indices, _, shape = node.inputs
    numbers = indexing.range_(shaping.shape(indices)[0])
    order = sparse_reorder_op(indices, numbers, shape)[1]
    return [None, indexing.gather(dy, indexing.invert_permutation(order)), None]


@op(
    "SparseReshape",
    "input_indices: int64, input_shape: int64, new_shape: int64 -> output_indices: int64, output_shape: int64",
)
def sparse_reshape_op(indices, shape, new_shape):
    """The same entries in another shape with as many elements; one -1 in it stands for what is left."""
    total, wanted = int(np.prod(shape)), [int(s) for s in new_shape]
    if wanted.count(-1) > 1:
        raise InvalidArgumentError(None, None, "only one output dimension may be -1")
    rest = int(np.prod([s for s in wanted if s != -1]))
    if -1 in wanted and (rest == 0 or total % rest):
        raise InvalidArgumentError(
            None, None, f"{total} elements do not fit into the shape {wanted}"
        )
    sizes = [total // rest if s == -1 else s for s in wanted]
    if int(np.prod(sizes)) != total:
        raise InvalidArgumentError(
            None, None, f"Input to reshape is a tensor with {total} dense values, but the requested shape has "
            f"{int(np.prod(sizes))}",
        )  # fmt: skip
    flat = np.zeros(len(indices), np.int64)
    for axis, size in enumerate(shape):
        flat = flat * size + indices[:, axis]
    found = np.empty((len(indices), len(sizes)), np.int64)
    for axis in reversed(range(len(sizes))):
        flat, found[:, axis] = np.divmod(flat, sizes[axis]) if sizes[axis] else (flat, 0)
    return found, np.array(sizes, np.int64)


@sparse_reshape_op.shape
def sparse_reshape_shape(indices, shape, new_shape):
    count = None if indices.shape.sizes is None else indices.shape.with_rank(2).sizes[0]
    rank = rank_of(new_shape)
    return [(count, rank), (rank,)]


sparse_reshape_op.no_gradient("positions have no derivative")


@op(
    "SparseConcat",
    "indices: N * int64, values: N * T, shapes: N * int64 "
    "-> output_indices: int64, output_values: T, output_shape: int64",
    N=Attr("int", minimum=2),
    T=ANY,
    concat_dim=Attr("int"),
)
def sparse_concat_op(*inputs, concat_dim):
    """The entries of all inputs, joined along an axis, in row-major order."""
    count = len(inputs) // 3
    all_indices, all_values, shapes = inputs[:count], inputs[count : 2 * count], inputs[2 * count :]
    axis = concat_dim % len(shapes[0])
    whole = np.array(shapes[0])
    whole[axis] = sum(int(s[axis]) for s in shapes)
    for shape in shapes:
        if len(shape) != len(whole) or any(np.delete(shape, axis) != np.delete(whole, axis)):
            raise InvalidArgumentError(
                None, None, f"Input shapes must match except along axis {axis}: "
                f"{[s.tolist() for s in shapes]}",
            )  # fmt: skip
    start, moved = 0, []
    for indices, shape in zip(all_indices, shapes, strict=True):
        shifted = np.array(indices)
        shifted[:, axis] += start
        start += int(shape[axis])
        moved.append(shifted)
    joined = np.concatenate(moved)
    order = in_order(joined)
    return joined[order], np.concatenate(all_values)[order], whole


@sparse_concat_op.shape
def sparse_concat_shape(*inputs):
    count = len(inputs) // 3
    counts = [t.shape.with_rank(2).sizes for t in inputs[:count]]
    entries = (
        sum(s[0] for s in counts)
        if all(s is not None and s[0] is not None for s in counts)
        else None
    )
    rank = next((r for r in map(rank_of, inputs[2 * count :]) if r is not None), None)
    return [(entries, rank), (entries,), (rank,)]


sparse_concat_op.no_gradient("TensorFlow says that there is none")


@op(
    "SparseSlice",
    "indices: int64, values: T, shape: int64, start: int64, size: int64 "
    "-> output_indices: int64, output_values: T, output_shape: int64",
    T=ANY,
)
def sparse_slice_op(indices, values, shape, start, size):
    """The entries of a block that begins at `start`; what of `size` lies outside is cut off."""
    kept = np.all((indices >= start) & (indices < start + size), axis=1)
    sizes = np.clip(np.minimum(size, shape - start), 0, None)
    return indices[kept] - start, values[kept], sizes


@sparse_slice_op.shape
def sparse_slice_shape(indices, values, shape, start, size):
    rank = rank_of(shape)
    return [(None, rank), (None,), (rank,)]


@sparse_slice_op.grad
def sparse_slice_grad(node, _, dy, __):
    indices, start = node.inputs[0], node.inputs[3]
    return [None, sparse_slice_grad_op(dy, indices, start, node.outputs[0]), None, None, None]


@op(
    "SparseSliceGrad",
    "backprop_val_grad: T, input_indices: int64, input_start: int64, output_indices: int64 -> val_grad: T",
    T=EVERY_NUMBER,
)
def sparse_slice_grad_op(dy, indices, start, output_indices):
    """The gradient of each entry that the slice kept, zero for the others."""
    found = np.zeros(len(indices), dy.dtype)
    places = {tuple(row): i for i, row in enumerate((output_indices + start).tolist())}
    for i, row in enumerate(indices.tolist()):
        if tuple(row) in places:
            found[i] = dy[places[tuple(row)]]
    return found


@sparse_slice_grad_op.shape
def sparse_slice_grad_shape(dy, indices, start, output_indices):
    return [(None if indices.shape.sizes is None else indices.shape.sizes[0],)]


sparse_slice_grad_op.no_gradient(UNDEFINED)


@op(
    "SparseSplit",
    "split_dim: int64, indices: int64, values: T, shape: int64 "
    "-> output_indices: num_split * int64, output_values: num_split * T, output_shape: num_split * int64",
    num_split=Attr("int", minimum=1),
    T=ANY,
)
def sparse_split_op(split_dim, indices, values, shape, *, num_split):
    """Parts along an axis; where it cannot be divided evenly, the first ones are one larger."""
    axis = int(split_dim)
    if not -len(shape) <= axis < len(shape):
        raise InvalidArgumentError(
            None, None, f"Input split_dim should be between 0 and rank ({len(shape)}), got {axis}"
        )
    if not 1 <= num_split <= shape[axis]:
        raise InvalidArgumentError(
            None, None, f"Input num_split should be between 1 and the splitting dimension size "
            f"({int(shape[axis])}), got {num_split}",
        )  # fmt: skip
    size, larger = divmod(int(shape[axis]), num_split)
    edges = np.cumsum([0, *(size + (i < larger) for i in range(num_split))])
    found = []
    for low, high in itertools.pairwise(edges):
        kept = (indices[:, axis] >= low) & (indices[:, axis] < high)
        moved, sizes = indices[kept].copy(), np.array(shape)
        moved[:, axis] -= low
        sizes[axis] = high - low
        found.append((moved, values[kept], sizes))
    return [part for kind in zip(*found, strict=True) for part in kind]


@sparse_split_op.shape
def sparse_split_shape(split_dim, indices, values, shape, *, num_split):
    rank = rank_of(shape)
    return [(None, rank)] * num_split + [(None,)] * num_split + [(rank,)] * num_split


sparse_split_op.no_gradient(UNDEFINED)


@op(
    "SparseFillEmptyRows",
    "indices: int64, values: T, dense_shape: int64, default_value: T "
    "-> output_indices: int64, output_values: T, empty_row_indicator: bool, reverse_index_map: int64",
    T=ANY,
)
def sparse_fill_empty_rows_op(indices, values, dense_shape, default_value):
    """Rows without an entry get `default_value` in their first column."""
    if not len(dense_shape):
        raise InvalidArgumentError(None, None, "Dense shape cannot be empty.")
    rows = indices[:, 0] if len(indices) else np.zeros(0, np.int64)
    count = int(dense_shape[0])
    bad = np.flatnonzero((rows < 0) | (rows >= count))
    if bad.size:
        raise InvalidArgumentError(
            None, None, f"indices({bad[0]}, 0) is invalid: {rows[bad[0]]} >= {count}"
        )
    is_empty = np.bincount(rows, minlength=count)[:count] == 0
    added = np.zeros((int(is_empty.sum()), len(dense_shape)), np.int64)
    added[:, 0] = np.flatnonzero(is_empty)
    joined = np.concatenate([indices, added])
    order = np.argsort(joined[:, 0], kind="stable")
    filler = np.full(len(added), np.asarray(default_value).item(), values.dtype)
    places = np.empty(len(joined), np.int64)
    places[order] = np.arange(len(joined))
    return joined[order], np.concatenate([values, filler])[order], is_empty, places[: len(indices)]


@sparse_fill_empty_rows_op.shape
def sparse_fill_empty_rows_shape(indices, values, dense_shape, default_value):
    shape = constant_value_as_shape(dense_shape)
    rows = None if not shape.sizes else shape.sizes[0]
    entries = None if indices.shape.sizes is None else indices.shape.sizes[0]
    return [(None, rank_of(dense_shape)), (None,), (rows,), (entries,)]


@sparse_fill_empty_rows_op.grad
def sparse_fill_empty_rows_grad(node, _, dy, __, ___):
    values, default = sparse_fill_empty_rows_grad_op(node.outputs[3], dy)
    return [None, values, None, default]


@op(
    "SparseFillEmptyRowsGrad",
    "reverse_index_map: int64, grad_values: T -> d_values: T, d_default_value: T",
    T=ANY,
)
def sparse_fill_empty_rows_grad_op(places, dy):
    """What came from entries, and the sum of what came from the default value."""
    taken = np.zeros(len(dy), bool)
    taken[places] = True
    return dy[places], np.sum(dy[~taken], dtype=dy.dtype)


sparse_fill_empty_rows_grad_op.shape(lambda places, dy: [places.shape, ()])
sparse_fill_empty_rows_grad_op.no_gradient(UNDEFINED)
