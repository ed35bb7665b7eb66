"""Signals cut into frames that overlap, and put together again; spectra with their zero in the middle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.model.signal.sizes import at_least, plain, size, static
from ckpt.ops import (
    casting,
    constants,
    elementwise,
    indexing,
    joining,
    reduction,
    reversing,
    shaping,
)


def frame(
    signal: Any, frame_length: Any, frame_step: Any, pad_end: bool = False, pad_value: Any = 0,
    axis: Any = -1, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The frames of `frame_length` samples, one each `frame_step` samples: [..., frames, frame_length, ...].

    Frames lie inside the signal; with `pad_end` the last ones reach past its end, into samples of `pad_value`.
    Raises ValueError for a signal of rank 0, and for lengths, steps and pad values that are not scalars; TypeError for
    those that are no integers; IndexError for an axis that the signal lacks.
    """
    with name_scope(name, "frame", [signal, frame_length, frame_step, pad_value]):
        x = convert.convert_to_tensor(signal, name="signal")
        length, step = plain(frame_length, "frame_length"), plain(frame_step, "frame_step")
        at = plain(axis, "axis")
        x.shape.with_rank_at_least(1)
        rank = x.shape.rank
        if isinstance(at, int) and rank is not None and not -rank <= at < rank:
            raise IndexError(f"axis must be in [-{rank}, {rank}), got {at}")
        if isinstance(at, Tensor) or rank is None:
            at = (at + shaping.rank(x)) % shaping.rank(x)
            samples = shaping.shape(x)[at]
        else:
            at %= rank
            samples = size(x, at)
        if step == 0:  # divided by when the graph runs, where TensorFlow fails too
            step = constants.constant(0)
        if pad_end:
            count = at_least(-(-samples // step), 0)
            missing = at_least((count - 1) * step + length - samples, 0)
            x = _padded(x, at, missing, pad_value)
        else:
            count = at_least((samples - length) // step + 1, 0)
        starts = indexing.range_(count) * step
        places = shaping.expand_dims(starts, 1) + indexing.range_(length)
        found = indexing.gather(x, places, axis=at)
        sizes = x.shape.sizes
        if sizes is not None and isinstance(at, int):
            found.set_shape([*sizes[:at], static(count), static(length), *sizes[at + 1 :]])
        elif sizes is not None:
            found.set_shape([None] * (len(sizes) + 1))
        return found


def _padded(x: Tensor, axis: Any, missing: Any, value: Any) -> Tensor:
    """`x` with `missing` more elements of `value` at the end of `axis`."""
    value = convert.convert_to_tensor(value, x.dtype, name="pad_value")
    value.shape.assert_has_rank(0)
    rank = shaping.rank(x) if x.shape.rank is None else x.shape.rank
    ends = indexing.one_hot(axis, rank, dtype=dtypes.int32) * missing
    paddings = joining.stack([constants.zeros_like(ends), ends], axis=1)
    found = reversing.pad(x, paddings, constant_values=value)
    if x.shape.sizes is not None:
        padded: list[Any] = [None] * len(x.shape.sizes)
        if isinstance(axis, int):
            padded = list(x.shape.sizes)
            whole = padded[axis]
            padded[axis] = None if whole is None or static(missing) is None else whole + missing
        found.set_shape(padded)
    return found


def overlap_and_add(signal: Any, frame_step: Any, name: str | None = None) -> Tensor:
    """The signals [..., samples] that frames [..., frames, frame_length], `frame_step` samples apart, add up to.

    Raises ValueError for a rank below 2, and a step that is not an integer scalar.
    """
    with name_scope(name, "overlap_and_add", [signal, frame_step]):
        x = convert.convert_to_tensor(signal, name="signal")
        x.shape.with_rank_at_least(2)
        step = convert.convert_to_tensor(frame_step, name="frame_step")
        if not step.dtype.is_integer:
            raise ValueError(f"frame_step must be an integer. Got {step.dtype!r}")
        step = plain(step, "frame_step")
        if isinstance(step, int) and step < 1:
            raise ValueError(f"frame_step must be positive, got {step}")
        count, length = size(x, -2), size(x, -1)
        outer = shaping.shape(x)[:-2]
        parts = at_least(-(-length // step), 1)  # frames that meet at one sample
        blocks = count + parts - 1
        # Each frame is cut into its parts, and part p of all frames moved p steps to the right: with `parts` empty
        # frames behind them and one block less in a row, each row begins one block later than the row before.
        signals = reduction.reduce_prod(outer)
        flat = shaping.reshape(x, [signals, count, length])
        flat = reversing.pad(flat, [[0, 0], [0, parts], [0, parts * step - length]])
        cut = shaping.reshape(flat, [signals, count + parts, parts, step])
        rows = shaping.transpose(cut, [0, 2, 1, 3])
        rows = shaping.reshape(rows, [signals, parts * (count + parts) * step])
        rows = rows[:, : parts * blocks * step]
        rows = shaping.reshape(rows, [signals, parts, blocks * step])
        samples = at_least((count - 1) * step + length, 0)
        summed = reduction.reduce_sum(rows, 1)[:, :samples]
        found = shaping.reshape(summed, joining.concat([outer, [samples]], 0))
        if x.shape.sizes is not None:
            found.set_shape([*x.shape.sizes[:-2], static(samples)])
        return found


def fftshift(x: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """The spectrum `x` with frequency 0 in the middle of `axes` (an axis, several, or all where None)."""
    return _shifted(x, axes, "fftshift", name, lambda length: length // 2)


def ifftshift(x: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """What `fftshift` undoes: frequency 0 from the middle of `axes` to their beginning."""
    return _shifted(x, axes, "ifftshift", name, lambda length: -(length // 2))


def _shifted(x: Any, axes: Any, default: str, name: str | None, shift: Any) -> Tensor:
    with name_scope(name, default, [x]) as scope:
        x = convert.convert_to_tensor(x)
        if axes is None:
            axes = indexing.range_(shaping.rank(x))
        axes = convert.convert_to_tensor(axes, dtypes.int32, name="axes")
        known, rank = constant_value(axes), x.shape.rank
        if known is not None and rank is not None and not np.all((-rank <= known) & (known < rank)):
            raise ValueError(f"axes must be in [-{rank}, {rank}), got {known.tolist()}")
        sizes = shaping.shape(x)
        places = (axes + shaping.rank(x)) % shaping.rank(x)
        return reversing.roll(x, shift(indexing.gather(sizes, places)), axes, name=scope)


def enclosing_power_of_two(value: Any) -> Any:
    """The smallest power of two from `value` on; an integer where that is one."""
    if not isinstance(value, Tensor):
        return 1 << max(value - 1, 0).bit_length()
    logarithm = elementwise.log(casting.cast(value, dtypes.float64)) / math.log(2)
    power = elementwise.ceil(elementwise.round_(logarithm * 2**20) / 2**20)
    return casting.cast(2.0**power, value.dtype)
