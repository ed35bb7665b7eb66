"""K-means in the graph: distances by broadcasting, argmin, and means by segment."""

import numpy as np
import tensorflow.compat.v1 as tf

rng = np.random.RandomState(2)
num_points, num_clusters = 300, 4
middles = np.array([[0, 0], [4, 1], [1, 5], [5, 5]], np.float32)
points_value = (
    middles[rng.randint(0, 4, num_points)] + rng.normal(0, 0.6, [num_points, 2])
).astype(np.float32)

points = tf.constant(points_value, name="points")
assignments = tf.Variable(tf.zeros([num_points], dtype=tf.int64), name="assignments")
centroids = tf.Variable(tf.slice(points, [0, 0], [num_clusters, -1]), name="centroids")

differences = tf.expand_dims(points, 1) - tf.expand_dims(centroids, 0)
distances = tf.reduce_sum(tf.square(differences), axis=2, name="distances")
nearest = tf.argmin(distances, axis=1, name="nearest")
inertia = tf.reduce_mean(tf.reduce_min(distances, axis=1), name="inertia")
changed = tf.reduce_any(tf.not_equal(nearest, assignments), name="changed")

totals = tf.unsorted_segment_sum(points, nearest, num_clusters)
counts = tf.unsorted_segment_sum(tf.ones_like(points), nearest, num_clusters)
means = totals / tf.maximum(counts, 1.0)

with tf.control_dependencies([changed, inertia]):
    update = tf.group(centroids.assign(means), assignments.assign(nearest), name="update")

losses, moved = [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(30):
        loss, has_changed, _ = sess.run([inertia, changed, update])
        losses.append(loss)
        moved.append(bool(has_changed))
        if not has_changed:
            break
    centroid_values, assignment_values = sess.run([centroids, assignments])
    sizes = sess.run(tf.bincount(tf.cast(assignments, tf.int32), minlength=num_clusters))
    present, index, count = sess.run(tf.unique_with_counts(assignments))

print("converged after", len(losses), "iterations:", centroid_values.tolist())
results = {
    "losses": np.array(losses),
    "moved": moved,
    "centroids": centroid_values,
    "assignments": assignment_values,
    "sizes": sizes,
    "present": present,
    "index": index,
    "count": count,
    "tensors": [points.name, distances.name, nearest.name, update.name, means.name],
    "shapes": [t.shape.as_list() for t in (differences, distances, nearest, totals)],
}
