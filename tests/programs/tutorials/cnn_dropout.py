"""A small convolutional network with max pooling and dropout."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16
labels = np.eye(10, dtype=np.float32)[data["labels"]]

tf.set_random_seed(2016)


def weight_variable(shape, name):
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1), name=name)


def bias_variable(shape, name):
    return tf.Variable(tf.constant(0.1, shape=shape), name=name)


def conv2d(x, W):
    return tf.nn.conv2d(x, W, strides=[1, 1, 1, 1], padding="SAME")


def max_pool_2x2(x):
    return tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


x = tf.placeholder(tf.float32, [None, 64], name="x")
y_ = tf.placeholder(tf.float32, [None, 10], name="y_")
keep_prob = tf.placeholder(tf.float32, name="keep_prob")

x_image = tf.reshape(x, [-1, 8, 8, 1])
W_conv1 = weight_variable([3, 3, 1, 8], "W_conv1")
b_conv1 = bias_variable([8], "b_conv1")
h_conv1 = tf.nn.relu(conv2d(x_image, W_conv1) + b_conv1)
h_pool1 = max_pool_2x2(h_conv1)

W_conv2 = weight_variable([3, 3, 8, 16], "W_conv2")
b_conv2 = bias_variable([16], "b_conv2")
h_conv2 = tf.nn.relu(conv2d(h_pool1, W_conv2) + b_conv2)
h_pool2 = max_pool_2x2(h_conv2)

h_flat = tf.reshape(h_pool2, [-1, 2 * 2 * 16])
W_fc1 = weight_variable([64, 32], "W_fc1")
b_fc1 = bias_variable([32], "b_fc1")
h_fc1 = tf.nn.relu(tf.matmul(h_flat, W_fc1) + b_fc1)
h_drop = tf.nn.dropout(h_fc1, keep_prob)

W_fc2 = weight_variable([32, 10], "W_fc2")
b_fc2 = bias_variable([10], "b_fc2")
y_conv = tf.matmul(h_drop, W_fc2) + b_fc2

cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y_conv))
train_step = tf.train.AdamOptimizer(2e-3).minimize(cross_entropy)
correct = tf.equal(tf.argmax(y_conv, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))

losses, training_losses = [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    kept = sess.run(h_drop, {x: images[:8], keep_prob: 0.5}) != 0
    everything = {x: images[1400:], y_: labels[1400:], keep_prob: 1.0}
    losses.append(cross_entropy.eval(everything))
    for i in range(30):
        rows = slice(i * 40, (i + 1) * 40)
        feed = {x: images[rows], y_: labels[rows], keep_prob: 0.7}
        training_losses.append(sess.run([train_step, cross_entropy], feed_dict=feed)[1])
        if i % 10 == 9:
            losses.append(cross_entropy.eval(everything))
            print("step", i + 1, "test loss", losses[-1])
    accuracy_value = accuracy.eval(everything)
    features = sess.run([h_pool1, h_pool2], {x: images[:4]})
    values = sess.run(tf.trainable_variables())

results = {
    "losses": np.array(losses),
    "training_losses": np.array(training_losses),
    "kept_by_dropout": kept,
    "accuracy": accuracy_value,
    "pool1": features[0],
    "pool2": features[1],
    "tensors": [h_conv1.name, h_pool1.name, h_pool2.name, h_drop.name, y_conv.name, accuracy.name],
    "shapes": [t.shape.as_list() for t in (x_image, h_conv1, h_pool1, h_pool2, h_drop, y_conv)],
}
results.update({v.name: value for v, value in zip(tf.trainable_variables(), values)})
