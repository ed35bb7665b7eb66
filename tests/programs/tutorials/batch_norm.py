"""Batch normalisation by hand: moments, moving averages, and updates as control dependencies."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16
labels = data["labels"].astype(np.int64)


def batch_norm(x, is_training, scope, decay=0.8, epsilon=1e-3):
    with tf.variable_scope(scope):
        size = x.shape.as_list()[-1]
        beta = tf.get_variable("beta", [size], initializer=tf.zeros_initializer())
        gamma = tf.get_variable("gamma", [size], initializer=tf.ones_initializer())
        pop_mean = tf.get_variable(
            "pop_mean", [size], initializer=tf.zeros_initializer(), trainable=False
        )
        pop_var = tf.get_variable(
            "pop_var", [size], initializer=tf.ones_initializer(), trainable=False
        )
        batch_mean, batch_var = tf.nn.moments(x, [0], name="moments")
        update_mean = tf.assign(pop_mean, pop_mean * decay + batch_mean * (1 - decay))
        update_var = tf.assign(pop_var, pop_var * decay + batch_var * (1 - decay))
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update_mean)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update_var)
        mean = tf.where(is_training, batch_mean, pop_mean)
        var = tf.where(is_training, batch_var, pop_var)
        return tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon)


tf.set_random_seed(64)
x = tf.placeholder(tf.float32, [None, 64], name="x")
y = tf.placeholder(tf.int64, [None], name="y")
is_training = tf.placeholder_with_default(False, [], name="is_training")

w1 = tf.get_variable("w1", [64, 32], initializer=tf.variance_scaling_initializer(scale=2.0))
hidden = tf.nn.relu(batch_norm(tf.matmul(x, w1), is_training, "bn1"))
w2 = tf.get_variable("w2", [32, 10], initializer=tf.glorot_normal_initializer())
logits = tf.identity(tf.matmul(hidden, w2), name="logits")
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
accuracy = tf.reduce_mean(tf.to_float(tf.equal(tf.argmax(logits, axis=-1), y)))

update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
with tf.control_dependencies(update_ops):
    train_op = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)

losses = []
with tf.Session() as sess:
    sess.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    for i in range(28):
        rows = slice(i * 50, i * 50 + 50)
        feed = {x: images[rows], y: labels[rows], is_training: True}
        losses.append(sess.run([train_op, loss], feed)[1])
    test_accuracy, test_logits = sess.run([accuracy, logits], {x: images[1400:], y: labels[1400:]})
    values = {v.name: sess.run(v) for v in tf.global_variables()}

print("accuracy", test_accuracy)
results = {
    "losses": np.array(losses),
    "accuracy": test_accuracy,
    "logits": test_logits,
    "update_ops": [op.name for op in update_ops],
    "trainable": [v.name for v in tf.trainable_variables()],
    "tensors": [hidden.name, logits.name, loss.name, is_training.name],
}
results.update(values)
