"""Floats as the whole numbers of quantized models, and back: QuantizeV2, Dequantize, QuantizeAndDequantize.

A quantized array has a dtype of its own (`dtypes.qint8` …), a structured one of one field; `whole` and `quantized` go
between it and plain integers. Source of the formulas: TensorFlow's documentation of `tf.quantization.quantize`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.signature import Attr

QUANTIZED = dtypes.QUANTIZED
FLOATS = frozenset({dtypes.bfloat16, dtypes.float16, dtypes.float32, dtypes.float64})
MODE = Attr("string", "MIN_COMBINED", frozenset({"MIN_COMBINED", "MIN_FIRST", "SCALED"}))
ROUNDING = Attr("string", "HALF_AWAY_FROM_ZERO", frozenset({"HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN"}))
NO_GRADIENT = "whole numbers have no derivative"
ONE, HALF = np.float32(1), np.float32(0.5)
MOST, LEAST = np.finfo(np.float32).max, np.finfo(np.float32).tiny


def whole(values: Any) -> Any:
    """A quantized array as plain integers."""
    values = np.asarray(values)
    return values.view(values.dtype[0]) if values.dtype.names else values


def quantized(values: Any, dtype: Any) -> Any:
    """Plain integers as a quantized array."""
    kind = dtype.as_numpy_dtype
    return np.ascontiguousarray(values, kind[0]).view(kind)


def limits(dtype: Any) -> Any:
    """The integers that a quantized dtype holds, as `np.iinfo`."""
    return np.iinfo(dtype.as_numpy_dtype[0])


def rounded(values: Any) -> Any:
    """The nearest whole numbers, halves away from zero."""
    return np.trunc(values + np.copysign(np.asarray(0.5, np.asarray(values).dtype), values))


def text(attr: Any) -> str:
    """An attribute that is a word."""
    return attr.decode() if isinstance(attr, bytes) else attr


def _range_of(low: Any, high: Any, axis: int, rank: int, size: Any) -> tuple[Any, Any]:
    """The two ends, as scalars or along `axis`."""
    wanted = () if axis == -1 else (size,)
    for name, end in (("min_range", low), ("max_range", high)):
        if np.size(end) != 1 if not wanted else np.shape(end) != wanted:
            raise InvalidArgumentError(
                None, None, f"{name} must be {'a scalar' if not wanted else list(wanted)}, got {list(np.shape(end))}"
            )  # fmt: skip
    if axis == -1:
        return np.float32(np.reshape(low, ())), np.float32(np.reshape(high, ()))
    along = [1] * rank
    along[axis] = -1
    return np.reshape(low, along).astype(np.float32), np.reshape(high, along).astype(np.float32)


def _widened(low: Any, high: Any, least: float) -> tuple[Any, Any]:
    """A range that holds zero and is no narrower than `least` of its size."""
    if (low > high).any():
        raise InvalidArgumentError(
            None, None, f"max_range {np.max(high)} must be >= min_range {np.max(low)}"
        )
    low = np.minimum(np.float32(0), low)
    size = np.maximum(ONE, np.maximum(np.abs(low), np.abs(high)))
    return low, np.maximum(np.float32(0), np.maximum(high, low + size * np.float32(least)))


def _scaled(low: Any, high: Any, least: Any, most: Any) -> Any:
    """The largest factor by which the range fits between two whole numbers."""
    with np.errstate(all="ignore"):
        by_low = np.where(least * low > 0, least / low, MOST)
        by_high = np.where(most * high > 0, most / high, MOST)
    return np.minimum(by_low, by_high).astype(np.float32)


def steps_of(low: Any, high: Any, dtype: Any) -> Any:
    """How many whole numbers a unit has in a range that `dtype` divides into equal parts (mode MIN_FIRST)."""
    count = float(2 ** (8 * dtype.as_numpy_dtype.itemsize))
    width = (np.float64(high) - np.float64(low)) * (count / (count - 1))
    with np.errstate(all="ignore"):
        return count / width


def first_quantized(values: Any, low: Any, high: Any, dtype: Any) -> Any:
    """Plain integers in mode MIN_FIRST: `low` is the least of them."""
    least, most = limits(dtype).min, limits(dtype).max
    steps = np.float32(steps_of(low, high, dtype))
    with np.errstate(all="ignore"):
        places = rounded(values * steps) - rounded(low * steps) + np.float32(least)
    found = np.clip(places.astype(np.float64), least, most)
    return np.where(low == high, least, found).astype(limits(dtype).dtype)


def _ends_shape(x, low, high, axis):
    """The shape that both ends of the range must have: a scalar, or one for each place along `axis`."""
    if axis < -1:
        raise ValueError(f"axis should be at least -1, got {axis}")
    sizes = x.shape.with_rank_at_least(axis + 1)
    size = () if axis == -1 else [None if sizes.rank is None else sizes.as_list()[axis]]
    return low.shape.merge_with(size).merge_with(high.shape)


@op(
    "QuantizeV2",
    "input: float32, min_range: float32, max_range: float32 -> output: T, output_min: float32, output_max: float32",
    T=QUANTIZED, mode=MODE, round_mode=ROUNDING, narrow_range=False, axis=-1, ensure_minimum_range=0.01,
)  # fmt: skip
def quantize_op(
    x, low, high, *, T, mode, round_mode, narrow_range, axis, ensure_minimum_range
):  # fmt: skip
    """(whole numbers, the range they stand for): `low` to `high`, widened so that it holds zero and is no point.

    With an axis there is a range for each place along it.
    """
    mode, round_mode = text(mode), text(round_mode)
    if round_mode == "HALF_TO_EVEN" and mode != "SCALED":
        raise InvalidArgumentError(
            None, None, f"Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED', but mode is '{mode}'."
        )  # fmt: skip
    if mode == "MIN_FIRST" and axis != -1:
        raise UnimplementedError(
            None, None, "MIN_FIRST mode is not implemented for Quantize with axis != -1."
        )
    if axis < -1 or axis >= np.ndim(x):
        raise InvalidArgumentError(None, None, f"Axis {axis} is not in a tensor of rank {np.ndim(x)}")  # fmt: skip
    shape = np.shape(low) if axis != -1 else ()
    ends = _range_of(low, high, axis, np.ndim(x), None if axis == -1 else x.shape[axis])
    low, high = _widened(*ends, ensure_minimum_range)
    info = limits(T)
    least, most = np.float32(info.min + (narrow_range and mode == "SCALED")), np.float32(info.max)
    if mode == "MIN_FIRST":
        found = first_quantized(x, low, high, T)
    elif mode == "MIN_COMBINED":
        half = (most - least + ONE) / 2 if info.min else np.float32(0)
        with np.errstate(all="ignore"):
            places = (np.clip(x, low, high) - low) * ((most - least) / (high - low)) - half
            found = np.where(low == high, info.min, rounded(places)).astype(info.dtype)
    else:
        factor = _scaled(low, high, least, most)
        low, high = (np.where(np.abs(end) < LEAST, ONE * 0, end) for end in (least / factor, most / factor))  # fmt: skip
        with np.errstate(all="ignore"):
            places = np.clip(x, low, high) * factor
            nearest = np.rint(places) if round_mode == "HALF_TO_EVEN" else rounded(places)
            found = nearest.astype(info.dtype)
    ends = (np.asarray(end, np.float32).reshape(shape) for end in (low, high))
    return quantized(found, T), *ends


@quantize_op.shape
def quantize_shape(x, low, high, *, axis):
    along = _ends_shape(x, low, high, axis)
    return [x.shape, along, along]


quantize_op.no_gradient(UNDEFINED)


def as_floats(values: Any, low: Any, high: Any, dtype: Any) -> Any:
    """Plain integers of mode MIN_FIRST as float32; zero is one of the numbers, but for the rounding of float32."""
    step = 1 / steps_of(low, high, dtype)
    with np.errstate(all="ignore"):
        first = rounded(low / np.float32(step)) * np.float32(step)
        found = (
            first.astype(np.float64) + (np.asarray(values, np.float64) - limits(dtype).min) * step
        )
    return np.where(low == high, low, found).astype(np.float32)


@op(
    "Dequantize",
    "input: T, min_range: float32, max_range: float32 -> output: dtype",
    T=QUANTIZED, mode=MODE, narrow_range=False, axis=-1,
    dtype=Attr("type", dtypes.float32, frozenset({dtypes.bfloat16, dtypes.float32})),
)  # fmt: skip
def dequantize_op(x, low, high, *, T, mode, narrow_range, axis, dtype):
    """The numbers that whole numbers of a range stand for."""
    mode, x = text(mode), whole(x)
    if dtype == dtypes.bfloat16 and mode != "MIN_COMBINED":
        raise InvalidArgumentError(
            None, None, f"When output type is bfloat16, Mode string must be 'MIN_COMBINED', is '{mode}'"
        )  # fmt: skip
    if axis < -1 or axis >= np.ndim(x):
        raise InvalidArgumentError(None, None, f"Axis {axis} is not in a tensor of rank {np.ndim(x)}")  # fmt: skip
    low, high = _range_of(low, high, axis, np.ndim(x), None if axis == -1 else x.shape[axis])
    info = limits(T)
    least, most = np.float32(info.min + (narrow_range and mode == "SCALED")), np.float32(info.max)
    if mode == "MIN_FIRST":
        found = as_floats(x, low, high, T)
    elif mode == "MIN_COMBINED":
        half = (most - least + ONE) / 2 if info.min else np.float32(0)
        found = (x.astype(np.float32) + half) * ((high - low) / (most - least)) + low
    else:
        step = high / most if not info.min else np.maximum(low / least, high / most)
        found = x.astype(np.float32) * step
    return found.astype(dtype.as_numpy_dtype)


@dequantize_op.shape
def dequantize_shape(x, low, high, *, axis):
    _ends_shape(x, low, high, axis)
    return [x.shape]


@dequantize_op.grad
def dequantize_grad(node, dy):
    return [None, None, None]


def _through(x, low, high, *, bits, signed, given, half_up, narrow, axis):
    """The nearest of 2**bits values, of which zero is one. Source: TensorFlow's documentation of the operation."""
    if not 1 <= bits <= 62 + signed:
        raise InvalidArgumentError(
            None, None, f"num_bits is out of range: {bits} with signed_input {signed}"
        )
    if axis < -1 or axis >= np.ndim(x):
        raise InvalidArgumentError(None, None, f"Axis {axis} is not in a tensor of rank {np.ndim(x)}")  # fmt: skip
    kind = x.dtype
    least = kind.type(-(2 ** (bits - 1)) + bool(narrow) if signed else 0)
    most = kind.type(2 ** (bits - signed) - 1)
    if not given:
        others = tuple(n for n in range(x.ndim) if n != axis) if axis != -1 else None
        low = np.min(x, axis=others, keepdims=axis != -1) if x.size else kind.type(0)
        high = np.max(x, axis=others, keepdims=axis != -1) if x.size else kind.type(0)
    else:
        along = [1] * x.ndim
        if axis != -1:
            along[axis] = -1
        low, high = (np.reshape(end, along if axis != -1 else ()) for end in (low, high))
        if (low > high).any():
            raise InvalidArgumentError(
                None, None, f"Invalid range: input_min {np.max(low)} > input_max {np.max(high)}"
            )
    with np.errstate(all="ignore"):
        is_low, is_high = least * low > 0, most * high > 0
        by_low = np.where(is_low, least / low, np.inf).astype(kind)
        by_high = np.where(is_high, most / high, np.inf).astype(kind)
        factor = np.minimum(by_low, by_high)
        step = np.where(by_low < by_high, low / least if least else low, high / most).astype(kind)
        inside = np.clip(x, least * step, most * step) if given else x
        places = inside * factor
        nearest = np.floor(places + kind.type(0.5)) if half_up else np.rint(places)
        found = nearest * step
    return np.where(is_low | is_high, found, kind.type(0)).astype(kind)


