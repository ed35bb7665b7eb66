"""Where the windows of convolution and pooling lie: output sizes, padding and slices. Knows no operation.

Source of the arithmetic: TensorFlow 1, "Notes on padding" of its API guide on neural networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ckpt.core.errors import ShapeError, UnimplementedError

Size = int | None


@dataclass(frozen=True, slots=True)
class Axis:
    """The windows along one spatial axis of known size."""

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    count: int

    @property
    def after(self) -> int:
        """How much padding behind the last element the windows reach into; negative when they stop before it."""
        return (self.count - 1) * self.stride + self.reach - self.before - self.size

    @property
    def reach(self) -> int:
        """How many elements a window spans, the holes of dilation included."""
        return (self.window - 1) * self.dilation + 1

    @property
    def is_whole(self) -> bool:
        """True when each element is in exactly one window, so that a reshape separates the windows."""
        return self.window == self.stride and self.dilation == 1 and self.before == 0 == self.after

    def taps(self) -> Iterator[tuple[int, slice, slice]]:
        """For each offset in the window: the offset, the input elements there and the windows that have them."""
        for offset in range(self.window):
            first = offset * self.dilation - self.before
            low = max(0, -(first // self.stride))
            high = min(self.count, (self.size - 1 - first) // self.stride + 1)
            if high > low:
                start = first + low * self.stride
                stop = first + (high - 1) * self.stride + 1
                yield offset, slice(start, stop, self.stride), slice(low, high)


def axis_of(
    size: int,
    window: int,
    stride: int,
    padding: str,
    explicit: tuple[int, int] = (0, 0),
    dilation: int = 1,
) -> Axis:
    """The windows along an axis. Raises ShapeError when not even one fits."""
    count = _count(size, window, stride, padding, explicit, dilation)
    before = explicit[0] if padding == "EXPLICIT" else 0
    if padding == "SAME":
        reach = (window - 1) * dilation + 1
        before = max((count - 1) * stride + reach - size, 0) // 2
    return Axis(size, window, stride, dilation, before, count)


def window_count(
    size: Size,
    window: Size,
    stride: int,
    padding: str,
    explicit: tuple[int, int] = (0, 0),
    dilation: int = 1,
) -> Size:
    """How many windows lie along an axis; None where the size or the window is unknown."""
    if size is not None and padding == "SAME":
        return -(-size // stride)
    if size is None or window is None:
        return None
    return _count(size, window, stride, padding, explicit, dilation)


def _count(
    size: int, window: int, stride: int, padding: str, explicit: tuple[int, int], dilation: int
) -> int:
    if padding == "SAME":
        return -(-size // stride)
    room = size + (sum(explicit) if padding == "EXPLICIT" else 0)
    reach = (window - 1) * dilation + 1
    if room < reach and (room, reach) != (0, 1):
        raise ShapeError(f"Negative dimension size caused by subtracting {reach} from {room}")
    return (room - reach) // stride + 1


def spatial(values: Sequence[int], data_format: str) -> tuple[int, int]:
    """The two spatial members of a list with one member per axis."""
    first = 2 if data_format == "NCHW" else 1
    return values[first], values[first + 1]


def explicit_pairs(
    paddings: Sequence[int], data_format: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(before, after) of both spatial axes from the attribute `explicit_paddings`; zeros where it is empty."""
    if not paddings:
        return (0, 0), (0, 0)
    first = 4 if data_format == "NCHW" else 2
    rows, columns = paddings[first : first + 2], paddings[first + 2 : first + 4]
    return (rows[0], rows[1]), (columns[0], columns[1])


def split_shape(shape, data_format: str) -> tuple[Size, Size, Size, Size]:
    """(batch, rows, columns, channels) of a static rank 4 shape in either order."""
    sizes = shape.with_rank(4).sizes
    if data_format == "NCHW":
        return sizes[0], sizes[2], sizes[3], sizes[1]
    return sizes


def join_shape(
    batch: Size, rows: Size, columns: Size, channels: Size, data_format: str
) -> tuple[Size, ...]:
    """The opposite of `split_shape`."""
    if data_format == "NCHW":
        return batch, channels, rows, columns
    return batch, rows, columns, channels


def channels_last(x, data_format: str):
    """`x` as [batch, rows, columns, channels]; a view."""
    return x.transpose(0, 2, 3, 1) if data_format == "NCHW" else x


def channels_back(y, data_format: str):
    """`y` of [batch, rows, columns, channels] in the order of `data_format`, contiguous."""
    if data_format != "NCHW":
        return y
    moved = y.transpose(0, 3, 1, 2)
    return moved if moved.flags.c_contiguous else moved.copy()


def refuse_outer(values: Sequence[int], data_format: str, what: str) -> None:
    """Raise UnimplementedError when `values` are not 1 for batch and channels."""
    channels = 1 if data_format == "NCHW" else 3
    if values[0] != 1 or values[channels] != 1:
        raise UnimplementedError(
            None,
            None,
            f"{what} in the batch and depth dimensions must be 1, got {list(values)} for {data_format}",
        )


def front_list(value, data_format: str, name: str) -> list[int]:
    """An argument given as one int, two ints or one per axis, as one per axis. Raises ValueError for other lengths."""
    values = [value] if isinstance(value, int) else [int(v) for v in value]
    if len(values) == 1:
        values *= 2
    if len(values) == 2:
        return [1, 1, *values] if data_format == "NCHW" else [1, *values, 1]
    if len(values) != 4:
        raise ValueError(f"{name} should be of length 1, 2 or 4, but was {len(values)}")
    return values


def front_padding(padding, data_format: str) -> tuple[str, list[int]]:
    """The attributes (padding, explicit_paddings) of an argument that is a string or one pair per axis."""
    if isinstance(padding, str):
        return padding.upper(), []
    pairs = [tuple(int(v) for v in pair) for pair in padding]
    if len(pairs) != 4 or any(len(pair) != 2 for pair in pairs):
        raise ValueError("padding must be 'SAME', 'VALID' or a list of four pairs (before, after)")
    outer = (pairs[0], pairs[1] if data_format == "NCHW" else pairs[3])
    if any(v != 0 for pair in outer for v in pair):
        raise ValueError(f"explicit padding of the batch and channel axes must be 0, got {pairs}")
    return "EXPLICIT", [v for pair in pairs for v in pair]
