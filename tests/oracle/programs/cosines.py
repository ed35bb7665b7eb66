"""Cosine transforms of all types and norms, cut off and filled up, as TensorFlow computes them."""

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
X = np.random.default_rng(5).standard_normal((2, 6)).astype(np.float32)
KINDS = [(1, None), (2, None), (3, None), (4, None), (2, "ortho"), (3, "ortho"), (4, "ortho")]


def _all(tf, transform, **more):
    with tf.Session() as session:
        return {
            f"{kind} {norm}": session.run(transform(X, type=kind, norm=norm, **more))
            for kind, norm in KINDS
        }


def case_dct(tf):
    return _all(tf, tf.spectral.dct)


def case_idct(tf):
    return _all(tf, tf.spectral.idct)


def case_dct_cut(tf):
    return _all(tf, tf.spectral.dct, n=4)


def case_dct_filled(tf):
    return _all(tf, tf.spectral.dct, n=9)


def case_names(tf):
    y = tf.spectral.rfft(X)
    z = tf.spectral.irfft(y)
    return {"shapes": [y.shape.as_list(), z.shape.as_list()], "names": [y.name, z.name]}
