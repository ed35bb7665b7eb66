"""Sparse tensors as programs handle them: reordered, reshaped, joined, cut, filled, masked, made dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import ShapeError
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.graph.sparse import SparseTensor, SparseTensorValue
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    compare,
    constants,
    control,
    distinct,
    elementwise,
    indexing,
    joining,
    reduction,
    reversing,
    scattering,
    shaping,
)
from ckpt.ops.sparse_parts import (
    sparse_concat_op,
    sparse_fill_empty_rows_op,
    sparse_reorder_op,
    sparse_reshape_op,
    sparse_slice_op,
    sparse_split_op,
)


def as_sparse(value: Any) -> SparseTensor:
    """`value` as a SparseTensor. Raises TypeError when it is none."""
    if isinstance(value, SparseTensorValue):
        return SparseTensor.from_value(value)
    if not isinstance(value, SparseTensor):
        raise TypeError("Input must be a SparseTensor.")
    return value


def parts(sparse: SparseTensor) -> tuple[Tensor, Tensor, Tensor]:
    """indices, values and dense shape."""
    return sparse.indices, sparse.values, sparse.dense_shape


def sparse_reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The same sparse tensor with its entries in row-major order."""
    sp_input = as_sparse(sp_input)
    indices, values = sparse_reorder_op(*parts(sp_input), name=name)
    found = SparseTensor(indices, values, control.identity(sp_input.dense_shape))
    found.set_shape(sp_input.shape)
    return found