@op(
    "QuantizeAndDequantize", "input: T -> output: T", T=FLOATS, signed_input=True, num_bits=8, range_given=False,
    input_min=0.0, input_max=0.0,
)  # fmt: skip
def quantize_and_dequantize_v1(x, *, signed_input, num_bits, range_given, input_min, input_max):
    """Each number as the nearest of 2**num_bits values."""
    low, high = (x.dtype.type(end) for end in (input_min, input_max))
    return _through(x, low, high, bits=num_bits, signed=signed_input, given=range_given,
                    half_up=False, narrow=False, axis=-1)  # fmt: skip


BY_RANGE: dict[str, Any] = {"T": FLOATS, "narrow_range": False, "axis": -1}
HALVES = Attr("string", "HALF_TO_EVEN", frozenset({"HALF_TO_EVEN", "HALF_UP"}))


@op(
    "QuantizeAndDequantizeV2", "input: T, input_min: T, input_max: T -> output: T", signed_input=True, num_bits=8,
    range_given=False, round_mode=HALVES, **BY_RANGE,
)  # fmt: skip
def quantize_and_dequantize_op(
    x, low, high, *, signed_input, num_bits, range_given, round_mode, narrow_range, axis
):
    """Each number as the nearest of 2**num_bits values, in a range that is given or is that of the numbers."""
    return _through(x, low, high, bits=num_bits, signed=signed_input, given=range_given,
                    half_up=text(round_mode) == "HALF_UP", narrow=narrow_range, axis=axis)  # fmt: skip


