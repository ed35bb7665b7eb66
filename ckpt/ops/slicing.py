"""Parts of tensors as Python writes them: `x[1:, ::2]`, and slices by first index and size."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, bool_
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.memory import own_part
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor, operator
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value, constant_value_as_shape
from ckpt.ops import casting, constants, indexing, joining, shaping, slice_assign

INDEX_TYPE = Attr("type", allowed=INDEX)
MASKS = {
    "begin_mask": 0,
    "end_mask": 0,
    "ellipsis_mask": 0,
    "new_axis_mask": 0,
    "shrink_axis_mask": 0,
}


def python_key(begin, end, strides, masks):
    """The Python index that a strided slice's numbers and masks describe."""
    key: list[Any] = []
    for i in range(len(begin)):
        bit = 1 << i
        if masks["ellipsis_mask"] & bit:
            key.append(Ellipsis)
        elif masks["new_axis_mask"] & bit:
            key.append(None)
        elif masks["shrink_axis_mask"] & bit:
            key.append(int(begin[i]))
        else:
            start = None if masks["begin_mask"] & bit else int(begin[i])
            stop = None if masks["end_mask"] & bit else int(end[i])
            key.append(slice(start, stop, int(strides[i])))
    return tuple(key)


def index_complaint(x, begin, masks, found):
    """TensorFlow's words for an index that does not fit: too many of them, or one out of bounds."""
    ignored = masks["ellipsis_mask"] | masks["new_axis_mask"]
    used = sum(1 for i in range(len(begin)) if not ignored & (1 << i))
    rank = np.ndim(x)
    if used > rank:
        return f"Index out of range using input dim {rank}; input has only {rank} dims"
    return f"slice index of dimension out of bounds: {found}"


