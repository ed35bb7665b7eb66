"""Constants and placeholders, and how Python values become constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops import reduction, shaping, tensor_list
from ckpt.ops.families import same_shape


@op("Const", "-> output: dtype", value=Attr("tensor"))
def const(*, value):
    """The constant `value`."""
    return value


@const.shape
def const_shape(*, value):
    return [TensorShape.of(value.shape)]


const.no_gradient("a constant has no inputs")


def constant(
    value: Any,
    dtype: Any = None,
    shape: Any = None,
    name: str = "Const",
    verify_shape: bool = False,
) -> Tensor:
    """A constant tensor from a number, string, nested list or numpy array.

    With `shape` a single value fills it; fewer values than elements repeat the last one, as TensorFlow 1 does.
    Raises TypeError for values that are not of `dtype`, ValueError when `verify_shape` and the shapes differ.
    """
    array = constant_array(value, dtype, shape, verify_shape)
    return const(
        value=array,
        dtype=dtypes.as_dtype(dtype).base_dtype if dtype is not None else _dtype_of(array),
        name=name,
    )


def constant_array(
    value: Any, dtype: Any = None, shape: Any = None, verify_shape: bool = False
) -> np.ndarray:
    """The read-only array that `constant` makes of these arguments."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    if hasattr(value, "graph"):
        raise TypeError(f"List of Tensors when single Tensor expected: {value!r}")
    array = arrays.array_of(value, wanted)
    if array is value or array.base is not None:
        array = array.copy()
    if shape is not None:
        array = _filled(array, as_shape(shape), verify_shape)
    array.flags.writeable = False
    return array


def _filled(array: np.ndarray, shape: TensorShape, verify_shape: bool) -> np.ndarray:
    sizes = shape.as_tuple()
    if array.shape == sizes:
        return array
    if verify_shape:
        raise TypeError(f"Expected Tensor's shape: {shape}, got {TensorShape.of(array.shape)}.")
    count = math.prod(sizes)
    if count == 0 and array.size == 1:
        return array.reshape(-1)[:0].reshape(sizes)
    if array.size > count or (array.size == 0 and count):
        raise ValueError(
            f"Too many elements provided. Needed at most {count}, but received {array.size}"
        )
    if array.size == count:
        return array.reshape(sizes)
    full = np.empty(count, dtype=array.dtype)
    full[: array.size] = array.reshape(-1)
    full[array.size :] = array.reshape(-1)[-1]
    return full.reshape(sizes)


def _dtype_of(array: np.ndarray) -> dtypes.DType:
    return dtypes.as_dtype(array.dtype)


