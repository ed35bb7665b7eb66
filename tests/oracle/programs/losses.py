"""`tf.losses` in full: values under all weights and reductions, nodes, collections, gradients, refusals."""

import numpy as np

LABELS = np.array([[0.0, 1.0, 0.25], [1.0, 0.0, 0.5]], np.float32)
FOUND = np.array([[0.1, 0.8, 0.4], [0.7, 0.3, -0.9]], np.float32)
WEIGHTS = {
    "none": 1.0,
    "zero": 0.0,
    "scalar": 2.5,
    "rows": np.array([[2.0], [0.0]], np.float32),
    "columns": np.array([[1.0, 0.0, 3.0]], np.float32),
    "each": np.array([[1.0, 2.0, 0.0], [0.5, 0.0, 0.0]], np.float32),
}
REDUCTIONS = (
    "none", "weighted_sum", "weighted_mean", "weighted_sum_over_batch_size",
    "weighted_sum_by_nonzero_weights",
)  # fmt: skip


def nodes(tf):
    return [
        [op.name, op.type, [t.name for t in op.inputs], sorted(c.name for c in op.control_inputs)]
        for op in tf.get_default_graph().get_operations()
        if not op.name.startswith("gradients")
    ]


def computed(tf, build, found=FOUND):
    """The loss, its gradient, the collection of losses."""
    predictions = tf.constant(found, name="found")
    loss = build(predictions)
    grad = tf.gradients(loss, predictions)[0]
    with tf.Session() as sess:
        return {
            "loss": sess.run(loss),
            "gradient": sess.run(grad),
            "collected": [t.name for t in tf.losses.get_losses()],
            "shape": str(loss.shape),
        }


def merged(results):
    return {f"{name} {key}": value for name, found in results.items() for key, value in found.items()}  # fmt: skip


def under_all_weights(tf, name, **options):
    results = {}
    loss = getattr(tf.losses, name)
    for label, weights in WEIGHTS.items():
        for reduction in REDUCTIONS:
            with tf.Graph().as_default():
                results[f"{label} {reduction}"] = computed(
                    tf,
                    lambda p, w=weights, r=reduction: loss(LABELS, p, weights=w, reduction=r, **options),
                    np.abs(FOUND),
                )  # fmt: skip
    return merged(results)


def case_absolute_difference(tf):
    return under_all_weights(tf, "absolute_difference")


def case_huber(tf):
    return under_all_weights(tf, "huber_loss", delta=0.5)


def case_log(tf):
    return under_all_weights(tf, "log_loss", epsilon=1e-3)


def case_mean_squared_error(tf):
    return under_all_weights(tf, "mean_squared_error")


def case_hinge(tf):
    results = {}
    for label, weights in WEIGHTS.items():
        with tf.Graph().as_default():
            results[label] = computed(tf, lambda p, w=weights: tf.losses.hinge_loss(LABELS, p, weights=w))  # fmt: skip
    return merged(results)


def case_pairwise(tf):
    results = {}
    weights = {
        "none": 1.0,
        "scalar": 2.0,
        "rows": np.array([[2.0], [1.0]], np.float32),
        "zero": 0.0,
    }
    for label, weight in weights.items():
        with tf.Graph().as_default():
            results[label] = computed(
                tf, lambda p, w=weight: tf.losses.mean_pairwise_squared_error(LABELS, p, weights=w)
            )
    return merged(results)


def case_cosine(tf):
    results = {}
    for label in ("none", "zero", "scalar", "rows"):
        for axis in (0, 1):
            weights = WEIGHTS["columns"] if label == "rows" and axis == 0 else WEIGHTS[label]
            with tf.Graph().as_default():
                results[f"{label} {axis}"] = computed(
                    tf, lambda p, w=weights, a=axis: tf.losses.cosine_distance(LABELS, p, axis=a, weights=w)
                )  # fmt: skip
    return merged(results)


def case_cross_entropies(tf):
    results = {}
    once = np.array([[0, 1, 0], [1, 0, 0]], np.int32)
    rows = {"none": 1.0, "scalar": 2.5, "rows": np.array([2.0, 0.0], np.float32), "zero": 0.0}
    for label, weights in rows.items():
        for smoothing in (0, 0.2):
            with tf.Graph().as_default():
                results[f"softmax {label} {smoothing}"] = computed(
                    tf, lambda p, w=weights, s=smoothing: tf.losses.softmax_cross_entropy(once, p, w, s)
                )  # fmt: skip
        with tf.Graph().as_default():
            results[f"sparse {label}"] = computed(
                tf, lambda p, w=weights: tf.losses.sparse_softmax_cross_entropy([1, 0], p, w)
            )
        with tf.Graph().as_default():
            results[f"sparse column {label}"] = computed(
                tf, lambda p, w=weights: tf.losses.sparse_softmax_cross_entropy([[1], [0]], p, w)
            )
    for label, weights in WEIGHTS.items():
        for smoothing in (0, 0.2):
            with tf.Graph().as_default():
                results[f"sigmoid {label} {smoothing}"] = computed(
                    tf, lambda p, w=weights, s=smoothing: tf.losses.sigmoid_cross_entropy(LABELS, p, w, s)
                )  # fmt: skip
    return merged(results)


