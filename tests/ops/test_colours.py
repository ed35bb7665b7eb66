"""Colours, contrast and the resizing of images."""

import numpy as np

from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, positive

IMAGE = positive(1, 3, 4, 3)
BYTES = np.arange(36, dtype=np.uint8).reshape(1, 3, 4, 3)
NEAR = {"rtol": 1e-5, "atol": 1e-6}

TestColours = conformance([
    case(OPS["RGBToHSV"], IMAGE, grad=0, **NEAR),
    case(OPS["HSVToRGB"], IMAGE, grad=0, **NEAR),
    case(OPS["AdjustContrastv2"], IMAGE, np.float32(1.5), grad=0, **NEAR),
    case(OPS["AdjustHue"], IMAGE, np.float32(0.3), grad=0, **NEAR),
    case(OPS["AdjustSaturation"], IMAGE, np.float32(0.5), grad=0, **NEAR),
])  # fmt: skip

SIZES = ([6, 8], [2, 3], [3, 4])
TestResizing = conformance([
    *[case(OPS[name], IMAGE, size, align_corners=corners, grad=0, **NEAR)
      for name in ("ResizeBilinear", "ResizeBicubic", "ResizeArea", "ResizeNearestNeighbor")
      for size in SIZES for corners in (False, True)],
    *[case(OPS[name], IMAGE, size, half_pixel_centers=True, grad=0, **NEAR)
      for name in ("ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor") for size in SIZES],
    *[case(OPS[name], BYTES, [5, 3], grad=0, **NEAR)
      for name in ("ResizeBilinear", "ResizeBicubic", "ResizeArea", "ResizeNearestNeighbor")],
    *[case(OPS[name], IMAGE, [5, 3], grad=1, **NEAR) for name in ("ResizeBilinear", "ResizeNearestNeighbor")],
])  # fmt: skip
