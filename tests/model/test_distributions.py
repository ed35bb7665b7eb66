"""Distributions against integrals and moments of drawn values; tests/oracle compares them with TensorFlow's."""

import numpy as np
import pytest

import ckpt as tf

CONTINUOUS = {
    "normal": (lambda d: d.Normal(1.0, 2.0), (-30, 30)),
    "laplace": (lambda d: d.Laplace(1.0, 2.0), (-60, 60)),
    "uniform": (lambda d: d.Uniform(1.0, 3.0), (0, 4)),
    "student": (lambda d: d.StudentT(6.0, 1.0, 2.0), (-200, 200)),
    "exponential": (lambda d: d.Exponential(0.5), (1e-6, 80)),
    "gamma": (lambda d: d.Gamma(3.0, 2.0), (1e-6, 40)),
    "beta": (lambda d: d.Beta(2.0, 3.0), (1e-6, 1 - 1e-6)),
}


def run(value):
    with tf.Session() as session:
        return session.run(value)


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_integrate_to_what_else_is_said(name):
    made, (low, high) = CONTINUOUS[name]
    d = made(tf.distributions)
    x = np.linspace(low, high, 100_001)
    density, below, log_density = run([d.prob(x), d.cdf(x), d.log_prob(x)])
    step = x[1] - x[0]
    mean, variance, entropy = run([d.mean(), d.variance(), d.entropy()])
    assert density.sum() * step == pytest.approx(1, abs=2e-3)
    assert (x * density).sum() * step == pytest.approx(mean, rel=5e-3)
    assert ((x - mean) ** 2 * density).sum() * step == pytest.approx(variance, rel=1e-2)
    surprise = np.where(density > 0, -density * np.where(density > 0, log_density, 0), 0)
    assert surprise.sum() * step == pytest.approx(entropy, abs=5e-3)
    np.testing.assert_allclose(np.cumsum(density) * step, below, atol=2e-3)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_drawn_values_have_the_moments(name):
    d = CONTINUOUS[name][0](tf.distributions)
    drawn, mean, deviation = run([d.sample(4_000, seed=1), d.mean(), d.stddev()])
    assert drawn.mean() == pytest.approx(mean, abs=0.08 * float(deviation))
    assert drawn.std() == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize(
    "made",
    [
        lambda d: d.Multinomial([4.0, 9.0], probs=[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]),
        lambda d: d.DirichletMultinomial([4.0, 9.0], [[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]),
    ],
)
def test_counts_add_up_and_have_the_moments(made):
    d = made(tf.distributions)
    assert (d.batch_shape.as_list(), d.event_shape.as_list()) == ([2], [3])
    drawn, mean, covariance = run([d.sample(2000, seed=3), d.mean(), d.covariance()])
    assert drawn.shape == (2000, 2, 3)
    np.testing.assert_array_equal(drawn.sum(-1), np.tile([4, 9], (2000, 1)))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.2)
    for b in range(2):
        np.testing.assert_allclose(np.cov(drawn[:, b].T), covariance[b], atol=0.6)
    np.testing.assert_allclose(run(d.variance()), np.diagonal(covariance, axis1=-2, axis2=-1))


def test_probabilities_of_counts_sum_to_one():
    d = tf.distributions.DirichletMultinomial(3.0, [1.0, 2.0, 3.0])
    counts = [[a, b, 3 - a - b] for a in range(4) for b in range(4 - a)]
    assert run(tf.reduce_sum(d.prob(np.array(counts, np.float32)))) == pytest.approx(1, rel=1e-5)


def test_gradients_reach_parameters_through_drawn_values():
    loc = tf.constant(1.0)
    drawn = tf.distributions.Normal(loc, 2.0).sample(5, seed=1)
    assert run(tf.gradients(drawn, loc)[0]) == 5
    concentration = tf.constant(3.0)
    moved = tf.gradients(
        tf.distributions.Gamma(concentration, 1.0).sample(1000, seed=1), concentration
    )
    assert run(moved[0]) / 1000 == pytest.approx(1, abs=0.1)  # the mean moves as the concentration


def test_a_divergence_is_registered_once():
    class Mine(tf.distributions.Normal):
        pass

    a = Mine(0.0, 1.0)
    assert run(tf.distributions.kl_divergence(a, a)) == 0  # by its base

    @tf.distributions.RegisterKL(Mine, Mine)
    def _own(a, b, name=None):
        return tf.constant(7.0)

    assert run(a.kl_divergence(a)) == 7
    with pytest.raises(ValueError, match="already been registered"):
        tf.distributions.RegisterKL(Mine, Mine)(_own)
    with pytest.raises(TypeError, match="must be callable"):
        tf.distributions.RegisterKL(Mine, int)(3)
    nothing = tf.distributions.Normal(np.nan, 1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="KL calculation"):
        run(tf.distributions.kl_divergence(nothing, nothing, allow_nan_stats=False))


def test_what_is_not_defined_says_so():
    d = tf.distributions.Uniform()
    with pytest.raises(NotImplementedError, match="mode is not implemented: Uniform"):
        d.mode()
    assert (
        repr(d)
        == "<ckpt.distributions.Uniform 'Uniform/' batch_shape=() event_shape=() dtype=float32>"
    )
