"""Gathering and scattering by index tuples: gather_nd, scatter_nd and tensors with parts replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import INDEX, NUMERIC, bool_
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import indexing, joining, shaping

INDEX_TYPE = Attr("type", allowed=INDEX)


def checked_key(indices: Any, shape: tuple[int, ...], what: str) -> tuple[Any, ...]:
    """The numpy key of index tuples. Raises InvalidArgumentError for one outside of `shape`."""
    indices = np.asarray(indices)
    depth = indices.shape[-1]
    if depth > len(shape):
        raise InvalidArgumentError(
            None,
            None,
            f"index innermost dimension length must be <= params rank; saw: {depth} vs. {len(shape)}",
        )
    limits = np.array(shape[:depth], dtype=np.int64)
    outside = ((indices < 0) | (indices >= limits)).any(axis=-1)
    if outside.any():
        place = np.argwhere(outside)[0]
        at = ",".join(str(i) for i in place)
        value = ", ".join(str(v) for v in indices[tuple(place)])
        sizes = ",".join(str(s) for s in shape)
        raise InvalidArgumentError(
            None,
            None,
            f"indices{f'[{at}]' if at else ''} = [{value}] does not index into {what} [{sizes}]",
        )
    return tuple(indices[..., i] for i in range(depth))


@op(
    "GatherNd",
    "params: Tparams, indices: Tindices -> output: Tparams",
    Tindices=INDEX_TYPE,
    bad_indices_policy="",
)
def gather_nd_op(params, indices):
    """The slices of `params` that the tuples in the last axis of `indices` name."""
    if np.ndim(params) < 1:
        raise InvalidArgumentError(None, None, "params must be at least a vector")
    if np.ndim(indices) < 1:
        raise InvalidArgumentError(None, None, "indices must be at least a vector")
    if np.shape(indices)[-1] == 0:
        return np.broadcast_to(params, (*np.shape(indices)[:-1], *np.shape(params)))
    return np.asarray(params)[checked_key(indices, np.shape(params), "param shape")]


@gather_nd_op.shape
def gather_nd_shape(params, indices):
    p, i = params.shape.sizes, indices.shape.sizes
    if i is not None and not i:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    if p is None or i is None or i[-1] is None:
        return [TensorShape(None)]
    if i[-1] > len(p):
        raise ShapeError(
            f"indices.shape[-1] must be <= params.rank, but saw indices shape: {indices.shape} and params shape: {params.shape}"
        )
    return [i[:-1] + p[i[-1] :]]


@gather_nd_op.grad
def gather_nd_grad(node, dy):
    params, indices = node.inputs
    shape = shaping.shape(params, out_type=indices.dtype.base_dtype)
    if indices.shape.rank == 2 and indices.shape.sizes[-1] == 1:
        from ckpt.graph.slices import IndexedSlices  # only gradients by row are sparse

        return [IndexedSlices(dy, shaping.squeeze(indices, axis=-1), shape), None]
    return [scatter_nd_op(indices, dy, shape), None]


def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Tensor:
    """The slices of `params` that the tuples in the last axis of `indices` name."""
    if batch_dims:
        return _batch_gather_nd(params, indices, batch_dims, name)
    return gather_nd_op(params, indices, name=name)


def _batch_gather_nd(params: Any, indices: Any, batch_dims: int, name: str | None) -> Tensor:
    with name_scope(name, "BatchGatherND", [params, indices]):
        indices = convert.convert_to_tensor(indices, name="indices")
        params = convert.convert_to_tensor(params, name="params")
        shape = shaping.shape(indices)
        grid = [indexing.range_(shape[i]) for i in range(batch_dims)]
        lead = [indices.dtype.base_dtype] * batch_dims
        columns = []
        from ckpt.ops import casting  # only this front casts

        for i, line in enumerate(grid):
            sizes = [-1 if j == i else 1 for j in range(indices.shape.rank)]
            whole = joining.concat([shape[:-1], [1]], 0)
            cast = casting.cast(line, lead[i])
            columns.append(shaping.broadcast_to(shaping.reshape(cast, sizes), whole))
        return gather_nd_op(params, joining.concat([*columns, indices], axis=-1))


def batch_gather(params: Any, indices: Any, name: str | None = None) -> Tensor:
    """For each batch the slices of `params` along the last axis of `indices`."""
    with name_scope(name, "BatchGather", [params, indices]):
        indices = convert.convert_to_tensor(indices, name="indices")
        params = convert.convert_to_tensor(params, name="params")
        if indices.shape.rank is None:
            raise ValueError("batch_gather does not allow indices with unknown shape.")
        at = indices.shape.rank - 1
        return indexing.gather(params, indices, axis=at, batch_dims=at)


def _scattered(whole, indices, updates, ufunc, what="shape"):
    """`whole`, changed in place: `updates` combined into the slices that `indices` name."""
    indices = np.asarray(indices)
    if indices.ndim < 1:
        raise InvalidArgumentError(
            None, None, "Indices shape must have rank at least one. Found:[]"
        )
    depth = indices.shape[-1]
    wanted = (*indices.shape[:-1], *whole.shape[depth:])
    if np.shape(updates) != wanted:
        raise InvalidArgumentError(
            None,
            None,
            f"Must have updates.shape = indices.shape[:-1] + {what}[{depth}:] = {list(wanted)}, got "
            f"updates.shape: {list(np.shape(updates))}",
        )
    if depth == 0:
        whole = whole[None]
        indices = np.zeros((*indices.shape[:-1], 1), np.int64)
    key = checked_key(indices, whole.shape, what)
    if ufunc is None:
        whole[key] = updates
    else:
        ufunc.at(whole, key, updates)
    return whole[0] if depth == 0 else whole


@op(
    "ScatterNd",
    "indices: Tindices, updates: T, shape: Tindices -> output: T",
    Tindices=INDEX_TYPE,
    bad_indices_policy="",
)
def scatter_nd_op(indices, updates, shape):
    """Zeros of `shape` with `updates` added where the tuples in the last axis of `indices` point."""
    if np.ndim(shape) != 1:
        raise InvalidArgumentError(None, None, "Shape must be a vector")
    sizes = tuple(np.asarray(shape).tolist())
    if 0 in sizes and np.size(indices) and np.size(updates):
        raise InvalidArgumentError(
            None,
            None,
            f"Indices and updates specified for empty output. indices shape: {list(np.shape(indices))}",
        )
    updates = np.asarray(updates)
    if updates.dtype.kind in "Ob":
        empty = b"" if updates.dtype.kind == "O" else False
        ufunc = np.logical_or if updates.dtype.kind == "b" else np.add  # strings are joined
        return _scattered(np.full(sizes, empty, updates.dtype), indices, updates, ufunc)
    return _scattered(np.zeros(sizes, updates.dtype), indices, updates, np.add)


@scatter_nd_op.shape
def scatter_nd_shape(indices, updates, shape):
    found = constant_value_as_shape(shape)
    i, u = indices.shape.sizes, updates.shape.sizes
    if found.sizes is not None and 0 in found.sizes:
        for given in (indices, updates):
            count = given.shape.num_elements()
            if count is not None and count > 0:
                raise ShapeError(f"Indices and updates specified for empty output shape {found}")
        return [found]
    if found.sizes is not None and i and u is not None and i[-1] is not None:
        lead = TensorShape.of(u[: len(i) - 1])
        if not lead.is_compatible_with(i[:-1]):
            raise ShapeError(
                f"Dimensions [0,{len(i) - 1}) of indices[shape={indices.shape}] must match dimensions of updates[shape={updates.shape}]"
            )
        tail = TensorShape.of(u[len(i) - 1 :])
        if not tail.is_compatible_with(found.sizes[i[-1] :]):
            raise ShapeError(
                f"Dimensions of the inner part of updates {updates.shape} must match those of shape {found}"
            )
    return [found]


@scatter_nd_op.grad
def scatter_nd_grad(node, dy):
    return [None, gather_nd_op(dy, node.inputs[0]), None]


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros of `shape` with `updates` added where the tuples in the last axis of `indices` point."""
    return scatter_nd_op(indices, updates, shape, name=name)


