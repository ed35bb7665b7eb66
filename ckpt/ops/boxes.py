"""Boxes in images [y1, x1, y2, x2]: crops of them in one size, and those left when overlapping ones are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import float16, float32, float64
from ckpt.core.errors import InvalidArgumentError, OutOfRangeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import casting, shaping

METHOD = Attr("string", "bilinear", frozenset({"bilinear", "nearest"}))
PIXELS = Attr(
    "type",
    allowed=frozenset({dtypes.uint8, dtypes.uint16, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
                       float16, float32, float64}),
)  # fmt: skip
ONE = np.float32(1)


def _places(low: Any, high: Any, size: int, count: int) -> Any:
    """Where `count` samples of boxes from `low` to `high` lie among `size` pixels: [boxes, count]."""
    low, high, last = low[:, None], high[:, None], np.float32(size - 1)
    if count == 1:
        return np.float32(0.5) * (low + high) * last
    step = (high - low) * last / np.float32(count - 1)
    return low * last + np.arange(count, dtype=np.float32) * step


def _samples(shape: Any, boxes: Any, box_ind: Any, crop_size: Any) -> tuple[Any, Any, Any]:
    """(rows, columns of the samples, which of them lie inside); raises OutOfRangeError for a wrong box index."""
    batch, height, width, _ = shape
    bad = np.flatnonzero((box_ind < 0) | (box_ind >= batch))
    if bad.size:
        raise OutOfRangeError(
            None, None, f"box_index has values outside [0, batch_size): {int(box_ind[bad[0]])}"
        )
    rows, columns = (int(n) for n in crop_size)
    if rows <= 0 or columns <= 0:
        raise InvalidArgumentError(None, None, "crop dimensions must be positive")
    ys = _places(boxes[:, 0], boxes[:, 2], height, rows)
    xs = _places(boxes[:, 1], boxes[:, 3], width, columns)
    inside = ((ys >= 0) & (ys <= height - 1))[:, :, None] & ((xs >= 0) & (xs <= width - 1))[:, None]
    return ys, xs, inside


def _corners(ys: Any, xs: Any, height: int, width: int) -> Any:
    """((row below, row above, share), the same for columns), within the image."""
    found = []
    for at, size in ((ys, height), (xs, width)):
        low, high = np.floor(at), np.ceil(at)
        clip = [np.clip(v, 0, size - 1).astype(np.int64) for v in (low, high)]
        found.append((*clip, (at - low).astype(np.float32)))
    return found


def _nearest(at: Any, size: int) -> Any:
    return np.clip(np.floor(at + np.float32(0.5)), 0, size - 1).astype(np.int64)


@op(
    "CropAndResize",
    "image: T, boxes: float32, box_ind: int32, crop_size: int32 -> crops: float32",
    T=PIXELS,
    method=METHOD,
    extrapolation_value=0.0,
)
def crop_and_resize_op(image, boxes, box_ind, crop_size, *, method, extrapolation_value):
    """Each box (in shares of height and width) of its image as crops [boxes, rows, columns, channels] of one size."""
    _, height, width, _ = image.shape
    ys, xs, inside = _samples(image.shape, boxes, box_ind, crop_size)
    of, image = box_ind[:, None, None], image.astype(np.float32)
    if method == "nearest":
        found = image[of, _nearest(ys, height)[:, :, None], _nearest(xs, width)[:, None]]
    else:
        (top, bottom, dy), (left, right, dx) = _corners(ys, xs, height, width)
        top, bottom, left, right = (
            top[:, :, None],
            bottom[:, :, None],
            left[:, None],
            right[:, None],
        )
        dx, dy = dx[:, None, :, None], dy[:, :, None, None]
        above = image[of, top, left] + (image[of, top, right] - image[of, top, left]) * dx
        below = image[of, bottom, left] + (image[of, bottom, right] - image[of, bottom, left]) * dx
        found = above + (below - above) * dy
    return np.where(inside[..., None], found, np.float32(extrapolation_value))


@crop_and_resize_op.shape
def crop_and_resize_shape(image, boxes, box_ind, crop_size):
    image, boxes = image.shape.with_rank(4).as_list(), boxes.shape.with_rank(2).as_list()
    count = TensorShape([boxes[0]]).merge_with(box_ind.shape.with_rank(1)).as_list()[0]
    size = constant_value(crop_size)
    rows, columns = (None, None) if size is None else (int(n) for n in size)
    return [(count, rows, columns, image[3])]


@crop_and_resize_op.grad
def crop_and_resize_grad(node, dy):
    image, boxes, box_ind, _ = node.inputs
    method = node.attrs["method"]
    kind = image.dtype if image.dtype in (float16, float32, float64) else float32
    d_image = crop_and_resize_grad_image_op(
        dy, boxes, box_ind, shaping.shape(image, name="Shape"), T=kind, method=method
    )
    d_boxes = None
    if method == "bilinear":
        d_boxes = crop_and_resize_grad_boxes_op(dy, image, boxes, box_ind)
    return [d_image if kind == image.dtype else None, d_boxes, None, None]


@op(
    "CropAndResizeGradImage",
    "grads: float32, boxes: float32, box_ind: int32, image_size: int32 -> output: T",
    T=Attr("type", allowed=frozenset({float16, float32, float64})),
    method=METHOD,
)
def crop_and_resize_grad_image_op(dy, boxes, box_ind, image_size, *, T, method):
    """What each pixel gave to the crops, added up."""
    shape = tuple(int(n) for n in image_size)
    _, height, width, _ = shape
    ys, xs, inside = _samples(shape, boxes, box_ind, dy.shape[1:3])
    found, dy = np.zeros(shape, np.float32), np.where(inside[..., None], dy, np.float32(0))
    of = np.broadcast_to(box_ind[:, None, None], dy.shape[:3])
    if method == "nearest":
        rows, columns = _nearest(ys, height)[:, :, None], _nearest(xs, width)[:, None]
        np.add.at(found, (of, *np.broadcast_arrays(rows, columns)), dy)
        return found.astype(T.as_numpy_dtype)
    (top, bottom, share_y), (left, right, share_x) = _corners(ys, xs, height, width)
    share_y, share_x = share_y[:, :, None, None], share_x[:, None, :, None]
    for rows, of_rows in ((top, ONE - share_y), (bottom, share_y)):
        for columns, of_columns in ((left, ONE - share_x), (right, share_x)):
            places = np.broadcast_arrays(rows[:, :, None], columns[:, None])
            np.add.at(found, (of, *places), dy * of_rows * of_columns)
    return found.astype(T.as_numpy_dtype)


@crop_and_resize_grad_image_op.shape
def crop_and_resize_grad_image_shape(dy, boxes, box_ind, image_size):
    size = constant_value(image_size)
    return [(None,) * 4 if size is None else [int(n) for n in size]]


crop_and_resize_grad_image_op.no_gradient(UNDEFINED)


@op(
    "CropAndResizeGradBoxes",
    "grads: float32, image: T, boxes: float32, box_ind: int32 -> output: float32",
    T=PIXELS,
    method=Attr("string", "bilinear", frozenset({"bilinear"})),
)
def crop_and_resize_grad_boxes_op(dy, image, boxes, box_ind):
    """How the crops change as each side of its box moves: [boxes, 4]."""
    _, height, width, _ = image.shape
    rows, columns = dy.shape[1:3]
    ys, xs, inside = _samples(image.shape, boxes, box_ind, (rows, columns))
    (top, bottom, share_y), (left, right, share_x) = _corners(ys, xs, height, width)
    of, image = box_ind[:, None, None], image.astype(np.float32)
    top, bottom, left, right = top[:, :, None], bottom[:, :, None], left[:, None], right[:, None]
    share_y, share_x = share_y[:, :, None, None], share_x[:, None, :, None]
    corners = [image[of, r, c] for r in (top, bottom) for c in (left, right)]
    by_y = (ONE - share_x) * (corners[2] - corners[0]) + share_x * (corners[3] - corners[1])
    by_x = (ONE - share_y) * (corners[1] - corners[0]) + share_y * (corners[3] - corners[2])
    dy = np.where(inside[..., None], dy, np.float32(0))
    by_y, by_x = (np.sum(dy * by, axis=3) for by in (by_y, by_x))
    y_low, y_high = _slopes(rows, height)
    x_low, x_high = _slopes(columns, width)
    found = [
        np.sum(by_y * y_low[:, None], axis=(1, 2)), np.sum(by_x * x_low, axis=(1, 2)),
        np.sum(by_y * y_high[:, None], axis=(1, 2)), np.sum(by_x * x_high, axis=(1, 2)),
    ]  # fmt: skip
    return np.stack(found, axis=1).astype(np.float32)


def _slopes(count: int, size: int) -> tuple[Any, Any]:
    """How the places of the samples move with the lower and the upper side of the box."""
    last = np.float32(size - 1)
    if count == 1:
        half = np.full(1, np.float32(0.5) * last)
        return half, half
    share = np.arange(count, dtype=np.float32) / np.float32(count - 1)
    return last - share * last, share * last


crop_and_resize_grad_boxes_op.shape(lambda dy, image, boxes, box_ind: [boxes.shape])
crop_and_resize_grad_boxes_op.no_gradient(UNDEFINED)


def crop_and_resize(
    image: Any, boxes: Any, box_ind: Any = None, crop_size: Any = None, method: str = "bilinear",
    extrapolation_value: float = 0, name: str | None = None, box_indices: Any = None,
) -> Tensor:  # fmt: skip
    """Each box (in shares of height and width) of its image as crops [boxes, rows, columns, channels] of one size."""
    return crop_and_resize_op(
        image, boxes, box_ind if box_indices is None else box_indices, crop_size, method=method,
        extrapolation_value=extrapolation_value, name=name,
    )  # fmt: skip


def overlaps(boxes: Any) -> Any:
    """The share of their union that each pair of boxes has in common: [boxes, boxes]."""
    low = np.minimum(boxes[:, :2], boxes[:, 2:])
    high = np.maximum(boxes[:, :2], boxes[:, 2:])
    areas = np.prod(high - low, axis=1)
    inner = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    common = np.prod(np.maximum(inner, 0), axis=2)
    union = areas[:, None] + areas[None] - common
    is_box = (areas[:, None] > 0) & (areas[None] > 0)
    return np.where(is_box, common / np.where(union == 0, 1, union), 0)


def best_of(boxes: Any, scores: Any, count: int, limit: float, least: float) -> list[int]:
    """The best boxes one after another, without those that share more than `limit` with a better one."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    areas = np.prod(high - low, axis=1)
    left = np.argsort(-scores, kind="stable")
    left = left[scores[left] > least]
    chosen: list[int] = []
    while left.size and len(chosen) < count:
        best, left = left[0], left[1:]
        chosen.append(int(best))
        inner = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left])
        common = np.prod(np.maximum(inner, 0), axis=1)
        union = areas[best] + areas[left] - common
        is_box = (areas[best] > 0) & (areas[left] > 0)
        shares = np.where(is_box, common / np.where(union == 0, 1, union), 0)
        left = left[~(shares > limit)]
    return chosen


