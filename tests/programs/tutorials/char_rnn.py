"""A character model: one recurrent cell written by hand, trained with scan, sampled with while_loop."""

import numpy as np
import tensorflow.compat.v1 as tf

text = "the cat sat on the mat and the rat sat on the cat. " * 6
vocabulary = sorted(set(text))
to_id = {character: i for i, character in enumerate(vocabulary)}
ids = np.array([to_id[character] for character in text], np.int32)

batch_size, seq_length, hidden_size, vocab_size = 8, 12, 32, len(vocabulary)

tf.reset_default_graph()
tf.set_random_seed(99)
inputs = tf.placeholder(tf.int32, [batch_size, seq_length], name="inputs")
targets = tf.placeholder(tf.int32, [batch_size, seq_length], name="targets")

with tf.variable_scope("rnn", initializer=tf.random_normal_initializer(stddev=0.15)):
    Wxh = tf.get_variable("Wxh", [vocab_size, hidden_size])
    Whh = tf.get_variable("Whh", [hidden_size, hidden_size])
    Why = tf.get_variable("Why", [hidden_size, vocab_size])
    bh = tf.get_variable("bh", [hidden_size], initializer=tf.zeros_initializer())
    by = tf.get_variable("by", [vocab_size], initializer=tf.zeros_initializer())


def cell(state, x):
    return tf.tanh(tf.matmul(x, Wxh) + tf.matmul(state, Whh) + bh)


one_hot = tf.one_hot(tf.transpose(inputs), vocab_size)
states = tf.scan(cell, one_hot, initializer=tf.zeros([batch_size, hidden_size]), name="unroll")
flat = tf.reshape(tf.transpose(states, [1, 0, 2]), [-1, hidden_size])
logits = tf.matmul(flat, Why) + by
xent = tf.nn.sparse_softmax_cross_entropy_with_logits(
    labels=tf.reshape(targets, [-1]), logits=logits
)
loss = tf.reduce_mean(xent)

optimizer = tf.train.AdamOptimizer(0.02)
grads_and_vars = optimizer.compute_gradients(loss)
clipped = [(tf.clip_by_value(grad, -0.5, 0.5), var) for grad, var in grads_and_vars]
train_op = optimizer.apply_gradients(clipped)

first = tf.placeholder(tf.int32, [], name="first")


def step(i, last, state, written):
    state = cell(state, tf.one_hot(tf.reshape(last, [1]), vocab_size))
    following = tf.cast(tf.argmax(tf.matmul(state, Why) + by, 1)[0], tf.int32)
    return i + 1, following, state, written.write(i, following)


loop = tf.while_loop(
    lambda i, *_: i < 30,
    step,
    [0, first, tf.zeros([1, hidden_size]), tf.TensorArray(tf.int32, 30)],
)
sample = loop[3].stack()

losses = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for n in range(40):
        starts = (np.arange(batch_size) * 31 + n * 7) % (len(ids) - seq_length - 1)
        x = np.stack([ids[s : s + seq_length] for s in starts])
        y = np.stack([ids[s + 1 : s + seq_length + 1] for s in starts])
        losses.append(sess.run([loss, train_op], {inputs: x, targets: y})[0])
    written = sess.run(sample, {first: to_id["t"]})
    print("sample:", "t" + "".join(vocabulary[i] for i in written))
    values = {v.name: sess.run(v) for v in tf.trainable_variables()}
    states_value = sess.run(states, {inputs: x})

results = {
    "losses": np.array(losses),
    "sample": written,
    "states": states_value,
    "shapes": [states.shape.as_list(), logits.shape.as_list(), sample.shape.as_list()],
    "names": [inputs.name, first.name, loss.name],
}
results.update(values)
