"""Learning rates against their formulas."""

import math

import pytest

import ckpt as tf

START, STEPS = 0.5, 10
SCHEDULES = {
    "exponential": (
        lambda step: tf.train.exponential_decay(START, step, STEPS, 0.8),
        lambda t: START * 0.8 ** (t / STEPS),
    ),
    "exponential stairs": (
        lambda step: tf.train.exponential_decay(START, step, STEPS, 0.8, staircase=True),
        lambda t: START * 0.8 ** (t // STEPS),
    ),
    "natural": (
        lambda step: tf.train.natural_exp_decay(START, step, STEPS, 0.8),
        lambda t: START * math.exp(-0.8 * t / STEPS),
    ),
    "inverse time": (
        lambda step: tf.train.inverse_time_decay(START, step, STEPS, 0.8),
        lambda t: START / (1 + 0.8 * t / STEPS),
    ),
    "polynomial": (
        lambda step: tf.train.polynomial_decay(START, step, STEPS, 0.1, power=2.0),
        lambda t: 0.4 * (1 - min(t, STEPS) / STEPS) ** 2 + 0.1,
    ),
    "polynomial cycles": (
        lambda step: tf.train.polynomial_decay(START, step, STEPS, 0.1, cycle=True),
        lambda t: 0.4 * (1 - t / (STEPS * max(1, math.ceil(t / STEPS)))) + 0.1,
    ),
    "cosine": (
        lambda step: tf.train.cosine_decay(START, step, STEPS, alpha=0.1),
        lambda t: START * (0.9 * 0.5 * (1 + math.cos(math.pi * min(t, STEPS) / STEPS)) + 0.1),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_follows_its_formula(name, dtype):
    build, formula = SCHEDULES[name]
    step = tf.placeholder(dtype, [])
    rate = build(step)
    with tf.Session() as sess:
        for t in (0, 3, 10, 17, 25):
            assert sess.run(rate, {step: t}) == pytest.approx(formula(t), rel=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_needs_a_step(name):
    with pytest.raises(ValueError, match="global_step is required"):
        SCHEDULES[name][0](None)


def test_an_optimizer_follows_its_schedule():
    v = tf.Variable(0.0)
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(1.0, step, 1, 0.5)
    train = tf.train.GradientDescentOptimizer(rate).minimize(-v, global_step=step)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        seen = []
        for _ in range(3):
            sess.run(train)
            seen.append(sess.run(v))
    assert seen == [1.0, 1.5, 1.75]