def kept(shares: Any, scores: Any, count: int, limit: float, least: float) -> list[int]:
    """The best boxes one after another, without those that overlap a better one by more than `limit`."""
    chosen: list[int] = []
    for place in np.argsort(-scores, kind="stable").tolist():
        if len(chosen) >= count:
            break
        if scores[place] > least and not np.any(shares[place, chosen] > limit):
            chosen.append(place)
    return chosen


def _check_boxes(boxes: Any, scores: Any, count: int) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InvalidArgumentError(None, None, f"boxes must be [boxes, 4], not {list(boxes.shape)}")
    if scores.shape != boxes.shape[:1]:
        raise InvalidArgumentError(
            None, None, f"scores has incompatible shape {list(scores.shape)} for {len(boxes)} boxes"
        )
    if count < 0:
        raise InvalidArgumentError(None, None, "max_output_size must be non-negative")


def _suppressed(boxes, scores, count, limit, least=-np.inf):
    count, limit = int(count), float(limit)
    _check_boxes(boxes, scores, count)
    if not 0 <= limit <= 1:
        raise InvalidArgumentError(None, None, "iou_threshold must be in [0, 1]")
    chosen = best_of(boxes.astype(np.float32), scores, count, limit, float(least))
    return np.array(chosen, np.int32)


