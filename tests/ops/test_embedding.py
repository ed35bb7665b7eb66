"""Rows of tables: TensorFlow's nodes for every kind of table, sparse gradients, and the values by plain numpy."""

import numpy as np
import pytest

import ckpt as tf

TABLE = np.arange(15, dtype=np.float32).reshape(5, 3)


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def table(resource, parts=1):
    return tf.get_variable(
        "v",
        initializer=None if parts > 1 else TABLE,
        shape=[5, 3] if parts > 1 else None,
        use_resource=resource,
        partitioner=tf.fixed_size_partitioner(parts) if parts > 1 else None,
    )


def filled(table_):
    """The operations that put TABLE into a table, whole or in parts of 3 and 2 rows."""
    parts = list(table_) if hasattr(table_, "_get_partitions") else [table_]
    heights = [0, *np.cumsum([p.shape.as_list()[0] for p in parts[:-1]], dtype=int), 5]
    return [p.assign(TABLE[a:b]) for p, a, b in zip(parts, heights, heights[1:], strict=False)]


def run(fetch, table_):
    with tf.Session() as session:
        session.run(filled(table_))
        return session.run(fetch)


def types(graph, scope):
    return [(op.type, op.name) for op in graph.get_operations() if op.name.startswith(scope)]


def test_rows_of_a_resource_are_gathered_without_a_read(graph):
    tf.nn.embedding_lookup(table(True), [1, 2])
    assert types(graph, "embedding_lookup") == [
        ("Const", "embedding_lookup/ids"),
        ("ResourceGather", "embedding_lookup"),
        ("Identity", "embedding_lookup/Identity"),
    ]
    assert graph.get_operation_by_name("embedding_lookup").colocation_groups() == [b"loc:@v"]


def test_rows_of_a_reference(graph):
    tf.nn.embedding_lookup(table(False), [1, 2])
    assert [kind for kind, _ in types(graph, "embedding_lookup")] == [
        "Const", "Const", "GatherV2", "Identity",
    ]  # fmt: skip


def test_gather_takes_the_short_way_along_the_first_axis_of_a_resource_only(graph):
    v = table(True)
    made = [tf.gather(v, [1]), tf.gather(v, [1], axis=0, name="rows"), tf.gather(v, [1], axis=1)]
    made.append(tf.gather(v, [1], axis=tf.constant(0)))
    assert [(t.op.type, t.op.name) for t in made] == [
        ("ResourceGather", "Gather"), ("ResourceGather", "rows"), ("GatherV2", "GatherV2"),
        ("ResourceGather", "Gather_1"),
    ]  # fmt: skip
    for found, like in zip(
        run(made, v), [TABLE[[1]], TABLE[[1]], TABLE[:, [1]], TABLE[[1]]], strict=True
    ):
        np.testing.assert_array_equal(found, like)


@pytest.mark.parametrize("resource", [True, False])
def test_the_gradient_names_the_rows_and_no_others(graph, resource):
    v = table(resource)
    rows = tf.nn.embedding_lookup(v, [[1, 3], [1, 0]])
    (slices,) = tf.gradients(rows * 2.0, v)
    assert isinstance(slices, tf.IndexedSlices)
    values, indices, shape = run([slices.values, slices.indices, slices.dense_shape], v)
    np.testing.assert_array_equal(values, np.full((4, 3), 2, np.float32))
    assert indices.tolist() == [1, 3, 1, 0]
    assert shape.tolist() == [5, 3]
    whole = "Const" if resource else "Shape"
    assert [name.rpartition("/")[2] for _, name in types(graph, "gradients/embedding_lookup_grad")] == [
        whole, "Size", "dim", "ExpandDims", "stack", "stack_1", "stack_2", "strided_slice", "axis", "concat",
        "Reshape", "Reshape_1",
    ]  # fmt: skip


def test_the_gradient_of_a_resource_whose_shape_is_unknown_asks_for_it(graph):
    v = tf.Variable(TABLE, use_resource=True, shape=tf.TensorShape([None, 3]))
    (slices,) = tf.gradients(tf.nn.embedding_lookup(v, [4]), v)
    assert slices.dense_shape.op.type == "VariableShape"
    assert run(tf.convert_to_tensor(slices), v).tolist() == [[0] * 3] * 4 + [[1] * 3]


@pytest.mark.parametrize("resource", [True, False])
@pytest.mark.parametrize(("strategy", "order"), [("mod", [0, 2, 4, 1, 3]), ("div", range(5))])
def test_tables_in_parts(graph, resource, strategy, order):
    v = table(resource, parts=2)
    ids = np.array([[4, 0], [3, 3]])
    rows = tf.nn.embedding_lookup(v, ids, partition_strategy=strategy)
    gradients = tf.gradients(rows, list(v))
    place = {row: where for where, row in enumerate(order)}
    like = TABLE[[[place[i] for i in line] for line in ids.tolist()]]
    np.testing.assert_array_equal(run(rows, v), like)
    assert rows.shape == (2, 2, 3)
    assert graph.get_operation_by_name("embedding_lookup").type == "ParallelDynamicStitch"
    gathered = ["Gather", "Gather_1"] if resource else ["GatherV2", "GatherV2_1"]
    for name in gathered:
        graph.get_operation_by_name(f"embedding_lookup/{name}")
    assert all(isinstance(g, tf.IndexedSlices) for g in gradients)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("resource", [True, False])
