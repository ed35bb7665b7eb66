"""Embeddings of sparse rows, some without ids: names, values, gradients; pools of any rank."""

import numpy as np

TABLE = np.arange(20, dtype=np.float32).reshape(5, 4) + 1.0


def rows(tf):
    indices = np.array([[0, 0], [0, 1], [1, 0], [3, 0], [3, 1]], np.int64)
    return tf.SparseTensor(
        indices, np.array([1, 2, -1, 0, 4], np.int64), np.array([5, 4], np.int64)
    )


def outcome(tf, table, ids, *given, **options):
    tensors = [tf.constant(part) for part in (table if isinstance(table, list) else [table])]
    found = tf.nn.safe_embedding_lookup_sparse(tensors, ids, *given, **options)
    slopes = tf.gradients(found * found, tensors)
    with tf.Session() as sess:
        return {
            "values": sess.run(found),
            **{f"slope_{i}": sess.run(tf.convert_to_tensor(s)) for i, s in enumerate(slopes)},
            "shape": found.shape.as_list(),
            "name": found.name,
        }


def case_each_combiner(tf):
    found = {}
    for combiner in ("sum", "mean", "sqrtn"):
        result = outcome(tf, TABLE, rows(tf), combiner=combiner)
        found.update({f"{combiner}_{key}": value for key, value in result.items()})
    return found


def case_weights_some_of_them_negative(tf):
    found = {}
    for combiner in ("sum", "mean", "sqrtn"):
        ids = rows(tf)
        weights = tf.SparseTensor(
            ids.indices, np.array([1, -2, 3, 4, 0], np.float32), ids.dense_shape
        )
        result = outcome(tf, TABLE, ids, weights, combiner=combiner)
        found.update({f"{combiner}_{key}": value for key, value in result.items()})
    return found


def case_a_default(tf):
    return outcome(tf, TABLE, rows(tf), default_id=3)


def case_parts(tf):
    found = {}
    for strategy in ("div", "mod"):
        parts = [TABLE[::2], TABLE[1::2]]
        result = outcome(tf, parts, rows(tf), partition_strategy=strategy, name="looked")
        found.update({f"{strategy}_{key}": value for key, value in result.items()})
    return found


def case_three_axes_and_a_norm(tf):
    ids = tf.SparseTensor(
        np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0]], np.int64),
        np.array([1, -1, 3], np.int64),
        np.array([2, 3, 2], np.int64),
    )
    return outcome(tf, TABLE, ids, max_norm=3.0)


def error_no_table(tf):
    tf.nn.safe_embedding_lookup_sparse(None, rows(tf))


def error_an_empty_list_of_tables(tf):
    tf.nn.safe_embedding_lookup_sparse([], rows(tf))


def error_another_combiner(tf):
    tf.nn.safe_embedding_lookup_sparse(TABLE, rows(tf), combiner="median")


def case_pools_of_any_rank(tf):
    found = {}
    for sizes in ([1, 4, 2], [1, 4, 4, 2], [1, 4, 4, 4, 2]):
        x = np.arange(np.prod(sizes), dtype=np.float32).reshape(sizes)
        for kind, pool in {"max": tf.nn.max_pool_v2, "avg": tf.nn.avg_pool_v2}.items():
            y = pool(x, 2, 2, "SAME")
            z = pool(x, 2, [1], "VALID", name="named")
            with tf.Session() as sess:
                key = f"{kind}_{len(sizes)}"
                found[key], found[f"{key}_named"] = sess.run([y, z])
    return found


def error_a_pool_of_a_matrix(tf):
    tf.nn.max_pool_v2(tf.ones([2, 2]), 2, 2, "SAME")