SCORES = Attr("type", float32, frozenset({float16, float32}))
BOXES = "boxes: T, scores: T, max_output_size: int32"


def _few_shape(boxes, scores, count, *_):
    count_of = boxes.shape.with_rank(2).merge_with([None, 4]).as_list()[0]
    TensorShape([count_of]).assert_is_compatible_with(scores.shape)
    return [(None,)]


@op(
    "NonMaxSuppression",
    "boxes: float32, scores: float32, max_output_size: int32 -> selected_indices: int32",
    iou_threshold=0.5,
)
def non_max_suppression_v1(boxes, scores, count, *, iou_threshold):
    """The places of the best boxes that overlap no better one too much."""
    return _suppressed(boxes, scores, count, iou_threshold)


@op(
    "NonMaxSuppressionV2", f"{BOXES}, iou_threshold: T_threshold -> selected_indices: int32",
    T=SCORES, T_threshold=SCORES,
)  # fmt: skip
def non_max_suppression_v2(boxes, scores, count, limit):
    """The places of the best boxes that overlap no better one too much."""
    return _suppressed(boxes, scores, count, limit)


LIMITS = "iou_threshold: T_threshold, score_threshold: T_threshold"


@op(
    "NonMaxSuppressionV3",
    f"{BOXES}, {LIMITS} -> selected_indices: int32",
    T=SCORES,
    T_threshold=SCORES,
)
def non_max_suppression_v3(boxes, scores, count, limit, least):
    """The places of the best boxes with a score above a threshold that overlap no better one too much."""
    return _suppressed(boxes, scores, count, limit, least)


