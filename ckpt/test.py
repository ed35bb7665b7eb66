"""`ckpt.test`: tests of TensorFlow 1 programs, by TensorFlow's names. Defines nothing itself."""

from unittest import mock

from absl.testing.absltest import main

from ckpt.scripts.devices import (
    gpu_device_name,
    is_built_with_cuda,
    is_built_with_gpu_support,
    is_built_with_rocm,
    is_built_with_xla,
    is_gpu_available,
)
from ckpt.scripts.graph_texts import assert_equal_graph_def
from ckpt.scripts.numeric_gradients import compute_gradient, compute_gradient_error
from ckpt.scripts.test_case import TestCase, get_temp_dir

__all__ = [
    "TestCase",
    "assert_equal_graph_def",
    "compute_gradient",
    "compute_gradient_error",
    "get_temp_dir",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_built_with_gpu_support",
    "is_built_with_rocm",
    "is_built_with_xla",
    "is_gpu_available",
    "main",
    "mock",
]
