"""Encoded images as tensors. JPEG is compared by TensorFlow's exact transform (INTEGER_ACCURATE), which is Pillow's."""

import io
import struct
import sys

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InternalError, InvalidArgumentError, ShapeError, UnimplementedError
from ckpt.ops import bitmaps, image_files, jpeg_gif, png
from tests.conformance.ops import case, conformance

PILLOW = pytest.importorskip("PIL.Image")
EXACT = {"dct_method": "INTEGER_ACCURATE"}
OURS = "the bytes of encoded images are our own"


def scalar(data):
    return np.array([data], object).reshape(())


def smooth(rows, columns, channels):
    y, x = np.mgrid[:rows, :columns]
    parts = [(np.sin(x / 5 + i) + np.cos(y / 4 + 2 * i)) * 60 + 128 for i in range(channels)]
    return np.stack(parts, axis=2).astype(np.uint8)


def saved(image, kind, **options):
    written = io.BytesIO()
    (image if hasattr(image, "save") else PILLOW.fromarray(image)).save(written, kind, **options)
    return written.getvalue()


PHOTO = smooth(21, 33, 3)
GREY = PHOTO[..., 0]
JPEG = saved(PHOTO, "JPEG", quality=90, subsampling=0)
JPEG_420 = saved(PHOTO, "JPEG", quality=80, subsampling=2, progressive=True)
JPEG_GREY = saved(GREY, "JPEG")
JPEG_INKS = saved(PILLOW.fromarray(smooth(21, 33, 4), "CMYK"), "JPEG", quality=95)
PNG_16 = png.encoded(PHOTO.astype(np.uint16) * 251 + 3)
PNG_ALPHA = png.encoded(smooth(5, 4, 2))
BMP = saved(PHOTO, "BMP")
BMP_ALPHA = saved(smooth(6, 5, 4), "BMP")
BMP_GREY = saved(GREY, "BMP")


def moving(disposal, count=3):
    frames = []
    for i in range(count):
        pixels = np.zeros((21, 33, 4), np.uint8)
        pixels[3 * i : 3 * i + 9, 5 * i : 5 * i + 10] = (255 - 60 * i, 50 * i, 90, 255)
        frames.append(PILLOW.fromarray(pixels))
    more = {"save_all": True, "append_images": frames[1:], "disposal": disposal}
    return saved(frames[0], "GIF", **more)


def drawn(count=3):
    """The frames of `moving` with everything that was drawn before."""
    canvas, found = np.zeros((21, 33, 3), np.uint8), []
    for i in range(count):
        canvas[3 * i : 3 * i + 9, 5 * i : 5 * i + 10] = (255 - 60 * i, 50 * i, 90)
        found.append(canvas.copy())
    return np.stack(found)


TestDecodePng = conformance([
    case(image_files.decode_png, scalar(png.encoded(PHOTO)), expect=PHOTO, grad=0),
    case(image_files.decode_png, scalar(png.encoded(PHOTO)), channels=1, grad=0),
    case(image_files.decode_png, scalar(png.encoded(PHOTO)), channels=4, dtype=tf.uint16, grad=0),
    case(image_files.decode_png, scalar(PNG_16), dtype=tf.uint16, expect=PHOTO.astype(np.uint16) * 251 + 3, grad=0),
    case(image_files.decode_png, scalar(PNG_16), channels=1, grad=0),
    case(image_files.decode_png, scalar(PNG_ALPHA), expect=smooth(5, 4, 2), grad=0),
    case(image_files.decode_png, scalar(PNG_ALPHA), channels=3, grad=0),
    case(image_files.decode_png, scalar(JPEG_GREY), channels=3, dtype=tf.uint16, unasked="TensorFlow's default transform", grad=0),
    case(image_files.decode_png, scalar(moving(1, 1)), expect=drawn(1)[0], grad=0),
    case(image_files.decode_png, scalar(moving(1)), raises=InvalidArgumentError, match="Got 3 frames"),
    case(image_files.decode_png, scalar(BMP), raises=InvalidArgumentError, match="Use `decode_bmp`"),
    case(image_files.decode_png, scalar(png.encoded(PHOTO)), channels=2, raises=InvalidArgumentError, match="0, 1, 3 or 4"),
    case(image_files.decode_png, scalar(png.encoded(PHOTO)[:-20]), raises=InvalidArgumentError, match="Invalid PNG data"),
    case(image_files.decode_png, scalar(b""), raises=InvalidArgumentError, match="empty"),
    case(image_files.decode_png, scalar(b"text"), raises=InvalidArgumentError, match="Unknown image file format"),
    case(image_files.decode_png, np.array([JPEG], object), raises=ShapeError, match="rank 0"),
])  # fmt: skip

