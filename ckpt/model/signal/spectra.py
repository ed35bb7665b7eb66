"""Short-time Fourier transforms and lapped cosine transforms of signals."""

from __future__ import annotations

import math
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.signal.frames import enclosing_power_of_two, frame, overlap_and_add
from ckpt.model.signal.sizes import at_least, plain, size
from ckpt.model.signal.windows import hann_window, vorbis_window
from ckpt.ops import casting, constants, fourier, joining, reversing, shaping


def stft(
    signals: Any, frame_length: Any, frame_step: Any, fft_length: Any = None,
    window_fn: Any = hann_window, pad_end: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The spectra [..., frames, fft_length / 2 + 1] of the frames of signals [..., samples], each times the window.

    `fft_length` is the smallest power of two that holds a frame where None; `window_fn(frame_length, dtype)` may be
    None. float32 gives complex64, float64 complex128. Raises ValueError for lengths that are not scalars.
    """
    with name_scope(name, "stft", [signals, frame_length, frame_step]):
        x = convert.convert_to_tensor(signals, name="signals")
        x.shape.with_rank_at_least(1)
        length, step = plain(frame_length, "frame_length"), plain(frame_step, "frame_step")
        width = enclosing_power_of_two(length) if fft_length is None else plain(fft_length, "fft_length")  # fmt: skip
        framed = frame(x, length, step, pad_end=pad_end)
        if window_fn is not None:
            framed = framed * window_fn(length, dtype=framed.dtype)
        return fourier.rfft(framed, joining.stack([width]))


def inverse_stft(
    stfts: Any, frame_length: Any, frame_step: Any, fft_length: Any = None,
    window_fn: Any = hann_window, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The signals [..., samples] whose frames have the spectra `stfts`, each times the window, added where they overlap.

    `inverse_stft_window_fn` makes the window that undoes that of `stft`. Raises ValueError for lengths that are not
    scalars.
    """
    with name_scope(name, "inverse_stft", [stfts]):
        x = convert.convert_to_tensor(stfts, name="stfts")
        x.shape.with_rank_at_least(2)
        length, step = plain(frame_length, "frame_length"), plain(frame_step, "frame_step")
        width = enclosing_power_of_two(length) if fft_length is None else plain(fft_length, "fft_length")  # fmt: skip
        framed = fourier.irfft(x, joining.stack([width]))[..., :length]
        missing = at_least(length - width, 0)
        if isinstance(missing, Tensor) or missing:
            axes = joining.stack([shaping.rank(framed) - 1, 2])
            last = joining.stack([[0, missing]])
            framed = reversing.pad(
                framed, joining.concat([constants.zeros(axes, dtypes.int32), last], 0)
            )
        if x.shape.sizes is not None:
            tail = None if isinstance(length, Tensor) else length
            framed.set_shape([*x.shape.sizes[:-1], tail])
        if window_fn is not None:
            framed = framed * window_fn(length, dtype=framed.dtype)
        return overlap_and_add(framed, step)


def _check_norm(norm: Any) -> None:
    if norm not in (None, "ortho"):
        raise ValueError(f"Unknown normalization. Expected None or 'ortho', got: {norm}")


def _lapped_window(window_fn: Any, length: Any, framed: Tensor) -> Any:
    """The window of `length` samples; without a function the one whose squares, half a length apart, add up to 1."""
    return math.sqrt(0.5) if window_fn is None else window_fn(length, dtype=framed.dtype)


def mdct(
    signals: Any, frame_length: Any, window_fn: Any = vorbis_window, pad_end: bool = False,
    norm: str | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The modified cosine transforms [..., frames, frame_length / 2] of frames that overlap by half.

    Raises ValueError for a frame length that is not a multiple of 4, and for another norm than None and "ortho".
    Source: J. P. Princen, A. W. Johnson and A. B. Bradley, "Subband/transform coding using filter bank designs based on
    time domain aliasing cancellation" (1987).
    """
    with name_scope(name, "mdct", [signals, frame_length]):
        x = convert.convert_to_tensor(signals, name="signals")
        x.shape.with_rank_at_least(1)
        length = plain(frame_length, "frame_length")
        _check_norm(norm)
        if isinstance(length, int) and length % 4:
            raise ValueError("The frame length must be a multiple of 4.")
        framed = frame(x, length, length // 2, pad_end=pad_end)
        framed = framed * _lapped_window(window_fn, length, framed)
        quarter = length // 4
        a, b = framed[..., :quarter], framed[..., quarter : 2 * quarter]
        c, d = framed[..., 2 * quarter : 3 * quarter], framed[..., 3 * quarter :]
        folded = joining.concat(
            [-reversing.reverse(c, [-1]) - d, a - reversing.reverse(b, [-1])], -1
        )
        return fourier.dct(folded, type=4, norm=norm)


def inverse_mdct(
    mdcts: Any, window_fn: Any = vorbis_window, norm: str | None = None, name: str | None = None
) -> Tensor:
    """The signals [..., samples] whose frames have the transforms `mdcts` [..., frames, frame_length / 2].

    The first and the last half frame lack what they overlap with. Raises ValueError for a rank below 2, an odd last
    axis, and another norm than None and "ortho".
    """
    with name_scope(name, "inverse_mdct", [mdcts]):
        x = convert.convert_to_tensor(mdcts, name="mdcts")
        x.shape.with_rank_at_least(2)
        _check_norm(norm)
        half = size(x, -1)
        if isinstance(half, int) and half % 2:
            raise ValueError(f"the last axis of mdcts must be even, got {half}")
        folded = fourier.idct(x, type=4, norm=norm)
        if norm is None:
            folded = folded * (0.5 / _as(half, folded))
        first, second = folded[..., : half // 2], folded[..., half // 2 :]
        turned = [reversing.reverse(part, [-1]) for part in (second, first)]
        framed = joining.concat([second, -turned[0], -turned[1], -first], -1)
        framed = framed * _lapped_window(window_fn, 2 * half, framed)
        return overlap_and_add(framed, half)


def _as(value: Any, like: Tensor) -> Any:
    return casting.cast(value, like.dtype) if isinstance(value, Tensor) else value
