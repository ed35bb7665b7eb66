"""The mel scale of pitch, and cepstra on it.

Source: S. Young et al., The HTK Book, section 5.4: mel = 1127 ln(1 + hertz / 700).
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.model.signal.sizes import size
from ckpt.ops import casting, elementwise, fourier, reversing, spacing

BREAK_HERTZ, Q = 700.0, 1127.0


def _mel(hertz: Tensor) -> Tensor:
    return Q * elementwise.log(1 + hertz / BREAK_HERTZ)


def _check_mel(bins: Any, rate: Any, lower: float, upper: float, dtype: dtypes.DType) -> None:
    if bins <= 0:
        raise ValueError(f"num_mel_bins must be positive. Got: {bins}")
    if lower < 0:
        raise ValueError(f"lower_edge_hertz must be non-negative. Got: {lower}")
    if lower >= upper:
        raise ValueError(f"lower_edge_hertz {lower:.1f} >= upper_edge_hertz {upper:.1f}")
    if rate is not None and rate <= 0:
        raise ValueError(f"sample_rate must be positive. Got: {rate}")
    if rate is not None and upper > rate / 2:
        raise ValueError(
            "upper_edge_hertz must not be larger than the Nyquist frequency (sample_rate / 2). "
            f"Got {upper} for sample_rate: {rate}"
        )
    if not dtype.is_floating:
        raise ValueError(f"dtype must be a floating point type. Got: {dtype!r}")


def linear_to_mel_weight_matrix(
    num_mel_bins: int = 20, num_spectrogram_bins: Any = 129, sample_rate: Any = 8000,
    lower_edge_hertz: float = 125.0, upper_edge_hertz: float = 3800.0, dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The matrix [num_spectrogram_bins, num_mel_bins] that turns magnitudes of frequencies into those of mel bands.

    The bands are triangles, equally wide in mel between the edges (hertz), each reaching to the middle of its neighbours;
    frequency 0 is in none. Raises ValueError for edges that do not lie in order between 0 and half the `sample_rate`
    (samples a second), for no bands, and for a `dtype` that is not floating.
    """
    with name_scope(name, "linear_to_mel_weight_matrix") as scope:
        rate = sample_rate
        if isinstance(rate, Tensor):
            known = constant_value(rate)
            rate = None if known is None else known.item()
        kind = dtypes.as_dtype(dtype)
        _check_mel(num_mel_bins, rate, lower_edge_hertz, upper_edge_hertz, kind)
        nyquist = casting.cast(convert.convert_to_tensor(sample_rate), kind) / 2
        zero = convert.convert_to_tensor(0.0, kind)
        pitches = _mel(_spaced(zero, nyquist, num_spectrogram_bins)[1:])[:, None]
        low, high = (
            _mel(convert.convert_to_tensor(edge, kind))
            for edge in (lower_edge_hertz, upper_edge_hertz)
        )
        edges = _spaced(low, high, num_mel_bins + 2)
        left, middle, right = edges[:-2], edges[1:-1], edges[2:]
        rising, falling = (pitches - left) / (middle - left), (right - pitches) / (right - middle)
        weights = elementwise.maximum(zero, elementwise.minimum(rising, falling))
        return reversing.pad(weights, [[1, 0], [0, 0]], name=scope)


def _spaced(start: Tensor, stop: Tensor, count: Any) -> Tensor:
    """`count` numbers from `start` to `stop`; LinSpace knows no half precision."""
    wide = start.dtype if start.dtype == dtypes.float64 else dtypes.float32
    spaced = spacing.lin_space(casting.cast(start, wide), casting.cast(stop, wide), count)
    return casting.cast(spaced, start.dtype)


def mfccs_from_log_mel_spectrograms(log_mel_spectrograms: Any, name: str | None = None) -> Tensor:
    """The cepstral coefficients [..., num_mel_bins] of logarithmic mel spectrograms [..., num_mel_bins].

    They are cosine transforms of type II, scaled as HTK does. Raises ValueError where there are no mel bands.
    """
    with name_scope(name, "mfccs_from_log_mel_spectrograms", [log_mel_spectrograms]):
        x = convert.convert_to_tensor(log_mel_spectrograms)
        x.shape.with_rank_at_least(1)
        bins = size(x, -1)
        if isinstance(bins, int) and bins <= 0:
            raise ValueError(f"num_mel_bins must be positive. Got: {x}")
        count = casting.cast(convert.convert_to_tensor(bins), x.dtype)
        return fourier.dct(x, type=2) * elementwise.rsqrt(2 * count)
