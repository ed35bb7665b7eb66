"""Operations on whole numbers that stand for a range of numbers: the layers of quantized TensorFlow 1 models.

Each quantized tensor comes with the least and the greatest number that its dtype stands for (mode MIN_FIRST of
`quantize`), and each operation gives its output's. Products and sums are qint32. Arithmetic is that of TensorFlow's plain
kernels. Source: P. Warden, "How to Quantize Neural Networks with TensorFlow" (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes, shapes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.signature import Attr
from ckpt.ops import convolution, joining, pooling, shaping
from ckpt.ops.quantize import (
    NO_GRADIENT,
    QUANTIZED,
    as_floats,
    limits,
    quantized,
    rounded,
    steps_of,
    whole,
)  # fmt: skip

PRODUCT = Attr("type", dtypes.qint32, QUANTIZED)
BYTES = Attr("type", dtypes.quint8, QUANTIZED)
TYPE = Attr("type", allowed=QUANTIZED)
PADDING = Attr("string", allowed=frozenset({"SAME", "VALID"}))
SUM_ROOM, BIAS_ROOM = 2.0**14, 2.0**17
"""How many times the larger of two ranges their sum may reach."""


def _ends(low: Any, high: Any) -> tuple[Any, Any]:
    for name, end in (("min", low), ("max", high)):
        if np.size(end) != 1:
            raise InvalidArgumentError(None, None, f"{name} must be a scalar, got {list(np.shape(end))}")  # fmt: skip
    return np.float32(np.reshape(low, ())), np.float32(np.reshape(high, ()))


def _level(low: Any, high: Any, dtype: Any) -> Any:
    """The difference of two neighbours."""
    info = limits(dtype)
    return (high - low) / np.float32(int(info.max) - int(info.min))


def _place(value: Any, low: Any, high: Any, dtype: Any) -> int:
    """The whole number that stands for `value`, also where it is out of the dtype's."""
    if low == high:
        return 0
    steps = float(steps_of(low, high, dtype))
    return int(rounded(value * steps) - rounded(low * steps)) + int(limits(dtype).min)


def _product_range(a: tuple[Any, Any], b: tuple[Any, Any], T1: Any, T2: Any, out: Any) -> tuple[Any, Any]:  # fmt: skip
    level = _level(*a, T1) * _level(*b, T2)
    info = limits(out)
    return level * np.float32(info.min), level * np.float32(info.max)


def _moved(values: Any, ends: tuple[Any, Any], T: Any, low: Any, high: Any, out: Any) -> Any:
    """The same numbers as whole numbers of another range and dtype."""
    numbers = as_floats(values, *ends, T)
    if low == high:
        return np.zeros(numbers.shape, limits(out).dtype)
    steps, least, most = float(steps_of(low, high, out)), limits(out).min, limits(out).max
    places = rounded(numbers.astype(np.float64) * steps) - rounded(float(low) * steps)
    return np.clip(places + least, least, most).astype(limits(out).dtype)


def _scalars(count: int):
    return [()] * count


def _finished(opdef: OpDef, shape: Any) -> OpDef:
    opdef.shape(shape)
    return opdef.no_gradient(NO_GRADIENT)


@op(
    "QuantizedConv2D",
    "input: Tinput, filter: Tfilter, min_input: float32, max_input: float32, min_filter: float32, "
    "max_filter: float32 -> output: out_type, min_output: float32, max_output: float32",
    Tinput=TYPE, Tfilter=TYPE, out_type=PRODUCT, strides=Attr("list(int)"), padding=PADDING,
    dilations=Attr("list(int)", [1, 1, 1, 1]),
)  # fmt: skip
def quantized_conv2d(
    x, filters, x_low, x_high, f_low, f_high, *, Tinput, Tfilter, out_type, strides, padding, dilations
):  # fmt: skip
    """The convolution [batch, rows, columns, channels] of whole numbers, each less the one that stands for zero."""
    if any(n != 1 for n in dilations):
        raise InvalidArgumentError(
            None, None, f"QuantizedConv2D takes no dilations, got {dilations}"
        )
    of_x, of_f = _ends(x_low, x_high), _ends(f_low, f_high)
    a = whole(x).astype(np.float64) - _place(0.0, *of_x, Tinput)
    b = whole(filters).astype(np.float64) - _place(0.0, *of_f, Tfilter)
    found = convolution.conv2d_op.kernel(
        a, b, strides=strides, padding=padding, explicit_paddings=[], data_format="NHWC", dilations=dilations
    )  # fmt: skip
    return quantized(found.astype(np.int64).astype(np.int32), out_type), *_product_range(of_x, of_f, Tinput, Tfilter, out_type)  # fmt: skip


