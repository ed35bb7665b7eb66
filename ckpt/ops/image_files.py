"""Images in strings as tensors, and back: PNG and BMP by numpy, JPEG and GIF by Pillow (the extra `images`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InternalError, InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import bitmaps, jpeg_gif, png

NO_GRADIENT = "strings have no derivative"
DCT_METHODS = ("", "INTEGER_FAST", "INTEGER_ACCURATE")
DECODERS = {"PNG": "decode_png", "JPEG": "decode_jpeg", "GIF": "decode_gif"}
PLAIN = Attr("type", dtypes.uint8, frozenset({dtypes.uint8, dtypes.uint16}))


def _refused(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(None, None, message)


def _string(contents: Any) -> bytes:
    if np.ndim(contents):
        raise _refused(f"contents must be scalar, got shape {list(np.shape(contents))}")
    data = np.asarray(contents, object).item()
    if not data:
        raise _refused("Input is empty.")
    return bytes(data)


def kind_of(data: bytes) -> str:
    """Which format the first bytes are of. Raises InvalidArgumentError for none of them."""
    if data.startswith(jpeg_gif.JPEG_START):
        return "JPEG"
    if data.startswith(png.SIGNATURE[:4]):
        return "PNG"
    if data.startswith(b"GIF8"):
        return "GIF"
    if data.startswith(bitmaps.SIGNATURE):
        return "BMP"
    raise _refused("Unknown image file format. One of JPEG, PNG, GIF, BMP required.")


def _checked_channels(kind: str, channels: int) -> None:
    if channels not in (0, 1, 3, 4):
        raise _refused(f"`channels` must be 0, 1, 3 or 4 but got {channels}")
    if kind == "JPEG" and channels == 4:
        raise _refused("JPEG does not support 4 channels")
    if kind == "GIF" and channels not in (0, 3):
        raise _refused(f"channels must be 0 or 3 for GIF, got {channels}")
    if kind == "BMP" and channels not in (0, 3, 4):
        raise _refused(f"`channels` must be 0, 3 or 4 for BMP, but got {channels}")


def _png(data: bytes, channels: int, *, is_wide: bool) -> Any:
    try:
        return png.decoded(data, channels, is_wide=is_wide)
    except png.BadPng as error:
        raise _refused(f"Invalid PNG data, size {len(data)}: {error}") from error


def _jpeg(data: bytes, channels: int, **how: Any) -> Any:
    try:
        return jpeg_gif.jpeg_decoded(data, channels, **how)
    except jpeg_gif.BadImage as error:
        raise _refused(f"jpeg::Uncompress failed. Invalid JPEG data or crop window: {error}") from error  # fmt: skip


def _gif(data: bytes) -> Any:
    try:
        return jpeg_gif.gif_decoded(data)
    except jpeg_gif.BadImage as error:
        raise _refused(f"Invalid GIF data, size {len(data)}: {error}") from error


def _bitmap(data: bytes, channels: int) -> Any:
    try:
        return bitmaps.decoded(data, channels)
    except bitmaps.BadBitmap as error:
        raise _refused(str(error)) from error


def _still(data: bytes, asked_by: str, channels: int, *, is_wide: bool = False, **how: Any) -> Any:
    """One image of any format but BMP, as the three oldest operations give it."""
    kind = kind_of(data)
    _checked_channels(kind, channels)
    if kind == "BMP":
        raise _refused(
            f"Trying to decode BMP format using a wrong op. Use `decode_bmp` or `decode_image` instead. Op used: {asked_by}"
        )
    if kind == "PNG":
        return _png(data, channels, is_wide=is_wide)
    if kind == "JPEG":
        found = _jpeg(data, channels, **how)
    else:
        frames = _gif(data)
        if len(frames) > 1:
            raise _refused(
                f"Got {len(frames)} frames, but animated gifs can only be decoded by tf.io.decode_gif or tf.io.decode_image"
            )
        found = frames[0]
    return found.astype(np.uint16) * np.uint16(256) if is_wide else found


def _image_shape(contents, *, channels):
    contents.shape.with_rank(0)
    if channels < 0:
        raise ValueError(f"channels must be non-negative, got {channels}")
    return [(None, None, channels or None)]


@op("DecodePng", "contents: string -> image: dtype", channels=0, dtype=PLAIN)
def decode_png(contents, *, channels, dtype):
    """A PNG image as [height, width, channels]; other formats are decoded too, but BMP is not.

    `channels` is 1 (grey), 3 (RGB), 4 (RGBA), or 0: as the image has them. Raises InvalidArgumentError for what is no
    whole image.
    """
    return _still(_string(contents), "DecodePng", channels, is_wide=dtype == dtypes.uint16)


JPEG_ATTRS: dict[str, Any] = {
    "channels": 0, "ratio": 1, "fancy_upscaling": True, "try_recover_truncated": False,
    "acceptable_fraction": 1.0, "dct_method": "",
}  # fmt: skip


def _checked_jpeg(ratio: int, dct_method: Any) -> None:
    if ratio not in (1, 2, 4, 8):
        raise _refused(f"ratio must be 1, 2, 4, or 8, got {ratio}")
    method = dct_method.decode() if isinstance(dct_method, bytes) else dct_method
    if method not in DCT_METHODS:
        raise _refused("dct_method must be one of {'', 'INTEGER_FAST', 'INTEGER_ACCURATE'}")


@op("DecodeJpeg", "contents: string -> image: uint8", **JPEG_ATTRS)
def decode_jpeg(contents, *, channels, ratio, try_recover_truncated, dct_method):
    """A JPEG image as [height, width, channels], smaller by `ratio`; other formats are decoded too, but BMP is not.

    `channels` is 1 (grey), 3 (RGB) or 0: as the image has them. Pillow always decodes by INTEGER_ACCURATE and smooths
    colours (`fancy_upscaling`); TensorFlow's default, INTEGER_FAST, differs by up to 4 of 255. Raises
    InvalidArgumentError for what is no whole image; `try_recover_truncated` lets pass what ends early,
    whatever part of it there is.
    """
    _checked_jpeg(ratio, dct_method)
    how = {"ratio": ratio, "is_cut": try_recover_truncated}
    return _still(_string(contents), "DecodeJpeg", channels, **how)


for _opdef in (decode_png, decode_jpeg):
    _opdef.shape(_image_shape)
    _opdef.no_gradient(NO_GRADIENT)


@op("DecodeAndCropJpeg", "contents: string, crop_window: int32 -> image: uint8", **JPEG_ATTRS)
def decode_and_crop_jpeg(
    contents, crop_window, *, channels, ratio, try_recover_truncated, dct_method
):
    """The part [top, left, height, width] of a JPEG image. Raises InvalidArgumentError where it is not within the image."""
    _checked_jpeg(ratio, dct_method)
    data = _string(contents)
    if (kind := kind_of(data)) != "JPEG":
        raise _refused(f"DecodeAndCropJpeg operation can run on JPEG only, but detected {kind}.")
    _checked_channels("JPEG", channels)
    if np.shape(crop_window) != (4,):
        raise _refused(f"crop_window must have four elements {list(np.shape(crop_window))}")
    top, left, height, width = (int(n) for n in crop_window)
    whole = _jpeg(data, channels, ratio=ratio, is_cut=try_recover_truncated)
    is_within = 0 <= top <= whole.shape[0] - height and 0 <= left <= whole.shape[1] - width
    if not is_within or height <= 0 or width <= 0:
        raise _refused(
            f"jpeg::Uncompress failed. Invalid JPEG data or crop window: [{top}, {left}, {height}, {width}] in "
            f"{list(whole.shape[:2])}"
        )  # fmt: skip
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


@decode_and_crop_jpeg.shape
def decode_and_crop_jpeg_shape(contents, crop_window, *, channels):
    contents.shape.with_rank(0)
    crop_window.shape.with_rank(1).merge_with([4])
    window = constant_value(crop_window)
    sizes = (None, None) if window is None else (int(window[2]), int(window[3]))
    return [(*sizes, channels or None)]


decode_and_crop_jpeg.no_gradient(NO_GRADIENT)


@op("DecodeGif", "contents: string -> image: uint8")
def decode_gif(contents):
    """All frames of a GIF image as [frames, height, width, 3]; a PNG or JPEG image is one frame.

    A frame is drawn over those before it, whatever it says should become of them. Raises InvalidArgumentError for what
    is no image.
    """
    data = _string(contents)
    return _gif(data) if kind_of(data) == "GIF" else _still(data, "DecodeGif", 3)[None]


@decode_gif.shape
def decode_gif_shape(contents):
    contents.shape.with_rank(0)
    return [(None, None, None, 3)]


decode_gif.no_gradient(NO_GRADIENT)


@op("DecodeBmp", "contents: string -> image: uint8", channels=0)
def decode_bmp(contents, *, channels):
    """A BMP image as [height, width, channels]; `channels` is 3, 4 or 0: as the image has them.

    Raises InvalidArgumentError for compressed images and for pixels of other than 8, 24 or 32 bits.
    """
    data = _string(contents)
    kind = kind_of(data)
    _checked_channels(kind, channels)
    if kind != "BMP":
        raise _refused(
            f"Trying to decode {kind} format using DecodeBmp op. Use `{DECODERS[kind]}` or `decode_image` instead."
        )
    return _bitmap(data, channels)


decode_bmp.shape(_image_shape)
decode_bmp.no_gradient(NO_GRADIENT)


@op(
    "DecodeImage",
    "contents: string -> image: dtype",
    channels=0,
    dtype=Attr("type", dtypes.uint8, frozenset({dtypes.uint8, dtypes.uint16, dtypes.float32})),
    expand_animations=True,
)
def decode_image_op(contents, *, channels, dtype, expand_animations):
    """An image of any of the formats; GIF as [frames, height, width, 3] where `expand_animations`, else its first frame.

    float32 values are between 0 and 1.
    """
    data = _string(contents)
    kind = kind_of(data)
    _checked_channels(kind, channels)
    if kind == "PNG":
        found = _png(data, channels, is_wide=dtype != dtypes.uint8)
        if dtype == dtypes.float32:
            return found.astype(np.float32) * np.float32(1 / 65535)
        return found
    if kind == "JPEG":
        found = _jpeg(data, channels)
    elif kind == "BMP":
        found = _bitmap(data, channels)
    else:
        frames = _gif(data)
        found = frames if expand_animations else frames[0]
    if dtype == dtypes.uint8:
        return found
    if dtype == dtypes.uint16:
        return found.astype(np.uint16) * np.uint16(256)
    return found.astype(np.float32) * np.float32(1 / 255)


@decode_image_op.shape
def decode_image_shape(contents, *, channels, expand_animations):
    still = _image_shape(contents, channels=channels)
    return [TensorShape(None)] if expand_animations else still


decode_image_op.no_gradient(NO_GRADIENT)


@op(
    "ExtractJpegShape",
    "contents: string -> image_shape: output_type",
    output_type=Attr("type", dtypes.int32, frozenset({dtypes.int32, dtypes.int64})),
)
def extract_jpeg_shape(contents, *, output_type):
    """Height, width and channels of a JPEG image, whose pixels are not decoded. Raises InvalidArgumentError for others."""
    data = bytes(np.asarray(contents, object).item())
    try:
        found = jpeg_gif.jpeg_shape(data)
    except jpeg_gif.BadImage as error:
        raise _refused(f"Invalid JPEG data, size {len(data)}") from error
    return np.array(found, output_type.as_numpy_dtype)


@extract_jpeg_shape.shape
def extract_jpeg_shape_shape(contents):
    contents.shape.with_rank(0)
    return [(3,)]


extract_jpeg_shape.no_gradient(NO_GRADIENT)


@op("EncodePng", "image: T -> contents: string", compression=-1, T=PLAIN)
def encode_png_op(images, *, compression):
    """Images [..., height, width, 1 to 4 channels] as PNG, one string each; `compression` is zlib's level, -1 to 9.

    The bytes are not TensorFlow's, the pixels are.
    """
    if np.ndim(images) < 3:
        raise _refused(f"images must be at least rank 3{list(np.shape(images))}")
    *batch, height, width, channels = images.shape
    if not -1 <= compression <= 9:
        raise _refused(f"compression should be in [-1,9], got {compression}")
    if not 1 <= channels <= 4:
        raise _refused(f"image must have 1, 2, 3, or 4 channels, got {channels}")
    if not height or not width:
        raise InternalError(None, None, f"PNG encoding failed: no pixels in {list(images.shape)}")
    flat = images.reshape(-1, height, width, channels)
    found = np.empty(len(flat), object)
    found[:] = [png.encoded(image, compression) for image in flat]
    return found.reshape(batch) if batch else found[0]


@encode_png_op.shape
def encode_png_shape(images):
    shape = images.shape.with_rank_at_least(3)
    return [None if shape.rank is None else shape[:-3]]


encode_png_op.no_gradient(NO_GRADIENT)


def encode_png(image: Any, compression: int = -1, name: str | None = None) -> Tensor:
    """The image [height, width, 1 to 4 channels] in uint8 or uint16 as a PNG string."""
    image = convert.convert_to_tensor(image)
    found: Tensor = encode_png_op(image, compression=compression, name=name)
    return found


def _checked_jpeg_input(image: Any, quality: int) -> None:
    shape = list(np.shape(image))
    if len(shape) != 3:
        raise _refused(f"image must be 3-dimensional{shape}")
    if shape[2] not in (1, 3):
        raise _refused(f"image must have 1 or 3 channels, got {shape}")
    if not 0 <= quality <= 100:
        raise _refused(f"quality must be in [0,100], got {quality}")
    if not shape[0] or not shape[1]:
        raise InternalError(None, None, f"JPEG encoding failed: no pixels in {shape}")


@op(
    "EncodeJpeg", "image: uint8 -> contents: string",
    format=Attr("string", "", frozenset({"", "grayscale", "rgb"})), quality=95, progressive=False,
    optimize_size=False, chroma_downsampling=True, density_unit=Attr("string", "in", frozenset({"in", "cm"})),
    x_density=300, y_density=300, xmp_metadata="",
)  # fmt: skip
def encode_jpeg(
    image, *, format, quality, progressive, optimize_size, chroma_downsampling, density_unit, x_density,
    y_density, xmp_metadata,
):  # fmt: skip
    """The image [height, width, 1 or 3 channels] as a JPEG string, through Pillow: the bytes are not TensorFlow's."""
    _checked_jpeg_input(image, quality)
    format, unit, xmp = (_text(v) for v in (format, density_unit, xmp_metadata))
    wanted = {"grayscale": 1, "rgb": 3}.get(format, image.shape[2])
    if wanted != image.shape[2]:
        raise _refused(f"format {format} expects {wanted} channels, got {list(image.shape)}")
    return jpeg_gif.jpeg_encoded(
        image, quality=quality, progressive=progressive, optimize=optimize_size,
        chroma_downsampling=chroma_downsampling, density=(2 if unit == "cm" else 1, x_density, y_density),
        xmp=xmp.encode(),
    )  # fmt: skip


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


@op("EncodeJpegVariableQuality", "images: uint8, quality: int32 -> contents: string")
def encode_jpeg_variable_quality(images, quality):
    """The image as a JPEG string of a quality that is computed: 0 to 100."""
    if np.ndim(quality):
        raise _refused(f"quality must be scalar: {list(np.shape(quality))}")
    _checked_jpeg_input(images, int(quality))
    return jpeg_gif.jpeg_encoded(images, quality=int(quality))


def _one_string(image, *_):
    image.shape.with_rank(3)
    return [()]


encode_jpeg.shape(_one_string)
encode_jpeg_variable_quality.shape(_one_string)
for _opdef in (encode_jpeg, encode_jpeg_variable_quality):
    _opdef.no_gradient(NO_GRADIENT)
