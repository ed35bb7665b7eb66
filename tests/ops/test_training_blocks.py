"""Updates block by block: the same bits however many threads share the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.ops import training

OPTIMIZERS = {
    "descent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: tf.train.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adam": lambda: tf.train.AdamOptimizer(0.1),
    "adagrad": lambda: tf.train.AdagradOptimizer(0.1),
    "centered": lambda: tf.train.RMSPropOptimizer(0.1, 0.8, 0.5, centered=True),
    "ftrl": lambda: tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
    "adadelta": lambda: tf.train.AdadeltaOptimizer(0.5),
}


@pytest.fixture
def small(monkeypatch):
    """Have several threads, and several blocks for each, also for little work."""
    monkeypatch.setattr(training, "BLOCK", 4)
    monkeypatch.setattr(training, "LARGE", 8)
    return lambda count: monkeypatch.setattr(training, "cpu_count", lambda: count)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 70), threads=st.integers(1, 5), scratch=st.integers(0, 2))
def test_each_element_is_served_once(size, threads, scratch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "BLOCK", 4)
        patch.setattr(training, "LARGE", 8)
        patch.setattr(training, "cpu_count", lambda: threads)
        served, given = np.zeros(size), np.arange(float(size))

        def formula(target, source, *free):
            assert len(free) == scratch
            assert all(len(part) == len(target) <= 4 for part in free)
            target += source + 1

        training.each_block(formula, served, given, scratch=scratch)
    assert served.tolist() == (given + 1).tolist()


def trained(optimizer, size):
    random = np.random.default_rng(size)
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=random.standard_normal(size).astype(np.float32))
        made = OPTIMIZERS[optimizer]()
        fed = tf.placeholder(tf.float32, [size])
        step = made.apply_gradients([(fed, v)])
        session.run(tf.global_variables_initializer())
        for _ in range(3):
            session.run(step, {fed: random.standard_normal(size).astype(np.float32)})
        return [value.tobytes() for value in session.run([v, *made.variables()])]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_threads_change_no_bit(optimizer, small):
    small(1)
    alone = trained(optimizer, 61)
    small(3)
    assert trained(optimizer, 61) == alone


def test_an_error_of_a_thread_is_raised(small):
    small(3)

    def formula(block):
        if block[0] > 40:
            raise FloatingPointError("too much")

    with pytest.raises(FloatingPointError, match="too much"):
        training.each_block(formula, np.arange(64.0))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_gradient_of_another_shape_is_refused_while_building(optimizer):
    with tf.Graph().as_default(), pytest.raises(ValueError, match="are incompatible"):
        OPTIMIZERS[optimizer]().apply_gradients([(tf.constant([1.0]), tf.Variable([1.0, 2.0]))])