@quantized_conv2d.shape
def quantized_conv2d_shape(
    x, filters, x_low, x_high, f_low, f_high, *, strides, padding, dilations
):
    found = convolution.conv2d_op.shape_rule(
        x, filters, strides=strides, padding=padding, explicit_paddings=[], data_format="NHWC", dilations=dilations
    )  # fmt: skip
    return [*found, (), ()]


quantized_conv2d.no_gradient(NO_GRADIENT)


@op(
    "QuantizedMatMul",
    "a: T1, b: T2, min_a: float32, max_a: float32, min_b: float32, max_b: float32 "
    "-> out: Toutput, min_out: float32, max_out: float32",
    T1=TYPE, T2=TYPE, Toutput=PRODUCT, transpose_a=False, transpose_b=False, Tactivation=BYTES,
)  # fmt: skip
def quantized_matmul(
    a, b, a_low, a_high, b_low, b_high, *, T1, T2, Toutput, transpose_a, transpose_b
):
    """The product of two matrices of whole numbers, each less the one that stands for zero."""
    of_a, of_b = _ends(a_low, a_high), _ends(b_low, b_high)
    left = whole(a).astype(np.float64) - _place(0.0, *of_a, T1)
    right = whole(b).astype(np.float64) - _place(0.0, *of_b, T2)
    found = (left.T if transpose_a else left) @ (right.T if transpose_b else right)
    return quantized(found.astype(np.int64).astype(np.int32), Toutput), *_product_range(of_a, of_b, T1, T2, Toutput)  # fmt: skip


@quantized_matmul.shape
def quantized_matmul_shape(a, b, *_, transpose_a, transpose_b):
    rows, inner = a.shape.with_rank(2).as_list()[:: -1 if transpose_a else 1]
    of_inner, columns = b.shape.with_rank(2).as_list()[:: -1 if transpose_b else 1]
    if None not in (inner, of_inner) and inner != of_inner:
        raise ValueError(f"inner sizes {inner} and {of_inner} must be equal")
    return [(rows, columns), (), ()]


quantized_matmul.no_gradient(NO_GRADIENT)


PAIR = "min_x: float32, max_x: float32, min_y: float32, max_y: float32 -> z: Toutput, min_z: float32, max_z: float32"  # fmt: skip


@op("QuantizedMul", f"x: T1, y: T2, {PAIR}", T1=TYPE, T2=TYPE, Toutput=PRODUCT)
def quantized_mul(x, y, x_low, x_high, y_low, y_high, *, T1, T2, Toutput):
    """The products of whole numbers, each less the one that stands for zero, with broadcasting."""
    of_x, of_y = _ends(x_low, x_high), _ends(y_low, y_high)
    a = whole(x).astype(np.int64) - _place(0.0, *of_x, T1)
    b = whole(y).astype(np.int64) - _place(0.0, *of_y, T2)
    return quantized((a * b).astype(np.int32), Toutput), *_product_range(of_x, of_y, T1, T2, Toutput)  # fmt: skip


def _sum(x, y, of_x, of_y, T1, T2, out, room):
    """The sums of numbers as whole numbers of a range that has room for both."""
    largest = max(abs(float(end)) for end in (*of_x, *of_y))
    low, high = np.float32(-largest * room), np.float32(largest * room)
    parts = [_moved(whole(v), of, T, low, high, out).astype(np.int64) for v, of, T in ((x, of_x, T1), (y, of_y, T2))]  # fmt: skip
    return quantized((parts[0] + parts[1]).astype(np.int32), out), low, high


@op("QuantizedAdd", f"x: T1, y: T2, {PAIR}", T1=TYPE, T2=TYPE, Toutput=PRODUCT)
def quantized_add(x, y, x_low, x_high, y_low, y_high, *, T1, T2, Toutput):
    """The sums of numbers of two ranges, with broadcasting."""
    return _sum(x, y, _ends(x_low, x_high), _ends(y_low, y_high), T1, T2, Toutput, SUM_ROOM)