@op(
    "QuantizeAndDequantizeV3", "input: T, input_min: T, input_max: T, num_bits: int32 -> output: T",
    signed_input=True, range_given=True, **BY_RANGE,
)  # fmt: skip
def quantize_and_dequantize_v3(
    x, low, high, num_bits, *, signed_input, range_given, narrow_range, axis
):
    """The same with a number of bits that is computed."""
    return _through(x, low, high, bits=int(num_bits), signed=signed_input, given=range_given,
                    half_up=False, narrow=narrow_range, axis=axis)  # fmt: skip


@op(
    "QuantizeAndDequantizeV4", "input: T, input_min: T, input_max: T -> output: T", signed_input=True, num_bits=8,
    range_given=False, round_mode=HALVES, **BY_RANGE,
)  # fmt: skip
def quantize_and_dequantize_v4(
    x, low, high, *, signed_input, num_bits, range_given, round_mode, narrow_range, axis
):
    """The same, whose gradient is zero for numbers out of the range."""
    return _through(x, low, high, bits=num_bits, signed=signed_input, given=range_given,
                    half_up=text(round_mode) == "HALF_UP", narrow=narrow_range, axis=axis)  # fmt: skip


def _same_shape(x, low, high, *_, axis):
    _ends_shape(x, low, high, axis)
    return [x.shape]


