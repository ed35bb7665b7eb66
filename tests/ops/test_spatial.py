"""Convolution and pooling in one and three dimensions, separable and dilated."""

import numpy as np

from ckpt.ops import pooling3d, spatial, volumes
from tests.conformance.ops import ONLY_ON_GPUS, case, conformance, distinct, normal
from tests.ops.test_normalization import check, weighted


def convolved3d(x, filters, strides, padding, **_):
    """VALID convolution of volumes, element by element."""
    window = filters.shape[:3]
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:4], window, strides[1:4], strict=True)]
    y = np.zeros((x.shape[0], *counts, filters.shape[4]))
    for place in np.ndindex(*counts):
        part = tuple(
            slice(p * s, p * s + k) for p, s, k in zip(place, strides[1:4], window, strict=True)
        )
        y[(slice(None), *place)] = np.tensordot(x[(slice(None), *part)], filters, 4)
    return y


def halves(x):
    return x.reshape(x.shape[0], 2, 2, 2, 2, 1, 2, x.shape[4])


ONE, TWO = [1, 1, 1, 1, 1], [1, 2, 2, 2, 1]
TestSpatial = conformance([
    case(volumes.conv3d, normal(2, 3, 4, 3, 2), normal(2, 2, 2, 2, 3), strides=ONE, padding="VALID",
         like=lambda x, f: convolved3d(x, f, ONE, "VALID"), rtol=1e-4, atol=1e-5),
    case(volumes.conv3d, normal(1, 3, 4, 4, 1), normal(2, 2, 2, 1, 2), strides=TWO, padding="SAME", grad=2),
    case(volumes.conv3d, normal(1, 2, 3, 3, 3), normal(2, 2, 1, 2, 2), strides=ONE, padding="SAME",
         data_format="NCDHW", unasked=ONLY_ON_GPUS, grad=1),
    case(volumes.conv3d_transpose, normal(1, 2, 2, 2, 2), normal(2, 2, 2, 1, 2), [1, 4, 4, 4, 1], TWO, grad=1),
    case(spatial.conv1d, normal(2, 6, 3), normal(3, 3, 2), 1, "SAME", grad=2),
    case(spatial.conv1d, normal(2, 3, 6), normal(3, 3, 2), 2, "VALID", data_format="NCW", unasked=ONLY_ON_GPUS, grad=1),
    case(spatial.convolution_, normal(1, 7, 7, 2), normal(3, 3, 2, 2), "VALID", dilation_rate=[2, 2], grad=1),
    case(spatial.atrous_conv2d, normal(1, 6, 6, 2), normal(2, 2, 2, 2), 2, "SAME", grad=1),
    case(spatial.atrous_conv2d_transpose, normal(1, 4, 4, 2), normal(2, 2, 1, 2), [1, 6, 6, 1], 2, "VALID", grad=1),
    case(spatial.atrous_conv2d_transpose, normal(2, 5, 4, 2), normal(3, 2, 1, 2), [2, 5, 4, 1], 3, "SAME", grad=1, rtol=1e-5),
    case(spatial.atrous_conv2d_transpose, normal(1, 4, 4, 2), normal(2, 2, 1, 2), [1, 5, 5, 1], 1, "VALID"),
    case(spatial.atrous_conv2d_transpose, normal(1, 4, 4, 2), normal(2, 2, 1, 2), [1, 5, 5, 1], 2, [[0, 0]] * 4,
         raises=ValueError, match="SAME"),
    case(spatial.depthwise_conv2d, normal(1, 7, 6, 2), normal(2, 3, 2, 2), [1, 1, 1, 1], "SAME", [2, 3], grad=2),
    case(spatial.depthwise_conv2d, normal(1, 7, 6, 2), normal(2, 2, 2, 2), [1, 1, 1, 1],
         [[0, 0], [1, 0], [2, 1], [0, 0]], [2, 2]),
    case(spatial.convolution_, normal(1, 6, 2), normal(2, 2, 2), "SAME", dilation_rate=[3], grad=1),
    case(spatial.convolution_, normal(1, 5, 4, 6, 1), normal(2, 2, 2, 1, 2), "SAME", dilation_rate=[2, 1, 3]),
    case(spatial.pool, distinct(1, 7, 6, 2), [2, 2], "MAX", "VALID", dilation_rate=[2, 3], grad=1),
    case(spatial.separable_conv2d, normal(1, 4, 4, 2), normal(2, 2, 2, 2), normal(1, 1, 4, 3), [1, 1, 1, 1], "SAME"),
    case(spatial.pool, distinct(1, 8, 2), [2], "MAX", "VALID", strides=[2],
         like=lambda x, *_: x.reshape(1, 4, 2, 2).max(2)),
    case(spatial.pool, normal(1, 4, 4, 2), [2, 2], "AVG", "SAME", grad=1),
    case(pooling3d.avg_pool3d, normal(2, 4, 4, 2, 2), TWO, TWO, "VALID", like=lambda x, *_: halves(x).mean((2, 4, 6)),
         rtol=1e-5, grad=2),
    case(pooling3d.max_pool3d, distinct(2, 4, 4, 2, 2), TWO, TWO, "VALID", like=lambda x, *_: halves(x).max((2, 4, 6)),
         grad=0),
    case(spatial.convolution_, normal(1, 7, 7, 2), normal(3, 3, 2, 2), "VALID", strides=[2, 2], dilation_rate=[2, 2],
         raises=ValueError, match="dilation_rate"),
])  # fmt: skip


def test_gradient_of_max_pool3d():
    x = distinct(1, 3, 4, 4, 2)
    check(lambda v: weighted(pooling3d.max_pool3d(v, [1, 2, 2, 2, 1], TWO, "SAME")), x)
