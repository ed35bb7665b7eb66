"""Several tensors into one and back: concatenate, stack, split, stitch."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.memory import own_part
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import constants, control, indexing, offsets, shaping, slicing

TIDX = Attr("type", dtypes.int32, INDEX)


def _checked_axis(axis: int, rank: int, what: str) -> int:
    if not -rank <= axis < rank:
        raise InvalidArgumentError(
            None, None, f"{what} : Expected axis in the range [{-rank}, {rank}), but got {axis}"
        )
    return axis


@op("ConcatV2", "values: N * T, axis: Tidx -> output: T", N=Attr("int", minimum=2), Tidx=TIDX)
def concat_v2(*inputs):
    """The values one after another along `axis`; all other sizes must agree."""
    *values, axis = inputs
    at = _checked_axis(int(axis), max(np.ndim(values[0]), 1), "ConcatOp")
    try:
        return np.concatenate(values, axis=at)
    except ValueError:
        raise InvalidArgumentError(
            None,
            None,
            f"ConcatOp : Dimensions of inputs should match: shapes {[np.shape(v) for v in values]}",
        ) from None


@concat_v2.shape
def concat_v2_shape(*inputs):
    *values, axis = inputs
    rank = next((v.shape.rank for v in values if v.shape.rank is not None), None)
    at = constant_value(axis)
    if rank is None:
        return [TensorShape(None)]
    if rank == 0:
        raise ShapeError("Can't concatenate scalars (use tf.stack instead)")
    shapes = [v.shape.with_rank(rank) for v in values]
    if at is None:
        return [(None,) * rank]
    if not -rank <= int(at) < rank:
        raise ShapeError(
            f"Expected concatenating dimension in the range [{-rank}, {rank}), but got {int(at)}"
        )
    position = int(at) % rank
    total: int | None = 0
    whole = TensorShape.of((None,) * rank)
    for shape in shapes:
        sizes = shape.sizes
        total = None if total is None or sizes[position] is None else total + sizes[position]
        whole = whole.merge_with((*sizes[:position], None, *sizes[position + 1 :]))
    return [(*whole.sizes[:position], total, *whole.sizes[position + 1 :])]


@concat_v2.grad
def concat_v2_grad(node, dy):
    *values, axis = node.inputs
    return [*gradients_of_parts(values, axis, dy), None]


def gradients_of_parts(values, axis, dy):
    """What of `dy` belongs to each of the values that stand one after another along `axis`."""
    parts = _known_parts(values, constant_value(axis))
    if parts is not None:
        return [slicing.slice_(dy, begin, size) for begin, size in parts]
    positive = axis % shaping.rank(values[0])
    sizes = [shaping.shape(v) for v in values]
    if not all(v.shape.is_fully_defined() for v in values):
        sizes = shaping.shape_n(values)
    begins = offsets.concat_offset(positive, sizes)
    return [slicing.slice_(dy, b, n) for b, n in zip(begins, sizes, strict=True)]


def _known_parts(values: Any, axis: Any) -> Any:
    """Begin and size of each value in the concatenation where the batch alone is unknown; None elsewhere."""
    if axis is None or any(v.shape.rank is None for v in values):
        return None
    if all(v.shape.is_fully_defined() for v in values):
        return None  # nodes that say the same, and that planning folds
    rank = values[0].shape.rank
    widths = [v.shape.sizes[int(axis)] for v in values]
    if None in widths:
        return None
    ends = itertools.accumulate(widths)
    whole = np.arange(rank) != int(axis) % rank
    return [
        (np.where(whole, 0, end - n).astype(np.int32), np.where(whole, -1, n).astype(np.int32))
        for n, end in zip(widths, ends, strict=True)
    ]


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """The values one after another along `axis`."""
    if not isinstance(values, (list, tuple)):
        values = [values]
    if len(values) == 1:
        with name_scope(name):
            at = convert.convert_to_tensor(axis, name="concat_dim", dtype=dtypes.int32)
            at.shape.assert_has_rank(0)
            return control.identity(values[0], name=name)
    return concat_v2(values, axis, name=name)


@op("Pack", "values: N * T -> output: T", axis=0)
def pack(*values, axis):
    """The values side by side along a new axis."""
    _checked_axis(axis, np.ndim(values[0]) + 1, "Pack")
    try:
        return np.stack(values, axis=axis)
    except ValueError:
        raise InvalidArgumentError(
            None, None, f"Shapes of all inputs must match: {[np.shape(v) for v in values]}"
        ) from None


def _unequal(a: TensorShape, b: TensorShape) -> str:
    """TensorFlow's words for two shapes that should be one."""
    if len(a.sizes or ()) != len(b.sizes or ()):
        return f"Shapes must be equal rank, but are {len(a.sizes or ())} and {len(b.sizes or ())}"
    pairs = enumerate(zip(a.sizes or (), b.sizes or (), strict=True))
    at, (x, y) = next((i, p) for i, p in pairs if None not in p and p[0] != p[1])
    return (
        f"Dimension {at} in both shapes must be equal, but are {x} and {y}. Shapes are {a} and {b}."
    )


