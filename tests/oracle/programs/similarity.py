"""Structural similarity of images, as TensorFlow computes it."""

import numpy as np

TOLERANCE = {"rtol": 2e-4, "atol": 2e-5}
RANDOM = np.random.default_rng(8)
A = RANDOM.uniform(size=(2, 24, 21, 3)).astype(np.float32)
B = np.clip(A + RANDOM.normal(size=A.shape).astype(np.float32) * 0.1, 0, 1)
WIDE = RANDOM.uniform(size=(2, 61, 50, 1)).astype(np.float32)
NEAR = np.clip(WIDE + RANDOM.normal(size=WIDE.shape).astype(np.float32) * 0.2, 0, 1)


def _run(tensor):
    return {"value": tensor.eval(), "shape": tensor.shape.as_list()}


def case_one_scale(tf):
    with tf.Session():
        return _run(tf.image.ssim(A, B, 1.0))


def case_small_window(tf):
    with tf.Session():
        return _run(tf.image.ssim(A, B, 2.0, filter_size=4, filter_sigma=0.7, k1=0.1, k2=0.2))


def case_whole_numbers(tf):
    with tf.Session():
        return _run(tf.image.ssim((A * 255).astype(np.uint8), (B * 255).astype(np.uint8), 255))


def case_no_batch(tf):
    with tf.Session():
        return _run(tf.image.ssim(A[0], B[0], 1.0))


def case_more_axes(tf):
    with tf.Session():
        return _run(tf.image.ssim(A[None], B[None], 1.0))


def case_places(tf):
    with tf.Session():
        return _run(tf.image.ssim(A, B, 1.0, return_index_map=True))


def case_scales(tf):
    with tf.Session():
        found = tf.image.ssim_multiscale(WIDE, NEAR, 1.0, [0.3, 0.3, 0.4])
        return {"value": found.eval(), "shape": found.shape.as_list()}


def case_five_scales(tf):
    with tf.Session():
        return {"value": tf.image.ssim_multiscale(WIDE, NEAR, 1.0, filter_size=3).eval()}


def case_gradient(tf):
    a = tf.constant(A)
    (slope,) = tf.gradients(tf.image.ssim(a, B, 1.0), a)
    with tf.Session() as session:
        return {"slope": session.run(slope)}
