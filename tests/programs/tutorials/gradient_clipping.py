"""Gradients taken apart: compute, clip by value, norm and global norm, and apply."""

import numpy as np
import tensorflow.compat.v1 as tf

rng = np.random.RandomState(31)
features = rng.normal(size=[200, 6]).astype(np.float32)
targets = (np.abs(features[:, :1]) * 3 + features[:, 1:2] ** 2).astype(np.float32)

tf.set_random_seed(10)
x = tf.placeholder_with_default(features, [None, 6], name="x")
y = tf.placeholder_with_default(targets, [None, 1], name="y")

with tf.variable_scope("net"):
    init = tf.random_normal_initializer(0.0, 0.5, seed=2)
    w1 = tf.get_variable("w1", [6, 20], initializer=init)
    b1 = tf.get_variable("b1", [20], initializer=tf.zeros_initializer())
    w2 = tf.get_variable("w2", [20, 1], initializer=init)
    unused = tf.get_variable("unused", [2], initializer=tf.ones_initializer())
hidden = tf.nn.relu(tf.matmul(x, w1) + b1)
output = tf.matmul(hidden, w2)
loss = tf.reduce_mean(tf.square(output - y))

global_step = tf.train.create_global_step()
starter_rate = 0.05
rate = tf.train.inverse_time_decay(starter_rate, global_step, 10, 0.5)
optimizer = tf.train.GradientDescentOptimizer(rate)

pairs = optimizer.compute_gradients(loss)
without = [var.name for grad, var in pairs if grad is None]
pairs = [(grad, var) for grad, var in pairs if grad is not None]

by_value = [(tf.clip_by_value(grad, -0.2, 0.2), var) for grad, var in pairs]
by_norm = [(tf.clip_by_norm(grad, 0.5), var) for grad, var in pairs]
clipped, global_norm = tf.clip_by_global_norm([grad for grad, _ in pairs], 1.0)
by_global_norm = list(zip(clipped, [var for _, var in pairs]))

train_ops = [
    optimizer.apply_gradients(kind, global_step=global_step, name=name)
    for kind, name in (
        (by_value, "by_value"),
        (by_norm, "by_norm"),
        (by_global_norm, "by_global_norm"),
    )
]

# How the loss answers to its inputs, and to a half-hearted gradient.
saliency = tf.reduce_mean(tf.abs(tf.gradients(loss, x)[0]), axis=0)
halved = tf.gradients([loss], [w2], grad_ys=[tf.constant(0.5)])[0]
frozen = tf.reduce_mean(tf.square(tf.matmul(tf.stop_gradient(hidden), w2) - y))
no_path = tf.gradients(frozen, [w1, w2])
curvature = tf.gradients(tf.gradients(loss, w2)[0], w2)[0]

losses, norms, largest = [], [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(36):
        loss_now, norm_now, clip_now, _ = sess.run([loss, global_norm, clipped, train_ops[i % 3]])
        losses.append(loss_now)
        norms.append(norm_now)
        largest.append(max(np.abs(grad).max() for grad in clip_now))
    looks = sess.run([saliency, halved, no_path[1], curvature])
    rate_now, step_now = sess.run([rate, global_step])
    values = {v.name: sess.run(v) for v in tf.trainable_variables()}

results = {
    "losses": np.array(losses),
    "norms": np.array(norms),
    "largest": np.array(largest),
    "saliency": looks[0],
    "halved": looks[1],
    "frozen": looks[2],
    "curvature": looks[3],
    "no_path": [grad is None for grad in no_path],
    "without_gradient": without,
    "rate": rate_now,
    "step": step_now,
    "step_name": global_step.name,
    "train_ops": [op.name for op in train_ops],
}
results.update(values)