def _tensor_scatter(type_name: str, ufunc: Any, gradient: Any, doc: str, **limits: Any) -> OpDef:
    """`tensor` with `updates` combined into it; `gradient(dy, indices, node)` builds the two gradients."""

    def kernel(tensor, indices, updates):
        return _scattered(np.array(tensor), indices, updates, ufunc)

    kernel.__doc__ = doc
    first = "input" if type_name == "ScatterNdNonAliasingAdd" else "tensor"
    opdef = op(
        type_name,
        f"{first}: T, indices: Tindices, updates: T -> output: T",
        Tindices=INDEX_TYPE,
        bad_indices_policy="",
        **limits,
    )(kernel)
    opdef.shape(lambda tensor, indices, updates: [tensor.shape])

    @opdef.grad
    def rule(node, dy):
        d_tensor, d_updates = gradient(dy, node.inputs[1], node)
        return [d_tensor, None, d_updates]

    return opdef


def _update_grad(dy, indices, node):
    from ckpt.ops import constants, control  # only this gradient clears

    d_updates = gather_nd_op(dy, indices)
    zeros = constants.zeros_like(node.inputs[2])
    return tensor_scatter_update(control.identity(dy), indices, zeros), d_updates


def _extreme_grad(dy, indices, node):
    """The gradient goes where the output came from, shared among equals."""
    from ckpt.ops import casting, compare, constants, elementwise

    tensor, _, updates = node.inputs
    y = node.outputs[0]
    chosen = casting.cast(compare.equal(tensor, y), dy.dtype)
    picked = casting.cast(compare.equal(updates, gather_nd_op(y, indices)), dy.dtype)
    count = tensor_scatter_add(chosen, indices, picked)
    return (
        dy * chosen / elementwise.maximum(count, constants.ones_like(count)),
        gather_nd_op(dy, indices) * picked / gather_nd_op(count, indices),
    )


