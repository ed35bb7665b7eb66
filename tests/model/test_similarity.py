"""Structural similarity of images."""

import numpy as np
import pytest

import ckpt as tf

RANDOM = np.random.default_rng(8)
A = RANDOM.uniform(size=(3, 16, 17, 2)).astype(np.float32)
B = RANDOM.uniform(size=A.shape).astype(np.float32)


def similarity(a, b, limit, size, sigma):
    """By the formulas of the paper, window by window, in float64."""
    places = np.arange(size) - (size - 1) / 2
    line = np.exp(-(places**2) / 2 / sigma**2)
    weights = (np.outer(line, line) / line.sum() ** 2)[:, :, None]
    rows, columns = (n - size + 1 for n in a.shape[:2])
    found = np.zeros((rows, columns, a.shape[2]))
    for i, j in np.ndindex(rows, columns):
        x, y = (np.asarray(v[i : i + size, j : j + size], np.float64) for v in (a, b))
        mx, my = (x * weights).sum((0, 1)), (y * weights).sum((0, 1))
        vx, vy = ((x - mx) ** 2 * weights).sum((0, 1)), ((y - my) ** 2 * weights).sum((0, 1))
        both = ((x - mx) * (y - my) * weights).sum((0, 1))
        c1, c2 = (0.01 * limit) ** 2, (0.03 * limit) ** 2
        found[i, j] = (2 * mx * my + c1) * (2 * both + c2) / (mx**2 + my**2 + c1) / (vx + vy + c2)
    return found


def run(make):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(make())


def test_is_that_of_the_paper():
    found = run(lambda: tf.image.ssim(A, B, 1.0))
    like = [similarity(a, b, 1.0, 11, 1.5).mean() for a, b in zip(A, B, strict=True)]
    np.testing.assert_allclose(found, like, rtol=1e-4, atol=1e-5)
    places = run(lambda: tf.image.ssim(A, B, 1.0, filter_size=5, return_index_map=True))
    np.testing.assert_allclose(
        places[1], similarity(A[1], B[1], 1.0, 5, 1.5).mean(-1), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("function", [tf.image.ssim, tf.image.ssim_multiscale])
def test_an_image_is_like_itself(function):
    image = np.tile(A[:1], (1, 11, 11, 1))
    np.testing.assert_allclose(run(lambda: function(image, image, 1.0)), 1, rtol=1e-5)


def test_sizes_may_be_known_when_run():
    with tf.Graph().as_default(), tf.Session() as session:
        a, b = (tf.placeholder(tf.float32, [None, None, None, 2]) for _ in range(2))
        feeds = {a: A, b: B}
        one = session.run(tf.image.ssim(a, b, 1.0), feeds)
        more = session.run(tf.image.ssim_multiscale(a, b, 1.0, [0.5, 0.5], filter_size=3), feeds)
    np.testing.assert_allclose(one, run(lambda: tf.image.ssim(A, B, 1.0)), rtol=1e-6)
    known = run(lambda: tf.image.ssim_multiscale(A, B, 1.0, [0.5, 0.5], filter_size=3))
    np.testing.assert_allclose(more, known, rtol=1e-6)


@pytest.mark.parametrize(
    ("b", "match"),
    [
        (B.astype(np.float64), "one dtype"),
        (B[:, :5], "too small"),
        (B[:, :15], "not compatible|incompatible"),
        (B[0, 0], "rank"),
    ],
)
def test_what_cannot_be_compared(b, match):
    with pytest.raises(ValueError, match=match):
        run(lambda: tf.image.ssim(A, b, 1.0))