@pack.shape
def pack_shape(*values, axis):
    whole = TensorShape(None)
    for value in values:
        if not whole.is_compatible_with(value.shape):
            raise ShapeError(_unequal(whole, value.shape))
        whole = whole.merge_with(value.shape)
    if whole.sizes is None:
        return [whole]
    rank = len(whole.sizes) + 1
    if not -rank <= axis < rank:
        raise ShapeError(f"axis = {axis} not in [{-rank}, {rank})")
    at = axis % rank
    return [(*whole.sizes[:at], len(values), *whole.sizes[at:])]


@pack.grad
def pack_grad(node, dy):
    return unstack(dy, num=node.attrs["N"], axis=node.attrs["axis"])


@op("Unpack", "value: T -> output: num * T", num=Attr("int", minimum=0), axis=0)
def unpack(value, *, num, axis):
    """The slices of `value` along `axis`, each without that axis."""
    if np.shape(value)[axis] != num:
        raise InvalidArgumentError(
            None, None, f"Input shape axis {axis} must equal {num}, got shape {np.shape(value)}"
        )
    return [own_part(part) for part in np.moveaxis(value, axis, 0)]


unpack.views()


@unpack.shape
def unpack_shape(value, *, num, axis):
    sizes = value.shape.sizes
    if sizes is None:
        return [TensorShape(None)] * num
    if not -len(sizes) <= axis < len(sizes):
        raise ShapeError(f"axis = {axis} not in [{-len(sizes)}, {len(sizes)})")
    at = axis % len(sizes)
    if sizes[at] not in (None, num):
        raise ShapeError(f"Dimension must be {num} but is {sizes[at]}")
    return [(*sizes[:at], *sizes[at + 1 :])] * num


@unpack.grad
def unpack_grad(node, *dys):
    return [stack(list(dys), axis=node.attrs["axis"])]


def stack(values: Any, axis: int = 0, name: str = "stack") -> Tensor:
    """The values side by side along a new axis. A constant when all of them are plain and axis is 0."""
    if axis == 0:
        try:
            value = constants.constant_array(values)
        except (TypeError, ValueError, AttributeError):
            pass
        else:
            return constants.constant(value, name=name)
        # Packed as a list is wherever it stands for a tensor: the numbers in it are named by their places.
        with contextlib.suppress(TypeError, ValueError):
            return convert.convert_to_tensor(values, name=name)
    values = list(values)
    rank = convert.convert_to_tensor(values[0], name=name).shape.rank
    if rank is not None and not -(rank + 1) <= axis < rank + 1:
        raise ValueError(f"Argument `axis` = {axis} not in range [{-(rank + 1)}, {rank + 1})")
    return pack(values, axis=axis, name=name)


