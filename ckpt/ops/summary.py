"""Operations that pack values for TensorBoard: each returns a Summary message as bytes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import REAL
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.media import png_bytes, wav_bytes
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr

_WHY_NO_GRADIENT = "it writes values down"


def _summary() -> Any:
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    return messages.Summary()


def _text(tag: Any, what: str) -> str:
    """The one tag as text."""
    if np.ndim(tag):
        raise InvalidArgumentError(
            None, None, f"{what} must be scalar, got shape {list(np.shape(tag))}"
        )
    value = tag.item() if isinstance(tag, np.ndarray) else tag
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@op("ScalarSummary", "tags: string, values: T -> summary: string", T=REAL)
def scalar_summary(tags, values):
    """One value for each tag; both have the same shape."""
    if np.shape(tags) != np.shape(values):
        raise InvalidArgumentError(
            None, None,
            f"tags and values are not the same shape: {list(np.shape(tags))} != {list(np.shape(values))}",
        )  # fmt: skip
    summary = _summary()
    for tag, value in zip(_members(tags), np.ravel(values)):
        summary.value.add(tag=_text(tag, "tags"), simple_value=float(value))
    return summary.SerializeToString()


scalar_summary.shape(lambda tags, values: [()])
scalar_summary.no_gradient(_WHY_NO_GRADIENT)


@cache
def _bucket_limits() -> Any:
    """The ends of TensorFlow's buckets: 1e-12 and so on, each a tenth more, below 1e20; mirrored about zero."""
    limits = []
    limit = 1e-12
    while limit < 1e20:
        limits.append(limit)
        limit *= 1.1
    limits.append(float(np.finfo(np.float64).max))
    return np.array([-limit for limit in reversed(limits)] + [0.0] + limits)


@op("HistogramSummary", "tag: string, values: T -> summary: string",
    T=Attr("type", dtypes.float32, REAL))  # fmt: skip
def histogram_summary(ctx, tag, values):
    """How the values are distributed. Raises InvalidArgumentError for NaN and infinities."""
    name = _text(tag, "tags")
    numbers = np.ravel(values).astype(np.float64)
    for test, problem in (
        (np.isnan, "Nan in summary histogram"),
        (np.isinf, "Infinity in Histogram"),
    ):
        if test(numbers).any():
            raise InvalidArgumentError(None, None, f"{problem} for: {ctx.node.name}")
    summary = _summary()
    _fill_histogram(summary.value.add(tag=name).histo, numbers)
    return summary.SerializeToString()


histogram_summary.shape(lambda tag, values: [()])
histogram_summary.no_gradient(_WHY_NO_GRADIENT)


def _fill_histogram(histogram: Any, numbers: Any) -> None:
    """Count the numbers in their buckets, and leave out buckets in a row that are empty, but for the last of them."""
    limits = _bucket_limits()
    places = np.searchsorted(limits, numbers, side="right").clip(max=len(limits) - 1)
    counts = np.bincount(places, minlength=len(limits))
    greatest = limits[-1]
    histogram.min = numbers.min(initial=greatest)
    histogram.max = numbers.max(initial=-greatest)
    histogram.num = len(numbers)
    histogram.sum = numbers.sum()
    histogram.sum_squares = np.dot(numbers, numbers)
    is_kept = (counts > 0) | np.append(counts[1:] > 0, True)
    histogram.bucket_limit.extend(limits[is_kept].tolist())
    histogram.bucket.extend(counts[is_kept].tolist())


_BAD_COLOR = np.array([255, 0, 0, 255], np.uint8)  # red
_BAD_COLOR.setflags(write=False)


@op("ImageSummary", "tag: string, tensor: T -> summary: string",
    max_images=Attr("int", 3, minimum=1),
    T=Attr("type", dtypes.float32, frozenset({dtypes.uint8, dtypes.float32, dtypes.float16, dtypes.float64})),
    bad_color=Attr("tensor", _BAD_COLOR))  # fmt: skip
