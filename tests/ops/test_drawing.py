"""Frames and glimpses."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.ops import drawing
from tests.conformance.ops import case, conformance, normal

BOXES = np.array([[[0.2, 0.3, 0.7, 0.77], [-0.2, 0.3, 0.7, 1.5], [0.39, 0.1, 0.41, 0.9], [0.8, 0.1, 0.2, 0.9],
                   [-0.5, -0.5, 1.5, 1.5], [0.5] * 4, [-0.1, 0.2, 0.5, 0.8], [-1, -1, -0.5, 2], [0, 0, 1, 1],
                   [0.1, 0.1, 0.9, 0.9], [0.3, 0.3, 0.6, 0.6]]], np.float32)  # fmt: skip
COLOURS = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]], np.float32)
OFFSETS = np.array([[0, 0], [0.25, 0.5], [1, 2.6], [-1.3, 0.5]], np.float32)
SIZES = np.array([3, 3], np.int32), np.array([2, 4], np.int32)


def drawn(function, *inputs, **more):
    return case(function, *inputs, grad=0, **more)


def glimpses(opdef):
    return [
        drawn(
            opdef,
            normal(4, 7, 8, 2),
            size,
            OFFSETS,
            centered=c,
            normalized=n,
            uniform_noise=False,
            noise="zero",
        )
        for size in SIZES
        for c in (True, False)
        for n in (True, False)
    ]


TestDrawing = conformance([
    drawn(drawing.draw_bounding_boxes, normal(1, 6, 8, 3), BOXES),
    drawn(drawing.draw_bounding_boxes, normal(1, 9, 5, 1), BOXES),
    drawn(drawing.draw_bounding_boxes, normal(1, 9, 5, 4, dtype=np.float16), BOXES),
    drawn(drawing.draw_bounding_boxes, normal(1, 9, 5, 3), BOXES, colors=COLOURS),
    drawn(drawing.draw_bounding_boxes, normal(1, 9, 5, 2), BOXES, raises=ShapeError, match="Channel depth"),
    drawn(drawing.draw_bounding_boxes, normal(2, 9, 5, 3), BOXES, raises=InvalidArgumentError, match="boxes must be"),
    drawn(drawing.draw_bounding_boxes, normal(1, 9, 5, 4), BOXES, colors=COLOURS[:, :3], raises=InvalidArgumentError,
          match="colors"),
    *glimpses(drawing.extract_glimpse_op),
    *glimpses(drawing.extract_glimpse_v2_op),
    drawn(drawing.extract_glimpse, normal(1, 9, 9, 1), [3, 4], np.array([[0.1, -0.2]], np.float32)),
    drawn(drawing.extract_glimpse, normal(1, 9, 9, 1), [-1, 4], np.zeros((1, 2), np.float32),
          raises=ValueError),
])  # fmt: skip


def test_a_frame_is_a_border():
    with tf.Graph().as_default(), tf.Session() as session:
        image = session.run(
            tf.image.draw_bounding_boxes(np.zeros((1, 4, 5, 1), "f"), [[[0.0, 0.0, 1.0, 1.0]]])
        )
    like = np.ones((4, 5))
    like[1:3, 1:4] = 0
    np.testing.assert_array_equal(image[0, ..., 0], like)


def test_a_box_that_is_no_number_is_not_drawn():
    with tf.Graph().as_default(), tf.Session() as session:
        boxes = [[[np.nan, 0.0, 1.0, 1.0], [0.0, 0.0, np.inf, 1.0]]]
        assert not session.run(
            tf.image.draw_bounding_boxes(np.zeros((1, 4, 5, 1), "f"), boxes)
        ).any()


@pytest.mark.parametrize("uniform", [True, False])
def test_what_lies_outside_is_noise_in_the_range_of_the_image(uniform):
    image = np.stack([np.full((1, 4, 4), 100.0), np.full((1, 4, 4), -50.0)], -1).astype(np.float32)
    image[0, 0, 0] = [0, 7]
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(
            tf.image.extract_glimpse(image, [40, 40], [[0.0, 0.0]], uniform_noise=uniform)
        )
    np.testing.assert_array_equal(found[0, 18:22, 18:22], image[0])
    low, high = ([-50, -50], [100, 100]) if uniform else ([0, -50], [100, 7])
    outside = found[0, :18].reshape(-1, 2)
    assert (outside.min(0) >= low).all()
    assert (outside.max(0) <= high).all()
    assert len(np.unique(outside)) > 500


def test_another_noise_is_refused():
    with tf.Graph().as_default(), tf.Session() as session:
        glimpse = drawing.extract_glimpse_op(
            np.zeros((1, 4, 4, 1), "f"), [2, 2], [[0.0, 0.0]], uniform_noise=False, noise="pink"
        )
        with pytest.raises(InvalidArgumentError, match="pink"):
            session.run(glimpse)