TestDecodeJpeg = conformance([
    case(image_files.decode_jpeg, scalar(JPEG), grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG), channels=1, grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG), ratio=2, grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG_420), grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG_420), ratio=8, channels=3, grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG_GREY), grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG_GREY), channels=3, grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(JPEG_INKS), grad=0, **EXACT),
    case(image_files.decode_jpeg, scalar(png.encoded(GREY[..., None])), ratio=4, expect=GREY[..., None], grad=0),
    case(image_files.decode_jpeg, scalar(JPEG_INKS), channels=1, raises=InvalidArgumentError, match="Invalid JPEG data"),
    case(image_files.decode_jpeg, scalar(JPEG), channels=4, raises=InvalidArgumentError, match="does not support 4"),
    case(image_files.decode_jpeg, scalar(JPEG), ratio=3, raises=InvalidArgumentError, match="ratio must be 1, 2, 4, or 8"),
    case(image_files.decode_jpeg, scalar(JPEG), dct_method="X", raises=InvalidArgumentError, match="dct_method"),
    case(image_files.decode_jpeg, scalar(JPEG[:-200]), raises=InvalidArgumentError, match="Invalid JPEG data"),
])  # fmt: skip

TestDecodeAndCropJpeg = conformance([
    case(image_files.decode_and_crop_jpeg, scalar(JPEG), [3, 4, 10, 12], channels=3, grad=0, **EXACT),
    case(image_files.decode_and_crop_jpeg, scalar(JPEG_GREY), np.array([0, 0, 21, 33], np.int32), grad=0, **EXACT),
    case(image_files.decode_and_crop_jpeg, scalar(JPEG), [3, 4, 19, 12], raises=InvalidArgumentError, match="crop window"),
    case(image_files.decode_and_crop_jpeg, scalar(JPEG), [-1, 4, 2, 2], raises=InvalidArgumentError, match="crop window"),
    case(image_files.decode_and_crop_jpeg, scalar(JPEG), [1, 4, 2, 0], raises=InvalidArgumentError, match="crop window"),
    case(image_files.decode_and_crop_jpeg, scalar(PNG_16), [0, 0, 2, 2], raises=InvalidArgumentError, match="detected PNG"),
])  # fmt: skip

TestDecodeGif = conformance([
    case(image_files.decode_gif, scalar(moving(0)), expect=drawn(), grad=0),
    case(image_files.decode_gif, scalar(moving(2)), expect=drawn(), grad=0),
    case(image_files.decode_gif, scalar(moving(3)), expect=drawn(), grad=0),
    case(image_files.decode_gif, scalar(png.encoded(PHOTO)), expect=PHOTO[None], grad=0),
    case(image_files.decode_gif, scalar(b"GIF89a nothing"), raises=InvalidArgumentError, match="Invalid GIF data"),
])  # fmt: skip


def turned(data):
    """The same bitmap whose highest line comes first."""
    height = struct.unpack("<i", data[22:26])[0]
    return data[:22] + struct.pack("<i", -height) + data[26:]


TestDecodeBmp = conformance([
    case(image_files.decode_bmp, scalar(BMP), expect=PHOTO, grad=0),
    case(image_files.decode_bmp, scalar(turned(BMP)), expect=PHOTO[::-1], grad=0),
    case(image_files.decode_bmp, scalar(BMP), channels=4, expect=np.dstack([PHOTO, np.full((21, 33), 255, np.uint8)]), grad=0),
    case(image_files.decode_bmp, scalar(BMP_ALPHA), expect=smooth(6, 5, 4), grad=0),
    case(image_files.decode_bmp, scalar(BMP_ALPHA), channels=3, expect=smooth(6, 5, 4)[..., :3], grad=0),
    case(image_files.decode_bmp, scalar(BMP_GREY), expect=GREY[..., None], grad=0),
    case(image_files.decode_bmp, scalar(BMP_GREY), channels=3, grad=0),
    case(image_files.decode_bmp, scalar(BMP), channels=1, raises=InvalidArgumentError, match="0, 3 or 4 for BMP"),
    case(image_files.decode_bmp, scalar(JPEG), raises=InvalidArgumentError, match="Use `decode_jpeg`"),
    case(image_files.decode_bmp, scalar(BMP[:-1]), raises=InvalidArgumentError, match="Incomplete bmp"),
    case(image_files.decode_bmp, scalar(BMP[:20]), raises=InvalidArgumentError, match="Incomplete bmp"),
    case(image_files.decode_bmp, scalar(saved(GREY > 128, "BMP")), raises=InvalidArgumentError, match="must be 1, 3 or 4, was 0"),
])  # fmt: skip