def unstack(
    value: Any, num: int | None = None, axis: int = 0, name: str = "unstack"
) -> list[Tensor]:
    """The slices of `value` along `axis`. Raises ValueError when their number is neither known nor given."""
    if num is None:
        value = convert.convert_to_tensor(value)
        sizes = value.shape.sizes
        if sizes is not None:
            if not -len(sizes) <= axis < len(sizes):
                raise ValueError(
                    f"Argument `axis` = {axis} not in range [{-len(sizes)}, {len(sizes)})"
                )
            num = sizes[axis]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {value.shape}")
    found = unpack(value, num=num, axis=axis, name=name)
    return list(found)


@op("Split", "split_dim: int32, value: T -> output: num_split * T")
def split_op(axis, value, *, num_split):
    """`value` cut into `num_split` equal parts along `split_dim`."""
    at = int(axis)
    if np.shape(value)[at] % num_split:
        raise InvalidArgumentError(
            None,
            None,
            f"Number of ways to split should evenly divide the split dimension, but got split_dim {at} "
            f"(size = {np.shape(value)[at]}) and num_split {num_split}",
        )
    return parts_of(value, [np.shape(value)[at] // num_split] * num_split, at)


def parts_of(value, sizes, axis):
    """`value` cut into parts of these sizes along an axis."""
    before = (slice(None),) * (axis % np.ndim(value))
    ends = list(itertools.accumulate(sizes))
    cuts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return [own_part(value[(*before, cut)]) for cut in cuts]


split_op.views(1, shares_vectors=False)


@split_op.shape
def split_shape(axis, value, *, num_split):
    at, sizes = constant_value(axis), value.shape.sizes
    if sizes is None or at is None:
        return [TensorShape(None if sizes is None else [None] * len(sizes))] * num_split
    if not -len(sizes) <= int(at) < len(sizes):
        raise ShapeError(
            f"-input rank(-{len(sizes)}) <= split_dim < input rank ({len(sizes)}), but got {int(at)}"
        )
    position = int(at) % len(sizes)
    whole = sizes[position]
    if whole is not None and whole % num_split:
        raise ShapeError(f"Dimension size must be evenly divisible by {num_split} but is {whole}")
    part = None if whole is None else whole // num_split
    return [(*sizes[:position], part, *sizes[position + 1 :])] * num_split


@split_op.grad
def split_grad(node, *dys):
    return [None, concat(list(dys), node.inputs[0])]


@op(
    "SplitV",
    "value: T, size_splits: Tlen, split_dim: int32 -> output: num_split * T",
    Tlen=Attr("type", dtypes.int64, INDEX),
)
def split_v(value, size_splits, axis, *, num_split):
    """`value` cut into parts of these sizes along `split_dim`; one size may be -1."""
    sizes = np.asarray(size_splits).tolist()
    whole = np.shape(value)[int(axis)]
    if -1 in sizes:
        rest = whole - sum(size for size in sizes if size != -1)
        sizes = [rest if size == -1 else size for size in sizes]
    if sum(sizes) != whole or min(sizes, default=0) < 0:
        raise InvalidArgumentError(
            None,
            None,
            f"Determined shape must either match input shape along split_dim exactly if fully specified: "
            f"{size_splits} of {whole}",
        )
    return parts_of(value, sizes, int(axis))


split_v.views()


@split_v.shape
def split_v_shape(value, size_splits, axis, *, num_split):
    at, sizes, parts = constant_value(axis), value.shape.sizes, constant_value(size_splits)
    if sizes is None or at is None:
        return [TensorShape(None if sizes is None else [None] * len(sizes))] * num_split
    position = int(at) % len(sizes)
    found: list[int | None] = [None] * num_split if parts is None else [int(p) for p in parts]
    if -1 in found:
        rest = sum(p for p in found if p is not None and p >= 0)
        whole = sizes[position]
        found = [(None if whole is None else whole - rest) if p == -1 else p for p in found]
    return [(*sizes[:position], p, *sizes[position + 1 :]) for p in found]


@split_v.grad
def split_v_grad(node, *dys):
    return [concat(list(dys), node.inputs[2]), None, None]


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Tensor]:
    """`value` cut along `axis` into a number of equal parts or into parts of the sizes given."""
    if isinstance(num_or_size_splits, (int, np.integer)):
        return list(split_op(axis, value, num_split=int(num_or_size_splits), name=name))
    sizes = convert.convert_to_tensor(num_or_size_splits)
    if sizes.shape.rank == 0:
        raise ValueError(
            "Rank-0 tensors are not supported as the num_or_size_splits argument to split."
        )
    if num is None:
        num = sizes.shape.sizes[0] if sizes.shape.sizes else None
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {num_or_size_splits}")
    return list(split_v(value, sizes, axis, num_split=num, name=name))


@op("DynamicStitch", "indices: N * int32, data: N * T -> merged: T")
def dynamic_stitch_op(*inputs):
    """merged[indices[m][i]] = data[m][i]; of equal indices the last one counts."""
    half = len(inputs) // 2
    indices, data = inputs[:half], inputs[half:]
    count = max((int(np.max(i)) + 1 for i in indices if np.size(i)), default=0)
    rest = np.shape(data[0])[np.ndim(indices[0]) :]
    merged = np.zeros((count, *rest), dtype=np.asarray(data[0]).dtype)
    for index, part in zip(indices, data, strict=True):
        merged[np.asarray(index).reshape(-1)] = np.reshape(part, (-1, *rest))
    return merged


@dynamic_stitch_op.shape
def dynamic_stitch_shape(*inputs):
    half = len(inputs) // 2
    values = [constant_value(t) for t in inputs[:half]]
    rest = TensorShape(None)
    for index, part in zip(inputs[:half], inputs[half:], strict=True):
        if index.shape.rank is not None and part.shape.sizes is not None:
            rest = rest.merge_with(part.shape.sizes[index.shape.rank :])
    if any(v is None for v in values):
        return [TensorShape([None]).concatenate(rest)]
    count = max((int(np.max(v)) + 1 for v in values if np.size(v)), default=0)
    return [TensorShape([count]).concatenate(rest)]


@dynamic_stitch_op.grad
def dynamic_stitch_grad(node, dy):
    half = len(node.inputs) // 2
    return [None] * half + [indexing.gather(dy, index) for index in node.inputs[:half]]


def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Tensor:
    """One tensor with merged[indices[m][i]] = data[m][i]."""
    return dynamic_stitch_op(indices, data, name=name)


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_tensor(member) for member in value)
    return hasattr(value, "graph") or hasattr(value, "_as_graph_element")


def _packed(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    """A list with tensors in it becomes nested Pack operations, as TensorFlow packs automatically."""
    if not _holds_tensor(value):
        return NotImplemented
    wanted = dtype if dtype is not None else _tensor_dtype(value)
    return _pack_list(value, wanted, name or "packed")


def _tensor_dtype(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return next((d for d in map(_tensor_dtype, value) if d is not None), None)
    return value.dtype.base_dtype if _holds_tensor(value) else None


def _pack_list(values: Any, dtype: Any, name: str) -> Tensor:
    with name_scope(name) as scope:
        parts = []
        for i, member in enumerate(values):
            if isinstance(member, (list, tuple)) and _holds_tensor(member):
                parts.append(_pack_list(member, dtype, str(i)))
            else:
                tensor = convert.convert_to_tensor(
                    member, dtype=None if _holds_tensor(member) else dtype, name=str(i)
                )
                if tensor.dtype.base_dtype != dtype:
                    raise TypeError(
                        f"Cannot convert a list containing a tensor of dtype {tensor.dtype} to {dtype} (Tensor is: {tensor!r})"
                    )
                parts.append(tensor)
        return pack(parts, name=scope)


convert.register_tensor_conversion_function((list, tuple), _packed, 99)
