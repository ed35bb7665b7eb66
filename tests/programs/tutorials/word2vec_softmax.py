"""Skip-gram word vectors with a full softmax; looks rows up, so the gradient is IndexedSlices."""

import numpy as np
import tensorflow.compat.v1 as tf

text = (
    "red fox jumps over blue river and blue fish swims under red bridge "
    "green fox sleeps under green tree and blue bird sings over red tree "
) * 4
words = text.split()
vocabulary = sorted(set(words))
ids = [vocabulary.index(word) for word in words]
pairs = [(ids[i], ids[i + d]) for i in range(2, len(ids) - 2) for d in (-2, -1, 1, 2)]
np.random.RandomState(9).shuffle(pairs)

size, dimension, batch = len(vocabulary), 8, 16

tf.set_random_seed(30)
center = tf.placeholder(tf.int32, [None], name="center")
context = tf.placeholder(tf.int64, [None], name="context")
with tf.variable_scope("word2vec"):
    embedding = tf.get_variable(
        "embedding", [size, dimension], initializer=tf.random_uniform_initializer(-0.5, 0.5)
    )
    softmax_w = tf.get_variable("softmax_w", [dimension, size])
    softmax_b = tf.get_variable("softmax_b", [size], initializer=tf.zeros_initializer)
rows = tf.gather(embedding, center, name="rows")
logits = tf.matmul(rows, softmax_w) + softmax_b
loss = tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=context, logits=logits), name="loss"
)

step = tf.train.get_or_create_global_step()
rate = tf.train.exponential_decay(0.5, step, decay_steps=10, decay_rate=0.8, staircase=True)
sgd = tf.train.GradientDescentOptimizer(rate)
pairs_of = sgd.compute_gradients(loss)
sparse = [isinstance(gradient, tf.IndexedSlices) for gradient, _ in pairs_of]
train_sgd = sgd.apply_gradients(pairs_of, global_step=step)
train_momentum = tf.train.MomentumOptimizer(rate, 0.8).minimize(loss, global_step=step)
train_adam = tf.train.AdamOptimizer(0.02).minimize(loss, global_step=step)

nearest = tf.argmax(tf.matmul(embedding, embedding, transpose_b=True), axis=1)

losses, rates = [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    slices = sess.run(pairs_of[0][0], {center: [3, 1, 3], context: [0, 1, 2]})
    for n in range(36):
        chunk = np.take(pairs, range(n * batch, (n + 1) * batch), axis=0, mode="wrap")
        feed = {center: chunk[:, 0], context: chunk[:, 1]}
        train = (train_sgd, train_momentum, train_adam)[n // 12]
        rates.append(sess.run(rate))
        losses.append(sess.run([loss, train], feed)[0])
    neighbours = sess.run(nearest)
    values = {v.name: sess.run(v) for v in tf.global_variables()}

for word in ("red", "fox"):
    print(word, "->", vocabulary[neighbours[vocabulary.index(word)]])
results = {
    "losses": np.array(losses),
    "rates": np.array(rates),
    "sparse_gradients": sparse,
    "slices_values": slices.values,
    "slices_indices": slices.indices,
    "slices_shape": slices.dense_shape,
    "neighbours": neighbours,
    "names": [rows.name, logits.name, loss.name, rate.name],
}
results.update(values)
