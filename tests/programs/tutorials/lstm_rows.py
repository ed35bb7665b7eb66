"""Read digits row by row with an LSTM: unrolled by static_rnn, and as a loop by dynamic_rnn."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].astype(np.float32) / 16
labels = np.eye(10, dtype=np.float32)[data["labels"]]

num_input, timesteps, num_hidden, num_classes = 8, 8, 24, 10

tf.set_random_seed(5)
X = tf.placeholder("float", [None, timesteps, num_input])
Y = tf.placeholder("float", [None, num_classes])
lengths = tf.placeholder(tf.int32, [None])

weights = {"out": tf.Variable(tf.random_normal([num_hidden, num_classes], stddev=0.3), name="w")}
biases = {"out": tf.Variable(tf.zeros([num_classes]), name="b")}

with tf.variable_scope("reader") as scope:
    cell = tf.nn.rnn_cell.BasicLSTMCell(num_hidden, forget_bias=1.0)
    outputs, state = tf.nn.dynamic_rnn(cell, X, sequence_length=lengths, dtype=tf.float32)
    scope.reuse_variables()
    steps = tf.unstack(X, timesteps, 1)
    cell = tf.nn.rnn_cell.BasicLSTMCell(num_hidden, forget_bias=1.0)
    unrolled, unrolled_state = tf.nn.static_rnn(
        cell, steps, dtype=tf.float32, scope=tf.VariableScope(reuse=True, name="reader/rnn")
    )

logits = tf.matmul(state.h, weights["out"]) + biases["out"]
loss_op = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=logits, labels=Y))
optimizer = tf.train.AdamOptimizer(learning_rate=0.02)
variables = tf.trainable_variables()
gradients = tf.gradients(loss_op, variables)
clipped, norm = tf.clip_by_global_norm(gradients, 1.0)
train_op = optimizer.apply_gradients(zip(clipped, variables))
correct_pred = tf.equal(tf.argmax(logits, 1), tf.argmax(Y, 1))
accuracy = tf.reduce_mean(tf.cast(correct_pred, tf.float32))

losses, norms = [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    kernel = sess.run(variables[2])
    for step in range(25):
        rows = slice(step * 50, step * 50 + 50)
        feed = {X: images[rows], Y: labels[rows], lengths: [timesteps] * 50}
        _, loss, norm_now = sess.run([train_op, loss_op, norm], feed_dict=feed)
        losses.append(loss)
        norms.append(norm_now)
    everything = {X: images[1400:], Y: labels[1400:], lengths: [timesteps] * 397}
    accuracy_value = sess.run(accuracy, everything)
    whole = {X: images[:6], lengths: [timesteps] * 6}
    looped, stepwise = sess.run([outputs, tf.stack(unrolled, 1)], whole)
    ragged, (c, h) = sess.run([outputs, state], {X: images[:6], lengths: [8, 5, 3, 1, 0, 7]})
    final = {v.name: sess.run(v) for v in variables}

print("accuracy", accuracy_value, "loop differs from unrolled by", abs(looped - stepwise).max())
results = {
    "losses": np.array(losses),
    "norms": np.array(norms),
    "first_kernel": kernel,
    "accuracy": accuracy_value,
    "looped": looped,
    "unrolled": stepwise,
    "ragged": ragged,
    "ragged_c": c,
    "ragged_h": h,
    "variables": [v.name for v in tf.global_variables()],
    "shapes": [outputs.shape.as_list(), state.h.shape.as_list(), unrolled[0].shape.as_list()],
    "state_type": [type(state).__name__, list(state._fields)],
}
results.update(final)
