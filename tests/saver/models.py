"""Small models that several tests of the Saver save and restore."""

import numpy as np

import ckpt as tf


def two_variables():
    a = tf.get_variable("layer/a", [2, 3])
    b = tf.Variable([1, 2, 3], name="b")
    return a, b


def saved(tmp_path, name="model.ckpt", **options):
    """Save two variables and return (prefix, their values)."""
    with tf.Graph().as_default(), tf.Session() as sess:
        variables = two_variables()
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(sess, tmp_path / name, **options)
        return prefix, sess.run(list(variables))


def restored(prefix, *variables, **saver):
    with tf.Session() as sess:
        tf.train.Saver(**saver).restore(sess, prefix)
        return sess.run(list(variables))


def model(scope="net", kernel="kernel", bias="bias", rows=4):
    with tf.variable_scope(scope):
        for layer, shape in (("a", [rows, 3]), ("b", [3, 2])):
            with tf.variable_scope(layer):
                tf.get_variable(kernel, shape)
                tf.get_variable(bias, shape[1:])
    return {v.op.name: v for v in tf.global_variables()}


def same(found, values):
    assert found.keys() == values.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, values[name], err_msg=name)
