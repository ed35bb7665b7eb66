"""Gamma, Poisson and binomial values by seed alone: TensorFlow's very values."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import stateless_distributions as drawn
from tests.conformance.ops import case, conformance

SEED = np.array([1, 2], np.int32)
ALPHA = np.array([0.5, 2.0, 3.0], np.float32)


def gamma(alpha, shape=(2, 3), **options):
    return tf.random.stateless_gamma(list(shape), SEED, alpha, **options)


def poisson(rate, shape=(2, 3), **options):
    return tf.random.stateless_poisson(list(shape), SEED, rate, **options)


def binomial(counts, probs, shape=(4, 3), **options):
    return tf.random.stateless_binomial(list(shape), SEED, counts, probs, **options)


def gamma_of_seed(alpha):
    return drawn.gamma_op([2, 3], SEED, alpha)


TestGamma = conformance([
    case(gamma, ALPHA, grad=0, rtol=1e-5),
    case(gamma, ALPHA, beta=2.0, grad=0, rtol=1e-5),
    case(gamma, ALPHA.astype(np.float64), dtype=tf.float64, grad=0),
    case(gamma, np.float32(1.0), grad=0, rtol=1e-5),
    case(gamma_of_seed, ALPHA, grad=0, rtol=1e-5),
    case(gamma, ALPHA, shape=(3, 2), raises=InvalidArgumentError, match="must end with"),
])  # fmt: skip
TestPoisson = conformance([
    case(poisson, np.array([0.5, 2.0, 30.0], np.float32), grad=0, expect=np.array([[3, 3, 25], [2, 3, 35]], np.int32)),
    case(poisson, np.float64(4.0), shape=(7,), dtype=tf.float32, grad=0),
    case(poisson, np.array([1.0, 2.0]), shape=(2, 3), raises=InvalidArgumentError, match="must end with"),
])  # fmt: skip
COUNTS, PROBS = np.array([5, 10, 100], np.float32), np.array([0.3, 0.5, 0.2], np.float32)
TestBinomial = conformance([
    case(binomial, COUNTS, PROBS, grad=0),
    case(binomial, np.float32(1000), np.float32(0.9), shape=(40,), output_dtype=tf.float64, grad=0),
    case(binomial, np.array([[3.0], [200.0]]), np.array([0.1, 0.6, 0.99]), shape=(5, 2, 3), grad=0),
    case(binomial, np.array([0, -1, 5, 5, 3], np.float32), np.array([0.3, 0.5, 0, 1, 1.5], np.float32), shape=(1, 5),
         grad=0, expect=np.array([[0, 0, 0, 5, 3]], np.int32)),
    case(binomial, COUNTS, PROBS, shape=(3, 4), raises=InvalidArgumentError, match="must end with"),
])  # fmt: skip


def run(fetches):
    with tf.Session() as session:
        return session.run(fetches)


def test_the_same_seed_gives_the_same_values_and_another_others():
    with tf.Graph().as_default():
        made = [tf.random.stateless_gamma([50], seed, 2.0) for seed in ([1, 2], [1, 2], [1, 3])]
        a, b, c = run(made)
    assert a.tolist() == b.tolist() != c.tolist()


@pytest.mark.parametrize(
    ("draw", "mean", "variance"),
    [
        (lambda: gamma(2.5, (4000,), beta=0.5, dtype=tf.float64), 5, 10),
        (lambda: poisson(3.5, (4000,)), 3.5, 3.5),
        (lambda: poisson(50.0, (4000,)), 50, 50),
        (lambda: binomial(20.0, 0.2, (4000,)), 4, 3.2),
        (lambda: binomial(200.0, 0.8, (4000,)), 160, 32),
    ],
)  # fmt: skip
def test_means_and_variances(draw, mean, variance):
    with tf.Graph().as_default():
        found = run(draw())
    assert found.mean() == pytest.approx(mean, abs=4 * (variance / 4000) ** 0.5)
    assert found.var() == pytest.approx(variance, rel=0.15)


def test_gamma_has_a_gradient_by_its_parameters():
    """A value grows with alpha; by beta, as the chain rule says."""
    with tf.Graph().as_default():
        alpha, beta = tf.constant(ALPHA), tf.constant(2.0)
        values = tf.random.stateless_gamma([2, 3], SEED, alpha, beta)
        by_alpha, by_beta, found = run([*tf.gradients(values, [alpha, beta]), values])
    assert by_beta == pytest.approx(-found.sum() / 2, rel=1e-5)
    assert by_alpha.shape == ALPHA.shape
    assert (by_alpha > 0).all()
