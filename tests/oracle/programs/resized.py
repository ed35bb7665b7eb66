"""Images in another size: how far one pixel, or one gradient, that is not a number reaches."""

import numpy as np

SIZES = [(3, 3), (8, 10), (4, 5), (2, 9)]
SAMPLINGS = {"corners": (True, False), "centres": (False, True), "plain": (False, False)}


def resizings(tf):
    raw = tf.raw_ops
    for name, op in (("bilinear", raw.ResizeBilinear), ("bicubic", raw.ResizeBicubic)):
        for sampling, (align, half) in SAMPLINGS.items():
            for size in SIZES:
                more = {"align_corners": align, "half_pixel_centers": half}
                yield f"{name} {sampling} {size}", op, {"size": list(size), **more}
    for size in SIZES:
        for align in (True, False):
            more = {"size": list(size), "align_corners": align}
            yield f"area {align} {size}", raw.ResizeArea, more


def images(*shape):
    found = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found[0, 1, 2, 0] = found[1, 0, 0, 1] = np.nan
    return found


def case_spoiled_pixels(tf):
    x = tf.constant(images(2, 4, 5, 2))
    made = {name: op(images=x, **options) for name, op, options in resizings(tf)}
    with tf.Session() as session:
        return {name: np.isnan(value) for name, value in session.run(made).items()}


def case_one_row(tf):
    x = tf.constant([[[[3.0], [5.0], [4.0], [1.0]]]])
    raw, options = tf.raw_ops, {"size": [2, 3]}
    with tf.Session() as session:
        return {
            f"{op} {align}": session.run(getattr(raw, op)(images=x, align_corners=align, **options))
            for op in ("ResizeArea", "ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor")
            for align in (True, False)
        }


def case_spoiled_gradients(tf):
    x = tf.zeros([2, 4, 5, 2])
    made = {}
    for name, op, options in resizings(tf):
        if not name.startswith("area"):  # TensorFlow has no gradient there
            y = op(images=x, **options)
            made[name] = tf.gradients(y, x, images(2, *options["size"], 2))[0]
    with tf.Session() as session:
        return {name: np.isnan(value) for name, value in session.run(made).items()}
