"""Softmax regression on handwritten digits, in an interactive session."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16
labels = np.eye(10, dtype=np.float32)[data["labels"]]
train_images, test_images = images[:1400], images[1400:]
train_labels, test_labels = labels[:1400], labels[1400:]

learning_rate = 0.5
batch_size = 100

sess = tf.InteractiveSession()

x = tf.placeholder(tf.float32, shape=[None, 64])
y_ = tf.placeholder(tf.float32, shape=[None, 10])
W = tf.Variable(tf.zeros([64, 10]))
b = tf.Variable(tf.zeros([10]))

y = tf.nn.softmax(tf.matmul(x, W) + b)
cross_entropy = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(y + 1e-8), reduction_indices=[1]))
train_step = tf.train.GradientDescentOptimizer(learning_rate).minimize(cross_entropy)

correct_prediction = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct_prediction, tf.float32))

tf.global_variables_initializer().run()

losses = []
for epoch in range(3):
    for i in range(len(train_images) // batch_size):
        rows = slice(i * batch_size, (i + 1) * batch_size)
        feed = {x: train_images[rows], y_: train_labels[rows]}
        _, loss = sess.run([train_step, cross_entropy], feed_dict=feed)
        losses.append(loss)
    print("epoch", epoch, "loss", losses[-1])

test = {x: test_images, y_: test_labels}
print("accuracy", accuracy.eval(feed_dict=test))

results = {
    "losses": np.array(losses),
    "accuracy": accuracy.eval(test),
    "correct": correct_prediction.eval(test),
    "predicted": tf.argmax(y, 1).eval({x: test_images}),
    "probabilities": y.eval({x: test_images[:5]}),
    "W": W.eval(),
    "b": b.eval(),
    "names": [x.name, y_.name, W.name, b.name, y.name, accuracy.name, train_step.name],
    "shapes": [x.get_shape().as_list(), y.get_shape().as_list(), accuracy.shape.as_list()],
    "trainable": [v.op.name for v in tf.trainable_variables()],
}
sess.close()