for _opdef in (non_max_suppression_v1, non_max_suppression_v2, non_max_suppression_v3):
    _opdef.shape(_few_shape)
    _opdef.no_gradient("places have no derivative")


@op(
    "NonMaxSuppressionV4",
    f"{BOXES}, {LIMITS} -> selected_indices: int32, valid_outputs: int32",
    T=SCORES,
    T_threshold=SCORES,
    pad_to_max_output_size=False,
)
def non_max_suppression_v4(boxes, scores, count, limit, least, *, pad_to_max_output_size):
    """Version 3 with how many there are; filled up with zeros to `max_output_size` where asked for."""
    found = _suppressed(boxes, scores, count, limit, least)
    padded = np.pad(found, (0, int(count) - len(found))) if pad_to_max_output_size else found
    return padded, np.int32(len(found))


@non_max_suppression_v4.shape
def non_max_suppression_v4_shape(boxes, scores, count, *_, pad_to_max_output_size):
    known = constant_value(count) if pad_to_max_output_size else None
    return [(None if known is None else int(known),), ()]


non_max_suppression_v4.no_gradient("places have no derivative")


@op(
    "NonMaxSuppressionV5",
    f"{BOXES}, iou_threshold: T, score_threshold: T, soft_nms_sigma: T "
    "-> selected_indices: int32, selected_scores: T, valid_outputs: int32",
    T=SCORES,
    pad_to_max_output_size=False,
)
def non_max_suppression_v5(boxes, scores, count, limit, least, sigma, *, pad_to_max_output_size):
    """Version 4 with the scores; where `soft_nms_sigma` is not 0, overlaps lessen scores and drop nothing at once.

    Source: N. Bodla et al., "Soft-NMS" (2017), with the Gaussian penalty exp(-overlap² / (2 sigma)).
    """
    count, limit, least, sigma = int(count), float(limit), float(least), float(sigma)
    _check_boxes(boxes, scores, count)
    shares = overlaps(boxes.astype(np.float32))
    left, chosen, gained = scores.astype(np.float32), [], []
    alive = left > least
    while len(chosen) < count and alive.any():
        place = int(np.argmax(np.where(alive, left, -np.inf)))
        chosen.append(place)
        gained.append(left[place])
        alive[place] = False
        share = shares[place]
        if sigma > 0:
            left = left * np.exp(-0.5 * share**2 / np.float32(sigma))
            alive &= left > least
        else:
            alive &= share <= limit
    total = count if pad_to_max_output_size else len(chosen)
    places, values = np.zeros(total, np.int32), np.zeros(total, scores.dtype)
    places[: len(chosen)], values[: len(chosen)] = chosen, gained
    return places, values, np.int32(len(chosen))


