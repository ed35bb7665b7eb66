"""Tags that MetaGraphs of a SavedModel usually bear: `tf.saved_model.tag_constants`."""

GPU = "gpu"
SERVING = "serve"
TPU = "tpu"
TRAINING = "train"