tensor_scatter_update = _tensor_scatter(
    "TensorScatterUpdate", None, _update_grad, "`tensor` with the slices at `indices` replaced."
)
tensor_scatter_add = _tensor_scatter(
    "TensorScatterAdd",
    np.add,
    lambda dy, indices, node: (dy, gather_nd_op(dy, indices)),
    "`tensor` with `updates` added at `indices`.",
)
tensor_scatter_sub = _tensor_scatter(
    "TensorScatterSub",
    np.subtract,
    lambda dy, indices, node: (dy, -gather_nd_op(dy, indices)),
    "`tensor` with `updates` subtracted at `indices`.",
)
tensor_scatter_max = _tensor_scatter(
    "TensorScatterMax",
    np.maximum,
    _extreme_grad,
    "`tensor` with the larger of it and `updates` at `indices`.",
)
tensor_scatter_min = _tensor_scatter(
    "TensorScatterMin",
    np.minimum,
    _extreme_grad,
    "`tensor` with the smaller of it and `updates` at `indices`.",
)
scatter_nd_non_aliasing_add = _tensor_scatter(
    "ScatterNdNonAliasingAdd",
    np.add,
    lambda dy, indices, node: (dy, gather_nd_op(dy, indices)),
    "`input` with `updates` added at `indices`.",
    T=NUMERIC | {bool_},
)


@op(
    "SparseToDense",
    "sparse_indices: Tindices, output_shape: Tindices, sparse_values: T, default_value: T -> dense: T",
    Tindices=INDEX_TYPE,
    validate_indices=True,
)
def sparse_to_dense_op(indices, shape, values, default, *, validate_indices):
    """`default_value` everywhere but at `sparse_indices`, where `sparse_values` are."""
    if np.ndim(indices) > 2:
        raise InvalidArgumentError(
            None,
            None,
            f"sparse_indices should be a scalar, vector, or matrix, got shape {list(np.shape(indices))}",
        )
    if np.ndim(shape) != 1:
        raise InvalidArgumentError(
            None, None, f"output_shape should be a vector, got shape {list(np.shape(shape))}"
        )
    sizes = tuple(np.asarray(shape).tolist())
    rows = np.asarray(indices)
    rows = rows.reshape(-1, 1) if rows.ndim < 2 else rows
    if rows.shape[1] != len(sizes):
        raise InvalidArgumentError(
            None,
            None,
            f"output_shape has incorrect number of elements: {len(sizes)} should be: {rows.shape[1]}",
        )
    if np.ndim(values) > 1 or (np.ndim(values) and len(values) != len(rows)):
        found = ",".join(str(n) for n in np.shape(values))
        raise InvalidArgumentError(
            None,
            None,
            f"sparse_values has incorrect shape [{found}], should be [] or [{len(rows)}]",
        )
    if np.ndim(default):
        raise InvalidArgumentError(
            None, None, f"default_value should be a scalar, got shape {list(np.shape(default))}"
        )
    if validate_indices:
        _check_order(rows, sizes)
    dense = np.full(sizes, default, dtype=np.asarray(values).dtype)
    inside = ((rows >= 0) & (rows < np.array(sizes))).all(axis=1)
    if not inside.all() and not validate_indices:
        raise InvalidArgumentError(
            None, None, "Indices are not valid (out of bounds).  Shape: " + str(list(sizes))
        )
    dense[tuple(rows.T)] = values
    return dense


def _check_order(rows, sizes):
    for i, row in enumerate(rows.tolist()):
        if any(not 0 <= v < s for v, s in zip(row, sizes, strict=True)):
            raise InvalidArgumentError(
                None,
                None,
                f"indices[{i}] = {row} is out of bounds: need 0 <= index < {list(sizes)}",
            )
        if i and row == rows[i - 1].tolist():
            raise InvalidArgumentError(None, None, f"indices[{i}] = {row} is repeated")
        if i and row < rows[i - 1].tolist():
            raise InvalidArgumentError(None, None, f"indices[{i}] = {row} is out of order")


@sparse_to_dense_op.shape
def sparse_to_dense_shape(indices, shape, values, default):
    return [constant_value_as_shape(shape) if shape.shape.rank in (None, 1) else TensorShape(None)]


@sparse_to_dense_op.grad
def sparse_to_dense_grad(node, dy):
    from ckpt.ops import reduction  # only this gradient sums

    values = gather_nd_op(dy, node.inputs[0])
    if node.inputs[2].shape.rank == 0:
        values = reduction.reduce_sum(values)
    return [None, None, values, reduction.reduce_sum(dy) - reduction.reduce_sum(values)]


def sparse_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any = 0,
    validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:
    """`default_value` everywhere but at `sparse_indices`, where `sparse_values` are."""
    return sparse_to_dense_op(
        sparse_indices, output_shape, sparse_values, default_value,
        validate_indices=validate_indices, name=name,
    )  # fmt: skip
