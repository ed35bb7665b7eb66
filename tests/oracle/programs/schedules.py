"""Learning rates over the steps, and the nodes that compute them outside of branches."""

import numpy as np

STEPS = (0, 1, 4, 5, 9, 10, 11, 14, 30, 31)


def _over_steps(tf, build):
    step = tf.placeholder(tf.int64, [], name="step")
    rate = build(step)
    nodes = [
        [op.name, op.type]
        for op in tf.get_default_graph().get_operations()
        if "/cond" not in op.name and "/case" not in op.name
    ]
    with tf.Session() as session:
        values = [session.run(rate, {step: number}) for number in STEPS]
    return {"values": np.array(values), "nodes": nodes}


def case_exponential(tf):
    return _over_steps(tf, lambda s: tf.train.exponential_decay(0.5, s, 4, 0.9, staircase=True))


def case_natural(tf):
    return _over_steps(tf, lambda s: tf.train.natural_exp_decay(0.5, s, 4, 0.9))


def case_inverse(tf):
    return _over_steps(tf, lambda s: tf.train.inverse_time_decay(0.5, s, 4, 0.9))


def case_polynomial(tf):
    return _over_steps(tf, lambda s: tf.train.polynomial_decay(0.5, s, 10, 0.01, 2.0))


def case_polynomial_cycles(tf):
    return _over_steps(tf, lambda s: tf.train.polynomial_decay(0.5, s, 10, 0.01, cycle=True))


def case_cosine(tf):
    return _over_steps(tf, lambda s: tf.train.cosine_decay(0.5, s, 10, 0.1))


def case_restarts(tf):
    return _over_steps(tf, lambda s: tf.train.cosine_decay_restarts(0.5, s, 10, 2.0, 0.7, 0.1))


def case_equal_restarts(tf):
    return _over_steps(tf, lambda s: tf.train.cosine_decay_restarts(0.5, s, 5, 1.0, 0.7))


def case_linear_cosine(tf):
    return _over_steps(tf, lambda s: tf.train.linear_cosine_decay(0.5, s, 10, 1.5, 0.1, 0.01))


def case_noisy_linear_cosine(tf):
    tf.set_random_seed(3)
    return _over_steps(tf, lambda s: tf.train.noisy_linear_cosine_decay(0.5, s, 10))


def case_pieces(tf):
    rates = [0.5, 0.4, 0.3]
    return _over_steps(tf, lambda s: tf.train.piecewise_constant(s, [4, 10], rates))
