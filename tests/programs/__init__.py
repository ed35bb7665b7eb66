"""TensorFlow 1 programs as their authors would write them, run by TensorFlow and by ckpt."""