def _pair_shape(x, y, *_):
    return [shapes.broadcast(x.shape, y.shape), (), ()]


_finished(quantized_mul, _pair_shape)
_finished(quantized_add, _pair_shape)


@op(
    "QuantizedBiasAdd",
    "input: T1, bias: T2, min_input: float32, max_input: float32, min_bias: float32, max_bias: float32 "
    "-> output: out_type, min_out: float32, max_out: float32",
    T1=TYPE, T2=TYPE, out_type=TYPE,
)  # fmt: skip
def quantized_bias_add(x, bias, x_low, x_high, b_low, b_high, *, T1, T2, out_type):
    """Numbers plus a vector along the last axis."""
    return _sum(x, bias, _ends(x_low, x_high), _ends(b_low, b_high), T1, T2, out_type, BIAS_ROOM)


def _bias_shape(x, bias, *_):
    shape = x.shape.with_rank_at_least(2)
    last = TensorShape([None if shape.rank is None else shape.as_list()[-1]])
    last.assert_is_compatible_with(bias.shape)
    return [shape, (), ()]


_finished(quantized_bias_add, _bias_shape)
POOLED = "min_input: float32, max_input: float32 -> output: T, min_output: float32, max_output: float32"  # fmt: skip
WINDOWS: dict[str, Any] = {
    "T": TYPE, "ksize": Attr("list(int)"), "strides": Attr("list(int)"), "padding": PADDING,
}  # fmt: skip


@op("QuantizedMaxPool", f"input: T, {POOLED}", **WINDOWS)
def quantized_max_pool(x, low, high, *, T, ksize, strides, padding):
    """The largest of each window [batch, rows, columns, channels]."""
    found = pooling.max_pool_op.kernel(
        whole(x).astype(np.float64), ksize=ksize, strides=strides, padding=padding, explicit_paddings=[],
        data_format="NHWC",
    )  # fmt: skip
    return quantized(found, T), *_ends(low, high)


@op("QuantizedAvgPool", f"input: T, {POOLED}", **WINDOWS)
def quantized_avg_pool(x, low, high, *, T, ksize, strides, padding):
    """The mean of each window [batch, rows, columns, channels], without what is behind the point."""
    found = pooling.avg_pool_op.kernel(
        whole(x).astype(np.float64), ksize=ksize, strides=strides, padding=padding, data_format="NHWC"
    )  # fmt: skip
    return quantized(np.trunc(found), T), *_ends(low, high)


def _pool_shape(x, low, high, *, ksize, strides, padding):
    found = pooling.avg_pool_op.shape_rule(
        x, ksize=ksize, strides=strides, padding=padding, data_format="NHWC"
    )
    return [*found, (), ()]


_finished(quantized_max_pool, _pool_shape)
_finished(quantized_avg_pool, _pool_shape)
RECTIFIED = (
    "min_features: float32, max_features: float32 "
    "-> activations: out_type, min_activations: float32, max_activations: float32"
)


def _rectified(x, low, high, T, out, most=None):
    """No less than zero, and no more than `most`."""
    low, high = _ends(low, high)
    info = limits(T)
    zero = min(max(_place(0.0, low, high, T), info.min), info.max)
    top = info.max if most is None else min(max(_place(most, low, high, T), info.min), info.max)
    return quantized(np.clip(whole(x), zero, max(zero, top)), out), low, high


@op("QuantizedRelu", f"features: Tinput, {RECTIFIED}", Tinput=TYPE, out_type=BYTES)
def quantized_relu(x, low, high, *, Tinput, out_type):
    """max(x, 0)."""
    return _rectified(x, low, high, Tinput, out_type)


@op("QuantizedRelu6", f"features: Tinput, {RECTIFIED}", Tinput=TYPE, out_type=BYTES)
def quantized_relu6(x, low, high, *, Tinput, out_type):
    """min(max(x, 0), 6)."""
    return _rectified(x, low, high, Tinput, out_type, 6.0)


@op(
    "QuantizedReluX", f"features: Tinput, max_value: float32, {RECTIFIED}", Tinput=TYPE, out_type=BYTES
)  # fmt: skip
def quantized_relu_x(x, most, low, high, *, Tinput, out_type):
    """min(max(x, 0), max_value)."""
    return _rectified(x, low, high, Tinput, out_type, float(np.reshape(most, ())))


