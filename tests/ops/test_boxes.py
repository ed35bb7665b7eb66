"""Boxes in images, suppression of overlaps, and patches."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError, OutOfRangeError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal, positive

IMAGES = positive(2, 5, 6, 2)
BOXES = np.array(
    [[0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], [0.9, 0.3, 0.2, -0.2], [-0.3, 0.1, 1.4, 0.6]], np.float32
)
OF = np.array([0, 1, 1, 0], np.int32)
NEAR = {"rtol": 1e-4, "atol": 1e-5}

TestCrops = conformance([
    *[case(OPS["CropAndResize"], IMAGES, BOXES, OF, size, method=method, extrapolation_value=0.5, grad=0, **NEAR)
      for size in ([3, 4], [1, 1], [7, 2]) for method in ("bilinear", "nearest")],
    case(OPS["CropAndResize"], (IMAGES * 200).astype(np.uint8), BOXES, OF, [3, 3], grad=0, **NEAR),
    *[case(OPS["CropAndResizeGradImage"], normal(4, 3, 4, 2), BOXES, OF, [2, 5, 6, 2], method=method, T=np.float32, grad=0,
           **NEAR) for method in ("bilinear", "nearest")],
    *[case(OPS["CropAndResizeGradBoxes"], normal(4, *size, 2), IMAGES, BOXES, OF, grad=0, **NEAR)
      for size in ((3, 4), (1, 1))],
    case(OPS["CropAndResize"], IMAGES, BOXES, OF + 1, [2, 2], raises=OutOfRangeError, match="outside"),
])  # fmt: skip

CORNERS = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [1, 11.1, 0, 10.1], [0, 100, 1, 101]],
                   np.float32)  # fmt: skip
SCORES = np.array([0.9, 0.75, 0.6, 0.95, 0.5, 0.3], np.float32)
HALF, LOW = np.float32(0.5), np.float32(0.4)

TestSuppression = conformance([
    *[case(OPS["NonMaxSuppression"], CORNERS, SCORES, count, iou_threshold=limit, grad=0)
      for count in (3, 10, 0) for limit in (0.5, 0.9)],
    case(OPS["NonMaxSuppressionV2"], CORNERS, SCORES, 3, HALF, grad=0),
    case(OPS["NonMaxSuppressionV3"], CORNERS, SCORES, 6, HALF, LOW, grad=0),
    *[case(OPS["NonMaxSuppressionV4"], CORNERS, SCORES, 6, HALF, LOW, pad_to_max_output_size=pad, grad=0)
      for pad in (False, True)],
    *[case(OPS["NonMaxSuppressionV5"], CORNERS, SCORES, 6, np.float32(limit), np.float32(0.1), np.float32(sigma),
           pad_to_max_output_size=pad, grad=0, **NEAR)
      for limit, sigma in ((0.5, 0.0), (1.0, 0.5), (0.6, 0.3)) for pad in (False, True)],
    case(OPS["NonMaxSuppressionWithOverlaps"], positive(6, 6), SCORES, 4, HALF, np.float32(0.2), grad=0),
    case(OPS["NonMaxSuppression"], CORNERS, SCORES[:3], 3, raises=ValueError, match="compatible"),
    case(OPS["NonMaxSuppression"], CORNERS, SCORES, 3, iou_threshold=1.5, raises=InvalidArgumentError, match="iou_threshold"),
])  # fmt: skip

PATCH = {"ksizes": [1, 2, 3, 1], "strides": [1, 2, 1, 1]}
TestPatches = conformance([
    *[case(OPS["ExtractImagePatches"], normal(2, 5, 6, 2), rates=rates, padding=padding, grad=1, **PATCH)
      for rates in ([1, 1, 1, 1], [1, 2, 2, 1]) for padding in ("SAME", "VALID")],
    *[case(OPS["ExtractVolumePatches"], normal(1, 3, 4, 4, 2), ksizes=[1, 2, 2, 3, 1], strides=[1, 1, 2, 1, 1],
           padding=padding, grad=1) for padding in ("SAME", "VALID")],
])  # fmt: skip