@non_max_suppression_v5.shape
def non_max_suppression_v5_shape(boxes, scores, count, *_, pad_to_max_output_size):
    known = constant_value(count) if pad_to_max_output_size else None
    size = (None if known is None else int(known),)
    return [size, size, ()]


non_max_suppression_v5.no_gradient(UNDEFINED)


@op(
    "NonMaxSuppressionWithOverlaps",
    "overlaps: float32, scores: float32, max_output_size: int32, overlap_threshold: float32, "
    "score_threshold: float32 -> selected_indices: int32",
)
def non_max_suppression_with_overlaps(shares, scores, count, limit, least):
    """The places of the best things that overlap no better one by more than a threshold; the overlaps are given."""
    chosen = kept(shares, scores, int(count), float(limit), float(least))
    return np.array(chosen, np.int32)


non_max_suppression_with_overlaps.shape(lambda *_: [(None,)])
non_max_suppression_with_overlaps.no_gradient("places have no derivative")


def non_max_suppression(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The places of the best boxes [boxes, 4] that overlap no better one by more than `iou_threshold`: int32."""
    with name_scope(name, "non_max_suppression"):
        boxes = convert.convert_to_tensor(boxes, name="boxes")
        limits = _thresholds(boxes, iou_threshold=iou_threshold, score_threshold=score_threshold)
        return non_max_suppression_v3(boxes, scores, max_output_size, *limits)


def _thresholds(boxes: Tensor, **values: Any) -> list[Tensor]:
    return [
        casting.cast(convert.convert_to_tensor(v, preferred_dtype=float32, name=name), boxes.dtype)
        for name, v in values.items()
    ]


def non_max_suppression_with_scores(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), soft_nms_sigma: Any = 0.0, name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(places, scores) of the best boxes; overlaps lessen scores where `soft_nms_sigma` is not 0."""
    with name_scope(name, "non_max_suppression_with_scores"):
        boxes = convert.convert_to_tensor(boxes, name="boxes")
        limits = _thresholds(
            boxes,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            soft_nms_sigma=soft_nms_sigma,
        )
        places, values, _ = non_max_suppression_v5(boxes, scores, max_output_size, *limits)
        return places, values


def non_max_suppression_padded(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), pad_to_max_output_size: bool = False, name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(places of the best boxes, filled up with zeros where asked for; how many there are)."""
    with name_scope(name, "non_max_suppression_padded"):
        boxes = convert.convert_to_tensor(boxes, name="boxes")
        limits = _thresholds(boxes, iou_threshold=iou_threshold, score_threshold=score_threshold)
        found: tuple[Tensor, Tensor] = non_max_suppression_v4(
            boxes, scores, max_output_size, *limits, pad_to_max_output_size=pad_to_max_output_size
        )
        return found


def non_max_suppression_overlaps(
    overlaps: Any, scores: Any, max_output_size: Any, overlap_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The places of the best things that overlap no better one too much; `overlaps` is [things, things]."""
    return non_max_suppression_with_overlaps(
        overlaps, scores, max_output_size, overlap_threshold, score_threshold, name=name
    )
