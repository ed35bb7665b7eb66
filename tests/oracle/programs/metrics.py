"""Every metric over three batches, weighted and not: values, updates, names of results and of local variables."""

import numpy as np

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
RANDOM = np.random.default_rng(7)
BATCHES = [
    {
        "truth": RANDOM.integers(0, 2, 8),
        "share": RANDOM.uniform(size=8).astype(np.float32),
        "number": RANDOM.normal(size=8).astype(np.float32),
        "other": RANDOM.normal(size=8).astype(np.float32),
        "classes": RANDOM.integers(0, 4, 8),
        "found": RANDOM.integers(0, 4, 8),
        "weights": RANDOM.integers(0, 3, 8).astype(np.float32),
        "rows": RANDOM.integers(0, 6, (4, 2)),
        "scores": RANDOM.permutation(24).reshape(4, 6).astype(np.float32),
        "row_weights": RANDOM.integers(1, 3, 4).astype(np.float32),
    }
    for _ in range(3)
]


def over_batches(tf, build):
    holders = {
        name: tf.placeholder(tf.as_dtype(value.dtype), value.shape, name=name)
        for name, value in BATCHES[0].items()
    }
    value, update = build(tf.metrics, holders)
    kept = tf.get_collection(tf.GraphKeys.METRIC_VARIABLES)
    found = {
        "variables": [[v.name, v.dtype.base_dtype.name, v.shape.as_list()] for v in kept],
        "local": [v.name for v in tf.local_variables()],
    }
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        for number, batch in enumerate(BATCHES):
            feeds = {holders[name]: fed for name, fed in batch.items()}
            found[f"update {number}"] = session.run(update, feeds)
            found[f"value {number}"] = session.run(value)
            found[f"kept {number}"] = np.concatenate([session.run(v).ravel() for v in kept])
    return found


def named(result):
    value, update = result
    return [value.name, update.name]


def all_of(tf, builds):
    found = {}
    for title, build in builds.items():
        with tf.Graph().as_default():
            found.update({f"{title}: {k}": v for k, v in over_batches(tf, build).items()})
    return found


def with_and_without_weights(names, holders, key="weights", **more):
    builds = {}
    for name in names:
        builds[name] = lambda m, h, name=name: getattr(m, name)(*[h[k] for k in holders], **more)
        builds[f"{name} weighted"] = lambda m, h, name=name: getattr(m, name)(
            *[h[k] for k in holders], weights=h[key], **more
        )
    return builds


def case_means(tf):
    names = ["mean_absolute_error", "mean_squared_error", "root_mean_squared_error"]
    return all_of(
        tf,
        {
            **with_and_without_weights(["mean", "mean_tensor"], ["number"]),
            **with_and_without_weights(names, ["number", "other"]),
            **with_and_without_weights(["accuracy"], ["classes", "found"]),
            **with_and_without_weights(["percentage_below"], ["number"], threshold=0.2),
            **with_and_without_weights(
                ["mean_relative_error"], ["number", "other"], normalizer=np.float32([0, 1] * 4)
            ),
            "mean_cosine_distance": lambda m, h: m.mean_cosine_distance(
                h["scores"] / 30, h["scores"] / 40, 1, weights=h["row_weights"][:, None]
            ),
            "twice": lambda m, h: (m.mean(h["number"])[0], m.mean(h["other"])[1]),
        },
    )


def case_counts(tf):
    names = [
        "true_positives", "true_negatives", "false_positives", "false_negatives", "precision", "recall",
    ]  # fmt: skip
    classes = ["mean_iou", "mean_per_class_accuracy"]
    return all_of(
        tf,
        {
            **with_and_without_weights(names, ["truth", "found"]),
            **with_and_without_weights(classes, ["classes", "found"], num_classes=5),
        },
    )


