"""Unusual but legal uses, and mistakes: what loops return, callables, sessions, indices, arguments of gradients."""

import numpy as np


def shape_of(found):
    """The nest of a result, tensors as the word."""
    if isinstance(found, (list, tuple)):
        return [type(found).__name__, [shape_of(member) for member in found]]
    if isinstance(found, dict):
        return ["dict", {key: shape_of(member) for key, member in found.items()}]
    return "sparse" if hasattr(found, "dense_shape") else "tensor"


def case_what_a_loop_returns(tf):
    sparse = tf.SparseTensor([[0, 0]], [1.0], [2, 2])
    loops = {
        "one": ([0], lambda d: d < 3, lambda d: d + 1),
        "one_tuple": ((0,), lambda d: d < 3, lambda d: (d + 1,)),
        "two": ((0, 1), lambda d, e: d < 3, lambda d, e: (d + 1, e)),
        "pair": ([(0, 1)], lambda a: a[0] < 3, lambda a: [(a[0] + 1, a[1])]),
        "pair_in_tuple": (((0, 1),), lambda a: a[0] < 3, lambda a: ((a[0] + 1, a[1]),)),
        "single_in_tuple": ([(0,)], lambda a: a[0] < 3, lambda a: [(a[0] + 1,)]),
        "dict": ([{"i": 0}], lambda d: d["i"] < 3, lambda d: [{"i": d["i"] + 1}]),
        "dict_of_two": (
            [{"i": 0, "j": 0}],
            lambda d: d["i"] < 3,
            lambda d: [{"i": d["i"] + 1, "j": d["j"]}],
        ),
        "sparse": ([sparse], lambda _: tf.constant(False), lambda t: t),
    }
    found = {}
    for name, (start, cond, body) in loops.items():
        for same in (False, True):
            result = tf.while_loop(cond, body, start, return_same_structure=same)
            found[f"{name}_{same}"] = shape_of(result)
    return found


def case_a_callable_takes_options(tf):
    x = tf.placeholder(tf.float32, [])
    with tf.Session() as sess:
        call = sess.make_callable(x * 2.0, [x])
        return {"result": call(3.0, options=tf.RunOptions(), run_metadata=tf.RunMetadata())}


def case_devices_are_described(tf):
    with tf.Session() as sess:
        first = sess.list_devices()[0]
        return {"name": first.name, "type": first.device_type}


def case_indices_of_every_kind(tf):
    value = np.arange(60).reshape(3, 4, 5)
    x, n = tf.constant(value), tf.placeholder(tf.int32, [])
    t, wide = tf.constant(1), tf.constant(1, tf.int64)
    parts = {
        "reversed": x[-1, ::-1],
        "dots": x[::-2, ..., ::2],
        "new": x[1, None, ..., 2],
        "fed": x[n:, :n],
        "numpy": x[np.int64(2), np.array(1)],
        "tensors": x[t:2, :n],
        "wide": x[wide],
        "beyond": x[-10:10, 5:],
        "dimension": x[tf.Dimension(0) : tf.Dimension(2)],
        "list": x[[0, 1]],
        "mask": x[x > 3],
        "none": x[()],
    }
    with tf.Session() as sess:
        values = sess.run(parts, {n: 2})
    return {**values, "shapes": {name: str(part.shape) for name, part in parts.items()}}


def case_gradients_with_options(tf):
    x, other = tf.constant(3.0), tf.constant(2.0)
    y = x * x
    with tf.Session() as sess:
        return {
            "zero": sess.run(tf.gradients(y, other, unconnected_gradients="zero")),
            "weights": sess.run(tf.gradients([y, y], x, grad_ys=[1.0, None])),
            "stopped": sess.run(tf.gradients(y + x, x, stop_gradients=y)),
            "twice": sess.run(tf.gradients(y, [x, x])),
            "none": [g is None for g in tf.gradients(tf.stop_gradient(y), x)],
        }


def error_an_unknown_word_for_unconnected(tf):
    x = tf.constant(3.0)
    tf.gradients(x * x, x, unconnected_gradients="nothing")


def error_a_matrix_of_indices(tf):
    tf.constant([1, 2])[np.array([0, 1])]


def error_a_truth_value_as_index(tf):
    tf.constant([1, 2])[True]


def error_dots_twice(tf):
    tf.constant([1, 2])[..., ...]


def error_sums_of_different_dtypes(tf):
    tf.add_n([tf.constant(1), tf.constant(1.0)])


def error_a_target_that_is_no_string(tf):
    tf.Session(target=3)


def error_an_unknown_target(tf):
    tf.Session("bogus://x")


def error_a_configuration_that_is_none(tf):
    tf.Session(config=3)


def error_a_list_as_feed_dict(tf):
    with tf.Session() as sess:
        sess.run(tf.constant(1), feed_dict=[1])


def error_half_a_parallel_iteration(tf):
    tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0], parallel_iterations=1.5)


def error_no_elements_of_unknown_shape(tf):
    with tf.Session() as sess:
        sess.run(tf.TensorArray(tf.float32, 0).stack())


def error_everything_was_fetched_already(tf):
    a = tf.placeholder(tf.float32, [])
    b = a + 1.0
    sess = tf.Session()
    handle = sess.partial_run_setup([b], [a])
    sess.partial_run(handle, b, {a: 1.0})
    sess.partial_run(handle, b)


def error_nothing_to_fetch(tf):
    tf.Session().partial_run_setup([])