def case_nodes(tf):
    found = {}
    builds = {
        "absolute": lambda p: tf.losses.absolute_difference(LABELS, p),
        "squares": lambda p: tf.losses.mean_squared_error(LABELS, p, weights=WEIGHTS["rows"], scope="mine"),
        "sum": lambda p: tf.losses.mean_squared_error(LABELS, p, reduction="weighted_sum"),
        "batch": lambda p: tf.losses.mean_squared_error(LABELS, p, reduction="weighted_sum_over_batch_size"),
        "each": lambda p: tf.losses.mean_squared_error(LABELS, p, reduction="none"),
        "hinge": lambda p: tf.losses.hinge_loss(LABELS, p),
        "huber": lambda p: tf.losses.huber_loss(LABELS, p),
        "log": lambda p: tf.losses.log_loss(LABELS, p),
        "pairs": lambda p: tf.losses.mean_pairwise_squared_error(LABELS, p),
        "cosine": lambda p: tf.losses.cosine_distance(LABELS, p, 1),
        "sigmoid": lambda p: tf.losses.sigmoid_cross_entropy(LABELS, p, label_smoothing=0.1),
        "softmax": lambda p: tf.losses.softmax_cross_entropy(LABELS, p, label_smoothing=0.1),
        "sparse": lambda p: tf.losses.sparse_softmax_cross_entropy([1, 0], p),
    }  # fmt: skip
    for name, build in builds.items():
        with tf.Graph().as_default():
            build(tf.constant(FOUND, name="found"))
            found[name] = nodes(tf)
    return found


def case_collections(tf):
    first = tf.losses.mean_squared_error(LABELS, FOUND)
    with tf.variable_scope("tower"):
        second = tf.losses.absolute_difference(LABELS, FOUND, loss_collection=tf.GraphKeys.LOSSES)
        tf.losses.hinge_loss(LABELS, FOUND, loss_collection="others")
        tf.losses.huber_loss(LABELS, FOUND, loss_collection=None)
    tf.losses.add_loss(tf.constant(2.0))
    tf.get_variable("w", initializer=[1.0, 2.0], regularizer=lambda w: 0.5 * tf.reduce_sum(w * w))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        totals = sess.run([
            tf.losses.get_total_loss(), tf.losses.get_total_loss(add_regularization_losses=False, name="data"),
            tf.losses.get_total_loss(scope="tower"), tf.losses.get_regularization_loss(),
            tf.losses.get_regularization_loss(scope="none"), first, second,
        ])  # fmt: skip
    return {
        "totals": np.array(totals),
        "losses": [t.name for t in tf.losses.get_losses()],
        "tower": [t.name for t in tf.losses.get_losses("tower")],
        "others": [t.name for t in tf.get_collection("others")],
        "regularization": len(tf.losses.get_regularization_losses()),
    }


def case_weighted(tf):
    values = tf.constant(FOUND)
    found = {}
    with tf.Session() as sess:
        for label, weights in WEIGHTS.items():
            for reduction in REDUCTIONS:
                loss = tf.losses.compute_weighted_loss(values, weights, reduction=reduction)
                found[f"{label} {reduction}"] = sess.run(loss)
        half = tf.losses.compute_weighted_loss(tf.constant(FOUND.astype(np.float16)))
        found["half"] = [half.dtype.name, float(sess.run(half))]
    return found


def case_weights_of_unknown_shape(tf):
    weights, found = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    loss = tf.losses.mean_squared_error(tf.placeholder_with_default(LABELS, None), found, weights)
    results = {}
    with tf.Session() as sess:
        for label, given in WEIGHTS.items():
            results[label] = sess.run(loss, {weights: given, found: FOUND})
        try:
            sess.run(loss, {weights: [1.0, 2.0, 3.0], found: FOUND})
        except tf.errors.InvalidArgumentError:
            results["refused"] = True
    return results


def error_shapes(tf):
    tf.losses.mean_squared_error(LABELS, FOUND[:1])


def error_weights_of_another_shape(tf):
    tf.losses.mean_squared_error(LABELS, FOUND, weights=[1.0, 2.0])


def error_weights_of_another_rank(tf):
    tf.losses.mean_squared_error(LABELS, FOUND, weights=[[[1.0]]])


def error_no_labels(tf):
    tf.losses.log_loss(None, FOUND)


def error_no_predictions(tf):
    tf.losses.absolute_difference(LABELS, None)


def error_reduction(tf):
    tf.losses.absolute_difference(LABELS, FOUND, reduction="mean")


def error_no_axis(tf):
    tf.losses.cosine_distance(LABELS, FOUND)


def error_labels_of_another_rank(tf):
    tf.losses.sparse_softmax_cross_entropy([[[1]], [[0]]], FOUND)


def error_softmax_shapes(tf):
    tf.losses.softmax_cross_entropy(LABELS[:, :2], FOUND)