TestDecodeImage = conformance([
    case(tf.image.decode_image, scalar(BMP), expect=PHOTO, grad=0),
    case(tf.image.decode_image, scalar(BMP), dtype=tf.uint16, expect=PHOTO.astype(np.uint16) * 256, grad=0),
    case(tf.image.decode_image, scalar(BMP), dtype=tf.float32, expect=PHOTO / np.float32(255), grad=0),
    case(tf.image.decode_image, scalar(PNG_16), dtype=tf.float32, channels=3, expand_animations=False, grad=0),
    case(tf.image.decode_image, scalar(PNG_16), dtype=tf.float64, grad=0),
    case(tf.image.decode_image, scalar(PNG_ALPHA), channels=1, expect=smooth(5, 4, 2)[..., :1], grad=0),
    case(tf.image.decode_image, scalar(moving(2)), expect=drawn(), grad=0),
    case(tf.image.decode_image, scalar(moving(2)), expand_animations=False, expect=drawn()[0], grad=0),
    case(tf.image.decode_image, scalar(BMP), channels=2, raises=InvalidArgumentError, match="0, 1, 3 or 4"),
    case(tf.image.decode_image, scalar(moving(2)), channels=1, raises=InvalidArgumentError, match="0 or 3 for GIF"),
    case(tf.image.is_jpeg, scalar(JPEG), expect=True, grad=0),
    case(tf.image.is_jpeg, scalar(BMP), expect=False, grad=0),
    case(image_files.extract_jpeg_shape, scalar(JPEG), expect=np.array([21, 33, 3], np.int32), grad=0),
    case(image_files.extract_jpeg_shape, scalar(JPEG_INKS), output_type=tf.int64, expect=np.array([21, 33, 4]), grad=0),
    case(image_files.extract_jpeg_shape, scalar(BMP), raises=InvalidArgumentError, match="Invalid JPEG data"),
])  # fmt: skip


def through_png(images, **attrs):
    encoded = tf.image.encode_png(images, **attrs)
    if encoded.shape.rank == 1:
        encoded = encoded[1]
    return tf.image.decode_png(encoded, dtype=images.dtype)


TestEncodePng = conformance([
    case(through_png, PHOTO, expect=PHOTO, grad=0),
    case(through_png, PHOTO.astype(np.uint16) * 251, compression=9, expect=PHOTO.astype(np.uint16) * 251, grad=0),
    case(through_png, np.stack([PHOTO, 255 - PHOTO]), compression=0, expect=255 - PHOTO, grad=0),
    case(tf.image.encode_png, np.zeros((4, 3), np.uint8), raises=ShapeError, match="rank at least 3"),
    case(tf.image.encode_png, np.zeros((4, 3, 7), np.uint8), raises=InvalidArgumentError, match="1, 2, 3, or 4 channels"),
    case(tf.image.encode_png, np.zeros((4, 0, 1), np.uint8), raises=InternalError, match="no pixels"),
    case(tf.image.encode_png, PHOTO, compression=10, raises=InvalidArgumentError, match=r"\[-1,9\]"),
])  # fmt: skip


def size_through_jpeg(image, **attrs):
    return tf.image.extract_jpeg_shape(tf.image.encode_jpeg(image, **attrs))


def size_through_quality(image, quality):
    return tf.image.extract_jpeg_shape(image_files.encode_jpeg_variable_quality(image, quality))


TestEncodeJpeg = conformance([
    case(size_through_jpeg, PHOTO, expect=np.array([21, 33, 3], np.int32), grad=0),
    case(size_through_jpeg, PHOTO[..., :1], format="grayscale", progressive=True, optimize_size=True, grad=0),
    case(size_through_jpeg, PHOTO, format="rgb", quality=0, chroma_downsampling=False, xmp_metadata="<x/>", grad=0),
    case(size_through_quality, PHOTO, np.int32(50), grad=0),
    case(tf.image.encode_jpeg, PHOTO, format="grayscale", raises=InvalidArgumentError, match="expects 1 channels"),
    case(tf.image.encode_jpeg, PHOTO, quality=101, raises=InvalidArgumentError, match=r"\[0,100\]"),
    case(size_through_quality, PHOTO, np.int32(-1), raises=InvalidArgumentError, match=r"\[0,100\]"),
    case(size_through_quality, PHOTO, np.array([1], np.int32), raises=InvalidArgumentError, match="must be scalar"),
    case(tf.image.encode_jpeg, np.zeros((4, 3, 2), np.uint8), raises=InvalidArgumentError, match="1 or 3 channels"),
    case(tf.image.encode_jpeg, np.zeros((4, 3), np.uint8), raises=ShapeError, match="rank 3"),
    case(tf.image.encode_jpeg, np.zeros((0, 3, 3), np.uint8), raises=InternalError, match="no pixels"),
    case(tf.image.adjust_jpeg_quality, PHOTO, 95, unasked=OURS, grad=0),
    case(tf.image.adjust_jpeg_quality, (PHOTO / np.float32(255)).astype(np.float32), 60, unasked=OURS, grad=0),
    case(tf.image.random_jpeg_quality, PHOTO, 20, 30, seed=1, unasked=OURS, grad=0),
])  # fmt: skip


