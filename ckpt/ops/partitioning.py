"""Rows sorted into several tensors and put together again, and small helpers on shapes and indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape, as_shape, broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import casting, compare, constants, elementwise, indexing, joining, reduction, shaping
from ckpt.ops.families import same_shape


@op(
    "DynamicPartition",
    "data: T, partitions: int32 -> outputs: num_partitions * T",
    num_partitions=Attr("int", minimum=1),
)
def dynamic_partition_op(data, partitions, *, num_partitions):
    """outputs[i] = the slices of `data` where `partitions` is i, in their order."""
    ids = np.asarray(partitions)
    if np.shape(data)[: ids.ndim] != ids.shape:
        raise InvalidArgumentError(
            None,
            None,
            f"data.shape must start with partitions.shape, got data.shape = {list(np.shape(data))}, "
            f"partitions.shape = {list(ids.shape)}",
        )
    bad = np.argwhere((ids < 0) | (ids >= num_partitions))
    if len(bad):
        at = ",".join(str(i) for i in bad[0])
        place = f"[{at}]" if at else ""
        raise InvalidArgumentError(
            None,
            None,
            f"partitions{place} = {ids[tuple(bad[0])]} is not in [0, {num_partitions})",
        )
    return [np.asarray(data)[ids == i] for i in range(num_partitions)]


@dynamic_partition_op.shape
def dynamic_partition_shape(data, partitions, *, num_partitions):
    if data.shape.sizes is None or partitions.shape.rank is None:
        return [TensorShape(None)] * num_partitions
    rank = partitions.shape.rank
    if len(data.shape.sizes) < rank:
        raise ShapeError(f"data {data.shape} must start with partitions.shape {partitions.shape}")
    TensorShape.of(data.shape.sizes[:rank]).assert_is_compatible_with(partitions.shape)
    return [(None, *data.shape.sizes[rank:])] * num_partitions


@dynamic_partition_op.grad
def dynamic_partition_grad(node, *dys):
    data, ids = node.inputs
    shape = shaping.shape(ids)
    places = shaping.reshape(indexing.range_(reduction.reduce_prod(shape)), shape)
    parts = dynamic_partition_op(places, ids, num_partitions=node.attrs["num_partitions"])
    whole = parallel_dynamic_stitch_op(parts, list(dys))
    return [shaping.reshape(whole, shaping.shape(data)), None]


def dynamic_partition(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> list[Tensor]:
    """The slices of `data` sorted into `num_partitions` tensors by `partitions`."""
    return list(dynamic_partition_op(data, partitions, num_partitions=num_partitions, name=name))


parallel_dynamic_stitch_op = op(
    "ParallelDynamicStitch",
    "indices: N * int32, data: N * T -> merged: T",
    N=Attr("int", minimum=1),
)(joining.dynamic_stitch_op.kernel)
parallel_dynamic_stitch_op.shape(joining.dynamic_stitch_shape)
parallel_dynamic_stitch_op.grad(joining.dynamic_stitch_grad)


def parallel_dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Tensor:
    """One tensor with merged[indices[m][i]] = data[m][i]; of equal indices any one counts."""
    return parallel_dynamic_stitch_op(indices, data, name=name)


@op(
    "ParallelConcat",
    "values: N * T -> output: T",
    N=Attr("int", minimum=1),
    shape=Attr("shape"),
)
def parallel_concat(*values):
    """Values of one row each, one after another."""
    return np.concatenate(values)


parallel_concat.shape(lambda *values, shape: [shape])
parallel_concat.no_gradient(UNDEFINED)


def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """The values side by side along a new first axis; their shapes must be known."""
    with name_scope(name):
        first = convert.convert_to_tensor(values[0])
        shape = TensorShape([len(values)]).concatenate(first.shape)
        rows = [shaping.expand_dims(value, 0) for value in values]
        return parallel_concat(rows, shape=shape)


@op("GuaranteeConst", "input: T -> output: T")
def guarantee_const_op(x):
    """The input, promised never to change."""
    return x


guarantee_const_op.stateful()
guarantee_const_op.views(whole=True)
guarantee_const_op.shape(same_shape)
guarantee_const_op.no_gradient(UNDEFINED)


def guarantee_const(input: Any, name: str | None = None) -> Tensor:
    """The input, promised never to change."""
    return guarantee_const_op(input, name=name)


@op("EnsureShape", "input: T -> output: T", shape=Attr("shape"))
def ensure_shape_op(x, *, shape):
    """The input; an error unless it has this shape."""
    if not shape.is_compatible_with(TensorShape.of(np.shape(x))):
        raise InvalidArgumentError(
            None,
            None,
            f"Shape of tensor {list(np.shape(x))} is not compatible with expected shape {shape}.",
        )
    return x


ensure_shape_op.shape(lambda x, *, shape: [x.shape.merge_with(shape)])
ensure_shape_op.checks()
ensure_shape_op.grad(lambda node, dy: [dy])


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """`x`, checked to have this shape while building and when run."""
    return ensure_shape_op(x, shape=as_shape(shape), name=name)


@op("BroadcastArgs", "s0: T, s1: T -> r0: T", T=Attr("type", dtypes.int32, INDEX))
def broadcast_args(s0, s1):
    """The shape that tensors of shapes s0 and s1 broadcast to."""
    try:
        found = np.broadcast_shapes(tuple(np.asarray(s0).tolist()), tuple(np.asarray(s1).tolist()))
    except ValueError:
        raise InvalidArgumentError(
            None, None, f"Incompatible shapes: {list(s0)} vs. {list(s1)}"
        ) from None
    return np.array(found, dtype=np.asarray(s0).dtype)


@broadcast_args.shape
def broadcast_args_shape(a, b):
    lengths = [t.shape.with_rank(1).sizes for t in (a, b)]
    known = [None if s is None else s[0] for s in lengths]
    return [(None if None in known else max(known),)]


broadcast_args.no_gradient("sizes are integers")


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape, as a tensor, that tensors of these shapes broadcast to."""
    return broadcast_args(shape_x, shape_y)


