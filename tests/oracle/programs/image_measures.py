"""Colour spaces, edges, likeness and borders of images."""

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
RNG = np.random.default_rng(3)
X = RNG.random((2, 5, 6, 3)).astype(np.float32)
Y = np.clip(X + 0.1 * RNG.standard_normal(X.shape), 0, 1).astype(np.float32)


def _run(tf, **tensors):
    with tf.Session() as session:
        return session.run(tensors)


def case_colour_spaces(tf):
    x = tf.constant(X)
    return _run(
        tf, yiq=tf.image.rgb_to_yiq(x), yuv=tf.image.rgb_to_yuv(x), from_yiq=tf.image.yiq_to_rgb(x),
        from_yuv=tf.image.yuv_to_rgb(x),
    )  # fmt: skip


def case_slopes(tf):
    dy, dx = tf.image.image_gradients(tf.constant(X))
    return _run(tf, dy=dy, dx=dx, sobel=tf.image.sobel_edges(tf.constant(X)))


def case_likeness(tf):
    bytes_ = [(v * 255).astype(np.uint8) for v in (X, Y)]
    return _run(
        tf, floats=tf.image.psnr(X, Y, max_val=1.0), bytes=tf.image.psnr(*bytes_, max_val=255)
    )


def case_borders(tf):
    x = tf.constant(X)
    return _run(
        tf, wide=tf.image.resize_image_with_pad(x, 6, 12), high=tf.image.resize_image_with_pad(x, 12, 4),
        single=tf.image.resize_image_with_pad(x[0], 3, 3), plain=tf.image.resize(x, [3, 4]),
    )  # fmt: skip


def case_suppression(tf):
    boxes = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 10, 1, 11]], np.float32)
    scores = np.array([0.9, 0.75, 0.6], np.float32)
    places, values = tf.image.non_max_suppression_with_scores(boxes, scores, 3, soft_nms_sigma=0.5)
    padded, count = tf.image.non_max_suppression_padded(
        boxes, scores, 3, pad_to_max_output_size=True
    )
    return _run(
        tf, plain=tf.image.non_max_suppression(boxes, scores, 3), places=places, values=values, padded=padded, count=count,
        crops=tf.image.crop_and_resize(X, boxes[:2] / 2, [0, 1], [2, 3]),
        patches=tf.extract_image_patches(X, [1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "VALID"),
    )  # fmt: skip
