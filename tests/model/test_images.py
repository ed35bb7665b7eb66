"""Images: resizing, cutting, turning, colours."""

import numpy as np
import pytest

import ckpt as tf
from tests.conformance.ops import case, conformance, distinct, normal

IMAGE = np.random.default_rng(0).random((2, 4, 6, 3)).astype(np.float32)


def resized(method, **more):
    def resize(images, size):
        return tf.image.resize_images(images, size, method, **more)

    resize.__name__ = f"resize{method}{more}"
    return resize


def quarters(x, size):
    return x.reshape(2, 2, 2, 3, 2, 3).mean((2, 4))


TestImages = conformance([
    case(resized(0), IMAGE, [2, 3], like=lambda x, size: x[:, ::2, ::2], grad=0),
    case(resized(0, align_corners=True), np.array([[[[0.0]], [[3.0]]]], np.float32), [4, 1], grad=0,
         expect=np.arange(4.0).reshape(1, 4, 1, 1)),
    case(resized(1), IMAGE, [8, 12], like=lambda x, size: x.repeat(2, 1).repeat(2, 2), grad=1),
    case(resized(2), IMAGE, [4, 5], grad=0),
    case(resized(3), IMAGE, [2, 3], like=quarters, grad=0, rtol=1e-5),
    case(tf.image.flip_left_right, IMAGE, like=lambda x: x[:, :, ::-1]),
    case(tf.image.flip_up_down, IMAGE[0], like=lambda x: x[::-1]),
    case(tf.image.rot90, IMAGE[0], 3, like=np.rot90),
    case(tf.image.transpose_image, IMAGE, like=lambda x: x.swapaxes(1, 2)),
    case(lambda x: tf.image.crop_to_bounding_box(tf.ensure_shape(x, [None] * 4), 1, 2, 2, 3), IMAGE, title="cropped",
         like=lambda x: x[:, 1:3, 2:5]),  # of unknown rank it would be taken for one image
    case(tf.image.pad_to_bounding_box, IMAGE[0], 1, 0, 6, 7, like=lambda x, *_: np.pad(x, ((1, 1), (0, 1), (0, 0)))),
    case(tf.image.resize_image_with_crop_or_pad, IMAGE[0], 2, 8,
         like=lambda x, *_: np.pad(x[1:3], ((0, 0), (1, 1), (0, 0))), grad=0),
    case(tf.image.total_variation, distinct(1, 2, 2, 1),
         like=lambda x: np.abs(np.diff(x, axis=1)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum((1, 2, 3))),
    case(tf.image.rgb_to_hsv, IMAGE, grad=0),
    case(tf.image.adjust_contrast, IMAGE, 1.0, like=lambda x, f: x, grad=0, rtol=1e-5),
    case(tf.image.adjust_saturation, IMAGE, 0.0, grad=0),
    case(tf.image.grayscale_to_rgb, normal(2, 3, 1), like=lambda x: x.repeat(3, 2)),
    case(tf.image.convert_image_dtype, np.array([[[0, 255]]], np.uint8), tf.float32, expect=np.array([[[0, 1.0]]]), grad=0),
    case(tf.image.crop_to_bounding_box, IMAGE, 3, 0, 2, 2, raises=ValueError, match="height must be"),
    case(resized(9), IMAGE, [2, 2], raises=ValueError, match="not implemented"),
])  # fmt: skip


@pytest.mark.parametrize(("change", "like"), [
    (lambda x: tf.image.resize_image_with_crop_or_pad(x, 2, 8), lambda x: np.pad(x[1:3], ((0, 0), (1, 1), (0, 0)))),
    (lambda x: tf.image.pad_to_bounding_box(x, 1, 0, 6, 7), lambda x: np.pad(x, ((1, 1), (0, 1), (0, 0)))),
    (lambda x: tf.image.crop_to_bounding_box(x, 1, 2, 2, 3), lambda x: x[1:3, 2:5]),
    (tf.image.transpose_image, lambda x: np.swapaxes(x, -2, -3)),
    (lambda x: tf.image.grayscale_to_rgb(x[..., :1]), lambda x: np.repeat(x[..., :1], 3, -1)),
])  # fmt: skip
def test_an_image_of_unknown_rank_is_one(change, like):
    """As what a decoder gives."""
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.float32)
        found = session.run(change(image), {image: IMAGE[0]})
    np.testing.assert_array_equal(found, like(IMAGE[0]))


