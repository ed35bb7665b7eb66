"""Fit a line through noisy points with plain gradient descent."""

import numpy as np
import tensorflow.compat.v1 as tf

rng = np.random.RandomState(11)
train_x = rng.uniform(-2, 2, 50).astype(np.float32)
train_y = (1.7 * train_x - 0.6 + rng.normal(0, 0.1, 50)).astype(np.float32)

tf.set_random_seed(1)

X = tf.placeholder("float", name="X")
Y = tf.placeholder("float", name="Y")

W = tf.Variable(tf.random_normal([], stddev=0.5), name="weight")
b = tf.Variable(0.0, name="bias")

prediction = tf.add(tf.multiply(X, W), b, name="prediction")
n_samples = train_x.shape[0]
cost = tf.reduce_sum(tf.pow(prediction - Y, 2)) / (2 * n_samples)
train_op = tf.train.GradientDescentOptimizer(learning_rate=0.02).minimize(cost)

init = tf.global_variables_initializer()

losses = []
with tf.Session() as sess:
    sess.run(init)
    start = sess.run([W, b])
    for epoch in range(4):
        for x, y in zip(train_x[:10], train_y[:10]):
            sess.run(train_op, feed_dict={X: x, Y: y})
        c, w_now, b_now = sess.run([cost, W, b], feed_dict={X: train_x, Y: train_y})
        losses.append(c)
        print("epoch", epoch, "cost", c, "W", w_now, "b", b_now)
    for _ in range(20):
        sess.run(train_op, {X: train_x, Y: train_y})
        losses.append(sess.run(cost, {X: train_x, Y: train_y}))
    fitted = sess.run(prediction, {X: np.array([-1.0, 0.0, 3.0])})
    end = sess.run({"W": W, "b": b})

results = {
    "start": np.array(start),
    "losses": np.array(losses),
    "fitted": fitted,
    "W": end["W"],
    "b": end["b"],
    "names": [X.name, Y.name, W.name, b.name, prediction.name, cost.name, train_op.name, init.name],
    "shapes": [str(X.shape), str(W.shape), str(prediction.get_shape()), str(cost.shape)],
    "dtypes": [X.dtype.name, W.dtype.name, cost.dtype.name, repr(W.dtype)],
    "representation": [repr(X), repr(cost), repr(W)],
}