def test_jpeg_keeps_the_picture_and_says_its_density():
    data = jpeg_gif.jpeg_encoded(PHOTO, quality=95, density=(2, 11, 13), xmp=b"<x:xmpmeta/>")
    found = jpeg_gif.jpeg_decoded(data)
    assert np.abs(found.astype(int) - PHOTO).mean() < 2
    assert struct.unpack(">BHH", data[13:18]) == (2, 11, 13)
    assert b"<x:xmpmeta/>" in data


def test_chroma_downsampling_makes_it_smaller():
    sizes = [
        len(jpeg_gif.jpeg_encoded(PHOTO, quality=90, chroma_downsampling=one))
        for one in (True, False)
    ]
    assert sizes[0] < sizes[1]


def test_what_there_is_of_a_cut_image_is_recovered():
    whole = jpeg_gif.jpeg_decoded(JPEG)
    found = jpeg_gif.jpeg_decoded(JPEG[:-150], is_cut=True)
    assert found.shape == whole.shape
    np.testing.assert_array_equal(found[:8, :8], whole[:8, :8])
    assert (found[-1, -1] != whole[-1, -1]).any()


@pytest.mark.parametrize("quality", [(-1, 5), (5, 101), (7, 7)])
def test_random_quality_needs_a_range(quality):
    with pytest.raises(ValueError, match="jpeg"):
        tf.image.random_jpeg_quality(PHOTO, *quality)


@pytest.mark.parametrize(
    ("function", "argument", "task"),
    [(tf.image.decode_jpeg, JPEG, "Decoding JPEG"), (tf.image.decode_gif, moving(1), "Decoding GIF"),
     (tf.image.encode_jpeg, PHOTO, "Encoding JPEG"), (tf.image.extract_jpeg_shape, JPEG, "Reading JPEG")],
)  # fmt: skip
def test_without_pillow_the_error_names_the_extra(monkeypatch, function, argument, task):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with tf.Graph().as_default():
        image = function(argument)
        with (
            tf.Session() as session,
            pytest.raises(UnimplementedError, match=rf"{task}.*ckpt\[images\]"),
        ):
            session.run(image)


def test_png_and_bmp_need_no_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        for data in (png.encoded(PHOTO), BMP):
            np.testing.assert_array_equal(session.run(tf.image.decode_image(data)), PHOTO)


@pytest.mark.parametrize("whole", [BMP, moving(2), JPEG], ids=["bmp", "gif", "jpeg"])
def test_cut_off_anywhere_is_an_image_or_an_error(whole):
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        contents = tf.placeholder(tf.string, [])
        image = session.make_callable(tf.image.decode_image(contents), [contents])
        for end in range(0, len(whole), max(1, len(whole) // 150)):
            try:
                found = image(np.array(whole[:end], object))
            except InvalidArgumentError:
                continue
            assert found.shape[-3:] == (21, 33, 3)


def test_strings_keep_their_zeros_when_one_is_taken_out():
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        words = tf.constant([b"a\0", b"b"])
        assert session.run(words[0]) == b"a\0"


def test_bitmaps_that_lie_about_their_size_are_refused():
    huge = BMP[:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + BMP[26:]
    with pytest.raises(bitmaps.BadBitmap, match="Incomplete"):
        bitmaps.decoded(huge, 0)
    with pytest.raises(bitmaps.BadBitmap, match="wide"):
        bitmaps.decoded(BMP[:18] + struct.pack("<ii", 0, 5) + BMP[26:], 0)


def test_a_pipeline_of_image_files(tmp_path):
    """As training programs read them: names, files, pixels, cut to one size, in batches."""
    names = []
    for i, data in enumerate([JPEG, JPEG_420, png.encoded(PHOTO), png.encoded(PHOTO[:, ::-1])]):
        names.append(str(tmp_path / f"{i}.img"))
        (tmp_path / f"{i}.img").write_bytes(data)

    def pixels(name):
        image = tf.image.decode_jpeg(tf.read_file(name), 3)
        image = tf.image.convert_image_dtype(image, tf.float32)
        return tf.image.resize_image_with_crop_or_pad(image, 16, 24)

    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.data.Dataset.from_tensor_slices(names).map(pixels).batch(2)
        batch = tf.data.make_one_shot_iterator(images).get_next()
        assert batch.shape.as_list() == [None, 16, 24, 3]
        first, second = session.run(batch), session.run(batch)
    np.testing.assert_allclose(second[0], PHOTO[2:18, 4:28] / 255, atol=1e-6)
    np.testing.assert_allclose(first[0], second[0], atol=0.1)
