"""Optimizers step by step: reference and resource variables, dense gradients and rows, and the nodes they add."""

import numpy as np

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # the linear slot of Ftrl is a difference of terms near 50
GRADIENT = np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 0.25]], np.float32)
ROWS, AT = np.array([[1.0, -2.0], [0.5, 3.0], [4.0, 0.25]], np.float32), np.array([2, 0, 2])
NAMES = (
    "descent", "momentum", "nesterov", "adam", "adagrad", "adagrad_da", "adadelta", "rms_prop", "centered", "ftrl",
    "shrinking", "proximal", "proximal_adagrad",
)  # fmt: skip


def optimizers(tf, count):
    return {
        "descent": tf.train.GradientDescentOptimizer(0.5),
        "momentum": tf.train.MomentumOptimizer(0.1, 0.9),
        "nesterov": tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
        "adam": tf.train.AdamOptimizer(0.1, use_locking=True),
        "adagrad": tf.train.AdagradOptimizer(0.1, 0.3),
        "adagrad_da": tf.train.AdagradDAOptimizer(0.1, count, 0.3, 0.05, 0.02),
        "adadelta": tf.train.AdadeltaOptimizer(0.5, 0.9, 1e-4),
        "rms_prop": tf.train.RMSPropOptimizer(0.1, 0.8, 0.5),
        "centered": tf.train.RMSPropOptimizer(0.1, 0.8, 0.5, 1e-3, centered=True),
        "ftrl": tf.train.FtrlOptimizer(0.1, -0.4, 0.2, 0.3, 0.1),
        "shrinking": tf.train.FtrlOptimizer(
            0.1, accum_name="sum", l2_shrinkage_regularization_strength=0.2, beta=0.3
        ),
        "proximal": tf.train.ProximalGradientDescentOptimizer(0.1, 0.3, 0.2),
        "proximal_adagrad": tf.train.ProximalAdagradOptimizer(0.1, 0.3, 0.2, 0.1),
    }


def steps(tf, use_resource, is_sparse):
    """The variable and the slots after each of twenty steps, and every node: name, type, inputs, controls."""
    found = {}
    for name in NAMES:
        with tf.Graph().as_default() as graph, tf.Session() as sess:
            start = np.arange(6, dtype=np.float32).reshape(3, 2)
            v = tf.get_variable("v", initializer=start, use_resource=use_resource)
            count = tf.get_variable(
                "count", initializer=np.int64(0), trainable=False, use_resource=use_resource
            )
            optimizer = optimizers(tf, count)[name]
            scale = tf.placeholder(tf.float32, [])
            gradient = tf.constant(GRADIENT) * scale
            if is_sparse:
                gradient = tf.IndexedSlices(
                    tf.constant(ROWS) * scale, tf.constant(AT), tf.constant([3, 2])
                )
            step = optimizer.apply_gradients([(gradient, v)], global_step=count)
            sess.run(tf.global_variables_initializer())
            slots = sorted(optimizer.variables(), key=lambda slot: slot.name)
            for number in range(20):
                sess.run(step, {scale: 1.0 + number % 3})
                values = sess.run([count, v, *slots])
                found.update({f"{name} {number} {i}": value for i, value in enumerate(values)})
            found[f"{name} slots"] = [slot.name for slot in slots]
            found[f"{name} nodes"] = [
                [
                    op.name,
                    op.type,
                    [t.name for t in op.inputs],
                    sorted(c.name for c in op.control_inputs),
                ]
                for op in graph.get_operations()
                if "Initializer" not in op.name and not op.name.startswith("init")
            ]
    return found


def case_dense_by_reference(tf):
    return steps(tf, False, False)


def case_dense_by_handle(tf):
    return steps(tf, True, False)


def case_rows_by_reference(tf):
    return steps(tf, False, True)


def case_rows_by_handle(tf):
    return steps(tf, True, True)


def case_minimize_by_handle(tf):
    with tf.variable_scope("layer", use_resource=True):
        w = tf.get_variable("w", initializer=np.ones((4, 2), np.float32))
        table = tf.get_variable("table", initializer=np.ones((5, 4), np.float32))
    rows = tf.nn.embedding_lookup(table, [1, 3, 1])
    loss = tf.reduce_sum(tf.square(tf.matmul(rows, w) - 1.0))
    step = tf.train.AdamOptimizer(0.1).minimize(loss)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        losses = [sess.run([loss, step])[0] for _ in range(5)]
        return {"losses": np.array(losses), "w": sess.run(w), "table": sess.run(table)}


def case_operators_of_resource_variables(tf):
    v = tf.get_variable("v", initializer=np.ones((2, 2), np.float32), use_resource=True)
    w = tf.get_variable("w", initializer=np.ones((2, 2), np.float32), use_resource=True)
    graph = tf.get_default_graph()
    first = len(graph.get_operations())
    made = [
        1 - v,
        v * w,
        -v,
        v[0],
        v @ w,
        abs(v),
        v < w,
        tf.constant([1.0, 2.0]) * v,
        v.assign(v * 2) + w,
        2.0**v,
        w % 2.0,
    ]
    nodes = [
        [op.name, op.type, [t.name for t in op.inputs]] for op in graph.get_operations()[first:]
    ]
    return {"made": [t.name for t in made], "nodes": nodes}
