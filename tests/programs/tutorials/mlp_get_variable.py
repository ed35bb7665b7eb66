"""A multilayer perceptron from get_variable in variable scopes, trained with Adam and weight decay."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16
labels = data["labels"].astype(np.int32)

tf.set_random_seed(1234)


def fully_connected(inputs, units, scope, activation=None):
    with tf.variable_scope(scope):
        w = tf.get_variable(
            "weights",
            [inputs.get_shape()[1].value, units],
            initializer=tf.truncated_normal_initializer(stddev=0.1),
            regularizer=lambda value: 1e-4 * tf.nn.l2_loss(value),
        )
        b = tf.get_variable("biases", [units], initializer=tf.constant_initializer(0.1))
        out = tf.matmul(inputs, w) + b
        return activation(out) if activation is not None else out


x = tf.placeholder(tf.float32, [None, 64], name="images")
y = tf.placeholder(tf.int32, [None], name="labels")

with tf.variable_scope("mlp", initializer=tf.glorot_uniform_initializer()):
    h1 = fully_connected(x, 48, "hidden1", tf.nn.relu)
    h2 = fully_connected(h1, 32, "hidden2", tf.nn.tanh)
    with tf.variable_scope("output"):
        w = tf.get_variable("weights", [32, 10])
        b = tf.get_variable("biases", [10], initializer=tf.zeros_initializer())
        logits = tf.nn.bias_add(tf.matmul(h2, w), b, name="logits")

with tf.name_scope("loss"):
    xent = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits, name="xent")
    data_loss = tf.reduce_mean(xent, name="data")
    decay = tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES), name="decay")
    loss = tf.add(data_loss, decay, name="total")

with tf.name_scope("train"):
    global_step = tf.Variable(0, name="global_step", trainable=False)
    optimizer = tf.train.AdamOptimizer(learning_rate=0.005)
    train_op = optimizer.minimize(loss, global_step=global_step)

with tf.name_scope("evaluation"):
    correct = tf.nn.in_top_k(logits, y, 1)
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32), name="accuracy")

losses = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = {v.name: sess.run(v) for v in tf.trainable_variables()}
    rng = np.random.RandomState(0)
    for step in range(40):
        rows = rng.randint(0, 1400, 64)
        _, loss_value = sess.run([train_op, loss], {x: images[rows], y: labels[rows]})
        losses.append(loss_value)
        if step % 10 == 0:
            print("step", step, "loss", loss_value)
    held_out = {x: images[1400:], y: labels[1400:]}
    accuracy_value, logits_value, step_value = sess.run([accuracy, logits, global_step], held_out)
    slots = {v.name: sess.run(v) for v in tf.global_variables()}

results = {
    "losses": np.array(losses),
    "accuracy": accuracy_value,
    "logits": logits_value,
    "step": step_value,
    "variables": [v.name for v in tf.global_variables()],
    "trainable": [v.op.name for v in tf.trainable_variables()],
    "in_hidden1": [v.name for v in tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, "mlp/hidden1")],
    "regularizers": [t.name for t in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)],
    "tensors": [h1.name, h2.name, logits.name, loss.name, accuracy.name, train_op.name],
    "slot_names": optimizer.get_slot_names(),
}
results.update({f"first {name}": value for name, value in first.items()})
results.update({f"last {name}": value for name, value in slots.items()})
