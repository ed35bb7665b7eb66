"""Layers: values, names of variables and outputs, collections, gradients; and layers as objects, used twice."""

import numpy as np

TOLERANCE = {"rtol": 2e-4, "atol": 2e-5}

IMAGE = (2, 6, 5, 3)
ROW = (2, 7, 3)
VOLUME = (1, 4, 5, 4, 2)
VECTOR = (4, 6)

LAYERS = {
    "dense": (VECTOR, lambda L, x: L.dense(x, 3)),
    "dense, no bias, activation": (VECTOR, lambda L, x: L.dense(x, 3, activation=_tf().nn.relu, use_bias=False)),
    "dense of rows": (ROW, lambda L, x: L.dense(x, 4, name="mine")),
    "conv1d": (ROW, lambda L, x: L.conv1d(x, 4, 3)),
    "conv1d, strided": (ROW, lambda L, x: L.conv1d(x, 4, 3, strides=2, padding="same")),
    "conv2d": (IMAGE, lambda L, x: L.conv2d(x, 4, 3)),
    "conv2d, same, strided": (IMAGE, lambda L, x: L.conv2d(x, 4, (3, 2), (2, 1), "same", activation=_tf().tanh)),
    "conv2d, dilated": (IMAGE, lambda L, x: L.conv2d(x, 2, 2, dilation_rate=2)),
    "conv3d": (VOLUME, lambda L, x: L.conv3d(x, 3, 2)),
    "conv2d_transpose": (IMAGE, lambda L, x: L.conv2d_transpose(x, 4, 3, 2, "same")),
    "conv2d_transpose, valid": (IMAGE, lambda L, x: L.conv2d_transpose(x, 2, (3, 2), (2, 1))),
    "conv3d_transpose": (VOLUME, lambda L, x: L.conv3d_transpose(x, 3, 2, 2)),
    "separable_conv1d": (ROW, lambda L, x: L.separable_conv1d(x, 4, 3)),
    "separable_conv2d": (IMAGE, lambda L, x: L.separable_conv2d(x, 4, 3, depth_multiplier=2)),
    "max_pooling1d": (ROW, lambda L, x: L.max_pooling1d(x, 2, 2)),
    "max_pooling2d": (IMAGE, lambda L, x: L.max_pooling2d(x, 3, 2, "same")),
    "max_pooling3d": (VOLUME, lambda L, x: L.max_pooling3d(x, 2, 1)),
    "average_pooling1d": (ROW, lambda L, x: L.average_pooling1d(x, 3, 1, "same")),
    "average_pooling2d": (IMAGE, lambda L, x: L.average_pooling2d(x, (2, 3), (1, 2))),
    "average_pooling3d": (VOLUME, lambda L, x: L.average_pooling3d(x, 2, 2)),
    "batch_normalization": (IMAGE, lambda L, x: L.batch_normalization(x)),
    "batch_normalization, training": (IMAGE, lambda L, x: L.batch_normalization(x, training=True, momentum=0.9)),
    "batch_normalization, axis 1": (
        VECTOR, lambda L, x: L.batch_normalization(x, axis=1, center=False, scale=False, training=True),
    ),
    "batch_normalization, renorm": (VECTOR, lambda L, x: L.batch_normalization(x, renorm=True, training=True)),
    "flatten": (IMAGE, lambda L, x: L.flatten(x)),
    "dropout": (VECTOR, lambda L, x: L.dropout(x, 0.4, seed=3)),
    "dropout, training": (VECTOR, lambda L, x: L.dropout(x, 0.4, seed=3, training=True)),
    "dropout, noise shape": (
        ROW, lambda L, x: L.dropout(x, 0.5, noise_shape=[2, 1, 3], seed=3, training=True),
    ),
    "regularized": (
        VECTOR,
        lambda L, x: L.dense(
            x, 2, kernel_regularizer=_tf().nn.l2_loss, activity_regularizer=_tf().reduce_sum
        ),
    ),
    "constrained": (VECTOR, lambda L, x: L.dense(x, 2, kernel_constraint=lambda w: w / 2)),
}  # fmt: skip
_USED = []


def _tf():
    return _USED[-1]


def _described(tf):
    keys = sorted(k for k in tf.get_default_graph().get_all_collection_keys() if isinstance(k, str))
    keep = [k for k in keys if not k.startswith("__")]
    return {k: [getattr(v, "name", str(v)) for v in tf.get_collection(k)] for k in keep}


def _case(name):
    shape, built = LAYERS[name]

    def case(tf):
        _USED.append(tf)
        tf.set_random_seed(11)
        x = tf.constant(np.random.RandomState(2).randn(*shape).astype(np.float32), name="x")
        y = built(tf.layers, x)
        variables = tf.trainable_variables()
        gradients = tf.gradients(tf.reduce_sum(tf.square(y)), [x, *variables])
        results = {
            "name": y.name,
            "shape": y.shape.as_list(),
            "variables": [
                [v.name, v.shape.as_list(), v.dtype.base_dtype.name] for v in tf.global_variables()
            ],
            "collections": _described(tf),
        }
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            results["value"] = session.run(y)
            found = session.run([g for g in gradients if g is not None])
            results.update({f"gradient {i}": g for i, g in enumerate(found)})
            session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
            for v in tf.global_variables():
                results[f"after {v.name}"] = session.run(v)
        return results

    return case


for _name in LAYERS:
    globals()[f"case_{_name}"] = _case(_name)


def case_layers_as_objects(tf):
    tf.set_random_seed(1)
    layer = tf.layers.Dense(3, kernel_initializer=tf.ones_initializer(), name="d")
    x = tf.ones([2, 4])
    first, second = layer(x), layer.apply(x * 2)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run([first, second])
    return {
        "values": np.stack(values),
        "names": [first.name, second.name],
        "variables": [v.name for v in layer.variables],
        "kernel": layer.kernel.name,
        "counted": layer.count_params(),
        "names of weights": [w.name for w in layer.trainable_weights],
    }


def case_reused(tf):
    x = tf.ones([2, 4])
    a = tf.layers.dense(x, 3, name="shared")
    b = tf.layers.dense(x, 3, name="shared", reuse=True)
    c = tf.layers.dense(x, 3)
    d = tf.layers.dense(x, 3)
    with tf.variable_scope("outer", reuse=tf.AUTO_REUSE):
        e = tf.layers.conv1d(tf.ones([1, 4, 2]), 2, 2, name="c")
        f = tf.layers.conv1d(tf.ones([1, 4, 2]), 2, 2, name="c")
    return {
        "outputs": [t.name for t in (a, b, c, d, e, f)],
        "variables": [v.name for v in tf.global_variables()],
    }


def error_taken_name(tf):
    x = tf.ones([2, 4])
    tf.layers.dense(x, 3, name="shared")
    return tf.layers.dense(x, 3, name="shared")


def error_unknown_depth(tf):
    return tf.layers.dense(tf.placeholder(tf.float32, [2, None]), 3)


def error_rank(tf):
    return tf.layers.conv2d(tf.ones([2, 4, 3]), 3, 2)
