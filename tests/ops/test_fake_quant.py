"""Numbers rounded as a quantized model rounds them, and what goes back through it."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal

X = normal(3, 4) * 6
LOW, HIGH = np.float32(-3.3), np.float32(5.1)
LOWS, HIGHS = np.array([-1, -5, 0, 0.1], np.float32), np.array([2, 7, 3, 4], np.float32)
BITS = [{}, {"num_bits": 4}, {"num_bits": 3, "narrow_range": True}]

TestRounding = conformance([
    *[case(OPS["FakeQuantWithMinMaxArgs"], X, min=-4.0, max=5.0, grad=0, **bits) for bits in BITS],
    *[case(OPS["FakeQuantWithMinMaxVars"], X, LOW, HIGH, grad=0, **bits) for bits in BITS],
    case(OPS["FakeQuantWithMinMaxVars"], X, np.float32(0), np.float32(0), expect=X * 0, grad=0),
    *[case(OPS["FakeQuantWithMinMaxVarsPerChannel"], X, LOWS, HIGHS, grad=0, **bits) for bits in BITS],
    *[case(OPS["FakeQuantWithMinMaxArgsGradient"], normal(3, 4, seed=1), X, min=-4.0, max=5.0, grad=0, **bits) for bits in BITS],
    *[case(OPS["FakeQuantWithMinMaxVarsGradient"], normal(3, 4, seed=1), X, LOW, HIGH, grad=0, **bits) for bits in BITS],
    *[case(OPS["FakeQuantWithMinMaxVarsPerChannelGradient"], normal(3, 4, seed=1), X, LOWS, HIGHS, grad=0, **bits)
      for bits in BITS],
    case(OPS["FakeQuantWithMinMaxArgs"], X, num_bits=1, raises=InvalidArgumentError, match="between 2 and 16"),
    case(OPS["FakeQuantWithMinMaxVars"], X, LOWS, HIGHS, raises=ShapeError, match="scalar"),
    case(OPS["FakeQuantWithMinMaxVarsPerChannel"], X, LOWS[:3], HIGHS[:3], raises=ShapeError, match="incompatible"),
])  # fmt: skip


@pytest.mark.parametrize(
    "name", ["fake_quant_with_min_max_vars", "fake_quant_with_min_max_vars_per_channel"]
)
def test_gradients_go_through_between_the_values(name):
    limits = (LOW, HIGH) if name.endswith("vars") else (LOWS, HIGHS)
    low, high = (tf.constant(v) for v in limits)
    x = tf.constant(X)
    y = getattr(tf.quantization, name)(inputs=x, min=low, max=high)
    with tf.Session() as session:
        dx, d_low, d_high = session.run(tf.gradients(y, [x, low, high]))
    assert set(dx.flat) == {0.0, 1.0}
    assert dx.sum() + np.sum(d_low) + np.sum(d_high) == X.size
