"""Windows: the weights of the samples of one frame.

Sources: F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform" (1978), for Hann,
Hamming and Kaiser; the Vorbis I specification, section 4.3.1.
"""

from __future__ import annotations

import math
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    compare,
    constants,
    cumulative,
    division,
    elementwise,
    indexing,
    joining,
    reduction,
    reversing,
    shaping,
    special,
)


def _length(window_length: Any, dtype: Any) -> tuple[Tensor, dtypes.DType]:
    """The length as an int32 scalar, and the dtype of the window. Raises ValueError for a dtype without fractions."""
    kind = dtypes.as_dtype(dtype)
    if not kind.is_floating:
        raise ValueError(f"dtype must be a floating point type. Found {kind!r}")
    length = convert.convert_to_tensor(window_length, dtypes.int32, name="window_length")
    length.shape.assert_has_rank(0)
    return length, kind


def _alone(length: Tensor, window: Tensor) -> Tensor:
    """`window`, but 1 where it has a single sample, which is its middle."""
    known = constant_value(length)
    if known is not None and int(known) != 1:
        return window
    ones = constants.ones_like(window)
    return ones if known is not None else compare.where(compare.equal(length, 1), ones, window)


def _raised_cosine(
    default: str, middle: float, window_length: Any, periodic: Any, dtype: Any, name: str | None
) -> Tensor:
    """middle - (1 - middle) · cos(2πn / N), N the length, one less where the window is symmetric or of odd length."""
    with name_scope(name, default, [window_length, periodic]):
        length, kind = _length(window_length, dtype)
        periodic = convert.convert_to_tensor(periodic, dtypes.bool_, name="periodic")
        is_even = 1 - length % 2
        period = length + casting.cast(periodic, dtypes.int32) * is_even - 1
        places = casting.cast(indexing.range_(length), kind)
        period = casting.cast(elementwise.maximum(period, 1), kind)
        turns = 2 * math.pi * places / period
        return _alone(length, middle - (1 - middle) * elementwise.cos(turns))


def hann_window(
    window_length: Any, periodic: Any = True, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """The Hann window [window_length]; `periodic` for transforms, symmetric for filters (odd lengths always are).

    Raises ValueError for a `dtype` that is not floating and a length that is not a scalar.
    """
    return _raised_cosine("hann_window", 0.5, window_length, periodic, dtype, name)


def hamming_window(
    window_length: Any, periodic: Any = True, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """The Hamming window [window_length]; `periodic` for transforms, symmetric for filters (odd lengths always are).

    Raises ValueError for a `dtype` that is not floating and a length that is not a scalar.
    """
    return _raised_cosine("hamming_window", 0.54, window_length, periodic, dtype, name)


def kaiser_window(
    window_length: Any, beta: Any = 12.0, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """The Kaiser window [window_length] of shape `beta`: the larger, the narrower and the lower its side lobes.

    Raises ValueError for a `dtype` that is not floating, a length that is not a scalar, and a length below 1.
    """
    with name_scope(name, "kaiser_window", [window_length, beta]):
        length, kind = _length(window_length, dtype)
        half = (casting.cast(length, dtypes.float32) - 1) / 2
        # up to the half itself, with room for what rounding takes; below one sample this range runs backwards
        places = casting.cast(indexing.range_(-half, half + 0.1), kind)
        beta = casting.cast(beta, kind)
        half = elementwise.maximum(casting.cast(half, kind), 0.5)
        inside = elementwise.maximum(1 - (places / half) ** 2, 0)
        bent = beta * elementwise.sqrt(inside)
        window = elementwise.exp(bent - beta) * (special.bessel_i0e(bent) / special.bessel_i0e(beta))  # fmt: skip
        return _alone(length, window)


def kaiser_bessel_derived_window(
    window_length: Any, beta: Any = 12.0, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """The window whose squares, half a length apart, add up to 1, from the sums of a Kaiser window.

    It has window_length samples, one less where that is odd. Raises ValueError as `kaiser_window` does.
    """
    with name_scope(name, "kaiser_bessel_derived_window", [window_length, beta]):
        length, kind = _length(window_length, dtype)
        sums = cumulative.cumsum(kaiser_window(length // 2 + 1, beta, kind))
        half = elementwise.sqrt(sums[:-1] / sums[-1])
        return joining.concat([half, reversing.reverse(half, [0])], 0)


def vorbis_window(
    window_length: Any, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """The window [window_length] of Vorbis, sin(π/2 · sin²(π(n + ½)/N)): its squares, half a length apart, add up to 1.

    Raises ValueError for a `dtype` that is not floating and a length that is not a scalar.
    """
    with name_scope(name, "vorbis_window", [window_length]):
        length, kind = _length(window_length, dtype)
        places = casting.cast(indexing.range_(length), kind)
        sines = elementwise.sin(math.pi / casting.cast(length, kind) * (places + 0.5))
        return elementwise.sin(math.pi / 2 * elementwise.square(sines))


def inverse_stft_window_fn(
    frame_step: Any, forward_window_fn: Any = hann_window, name: str | None = None
) -> Any:
    """A function of (frame_length, dtype): the window for `inverse_stft` that undoes `forward_window_fn`.

    Each weight is divided by the sum of the squares of all weights that meet at its sample; 0 where that sum is 0.
    Source: D. W. Griffin and J. S. Lim, "Signal estimation from modified short-time Fourier transform" (1984).
    """

    def inverse_stft_window_fn_inner(frame_length: Any, dtype: Any) -> Tensor:
        with name_scope(name, "inverse_stft_window_fn", [forward_window_fn]):
            step = convert.convert_to_tensor(frame_step, dtypes.int32, name="frame_step")
            step.shape.assert_has_rank(0)
            length, kind = _length(frame_length, dtype)
            window = forward_window_fn(length, dtype=kind)
            meeting = -(-length // step)
            squares = reversing.pad(elementwise.square(window), [[0, meeting * step - length]])
            sums = reduction.reduce_sum(shaping.reshape(squares, joining.stack([meeting, step])), 0)
            around = shaping.tile(sums, joining.stack([meeting]))[:length]
            found = division.div_no_nan(window, around)
            found.set_shape(window.shape)
            return found

    return inverse_stft_window_fn_inner
