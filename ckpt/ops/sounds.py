"""Sounds in strings as tensors, and back: WAV files of 16 bits a sample."""

from __future__ import annotations

import numpy as np

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.media import wav_bytes, wav_samples
from ckpt.graph.opdef import op

NO_GRADIENT = "strings have no derivative"


@op(
    "DecodeWav",
    "contents: string -> audio: float32, sample_rate: int32",
    desired_channels=-1,
    desired_samples=-1,
)
def decode_wav(contents, *, desired_channels, desired_samples):
    """The samples of a WAV file as numbers from -1 to 1, [samples, channels], and the samples a second.

    Of more channels than asked for the first are taken, of fewer the last is repeated; samples that are missing are 0.
    Raises InvalidArgumentError for what is not a WAV file of 16 bits a sample.
    """
    if np.ndim(contents):
        raise InvalidArgumentError(
            None, None, f"contents must be scalar, got shape {list(np.shape(contents))}"
        )
    try:
        samples, rate = wav_samples(bytes(np.asarray(contents, object).item()))
    except ValueError as error:
        raise InvalidArgumentError(None, None, str(error)) from None
    if desired_channels >= 0:
        taken = np.minimum(np.arange(desired_channels), samples.shape[1] - 1)
        samples = samples[:, taken]
    audio = samples.astype(np.float32) / np.float32(32768)
    if desired_samples >= 0:
        missing = max(desired_samples - len(audio), 0)
        audio = np.pad(audio[:desired_samples], [(0, missing), (0, 0)])
    return [audio, np.int32(rate)]


@decode_wav.shape
def decode_wav_shape(contents, *, desired_channels, desired_samples):
    contents.shape.assert_has_rank(0)
    sizes = []
    for what, asked in (("samples", desired_samples), ("channels", desired_channels)):
        if asked < -1:
            raise ShapeError(f"{what} must be non-negative, got {asked}")
        sizes.append(None if asked == -1 else asked)
    return [tuple(sizes), ()]


decode_wav.no_gradient(NO_GRADIENT)


@op("EncodeWav", "audio: float32, sample_rate: int32 -> contents: string")
def encode_wav(audio, sample_rate):
    """`audio` [samples, channels], numbers from -1 to 1 (what is outside is cut), as a WAV file of 16 bits a sample.

    Raises InvalidArgumentError for a rate that is not positive, no channels, and what does not fit into a WAV file.
    """
    if np.ndim(audio) != 2:
        raise InvalidArgumentError(
            None, None, f"audio must be 2-dimensional but got shape {list(np.shape(audio))}"
        )
    if np.ndim(sample_rate):
        raise InvalidArgumentError(
            None, None, f"sample_rate should be a scalar, got shape {list(np.shape(sample_rate))}"
        )
    rate, channels = int(sample_rate), audio.shape[1]
    if rate <= 0:
        raise InvalidArgumentError(None, None, f"sample_rate must be positive, got {rate}")
    if not 0 < channels < 2**15:
        raise InvalidArgumentError(
            None, None, f"a WAV file has 1 to {2**15 - 1} channels, got {channels}"
        )
    if max(rate * channels * 2, audio.size * 2 + 36) >= 2**32:
        raise InvalidArgumentError(
            None, None, f"{audio.size} samples at {rate} a second do not fit into a WAV file"
        )
    return wav_bytes(audio, rate)


@encode_wav.shape
def encode_wav_shape(audio, sample_rate):
    audio.shape.assert_has_rank(2)
    sample_rate.shape.assert_has_rank(0)
    return [()]


encode_wav.no_gradient(NO_GRADIENT)
