"""More arithmetic on top of the element-wise operations: products with 0, sums of lists, statistics, conversions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, FLOATING, NUMERIC
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.slices import IndexedSlices
from ckpt.ops import casting, compare, constants, control, division, elementwise, reduction, shaping
from ckpt.ops.families import binary, binary_by_slopes, broadcast_shape

FIELD = FLOATING | COMPLEX


def _zero_where(x, y, value):
    """`value`, and 0 where `x` is 0 whatever `y` is."""
    with np.errstate(all="ignore"):
        return np.where(np.equal(x, 0), np.zeros((), x.dtype), value(x, y)).astype(x.dtype)


xdivy_op = binary_by_slopes(
    "Xdivy",
    lambda x, y: _zero_where(x, y, np.true_divide),
    FIELD,
    lambda x, y: (xdivy_op(_not_zero(x), y), xdivy_op(elementwise.neg(x), y**2)),
)
xlogy = binary_by_slopes(
    "Xlogy",
    lambda x, y: _zero_where(x, y, lambda a, b: a * np.log(b)),
    FIELD,
    lambda x, y: (xlogy(_not_zero(x), y), xdivy_op(x, y)),
)
xlog1py_op = binary_by_slopes(
    "Xlog1py",
    lambda x, y: _zero_where(x, y, lambda a, b: a * np.log1p(b)),
    FIELD,
    lambda x, y: (xlog1py_op(_not_zero(x), y), xdivy_op(x, y + 1)),
)
mul_no_nan = binary(
    "MulNoNan",
    lambda x, y: _zero_where(y, x, lambda b, a: a * b),
    FIELD,
    lambda x, y, z, dz: (mul_no_nan(dz, y), mul_no_nan(x, dz)),
    equal_shapes=True,
)


def xdivy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where x is 0, whatever y is."""
    with name_scope(name, "xdivy", [x]):
        return xdivy_op(x, y)


