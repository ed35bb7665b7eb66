"""Pooling and its gradients: TensorFlow's values, ties, layouts, derivatives, refusals."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.opdef import OPS
from ckpt.ops import pooling
from tests.conformance.goldens import assert_close, goldens
from tests.conformance.ops import ONLY_ON_GPUS, case, conformance, distinct, normal, ones, zeros

TWO = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1]}


def quarters(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, x.shape[3])


TestPooling = conformance([
    case(pooling.max_pool, distinct(2, 4, 6, 3), **TWO, padding="SAME", like=lambda x: quarters(x).max((2, 4)), grad=2),
    case(pooling.max_pool, distinct(1, 5, 5, 2), ksize=3, strides=2, padding="SAME", grad=2),
    case(pooling.max_pool, distinct(1, 5, 5, 1), ksize=3, strides=1, padding="VALID", grad=2),
    case(pooling.max_pool, distinct(1, 2, 4, 4), ksize=2, strides=2, padding="VALID", data_format="NCHW", unasked=ONLY_ON_GPUS, grad=2),
    case(pooling.max_pool, distinct(1, 4, 4, 1), ksize=2, strides=2, padding=[[0, 0], [1, 1], [0, 0], [0, 0]]),
    case(pooling.max_pool, distinct(1, 3, 3, 6), ksize=[1, 1, 1, 3], strides=[1, 1, 1, 3], padding="SAME",
         like=lambda x: x.reshape(1, 3, 3, 2, 3).max(4)),
    case(pooling.max_pool, -ones(1, 3, 3, 1), ksize=2, strides=2, padding="SAME", expect=-ones(1, 2, 2, 1), grad=0),
    case(pooling.max_pool, np.arange(16, dtype=np.int32).reshape(1, 4, 4, 1), ksize=2, strides=2, padding="VALID",
         expect=np.array([5, 7, 13, 15], np.int32).reshape(1, 2, 2, 1), grad=0),
    case(pooling.max_pool, zeros(0, 4, 4, 1), ksize=2, strides=2, padding="VALID", expect=zeros(0, 2, 2, 1)),
    case(pooling.max_pool, normal(1, 2, 2, 1), ksize=3, strides=1, padding="VALID", raises=ShapeError, match="Negative"),
    case(pooling.max_pool, normal(2, 2, 2), ksize=2, strides=2, padding="VALID", raises=ShapeError, match="rank 4"),
    case(pooling.avg_pool, normal(2, 4, 6, 3), **TWO, padding="SAME", like=lambda x: quarters(x).mean((2, 4)), grad=2,
         rtol=1e-5),
    case(pooling.avg_pool, normal(1, 5, 4, 2), ksize=3, strides=2, padding="SAME", grad=2),
    case(pooling.avg_pool, normal(1, 2, 5, 5), ksize=2, strides=1, padding="VALID", data_format="NCHW", unasked=ONLY_ON_GPUS, grad=2),
    case(pooling.avg_pool, ones(1, 3, 3, 1), ksize=3, strides=1, padding="SAME", expect=ones(1, 3, 3, 1)),
    case(pooling.avg_pool, normal(1, 4, 4, 1).astype(np.float16), ksize=2, strides=2, padding="SAME", grad=0, rtol=2e-3),
])  # fmt: skip


@pytest.mark.parametrize("golden", goldens("pooling"), ids=lambda g: g.name)
def test_computes_what_tensorflow_computes(golden):
    assert_close(golden, 1e-5, 1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_of_a_tie_goes_to_the_first(stride):
    x = ones(1, 2, 2, 1)
    dx = OPS["MaxPoolGrad"].kernel(
        x, ones(1, 1, 1, 1), ones(1, 1, 1, 1), ksize=[1, 2, 2, 1], strides=[1, stride, stride, 1], padding="VALID",
        explicit_paddings=[], data_format="NHWC",
    )  # fmt: skip
    np.testing.assert_array_equal(dx.reshape(-1), [1, 0, 0, 0])


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(InvalidArgumentError, match="Expected grad of shape"):
        OPS["AvgPoolGrad"].kernel(
            np.array([1, 4, 4, 1]), ones(1, 3, 3, 1), **TWO, padding="SAME", data_format="NHWC"
        )
