"""The shape of a tensor as a value, and the same elements in another shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape, unknown_shape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.ops import (
    casting,
    constants,
    indexing,
    joining,
    reduction,
    slicing,
    unbroadcasting,
)

OUT = Attr("type", dtypes.int32, INDEX)
TSHAPE = Attr("type", dtypes.int32, INDEX)


@op("Shape", "input: T -> output: out_type", out_type=OUT)
def shape_op(x, *, out_type):
    """The sizes of `input` as a vector."""
    return np.array(np.shape(x), dtype=out_type.as_numpy_dtype)


shape_op.shape(lambda x: [(x.shape.rank,)])
shape_op.no_gradient("sizes are integers")


@op("ShapeN", "input: N * T -> output: N * out_type", out_type=OUT)
def shape_n(*inputs, out_type):
    """The sizes of each input as a vector."""
    return [np.array(np.shape(x), dtype=out_type.as_numpy_dtype) for x in inputs]


shape_n.shape(lambda *inputs: [(x.shape.rank,) for x in inputs])
shape_n.no_gradient("sizes are integers")


@op("Size", "input: T -> output: out_type", out_type=OUT)
def size_op(x, *, out_type):
    """The number of elements."""
    return np.asarray(np.size(x), dtype=out_type.as_numpy_dtype)


size_op.shape(lambda x: [()])
size_op.no_gradient("a size is an integer")


@op("Rank", "input: T -> output: int32")
def rank_op(x):
    """The number of axes."""
    return np.int32(np.ndim(x))


rank_op.shape(lambda x: [()])
rank_op.no_gradient("a rank is an integer")


def shape(
    input: Any, name: str | None = None, out_type: Any = dtypes.int32
) -> Tensor:  # TensorFlow's name
    """The sizes of `input` as a vector; a constant where they are known."""
    return shape_internal(input, name, optimize=True, out_type=out_type)


def shape_internal(
    input: Any, name: str | None = None, optimize: bool = True, out_type: Any = dtypes.int32
) -> Tensor:  # TensorFlow's name
    """The sizes of `input` as a vector; a constant when `optimize` and they are known."""
    with name_scope(name, "Shape", [input]) as scope:
        if isinstance(input, SparseTensor):
            return casting.cast(input.dense_shape, out_type)
        x = convert.convert_to_tensor(input)
        out_type = dtypes.as_dtype(out_type)
        if optimize and x.shape.is_fully_defined():
            return constants.constant(x.shape.as_list(), out_type, name=scope)
        return shape_op(x, out_type=out_type, name=scope)


def size(
    input: Any, name: str | None = None, out_type: Any = dtypes.int32
) -> Tensor:  # TensorFlow's name
    """The number of elements; a constant where it is known."""
    with name_scope(name, "Size", [input]) as scope:
        if isinstance(input, SparseTensor):
            return reduction.reduce_prod(casting.cast(input.dense_shape, out_type), 0, name=scope)
        x = convert.convert_to_tensor(input)
        count = x.shape.num_elements()
        if count is not None:
            return constants.constant(count, out_type, name=scope)
        return size_op(x, out_type=out_type, name=scope)


def rank(input: Any, name: str | None = None) -> Tensor:  # TensorFlow's name
    """The number of axes; a constant where it is known."""
    with name_scope(name, "Rank", [input]) as scope:
        if isinstance(input, SparseTensor):
            return size(input.dense_shape, name=scope)
        x = convert.convert_to_tensor(input)
        if x.shape.rank is not None:
            return constants.constant(x.shape.rank, dtypes.int32, name=scope)
        return rank_op(x, name=scope)


@op("Reshape", "tensor: T, shape: Tshape -> output: T", Tshape=TSHAPE)
def reshape_op(tensor, shape):
    """The same elements in another shape; one size may be -1, meaning what is left."""
    sizes = tuple(np.asarray(shape).reshape(-1).tolist())
    try:
        return np.reshape(tensor, sizes)
    except ValueError:
        raise InvalidArgumentError(
            None,
            None,
            f"Input to reshape is a tensor with {np.size(tensor)} values, but the requested shape has "
            f"{abs(int(np.prod(sizes)))}: cannot reshape {np.shape(tensor)} to {sizes}",
        ) from None


reshape_op.views(whole=True)


@reshape_op.shape
def reshape_shape(tensor, shape):
    wanted = constant_value_as_shape(shape)
    if wanted.sizes is None:
        return [wanted]
    count, known, unknown = tensor.shape.num_elements(), 1, 0
    for s in wanted.sizes:
        known, unknown = (known, unknown + 1) if s is None else (known * s, unknown)
    if count is None:
        return [_reshape_with_unknown(tensor.shape, wanted, shape)]
    if unknown == 0 and known != count:
        raise ShapeError(
            f"Cannot reshape a tensor with {count} elements to shape {wanted} ({known} elements)"
        )
    if unknown == 1 and known:
        if count % known:
            raise ShapeError(f"Dimension size must be evenly divisible by {known} but is {count}")
        return [tuple(count // known if s is None else s for s in wanted.sizes)]
    return [wanted]


def _reshape_with_unknown(source: TensorShape, wanted: TensorShape, shape: Tensor) -> TensorShape:
    """Where one size of the source and one of the target are unknown, and the known ones agree, they are equal."""
    return wanted


@reshape_op.grad
def reshape_grad(node, dy):
    sizes = node.inputs[0].shape.sizes
    if sizes is not None and sizes.count(None) == 1 and 0 not in sizes:
        return [reshape_op(dy, [-1 if s is None else s for s in sizes]), None]
    return [reshape_op(dy, shape_internal(node.inputs[0])), None]


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements in another shape; one size may be -1, meaning what is left."""
    return reshape_op(tensor, shape, name=name)


