"""Parts of one tensor: join those that complete it, and check that no two overlap. Must not know files."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ckpt.formats.base import SliceSpec

Array = np.ndarray[Any, Any]
Placed = tuple[tuple[int, ...], Array]


def join(
    parts: list[tuple[Array, SliceSpec | None]],
) -> tuple[tuple[int, ...], list[Placed], list[Array] | None]:
    """The full shape, the parts by place, and, if they complete it, arrays that end to end are the tensor.

    Raises ValueError when the parts contradict each other.
    """
    specs = [spec for _, spec in parts if spec is not None]
    shapes = {spec.full_shape for spec in specs}
    if len(specs) != len(parts) or len(shapes) != 1:
        raise ValueError(f"is given as parts of different tensors: {sorted(shapes)}")
    full_shape = tuple(map(int, specs[0].full_shape))
    boxes = sorted(
        (
            (tuple(map(int, spec.starts)), array)
            for (array, _), spec in zip(parts, specs, strict=True)
        ),
        key=lambda box: box[0],
    )
    for starts, array in boxes:
        _check_inside(full_shape, starts, array.shape)
    _check_apart(boxes)
    if sum(array.size for _, array in boxes) != prod(full_shape):
        return full_shape, boxes, None
    if all(array.shape[1:] == full_shape[1:] for _, array in boxes):
        return full_shape, boxes, [array for _, array in boxes]
    whole = np.empty(full_shape, boxes[0][1].dtype)
    for starts, array in boxes:
        whole[tuple(slice(a, a + n) for a, n in zip(starts, array.shape, strict=True))] = array
    return full_shape, boxes, [whole]


def _check_inside(
    full_shape: tuple[int, ...], starts: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    if not len(full_shape) == len(starts) == len(shape) or any(
        a < 0 or a + n > full for a, n, full in zip(starts, shape, full_shape, strict=True)
    ):
        raise ValueError(
            f"a part of shape {shape} at {starts} lies outside the full shape {full_shape}"
        )


def _check_apart(boxes: list[Placed]) -> None:
    """Raise ValueError if two boxes share an element; `boxes` are sorted by their first index."""
    for number, (starts, array) in enumerate(boxes):
        for other_starts, other in boxes[number + 1 :]:
            if starts and other_starts[0] >= starts[0] + array.shape[0]:
                break
            shared = (
                min(a + n, b + m) - max(a, b)
                for a, n, b, m in zip(starts, array.shape, other_starts, other.shape, strict=True)
            )
            if all(length > 0 for length in shared):
                raise ValueError(f"parts at {starts} and {other_starts} overlap")