def xlog1py(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x · log(1 + y), and 0 where x is 0, whatever y is."""
    with name_scope(name, "xlog1py", [x]):
        return xlog1py_op(x, y)


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x · y, and 0 where y is 0, even if x is infinite or no number."""
    with name_scope(name, "multiply_no_nan", [x, y]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        y = convert.convert_to_tensor(y, name="y", dtype=x.dtype.base_dtype)
        return mul_no_nan(x, y, name=scope)


def _not_zero(x: Tensor) -> Tensor:
    """1 where `x` is not 0, else 0."""
    zero = casting.cast(0.0, x.dtype.base_dtype)
    return casting.cast(compare.not_equal(x, zero), x.dtype.base_dtype)


next_after = binary(
    "NextAfter",
    "nextafter",
    Attr("type", dtypes.float32, frozenset({dtypes.float32, dtypes.float64})),
    lambda x1, x2, z, dz: (dz, constants.zeros_like(x2)),
    "x1: T, x2: T -> output: T",
)


@op("ApproximateEqual", "x: T, y: T -> z: bool", T=NUMERIC, tolerance=1e-5)
def approximate_equal(x, y, *, tolerance):
    """|x - y| < tolerance."""
    return np.abs(np.subtract(x, y)) < tolerance


approximate_equal.shape(broadcast_shape)
approximate_equal.no_gradient("a truth value has no derivative")


@op(
    "AccumulateNV2",
    "inputs: N * T -> sum: T",
    N=Attr("int", minimum=1),
    T=NUMERIC,
    shape=Attr("shape"),
)
def accumulate_n_op(*inputs):
    """The sum of the inputs, all of one shape."""
    total = np.array(inputs[0])
    for part in inputs[1:]:
        total = total + part
    return total


accumulate_n_op.shape(lambda *inputs, shape: [shape])
accumulate_n_op.grad(lambda node, dy: [dy] * len(node.inputs))


def accumulate_n(
    inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None
) -> Tensor:
    """The sum of a list of tensors of one shape and dtype."""
    complaint = "inputs must be a list of at least one Tensor with the same dtype and shape"
    if not inputs or not isinstance(inputs, (list, tuple)):
        raise ValueError(complaint)
    tensors = [convert.convert_to_tensor(v) for v in inputs]
    if any(t.dtype.base_dtype != tensors[0].dtype.base_dtype for t in tensors):
        raise ValueError(complaint)
    merged = TensorShape(None) if shape is None else as_shape(shape)
    for t in tensors:
        merged = merged.merge_with(t.shape)
    if tensor_dtype is not None and dtypes.as_dtype(tensor_dtype) != tensors[0].dtype.base_dtype:
        raise TypeError(
            f"The `tensor_dtype` argument is {tensor_dtype}, but `input` is of type {tensors[0].dtype}. "
            f"These must be equal. Try casting the input to the desired type."
        )
    if len(tensors) == 1:
        return control.identity(tensors[0], name=name) if name else tensors[0]
    found = elementwise.add_n_op(tensors, name=name)
    found.set_shape(merged)
    return found


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """`scalar` times a tensor or IndexedSlices. Raises ValueError when `scalar` is no scalar."""
    kind = (
        x.values if isinstance(x, IndexedSlices) else convert.convert_to_tensor(x)
    ).dtype.base_dtype
    scalar = convert.convert_to_tensor(scalar, dtype=kind, name="scalar")
    if scalar.shape.rank not in (None, 0):
        raise ValueError("The input scalar must be a 0-D value.")
    if isinstance(x, IndexedSlices):
        return IndexedSlices(elementwise.mul(scalar, x.values, name=name), x.indices, x.dense_shape)
    return elementwise.mul(scalar, x, name=name)


def truncatediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y of integers, rounded towards 0."""
    return division.truncate_div(x, y, name=name)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """log(1 / (1 + exp(-x))), without overflow."""
    from ckpt.ops import activation  # only this function needs the softplus

    with name_scope(name, "LogSigmoid", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        return elementwise.neg(activation.softplus(-x), name=scope)


def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None,
    reduction_indices: Any = None, keep_dims: Any = None,
) -> Tensor:  # fmt: skip
    """log of the sum of exp over `axis`, without overflow."""
    axis = reduction_indices if axis is None else axis
    keep = bool(keepdims if keepdims is not None else keep_dims)
    with name_scope(name, "ReduceLogSumExp", [input_tensor]) as scope:
        x = convert.convert_to_tensor(input_tensor)
        raw = reduction.reduce_max(x, axis, keepdims=True)
        finite = compare.select_v2(elementwise.is_finite(raw), raw, 0)
        largest = control.stop_gradient(finite)
        powers = elementwise.exp(elementwise.sub(x, largest))
        result = elementwise.log(reduction.reduce_sum(powers, axis, keepdims=keep))
        if not keep:
            largest = shaping.reshape(largest, shaping.shape_op(result))
        return elementwise.add(result, largest, name=scope)


def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The mean squared distance from the mean over `axis`."""
    with name_scope(name or "reduce_variance"):
        x = convert.convert_to_tensor(input_tensor)
        if x.dtype.is_integer:
            raise TypeError(
                f"Input must be either real or complex. Received integer type {x.dtype}."
            )
        distance = x - reduction.reduce_mean(x, axis, keepdims=True)
        if x.dtype.base_dtype in COMPLEX:
            from ckpt.ops import complex_numbers  # only complex numbers have parts

            squares = complex_numbers.real(elementwise.conj(distance) * distance)
        else:
            squares = elementwise.square(distance)
        return reduction.reduce_mean(squares, axis, keepdims=keepdims)


def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The standard deviation over `axis`."""
    with name_scope(name or "reduce_std"):
        return elementwise.sqrt(reduce_variance(input_tensor, axis, keepdims))


def count_nonzero(
    input_tensor: Any = None, axis: Any = None, keepdims: Any = None, dtype: Any = dtypes.int64,
    name: str | None = None, reduction_indices: Any = None, keep_dims: Any = None, input: Any = None,
) -> Tensor:  # fmt: skip
    """How many elements are not zero, over `axis`."""
    axis = reduction_indices if axis is None else axis
    keep = bool(keepdims if keepdims is not None else keep_dims)
    with name_scope(name, "count_nonzero", [input_tensor]):
        x = convert.convert_to_tensor(input_tensor if input is None else input, name="input")
        zero = constants.zeros([], dtype=x.dtype.base_dtype)
        found = casting.cast(compare.not_equal(x, zero), dtypes.int64)
        return casting.cast(reduction.reduce_sum(found, axis, keepdims=keep), dtype)


def _converter(dtype: dtypes.DType, default_name: str) -> Any:
    def convert_to(x: Any, name: str = default_name) -> Any:
        return casting.cast(x, dtype, name=name)

    convert_to.__doc__ = f"`x` as {dtype.name}."
    return convert_to


to_float = _converter(dtypes.float32, "ToFloat")
to_double = _converter(dtypes.float64, "ToDouble")
to_int32 = _converter(dtypes.int32, "ToInt32")
to_int64 = _converter(dtypes.int64, "ToInt64")
to_bfloat16 = _converter(dtypes.bfloat16, "ToBFloat16")
to_complex64 = _converter(dtypes.complex64, "ToComplex64")
to_complex128 = _converter(dtypes.complex128, "ToComplex128")