def sparse_reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The entries in another shape with as many elements. Raises ValueError where it is known not to fit."""
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseReshape", [sp_input.indices]) as scope:
        shape = convert.convert_to_tensor(shape, dtypes.int64, "shape")
        wanted, known = constant_value(shape), sp_input.shape.num_elements()
        if wanted is not None and list(wanted).count(-1) > 1:
            raise ValueError("At most one dimension can be -1")
        if wanted is not None and known is not None and -1 not in wanted:
            if int(np.prod(wanted)) != known:
                raise ShapeError(f"Cannot reshape a tensor with {known} elements to {list(wanted)}")
        found = sparse_reshape_op(sp_input.indices, sp_input.dense_shape, shape, name=scope)
        result = SparseTensor(found[0], control.identity(sp_input.values), found[1])
        if wanted is not None:
            sizes = [None if s == -1 else int(s) for s in wanted]
            if known is not None and None in sizes:
                rest = int(np.prod([s for s in sizes if s is not None]))
                sizes[sizes.index(None)] = known // rest if rest else None
            result.set_shape(sizes)
        return result


def sparse_concat(
    axis: int, sp_inputs: Sequence[Any], name: str | None = None, expand_nonconcat_dim: bool = False,
    concat_dim: int | None = None, expand_nonconcat_dims: bool | None = None,
) -> SparseTensor:  # fmt: skip
    """Sparse tensors joined along `axis`; the other axes must agree, or are grown with `expand_nonconcat_dim`."""
    axis = concat_dim if concat_dim is not None else axis
    given = [as_sparse(sp) for sp in sp_inputs]
    if len(given) == 1:
        return given[0]
    shapes = [sp.dense_shape for sp in given]
    if expand_nonconcat_dims or expand_nonconcat_dim:
        largest = reduction.reduce_max(joining.stack(shapes), 0)
        rank = given[0].shape.rank
        at = axis % rank if rank else axis
        shapes = [
            joining.concat([largest[:at], shape[at : at + 1], largest[at + 1 :]], 0)
            for shape in shapes
        ]
    found = sparse_concat_op(
        [sp.indices for sp in given], [sp.values for sp in given], shapes, concat_dim=axis, name=name
    )  # fmt: skip
    return SparseTensor(*found)


def sparse_slice(sp_input: Any, start: Any, size: Any, name: str | None = None) -> SparseTensor:
    """The block of `size` that begins at `start`."""
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseSlice", [sp_input.indices]) as scope:
        return SparseTensor(*sparse_slice_op(*parts(sp_input), start, size, name=scope))


def sparse_split(
    keyword_required: Any = None, sp_input: Any = None, num_split: int | None = None, axis: Any = None,
    name: str | None = None, split_dim: Any = None,
) -> list[SparseTensor]:  # fmt: skip
    """`num_split` parts along `axis`. Arguments are named; raises ValueError when one misses."""
    if keyword_required is not None:
        raise ValueError("Keyword arguments are required for this function.")
    axis = split_dim if axis is None else axis
    if sp_input is None or num_split is None or axis is None:
        raise ValueError("sp_input, num_split and axis are required")
    found = sparse_split_op(axis, *parts(as_sparse(sp_input)), num_split=num_split, name=name)
    return [SparseTensor(*part) for part in zip(*found, strict=True)]


def sparse_retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """The entries where `to_retain` (bool, one per entry) is true."""
    sp_input = as_sparse(sp_input)
    keep = convert.convert_to_tensor(to_retain)
    keep.shape.assert_is_compatible_with(sp_input.values.shape)
    where = shaping.reshape(compare.where(keep), [-1])
    return SparseTensor(
        indexing.gather(sp_input.indices, where),
        indexing.gather(sp_input.values, where),
        control.identity(sp_input.dense_shape),
    )


def sparse_fill_empty_rows(
    sp_input: Any, default_value: Any, name: str | None = None
) -> tuple[SparseTensor, Tensor]:
    """(`sp_input` with `default_value` in each row that had no entry, which rows these are)."""
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseFillEmptyRows", [sp_input.indices]):
        default = convert.convert_to_tensor(default_value, sp_input.values.dtype)
        indices, values, is_empty, _ = sparse_fill_empty_rows_op(*parts(sp_input), default)
        return SparseTensor(indices, values, sp_input.dense_shape), is_empty


def sparse_reset_shape(sp_input: Any, new_shape: Any = None) -> SparseTensor:
    """The entries in a larger shape: `new_shape`, or where None the smallest that holds them."""
    sp_input = as_sparse(sp_input)
    if new_shape is None:
        top = reduction.reduce_max(sp_input.indices, 0)
        one = constants.constant(1, dtypes.int64)
        return SparseTensor(sp_input.indices, sp_input.values, elementwise.maximum(top, -one) + one)
    shape = convert.convert_to_tensor(new_shape, dtypes.int64)
    sp_input.dense_shape.shape.assert_is_compatible_with(shape.shape)
    wanted, known = constant_value(shape), sp_input.shape
    if wanted is not None and known.is_fully_defined():
        if any(a > b for a, b in zip(known.as_list(), wanted, strict=True)):
            raise ValueError(f"New shape {list(wanted)} is not >= the old one {known}")
    return SparseTensor(sp_input.indices, sp_input.values, shape)


def sparse_transpose(sp_input: Any, perm: Any = None, name: str | None = None) -> SparseTensor:
    """The axes in the order `perm`, reversed where None; the entries stay in row-major order."""
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseTranspose", [sp_input.indices]):
        if perm is None:
            perm = list(range(sp_input.indices.shape.as_list()[1]))[::-1]
        indices = shaping.transpose(indexing.gather(shaping.transpose(sp_input.indices), perm))
        shape = indexing.gather(sp_input.dense_shape, perm)
        return sparse_reorder(SparseTensor(indices, sp_input.values, shape))


def sparse_tensor_to_dense(
    sp_input: Any, default_value: Any = None, validate_indices: bool = True, name: str | None = None
) -> Tensor:
    """The dense tensor, with `default_value` (zero where None) where there is no entry."""
    sp_input = as_sparse(sp_input)
    if default_value is None:
        default_value = constants.zeros([], sp_input.dtype)
    return scattering.sparse_to_dense(
        sp_input.indices, sp_input.dense_shape, sp_input.values, default_value, validate_indices, name
    )  # fmt: skip


def sparse_to_indicator(sp_input: Any, vocab_size: int, name: str | None = None) -> Tensor:
    """For each row which of the ids 0 to `vocab_size` - 1 are among its values: bool [rows..., vocab_size]."""
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseToIndicator", [sp_input.indices]):
        count = shaping.shape(sp_input.indices)[0]
        truth = sp_input.with_values(constants.fill([count], True))
        merged = sparse_merge(sp_input, truth, vocab_size)
        return sparse_tensor_to_dense(merged, False, validate_indices=False)


def sparse_merge(
    sp_ids: Any, sp_values: Any, vocab_size: Any, name: str | None = None, already_sorted: bool = False
) -> SparseTensor:  # fmt: skip
    """The last axis of `sp_ids` replaced by the ids themselves: values [rows..., vocab_size]."""
    sp_ids, sp_values = as_sparse(sp_ids), as_sparse(sp_values)
    with name_scope(name, "SparseMerge", [sp_ids.indices]):
        ids = casting.cast(sp_ids.values, dtypes.int64)
        indices = joining.concat([sp_ids.indices[:, :-1], shaping.expand_dims(ids, 1)], 1)
        size = shaping.reshape(casting.cast(vocab_size, dtypes.int64), [1])
        shape = joining.concat([sp_ids.dense_shape[:-1], size], 0)
        merged = SparseTensor(indices, sp_values.values, shape)
        return merged if already_sorted else sparse_reorder(merged)


def sparse_mask(a: Any, mask_indices: Any, name: str | None = None) -> Any:
    """IndexedSlices without the rows `mask_indices`."""
    with name_scope(name, "sparse_mask", [a.indices]) as scope:
        kept, where = distinct.setdiff1d(a.indices, mask_indices)
        return IndexedSlices(indexing.gather(a.values, where, name=scope), kept, a.dense_shape)


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements that are not zero (not empty, not False)."""
    with name_scope(name, "dense_to_sparse"):
        tensor = convert.convert_to_tensor(tensor)
        zeros = constants.zeros_like(tensor)
        indices = indexing.where_op(compare.not_equal(tensor, zeros))
        values = scattering.gather_nd(tensor, indices)
        return SparseTensor(indices, values, shaping.shape(tensor, out_type=dtypes.int64))


def expand_dims(sp_input: Any, axis: Any = None, name: str | None = None) -> SparseTensor:
    """A new axis of size 1 at `axis`, at the end where None."""
    sp_input = as_sparse(sp_input)
    rank = sp_input.shape.rank
    if rank is None:
        raise ValueError("sparse.expand_dims needs a known rank")
    at = (-1 if axis is None else int(axis)) + (rank + 1 if axis is None or int(axis) < 0 else 0)
    with name_scope(name, "expand_dims"):
        column = reversing.pad(sp_input.indices[:, :0], [[0, 0], [0, 1]])
        indices = joining.concat([sp_input.indices[:, :at], column, sp_input.indices[:, at:]], 1)
        one = constants.constant([1], dtypes.int64)
        shape = joining.concat([sp_input.dense_shape[:at], one, sp_input.dense_shape[at:]], 0)
        return SparseTensor(indices, sp_input.values, shape)


def eye(
    num_rows: int,
    num_columns: int | None = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> SparseTensor:
    """Ones on the diagonal of a matrix [num_rows, num_columns]."""
    width = num_rows if num_columns is None else num_columns
    with name_scope(name, "eye"):
        places = np.arange(min(num_rows, width), dtype=np.int64)
        indices = np.stack([places, places], axis=1)
        return SparseTensor(indices, constants.ones([len(places)], dtype), [num_rows, width])
