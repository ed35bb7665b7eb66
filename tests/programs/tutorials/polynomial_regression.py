"""Fit polynomials of growing degree, with early stopping by hand and several optimizers."""

import numpy as np
import tensorflow.compat.v1 as tf

rng = np.random.RandomState(23)
xs = np.linspace(-1, 1, 80)
ys = np.cos(3 * xs) + rng.normal(0, 0.05, 80)

results = {}
losses = []
for degree in range(1, 6):
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as sess:
        tf.set_random_seed(degree)
        x = tf.placeholder(tf.float64, name="x")
        y = tf.placeholder(tf.float64, name="y")
        prediction = tf.Variable(tf.random_normal([1], dtype=tf.float64), name="bias")
        for power in range(1, degree + 1):
            w = tf.Variable(tf.random_normal([1], dtype=tf.float64), name=f"weight_{power}")
            prediction = tf.add(tf.multiply(tf.pow(x, power), w), prediction)
        cost = tf.reduce_sum(tf.pow(prediction - y, 2)) / (xs.shape[0] - 1)
        ridge = tf.add_n([tf.nn.l2_loss(v) for v in tf.trainable_variables()])
        step = tf.Variable(0, trainable=False, name="step")
        optimizer = {
            1: tf.train.GradientDescentOptimizer(0.2),
            2: tf.train.MomentumOptimizer(0.05, 0.9),
            3: tf.train.AdamOptimizer(0.1),
            4: tf.train.MomentumOptimizer(0.05, 0.8, use_nesterov=True),
            5: tf.train.AdamOptimizer(0.2, beta1=0.8, beta2=0.99, epsilon=1e-6),
        }[degree]
        train = optimizer.minimize(cost + 1e-3 * ridge, global_step=step)
        sess.run(tf.global_variables_initializer())
        before = sess.run(cost, {x: xs, y: ys})
        previous = before
        for _ in range(60):
            sess.run(train, {x: xs, y: ys})
            now = sess.run(cost, {x: xs, y: ys})
            if abs(previous - now) < 1e-7:
                break
            previous = now
        print("degree", degree, "cost", before, "->", now, "after", step.eval(), "steps")
        losses.append(now)
        results[f"{degree}: before"] = before
        results[f"{degree}: steps"] = step.eval()
        results[f"{degree}: variables"] = [v.name for v in tf.global_variables()]
        for v in tf.global_variables():
            results[f"{degree}: {v.name}"] = v.eval()

results["losses"] = np.array(losses)