def image_summary(tag, tensor, *, max_images, bad_color):
    """The first `max_images` images of [batch, height, width, channels] (1, 3 or 4 channels) as PNG files.

    Floats of one image are scaled together: to 0 … 255, or where some are negative so that 0 becomes 128. Pixels that
    are not finite get `bad_color`.
    """
    name = _text(tag, "Tags")
    shape = np.shape(tensor)
    if len(shape) != 4 or shape[-1] not in (1, 3, 4):
        shown = ",".join(map(str, shape))
        raise InvalidArgumentError(
            None, None, f"Tensor must be 4-D with last dim 1, 3, or 4, not [{shown}]"
        )
    if 0 in shape:
        raise InvalidArgumentError(
            None, None, f"input tensor must have non-zero dims. Found: {list(shape)}."
        )
    summary = _summary()
    for i, image in enumerate(tensor[:max_images]):
        pixels = image if image.dtype == np.uint8 else _pixels(image, np.asarray(bad_color))
        value = summary.value.add(tag=f"{name}/image" if max_images == 1 else f"{name}/image/{i}")
        value.image.height, value.image.width, value.image.colorspace = shape[1:]
        value.image.encoded_image_string = png_bytes(pixels)
    return summary.SerializeToString()


image_summary.shape(lambda tag, tensor: [()])
image_summary.no_gradient(_WHY_NO_GRADIENT)


def _pixels(image: Any, bad_color: Any) -> Any:
    """Floats of one image as uint8."""
    channels = image.shape[-1]
    if bad_color.size < channels:
        raise InvalidArgumentError(
            None,
            None,
            f"expected depth <= bad_color.size, got depth = {channels}, bad_color.size = {bad_color.size}",
        )
    values = image.astype(np.float64 if image.dtype == np.float64 else np.float32)
    is_finite = np.isfinite(values).all(axis=-1)
    finite = values[is_finite]
    least, most = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    if least < 0:
        most = max(abs(least), abs(most))
        scale, offset = (127 / most if most else 0.0), 128.0
    else:
        scale, offset = (255 / most if most > 0 else 0.0), 0.0
    pixels = np.empty(image.shape, np.uint8)
    pixels[is_finite] = (finite * values.dtype.type(scale) + values.dtype.type(offset)).astype(
        np.uint8
    )
    pixels[~is_finite] = bad_color.reshape(-1)[:channels]
    return pixels


def _audio(tag: Any, tensor: Any, sample_rate: float, max_outputs: int) -> bytes:
    """The first `max_outputs` sounds of [batch, frames] or [batch, frames, channels] as WAV files."""
    name = _text(tag, "Tag")
    if np.ndim(tensor) not in (2, 3):
        raise InvalidArgumentError(
            None, None, f"Tensor must be 3-D or 2-D, got: {list(np.shape(tensor))}"
        )
    if sample_rate <= 0:
        raise InvalidArgumentError(None, None, "sample_rate must be > 0")
    sounds = tensor if np.ndim(tensor) == 3 else tensor[..., np.newaxis]
    if sounds.shape[2] == 0:
        raise InvalidArgumentError(None, None, f"audio has no channels: {list(sounds.shape)}")
    summary = _summary()
    for i, sound in enumerate(sounds[:max_outputs]):
        audio = summary.value.add(
            tag=f"{name}/audio" if max_outputs == 1 else f"{name}/audio/{i}"
        ).audio
        audio.sample_rate = sample_rate
        audio.length_frames, audio.num_channels = sound.shape
        audio.encoded_audio_string = wav_bytes(sound, int(sample_rate))
        audio.content_type = "audio/wav"
    return summary.SerializeToString()


@op("AudioSummaryV2", "tag: string, tensor: float32, sample_rate: float32 -> summary: string",
    max_outputs=Attr("int", 3, minimum=1))  # fmt: skip
