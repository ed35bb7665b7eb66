"""Dilated operations: TensorFlow's nodes, and the values of operations whose filters are spread with zeros."""

import numpy as np
import pytest

import ckpt as tf

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.normal(size=(2, 7, 6, 2)).astype(np.float32)
FILTERS = RANDOM.normal(size=(3, 2, 2, 2)).astype(np.float32)


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def spread(filters, rows, columns):
    """Filters with zeros between their elements: a plain convolution with them is the dilated one."""
    height, width, *rest = filters.shape
    found = np.zeros(((height - 1) * rows + 1, (width - 1) * columns + 1, *rest), filters.dtype)
    found[::rows, ::columns] = filters
    return found


def types(graph, scope):
    return [op.type for op in graph.get_operations() if op.name.startswith(scope) and op.inputs]


def both(dilated, plain, feeds=None):
    with tf.Session() as session:
        found, like = session.run([dilated, plain], feeds)
    np.testing.assert_allclose(found, like, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_convolution_is_dealt_out_to_the_batch(graph, padding, known):
    x = tf.placeholder(tf.float32, [2, 7, 6, 2] if known else [None, None, None, 2])
    dilated = tf.nn.convolution(x, FILTERS, padding, dilation_rate=[2, 3])
    plain = tf.nn.conv2d(x, spread(FILTERS, 2, 3), [1, 1, 1, 1], padding)
    made = types(graph, "convolution")
    assert [kind for kind in made if "Batch" in kind or kind == "Conv2D"] == [
        "SpaceToBatchND", "Conv2D", "BatchToSpaceND",
    ]  # fmt: skip
    assert (len(made) == 3) is known
    assert graph.get_operation_by_name("convolution").type == "Conv2D"
    assert dilated.op.name == "convolution/BatchToSpaceND"
    both(dilated, plain, {x: IMAGE})


def test_channels_first(graph):
    x = tf.placeholder(tf.float32, [None, 2, None, None])
    first = IMAGE.transpose(0, 3, 1, 2)
    dilated = tf.nn.convolution(x, FILTERS, "VALID", dilation_rate=[2, 3], data_format="NCHW")
    block = graph.get_operation_by_name("convolution/SpaceToBatchND").inputs[1]
    plain = tf.nn.conv2d(x, spread(FILTERS, 2, 3), [1, 1, 1, 1], "VALID", data_format="NCHW")
    both(dilated, plain, {x: first})
    assert tf.Session().run(block).tolist() == [1, 2, 3]


def test_a_pair_for_each_axis(graph):
    pairs = [[0, 0], [1, 2], [0, 3], [0, 0]]
    dilated = tf.nn.convolution(IMAGE, FILTERS, pairs, dilation_rate=[2, 3])
    both(dilated, tf.nn.conv2d(IMAGE, spread(FILTERS, 2, 3), [1, 1, 1, 1], pairs))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_depthwise(graph, padding):
    dilated = tf.nn.depthwise_conv2d(IMAGE, FILTERS, [1, 1, 1, 1], padding, rate=[2, 2])
    wide = spread(FILTERS, 2, 2)
    both(dilated, tf.nn.depthwise_conv2d(IMAGE, wide, [1, 1, 1, 1], padding))
    assert graph.get_operation_by_name("depthwise").type == "DepthwiseConv2dNative"
    assert dilated.op.name == "depthwise/BatchToSpaceND"


def test_a_rate_of_one_is_the_plain_operation(graph):
    for made, kind in (
        (tf.nn.convolution(IMAGE, FILTERS, "SAME", dilation_rate=[1, 1]), "Conv2D"),
        (tf.nn.depthwise_conv2d(IMAGE, FILTERS, [1, 1, 1, 1], "SAME", rate=[1, 1]), "DepthwiseConv2dNative"),
        (tf.nn.pool(IMAGE, [2, 2], "MAX", "SAME"), "MaxPool"),
        (tf.nn.atrous_conv2d(IMAGE, FILTERS, 1, "SAME"), "Conv2D"),
    ):  # fmt: skip
        assert made.op.type == kind
    assert "SpaceToBatchND" not in types(graph, "")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("padding", "shape"), [("VALID", [2, 11, 8, 2]), ("SAME", [2, 7, 6, 2])])
def test_the_transposed_convolution(graph, padding, shape, known):
    size = tf.constant(shape) if known else tf.placeholder(tf.int32, [4])
    dilated = tf.nn.atrous_conv2d_transpose(IMAGE, FILTERS, size, 2, padding)
    plain = tf.nn.conv2d_transpose(IMAGE, spread(FILTERS, 2, 2), shape, [1, 1, 1, 1], padding)
    both(dilated, plain, None if known else {size: shape})


def test_paddings_that_blocks_fit(graph):
    paddings, crops = tf.required_space_to_batch_paddings([7, 6], [2, 4], [[1, 0], [0, 1]])
    size = tf.placeholder(tf.int32, [2])
    when_run = tf.required_space_to_batch_paddings(size, [2, 4], [[1, 0], [0, 1]])
    with tf.Session() as session:
        for pair in (session.run([paddings, crops]), session.run(when_run, {size: [7, 6]})):
            assert [v.tolist() for v in pair] == [[[1, 0], [0, 2]], [[0, 0], [0, 1]]]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"dilation_rate": [0, 1]}, "must be positive"),
        ({"dilation_rate": []}, "vector"),
        ({"dilation_rate": [2, 2], "spatial_dims": [2, 1]}, "increasing"),
        ({"dilation_rate": [2, 2], "padding": "SAME"}, "filter_shape"),
        ({"dilation_rate": [2, 2], "padding": "FULL"}, "Invalid padding"),
    ],
)
def test_what_cannot_be_dealt_out(graph, more, match):
    more = {"padding": "VALID", **more}
    with pytest.raises(ValueError, match=match):
        tf.nn.with_space_to_batch(IMAGE, op=lambda x, num_spatial_dims, padding: x, **more)


def test_axes_that_are_not_neighbours(graph):
    x = tf.placeholder(tf.float32, [None, None, 3, None])
    doubled = tf.nn.with_space_to_batch(
        x, [2, 3], "VALID", lambda part, num_spatial_dims, padding: part * 2.0, spatial_dims=[1, 3]
    )
    both(doubled, x * 2.0, {x: RANDOM.normal(size=(2, 5, 3, 7))})
