"""The operations that gradients are made of: each as TensorFlow computes it, alone."""

import numpy as np

from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, distinct, normal, positive

STRIDES = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
DEEP = {"ksize": [1, 2, 2, 2, 1], "strides": [1, 2, 2, 2, 1], "padding": "VALID"}
CONV = {"strides": [1, 1, 1, 1], "padding": "SAME"}
IMAGE = distinct(1, 4, 4, 2)
MAXIMA = IMAGE.reshape(1, 2, 2, 2, 2, 2).max((2, 4))
VOLUME = distinct(1, 4, 4, 4, 1)
VOLUME_MAXIMA = VOLUME.reshape(1, 2, 2, 2, 2, 2, 2, 1).max((2, 4, 6))
ROWS = np.array([0, 2, 2, 1], np.int32)
GROUPS = np.array([0, 0, 1, 3], np.int32)
CHANNEL = positive(3)


TestConvolutions = conformance([
    case(OPS["Conv2DBackpropFilter"], normal(1, 4, 5, 2), [3, 3, 2, 3], normal(1, 4, 5, 3), **CONV, grad=1, rtol=1e-5),
    case(OPS["Conv2DBackpropInput"], [1, 4, 5, 2], normal(3, 3, 2, 3), normal(1, 4, 5, 3), **CONV, grad=1, rtol=1e-5),
    case(OPS["DepthwiseConv2dNativeBackpropInput"], [1, 4, 5, 2], normal(3, 3, 2, 2), normal(1, 4, 5, 4), **CONV, rtol=1e-5),
    case(OPS["DepthwiseConv2dNativeBackpropFilter"], normal(1, 4, 5, 2), [3, 3, 2, 2], normal(1, 4, 5, 4), **CONV, rtol=1e-5),
    case(OPS["Conv3DBackpropFilterV2"], normal(1, 3, 3, 3, 1), [2, 2, 2, 1, 2], normal(1, 3, 3, 3, 2),
         strides=[1] * 5, padding="SAME", rtol=1e-5),
])  # fmt: skip

TestPooling = conformance([
    case(OPS["MaxPoolGrad"], IMAGE, MAXIMA, normal(1, 2, 2, 2), **STRIDES, grad=0),
    case(OPS["MaxPoolGradGrad"], IMAGE, MAXIMA, normal(1, 4, 4, 2), **STRIDES, grad=0),
    case(OPS["AvgPoolGrad"], [1, 4, 4, 2], normal(1, 2, 2, 2), **STRIDES, grad=2),
    case(OPS["MaxPool3DGrad"], VOLUME, VOLUME_MAXIMA, normal(1, 2, 2, 2, 1), **DEEP, grad=0),
    case(OPS["MaxPool3DGradGrad"], VOLUME, VOLUME_MAXIMA, normal(1, 4, 4, 4, 1), **DEEP, grad=0),
    case(OPS["AvgPool3DGrad"], [1, 4, 4, 4, 1], normal(1, 2, 2, 2, 1), **DEEP, grad=2),
])  # fmt: skip


def first(count, op):
    return lambda *inputs, **attrs: op(*inputs, **attrs)[:count]


TestNormalization = conformance([
    *[case(first(3, OPS[name]), normal(2, 3, 2, 3), CHANNEL, normal(3), np.zeros(0, np.float32), np.zeros(0, np.float32),
           grad=0, rtol=2e-5, atol=1e-6, title=name) for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")],
    case(first(3, OPS["FusedBatchNormV2"]), normal(2, 3, 2, 3), CHANNEL, normal(3), normal(3), positive(3), grad=0,
         is_training=False, rtol=1e-5, atol=1e-6, title="FusedBatchNormV2"),
    *[case(first(3, OPS[name]), normal(2, 3, 2, 3), normal(2, 3, 2, 3, seed=1), CHANNEL, normal(3), positive(3), *more,
           is_training=False, grad=0, rtol=1e-5, atol=1e-5, title=name)
      for name, more in (("FusedBatchNormGrad", ()), ("FusedBatchNormGradV2", ()), ("FusedBatchNormGradV3", (CHANNEL,)))],
    case(OPS["LRNGrad"], normal(1, 2, 2, 5), normal(1, 2, 2, 5, seed=1), positive(1, 2, 2, 5), depth_radius=1, grad=0,
         rtol=1e-5),
])  # fmt: skip

TestArrays = conformance([
    case(OPS["StridedSliceGrad"], [3, 4], [0, 1], [2, 4], [1, 2], normal(2, 2), grad=2),
    case(OPS["StridedSliceGrad"], [3, 4], [1, 0], [2, 0], [1, 1], normal(4), grad=1, shrink_axis_mask=1, end_mask=2),
    case(OPS["MirrorPadGrad"], normal(5, 4), [[1, 1], [0, 1]], mode="REFLECT", grad=2),
    case(OPS["MirrorPadGrad"], normal(5, 4), [[1, 1], [0, 1]], mode="SYMMETRIC", grad=2),
    *[case(OPS[name], normal(4, 2), ROWS, GROUPS, 4, grad=0, rtol=1e-6) for name in (
        "SparseSegmentSumGrad", "SparseSegmentMeanGrad", "SparseSegmentSqrtNGrad")],
    *[case(OPS[name], normal(4, 2), ROWS, GROUPS, 6, grad=1, rtol=1e-6) for name in (
        "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments", "SparseSegmentSumWithNumSegments")],
])  # fmt: skip

TestResizing = conformance([
    *[case(OPS[name], normal(1, 5, 7, 2), normal(1, 3, 4, 2), align_corners=corners, grad=0, rtol=1e-5, atol=1e-6)
      for name in ("ResizeBilinearGrad", "ResizeBicubicGrad") for corners in (False, True)],
    *[case(OPS["ResizeNearestNeighborGrad"], normal(1, 5, 7, 2), [3, 4], align_corners=corners, grad=0, rtol=1e-5)
      for corners in (False, True)],
])  # fmt: skip