def test_max_norm_limits_each_row(graph, resource, parts):
    v = table(resource, parts)
    rows = tf.nn.embedding_lookup(v, [0, 2, 4], max_norm=2.0, partition_strategy="div")
    like = TABLE[[0, 2, 4]]
    norms = np.maximum(np.linalg.norm(like, axis=1, keepdims=True), 2.0)
    np.testing.assert_allclose(run(rows, v), like * 2 / norms, rtol=1e-6)
    assert graph.get_operation_by_name("embedding_lookup/clip_by_norm").type == "Identity"


def test_max_norm_where_the_rank_of_the_ids_is_unknown(graph):
    ids = tf.placeholder(tf.int32)
    rows = tf.nn.embedding_lookup(TABLE, ids, max_norm=1.0)
    with tf.Session() as session:
        found = session.run(rows, {ids: [[1], [2]]})
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
@pytest.mark.parametrize("weighted", [True, False])
def test_rows_combined(graph, combiner, weighted):
    v = table(True)
    places = [[0, 0], [0, 1], [2, 0]]
    ids = tf.SparseTensor(places, np.array([1, 2, 2], np.int64), [3, 2])
    numbers = np.array([1.0, 3.0, 0.5] if weighted else [1.0, 1.0, 1.0], np.float32)
    weights = tf.SparseTensor(places, numbers, [3, 2]) if weighted else None
    rows = tf.nn.embedding_lookup_sparse(v, ids, weights, combiner=combiner)
    first, last = numbers[:2, None] * TABLE[[1, 2]], numbers[2] * TABLE[2]
    by = {"sum": lambda w: 1, "mean": np.sum, "sqrtn": lambda w: np.sqrt(np.sum(w * w))}[combiner]
    # The row without ids has no weights to divide by: it is 0, not undefined.
    like = np.stack([first.sum(0) / by(numbers[:2]), np.zeros(3), last / by(numbers[2:])])
    np.testing.assert_allclose(run(rows, v), like, rtol=1e-6)
    kinds = {kind for kind, _ in types(graph, "embedding_lookup_sparse")}
    assert ("DivNoNan" in kinds) is (weighted and combiner != "sum")


def test_many_short_floats_are_summed_as_longer_ones():
    places = [[0, i] for i in range(3000)]
    ids = tf.SparseTensor(places, np.zeros(3000, np.int64), [1, 3000])
    weights = tf.SparseTensor(places, np.ones(3000, np.float32), [1, 3000])
    rows = tf.nn.embedding_lookup_sparse(np.ones((1, 1), np.float16), ids, weights, combiner="sum")
    with tf.Session() as session:
        found = session.run(rows)
    assert (found.dtype, found.item()) == (np.float16, 3000)  # one by one they end at 2048


def test_ids_outside_the_table_are_refused(graph):
    v = table(True)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices = 5 is not in \[0, 5\)"):
        run(tf.nn.embedding_lookup(v, [0, 5]), v)


def test_another_strategy_is_refused(graph):
    with pytest.raises(ValueError, match='Only "div" and "mod"'):
        tf.nn.embedding_lookup(table(True, 2), [0], partition_strategy="hash")


@pytest.mark.parametrize("resource", [True, False])
def test_rows_inside_a_loop(graph, resource):
    v = table(resource)
    total = tf.while_loop(
        lambda i, _: i < 3,
        lambda i, s: (i + 1, s + tf.nn.embedding_lookup(v, i)),
        [tf.constant(0), tf.zeros([3])],
    )[1]
    (slices,) = tf.gradients(total, v)
    np.testing.assert_array_equal(run(total, v), TABLE[:3].sum(0))
    like = np.repeat([1.0, 1, 1, 0, 0], 3).reshape(5, 3)
    np.testing.assert_array_equal(run(tf.convert_to_tensor(slices), v), like)


def test_a_row_without_ids_is_zeros_or_the_default(graph):
    ids = tf.SparseTensor([[0, 0], [0, 1], [2, 0]], tf.constant([1, 4, -1], tf.int64), [3, 2])
    zeros = tf.nn.safe_embedding_lookup_sparse(TABLE, ids, combiner="sum")
    default = tf.nn.safe_embedding_lookup_sparse(TABLE, ids, default_id=2)
    with tf.Session() as session:
        summed, filled_up = session.run([zeros, default])
    nothing = np.zeros(3)
    np.testing.assert_array_equal(summed, [TABLE[1] + TABLE[4], nothing, nothing])
    np.testing.assert_array_equal(filled_up, [(TABLE[1] + TABLE[4]) / 2, TABLE[2], TABLE[2]])