def case_thresholds(tf):
    names = [
        "true_positives_at_thresholds", "true_negatives_at_thresholds", "false_positives_at_thresholds",
        "false_negatives_at_thresholds", "precision_at_thresholds", "recall_at_thresholds",
    ]  # fmt: skip
    pair = ["truth", "share"]
    builds = {
        **with_and_without_weights(names, pair, thresholds=[0.2, 0.5, 0.9]),
        **with_and_without_weights(["auc"], pair),
        **with_and_without_weights(
            ["sensitivity_at_specificity"], pair, specificity=0.6, num_thresholds=9
        ),
        **with_and_without_weights(
            ["specificity_at_sensitivity"], pair, sensitivity=0.6, num_thresholds=9
        ),
        "auc of thresholds": lambda m, h: m.auc(h["truth"], h["share"], thresholds=[0.7, 0.3]),
    }
    for curve in ("ROC", "PR"):
        for method in ("trapezoidal", "minoring", "majoring", "careful_interpolation"):
            builds[f"auc {curve} {method}"] = lambda m, h, curve=curve, method=method: m.auc(
                h["truth"], h["share"], num_thresholds=7, curve=curve, summation_method=method
            )
    return all_of(tf, builds)


def case_rankings(tf):
    names = ["precision_at_k", "recall_at_k", "sparse_precision_at_k"]
    averages = ["average_precision_at_k", "sparse_average_precision_at_k"]
    pair, key = ["rows", "scores"], "row_weights"
    found = all_of(
        tf,
        {
            **with_and_without_weights([*names, *averages], pair, key=key, k=3),
            "of one label": lambda m, h: m.recall_at_k(h["rows"][:, 0], h["scores"], 2),
            "top": lambda m, h: m.precision_at_top_k(h["rows"], h["rows"][:, ::-1]),
            "recalled": lambda m, h: m.recall_at_top_k(h["rows"], h["rows"][:, :1], 1),
        },
    )
    of_class = all_of(tf, with_and_without_weights(names, pair, key=key, k=3, class_id=2))
    return {**found, **{f"class {k}": v for k, v in of_class.items()}}


def case_sparse_rankings(tf):
    def sparse(h):
        return tf.SparseTensor([[0, 0], [1, 0], [1, 1], [3, 0]], h["classes"][:4], [4, 2])

    return all_of(
        tf,
        {
            "precision": lambda m, h: m.precision_at_k(sparse(h), h["scores"], 3),
            "recall": lambda m, h: m.recall_at_k(sparse(h), h["scores"], 3),
            "average": lambda m, h: m.average_precision_at_k(sparse(h), h["scores"], 3),
            "recall of a class": lambda m, h: m.recall_at_k(sparse(h), h["scores"], 3, class_id=1),
        },
    )


def case_names(tf):
    m = tf.metrics
    number, share, truth = tf.zeros([4]), tf.ones([4]) * 0.5, tf.constant([0, 1, 1, 0])
    rows, scores = tf.constant([[1], [0]], tf.int64), tf.zeros([2, 3])
    results = [
        m.mean(number), m.mean_tensor(number), m.accuracy(truth, truth), m.mean_absolute_error(number, share),
        m.mean_squared_error(number, share), m.mean_relative_error(number, share, share), m.precision(truth, truth),
        m.recall(truth, truth, name="found"), m.auc(truth, share), m.precision_at_thresholds(truth, share, [0.5]),
        m.recall_at_thresholds(truth, share, [0.5]), m.mean_per_class_accuracy(truth, truth, 2),
        m.sensitivity_at_specificity(truth, share, 0.5), m.precision_at_k(rows, scores, 1),
        m.recall_at_k(rows, scores, 1, class_id=2), m.average_precision_at_k(rows, scores, 1),
        m.percentage_below(number, 0.5), m.auc(truth, share, curve="PR", summation_method="careful_interpolation"),
    ]  # fmt: skip
    return {"names": [named(result) for result in results]}


def error_wrong_curve(tf):
    tf.metrics.auc(tf.zeros([2]), tf.zeros([2]), curve="ABC")


def error_predictions_outside(tf):
    _, update = tf.metrics.auc(tf.constant([0, 1]), tf.constant([0.5, 1.5]))
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        session.run(update)


def error_wrong_shapes(tf):
    tf.metrics.accuracy(tf.zeros([3]), tf.zeros([4]))


def error_wrong_specificity(tf):
    tf.metrics.sensitivity_at_specificity(tf.zeros([2]), tf.zeros([2]), 1.5)
