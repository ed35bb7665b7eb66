"""The best boxes of several classes."""

import numpy as np

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError
from tests.conformance.ops import case, conformance

DRAW = np.random.default_rng(0)
BOXES = np.sort(DRAW.uniform(-0.1, 1.1, (2, 30, 3, 2, 2)), axis=3).reshape(2, 30, 3, 4)
BOXES = BOXES.astype(np.float32)
SCORES = DRAW.uniform(0, 1, (2, 30, 3)).astype(np.float32)
TWO = np.array([[[[0, 0, 1, 1]], [[0, 0, 1, 0.9]], [[0, 0.95, 1, 2]]]], np.float32)
OF_TWO = np.array([[[0.5, 0.2], [0.9, 0.1], [0.3, 0.0]]], np.float32)
best = tf.image.combined_non_max_suppression

TestCombinedNonMaxSuppression = conformance([
    case(best, BOXES, SCORES, 4, 10, grad=0),
    case(best, BOXES[:, :, :1], SCORES, 4, 20, iou_threshold=0.2, score_threshold=0.5, clip_boxes=False, grad=0),
    case(best, BOXES[:, :, :1], SCORES, 3, 50, pad_per_class=True, grad=0),
    case(best, BOXES[:, :0], SCORES[:, :0], 3, 5, grad=0),
    case(best, TWO, OF_TWO, 2, 4, score_threshold=0.15, grad=0, expect=(
        np.array([[[0, 0, 1, 0.9], [0, 0.95, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]], np.float32),
        np.array([[0.9, 0.3, 0.2, 0]], np.float32), np.array([[0, 0, 1, 0]], np.float32), np.array([3], np.int32),
    )),
    case(best, BOXES[:, :, :2], SCORES, 4, 10, raises=ShapeError, match="third dimension"),
    case(best, BOXES, SCORES, 0, 10, raises=InvalidArgumentError, match="must be positive"),
    case(best, BOXES, SCORES, 2, 10, iou_threshold=1.2, raises=InvalidArgumentError, match=r"\[0, 1\]"),
])  # fmt: skip
