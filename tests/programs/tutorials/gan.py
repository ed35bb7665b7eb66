"""A generative adversarial network that learns a distribution of points on a line."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.set_random_seed(77)
rng = np.random.RandomState(77)
batch_size, z_size = 64, 4


def dense(x, units, name):
    with tf.variable_scope(name):
        w = tf.get_variable(
            "w", [int(x.shape[-1]), units], initializer=tf.random_normal_initializer(stddev=0.3)
        )
        b = tf.get_variable("b", [units], initializer=tf.constant_initializer(0.0))
        return tf.matmul(x, w) + b


def generator(z):
    with tf.variable_scope("generator"):
        return dense(tf.nn.elu(dense(z, 16, "hidden")), 2, "points")


def discriminator(points, reuse=False):
    with tf.variable_scope("discriminator", reuse=reuse):
        hidden = tf.nn.leaky_relu(dense(points, 24, "hidden"), alpha=0.1)
        return dense(hidden, 1, "logit")


z = tf.random_normal([batch_size, z_size], name="z")
real = tf.placeholder(tf.float32, [batch_size, 2], name="real")
fake = generator(z)
real_logit = discriminator(real)
fake_logit = discriminator(fake, reuse=True)


def cross_entropy(logit, label):
    labels = tf.ones_like(logit) if label else tf.zeros_like(logit)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=logit, labels=labels))


d_loss = cross_entropy(real_logit, 1) + cross_entropy(fake_logit, 0)
g_loss = cross_entropy(fake_logit, 1)

d_vars = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="discriminator")
g_vars = [v for v in tf.trainable_variables() if v.name.startswith("generator/")]
d_train = tf.train.AdamOptimizer(0.01, beta1=0.5).minimize(d_loss, var_list=d_vars)
g_train = tf.train.AdamOptimizer(0.01, beta1=0.5).minimize(g_loss, var_list=g_vars)

distance = tf.norm(tf.reduce_mean(fake, 0) - tf.reduce_mean(real, 0), name="distance")


def points_on_a_line():
    t = rng.uniform(-1, 1, [batch_size, 1])
    return np.hstack([2 + t, 1 - 0.5 * t]).astype(np.float32)


d_losses, g_losses, losses = [], [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(60):
        batch = points_on_a_line()
        _, d_now = sess.run([d_train, d_loss], {real: batch})
        _, g_now, apart = sess.run([g_train, g_loss, distance], {real: batch})
        d_losses.append(d_now)
        g_losses.append(g_now)
        losses.append(apart)
        if step % 20 == 0:
            print("step", step, "D", d_now, "G", g_now, "distance", apart)
    made = sess.run(fake)
    values = {v.name: sess.run(v) for v in tf.trainable_variables()}

results = {
    "losses": np.array(losses),
    "d_losses": np.array(d_losses),
    "g_losses": np.array(g_losses),
    "made": made,
    "d_vars": [v.name for v in d_vars],
    "g_vars": [v.name for v in g_vars],
    "all": [v.name for v in tf.global_variables()],
    "tensors": [fake.name, real_logit.name, fake_logit.name, d_train.name, g_train.name],
}
results.update(values)
