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
    "cosines of equal length": (
        lambda step: tf.train.cosine_decay_restarts(START, step, STEPS, 1.0, 0.8, 0.1),
        lambda t: START * (0.9 * 0.8 ** (t // STEPS) * half_cosine(t % STEPS / STEPS) + 0.1),
    ),
    "cosines that grow": (
        lambda step: tf.train.cosine_decay_restarts(START, step, 4, 2.0, 0.5),
        lambda t: (
            START * (half_cosine(t / 4) if t < 4 else 0.5 * half_cosine((t - 4) / 8))
            if t < 12
            else START * 0.25 * half_cosine((t - 12) / 16)
        ),
    ),
    "linear cosine": (
        lambda step: tf.train.linear_cosine_decay(START, step, STEPS, 1.5, 0.2, 0.01),
        lambda t: (
            START
            * ((0.2 + 1 - min(t, STEPS) / STEPS) * half_cosine(3 * min(t, STEPS) / STEPS) + 0.01)
        ),
    ),
    "noise of no variance": (
        lambda step: tf.train.noisy_linear_cosine_decay(START, step, STEPS, 0.0),
        lambda t: (
            START * ((1 - min(t, STEPS) / STEPS) * half_cosine(min(t, STEPS) / STEPS) + 0.001)
        ),
    ),
}


def half_cosine(done):
    return 0.5 * (1 + math.cos(math.pi * done))


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


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_pieces_are_constant_up_to_their_boundary(dtype):
    step = tf.placeholder(dtype, [])
    rate = tf.train.piecewise_constant(step, [2, 5], [1.0, 0.5, 0.25])
    with tf.Session() as sess:
        found = [float(sess.run(rate, {step: t})) for t in (-1, 2, 3, 5, 6)]
    assert found == [1.0, 1.0, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("x", "boundaries", "values", "match"),
    [
        (1, [1, 2], [1.0, 2.0], "1 less"),
        (1.0, [1, 2], [1.0, 2.0, 3.0], "same dtype as x"),
        (1, [1, 2], [1.0, 2.0, 3], "all with the same dtype"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(x, boundaries, values, match):
    with pytest.raises(ValueError, match=match):
        tf.train.piecewise_constant(x, boundaries, values)


def test_noise_dies_down():
    rate = tf.train.noisy_linear_cosine_decay(
        1.0, tf.placeholder_with_default(0, []), 1000, 1.0, 2.0, beta=0.0
    )
    step = rate.graph.get_tensor_by_name("PlaceholderWithDefault:0")
    tf.set_random_seed(1)
    with tf.Session() as sess:
        early = [sess.run(rate, {step: 0}) for _ in range(50)]
        late = [sess.run(rate, {step: 500}) for _ in range(50)]
    assert max(early) - min(early) > 1.0
    assert max(late) - min(late) < 0.02
