"""The same elements in another order or mirrored: reverse, roll, mirror padding, bit patterns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, NUMERIC, QUANTIZED, bool_, string
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import shaping

ANYTHING = NUMERIC | {bool_, string}
TIDX = Attr("type", dtypes.int32, INDEX)
MIRRORS = Attr("string", allowed=frozenset({"REFLECT", "SYMMETRIC"}))


def _checked_axes(axes, rank):
    found: list[int] = []
    for a in np.asarray(axes).reshape(-1).tolist():
        if not -rank <= a < rank:
            raise InvalidArgumentError(
                None, None, f"axis {a} is out of valid range [{-rank}, {rank - 1}]"
            )
        if a % rank in found:
            raise InvalidArgumentError(None, None, f"axis {a % rank} specified more than once.")
        found.append(a % rank)
    return tuple(found)


@op("ReverseV2", "tensor: T, axis: Tidx -> output: T", T=ANYTHING, Tidx=TIDX)
def reverse_v2(tensor, axis):
    """The elements in reverse order along the axes named."""
    return np.ascontiguousarray(np.flip(tensor, _checked_axes(axis, np.ndim(tensor)))).reshape(
        np.shape(tensor)
    )


@reverse_v2.shape
def reverse_v2_shape(tensor, axis):
    axis.shape.with_rank(1)
    value = constant_value(axis)
    if value is not None and tensor.shape.rank is not None:
        try:
            _checked_axes(value, tensor.shape.rank)
        except InvalidArgumentError as error:
            raise ShapeError(str(error)) from None
    return [tensor.shape]


reverse_v2.grad(lambda node, dy: [reverse_v2(dy, node.inputs[1]), None])


@op("Reverse", "tensor: T, dims: bool -> output: T", T=ANYTHING)
def reverse_v1(tensor, dims):
    """The elements in reverse order along the axes for which `dims` is true."""
    if np.shape(dims) != (np.ndim(tensor),):
        raise InvalidArgumentError(
            None,
            None,
            f"'dims' must have the same number of values as 'input' has dimensions. 'input' has "
            f"{np.ndim(tensor)}'dims' has {np.size(dims)} values",
        )
    return np.flip(tensor, tuple(np.flatnonzero(dims)))


reverse_v1.shape(lambda tensor, dims: [tensor.shape])
reverse_v1.grad(lambda node, dy: [reverse_v1(dy, node.inputs[1]), None])


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """The elements in reverse order along the axes named."""
    return reverse_v2(tensor, axis, name=name)


@op(
    "ReverseSequence",
    "input: T, seq_lengths: Tlen -> output: T",
    seq_dim=Attr("int"),
    batch_dim=0,
    Tlen=Attr("type", dtypes.int64, INDEX),
)
def reverse_sequence_op(x, seq_lengths, *, seq_dim, batch_dim):
    """For each i along `batch_dim` the first seq_lengths[i] slices along `seq_dim` in reverse order."""
    rank = np.ndim(x)
    seq, batch = seq_dim % max(rank, 1), batch_dim % max(rank, 1)
    if not -rank <= seq_dim < rank or not -rank <= batch_dim < rank:
        what = ("seq_dim", seq_dim) if not -rank <= seq_dim < rank else ("batch_dim", batch_dim)
        raise InvalidArgumentError(
            None, None, f"{what[0]} must be < input rank ( {what[1]} vs. {rank})"
        )
    lengths = np.asarray(seq_lengths)
    if lengths.shape != (x.shape[batch],):
        raise InvalidArgumentError(
            None,
            None,
            f"Length of seq_lengths != input.dims({batch}), ({lengths.size} vs. {x.shape[batch]})",
        )
    if lengths.size and (lengths.min() < 0 or lengths.max() > x.shape[seq]):
        raise InvalidArgumentError(
            None,
            None,
            f"seq_lengths({int(lengths.argmax())}) < 0 or > input.dims({seq}) = {x.shape[seq]}",
        )
    steps = np.arange(x.shape[seq])
    order = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    moved = np.moveaxis(x, (batch, seq), (0, 1))
    found = moved[np.arange(len(lengths))[:, None], order]
    return np.ascontiguousarray(np.moveaxis(found, (0, 1), (batch, seq)))


@reverse_sequence_op.shape
def reverse_sequence_shape(x, seq_lengths, *, seq_dim, batch_dim):
    seq_lengths.shape.with_rank(1)
    rank = x.shape.rank
    if rank is None:
        return [TensorShape(None)]
    if batch_dim >= rank:
        raise ShapeError(f"batch_dim must be < input rank: {batch_dim} vs. {rank}")
    if seq_dim >= rank:
        raise ShapeError(f"seq_dim must be < input rank: {seq_dim} vs. {rank}")
    sizes = list(x.shape.sizes)
    merged = TensorShape.of((sizes[batch_dim],)).merge_with(seq_lengths.shape)
    sizes[batch_dim] = merged.sizes[0]
    return [tuple(sizes)]


@reverse_sequence_op.grad
def reverse_sequence_grad(node, dy):
    dims = {key: node.attrs[key] for key in ("seq_dim", "batch_dim")}
    return [reverse_sequence_op(dy, node.inputs[1], **dims), None]


def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    """The first seq_lengths[i] slices along `seq_axis` in reverse order, for each i along `batch_axis`."""
    if (seq_axis is not None and seq_dim is not None) or (
        batch_axis is not None and batch_dim is not None
    ):
        raise ValueError("Cannot specify both an axis and its deprecated name ending in _dim.")
    seq = seq_dim if seq_axis is None else seq_axis
    batch = batch_dim if batch_axis is None else batch_axis
    if isinstance(seq_lengths, (list, tuple)):
        seq_lengths = np.array(seq_lengths, np.int32)
    return reverse_sequence_op(input, seq_lengths, seq_dim=seq, batch_dim=batch or 0, name=name)


@op(
    "Roll",
    "input: T, shift: Tshift, axis: Taxis -> output: T",
    Tshift=Attr("type", allowed=INDEX),
    Taxis=Attr("type", allowed=INDEX),
)
def roll_op(x, shift, axis):
    """The elements moved by `shift` places along `axis`; what leaves at one end enters at the other."""
    if np.ndim(x) < 1:
        raise InvalidArgumentError(None, None, "input must be 1-D or higher")
    if np.ndim(shift) > 1 or np.ndim(axis) > 1:
        what = "shift" if np.ndim(shift) > 1 else "axis"
        raise InvalidArgumentError(
            None,
            None,
            f"{what} must be a scalar or a 1-D vector. Found: {list(np.shape(shift if what == 'shift' else axis))}",
        )
    if np.shape(shift) != np.shape(axis):
        raise InvalidArgumentError(
            None,
            None,
            f"shift and axis must have the same size: {list(np.shape(shift))} vs. {list(np.shape(axis))}",
        )
    axes = np.asarray(axis).reshape(-1).tolist()
    for a in axes:
        if not -np.ndim(x) <= a < np.ndim(x):
            raise InvalidArgumentError(None, None, f"axis {a} is out of range")
    return np.roll(x, tuple(np.asarray(shift).reshape(-1).tolist()), tuple(axes))


@roll_op.shape
def roll_shape(x, shift, axis):
    for tensor in (shift, axis):
        if tensor.shape.rank is not None and tensor.shape.rank > 1:
            raise ShapeError(f"Shape must be at most rank 1 but is rank {tensor.shape.rank}")
    if shift.shape.sizes is not None and axis.shape.sizes is not None:
        if not shift.shape.is_compatible_with(axis.shape):
            raise ShapeError(f"both shapes must be equal, got {shift.shape} and {axis.shape}")
    return [x.shape.with_rank_at_least(1)]


roll_op.grad(lambda node, dy: [roll_op(dy, -node.inputs[1], node.inputs[2]), None, None])


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """The elements moved by `shift` places along `axis`, around the end."""
    return roll_op(input, shift, axis, name=name)


def _checked_widths(x, paddings, mode, rank):
    widths = np.asarray(paddings)
    if widths.ndim != 2 or widths.shape[1] != 2:
        raise InvalidArgumentError(
            None, None, f"paddings must be a matrix with 2 columns: {list(widths.shape)}"
        )
    if len(widths) != rank:
        raise InvalidArgumentError(
            None,
            None,
            f"The first dimension of paddings must be the rank of inputs{list(widths.shape)}, {rank}",
        )
    if (widths < 0).any():
        raise InvalidArgumentError(None, None, f"paddings must be non-negative: {widths.tolist()}")
    return widths


@op(
    "MirrorPad",
    "input: T, paddings: Tpaddings -> output: T",
    Tpaddings=TIDX,
    mode=MIRRORS,
)
def mirror_pad(x, paddings, *, mode):
    """`input` continued by its mirror image; REFLECT does not repeat the border, SYMMETRIC does."""
    widths = _checked_widths(x, paddings, mode, np.ndim(x))
    for size, pair in zip(np.shape(x), widths.tolist(), strict=True):
        limit = size if mode == "SYMMETRIC" else size - 1
        if max(pair) > limit:
            raise InvalidArgumentError(
                None,
                None,
                f"paddings must be {'no greater' if mode == 'SYMMETRIC' else 'less'} than the dimension size: "
                f"{pair[0]}, {pair[1]} {'greater' if mode == 'SYMMETRIC' else 'not less'} than {size}",
            )
    return np.pad(x, widths, mode=mode.lower()) if np.ndim(x) else x


mirror_pad.shape(lambda x, paddings: shaping.pad_shape(x, paddings))
mirror_pad.grad(
    lambda node, dy: [mirror_pad_grad(dy, node.inputs[1], mode=node.attrs["mode"]), None]
)


@op(
    "MirrorPadGrad",
    "input: T, paddings: Tpaddings -> output: T",
    Tpaddings=TIDX,
    mode=MIRRORS,
)
def mirror_pad_grad(dy, paddings, *, mode):
    """`input` with its mirrored borders added back to where MirrorPad copied them from."""
    widths = _checked_widths(dy, paddings, mode, np.ndim(dy))
    skip = 0 if mode == "SYMMETRIC" else 1
    found = np.array(dy)
    for axis, (before, after) in enumerate(widths.tolist()):
        moved = np.moveaxis(found, axis, 0)
        size = len(moved) - before - after
        core = np.array(moved[before : before + size])
        if before:
            core[skip : skip + before] += moved[:before][::-1]
        if after:
            core[size - skip - after : size - skip] += moved[before + size :][::-1]
        found = np.moveaxis(core, 0, axis)
    return np.ascontiguousarray(found).reshape(found.shape)


@mirror_pad_grad.shape
def mirror_pad_grad_shape(dy, paddings):
    widths, sizes = constant_value(paddings), dy.shape.sizes
    if widths is None or sizes is None:
        return [TensorShape(None if sizes is None else [None] * len(sizes))]
    return [
        tuple(
            None if s is None else s - int(w[0]) - int(w[1])
            for s, w in zip(sizes, widths, strict=True)
        )
    ]


mirror_pad_grad.grad(
    lambda node, dz: [mirror_pad(dz, node.inputs[1], mode=node.attrs["mode"]), None]
)


def pad(
    tensor: Any,
    paddings: Any,
    mode: str = "CONSTANT",
    name: str | None = None,
    constant_values: Any = 0,
) -> Tensor:
    """`tensor` made larger: paddings[i] = (before, after) along axis i; mode CONSTANT, REFLECT or SYMMETRIC."""
    mode = mode.upper()
    if mode == "CONSTANT":
        if not isinstance(constant_values, Tensor) and np.all(np.equal(constant_values, 0)):
            result = shaping.pad_op(tensor, paddings, name=name)
        else:
            result = shaping.pad_v2_op(tensor, paddings, constant_values, name=name)
    elif mode in ("REFLECT", "SYMMETRIC"):
        result = mirror_pad(tensor, paddings, mode=mode, name=name)
    else:
        raise ValueError(
            f"Value of argument `mode` expected to be one of CONSTANT, REFLECT or SYMMETRIC. Received `mode` = {mode}"
        )
    return result


@op("Bitcast", "input: T -> output: type", T=NUMERIC | QUANTIZED, type=NUMERIC | QUANTIZED)
def bitcast_op(x, *, type):
    """The same bytes seen as another dtype; sizes that differ move into or out of a last axis."""
    target = np.dtype(type.as_numpy_dtype)
    x = np.ascontiguousarray(x).reshape(np.shape(x))
    if x.dtype.itemsize == target.itemsize:
        return x.view(target)
    if x.dtype.itemsize > target.itemsize:
        return x[..., None].view(target)
    if not x.ndim or x.shape[-1] * x.dtype.itemsize != target.itemsize:
        raise InvalidArgumentError(
            None,
            None,
            f"Cannot bitcast from {dtypes.as_dtype(x.dtype).name} to {type.name}: shape {list(x.shape)}",
        )
    return x.view(target)[..., 0]


bitcast_op.views(whole=True)


@bitcast_op.shape
def bitcast_shape(x, *, type):
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    source, target = x.dtype.base_dtype.size, type.size
    if source == target:
        return [sizes]
    if source > target:
        return [(*sizes, source // target)]
    if not sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    if sizes[-1] not in (None, target // source):
        raise ShapeError(
            f"Cannot bitcast due to shape. {sizes[-1]} does not match {target // source}"
        )
    return [sizes[:-1]]


bitcast_op.no_gradient(UNDEFINED)


def bitcast(input: Any, type: Any, name: str | None = None) -> Tensor:
    """The same bytes seen as another dtype."""
    return bitcast_op(input, type=type, name=name)