@op("ExpandDims", "input: T, dim: Tdim -> output: T", Tdim=TSHAPE)
def expand_dims_op(x, dim):
    """A new axis of size 1 before axis `dim`."""
    at = int(np.asarray(dim).reshape(-1)[0])
    if not -np.ndim(x) - 1 <= at <= np.ndim(x):
        raise InvalidArgumentError(
            None, None, f"Tried to expand dim index {at} for tensor with {np.ndim(x)} dimensions."
        )
    return np.expand_dims(x, at)


expand_dims_op.views(whole=True)


@expand_dims_op.shape
def expand_dims_shape(x, dim):
    sizes, value = x.shape.sizes, constant_value(dim)
    if sizes is None:
        return [TensorShape(None)]
    if value is None:
        return [(None,) * (len(sizes) + 1)]
    at = int(np.asarray(value).reshape(-1)[0])
    if not -len(sizes) - 1 <= at <= len(sizes):
        raise ShapeError(f"dim {at} not in the interval [{-len(sizes) - 1}, {len(sizes)}]")
    at = at + len(sizes) + 1 if at < 0 else at
    return [(*sizes[:at], 1, *sizes[at:])]


@expand_dims_op.grad
def expand_dims_grad(node, dy):
    return [reshape_op(dy, shape_internal(node.inputs[0])), None]


def expand_dims(
    input: Any, axis: Any = None, name: str | None = None, dim: Any = None
) -> Tensor:  # TensorFlow's name
    """`input` with a new axis of size 1 before `axis`; negative counts from the end."""
    at = dim if axis is None else axis
    if axis is not None and dim is not None:
        raise ValueError("Cannot specify both 'axis' and 'dim'")
    if at is None:
        raise ValueError("Must specify an axis argument to tf.expand_dims()")
    return expand_dims_op(input, at, name=name)


@op("Squeeze", "input: T -> output: T", squeeze_dims=Attr("list(int)", [], minimum=0))
def squeeze_op(x, *, squeeze_dims):
    """`input` without its axes of size 1, all of them or those named."""
    for d in squeeze_dims:
        if not -np.ndim(x) <= d < np.ndim(x) or np.shape(x)[d] != 1:
            raise InvalidArgumentError(
                None,
                None,
                f"Can not squeeze dim[{d}], expected a dimension of 1, got shape {np.shape(x)}",
            )
    return np.squeeze(x, axis=tuple(squeeze_dims) if squeeze_dims else None)


squeeze_op.views(whole=True)


@squeeze_op.shape
def squeeze_shape(x, *, squeeze_dims):
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    if not squeeze_dims:
        return [TensorShape(None) if None in sizes else tuple(s for s in sizes if s != 1)]
    for d in squeeze_dims:
        if not -len(sizes) <= d < len(sizes):
            raise ShapeError(f"squeeze_dims[{d}] not in [{-len(sizes)},{len(sizes)})")
        if sizes[d] not in (1, None):
            raise ShapeError(f"Can not squeeze dim[{d}], expected a dimension of 1, got {sizes[d]}")
    dropped = {d % len(sizes) for d in squeeze_dims}
    return [tuple(s for i, s in enumerate(sizes) if i not in dropped)]


