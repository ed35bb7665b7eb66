"""Signals of TensorFlow 1 (`tf.signal`): windows, frames, short-time and lapped transforms, mel scales."""