def _constant_from_value(
    value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    return constant(value, dtype=dtype, name=name or "Const")


def _constant_from_shape(
    value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    if not value.is_fully_defined():
        raise ValueError(f"Cannot convert a partially known TensorShape to a Tensor: {value}")
    if dtype is not None and dtype not in dtypes.INDEX:
        raise TypeError(f"Cannot convert a TensorShape to dtype: {dtype.name}")
    wanted = dtype or (dtypes.int32 if all(s < 2**31 for s in value.sizes) else dtypes.int64)
    array = np.array(value.sizes, dtype=wanted.as_numpy_dtype)
    return constant(array, name=name or "shape_as_tensor")


convert.register_tensor_conversion_function(object, _constant_from_value, 200)
convert.register_tensor_conversion_function(TensorShape, _constant_from_shape, 100)


_C_NAMES = {"float32": "float", "float64": "double"}
"""How TensorFlow's kernels spell these two."""


@op("Placeholder", "-> output: dtype", shape=TensorShape(None))
def placeholder_op(ctx, *, dtype, shape):
    """A value that every run must feed."""
    shape_text = (
        ""
        if shape.sizes is None
        else f" and shape [{','.join('?' if s is None else str(s) for s in shape.sizes)}]"
    )
    raise InvalidArgumentError(
        None,
        None,
        f"You must feed a value for placeholder tensor '{ctx.node.name}' with dtype {_C_NAMES.get(dtype.name, dtype.name)}{shape_text}",
    )


@placeholder_op.shape
def placeholder_shape(*, shape):
    return [shape]


placeholder_op.no_gradient("a placeholder has no inputs")


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value every run must feed. `shape` may be partly or wholly unknown."""
    dtype = dtypes.as_dtype(dtype).base_dtype
    return placeholder_op(dtype=dtype, shape=as_shape(shape), name=name)


@op("PlaceholderWithDefault", "input: dtype -> output: dtype", shape=Attr("shape"))
def placeholder_with_default_op(x):
    """`input`, unless the run feeds another value."""
    return x


placeholder_with_default_op.views(whole=True)


@placeholder_with_default_op.shape
def placeholder_with_default_shape(x, *, shape):
    x.shape.assert_is_compatible_with(shape)
    return [shape]


@placeholder_with_default_op.grad
def placeholder_with_default_grad(node, d_output):
    return [d_output]


def placeholder_with_default(
    input: Any, shape: Any, name: str | None = None
) -> Tensor:  # TensorFlow's name
    """A tensor with the value `input` where a run feeds no other."""
    return placeholder_with_default_op(input, shape=as_shape(shape), name=name)


@op(
    "Fill",
    "dims: index_type, value: T -> output: T",
    index_type=Attr("type", dtypes.int32, dtypes.INDEX),
)
def fill(xp, dims, value):
    """A tensor of shape `dims`, every element `value`."""
    if dims.size and dims.min() < 0:
        raise InvalidArgumentError(None, None, f"Fill dimensions must be >= 0, got {list(dims)}")
    return xp.full(
        tuple(int(size) for size in dims),
        value,
        dtype=value.dtype if hasattr(value, "dtype") else object,
    )


@fill.shape
def fill_shape(dims, value):
    value.shape.with_rank(0)
    return [constant_value_as_shape(dims)]


@fill.grad
def fill_grad(node, dy):
    return [None, reduction.reduce_sum(dy)]


@op("ZerosLike", "x: T -> y: T")
def zeros_like_op(xp, x):
    """Zeros in the shape and dtype of `x`; empty strings for strings; for a list of tensors a list of zeros."""
    if tensor_list.is_variant(x):
        return tensor_list.zeros_of(x)
    if x.dtype.kind == "O":
        return np.full(x.shape, b"", dtype=object)
    return xp.zeros_like(x)


zeros_like_op.shape(same_shape)


@zeros_like_op.grad
def zeros_like_grad(node, dy):
    return [None]


@op("OnesLike", "x: T -> y: T", T=dtypes.NUMERIC | {dtypes.bool_})
def ones_like_op(xp, x):
    """Ones in the shape and dtype of `x`."""
    return xp.ones_like(x)


ones_like_op.shape(same_shape)


@ones_like_op.grad
def ones_like_grad(node, dy):
    return [None]


SMALL_CONSTANT = 1000
"""tf.zeros and tf.ones of fewer elements are constants; larger ones are filled when run, to keep files small."""


def _filled_with(
    number: int, shape: Any, dtype: Any, name: str | None, default_name: str
) -> Tensor:
    dtype = dtypes.as_dtype(dtype).base_dtype
    value: Any = (
        (b"" if number == 0 else str(number).encode()) if dtype == dtypes.string else number
    )
    if dtype.is_bool:
        value = bool(number)
    with name_scope(name, default_name, [shape]) as scope:
        if not isinstance(shape, Tensor):
            try:
                static = as_shape(shape)
                count = static.num_elements()
            except (TypeError, ValueError):
                shape = convert.convert_to_tensor(shape, dtype=dtypes.int32)
            else:
                if count is not None and count < SMALL_CONSTANT:
                    return constant(value, dtype=dtype, shape=static, name=scope)
                shape = convert.convert_to_tensor(static)
        if shape.shape.rank == 0:
            shape = shaping.reshape(shape, [-1])
        return fill(shape, constant(value, dtype=dtype), name=scope)


def zeros(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """A tensor of zeros (False, empty strings) of this shape, a list, TensorShape or 1-D integer tensor."""
    return _filled_with(0, shape, dtype, name, "zeros")


def ones(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """A tensor of ones (True) of this shape, a list, TensorShape or 1-D integer tensor."""
    return _filled_with(1, shape, dtype, name, "ones")


def zeros_like(
    tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    """Zeros in the shape of `tensor`; a constant when `optimize` and the shape is known."""
    with name_scope(name, "zeros_like", [tensor]) as scope:
        tensor = convert.convert_to_tensor(tensor, name="tensor")
        wanted = dtypes.as_dtype(dtype).base_dtype if dtype is not None else tensor.dtype.base_dtype
        if optimize and tensor.shape.is_fully_defined() and wanted != dtypes.variant:
            return zeros(tensor.shape, wanted, name=scope)
        if wanted != tensor.dtype.base_dtype:
            return zeros(shaping.shape_internal(tensor, optimize=optimize), wanted, name=scope)
        return zeros_like_op(tensor, name=scope)


def ones_like(
    tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    """Ones in the shape of `tensor`."""
    with name_scope(name, "ones_like", [tensor]) as scope:
        tensor = convert.convert_to_tensor(tensor, name="tensor")
        wanted = dtypes.as_dtype(dtype).base_dtype if dtype is not None else tensor.dtype.base_dtype
        if optimize and tensor.shape.is_fully_defined():
            sizes = constant(tensor.shape.sizes, dtypes.int32, name="Shape/shape_as_tensor")
        else:
            sizes = shaping.shape_internal(tensor, optimize=False)
        found = ones(sizes, wanted, name=scope)
        found.set_shape(tensor.shape)
        return found


def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A SparseTensor that must be fed; `shape` is that of the whole, None where it is unknown."""
    parts = (
        (None, None, None)
        if name is None
        else (f"{name}/shape", f"{name}/values", f"{name}/indices")
    )
    static = None
    if shape is None or isinstance(shape, Tensor):
        dense_shape = shape
        rank = None if shape is None or shape.shape.sizes is None else shape.shape.sizes[0]
        if shape is None:
            dense_shape = placeholder(dtypes.int64, [None], parts[0])
    else:
        static = TensorShape(shape)
        rank = static.rank
        sizes = np.array([-1 if size is None else size for size in static.as_list()], np.int64)
        default = constant(sizes, name="Const" if name is None else f"{name}/shape_default")
        dense_shape = placeholder_with_default(default, sizes.shape, parts[0])
    values = placeholder(dtype, [None], parts[1])
    found = SparseTensor(placeholder(dtypes.int64, [None, rank], parts[2]), values, dense_shape)
    if static is not None:
        found.set_shape(static)
    return found
