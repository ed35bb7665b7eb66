"""Activations, softmax and biases: TensorFlow's values, derivatives, refusals."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.graph import Graph
from ckpt.ops import activation, constants
from tests.conformance.goldens import assert_close, goldens
from tests.conformance.ops import case, conformance, normal, ones, zeros


def softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


TestActivations = conformance([
    case(activation.relu, normal(2, 3), like=lambda x: np.maximum(x, 0), grad=2),
    case(activation.relu, np.array([-2, 0, 3], np.int64), expect=np.array([0, 0, 3], np.int64), grad=0),
    case(activation.relu, zeros(0, 3), expect=zeros(0, 3)),
    case(activation.relu, np.float32(-1), expect=np.float32(0)),
    case(activation.relu6, normal(3, 4) * 5, like=lambda x: np.clip(x, 0, 6), grad=2),
    case(activation.leaky_relu, normal(2, 3), like=lambda x: np.where(x > 0, x, 0.2 * x), grad=2),
    case(activation.leaky_relu, normal(2, 3), alpha=0.5, like=lambda x: np.where(x > 0, x, 0.5 * x)),
    case(activation.leaky_relu, np.array([-10, 10]), expect=np.array([-2, 10], np.float32), grad=0),
    case(activation.elu, normal(2, 3), like=lambda x: np.where(x > 0, x, np.exp(x) - 1), grad=2, rtol=1e-5),
    case(activation.selu, normal(2, 3), grad=2),
    case(activation.softplus, normal(2, 3), like=lambda x: np.log1p(np.exp(x)), grad=2, rtol=1e-5),
    case(activation.softsign, normal(2, 3), like=lambda x: x / (1 + np.abs(x))),
    case(activation.crelu, normal(2, 3), like=lambda x: np.maximum(np.concatenate([x, -x], -1), 0)),
    case(activation.softmax, normal(2, 3), like=softmax, grad=2, rtol=1e-5),
    case(activation.softmax, normal(4), like=softmax, rtol=1e-5),
    case(activation.softmax, normal(2, 3, 4), axis=1, like=lambda x: softmax(x, 1), rtol=1e-5),
    case(activation.softmax, normal(2, 3, 4), dim=-3, like=lambda x: softmax(x, 0), rtol=1e-5),
    case(activation.softmax, zeros(0, 3), expect=zeros(0, 3)),
    case(activation.softmax, normal(2, 3), axis=5, raises=InvalidArgumentError, match="range"),
    case(activation.log_softmax, normal(2, 3), like=lambda x: np.log(softmax(x)), grad=2, rtol=1e-5),
    case(activation.log_softmax, normal(2, 3), axis=0, like=lambda x: np.log(softmax(x, 0)), rtol=1e-5),
    case(activation.bias_add, normal(2, 3), normal(3), like=lambda x, b: x + b, grad=2),
    case(activation.bias_add, normal(2, 3, 4, 5), normal(3), data_format="NCHW",
         like=lambda x, b: x + b[:, None, None], grad=2),
    case(activation.bias_add, normal(2, 3), normal(4), raises=ShapeError, match="3 and 4"),
    case(activation.bias_add, normal(2, 3), normal(3), data_format="xyz", raises=ValueError, match="data_format"),
    case(activation.l2_loss, normal(2, 3), like=lambda x: np.float32((x * x).sum() / 2), grad=2, rtol=1e-5),
])  # fmt: skip


@pytest.mark.parametrize("golden", goldens("activation"), ids=lambda g: g.name)
def test_computes_what_tensorflow_computes(golden):
    half = any(a.dtype == np.float16 for a in golden.inputs)
    assert_close(golden, *((4e-3, 1e-3) if half else (1e-6, 1e-6)))


def test_nodes_are_named_as_tensorflow_names_them():
    with Graph().as_default():
        x = constants.placeholder(np.float32, [2, 3])
        assert activation.relu6(x).name == "Relu6:0"
        assert activation.leaky_relu(x).name == "LeakyRelu:0"
        assert activation.bias_add(x, ones(3)).name == "BiasAdd:0"
        assert activation.crelu(x).name == "CRelu/Relu:0"
        assert activation.softmax(x, axis=0).name == "transpose_1:0"


def test_bias_of_unknown_rank_is_refused_when_run():
    with pytest.raises(InvalidArgumentError, match="biases"):
        activation.bias_add_op.kernel(np, ones(2, 3), ones(2), data_format="NHWC")
