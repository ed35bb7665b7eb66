"""What TensorFlow 1 scripts use around their graphs: flags, an entry point, devices, tests, text. Knows no operation's rule."""