@squeeze_op.grad
def squeeze_grad(node, dy):
    return [reshape_op(dy, shape_internal(node.inputs[0]))]


def squeeze(
    input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None
) -> Tensor:  # TensorFlow's name
    """`input` without its axes of size 1: all of them, or those in `axis`."""
    if axis is not None and squeeze_dims is not None:
        raise ValueError("Cannot specify both 'squeeze_dims' and 'axis'")
    axes = axis if axis is not None else squeeze_dims
    if axes is None:
        axes = []
    elif np.isscalar(axes):
        axes = [axes]
    return squeeze_op(input, squeeze_dims=[int(a) for a in axes], name=name)


@op("Transpose", "x: T, perm: Tperm -> y: T", Tperm=TSHAPE)
def transpose_op(x, perm):
    """`x` with its axes in the order `perm`."""
    order = np.asarray(perm).reshape(-1).tolist()
    if sorted(p % max(np.ndim(x), 1) for p in order) != list(range(np.ndim(x))):
        raise InvalidArgumentError(
            None, None, f"perm {order} is no permutation of {np.ndim(x)} axes"
        )
    return np.transpose(x, order)


transpose_op.views()


@transpose_op.shape
def transpose_shape(x, perm):
    order, sizes = constant_value(perm), x.shape.sizes
    if order is None:
        length = perm.shape.sizes[0] if perm.shape.sizes else None
        found = x.shape if sizes is not None else unknown_shape(length)
        return [TensorShape.of(None if found.sizes is None else (None,) * len(found.sizes))]
    if sizes is None:
        return [(None,) * len(order)]
    if len(order) != len(sizes):
        raise ShapeError(f"Dimension must be {len(sizes)} but is {len(order)}")
    if sorted(int(p) % max(len(sizes), 1) for p in order) != list(range(len(sizes))):
        raise ShapeError(f"perm dim {list(order)} is out of range of input rank {len(sizes)}")
    return [tuple(sizes[int(p)] for p in order)]


@transpose_op.grad
def transpose_grad(node, dy):
    return [transpose(dy, indexing.invert_permutation(node.inputs[1])), None]


def transpose(a: Any, perm: Any = None, name: str = "transpose", conjugate: bool = False) -> Tensor:
    """`a` with its axes in the order `perm`, reversed where None."""
    with name_scope(name, "transpose", [a]) as scope:
        a = convert.convert_to_tensor(a, name="a")
        if perm is None:
            if a.shape.rank is not None:
                perm = np.arange(a.shape.rank - 1, -1, -1, dtype=np.int32)
            else:
                perm = indexing.range_op(rank(a) - 1, -1, -1)
        if conjugate and a.dtype.is_complex:
            return conjugate_transpose_op(a, perm, name=scope)
        return transpose_op(a, perm, name=scope)


@op("ConjugateTranspose", "x: T, perm: Tperm -> y: T", Tperm=TSHAPE)
def conjugate_transpose_op(x, perm):
    """The complex conjugate of `x` with its axes in the order `perm`."""
    return np.conj(transpose_op.kernel(x, perm)).astype(x.dtype, copy=False)


conjugate_transpose_op.shape(transpose_shape)


@conjugate_transpose_op.grad
def conjugate_transpose_grad(node, dy):
    back = indexing.invert_permutation(node.inputs[1])
    return [transpose(dy, back, conjugate=True), None]


@op("BroadcastTo", "input: T, shape: Tidx -> output: T", Tidx=TSHAPE)
def broadcast_to_op(x, shape):
    """`input` repeated along axes of size 1 until it has this shape."""
    return np.broadcast_to(x, tuple(np.asarray(shape).tolist()))


@broadcast_to_op.shape
def broadcast_to_shape(x, shape):
    return [constant_value_as_shape(shape)]


@broadcast_to_op.grad
def broadcast_to_grad(node, dy):
    x, shape = node.inputs
    own = shape_internal(x, out_type=shape.dtype.base_dtype)
    known = constant_value_as_shape(shape)
    if known.is_fully_defined():
        shape = constants.constant(known.as_list(), dtype=shape.dtype.base_dtype)
    _, axes = unbroadcasting.broadcast_gradient_args(shape, own)
    return [reshape_op(reduction.sum_op(dy, axes, keep_dims=True), own), None]


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:  # TensorFlow's name
    """`input` repeated along axes of size 1 until it has this shape."""
    return broadcast_to_op(input, shape, name=name)


