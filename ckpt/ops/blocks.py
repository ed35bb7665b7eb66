"""Blocks of space moved into the batch or the depth and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value

TIDX = Attr("type", dtypes.int32, INDEX)
BLOCK = Attr("int", minimum=2)
LAYOUT = Attr("string", "NHWC", frozenset({"NHWC", "NCHW", "NCHW_VECT_C"}))


def _checked_blocks(rank, block, margins, what):
    """(block sizes, margins) as lists. Raises InvalidArgumentError for shapes and numbers that make no sense."""
    sizes, pairs = np.asarray(block), np.asarray(margins)
    if sizes.ndim != 1:
        raise InvalidArgumentError(None, None, f"block rank should be 1, got {sizes.ndim}")
    if rank < 1 + len(sizes):
        raise InvalidArgumentError(
            None, None, f"input rank should be >= {1 + len(sizes)} instead of {rank}"
        )
    if pairs.shape != (len(sizes), 2):
        raise InvalidArgumentError(
            None, None, f"{what} should have shape [{len(sizes)}, 2] instead of {list(pairs.shape)}"
        )
    if (sizes < 1).any():
        raise InvalidArgumentError(
            None, None, f"All values in block_shape must be positive, got value, {sizes.min()}"
        )
    if (pairs < 0).any():
        raise InvalidArgumentError(None, None, f"{what} must be non-negative, got {pairs.tolist()}")
    return sizes.tolist(), pairs.tolist()


def _space_to_batch(x, block, paddings):
    sizes, pairs = _checked_blocks(np.ndim(x), block, paddings, "paddings")
    n = len(sizes)
    x = np.pad(x, [(0, 0), *pairs, *[(0, 0)] * (x.ndim - n - 1)])
    for i, b in enumerate(sizes):
        if x.shape[i + 1] % b:
            raise InvalidArgumentError(
                None,
                None,
                f"padded_shape[{i}]={x.shape[i + 1]} is not divisible by block_shape[{i}]={b}",
            )
    split = [x.shape[0]]
    for i, b in enumerate(sizes):
        split += [x.shape[i + 1] // b, b]
    rest = x.shape[n + 1 :]
    cut = x.reshape([*split, *rest])
    inner = [2 * i + 2 for i in range(n)]
    outer = [2 * i + 1 for i in range(n)]
    moved = cut.transpose([*inner, 0, *outer, *range(2 * n + 1, cut.ndim)])
    return np.ascontiguousarray(moved).reshape(
        [x.shape[0] * int(np.prod(sizes)), *split[1::2], *rest]
    )


def _batch_to_space(x, block, crops):
    sizes, pairs = _checked_blocks(np.ndim(x), block, crops, "crops")
    n, count = len(sizes), int(np.prod(sizes))
    if x.shape[0] % count:
        raise InvalidArgumentError(
            None,
            None,
            f"Input batch dimension ({x.shape[0]}) is not divisible by product of block sizes ({count})",
        )
    for i, (b, pair) in enumerate(zip(sizes, pairs, strict=True)):
        if x.shape[i + 1] * b < sum(pair):
            raise InvalidArgumentError(
                None,
                None,
                f"cropped_shape[{i}]={x.shape[i + 1] * b - sum(pair)} must be non-negative",
            )
    space, rest = x.shape[1 : n + 1], x.shape[n + 1 :]
    cut = x.reshape([*sizes, x.shape[0] // count, *space, *rest])
    order = [n]
    for i in range(n):
        order += [n + 1 + i, i]
    merged = cut.transpose([*order, *range(2 * n + 1, cut.ndim)]).reshape(
        [x.shape[0] // count, *[s * b for s, b in zip(space, sizes, strict=True)], *rest]
    )
    key = [slice(None)]
    key += [slice(a, merged.shape[i + 1] - b) for i, (a, b) in enumerate(pairs)]
    return np.ascontiguousarray(merged[tuple(key)])


def _static(x, block, margins, to_batch):
    """The static shape of both directions; `block` is a list where known."""
    sizes = x.shape.sizes
    if block is None or sizes is None:
        return [TensorShape(None)]
    pairs = constant_value(margins)
    n, count = len(block), int(np.prod(block))
    if len(sizes) < n + 1:
        raise ShapeError(f"Shape must be at least rank {n + 1} but is rank {len(sizes)}")
    if any(b < 1 for b in block):
        raise ShapeError(f"block_shape must be positive, got {list(block)}")
    if pairs is not None and np.shape(pairs) != (n, 2):
        raise ShapeError(
            f"Dimensions must be equal: margins {list(np.shape(pairs))} for {n} blocks"
        )
    if pairs is not None and (np.asarray(pairs) < 0).any():
        raise ShapeError(f"paddings and crops cannot be negative, got {np.asarray(pairs).tolist()}")
    if not to_batch and sizes[0] is not None and sizes[0] % count:
        raise ShapeError(f"Dimension size must be evenly divisible by {count} but is {sizes[0]}")
    batch = None if sizes[0] is None else sizes[0] * count if to_batch else sizes[0] // count
    found: list[int | None] = [batch]
    for i, b in enumerate(block):
        size = sizes[i + 1]
        found.append(
            None
            if size is None or pairs is None
            else _moved(size, int(b), int(np.sum(pairs[i])), to_batch)
        )
    return [(*found, *sizes[n + 1 :])]


def _moved(size, block, margin, to_batch):
    if not to_batch:
        if size * block < margin:
            raise ShapeError(
                f"Negative dimension size caused by subtracting {margin} from {size * block}"
            )
        return size * block - margin
    if (size + margin) % block:
        raise ShapeError(
            f"Dimension size must be evenly divisible by {block} but is {size + margin}"
        )
    return (size + margin) // block


def _known_block(block):
    value = constant_value(block)
    return None if value is None else np.asarray(value).reshape(-1).tolist()


@op(
    "SpaceToBatchND",
    "input: T, block_shape: Tblock_shape, paddings: Tpaddings -> output: T",
    Tblock_shape=TIDX,
    Tpaddings=TIDX,
)
def space_to_batch_nd_op(x, block_shape, paddings):
    """Each block of space, after padding with zeros, becomes entries of the batch."""
    return _space_to_batch(x, block_shape, paddings)


space_to_batch_nd_op.shape(
    lambda x, block, paddings: _static(x, _known_block(block), paddings, True)
)
space_to_batch_nd_op.grad(
    lambda node, dy: [batch_to_space_nd_op(dy, node.inputs[1], node.inputs[2]), None, None]
)


@op(
    "BatchToSpaceND",
    "input: T, block_shape: Tblock_shape, crops: Tcrops -> output: T",
    Tblock_shape=TIDX,
    Tcrops=TIDX,
)
def batch_to_space_nd_op(x, block_shape, crops):
    """Entries of the batch become blocks of space again, which is then cropped."""
    return _batch_to_space(x, block_shape, crops)


batch_to_space_nd_op.shape(lambda x, block, crops: _static(x, _known_block(block), crops, False))
batch_to_space_nd_op.grad(
    lambda node, dy: [space_to_batch_nd_op(dy, node.inputs[1], node.inputs[2]), None, None]
)


@op(
    "SpaceToBatch",
    "input: T, paddings: Tpaddings -> output: T",
    Tpaddings=TIDX,
    block_size=BLOCK,
)
def space_to_batch_op(x, paddings, *, block_size):
    """Square blocks of images become entries of the batch."""
    return _space_to_batch(x, [block_size] * 2, paddings)


space_to_batch_op.shape(
    lambda x, paddings, *, block_size: _static(_of_rank_4(x), [block_size] * 2, paddings, True)
)
space_to_batch_op.grad(
    lambda node, dy: [
        batch_to_space_op(dy, node.inputs[1], block_size=node.attrs["block_size"]),
        None,
    ]
)


@op("BatchToSpace", "input: T, crops: Tidx -> output: T", block_size=BLOCK, Tidx=TIDX)
def batch_to_space_op(x, crops, *, block_size):
    """Entries of the batch become square blocks of images."""
    return _batch_to_space(x, [block_size] * 2, crops)


batch_to_space_op.shape(
    lambda x, crops, *, block_size: _static(_of_rank_4(x), [block_size] * 2, crops, False)
)
batch_to_space_op.grad(
    lambda node, dy: [
        space_to_batch_op(dy, node.inputs[1], block_size=node.attrs["block_size"]),
        None,
    ]
)


def _of_rank_4(x):
    x.shape.with_rank(4)
    return x


def space_to_batch_nd(
    input: Any, block_shape: Any, paddings: Any, name: str | None = None
) -> Tensor:
    """Each block of space, after padding with zeros, becomes entries of the batch."""
    return space_to_batch_nd_op(input, block_shape, paddings, name=name)


def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Tensor:
    """Entries of the batch become blocks of space, which is then cropped."""
    return batch_to_space_nd_op(input, block_shape, crops, name=name)


def space_to_batch(
    input: Any,
    paddings: Any,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Tensor:
    """Square blocks of images [batch, height, width, depth] become entries of the batch."""
    return _square(space_to_batch_nd, input, paddings, block_size, block_shape, name)


def batch_to_space(
    input: Any,
    crops: Any,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Tensor:
    """Entries of the batch become square blocks of images [batch, height, width, depth]."""
    return _square(batch_to_space_nd, input, crops, block_size, block_shape, name)


def _square(function: Any, x: Any, margins: Any, size: Any, shape: Any, name: Any) -> Tensor:
    sizes = np.array([size, size], dtype=np.int64) if shape is None else shape
    result: Tensor = function(x, sizes, margins, name=name)
    result.set_shape(result.shape.with_rank(4))
    return result


def _depth(x, block, layout, down):
    """Blocks of space into depth, or back. NCHW goes through NHWC."""
    if layout == "NCHW_VECT_C":
        raise InvalidArgumentError(None, None, "NCHW_VECT_C is a layout of int8 on GPUs only")
    if np.ndim(x) != 4:
        raise InvalidArgumentError(None, None, f"Input rank should be: 4 instead of: {np.ndim(x)}")
    x = np.moveaxis(x, 1, 3) if layout == "NCHW" else x
    n, h, w, c = x.shape
    if down:
        if h % block or w % block:
            raise InvalidArgumentError(
                None,
                None,
                f"Image width {w} and height {h} should be divisible by block_size: {block}",
            )
        cut = x.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
        found = cut.reshape(n, h // block, w // block, c * block * block)
    else:
        if c % (block * block):
            raise InvalidArgumentError(
                None, None, f"Input depth dimension {c} should be divisible by: {block * block}"
            )
        cut = x.reshape(n, h, w, block, block, c // (block * block)).transpose(0, 1, 3, 2, 4, 5)
        found = cut.reshape(n, h * block, w * block, c // (block * block))
    return np.ascontiguousarray(np.moveaxis(found, 3, 1) if layout == "NCHW" else found)


def _depth_shape(x, block, layout, down):
    sizes = x.shape.with_rank(4).sizes or (None,) * 4
    c, h, w = (1, 2, 3) if layout == "NCHW" else (3, 1, 2)
    found = list(sizes)
    if down:
        for axis in (h, w):
            found[axis] = _divided(sizes[axis], block)
        found[c] = None if sizes[c] is None else sizes[c] * block * block
    else:
        for axis in (h, w):
            found[axis] = None if sizes[axis] is None else sizes[axis] * block
        found[c] = _divided(sizes[c], block * block)
    return [tuple(found)]


def _divided(size, block):
    if size is not None and size % block:
        raise ShapeError(f"Dimension size must be evenly divisible by {block} but is {size}")
    return None if size is None else size // block


def _depth_op(type_name: str, down: bool, doc: str) -> OpDef:
    def kernel(x, *, block_size, data_format):
        return _depth(x, block_size, data_format, down)

    kernel.__doc__ = doc
    opdef = op(type_name, "input: T -> output: T", block_size=BLOCK, data_format=LAYOUT)(kernel)

    @opdef.shape
    def rule(x, *, block_size, data_format):
        return _depth_shape(x, block_size, data_format, down)

    @opdef.grad
    def gradient(node, dy):
        inverse = depth_to_space_op if down else space_to_depth_op
        attrs = {key: node.attrs[key] for key in ("block_size", "data_format")}
        return [inverse(dy, **attrs)]

    return opdef


space_to_depth_op = _depth_op("SpaceToDepth", True, "Blocks of space become depth.")
depth_to_space_op = _depth_op("DepthToSpace", False, "Depth becomes blocks of space.")


def space_to_depth(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """Blocks of space become depth."""
    return space_to_depth_op(input, block_size=block_size, data_format=data_format, name=name)


def depth_to_space(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """Depth becomes blocks of space."""
    return depth_to_space_op(input, block_size=block_size, data_format=data_format, name=name)