quantize_and_dequantize_v1.shape(lambda x: [x.shape])
for _opdef in (
    quantize_and_dequantize_op,
    quantize_and_dequantize_v3,
    quantize_and_dequantize_v4,
):
    _opdef.shape(_same_shape)


@quantize_and_dequantize_v1.grad
@quantize_and_dequantize_op.grad
@quantize_and_dequantize_v3.grad
def through_grad(node, dy):
    """As if nothing were rounded: the straight-through estimator."""
    return [dy, *[None] * (len(node.inputs) - 1)]


@quantize_and_dequantize_v4.grad
def quantize_and_dequantize_v4_rule(node, dy):
    return list(quantize_and_dequantize_v4_grad(dy, *node.inputs, axis=node.attrs["axis"]))


@op(
    "QuantizeAndDequantizeV4Grad",
    "gradients: T, input: T, input_min: T, input_max: T -> input_backprop: T, input_min_backprop: T, "
    "input_max_backprop: T",
    T=FLOATS,
    axis=-1,
)
def quantize_and_dequantize_v4_grad(dy, x, low, high, *, axis):
    """What goes back: `dy` within the range, nothing out of it, and nothing to its ends."""
    along = [1] * x.ndim
    if axis != -1:
        along[axis] = -1
    ends = (np.reshape(end, along if axis != -1 else ()) for end in (low, high))
    bottom, top = ends
    inside = (x >= bottom) & (x <= top)
    return np.where(inside, dy, dy.dtype.type(0)), np.zeros_like(low), np.zeros_like(high)


