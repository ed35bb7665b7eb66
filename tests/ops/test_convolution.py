"""Convolutions and their gradients: TensorFlow's values, all layouts and paddings, derivatives, refusals."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from ckpt.ops import constants, convolution, patches, spatial
from ckpt.ops.windows import axis_of
from tests.conformance.goldens import assert_close, goldens
from tests.conformance.ops import ONLY_ON_GPUS, case, conformance, normal, ones, zeros


def conv2d(x, filters, **attrs):
    return convolution.conv2d(x, filters, **attrs)


def reference(x, filters, strides=(1, 1), dilations=(1, 1), pads=((0, 0), (0, 0))):
    """The definition, one window at a time."""
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    kh, kw = ((k - 1) * d + 1 for k, d in zip(filters.shape[:2], dilations, strict=True))
    rows = range(0, x.shape[1] - kh + 1, strides[0])
    columns = range(0, x.shape[2] - kw + 1, strides[1])
    y = np.zeros((x.shape[0], len(rows), len(columns), filters.shape[3]))
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            window = x[:, r : r + kh : dilations[0], c : c + kw : dilations[1]].astype(np.float64)
            y[:, i, j] = np.tensordot(window, filters.astype(np.float64), 3)
    return y.astype(filters.dtype)


def transposed(value, filters):
    return convolution.conv2d_transpose(value, filters, [1, 6, 6, 2], strides=[1, 2, 2, 1])


LOOSE = {"rtol": 1e-4, "atol": 1e-5}
TestConv2D = conformance([
    case(conv2d, normal(2, 5, 4, 2), normal(3, 2, 2, 3), strides=1, padding="VALID", like=lambda x, f, **_: reference(x, f),
         grad=2, **LOOSE),
    case(conv2d, normal(1, 4, 4, 2), normal(3, 3, 2, 2), strides=[1, 1, 1, 1], padding="SAME", grad=2,
         like=lambda x, f: reference(x, f, pads=((1, 1), (1, 1))), **LOOSE),
    case(conv2d, normal(1, 5, 6, 1), normal(2, 3, 1, 2), strides=[1, 2, 3, 1], padding="SAME", grad=2),
    case(conv2d, normal(1, 7, 6, 1), normal(2, 2, 1, 2), strides=1, padding="SAME", dilations=[1, 3, 2, 1], grad=2),
    case(conv2d, normal(1, 4, 4, 1), normal(3, 3, 1, 2), strides=[1, 2, 1, 1], padding=[[0, 0], [2, 0], [1, 1], [0, 0]],
         like=lambda x, f: reference(x, f, (2, 1), pads=((2, 0), (1, 1))), grad=2, **LOOSE),
    case(conv2d, normal(1, 2, 4, 4), normal(3, 3, 2, 3), strides=[1, 1, 2, 2], padding="SAME", data_format="NCHW",
         unasked=ONLY_ON_GPUS, grad=2),
    case(conv2d, normal(2, 3, 3, 4), normal(1, 1, 4, 2), strides=1, padding="SAME", like=reference,
         grad=2, **LOOSE),
    case(conv2d, normal(1, 4, 4, 4), normal(2, 2, 2, 4), strides=1, padding="VALID", title="grouped"),
    case(conv2d, zeros(0, 4, 4, 2), normal(2, 2, 2, 3), strides=1, padding="VALID", expect=zeros(0, 3, 3, 3)),
    case(conv2d, normal(1, 4, 4, 2).astype(np.float16), normal(2, 2, 2, 3).astype(np.float16), strides=1, padding="SAME",
         grad=0, rtol=2e-3, atol=2e-4),
    case(conv2d, normal(1, 2, 2, 1), normal(3, 3, 1, 1), strides=1, padding="VALID", raises=ShapeError, match="Negative"),
    case(conv2d, normal(1, 4, 4, 3), normal(2, 2, 2, 1), strides=1, padding="VALID", raises=ShapeError, match="multiple"),
    case(conv2d, normal(1, 4, 4, 2), normal(2, 2, 2, 1), strides=1, padding="ROUND", raises=ValueError, match="padding"),
    case(conv2d, normal(1, 4, 4, 2), normal(2, 2, 2, 1), strides=[1, 2, 1], padding="SAME", raises=ValueError,
         match="length"),
    case(transposed, normal(1, 3, 3, 3), normal(3, 3, 2, 3), grad=2),
    case(convolution.depthwise_conv2d_native, normal(2, 4, 4, 3), normal(3, 3, 3, 2), strides=[1, 1, 1, 1], padding="SAME",
         grad=2),
    case(convolution.depthwise_conv2d_native, normal(1, 2, 5, 5), normal(2, 2, 2, 1), strides=[1, 1, 2, 2],
         padding="VALID", data_format="NCHW", unasked=ONLY_ON_GPUS, grad=2),
    case(spatial.depthwise_conv2d, normal(1, 6, 6, 1), normal(2, 2, 1, 2), strides=[1, 1, 1, 1], padding="VALID",
         rate=[2, 2]),
    case(spatial.depthwise_conv2d, normal(1, 6, 6, 1), normal(2, 2, 3, 2), strides=[1, 1, 1, 1], padding="VALID",
         raises=ShapeError, match="1 and 3"),
])  # fmt: skip


@pytest.mark.parametrize("golden", goldens("convolution"), ids=lambda g: g.name)
def test_computes_what_tensorflow_computes(golden):
    assert_close(golden, 1e-5, 1e-5)


@pytest.mark.parametrize("limit", [1, 1 << 30], ids=["image by image", "all at once"])
@pytest.mark.parametrize("channels", [1, 9])
def test_how_much_is_laid_out_at_a_time_does_not_matter(monkeypatch, limit, channels):
    monkeypatch.setattr(patches, "PATCH_BYTES", limit)
    x, filters = normal(3, 6, 7, channels), normal(3, 2, channels, 2)
    with Graph().as_default():
        node = convolution.conv2d(constants.constant(x), constants.constant(filters), 1, "VALID").op
    y = OPS["Conv2D"].kernel(x, filters, **{k: node.attrs[k] for k in OPS["Conv2D"].kernel_attrs})
    np.testing.assert_allclose(y, reference(x, filters), rtol=1e-4, atol=1e-5)


def test_sizes_that_do_not_belong_together_are_refused():
    geometry = {"strides": [1, 1, 1, 1], "padding": "VALID", "explicit_paddings": [], "data_format": "NHWC",
                "dilations": [1, 1, 1, 1]}  # fmt: skip
    with pytest.raises(InvalidArgumentError, match="out_backprop has shape"):
        OPS["Conv2DBackpropInput"].kernel(
            np.array([1, 4, 4, 1]), ones(2, 2, 1, 1), ones(1, 4, 4, 1), **geometry
        )
    with pytest.raises(InvalidArgumentError, match="4 elements"):
        OPS["Conv2DBackpropInput"].kernel(
            np.array([4, 4]), ones(2, 2, 1, 1), ones(1, 3, 3, 1), **geometry
        )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("size", "window", "stride", "dilation"),
    [(7, 3, 2, 1), (9, 2, 4, 3), (5, 5, 1, 1), (8, 1, 3, 1)],
)
def test_taps_cover_exactly_the_windows(size, window, stride, dilation, padding):
    axis = axis_of(size, window, stride, padding, dilation=dilation)
    held = np.zeros((axis.count, size), int)
    for _, inside, out in axis.taps():
        held[range(axis.count)[out], range(size)[inside]] += 1
    expected = np.zeros_like(held)
    for w in range(axis.count):
        for k in range(window):
            position = w * stride - axis.before + k * dilation
            if 0 <= position < size:
                expected[w, position] += 1
    np.testing.assert_array_equal(held, expected)
