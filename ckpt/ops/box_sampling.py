"""Random parts of an image that still show enough of the objects in it: SampleDistortedBoundingBox."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ckpt.core.dtypes import int8, int16, int32, int64, uint8
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import random, stateless

INTEGERS = frozenset({uint8, int8, int16, int32, int64})
NO_GRADIENT = "random places have no derivative"
WORDS_OF_A_TRY = 4
LIMITS: dict[str, Any] = {
    "aspect_ratio_range": Attr("list(float)", [0.75, 1.33]), "area_range": Attr("list(float)", [0.05, 1.0]),
    "max_attempts": 100, "use_image_if_no_bounding_boxes": False,
}  # fmt: skip


class Box(NamedTuple):
    """Rows and columns of a part of an image, the ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        """How many pixels it holds."""
        return max(0, self.bottom - self.top) * max(0, self.right - self.left)

    def common(self, other: Box) -> Box:
        """What is in both."""
        return Box(max(self.top, other.top), max(self.left, other.left),
                   min(self.bottom, other.bottom), min(self.right, other.right))  # fmt: skip


class _Words:
    """The 32-bit words of a stream, one after the other."""

    def __init__(self, stream: Any, start: int, count: int) -> None:
        groups = stream.words(start, np.arange(-(-count // 4), dtype=np.uint64))
        self.words = groups.T.reshape(-1)
        self.place = 0

    def _next(self) -> Any:
        self.place += 1
        return self.words[self.place - 1 : self.place]

    def share(self) -> Any:
        """A float32 in [0, 1)."""
        return random.uniform_values(self._next()[None], np.dtype(np.float32))[0, 0]

    def below(self, count: int) -> int:
        """A whole number in [0, count)."""
        return int(self._next()[0]) % count if count > 0 else 0


def _rounded(value: Any) -> int:
    return int(np.rint(np.float32(value)))


def _tried(words: _Words, height: int, width: int, ratio: Any, area: tuple[float, float]) -> Box | None:  # fmt: skip
    """A random part of this ratio of width to height whose area is within limits, or None where this try found none."""
    low, high = (np.float32(share) * np.float32(width) * np.float32(height) for share in area)
    rows = _rounded(np.sqrt(low / ratio))
    most = _rounded(np.sqrt(high / ratio))
    if _rounded(np.float32(most) * ratio) > width:
        most = int((np.float32(width) + np.float32(0.5) - np.float32(1e-7)) / ratio)
    most = min(most, height)
    rows = min(rows, most)
    if rows < most:
        rows += words.below(most - rows + 1)
    columns = _rounded(np.float32(rows) * ratio)
    if rows * columns < low:
        rows += 1
    elif rows * columns > high:
        rows -= 1
    columns = _rounded(np.float32(rows) * ratio)
    if not low <= rows * columns <= high or not (0 < columns <= width and 0 < rows <= height):
        return None
    top = words.below(height - rows) if rows < height else 0
    left = words.below(width - columns) if columns < width else 0
    return Box(top, left, top + rows, left + columns)


def _shows_enough(part: Box, objects: list[Box], least: float) -> bool:
    shares = [part.common(o).area / o.area for o in objects if o.area]
    return any(np.float32(share) >= np.float32(least) for share in shares)


def _objects(boxes: Any, height: int, width: int, *, whole_if_none: bool) -> list[Box]:
    """The objects' boxes in pixels. Raises InvalidArgumentError where there are none and the image may not stand for them."""
    boxes = boxes.reshape(-1, 4)
    if not len(boxes):
        if not whole_if_none:
            raise InvalidArgumentError(
                None, None,
                "No bounding boxes provided as input. One must enable use_image_if_no_bounding_boxes if you wish to "
                "not provide any bounding boxes.",
            )  # fmt: skip
        return [Box(0, 0, height, width)]
    outside = boxes[(boxes < 0) | (boxes > 1)]
    if len(outside):
        raise InvalidArgumentError(
            None, None, f"All bounding box coordinates must be in [0.0, 1.0]: {outside[0]}"
        )
    scale = np.array([height, width, height, width], np.float32)
    return [Box(*(int(n) for n in row)) for row in boxes * scale]


def _checked_limits(ratios: Any, area: Any, attempts: int, covered: float) -> None:
    wrong = {
        "Aspect ratio range must be two positive numbers": (
            len(ratios) != 2 or min(ratios) <= 0, ratios),
        "Area range must be two numbers in (0, 1]": (
            len(area) != 2 or min(area) <= 0 or max(area) > 1, area),
        "Max attempts must be positive": (attempts <= 0, attempts),
        "Min object covered must be non-negative": (covered < 0, covered),
    }  # fmt: skip
    for rule, (is_broken, value) in wrong.items():
        if is_broken:
            raise InvalidArgumentError(None, None, f"{rule}, got {value}")


def _sampled(
    words_of, image_size, boxes, covered, *, aspect_ratio_range, area_range, max_attempts,
    use_image_if_no_bounding_boxes,
):  # fmt: skip
    """(begin, size) for a slice of the image, and the part as a box in shares of the image."""
    covered = float(np.asarray(covered))
    _checked_limits(aspect_ratio_range, area_range, max_attempts, covered)
    if np.shape(image_size) != (3,):
        raise InvalidArgumentError(
            None, None, f"image_size must be 1-dimensional and contain 3 elements, got {list(np.shape(image_size))}"
        )  # fmt: skip
    height, width = int(image_size[0]), int(image_size[1])
    objects = _objects(boxes, height, width, whole_if_none=use_image_if_no_bounding_boxes)
    words = words_of(WORDS_OF_A_TRY * max_attempts)
    low, high = (np.float32(ratio) for ratio in aspect_ratio_range)
    part = Box(0, 0, height, width)
    for _ in range(max_attempts):
        ratio = words.share() * (high - low) + low
        found = _tried(words, height, width, ratio, area_range)
        if found is not None and _shows_enough(found, objects, covered):
            part = found
            break
    kind = image_size.dtype
    begin = np.array([part.top, part.left, 0], kind)
    size = np.array([part.bottom - part.top, part.right - part.left, -1]).astype(kind)
    shares = np.array(part, np.float32) / np.array([height, width, height, width], np.float32)
    return begin, size, shares.reshape(1, 1, 4)


def _of_session(ctx, seed: int, seed2: int):
    def words_of(count: int) -> _Words:
        stream = random.stream_of(ctx, seed, seed2)
        return _Words(stream, stream.reserve(-(-count // 4)), count)

    return words_of


@op(
    "SampleDistortedBoundingBox",
    "image_size: T, bounding_boxes: float32 -> begin: T, size: T, bboxes: float32",
    T=INTEGERS, seed=0, seed2=0, min_object_covered=0.1, **LIMITS,
)  # fmt: skip
def sample_distorted_bounding_box_v1(
    ctx, image_size, boxes, *, seed, seed2, min_object_covered, aspect_ratio_range, area_range, max_attempts,
    use_image_if_no_bounding_boxes,
):  # fmt: skip
    """A random part of an image of `image_size` that covers at least a share of one of the objects."""
    return _sampled(
        _of_session(ctx, seed, seed2), image_size, boxes, min_object_covered,
        aspect_ratio_range=aspect_ratio_range, area_range=area_range, max_attempts=max_attempts,
        use_image_if_no_bounding_boxes=use_image_if_no_bounding_boxes,
    )  # fmt: skip


@op(
    "SampleDistortedBoundingBoxV2",
    "image_size: T, bounding_boxes: float32, min_object_covered: float32 "
    "-> begin: T, size: T, bboxes: float32",
    T=INTEGERS, seed=0, seed2=0, **LIMITS,
)  # fmt: skip
def sample_distorted_bounding_box_v2(
    ctx, image_size, boxes, covered, *, seed, seed2, aspect_ratio_range, area_range, max_attempts,
    use_image_if_no_bounding_boxes,
):  # fmt: skip
    """A random part of an image of `image_size` that covers at least a share of one of the objects."""
    return _sampled(
        _of_session(ctx, seed, seed2), image_size, boxes, covered, aspect_ratio_range=aspect_ratio_range,
        area_range=area_range, max_attempts=max_attempts,
        use_image_if_no_bounding_boxes=use_image_if_no_bounding_boxes,
    )  # fmt: skip


@op(
    "StatelessSampleDistortedBoundingBox",
    "image_size: T, bounding_boxes: float32, min_object_covered: float32, seed: Tseed "
    "-> begin: T, size: T, bboxes: float32",
    T=INTEGERS, Tseed=frozenset({int32, int64}), **LIMITS,
)  # fmt: skip
def stateless_sample_distorted_bounding_box(
    image_size, boxes, covered, seed, *, aspect_ratio_range, area_range, max_attempts,
    use_image_if_no_bounding_boxes,
):  # fmt: skip
    """The same part for the same `seed` of two numbers."""
    stream = stateless.seeded(seed)
    return _sampled(
        lambda count: _Words(stream, stream.position, count), image_size, boxes, covered,
        aspect_ratio_range=aspect_ratio_range, area_range=area_range, max_attempts=max_attempts,
        use_image_if_no_bounding_boxes=use_image_if_no_bounding_boxes,
    )  # fmt: skip


def _part_shape(image_size, boxes, *rest):
    image_size.shape.with_rank(1).merge_with([3])
    boxes.shape.with_rank(3)
    return [(3,), (3,), (1, 1, 4)]


for _opdef in (
    sample_distorted_bounding_box_v1,
    sample_distorted_bounding_box_v2,
    stateless_sample_distorted_bounding_box,
):
    _opdef.shape(_part_shape)
    _opdef.no_gradient(NO_GRADIENT)


def sample_distorted_bounding_box(
    image_size: Any, bounding_boxes: Any, seed: int | None = None, seed2: int | None = None,
    min_object_covered: Any = 0.1, aspect_ratio_range: Any = None, area_range: Any = None,
    max_attempts: int | None = None, use_image_if_no_bounding_boxes: bool | None = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(begin [3], size [3], box [1, 1, 4]) of a random part of an image, for `tf.slice` and `tf.image.draw_bounding_boxes`.

    `image_size` is [height, width, channels], `bounding_boxes` [batch, objects, 4] in shares of the image (top, left,
    bottom, right). The part has a ratio of width to height and a share of the area within the ranges given, and covers
    at least `min_object_covered` of one of the objects. After `max_attempts` (100) tries it is the whole image.
    """
    given = {
        "seed": seed, "seed2": seed2, "aspect_ratio_range": aspect_ratio_range, "area_range": area_range,
        "max_attempts": max_attempts, "use_image_if_no_bounding_boxes": use_image_if_no_bounding_boxes,
    }  # fmt: skip
    attrs = {key: value for key, value in given.items() if value is not None}
    with name_scope(name, "sample_distorted_bounding_box"):
        found: tuple[Tensor, Tensor, Tensor] = sample_distorted_bounding_box_v2(
            image_size, bounding_boxes, min_object_covered, **attrs,
            name=name,
        )  # fmt: skip
        return found