for _opdef in (quantized_relu, quantized_relu6, quantized_relu_x):
    _finished(_opdef, lambda x, *_: [x.shape, (), ()])


@op(
    "QuantizedConcat",
    "concat_dim: int32, values: N * T, input_mins: N * float32, input_maxes: N * float32 "
    "-> output: T, output_min: float32, output_max: float32",
    T=Attr("type"),
    N=Attr("int", minimum=2),
)
def quantized_concat(axis, *parts, T, N):
    """Tensors one after the other along an axis, as whole numbers of a range that holds all of theirs."""
    values, lows, highs = parts[:N], parts[N : 2 * N], parts[2 * N :]
    ranges = [_ends(low, high) for low, high in zip(lows, highs, strict=True)]
    low = np.float32(min(0.0, *(float(low) for low, _ in ranges)))
    high = np.float32(max(float(high) for _, high in ranges))
    moved = [
        whole(v) if ends == (low, high) else _moved(whole(v), ends, T, low, high, T)
        for v, ends in zip(values, ranges, strict=True)
    ]
    return quantized(np.concatenate(moved, axis=int(axis)), T), low, high


@quantized_concat.shape
def quantized_concat_shape(axis, *parts, N):
    found = joining.concat_v2.shape_rule(*parts[:N], axis)
    return [*found, (), ()]


quantized_concat.no_gradient(NO_GRADIENT)


@op(
    "QuantizedReshape",
    "tensor: T, shape: Tshape, input_min: float32, input_max: float32 "
    "-> output: T, output_min: float32, output_max: float32",
    T=Attr("type"),
    Tshape=Attr("type", dtypes.int32, frozenset({dtypes.int32, dtypes.int64})),
)
def quantized_reshape(x, shape, low, high):
    """The same whole numbers in another shape."""
    return shaping.reshape_op.kernel(x, shape), *_ends(low, high)


@quantized_reshape.shape
def quantized_reshape_shape(x, shape, *_):
    return [*shaping.reshape_op.shape_rule(x, shape), (), ()]


quantized_reshape.no_gradient(NO_GRADIENT)


def _used_range(values: Any, ends: tuple[Any, Any], T: Any) -> tuple[Any, Any]:
    """The range that the whole numbers really take, zero included."""
    lowest, highest = (values.min(), values.max()) if values.size else (0, 0)
    low, high = as_floats([lowest, highest], *ends, T)
    return np.minimum(np.float32(0), low), np.maximum(np.float32(0), high)


@op(
    "RequantizationRange",
    "input: Tinput, input_min: float32, input_max: float32 -> output_min: float32, output_max: float32",
    Tinput=TYPE,
)
def requantization_range(x, low, high, *, Tinput):
    """The range that the whole numbers really take, zero included."""
    return _used_range(whole(x), _ends(low, high), Tinput)


_finished(requantization_range, lambda *_: _scalars(2))


@op(
    "Requantize",
    "input: Tinput, input_min: float32, input_max: float32, requested_output_min: float32, "
    "requested_output_max: float32 -> output: out_type, output_min: float32, output_max: float32",
    Tinput=TYPE,
    out_type=TYPE,
)
def requantize(x, low, high, wanted_low, wanted_high, *, Tinput, out_type):
    """The same numbers as whole numbers of a range that is given."""
    ends = _ends(wanted_low, wanted_high)
    found = _moved(whole(x), _ends(low, high), Tinput, *ends, out_type)
    return quantized(found, out_type), *ends


@op(
    "QuantizeDownAndShrinkRange",
    "input: Tinput, input_min: float32, input_max: float32 "
    "-> output: out_type, output_min: float32, output_max: float32",
    Tinput=TYPE,
    out_type=TYPE,
)
def quantize_down_and_shrink_range(x, low, high, *, Tinput, out_type):
    """The same numbers as whole numbers of the range that they really take."""
    values, ends = whole(x), _ends(low, high)
    used = _used_range(values, ends, Tinput)
    return quantized(_moved(values, ends, Tinput, *used, out_type), out_type), *used


_finished(requantize, lambda x, *_: [x.shape, (), ()])
_finished(quantize_down_and_shrink_range, lambda x, *_: [x.shape, (), ()])
