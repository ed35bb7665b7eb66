"""Skip-gram word vectors, trained once with noise-contrastive estimation and once with a full softmax."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

sentences = [
    "the king rules the old castle",
    "the queen rules the old castle",
    "a dog chases a cat in the garden",
    "a cat chases a mouse in the garden",
    "the king and the queen love the garden",
    "the dog and the cat love a mouse",
]
words = " ".join(sentences * 3).split()
counts = collections.Counter(words).most_common()
dictionary = {word: i for i, (word, _) in enumerate(counts)}
reverse_dictionary = {i: word for word, i in dictionary.items()}
corpus = [dictionary[word] for word in words]
pairs = [
    (corpus[i], corpus[j])
    for i in range(len(corpus))
    for j in range(max(0, i - 2), min(len(corpus), i + 3))
    if i != j
]
np.random.RandomState(3).shuffle(pairs)

vocabulary_size, embedding_size, batch_size, num_sampled = len(dictionary), 12, 32, 5
valid_examples = np.array([dictionary[word] for word in ("king", "cat", "garden")], np.int32)

tf.set_random_seed(21)
train_inputs = tf.placeholder(tf.int32, shape=[batch_size], name="inputs")
train_labels = tf.placeholder(tf.int32, shape=[batch_size, 1], name="labels")
valid_dataset = tf.constant(valid_examples, dtype=tf.int32)

embeddings = tf.Variable(
    tf.random_uniform([vocabulary_size, embedding_size], -1.0, 1.0), name="embeddings"
)
embed = tf.nn.embedding_lookup(embeddings, train_inputs)

nce_weights = tf.Variable(
    tf.truncated_normal([vocabulary_size, embedding_size], stddev=1.0 / np.sqrt(embedding_size)),
    name="nce_weights",
)
nce_biases = tf.Variable(tf.zeros([vocabulary_size]), name="nce_biases")

nce_loss = tf.reduce_mean(
    tf.nn.nce_loss(
        weights=nce_weights,
        biases=nce_biases,
        labels=train_labels,
        inputs=embed,
        num_sampled=num_sampled,
        num_classes=vocabulary_size,
        sampled_values=tf.nn.log_uniform_candidate_sampler(
            tf.cast(train_labels, tf.int64), 1, num_sampled, True, vocabulary_size, seed=4
        ),
    )
)
logits = tf.matmul(embed, nce_weights, transpose_b=True) + nce_biases
softmax_loss = tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.squeeze(train_labels, [1]), logits=logits
    )
)
nce_train = tf.train.GradientDescentOptimizer(0.3).minimize(nce_loss)
softmax_train = tf.train.GradientDescentOptimizer(0.5).minimize(softmax_loss)

norm = tf.sqrt(tf.reduce_sum(tf.square(embeddings), 1, keep_dims=True))
normalized = embeddings / norm
valid_embeddings = tf.nn.embedding_lookup(normalized, valid_dataset)
similarity = tf.matmul(valid_embeddings, normalized, transpose_b=True)

losses, nce_losses = [], []
with tf.Session() as session:
    tf.global_variables_initializer().run()
    first = embeddings.eval()
    for step in range(30):
        batch = np.take(pairs, range(step * batch_size, (step + 1) * batch_size), 0, mode="wrap")
        feed_dict = {train_inputs: batch[:, 0], train_labels: batch[:, 1:]}
        losses.append(session.run(softmax_loss, feed_dict))
        # Only its own training waits for a loss: beside another's, it might see variables already changed.
        if step % 2:
            nce_losses.append(session.run(nce_loss, feed_dict))
            session.run(softmax_train, feed_dict)
        else:
            nce_losses.append(session.run([nce_loss, nce_train], feed_dict)[0])
    sim = similarity.eval()
    final_embeddings, final_weights, final_biases = session.run(
        [normalized, nce_weights, nce_biases]
    )

for i, word in enumerate(valid_examples):
    nearest = (-sim[i]).argsort()[1:4]
    print("nearest to", reverse_dictionary[word], [reverse_dictionary[k] for k in nearest])
results = {
    "losses": np.array(losses),
    "nce_losses": np.array(nce_losses),
    "first": first,
    "similarity": sim,
    "embeddings": final_embeddings,
    "weights": final_weights,
    "biases": final_biases,
    "names": [embed.name, nce_loss.name, similarity.name, nce_train.name],
}
