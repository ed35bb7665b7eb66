"""Random parts of images: TensorFlow's very parts (asked of TensorFlow 2.21), and what every part must fulfil."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.ops import box_sampling
from tests.conformance.ops import case, conformance

BOX = np.array([[[0.1, 0.1, 0.5, 0.6], [0.5, 0.5, 0.9, 0.9]]], np.float32)
NONE = np.zeros((1, 0, 4), np.float32)
SIZE = np.array([300, 200, 3], np.int32)


def part(size, boxes, covered=0.1, **attrs):
    attrs = {"seed": 5, "seed2": 7, **attrs}
    return box_sampling.sample_distorted_bounding_box_v2(size, boxes, covered, **attrs)


def part_v1(size, boxes, **attrs):
    return box_sampling.sample_distorted_bounding_box_v1(size, boxes, seed=1, seed2=2, **attrs)


def stateless(size, boxes, seed):
    return box_sampling.stateless_sample_distorted_bounding_box(size, boxes, 0.2, seed)


def outcome(top, left, rows, columns, size, kind=np.int32):
    box = np.array([top, left, top + rows, left + columns], np.float32)
    shares = box / np.array([size[0], size[1]] * 2, np.float32)
    begin = np.array([top, left, 0], kind)
    return begin, np.array([rows, columns, -1]).astype(kind), shares.reshape(1, 1, 4)


WHOLE = outcome(0, 0, 300, 200, SIZE)
TestSampleDistortedBoundingBox = conformance([
    case(part, np.array([1000, 2000, 3], np.int32), BOX, covered=0.0, aspect_ratio_range=[1.0, 1.0], grad=0),
    case(part, np.array([1000, 2000, 3], np.int32), BOX, covered=0.0, aspect_ratio_range=[0.5, 2.0], grad=0),
    case(part, np.array([1000, 2000, 3], np.int64), BOX, grad=0),
    case(part, SIZE, BOX, covered=0.5, grad=0),
    case(part, SIZE, BOX, covered=0.9, max_attempts=3, grad=0),
    case(part, SIZE, BOX, covered=1.5, expect=WHOLE, grad=0),
    case(part, SIZE, BOX, area_range=[0.9, 0.1], expect=WHOLE, grad=0),
    case(part, SIZE, BOX, aspect_ratio_range=[2.0, 0.5], grad=0),
    case(part, np.array([30, 20, 3], np.int32), BOX, covered=1.0, max_attempts=20, grad=0),
    case(part, np.array([30, 20, 3], np.uint8), NONE, use_image_if_no_bounding_boxes=True,
         expect=outcome(1, 4, 12, 12, (30, 20), np.uint8), grad=0),
    case(part_v1, np.array([1000, 2000, 3], np.int32), BOX, min_object_covered=0.0, aspect_ratio_range=[1.0, 1.0],
         expect=outcome(135, 1060, 651, 651, (1000, 2000)), grad=0),
    case(stateless, SIZE, BOX, np.array([3, 4], np.int64), grad=0),
    case(tf.image.sample_distorted_bounding_box, SIZE, BOX, seed=3, min_object_covered=0.3, grad=0),
    case(part, SIZE, NONE, raises=InvalidArgumentError, match="use_image_if_no_bounding_boxes"),
    case(part, SIZE, BOX + 1, raises=InvalidArgumentError, match=r"must be in \[0.0, 1.0\]"),
    case(part, SIZE, BOX, area_range=[0.0, 1.0], raises=InvalidArgumentError, match="Area range"),
    case(part, SIZE, BOX, area_range=[0.1, 1.5], raises=InvalidArgumentError, match="Area range"),
    case(part, SIZE, BOX, aspect_ratio_range=[1.0], raises=InvalidArgumentError, match="Aspect ratio"),
    case(part, SIZE, BOX, max_attempts=0, raises=InvalidArgumentError, match="attempts"),
    case(part, SIZE, BOX, covered=-1.0, raises=InvalidArgumentError, match="covered"),
    case(part, np.array([3, 4], np.int32), BOX, raises=ShapeError),
])  # fmt: skip


def test_runs_go_on_where_the_last_one_ended():
    """Three runs of one session, by TensorFlow."""
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        begin, size, _ = box_sampling.sample_distorted_bounding_box_v2(
            [1000, 2000, 3], [[[0.0, 0.0, 1.0, 1.0]]], 0.0, seed=3, seed2=2
        )
        found = [[v.tolist()[:2] for v in session.run([begin, size])] for _ in range(3)]
    assert found == [[[39, 533], [738, 918]], [[203, 364], [691, 570]], [[7, 1195], [771, 793]]]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 400), st.integers(1, 400), st.integers(1, 1000), st.floats(0.3, 1), st.floats(1, 3),
    st.floats(0.05, 0.9),
)  # fmt: skip
def test_every_part_is_within_the_image_and_its_limits(rows, columns, seed, low, high, least):
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        begin, size, _ = session.run(
            box_sampling.sample_distorted_bounding_box_v2(
                [rows, columns, 3], [[[0.0, 0.0, 1.0, 1.0]]], 0.0, seed=seed,
                aspect_ratio_range=[low, high], area_range=[least, 1.0],
            )
        )  # fmt: skip
    height, width = size[0], size[1]
    assert 0 <= begin[0] <= rows - height
    assert 0 <= begin[1] <= columns - width
    assert height * width >= np.float32(least) * rows * columns * (1 - 1e-6)
    if (height, width) != (rows, columns):
        assert low * height - 0.51 <= width <= high * height + 0.51


def test_the_part_can_be_sliced():
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        image = tf.zeros([40, 50, 3])
        begin, size, box = tf.image.sample_distorted_bounding_box(tf.shape(image), [[[0.0, 0.0, 1.0, 1.0]]], seed=2)  # fmt: skip
        cut, box = session.run([tf.slice(image, begin, size), box])
    assert cut.shape[2] == 3
    np.testing.assert_allclose(cut.shape[:2], (box[0, 0, 2:] - box[0, 0, :2]) * [40, 50], rtol=1e-5)
