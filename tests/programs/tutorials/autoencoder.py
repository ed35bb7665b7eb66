"""A denoising autoencoder whose decoder uses the encoder's weights, transposed."""

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

# all of it, and the file is closed
data = dict(np.load(Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"))
images = data["images"].reshape(-1, 64).astype(np.float32) / 16


class TiedAutoencoder:
    def __init__(self, n_input, n_hidden, transfer=tf.nn.softplus, scale=0.1):
        self.scale = tf.placeholder(tf.float32, [])
        self.x = tf.placeholder(tf.float32, [None, n_input])
        bound = np.sqrt(6.0 / (n_input + n_hidden))
        self.w = tf.Variable(tf.random_uniform((n_input, n_hidden), minval=-bound, maxval=bound))
        self.b_in = tf.Variable(tf.zeros([n_hidden], dtype=tf.float32))
        self.b_out = tf.Variable(tf.zeros([n_input], dtype=tf.float32))

        noisy = self.x + self.scale * tf.random_normal((n_input,))
        self.hidden = transfer(tf.add(tf.matmul(noisy, self.w), self.b_in))
        self.output = tf.add(tf.matmul(self.hidden, self.w, transpose_b=True), self.b_out)
        difference = tf.subtract(self.output, self.x)
        self.cost = 0.5 * tf.reduce_mean(tf.reduce_sum(tf.pow(difference, 2.0), axis=1))
        self.train = tf.train.AdamOptimizer(0.01).minimize(self.cost)

        self.session = tf.Session()
        self.session.run(tf.global_variables_initializer())
        self.noise = scale

    def partial_fit(self, batch):
        feed = {self.x: batch, self.scale: self.noise}
        cost, _ = self.session.run((self.cost, self.train), feed_dict=feed)
        return cost

    def total_cost(self, batch):
        return self.session.run(self.cost, {self.x: batch, self.scale: 0.0})

    def transform(self, batch):
        return self.session.run(self.hidden, {self.x: batch, self.scale: 0.0})

    def generate(self, hidden):
        return self.session.run(self.output, feed_dict={self.hidden: hidden})

    def reconstruct(self, batch):
        return self.session.run(self.output, {self.x: batch, self.scale: 0.0})


tf.set_random_seed(8)
model = TiedAutoencoder(64, 20)
losses = [model.total_cost(images[1400:])]
costs = []
for epoch in range(3):
    for start in range(0, 1400, 100):
        costs.append(model.partial_fit(images[start : start + 100]))
    losses.append(model.total_cost(images[1400:]))
    print("epoch", epoch, "cost", losses[-1])

code = model.transform(images[:3])
results = {
    "losses": np.array(losses),
    "costs": np.array(costs),
    "code": code,
    "generated": model.generate(code),
    "reconstructed": model.reconstruct(images[:3]),
    "weights": model.session.run(model.w),
    "biases": model.session.run([model.b_in, model.b_out])[1],
    "variables": [v.name for v in tf.global_variables()],
    "tensors": [model.hidden.name, model.output.name, model.cost.name, model.x.name],
}
model.session.close()