def test_colours_have_three_channels_whatever_is_known():
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [2, None, None, None])
        grey = tf.image.grayscale_to_rgb(images[..., :1])
        for found in (tf.image.rgb_to_hsv(images), tf.image.hsv_to_rgb(images), grey):
            assert found.shape.as_list() == [2, None, None, 3]
        with pytest.raises(ValueError, match="3"):
            tf.image.rgb_to_hsv(tf.placeholder(tf.float32, [2, 4]))


@pytest.mark.parametrize("method", [0, 1, 2])
@pytest.mark.parametrize("size", [[3, 9], [7, 2]])
def test_gradient_of_resizing_is_its_transpose(method, size):
    """<R x, y> = <x, Rᵀ y> for every linear R."""
    y = normal(2, *size, 3)
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(IMAGE)
        out = tf.image.resize_images(x, size, method)
        back = tf.gradients(out, x, grad_ys=[tf.constant(y)])[0]
        forward, transposed = session.run([out, back])
    np.testing.assert_allclose((forward * y).sum(), (IMAGE * transposed).sum(), rtol=1e-4)


def test_hues_turn_around():
    with tf.Graph().as_default(), tf.Session() as session:
        there = tf.image.hsv_to_rgb(tf.image.rgb_to_hsv(IMAGE))
        whole = tf.image.adjust_hue(IMAGE, 1.0)
        for found in session.run([there, whole]):
            np.testing.assert_allclose(found, IMAGE, atol=1e-5)


def test_standardised_images():
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(tf.image.per_image_standardization(IMAGE))
    np.testing.assert_allclose(found.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((1, 2, 3)), 1, rtol=1e-4)


PICTURE = np.random.default_rng(0).random((20, 31, 3)).astype(np.float32)


@pytest.mark.parametrize("shape", [[None, None, 3], [None, 31, None], [20, 31, 3]])
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: tf.image.resize_image_with_crop_or_pad(x, 15, 40), np.pad(PICTURE[2:17], [(0, 0), (4, 5), (0, 0)])),
        (lambda x: tf.image.resize_image_with_crop_or_pad(x, 33, 16), np.pad(PICTURE[:, 7:23], [(6, 7), (0, 0), (0, 0)])),
        (lambda x: tf.image.central_crop(x, 0.5), PICTURE[5:15, 7:24]),
        (lambda x: tf.image.crop_to_bounding_box(x, 2, 3, 5, 6), PICTURE[2:7, 3:9]),
        (lambda x: tf.image.pad_to_bounding_box(x, 2, 3, 40, 60), np.pad(PICTURE, [(2, 18), (3, 26), (0, 0)])),
    ],
)  # fmt: skip
def test_sizes_need_not_be_known(shape, function, expected):
    """As those of decoded images are not."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, shape)
        found = function(x)
        np.testing.assert_array_equal(session.run(found, {x: PICTURE}), expected)
        assert found.shape.is_compatible_with(expected.shape)


@pytest.mark.parametrize("shape", [[None, None, 3], [20, 31, 3]])
def test_resize_with_pad_puts_what_is_before_the_image_down_before_it_is_rounded(shape):
    """31 columns by 1.25 are 24.8, so 7.6 are before them and 7 are made, by TensorFlow 2.21."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, shape)
        found = tf.image.resize_image_with_pad(x, 16, 40)
        assert found.shape.as_list() == [16, 40, 3]
        value = session.run(found, {x: PICTURE})
    is_there = value.any(axis=(0, 2))
    assert is_there.tolist() == [7 <= i < 31 for i in range(40)]
