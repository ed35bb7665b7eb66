"""The names of `tf.image` that read and write encoded images. Functions over operations; knows no kernel."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.images import convert_image_dtype
from ckpt.ops import compare, constants, image_files, random, text

JPEG_START = b"\xff\xd8\xff"
DECODED = (dtypes.float32, dtypes.uint8, dtypes.uint16)


def decode_image(
    contents: Any, channels: int | None = None, dtype: Any = dtypes.uint8, name: str | None = None,
    expand_animations: bool = True,
) -> Tensor:  # fmt: skip
    """The BMP, GIF, JPEG or PNG image in a string as [height, width, channels], GIF as [frames, height, width, 3].

    `channels` is 1, 3 or 4, or 0 or None: as the image has them. Where not `expand_animations`, the first frame of a
    GIF is given alone. Floats are in [0, 1].
    """
    with name_scope(name, "decode_image"):
        dtype = dtypes.as_dtype(dtype)
        held = dtype if dtype in DECODED else dtypes.uint16
        image: Tensor = image_files.decode_image_op(
            contents, channels=channels or 0, expand_animations=expand_animations, dtype=held
        )
        return image if held == dtype else convert_image_dtype(image, dtype)


def is_jpeg(contents: Any, name: str | None = None) -> Tensor:
    """Whether the string begins as JPEG images do: a bool scalar."""
    with name_scope(name, "is_jpeg"):
        found: Tensor = compare.equal(text.substr(contents, 0, 3), JPEG_START, name=name)
        return found


def adjust_jpeg_quality(
    image: Any, jpeg_quality: Any, dct_method: str = "", name: str | None = None
) -> Tensor:
    """The image [height, width, 1 or 3 channels] after it was encoded as JPEG of this quality (0 to 100), and decoded."""
    with name_scope(name, "adjust_jpeg_quality", [image]):
        image = convert.convert_to_tensor(image, name="image")
        channels = image.shape.as_list()[-1]
        held = image.dtype
        image = convert_image_dtype(image, dtypes.uint8, saturate=True)
        if not isinstance(jpeg_quality, Tensor):
            jpeg_quality = constants.constant(jpeg_quality, dtypes.int32)
        image = image_files.encode_jpeg_variable_quality(image, jpeg_quality)
        image = image_files.decode_jpeg(image, channels=channels or 0, dct_method=dct_method)
        return convert_image_dtype(image, held, saturate=True)


def random_jpeg_quality(
    image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: int | None = None
) -> Tensor:
    """`adjust_jpeg_quality` by a quality in [min_jpeg_quality, max_jpeg_quality).

    Raises ValueError unless 0 <= min_jpeg_quality < max_jpeg_quality <= 100.
    """
    if min_jpeg_quality < 0 or max_jpeg_quality < 0 or min_jpeg_quality > 100 or max_jpeg_quality > 100:  # fmt: skip
        raise ValueError("jpeg encoding range must be between 0 and 100.")
    if min_jpeg_quality >= max_jpeg_quality:
        raise ValueError("`min_jpeg_quality` must be less than `max_jpeg_quality`.")
    quality = random.random_uniform(
        [], min_jpeg_quality, max_jpeg_quality, seed=seed, dtype=dtypes.int32
    )
    return adjust_jpeg_quality(image, quality)
