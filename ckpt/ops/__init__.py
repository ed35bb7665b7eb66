"""Every operation exactly once: signature, kernel, shape rule and gradient together. Must not know how plans run.

Importing this package defines all operation types; each module is one of TensorFlow's groups.
"""

from ckpt.ops import (
    activation,
    compare,
    constants,
    control,
    convolution,
    dataflow,
    elementwise,
    flow,
    indexing,
    io,
    joining,
    loss,
    matmul,
    pooling,
    random,
    reduction,
    shaping,
    state,
    tensor_array,
    tensor_list,
    training,
)

__all__ = [
    "activation",
    "compare",
    "constants",
    "control",
    "convolution",
    "dataflow",
    "elementwise",
    "flow",
    "indexing",
    "io",
    "joining",
    "loss",
    "matmul",
    "pooling",
    "random",
    "reduction",
    "shaping",
    "state",
    "tensor_array",
    "tensor_list",
    "training",
]
