"""Probability distributions of TensorFlow 1 (`tf.distributions`): drawn values, densities, moments, divergences."""
