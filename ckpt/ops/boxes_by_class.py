"""The best boxes of several classes at once: CombinedNonMaxSuppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import boxes as of_boxes
from ckpt.ops import constants


@op(
    "CombinedNonMaxSuppression",
    "boxes: float32, scores: float32, max_output_size_per_class: int32, max_total_size: int32, "
    "iou_threshold: float32, score_threshold: float32 -> nmsed_boxes: float32, nmsed_scores: float32, "
    "nmsed_classes: float32, valid_detections: int32",
    pad_per_class=False,
    clip_boxes=True,
)
def combined_non_max_suppression_op(
    boxes, scores, per_class, in_total, limit, least, *, pad_per_class, clip_boxes
):
    """In each class the best boxes that overlap no better one, and of all classes together the best of those.

    boxes: [batch, boxes, classes (or 1), 4], scores: [batch, boxes, classes].
    """
    per_class, in_total, limit = int(per_class), int(in_total), float(limit)
    _check(boxes, scores, per_class, in_total, limit)
    size = min(in_total, per_class * scores.shape[2]) if pad_per_class else in_total
    found = [
        _best(of, by, per_class, size, limit, float(least))
        for of, by in zip(boxes, scores, strict=True)
    ]
    batch = len(boxes)
    places, values, classes = (np.zeros((batch, size, *n), np.float32) for n in ((4,), (), ()))
    for i, (own, score, number) in enumerate(found):
        count = len(score)
        places[i, :count] = np.clip(own, 0, 1) if clip_boxes else own
        values[i, :count], classes[i, :count] = score, number
    return places, values, classes, np.array([len(score) for _, score, _ in found], np.int32)


def _check(boxes: Any, scores: Any, per_class: int, in_total: int, limit: float) -> None:
    wrong = {
        "boxes must be [batch, boxes, classes or 1, 4]": boxes.ndim != 4 or boxes.shape[3] != 4,
        "scores must be [batch, boxes, classes]": scores.ndim != 3,
        "boxes and scores must be of as many boxes": boxes.shape[:2] != scores.shape[:2],
        "the third dimension of boxes must be 1 or the number of classes": (
            boxes.ndim == 4 and scores.ndim == 3 and boxes.shape[2] not in (1, scores.shape[2])
        ),
    }
    for rule, is_broken in wrong.items():
        if is_broken:
            raise InvalidArgumentError(
                None, None, f"{rule}, got {list(boxes.shape)} and {list(scores.shape)}"
            )
    if per_class <= 0 or in_total <= 0:
        raise InvalidArgumentError(
            None, None, f"max_size_per_class and max_total_size must be positive, got {per_class} and {in_total}"
        )  # fmt: skip
    if not 0 <= limit <= 1:
        raise InvalidArgumentError(None, None, f"iou_threshold must be in [0, 1], got {limit}")


def _best(boxes: Any, scores: Any, per_class: int, size: int, limit: float, least: float) -> Any:
    """(boxes, scores, classes) of one image, the best first."""
    shares = of_boxes.overlaps(boxes[:, 0]) if boxes.shape[1] == 1 else None
    chosen: list[tuple[Any, Any, Any]] = []
    for number in range(scores.shape[1]):
        able = np.flatnonzero(scores[:, number] > least)
        own = boxes[able, number if shares is None else 0]
        common = of_boxes.overlaps(own) if shares is None else shares[np.ix_(able, able)]
        places = of_boxes.kept(common, scores[able, number], per_class, limit, least)
        chosen.append((own[places], scores[able, number][places], np.full(len(places), number)))
    parts = [np.concatenate(part) for part in zip(*chosen, strict=True)]
    best = np.argsort(-parts[1], kind="stable")[:size]
    return tuple(part[best] for part in parts)


@combined_non_max_suppression_op.shape
def combined_non_max_suppression_shape(
    boxes, scores, per_class, in_total, limit, least, *, pad_per_class
):
    batch, _, classes, _ = boxes.shape.with_rank(4).merge_with([None, None, None, 4]).as_list()
    of_batch, _, of_classes = scores.shape.with_rank(3).as_list()
    if classes is not None and of_classes is not None and classes not in (1, of_classes):
        raise ValueError(
            f"the third dimension of boxes must be 1 or the {of_classes} classes of scores, got {classes}"
        )
    batch = of_batch if batch is None else batch
    size, each = constant_value(in_total), constant_value(per_class)
    if size is not None and pad_per_class:
        is_known = each is not None and of_classes is not None
        size = min(int(size), int(each) * of_classes) if is_known else None
    size = None if size is None else int(size)
    return [(batch, size, 4), (batch, size), (batch, size), (batch,)]


combined_non_max_suppression_op.no_gradient("places have no derivative")


def combined_non_max_suppression(
    boxes: Any, scores: Any, max_output_size_per_class: Any, max_total_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), pad_per_class: bool = False, clip_boxes: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """(boxes [batch, n, 4], scores [batch, n], classes [batch, n], how many [batch]) of the best boxes of all classes.

    boxes: [batch, boxes, classes (or 1), 4] in float32, scores: [batch, boxes, classes] in float32; n is
    `max_total_size`, or less with `pad_per_class`. What is missing is 0.
    """
    with name_scope(name, "combined_non_max_suppression"):
        limit = convert.convert_to_tensor(iou_threshold, dtype="float32", name="iou_threshold")
        least = convert.convert_to_tensor(score_threshold, dtype="float32", name="score_threshold")
        in_total = (
            max_total_size if isinstance(max_total_size, Tensor) else constants.constant(max_total_size, "int32")
        )  # fmt: skip
        found: tuple[Tensor, Tensor, Tensor, Tensor] = combined_non_max_suppression_op(
            boxes, scores, max_output_size_per_class, in_total, limit, least,
            pad_per_class=pad_per_class, clip_boxes=clip_boxes,
        )  # fmt: skip
        return found
