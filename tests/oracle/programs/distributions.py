"""Every distribution: shapes, moments, densities, divergences, and values from the same seeds."""

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
ROWS = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]
MOMENTS = ("mean", "mode", "variance", "stddev", "entropy", "covariance")
DENSITIES = (
    "prob", "log_prob", "cdf", "log_cdf", "survival_function", "log_survival_function",
)  # fmt: skip

MADE = {
    "normal": (lambda d: d.Normal([0.0, 1.0], [1.0, 2.0]), [0.5, -1.0]),
    "far normal": (lambda d: d.Normal(0.0, 1.0), [-30.0, 12.0]),
    "laplace": (lambda d: d.Laplace([0.0, 1.0], [1.0, 2.0]), [0.5, -1.0]),
    "uniform": (lambda d: d.Uniform([0.0, 1.0], [1.0, 3.0]), [0.5, 4.0]),
    "student": (lambda d: d.StudentT([1.0, 3.5], [0.0, 1.0], [1.0, 2.0]), [0.5, -1.0]),
    "exponential": (lambda d: d.Exponential([1.0, 2.0]), [0.5, 2.0]),
    "gamma": (lambda d: d.Gamma([0.5, 3.0], [1.0, 2.0]), [0.5, 2.0]),
    "beta": (lambda d: d.Beta([0.5, 3.0], [1.0, 2.0]), [0.5, 0.2]),
    "dirichlet": (lambda d: d.Dirichlet([1.0, 2.0, 3.0]), ROWS),
    "bernoulli": (lambda d: d.Bernoulli(probs=[0.2, 0.7]), [1, 0]),
    "bernoulli by logits": (lambda d: d.Bernoulli(logits=[0.2, -0.7]), [0, 1]),
    "categorical": (lambda d: d.Categorical(probs=ROWS), [1, 2]),
    "categorical by logits": (lambda d: d.Categorical(logits=[1.0, 2.0, 0.5]), 2),
    "multinomial": (lambda d: d.Multinomial(5.0, probs=ROWS), [[1.0, 2.0, 2.0], [0.0, 0.0, 5.0]]),
}
DRAWN_OTHERWISE = {"multinomial"}  # from another order of the same stream
PAIRS = [
    lambda d: (d.Normal(0.0, 1.0), d.Normal(1.0, 2.0)),
    lambda d: (d.Bernoulli(probs=0.3), d.Bernoulli(probs=0.6)),
    lambda d: (d.Gamma(1.0, 2.0), d.Gamma(2.0, 1.0)),
    lambda d: (d.Exponential(1.0), d.Gamma(2.0, 1.0)),
    lambda d: (d.Beta(1.0, 2.0), d.Beta(2.0, 1.0)),
    lambda d: (d.Categorical(probs=[0.2, 0.8]), d.Categorical(probs=[0.5, 0.5])),
    lambda d: (d.Dirichlet([1.0, 2.0]), d.Dirichlet([2.0, 1.0])),
]


def _measures(tf, session, name):
    made, value = MADE[name]
    d = made(tf.distributions)
    results = {
        "shapes": [str(d.batch_shape), str(d.event_shape), d.dtype.name, d.name],
        "type": str(d.reparameterization_type),
        "parameters": sorted(d.parameters),
    }
    calls = [(m, getattr(d, m), ()) for m in MOMENTS]
    value = np.array(value, d.dtype.as_numpy_dtype)
    calls += [(m, getattr(d, m), (value,)) for m in DENSITIES]
    calls.append(("quantile", d.quantile, (0.3,)))
    for measure, function, arguments in calls:
        try:
            results[measure] = session.run(function(*arguments))
        except NotImplementedError:
            results[measure] = "not implemented"
        # the mode of a Dirichlet distribution fails there for batches of other sizes
        except ValueError:
            results[measure] = "fails"
    drawn = d.sample([3, 1], seed=1)
    results["drawn shape"] = drawn.shape.as_list()
    if name not in DRAWN_OTHERWISE:
        results["drawn"] = session.run(drawn)
    return results


def _case(name):
    def case(tf):
        tf.set_random_seed(5)
        with tf.Session() as session:
            return _measures(tf, session, name)

    return case


for _name in MADE:
    globals()[f"case_{_name}"] = _case(_name)


def case_divergences(tf):
    results = {}
    with tf.Session() as session:
        for number, pair in enumerate(PAIRS):
            a, b = pair(tf.distributions)
            measures = tf.distributions.kl_divergence(a, b), a.kl_divergence(b), a.cross_entropy(b)
            results[f"{number}"] = np.array(session.run(measures))
    return results


def case_gradients(tf):
    loc, scale = tf.constant(1.0), tf.constant(2.0)
    d = tf.distributions.Normal(loc, scale)
    results = {}
    with tf.Session() as session:
        for name, y in (("log_prob", d.log_prob(0.3)), ("entropy", d.entropy())):
            results[name] = [
                None if g is None else session.run(g) for g in tf.gradients(y, [loc, scale])
            ]
        results["drawn"] = [g is not None for g in tf.gradients(d.sample(seed=1), [loc, scale])]
    return results


def case_copy(tf):
    d = tf.distributions.Normal(0.0, 1.0).copy(scale=3.0)
    with tf.Session() as session:
        return {
            "scale": session.run(d.scale),
            "scalar": [bool(session.run(x)) for x in (d.is_scalar_batch(), d.is_scalar_event())],
            "sizes": [session.run(d.batch_shape_tensor()), session.run(d.event_shape_tensor())],
        }


def error_both_forms(tf):
    return tf.distributions.Bernoulli(probs=0.3, logits=1.0)


def error_no_form(tf):
    return tf.distributions.Categorical()


def error_negative_scale(tf):
    with tf.Session() as session:
        return session.run(tf.distributions.Normal(0.0, -1.0, validate_args=True).sample())


def error_missing_mean(tf):
    d = tf.distributions.StudentT(0.5, 0.0, 1.0, allow_nan_stats=False)
    with tf.Session() as session:
        return session.run(d.mean())


def error_no_divergence(tf):
    d = tf.distributions.Laplace(0.0, 1.0)
    return tf.distributions.kl_divergence(d, d)
