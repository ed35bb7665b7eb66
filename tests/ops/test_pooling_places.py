"""Pooling that says where each largest element was, and pooling whose windows are inputs."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, distinct

X = distinct(2, 5, 6, 2)
WINDOWS = {"ksize": [1, 2, 3, 1], "strides": [1, 2, 2, 1]}
SIZES = ([1, 2, 3, 1], [1, 2, 2, 1])

TestPlaces = conformance([
    *[case(OPS["MaxPoolWithArgmax"], X, padding=padding, include_batch_in_index=whole, grad=1, **WINDOWS)
      for padding in ("SAME", "VALID") for whole in (False, True)],
    case(OPS["MaxPoolWithArgmax"], np.zeros((1, 3, 3, 1), np.float32), padding="SAME", Targmax=np.int32, grad=0, **WINDOWS),
    case(OPS["MaxPoolGradWithArgmax"], X[:1], distinct(1, 2, 2, 2), np.array([0, 0, 5, 7, 9, 11, 20, 21]).reshape(1, 2, 2, 2),
         padding="VALID", grad=0, **WINDOWS),
    *[case(OPS["MaxPoolV2"], X, *SIZES, padding=padding, grad=1) for padding in ("SAME", "VALID")],
    case(lambda x, k, s: OPS["MaxPoolV2"](x, k, s, padding="SAME"), X, *(np.array(n, np.int32) for n in SIZES), grad=1,
         title="MaxPoolV2"),
    case(lambda x: OPS["MaxPoolGradV2"](x, OPS["MaxPool"](x, padding="SAME", **WINDOWS), distinct(2, 3, 3, 2).astype(
         x.dtype.as_numpy_dtype), *SIZES, padding="SAME"), X, grad=0, title="MaxPoolGradV2"),
])  # fmt: skip


def test_only_channels_last_have_places():
    with pytest.raises(ValueError, match="NHWC"):
        tf.nn.max_pool_with_argmax(X, [1, 2, 2, 1], [1, 2, 2, 1], "SAME", data_format="NCHW")
