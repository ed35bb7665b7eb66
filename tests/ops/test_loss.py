"""Cross entropies: TensorFlow's values, first and second derivatives, refusals."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.graph import Graph
from ckpt.model.gradients import gradients
from ckpt.ops import constants, loss
from tests.conformance.goldens import assert_close, goldens
from tests.conformance.ops import case, conformance, normal, ones


def log_softmax(x, axis=-1):
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def dense(logits, labels, **more):
    return loss.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits, **more)


def sparse(logits, labels):
    return loss.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def sigmoid(logits, labels):
    return loss.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def weighted(logits, labels):
    return loss.weighted_cross_entropy_with_logits(labels, logits, 3.0)


def shares(*sizes, axis=-1):
    """Probabilities along `axis`: only for these is the gradient by the logits softmax(logits) - labels."""
    found = np.abs(normal(*sizes, seed=1))
    return found / found.sum(axis, keepdims=True)


def with_fixed_labels(logits):
    return dense(logits, shares(4, 5).astype(logits.dtype.as_numpy_dtype))


def logistic(x, z):
    return np.log1p(np.exp(-x)) * z + np.log1p(np.exp(x)) * (1 - z)


TestLosses = conformance([
    case(dense, normal(4, 5), shares(4, 5), like=lambda x, z: -(z * log_softmax(x)).sum(1), rtol=1e-5),
    case(dense, normal(2, 3, 4), shares(2, 3, 4), like=lambda x, z: -(z * log_softmax(x)).sum(2), rtol=1e-5),
    case(with_fixed_labels, normal(4, 5), grad=2),
    case(dense, normal(2, 3, 4), shares(2, 3, 4, axis=1), axis=1, like=lambda x, z: -(z * log_softmax(x, 1)).sum(1), rtol=1e-5),
    case(sparse, normal(3, 4), np.array([0, 3, 1]), grad=2, rtol=1e-5,
         like=lambda x, z: -log_softmax(x)[np.arange(3), z]),
    case(sparse, normal(2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]], np.int32), rtol=1e-5,
         like=lambda x, z: -np.take_along_axis(log_softmax(x), z[..., None].astype(int), 2)[..., 0]),
    case(sparse, normal(3, 4).astype(np.float16), np.array([0, 3, 1]), grad=0),
    case(sparse, normal(3, 4), np.array([0, 4, 1]), raises=InvalidArgumentError, match=r"label value of 4 .* \[0, 4\)"),
    case(sparse, normal(3, 4), np.array([0, 1]), raises=ValueError, match="Shape mismatch"),
    case(sparse, normal(3, 4), np.array([[0, 1]]), raises=ValueError, match="Rank mismatch"),
    case(sigmoid, normal(2, 3), shares(2, 3), like=logistic, grad=2, rtol=1e-5),
    case(sigmoid, np.array([-100.0, 100.0]), np.array([0.0, 0.0]), expect=np.array([0.0, 100.0])),
    case(sigmoid, normal(2, 3), shares(3, 2), raises=ValueError, match="same shape"),
    case(weighted, normal(2, 3), shares(2, 3), rtol=1e-5,
         like=lambda x, z: 3 * np.log1p(np.exp(-x)) * z + np.log1p(np.exp(x)) * (1 - z)),
])  # fmt: skip


@pytest.mark.parametrize("golden", goldens("loss"), ids=lambda g: g.name)
def test_computes_what_tensorflow_computes(golden):
    assert_close(golden, 2e-6, 1e-6)


def test_the_first_version_passes_no_gradient_to_the_labels():
    with Graph().as_default():
        logits, labels = (constants.placeholder(np.float32, [2, 3]) for _ in range(2))
        value = loss.softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        assert value.name == "softmax_cross_entropy_with_logits_sg/Reshape_2:0"
        by_logits, by_labels = gradients(value, [logits, labels])
    assert by_logits is not None
    assert by_labels is None


def test_labels_and_logits_must_be_named():
    with pytest.raises(ValueError, match="named arguments"):
        loss.softmax_cross_entropy_with_logits(ones(2, 3), ones(2, 3))
    with pytest.raises(ValueError, match="must be provided"):
        loss.sigmoid_cross_entropy_with_logits(labels=ones(2, 3))


def test_half_precision_is_computed_in_float32():
    with Graph().as_default():
        logits = constants.placeholder(np.float16, [2, 3])
        labels = constants.placeholder(np.float16, [2, 3])
        assert loss.softmax_cross_entropy_with_logits_v2(labels, logits).dtype.name == "float16"
