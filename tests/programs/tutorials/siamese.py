"""Two images through one network: shared variables, and a contrastive loss on their distance."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16
labels = data["labels"]
margin = 2.0


def layer(inputs, units, name):
    width = inputs.get_shape().as_list()[-1]
    with tf.variable_scope(name):
        w = tf.get_variable(
            "W", [width, units], tf.float32, tf.truncated_normal_initializer(0, 0.1)
        )
        b = tf.get_variable("b", initializer=tf.constant(0.01, shape=[units], dtype=tf.float32))
        return tf.nn.bias_add(tf.matmul(inputs, w), b)


def network(inputs):
    hidden = tf.nn.relu(layer(inputs, 32, "fc1"))
    return layer(hidden, 4, "fc2")


tf.set_random_seed(3)
left = tf.placeholder(tf.float32, [None, 64], name="left")
right = tf.placeholder(tf.float32, [None, 64], name="right")
same = tf.placeholder(tf.float32, [None], name="same")

with tf.variable_scope("siamese") as scope:
    out1 = network(left)
    scope.reuse_variables()
    out2 = network(right)
with tf.variable_scope("siamese", reuse=tf.AUTO_REUSE):
    out3 = network(left)
with tf.variable_scope(scope, reuse=True):
    again = tf.get_variable("fc1/W")

messages = []
try:
    with tf.variable_scope("siamese"):
        network(left)
except ValueError as error:
    messages.append(str(error).split(".")[0])
try:
    with tf.variable_scope("siamese", reuse=True):
        tf.get_variable("fc3/W", [4, 4])
except ValueError as error:
    messages.append(str(error).split(".")[0])

squared = tf.reduce_sum(tf.squared_difference(out1, out2), axis=1)
distance = tf.sqrt(squared + 1e-6, name="distance")
push = tf.square(tf.maximum(margin - distance, 0))
loss = tf.reduce_mean(same * squared + (1 - same) * push, name="contrastive")
train = tf.train.GradientDescentOptimizer(0.05).minimize(loss)

losses = []
rng = np.random.RandomState(6)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(40):
        a, b = rng.randint(0, 1400, 48), rng.randint(0, 1400, 48)
        b[::2] = [rng.choice(np.flatnonzero(labels[:1400] == labels[i])) for i in a[::2]]
        equal = (labels[a] == labels[b]).astype(np.float32)
        feed = {left: images[a], right: images[b], same: equal}
        _, value = sess.run([train, loss], feed_dict=feed)
        losses.append(value)
    embedded, embedded_again = sess.run([out1, out3], {left: images[1400:1420]})
    apart = distance.eval({left: images[1400:1410], right: images[1410:1420]})
    values = {v.name: sess.run(v) for v in tf.trainable_variables()}

results = {
    "losses": np.array(losses),
    "embedded": embedded,
    "embedded_again": embedded_again,
    "apart": apart,
    "is_the_same_variable": again is tf.trainable_variables()[0],
    "variables": [v.name for v in tf.global_variables()],
    "tensors": [out1.name, out2.name, out3.name, distance.name, loss.name],
    "messages": messages,
}
results.update(values)
