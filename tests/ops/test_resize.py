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
