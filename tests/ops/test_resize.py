"""Bilinear resizing by neighbours and by products of matrices; tests/model/test_images.py has the front ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.ops import resize
from tests.conformance.ops import normal

SIZE = st.integers(1, 9)


def resized(images, size, align=False, half=False):
    return resize.resize_bilinear_op.kernel(
        images, np.array(size, np.int32), align_corners=align, half_pixel_centers=half
    )


@settings(max_examples=60, deadline=None)
@given(SIZE, SIZE, SIZE, SIZE, st.sampled_from([(False, False), (True, False), (False, True)]))
def test_both_ways_agree(height, width, rows, columns, sampling):
    images = normal(2, height, width, resize.MANY_CHANNELS)
    whole = resized(images, (rows, columns), *sampling)  # by products
    parts = [resized(images[..., :3], (rows, columns), *sampling)]
    parts.append(resized(images[..., 3:], (rows, columns), *sampling))
    assert whole.dtype == np.float32
    np.testing.assert_allclose(np.concatenate(parts, 3), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 16])
def test_what_is_not_finite_stays_among_its_neighbours(channels):
    images = np.zeros((1, 4, 4, channels), np.float32)
    images[0, 2, 2, 0] = np.nan
    spoiled = np.isnan(resized(images, (8, 8))[0, ..., 0])
    expected = np.zeros((8, 8), bool)
    expected[3:6, 3:6] = True  # between rows and columns 1 and 3
    np.testing.assert_array_equal(spoiled, expected)
    assert not np.isnan(resized(images, (8, 8))[..., 1:]).any()


@pytest.mark.parametrize("channels", [3, 16])
def test_no_images_give_none(channels):
    found = resized(np.zeros((0, 4, 4, channels), np.float32), (2, 3))
    assert found.shape == (0, 2, 3, channels)


def test_images_of_that_size_stay_as_they_are():
    images = normal(1, 3, 4, 2)
    images[0, 1, 1] = np.inf
    found = resized(images, (3, 4))
    np.testing.assert_array_equal(found, images)
    assert not np.shares_memory(found, images)


def changed(kernel, images, at, *args, **options):
    """Where the result is not a number when one value of `images` is not, and whether all else is as it was."""
    before = kernel(images, *args, **options)
    spoiled = images.copy()
    spoiled[at] = np.nan
    after = kernel(spoiled, *args, **options)
    found = np.isnan(after)
    np.testing.assert_allclose(after[~found], before[~found], rtol=1e-5, atol=1e-6)
    return [(a.min(), a.max()) for a in np.nonzero(found)[1:3]], found.sum()


SIZE_8 = np.array([8, 8], np.int32)


def test_what_is_not_finite_stays_among_those_that_a_method_takes():
    images = normal(2, 4, 4, 3)
    at = (1, 3, 3, 1)
    bicubic = changed(resize.resize_bicubic_op.kernel, images, at, SIZE_8, align_corners=False, half_pixel_centers=False)  # fmt: skip
    assert bicubic == ([(2, 7), (2, 7)], 36)  # from the new ones before which lies pixel 1
    area = changed(resize.resize_area_op.kernel, images, at, SIZE_8, align_corners=False)
    assert area == ([(6, 7), (6, 7)], 4)


@pytest.mark.parametrize(
    ("op", "reached"),
    [(resize.resize_bilinear_grad_op, (1, 2)), (resize.resize_bicubic_grad_op, (0, 3))],
)
def test_gradients_that_are_not_finite_reach_the_pixels_behind_them(op, reached):
    grads, original = normal(2, 8, 8, 3), np.zeros((2, 4, 4, 3), np.float32)
    sampling = {"align_corners": False, "half_pixel_centers": False}
    found, count = changed(op.kernel, grads, (1, 3, 3, 1), original, **sampling)
    assert found == [reached, reached]
    assert count == (reached[1] - reached[0] + 1) ** 2


@settings(max_examples=60, deadline=None)
@given(SIZE, SIZE, SIZE, SIZE, st.sampled_from([(False, False), (True, False), (False, True)]))
def test_axes_that_are_not_finite_are_taken_pixel_by_pixel_alike(
    height, width, rows, columns, sampling
):
    """Both ways through an axis give the same where nothing is amiss: an image beside a spoiled one stays as it was."""
    images = normal(2, height, width, 2)
    for weights in (resize._bilinear, resize._bicubic, resize._area):
        beside = np.concatenate([images, np.full((1, height, width, 2), np.inf, np.float32)])
        axes = [weights(n, m, *sampling) for n, m in ((height, rows), (width, columns))]
        whole = resize._applied(images, *axes)
        with np.errstate(invalid="ignore"):
            parts = resize._applied(beside, *axes)[:2]
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


def test_one_row_with_aligned_corners_is_repeated():
    images = normal(2, 1, 4, 3)
    found = resize.resize_area_op.kernel(images, np.array([3, 4], np.int32), align_corners=True)
    np.testing.assert_allclose(found, np.repeat(images, 3, axis=1), rtol=1e-6)