@op("Tile", "input: T, multiples: Tmultiples -> output: T", Tmultiples=TSHAPE)
def tile(x, multiples):
    """`input` repeated multiples[i] times along axis i."""
    times = np.asarray(multiples)
    if times.ndim != 1:
        raise InvalidArgumentError(
            None, None, f"Expected multiples to be 1-D, but got shape {list(times.shape)}"
        )
    if len(times) != np.ndim(x):
        raise InvalidArgumentError(
            None,
            None,
            f"Expected multiples argument to be a vector of length {np.ndim(x)} but got length {len(times)}",
        )
    if (times < 0).any():
        raise InvalidArgumentError(None, None, f"Expected multiples >= 0, got {times.tolist()}")
    if all(t == 1 or size == 1 for t, size in zip(times.tolist(), np.shape(x), strict=True)):
        return np.broadcast_to(x, tuple((times * np.shape(x)).tolist()))  # nothing to copy
    return np.tile(x, times.tolist())


@tile.shape
def tile_shape(x, multiples):
    times = constant_value_as_shape(multiples)
    if times.sizes is None:
        return [TensorShape(None if x.shape.rank is None else [None] * x.shape.rank)]
    if x.shape.sizes is None:
        return [(None,) * len(times.sizes)]
    if len(times.sizes) != len(x.shape.sizes):
        raise ShapeError(f"Shape must be rank {len(times.sizes)} but is rank {len(x.shape.sizes)}")
    return [
        tuple(
            None if s is None or t is None else s * t
            for s, t in zip(x.shape.sizes, times.sizes, strict=True)
        )
    ]


@tile.grad
def tile_grad(node, dy):
    x, multiples = node.inputs
    shape_x = shape_internal(x)
    split = reshape_op(transpose(joining.stack([multiples, shape_x])), [-1])
    axes = indexing.range_(0, size(split), 2)
    found = reduction.sum_op(reshape_op(dy, split), axes)
    found.set_shape(x.shape)
    return [found, None]


@op("Pad", "input: T, paddings: Tpaddings -> output: T", Tpaddings=TSHAPE)
def pad_op(x, paddings):
    """`input` with paddings[i] = (before, after) zeros along axis i."""
    return _padded(x, paddings, 0)


@op("PadV2", "input: T, paddings: Tpaddings, constant_values: T -> output: T", Tpaddings=TSHAPE)
def pad_v2_op(x, paddings, constant_values):
    """`input` with paddings[i] = (before, after) copies of `constant_values` along axis i."""
    return _padded(x, paddings, constant_values)


def _padded(x, paddings, value):
    widths = np.asarray(paddings)
    if widths.ndim != 2 or widths.shape[1] != 2:
        raise InvalidArgumentError(
            None, None, f"paddings must be a matrix with 2 columns: {list(widths.shape)}"
        )
    if len(widths) != np.ndim(x):
        raise InvalidArgumentError(
            None,
            None,
            f"The first dimension of paddings must be the rank of inputs{list(widths.shape)} {list(np.shape(x))}",
        )
    if (widths < 0).any():
        raise InvalidArgumentError(None, None, f"Paddings must be non-negative: {widths.tolist()}")
    return np.pad(x, widths, constant_values=value) if np.ndim(x) else x


def pad_shape(x, paddings, *rest):
    """The shape rule of padding: sizes grow by the paddings, where these are known. Raises ShapeError for negative ones."""
    widths = constant_value(paddings)
    if widths is not None and (np.asarray(widths) < 0).any():
        raise ShapeError(f"Paddings must be non-negative, got {np.asarray(widths).tolist()}")
    if widths is None:
        count = paddings.shape.sizes[0] if paddings.shape.sizes else None
        known = x.shape.rank if x.shape.rank is not None else count
        return [unknown_shape(known)]
    if x.shape.sizes is None:
        return [(None,) * len(widths)]
    x.shape.assert_has_rank(len(widths))
    return [
        tuple(
            None if s is None else s + int(w[0]) + int(w[1])
            for s, w in zip(x.shape.sizes, widths, strict=True)
        )
    ]


pad_op.shape(pad_shape)
pad_v2_op.shape(pad_shape)


def _pad_grad(node, dy):
    x, paddings = node.inputs[:2]
    firsts = joining.stack([rank(x), 1])
    begin = reshape_op(slicing.slice_(paddings, [0, 0], firsts), [-1])
    return [slicing.slice_(dy, begin, shape_internal(x)), None] + [None] * (len(node.inputs) - 2)


pad_op.grad(_pad_grad)
pad_v2_op.grad(_pad_grad)