@quantize_and_dequantize_v4_grad.shape
def quantize_and_dequantize_v4_grad_shape(dy, x, low, high):
    return [x.shape, low.shape, high.shape]


quantize_and_dequantize_v4_grad.no_gradient("TensorFlow says that there is none")


def quantize_v2(
    input: Any, min_range: Any, max_range: Any, T: Any, mode: str = "MIN_COMBINED", name: str | None = None,
    round_mode: str = "HALF_AWAY_FROM_ZERO", narrow_range: bool = False, axis: int | None = None,
    ensure_minimum_range: float = 0.01,
) -> Any:  # fmt: skip
    """(whole numbers of dtype `T`, the least and the greatest number they stand for) for float32 numbers.

    `min_range` and `max_range` are scalars, or along `axis`; the range is widened to hold zero and to have at least
    `ensure_minimum_range`.
    """
    return quantize_op(
        input, min_range, max_range, T=T, mode=mode, name=name, round_mode=round_mode,
        narrow_range=narrow_range, axis=-1 if axis is None else axis, ensure_minimum_range=ensure_minimum_range,
    )  # fmt: skip


def quantize(
    input: Any, min_range: Any, max_range: Any, T: Any, mode: str = "MIN_COMBINED",
    round_mode: str = "HALF_AWAY_FROM_ZERO", name: str | None = None, narrow_range: bool = False,
    axis: int | None = None, ensure_minimum_range: float = 0.01,
) -> Any:  # fmt: skip
    """As `quantize_v2`, with the arguments in another order."""
    return quantize_v2(
        input, min_range, max_range, T, mode=mode, name=name, round_mode=round_mode, narrow_range=narrow_range,
        axis=axis, ensure_minimum_range=ensure_minimum_range,
    )  # fmt: skip


def dequantize(
    input: Any, min_range: Any, max_range: Any, mode: str = "MIN_COMBINED", name: str | None = None,
    axis: int | None = None, narrow_range: bool = False, dtype: Any = dtypes.float32,
) -> Any:  # fmt: skip
    """The numbers that quantized ones stand for, in float32 or bfloat16."""
    return dequantize_op(
        input, min_range, max_range, mode=mode, name=name, axis=-1 if axis is None else axis,
        narrow_range=narrow_range, dtype=dtype,
    )  # fmt: skip


def quantize_and_dequantize(
    input: Any, input_min: Any, input_max: Any, signed_input: bool = True, num_bits: int = 8,
    range_given: bool = False, round_mode: str = "HALF_TO_EVEN", name: str | None = None,
    narrow_range: bool = False, axis: int | None = None,
) -> Any:  # fmt: skip
    """Each number as the nearest of 2**num_bits values; gradients go through as if nothing were rounded.

    The range is `input_min` to `input_max` where `range_given`, else that of the numbers (for each place along `axis`).
    """
    return quantize_and_dequantize_op(
        input, input_min=input_min, input_max=input_max, signed_input=signed_input, num_bits=num_bits,
        range_given=range_given, round_mode=round_mode, name=name, narrow_range=narrow_range,
        axis=-1 if axis is None else axis,
    )  # fmt: skip


def quantize_and_dequantize_v2(
    input: Any, input_min: Any, input_max: Any, signed_input: bool = True, num_bits: int = 8,
    range_given: bool = False, round_mode: str = "HALF_TO_EVEN", name: str | None = None,
    narrow_range: bool = False, axis: int | None = None,
) -> Any:  # fmt: skip
    """The same, but for numbers out of a range that is given the gradient is zero."""
    return quantize_and_dequantize_v4(
        input, input_min=input_min, input_max=input_max, signed_input=signed_input, num_bits=num_bits,
        range_given=range_given, round_mode=round_mode, name=name, narrow_range=narrow_range,
        axis=-1 if axis is None else axis,
    )  # fmt: skip
