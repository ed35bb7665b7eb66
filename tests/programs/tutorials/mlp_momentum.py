"""A two-layer network made of tf.Variable; the learning rate is a placeholder and falls by hand."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 8 - 1
labels = np.eye(10)[data["labels"]]

graph = tf.Graph()
with graph.as_default():
    tf.set_random_seed(42)
    inputs = tf.placeholder(tf.float32, (None, 64), "inputs")
    targets = tf.placeholder(tf.float32, (None, 10), "targets")
    learning_rate = tf.placeholder(tf.float32, [], "learning_rate")

    with tf.name_scope("hidden"):
        weights_1 = tf.Variable(
            tf.truncated_normal([64, 40], stddev=1.0 / np.sqrt(64.0)), name="weights"
        )
        biases_1 = tf.Variable(tf.zeros([40]), name="biases")
        hidden = tf.nn.sigmoid(tf.matmul(inputs, weights_1) + biases_1)
    with tf.name_scope("softmax"):
        weights_2 = tf.Variable(
            tf.random_uniform([40, 10], -0.2, 0.2, dtype=tf.float32, seed=7), name="weights"
        )
        biases_2 = tf.Variable(tf.zeros([10]), name="biases")
        logits = tf.matmul(hidden, weights_2) + biases_2

    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=targets, logits=logits))
    momentum = tf.train.MomentumOptimizer(learning_rate, momentum=0.9)
    nesterov = tf.train.MomentumOptimizer(learning_rate, 0.5, use_nesterov=True, name="Nesterov")
    warm_up = nesterov.minimize(loss, var_list=[weights_2, biases_2])
    train = momentum.minimize(loss)
    errors = tf.not_equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
    error_rate = tf.reduce_mean(tf.cast(errors, tf.float32), name="error_rate")
    init = tf.global_variables_initializer()

losses = []
with tf.Session(graph=graph) as session:
    session.run(init)
    rate = 0.5
    for step in range(45):
        rows = slice(step * 30, step * 30 + 30)
        feed = {inputs: images[rows], targets: labels[rows], learning_rate: rate}
        update = warm_up if step < 5 else train
        losses.append(session.run([loss, update], feed)[0])
        if step % 15 == 14:
            rate *= 0.5
    test = {inputs: images[1400:], targets: labels[1400:]}
    test_error = session.run("error_rate:0", test)
    print("test error", test_error)
    with graph.as_default():
        values = {v.name: v.eval(session) for v in tf.global_variables()}

results = {
    "losses": np.array(losses),
    "test_error": test_error,
    "tensors": [hidden.name, logits.name, loss.name, train.name, warm_up.name, init.name],
    "hidden_ops": [
        op.name for op in graph.get_operations() if op.name.startswith(("hidden", "softmax/"))
    ],
    "slot": momentum.get_slot(weights_1, "momentum").name,
    "missing_slot": momentum.get_slot(weights_1, "nothing"),
}
results.update(values)
