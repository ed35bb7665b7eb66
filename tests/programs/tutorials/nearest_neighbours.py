"""Classify digits by their nearest neighbours: one by argmin, several by top_k and a vote."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16
labels = data["labels"].astype(np.int64)
test_images, test_labels = images[1700:], labels[1700:]

xtr = tf.placeholder("float", [None, 64])
xte = tf.placeholder("float", [64])
distance = tf.reduce_sum(tf.abs(tf.add(xtr, tf.negative(xte))), reduction_indices=1)
pred = tf.argmin(distance, 0)

known = tf.placeholder(tf.float32, [None, 64], "known")
known_labels = tf.placeholder(tf.int64, [None], "known_labels")
asked = tf.placeholder(tf.float32, [None, 64], "asked")
asked_labels = tf.placeholder(tf.int64, [None], "asked_labels")

squares = tf.reduce_sum(known**2, 1) - 2.0 * tf.matmul(asked, known, transpose_b=True)
values, indices = tf.nn.top_k(-squares, k=5, name="nearest")
votes = tf.reduce_sum(tf.one_hot(tf.gather(known_labels, indices), 10), axis=1)
answer = tf.argmax(votes, axis=1, name="answer")
wrong = 1.0 - tf.reduce_mean(tf.cast(tf.equal(answer, asked_labels), tf.float32))
matrix = tf.confusion_matrix(asked_labels, answer, num_classes=10)
hard = tf.boolean_mask(asked_labels, tf.not_equal(answer, asked_labels))
where_wrong = tf.where(tf.not_equal(answer, asked_labels))

losses = []
with tf.Session() as sess:
    singles = []
    for i in range(20):
        nearest = sess.run(pred, feed_dict={xtr: images[:400], xte: test_images[i]})
        singles.append(nearest)
        print("test", i, "prediction", labels[nearest], "true class", test_labels[i])
    for number in (50, 200, 1700):
        feed = {
            known: images[:number],
            known_labels: labels[:number],
            asked: test_images,
            asked_labels: test_labels,
        }
        losses.append(sess.run(wrong, feed))
    found = sess.run([indices, votes, answer, matrix, hard, where_wrong], feed)
    best = sess.run(values, feed)

results = {
    "losses": np.array(losses),
    "singles": np.array(singles),
    "indices": found[0],
    "votes": found[1],
    "answer": found[2],
    "confusion": found[3],
    "hard": found[4],
    "where_wrong": found[5],
    "values": best,
    "names": [pred.name, values.name, indices.name, answer.name, hard.name],
    "shapes": [
        pred.shape.as_list(),
        indices.shape.as_list(),
        votes.shape.as_list(),
        str(hard.shape),
    ],
}