@op(
    "StridedSlice",
    "input: T, begin: Index, end: Index, strides: Index -> output: T",
    Index=INDEX_TYPE,
    **MASKS,
)
def strided_slice_op(
    x, begin, end, strides, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    """`input[begin:end:strides]` with Python's meaning; the masks say which entries are open, new or dropped axes."""
    if 0 in np.asarray(strides):
        raise InvalidArgumentError(None, None, "strides must be non-zero")
    masks = {
        "begin_mask": begin_mask,
        "end_mask": end_mask,
        "ellipsis_mask": ellipsis_mask,
        "new_axis_mask": new_axis_mask,
        "shrink_axis_mask": shrink_axis_mask,
    }
    try:
        return own_part(np.asanyarray(x)[python_key(begin, end, strides, masks)])
    except IndexError as error:
        raise InvalidArgumentError(
            None, None, index_complaint(x, begin, masks, str(error))
        ) from None


strided_slice_op.views()


@strided_slice_op.shape
def strided_slice_shape(
    x, begin, end, strides, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    b, e, s = (constant_value(t) for t in (begin, end, strides))
    if s is None:
        return [TensorShape(None)]
    found: list[int | None] = []
    axes = iter(range(len(sizes)))
    used = sum(1 for i in range(len(s)) if not (ellipsis_mask | new_axis_mask) & (1 << i))
    if used > len(sizes):
        raise ShapeError(
            f"Index out of range using input dim {len(sizes)}; input has only {len(sizes)} dims"
        )
    for i in range(len(s)):
        bit = 1 << i
        if ellipsis_mask & bit:
            found.extend(sizes[next(axes)] for _ in range(len(sizes) - used))
        elif new_axis_mask & bit:
            found.append(1)
        else:
            size = sizes[next(axes)]
            known_begin = None if b is None else int(b[i])
            if shrink_axis_mask & bit:
                if size is not None and known_begin is not None and not -size <= known_begin < size:
                    raise ShapeError(f"slice index {known_begin} of dimension {i} out of bounds.")
                continue
            found.append(
                _sliced_size(
                    size,
                    known_begin,
                    None if e is None else int(e[i]),
                    int(s[i]),
                    bool(begin_mask & bit),
                    bool(end_mask & bit),
                )
            )
    found.extend(sizes[a] for a in axes)
    return [tuple(found)]


def _sliced_size(size, begin, end, stride, open_begin, open_end):
    if stride == 0:
        raise ShapeError("strides[i] must be non-zero")
    if size is None:
        if open_begin and open_end and abs(stride) == 1:
            return None
        both = begin is not None and end is not None and not open_begin and not open_end
        if both and (begin >= 0) == (end >= 0) and stride > 0 and end <= begin:
            return 0
        return None
    if (begin is None and not open_begin) or (end is None and not open_end):
        return None
    return len(
        range(
            *slice(None if open_begin else begin, None if open_end else end, stride).indices(size)
        )
    )


@strided_slice_op.grad
def strided_slice_grad_rule(node, dy):
    x, begin, end, strides = node.inputs
    masks = {key: node.attrs[key] for key in MASKS}
    shape = shaping.shape_internal(x, out_type=begin.dtype.base_dtype)
    places = []
    for tensor in (shape, begin, end, strides):
        known = constant_value(tensor)
        places.append(tensor if known is None else known)
    return [strided_slice_grad(*places, dy, **masks), None, None, None]


@op(
    "StridedSliceGrad",
    "shape: Index, begin: Index, end: Index, strides: Index, dy: T -> output: T",
    Index=INDEX_TYPE,
    **MASKS,
)
def strided_slice_grad(
    shape,
    begin,
    end,
    strides,
    dy,
    *,
    begin_mask,
    end_mask,
    ellipsis_mask,
    new_axis_mask,
    shrink_axis_mask,
):
    """Zeros of `shape` with `dy` at the place that the slice took."""
    masks = {
        "begin_mask": begin_mask,
        "end_mask": end_mask,
        "ellipsis_mask": ellipsis_mask,
        "new_axis_mask": new_axis_mask,
        "shrink_axis_mask": shrink_axis_mask,
    }
    whole = np.zeros(tuple(np.asarray(shape).tolist()), dtype=dy.dtype)
    whole[python_key(begin, end, strides, masks)] = dy
    return whole


@strided_slice_grad.shape
def strided_slice_grad_shape(shape, *rest):
    return [constant_value_as_shape(shape)]


@strided_slice_grad.grad
def strided_slice_grad_grad(node, dz):
    _, begin, end, strides, _ = node.inputs
    masks = {key: node.attrs[key] for key in MASKS}
    return [None, None, None, None, strided_slice_op(dz, begin, end, strides, **masks)]


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """`input_[begin:end:strides]` with Python's meaning; bit i of a mask speaks of entry i."""
    if strides is None:
        strides = constants.ones_like(begin)
    found = strided_slice_op(
        input_,
        begin,
        end,
        strides,
        begin_mask=begin_mask,
        end_mask=end_mask,
        ellipsis_mask=ellipsis_mask,
        new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask,
        name=name,
    )
    return slice_assign.assignable(found, input_ if var is None else var)


@operator("__getitem__")
def _getitem(tensor: Any, key: Any) -> Tensor:
    """`tensor[i, 2:5, ..., tf.newaxis]`; a boolean tensor as the key masks."""
    if (
        hasattr(key, "dtype")
        and dtypes.as_dtype(key.dtype).base_dtype == bool_
        and np.ndim(getattr(key, "shape", ())) != 0
    ):
        return indexing.boolean_mask(tensor, key)
    entries = list(key) if isinstance(key, (list, tuple)) else [key]
    begin: list[Any] = []
    end: list[Any] = []
    strides: list[Any] = []
    masks = dict(MASKS)
    for i, entry in enumerate(entries):
        _add_entry(entry, 1 << i, begin, end, strides, masks)
    if masks["ellipsis_mask"] & (masks["ellipsis_mask"] - 1):
        raise ValueError("Multiple ellipses in slice spec not allowed")
    with name_scope(None, "strided_slice", [tensor, *begin, *end, *strides]) as scope:
        if begin:
            packed = [joining.stack(part) for part in (begin, end, strides)]
            wide = any(t.dtype == dtypes.int64 for t in packed)
            if wide:
                packed = [casting.cast(t, dtypes.int64) for t in packed]
        else:
            packed = [constants.constant([], dtype=dtypes.int32)] * 3
        found = strided_slice_op(convert.convert_to_tensor(tensor), *packed, **masks, name=scope)
        return slice_assign.assignable(found, tensor)


def _add_entry(
    entry: Any,
    bit: int,
    begin: list[Any],
    end: list[Any],
    strides: list[Any],
    masks: dict[str, int],
) -> None:
    if isinstance(entry, slice):
        given = (entry.start, entry.stop, entry.step)
        dtype = _widest([part.dtype.base_dtype for part in given if isinstance(part, Tensor)])
        for part, default, values in zip(given, (0, 0, 1), (begin, end, strides), strict=True):
            if part is not None:
                _check_index(part)
                values.append(part)
            else:
                values.append(
                    default if dtype is None else constants.constant(default, dtype=dtype)
                )
        masks["begin_mask"] |= bit if entry.start is None else 0
        masks["end_mask"] |= bit if entry.stop is None else 0
    elif entry is Ellipsis or entry is None:
        masks["ellipsis_mask" if entry is Ellipsis else "new_axis_mask"] |= bit
        begin.append(0)
        end.append(0)
        strides.append(1)
    else:
        _check_index(entry)
        begin.append(entry)
        end.append(entry + 1)
        is_wide = isinstance(entry, Tensor) and entry.dtype.base_dtype == dtypes.int64
        strides.append(constants.constant(1, dtype=dtypes.int64) if is_wide else 1)
        masks["shrink_axis_mask"] |= bit


def _widest(found: list[dtypes.DType]) -> dtypes.DType | None:
    """The index dtype of the bounds that are tensors: what the bounds left open must have too."""
    return max(found, key=lambda dtype: dtype.size, default=None)


def _check_index(index: Any) -> None:
    if isinstance(index, bool):
        raise ValueError("mask cannot be scalar.")
    if isinstance(index, (int, np.integer)):
        return
    dtype, rank = getattr(index, "dtype", None), len(getattr(index, "shape", ()) or ())
    if dtype is not None and dtypes.as_dtype(dtype).is_integer and not rank:
        return
    if hasattr(index, "__index__") and dtype is None:
        return
    raise TypeError(
        f"Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
        f"tf.int32/tf.int64 tensors are valid indices, got {index!r}"
    )


@op("Slice", "input: T, begin: Index, size: Index -> output: T", Index=INDEX_TYPE)
def slice_op(x, begin, size):
    """`size[i]` elements from `begin[i]` on along each axis; a size of -1 takes all that are left."""
    key = []
    if np.ndim(begin) != 1 or np.ndim(size) != 1 or len(begin) != np.ndim(x) != len(size):
        raise InvalidArgumentError(
            None,
            None,
            f"Expected begin and size arguments to be 1-D tensors of size {np.ndim(x)}, but got shapes "
            f"{list(np.shape(begin))} and {list(np.shape(size))} instead.",
        )
    for axis, (b, n) in enumerate(
        zip(np.asarray(begin).tolist(), np.asarray(size).tolist(), strict=True)
    ):
        whole = np.shape(x)[axis]
        n = whole - b if n == -1 else n  # what -1 means
        if not 0 <= b <= whole or not 0 <= n <= whole - b:
            raise InvalidArgumentError(
                None,
                None,
                f"Expected begin[{axis}] in [0, {whole}] and size[{axis}] in [0, {whole - b}], but got {b} and {n}",
            )
        key.append(slice(b, b + n))
    return own_part(x[tuple(key)])


slice_op.views()


@slice_op.shape
def slice_shape(x, begin, size):
    b, n = constant_value(begin), constant_value(size)
    wanted = constant_value_as_shape(size) if size.shape.rank in (None, 1) else TensorShape(None)
    sizes = x.shape.sizes
    if n is None:
        return [
            wanted
            if wanted.sizes is not None
            else TensorShape(None if sizes is None else [None] * len(sizes))
        ]
    if sizes is None:
        return [tuple(None if v == -1 else int(v) for v in n)]
    x.shape.assert_has_rank(len(n))
    found: list[int | None] = []
    for i, v in enumerate(n.tolist()):
        start = None if b is None else int(b[i])
        if v == -1:
            found.append(None if sizes[i] is None or start is None else sizes[i] - start)
        else:
            if sizes[i] is not None and start is not None and start + v > sizes[i]:
                raise ShapeError(
                    f"slice of {v} elements from {start} on does not fit dimension {i} of size {sizes[i]}"
                )
            found.append(v)
    return [tuple(found)]


@slice_op.grad
def slice_grad(node, dy):
    x, begin, _ = node.inputs
    rank = shaping.rank(x)
    shape_y = shaping.shape_internal(node.outputs[0], out_type=begin.dtype.base_dtype)
    column = joining.stack([rank, 1])
    before = shaping.reshape(begin, column)
    shape_x = shaping.shape_internal(x, out_type=begin.dtype.base_dtype)
    after = shaping.reshape(shape_x - shape_y - begin, column)
    return [shaping.pad_op(dy, joining.concat([before, after], 1)), None, None]


def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """`size` elements from `begin` on along each axis; a size of -1 takes all that are left."""
    return slice_op(input_, begin, size, name=name)
