"""Derivatives that take more than one line, and operations whose derivative nobody defined."""

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}

UNDEFINED = {
    "unique": lambda tf, x: tf.unique(x)[0],
    "truncatemod": lambda tf, x: tf.truncatemod(x, 2.0),
    "adjust_hue": lambda tf, x: tf.image.adjust_hue(tf.reshape(x, [1, 1, 3]), 0.1),
    "guarantee_const": lambda tf, x: tf.guarantee_const(x),
    "setdiff1d": lambda tf, x: tf.setdiff1d(x, [1.0])[0],
    "resize_area": lambda tf, x: tf.image.resize_area(tf.reshape(x, [1, 1, 3, 1]), [2, 2]),
    "bitcast": lambda tf, x: tf.bitcast(x, tf.int32),
    "descent": lambda tf, x: tf.raw_ops.ApplyGradientDescent(
        var=tf.Variable([1.0, 2.0, 3.0], use_resource=False)._ref(), alpha=0.1, delta=x
    ),
}
NONE = {
    "assign": lambda tf, x: tf.assign(tf.Variable([1.0, 2.0, 3.0], use_resource=False), x),
    "hsv_to_rgb": lambda tf, x: tf.image.hsv_to_rgb(tf.reshape(x, [1, 1, 3])),
    "random_shuffle": lambda tf, x: tf.random_shuffle(x),
    "argmax": lambda tf, x: tf.cast(tf.argmax(x), tf.float32),
}


def case_colours(tf):
    random = np.random.RandomState(0)
    x, weight = (tf.constant(random.rand(4, 2, 3).astype(np.float32)) for _ in range(2))
    (found,) = tf.gradients(tf.image.rgb_to_hsv(x) * weight, x)
    grey = tf.constant([[[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]])
    with tf.Session() as session:
        return {"value": session.run(found), "of grey": session.run(tf.image.rgb_to_hsv(grey))}


def case_gamma_values(tf):
    tf.set_random_seed(3)
    alpha = tf.constant([0.5, 2.0, 7.0, 30.0])
    drawn = tf.random_gamma([3], alpha, beta=[1.0, 2.0, 3.0, 4.0], seed=5)
    with tf.Session() as session:
        values, found = session.run([drawn, tf.gradients(drawn, alpha)[0]])
    return {"values": values, "gradient": found}


def case_spaced_values(tf):
    ends = tf.constant([1.0, 3.0])
    (found,) = tf.gradients(tf.linspace(ends[0], ends[1], 5) * [1.0, 2.0, 3.0, 4.0, 5.0], ends)
    with tf.Session() as session:
        return {"value": session.run(found)}


def case_undefined_ones(tf):
    results = {}
    for name, function in UNDEFINED.items():
        x = tf.constant([1.0, 2.0, 3.0])
        y = function(tf, x)
        try:
            results[name] = str(tf.gradients(y, x))
        except LookupError:
            results[name] = "LookupError"
    return results


def case_none(tf):
    x = tf.constant([1.0, 2.0, 3.0])
    return {name: str(tf.gradients(function(tf, x), x)) for name, function in NONE.items()}


def case_sorted_with_unknown_rank(tf):
    x = tf.placeholder(tf.float32)
    matrix = np.random.RandomState(0).rand(2, 3, 4)
    with tf.Session() as session:
        results = {"last": session.run(tf.sort(x), {x: matrix})}
        for at in (0, 1, -1, -2):
            results[f"axis {at}"] = session.run(tf.sort(x, axis=at), {x: matrix})
        results["places"] = session.run(tf.argsort(x, direction="DESCENDING"), {x: matrix})
    return results


def error_sorted_scalar(tf):
    return tf.sort(tf.constant(1.0))
