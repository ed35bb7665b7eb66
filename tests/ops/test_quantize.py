"""Numbers as the whole numbers of quantized models, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError, UnimplementedError
from ckpt.ops import quantize as q
from tests.conformance.ops import case, conformance, normal

X = (normal(4, 5) * 2).astype(np.float32)
GONE = "TensorFlow 2 runs it in old graphs only"
LOWS, HIGHS = np.array([-1, -2, 0, -3], np.float32), np.array([1, 2, 4, 5], np.float32)
EDGES = np.array([0, 0.5, -0.5, 1e9, -1e9, 1.4, 1.8, -1.5, 1.5], np.float32)
DTYPES = [tf.quint8, tf.qint8, tf.quint16, tf.qint16]
RANGES = [(-1, 1), (-2, 3), (0, 6), (-3, -1), (0.5, 3), (0, 0), (-1.3, 2.7)]


def there(x, low, high, **attrs):
    return tf.quantization.quantize(x, float(low), float(high), **attrs)


def and_back(x, low, high, axis=None, mode="MIN_COMBINED", narrow_range=False, dtype=tf.float32, T=tf.quint8):  # fmt: skip
    made = tf.quantize_v2(x, low, high, T, mode=mode, axis=axis, narrow_range=narrow_range)
    return tf.dequantize(
        made.output, made.output_min, made.output_max, mode=mode, axis=axis, narrow_range=narrow_range, dtype=dtype
    )  # fmt: skip


TestQuantize = conformance([
    *[case(there, EDGES, low, high, T=dtype, grad=0) for dtype in DTYPES for low, high in RANGES],
    *[case(there, X, low, high, T=dtype, mode="MIN_FIRST", grad=0) for dtype in DTYPES for low, high in RANGES],
    *[case(there, X, low, high, T=dtype, mode="SCALED", round_mode="HALF_TO_EVEN", narrow_range=dtype is tf.qint8, grad=0)
      for dtype in (tf.quint8, tf.qint8) for low, high in RANGES],
    case(there, X, -1, 1, T=tf.qint32, grad=0),
    case(there, X, -0.001, 0.001, T=tf.quint8, mode="SCALED", ensure_minimum_range=0.0, grad=0),
    case(q.quantize, X, LOWS, HIGHS, T=tf.qint8, axis=0, mode="SCALED", grad=0),
    case(q.quantize, X.T.copy(), LOWS, HIGHS, T=tf.quint8, axis=1, grad=0),
    case(there, np.array([-1, 0, 1], np.float32), -1, 1, T=tf.quint8, grad=0,
         expect=(np.array([0, 128, 255], np.uint8), np.float32(-1), np.float32(1))),
    case(there, X, 1, -1, T=tf.quint8, raises=InvalidArgumentError, match="must be >="),
    case(there, X, -1, 1, T=tf.quint8, round_mode="HALF_TO_EVEN", raises=InvalidArgumentError, match="only supported"),
    case(q.quantize, X, LOWS, HIGHS, T=tf.quint8, raises=ShapeError),
    case(q.quantize, X, LOWS, HIGHS, T=tf.quint8, axis=1, raises=ShapeError),
    case(q.quantize, X, LOWS, HIGHS, T=tf.quint8, axis=-2, raises=ValueError, match="at least -1"),
    case(q.quantize, X, LOWS, HIGHS, T=tf.quint8, axis=0, mode="MIN_FIRST", raises=UnimplementedError, match="axis"),
])  # fmt: skip

TestDequantize = conformance([
    *[case(and_back, X, low, high, T=dtype, mode=mode, grad=0)
      for dtype in (tf.quint8, tf.qint8) for mode in ("MIN_COMBINED", "MIN_FIRST", "SCALED")
      for low, high in ((-1.0, 1.0), (-2.0, 3.0), (0.0, 6.0))],
    case(and_back, X, -2.0, 3.0, dtype=tf.bfloat16, grad=0),
    case(and_back, X, LOWS, HIGHS, axis=0, mode="SCALED", T=tf.qint8, narrow_range=True, grad=0),
    case(and_back, X, -2.0, 3.0, dtype=tf.bfloat16, mode="SCALED", raises=InvalidArgumentError, match="bfloat16"),
])  # fmt: skip


def through(x, low=-1.0, high=1.0, **attrs):
    kind = tf.as_dtype(x.dtype)
    ends = [tf.constant(end, kind) for end in (low, high)]
    return tf.quantization.quantize_and_dequantize(x, *ends, **attrs)


def through_v2(x, low, high, **attrs):
    return tf.quantization.quantize_and_dequantize_v2(x, low, high, **attrs)


def through_v1(x, **attrs):
    return q.quantize_and_dequantize_v1(x, **attrs)


def through_v3(x, bits, **attrs):
    return q.quantize_and_dequantize_v3(x, -1.0, 1.0, bits, **attrs)


def back_v4(dy, x, low, high):
    return list(q.quantize_and_dequantize_v4_grad(dy, x, low, high))


TestQuantizeAndDequantize = conformance([
    case(through, X, grad=0),
    case(through, X.astype(np.float64), num_bits=5, grad=0),
    case(through, X.astype(np.float16), num_bits=4, grad=0, unasked="TensorFlow has no kernel on the CPU"),
    *[case(through, X, low, high, range_given=True, num_bits=bits, signed_input=signed, round_mode=mode, grad=0)
      for low, high in ((-1.0, 1.0), (-2.0, 3.0), (0.0, 6.0), (-3.0, -1.0), (0.0, 0.0)) for bits in (4, 8)
      for signed in (True, False) for mode in ("HALF_TO_EVEN", "HALF_UP")],
    case(through, X, range_given=True, narrow_range=True, grad=0),
    case(through_v2, X, LOWS, HIGHS, axis=0, grad=0),
    case(through_v2, X, np.float32(-1), np.float32(2), range_given=True, grad=0),
    case(through_v1, X, num_bits=3, grad=0, unasked=GONE),
    case(through_v1, X, range_given=True, input_min=-1.0, input_max=0.5, grad=0, unasked=GONE),
    case(through_v3, X, np.int32(5), grad=0),
    case(back_v4, X, X, np.float32(-1), np.float32(1), grad=0,
         like=lambda dy, x, low, high: (np.where(np.abs(x) <= 1, dy, 0), np.float32(0), np.float32(0))),
    case(through, np.zeros((0, 3), np.float32), grad=0, unasked="TensorFlow looks for the range of nothing"),
    case(through, X, 2.0, 1.0, range_given=True, raises=InvalidArgumentError, match="Invalid range"),
    case(through, X, num_bits=70, raises=InvalidArgumentError, match="num_bits is out of range"),
])  # fmt: skip


def test_a_range_for_each_place_along_an_axis():
    with tf.Graph().as_default(), tf.Session() as session:
        both = tf.quantization.quantize_and_dequantize(X, LOWS, HIGHS, axis=0, range_given=True, num_bits=4)  # fmt: skip
        alone = [
            tf.quantization.quantize_and_dequantize(X[i], LOWS[i], HIGHS[i], range_given=True, num_bits=4)
            for i in range(4)
        ]  # fmt: skip
        np.testing.assert_array_equal(*session.run([both, tf.stack(alone)]))


@pytest.mark.parametrize(
    ("function", "expected"),
    [(tf.quantization.quantize_and_dequantize, [1, 1, 1]),
     (tf.quantization.quantize_and_dequantize_v2, [0, 1, 0])],
)  # fmt: skip
def test_gradients_go_straight_through(function, expected):
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant([-3.0, 0.25, 2.0])
        low = tf.constant(-1.0)
        y = function(x, low, 1.0, range_given=True)
        assert session.run(tf.gradients(y, x)[0]).tolist() == expected


@given(
    arrays.arrays(np.float32, st.integers(1, 20), elements=st.floats(-1, 1, width=32)),
    st.sampled_from(["MIN_COMBINED", "MIN_FIRST", "SCALED"]),
    st.sampled_from([tf.qint8, tf.quint16]),
)
def test_there_and_back_changes_no_number_by_more_than_two_steps(x, mode, dtype):
    if mode == "SCALED" and dtype is tf.quint16:
        x = np.abs(x)
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(and_back(x, -1.0, 1.0, mode=mode, T=dtype))
    step = 2 / (2.0 ** (8 * dtype.size) - 1)
    assert np.abs(found - x).max() <= 2 * step + 1e-6


def test_several_outputs_have_names():
    with tf.Graph().as_default(), tf.Session() as session:
        made = tf.quantize([0.0, 6.0], 0.0, 6.0, tf.quint8)
        assert made._fields == ("output", "output_min", "output_max")
        found = session.run(made)
    assert found.output.tolist() == [0, 255]
    assert found.output.dtype == np.uint8