def broadcast_static_shape(shape_x: TensorShape, shape_y: TensorShape) -> TensorShape:
    """The shape that tensors of these shapes broadcast to. Raises ValueError where they do not."""
    return broadcast(shape_x, shape_y)


def shape_n(input: Any, out_type: Any = dtypes.int32, name: str | None = None) -> list[Tensor]:
    """The shape of each tensor of a list."""
    return list(shaping.shape_n(input, out_type=out_type, name=name))


def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Tensor]:
    """The coordinates of a grid, one tensor per axis; `indexing` "xy" swaps the first two axes."""
    if indexing not in ("xy", "ij"):
        raise ValueError(
            f"Argument `indexing` parameter must be either 'xy' or 'ij', got '{indexing}'"
        )
    with name_scope(name, "meshgrid", list(args)):
        count = len(args)
        if not count:
            return []
        lines = []
        for i, x in enumerate(args):
            lines.append(shaping.reshape(joining.stack(x) if isinstance(x, list) else x,
                                         [1] * i + [-1] + [1] * (count - i - 1)))  # fmt: skip
        sizes = [shaping.size(x) for x in map(convert.convert_to_tensor, args)]
        dtype = convert.convert_to_tensor(args[0]).dtype.base_dtype
        if indexing == "xy" and count > 1:
            lines[0] = shaping.reshape(lines[0], [1, -1] + [1] * (count - 2))
            lines[1] = shaping.reshape(lines[1], [-1, 1] + [1] * (count - 2))
            sizes[0], sizes[1] = sizes[1], sizes[0]
        ones = constants.ones(joining.stack(sizes), dtype)
        return [line * ones for line in lines]


def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = dtypes.bool_, name: str | None = None
) -> Tensor:
    """mask[…, j] = j < lengths[…], of `maxlen` (the largest length where None) columns."""
    with name_scope(name, "SequenceMask", [lengths, maxlen]):
        lengths = convert.convert_to_tensor(lengths)
        if maxlen is None:
            maxlen = reduction.reduce_max(lengths, reduction.axis_tensor(lengths, None))
            maxlen = elementwise.maximum(constants.constant(0, dtype=maxlen.dtype), maxlen)
        else:
            maxlen = convert.convert_to_tensor(maxlen)
        if maxlen.shape.rank is not None and maxlen.shape.rank != 0:
            raise ValueError("Argument `maxlen` must be scalar for sequence_mask, "
                             f"received `maxlen` = {maxlen} with shape '{maxlen.shape}' instead")  # fmt: skip
        row = indexing.range_op(constants.constant(0, dtype=maxlen.dtype), maxlen,
                                constants.constant(1, dtype=maxlen.dtype))  # fmt: skip
        columns = shaping.expand_dims(lengths, -1)
        matrix = casting.cast_op(columns, DstT=maxlen.dtype.base_dtype)
        result = compare.less(row, matrix)
        kind = dtypes.as_dtype(dtype)
        if result.dtype.base_dtype == kind.base_dtype:
            return result
        return casting.cast(result, kind)
