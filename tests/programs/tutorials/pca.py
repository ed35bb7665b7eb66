"""Principal components of the digits by SVD, and ordinary least squares by Cholesky."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float64)[:500] / 16

x = tf.placeholder(tf.float64, [None, 64], name="x")
k = tf.placeholder(tf.int32, [], name="k")

mean = tf.reduce_mean(x, axis=0, keepdims=True, name="mean")
centered = tf.subtract(x, mean, name="centered")
singular_values, u, v = tf.svd(centered, full_matrices=False)
explained = tf.square(singular_values) / tf.reduce_sum(tf.square(singular_values))
components = v[:, :k]
projected = tf.matmul(centered, components, name="projected")
restored = tf.matmul(projected, components, transpose_b=True) + mean
error = tf.reduce_mean(tf.squared_difference(restored, x), name="error")

count = tf.cast(tf.shape(x)[0], tf.float64)
covariance = tf.matmul(centered, centered, transpose_a=True) / (count - 1)
eigenvalues, eigenvectors = tf.self_adjoint_eig(covariance)

# Least squares: predict the last column of the projection's ink from the rest, with a little ridge.
a = tf.concat([x[:, :20], tf.ones([tf.shape(x)[0], 1], tf.float64)], axis=1)
b = tf.reduce_sum(x[:, 20:], axis=1, keepdims=True)
gram = tf.matmul(a, a, transpose_a=True) + 0.1 * tf.eye(21, dtype=tf.float64)
factor = tf.cholesky(gram)
by_cholesky = tf.cholesky_solve(factor, tf.matmul(a, b, transpose_a=True))
by_solve = tf.matrix_solve(gram, tf.matmul(tf.transpose(a), b))
by_inverse = tf.matmul(tf.matrix_inverse(gram), tf.matmul(a, b, transpose_a=True))
half_log_det = tf.reduce_sum(tf.log(tf.diag_part(factor)))
trace = tf.trace(covariance)

feed = {x: images}
losses = []
with tf.Session() as sess:
    values, share, largest = sess.run([singular_values, explained, eigenvalues[-10:]], feed)
    for kept in (1, 2, 5, 10, 20, 40):
        losses.append(sess.run(error, {x: images, k: kept}))
        print(kept, "components: error", losses[-1])
    two = sess.run(projected, {x: images, k: 2})
    solutions = sess.run([by_cholesky, by_solve, by_inverse], feed)
    log_det, trace_value = sess.run([half_log_det, trace], feed)
    lower = sess.run(factor, feed)

results = {
    "losses": np.array(losses),
    "singular_values": values[:50],
    "explained": share[:50],
    "eigenvalues": largest,
    "distances": np.sqrt((two**2).sum(1)),  # the signs of the components are anybody's choice
    "by_cholesky": solutions[0],
    "by_solve": solutions[1],
    "by_inverse": solutions[2],
    "factor": lower,
    "half_log_det": log_det,
    "trace": trace_value,
    "names": [mean.name, centered.name, projected.name, error.name, singular_values.name, v.name],
    "shapes": [mean.shape.as_list(), v.shape.as_list(), components.shape.as_list(), str(u.shape)],
}