def audio_summary_v2(tag, tensor, sample_rate, *, max_outputs):
    """The first `max_outputs` sounds; `sample_rate` in Hz."""
    return _audio(tag, tensor, float(sample_rate), max_outputs)


audio_summary_v2.shape(lambda tag, tensor, sample_rate: [()])
audio_summary_v2.no_gradient(_WHY_NO_GRADIENT)


@op("AudioSummary", "tag: string, tensor: float32 -> summary: string",
    sample_rate=Attr("float"), max_outputs=Attr("int", 3, minimum=1))  # fmt: skip
def audio_summary(tag, tensor, *, sample_rate, max_outputs):
    """The first `max_outputs` sounds, of a rate in Hz that the graph knows."""
    return _audio(tag, tensor, sample_rate, max_outputs)


audio_summary.shape(lambda tag, tensor: [()])
audio_summary.no_gradient(_WHY_NO_GRADIENT)


def _fill_tensor(value: Any, tensor: Any, dtype: Any) -> None:
    from ckpt.wire.tensor_proto import fill_tensor

    fill_tensor(value.tensor, np.asarray(tensor), dtype)


@op("TensorSummary", "tensor: T -> summary: string", T=Attr("type"), description="",
    labels=Attr("list(string)", []), display_name="")  # fmt: skip
def tensor_summary(ctx, tensor):
    """A whole tensor under the name of the node."""
    summary = _summary()
    value = summary.value.add(node_name=ctx.node.name)
    _fill_tensor(value, tensor, ctx.node.inputs[0].dtype)
    return summary.SerializeToString()


tensor_summary.shape(lambda tensor: [()])
tensor_summary.no_gradient(_WHY_NO_GRADIENT)


@op("TensorSummaryV2", "tag: string, tensor: T, serialized_summary_metadata: string -> summary: string",
    T=Attr("type"))  # fmt: skip
def tensor_summary_v2(ctx, tag, tensor, serialized_summary_metadata):
    """A whole tensor under a tag, with what says who is to show it."""
    from google.protobuf.message import DecodeError

    if np.ndim(serialized_summary_metadata):
        raise InvalidArgumentError(None, None, "serialized_summary_metadata must be scalar")
    summary = _summary()
    value = summary.value.add(tag=_text(tag, "tag"))
    _fill_tensor(value, tensor, ctx.node.inputs[1].dtype)
    try:
        value.metadata.MergeFromString(_members(serialized_summary_metadata)[0])
    except DecodeError as error:
        raise InvalidArgumentError(
            None, None, f"serialized_summary_metadata is no SummaryMetadata: {error}"
        ) from error
    return summary.SerializeToString()


tensor_summary_v2.shape(lambda tag, tensor, serialized_summary_metadata: [()])
tensor_summary_v2.no_gradient(_WHY_NO_GRADIENT)


@op("MergeSummary", "inputs: N * string -> summary: string", N=Attr("int", minimum=1))
def merge_summary(*inputs):
    """All values of all summaries in one. Raises InvalidArgumentError when a tag comes twice."""
    from google.protobuf.message import DecodeError

    merged = _summary()
    tags = set()
    for data in (one for value in inputs for one in _members(value)):
        part = _summary()
        try:
            part.MergeFromString(data)
        except DecodeError as error:
            raise InvalidArgumentError(
                None, None, "Could not parse one of the summary inputs"
            ) from error
        for value in part.value:
            if value.tag and value.tag in tags:
                raise InvalidArgumentError(
                    None, None, f"Duplicate tag {value.tag} found in summary inputs"
                )
            tags.add(value.tag)
        merged.MergeFrom(part)
    return merged.SerializeToString()


def _members(strings: Any) -> list[bytes]:
    """The strings of a tensor; numpy's own string types would lose zeros at their ends."""
    return strings.ravel().tolist() if isinstance(strings, np.ndarray) else [strings]


merge_summary.shape(lambda *inputs: [()])
merge_summary.no_gradient(_WHY_NO_GRADIENT)
