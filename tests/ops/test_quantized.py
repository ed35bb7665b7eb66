"""Layers of quantized models: whole numbers that stand for ranges of numbers."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.ops import quantized as q
from tests.conformance.ops import case, conformance

DRAW = np.random.default_rng(0)
FIXED_POINT = "TensorFlow computes it in fixed point; ours is exact"


def whole(*sizes, kind=np.uint8):
    info = np.iinfo(kind)
    return DRAW.integers(info.min, info.max, sizes, dtype=kind, endpoint=True)


TYPES = {np.dtype(np.uint8): tf.quint8, np.dtype(np.int8): tf.qint8, np.dtype(np.int32): tf.qint32}


def of(opdef, *values, ends, **attrs):
    """The operation on plain integers, which are seen as quantized ones, each with a range."""
    made = [tf.bitcast(v, TYPES[np.dtype(v.dtype.base_dtype.as_numpy_dtype)]) for v in values]
    return list(opdef(*made, *[float(e) for e in ends], **attrs))


BYTES, FILTERS = whole(2, 5, 6, 3), whole(2, 3, 3, 4)
CONV = {"strides": [1, 2, 2, 1], "padding": "SAME"}
POOL = {"ksize": [1, 2, 3, 1], "strides": [1, 2, 1, 1], "padding": "SAME"}


def plain(values, low, high):
    """The numbers that quint8 stands for, up to how zero is rounded."""
    return low + values.astype(np.float64) * (high - low) / 255


TestQuantizedConv2D = conformance([
    case(lambda x, f: of(q.quantized_conv2d, x, f, ends=(-1, 1, -2, 2), **CONV), BYTES, FILTERS, grad=0),
    case(lambda x, f: of(q.quantized_conv2d, x, f, ends=(0, 6, -1, 3), strides=[1, 1, 1, 1], padding="VALID"), BYTES, FILTERS, grad=0),
    case(lambda x, f: of(q.quantized_conv2d, x, f, ends=(0, 6, -1, 3), dilations=[1, 2, 2, 1], **CONV), BYTES, FILTERS,
         raises=InvalidArgumentError, match="dilations"),
    case(lambda x, f: of(q.quantized_conv2d, x, f, ends=(0, 6, -1, 3), **CONV), BYTES, whole(2, 3, 2, 4), raises=ShapeError),
])  # fmt: skip
TestQuantizedMatMul = conformance([
    case(lambda a, b: of(q.quantized_matmul, a, b, ends=(-1, 1, -2, 2)), whole(3, 4), whole(4, 2), grad=0),
    case(lambda a, b: of(q.quantized_matmul, a, b, ends=(0, 6, -1, 3), transpose_a=True, transpose_b=True), whole(4, 3), whole(2, 4), grad=0),
    case(lambda a, b: of(q.quantized_matmul, a, b, ends=(-1, 1, -2, 2)), whole(3, 4), whole(3, 2), raises=ShapeError, match="inner"),
    case(lambda a, b: of(q.quantized_mul, a, b, ends=(-1, 1, -2, 2)), whole(3, 4), whole(3, 4), grad=0),
    case(lambda a, b: of(q.quantized_mul, a, b, ends=(0, 6, -1, 3)), whole(3, 4), whole(4), grad=0),
])  # fmt: skip
TestQuantizedSums = conformance([
    case(lambda a, b: of(q.quantized_add, a, b, ends=(-1, 1, -2, 2)), whole(3, 4), whole(4), grad=0, unasked=FIXED_POINT),
    case(lambda a, b: of(q.quantized_bias_add, a, b, ends=(-1, 1, -2, 2), out_type=tf.qint32), whole(2, 3, 4), whole(4), grad=0),
    case(lambda a, b: of(q.quantized_bias_add, a, b, ends=(-1, 1, -2, 2), out_type=tf.qint32), whole(3, 4, kind=np.int8), whole(4, kind=np.int8), grad=0),
    case(lambda a, b: of(q.quantized_bias_add, a, b, ends=(-1, 1, -2, 2), out_type=tf.qint32), whole(3, 4), whole(3),
         raises=ShapeError),
])  # fmt: skip
TestQuantizedPooling = conformance([
    case(lambda x: of(q.quantized_max_pool, x, ends=(-1, 1), **POOL), BYTES, grad=0),
    case(lambda x: of(q.quantized_max_pool, x, ends=(-1, 1), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID"), BYTES, grad=0),
    case(lambda x: of(q.quantized_avg_pool, x, ends=(-1, 1), **POOL), BYTES, grad=0),
    case(lambda x: of(q.quantized_avg_pool, x, ends=(-1, 1), **POOL), whole(1, 4, 4, 2, kind=np.int32), grad=0, unasked="TensorFlow has kernels of bytes only"),
])  # fmt: skip


def relu_x(x):
    return list(q.quantized_relu_x(tf.bitcast(x, tf.quint8), 2.0, -1.0, 3.0))


TestQuantizedRelu = conformance([
    *[case(lambda x, ends=ends, opdef=opdef: of(opdef, x, ends=ends), BYTES, grad=0, title=f"{opdef.type}{ends}")
      for opdef in (q.quantized_relu, q.quantized_relu6) for ends in ((-1, 1), (0, 10), (-3, 5))],
    case(lambda x: of(q.quantized_relu, x, ends=(-1, 1), out_type=tf.qint32), whole(3, kind=np.int32), grad=0),
    case(relu_x, np.array([0, 64, 191, 192, 255], np.uint8), grad=0, unasked="TensorFlow has no kernel",
         expect=(np.array([64, 64, 191, 192, 192], np.uint8), np.float32(-1), np.float32(3))),
])  # fmt: skip


def concat(a, b, ends, axis=0):
    a, b = (tf.bitcast(v, tf.quint8) for v in (a, b))
    return list(q.quantized_concat(axis, [a, b], [float(ends[0]), float(ends[2])], [float(ends[1]), float(ends[3])]))  # fmt: skip


TestQuantizedConcat = conformance([
    case(concat, whole(2, 3), whole(1, 3), (-1, 1, -2, 2), grad=0, unasked="numbers in the middle of two may go to either"),
    case(concat, whole(2, 3), whole(2, 1), (0, 6, -1, 3), axis=1, grad=0),
    case(concat, whole(2, 3), whole(2, 3), (-1, 1, -1, 1), axis=1, grad=0),
    case(concat, whole(2, 3), whole(1, 2), (-1, 1, -1, 1), raises=ShapeError),
    case(lambda x: list(q.quantized_reshape(tf.bitcast(x, tf.quint8), [-1, 4], -1.0, 1.0)), whole(2, 6), grad=0),
])  # fmt: skip


def large(*sizes):
    return whole(*sizes, kind=np.int32)


TestRequantize = conformance([
    case(lambda x: of(q.requantization_range, x, ends=(-1, 1)), large(3, 4), grad=0),
    case(lambda x: of(q.requantization_range, x, ends=(-1e6, 1e6)), np.array([5, -7, 100, 3000], np.int32), grad=0),
    case(lambda x: of(q.requantize, x, ends=(-1, 1, -0.5, 0.7), out_type=tf.quint8), large(3, 4), grad=0, unasked=FIXED_POINT),
    case(lambda x: of(q.quantize_down_and_shrink_range, x, ends=(-1, 1), out_type=tf.quint8), large(3, 4), grad=0, unasked=FIXED_POINT),
    case(lambda x: tf.bitcast(tf.bitcast(x, tf.qint8), tf.int8), whole(3), like=lambda x: x.view(np.int8), grad=0),
])  # fmt: skip


def test_a_sum_is_the_sum():
    a, b = whole(3, 4), whole(4)
    with tf.Graph().as_default(), tf.Session() as session:
        found, low, high = session.run(of(q.quantized_add, a_of(a), a_of(b), ends=(-1, 1, -2, 2)))
    assert (low, high) == (-32768, 32768)
    numbers = found / 2.0**32 * (high - low)
    np.testing.assert_allclose(numbers, plain(a, -1, 1) + plain(b, -2, 2), atol=0.013)


def a_of(values):
    return tf.constant(values)


@pytest.mark.parametrize("numbers", [np.linspace(-3, 5, 50), np.array([0.25, -2.0])])
def test_down_and_shrink_range_keeps_the_numbers(numbers):
    x = np.round(numbers / 100 * 2**31).astype(np.int32)
    with tf.Graph().as_default(), tf.Session() as session:
        found, low, high = session.run(
            of(q.quantize_down_and_shrink_range, a_of(x), ends=(-100, 100), out_type=tf.quint8)
        )
    assert (low, high) == pytest.approx((numbers.min(), max(numbers.max(), 0)), rel=1e-5)
    np.testing.assert_allclose(plain(found, low, high), numbers, atol=(high - low) / 255)


def test_a_quantized_layer_computes_what_the_layer_computes():
    """Convolution, bias, rectifier and pooling in bytes beside the same in floats."""
    x = DRAW.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    w = DRAW.uniform(-1, 1, (3, 3, 3, 4)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        exact = tf.nn.max_pool(tf.nn.relu(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")), [1, 2, 2, 1], [1, 2, 2, 1], "SAME")  # fmt: skip
        qx, qw = (tf.quantize_v2(v, -1.0, 1.0, tf.quint8, mode="MIN_FIRST") for v in (x, w))
        made = tf.nn.quantized_conv2d(qx[0], qw[0], qx[1], qx[2], qw[1], qw[2], [1, 1, 1, 1], "SAME")  # fmt: skip
        made = q.quantize_down_and_shrink_range(*made, out_type=tf.quint8)
        made = tf.nn.quantized_max_pool(*q.quantized_relu(*made), [1, 2, 2, 1], [1, 2, 2, 1], "SAME")  # fmt: skip
        found, wanted = session.run([tf.dequantize(*made, mode="MIN_FIRST"), exact])
    np.testing.assert_allclose(found, wanted, atol=0.1)
    assert wanted.max() > 1
