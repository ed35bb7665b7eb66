"""Datasets of groups, chosen elements, numbers of elements: a row for each operation, and positions that are saved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core import dtypes
from ckpt.graph.opdef import OPS
from ckpt.ops.iterator_state import packed, unpacked
from tests.conformance.ops import case, conformance
from tests.ops.test_datasets import of_node, slices

X = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], np.int64)
ONE = {"output_types": [dtypes.int64], "output_shapes": [tf.TensorShape([])]}


def windows(x):
    grouping = tf.data.experimental.group_by_window(lambda v: v % 2, lambda k, d: d.map(lambda v: 10 * v + k), 3)  # fmt: skip
    return list_of(slices(x).apply(grouping))


def list_of(dataset):
    from tests.ops.test_datasets import whole

    return whole(dataset)


def reduced(name):
    def build(x):
        reducer = tf.data.experimental.Reducer(lambda k: k, lambda s, v: s + v, lambda s: s * 2)
        made = slices(x).apply(tf.data.experimental.group_by_reducer(lambda v: v % 3, reducer))
        node = made._variant_tensor.op
        attrs = {key: value for key, value in node.attrs.items() if not key.startswith("_")}
        others = [t for t in node.inputs][1:]
        assert not others
        return list_of(tf.data.Dataset(OPS[name](node.inputs[0], [], [], [], [], **attrs), made.element_spec))  # fmt: skip

    return build


def chosen(x):
    order = slices(x % 2)
    return list_of(tf.data.experimental.choose_from_datasets([slices(x), slices(10 * x)], order))


def distinct(name):
    return lambda x: of_node(name, slices(x), **ONE)


def sparse_rows(x):
    sparse = tf.data.experimental.dense_to_sparse_batch(3, [4])
    row = tf.data.experimental.get_single_element(
        tf.data.Dataset.from_tensors(x[:3]).repeat(2).apply(sparse)
    )
    return row.indices, row.values, row.dense_shape


def drawn(x):
    numbers = tf.data.experimental.RandomDataset(seed=5).take(4)
    return list_of(numbers)[0] + x[:4]


def same(x):
    return of_node("RewriteDataset", slices(x), "replicate_on_split", **ONE)


def parallel_batches(x):
    return list_of(slices(x).batch(5, num_parallel_calls=2))


def as_many(x):
    return list_of(slices(x).apply(tf.data.experimental.assert_cardinality(len(X))))


def counted(x):
    return tf.data.experimental.cardinality(slices(x).batch(3)) + x[0]


def twice(x):
    return 2 * np.array([sum([k, *x[x % 3 == k]]) for k in range(3) if k in x % 3])


def in_windows(x):
    held, found = {0: [], 1: []}, []
    for v in x.tolist():
        held[v % 2].append(10 * v + v % 2)
        if len(held[v % 2]) == 3:
            found += held[v % 2]
            held[v % 2] = []
    return np.array(found + held[0] + held[1])


def by_turns(x):
    heads, found = [0, 0], []
    for choice in (x % 2).tolist():
        found.append((1, 10)[choice] * x[heads[choice]])
        heads[choice] += 1
    return np.array(found)


def firsts(x):
    return np.array(list(dict.fromkeys(x.tolist())))


def row_indices(x):
    return (
        np.array([[row, place] for row in range(2) for place in range(3)]),
        np.tile(x[:3], 2),
        np.array([2, 4]),
    )


TestGroups = conformance([
    case(windows, X, like=in_windows, grad=0),
    case(reduced("GroupByReducerDataset"), X, like=twice, grad=0),
    case(reduced("ExperimentalGroupByReducerDataset"), X, like=twice, grad=0),
    case(chosen, X, like=by_turns, grad=0),
    case(distinct("UniqueDataset"), X, like=firsts, grad=0),
    case(distinct("ExperimentalUniqueDataset"), X, like=firsts, unasked="removed from TensorFlow 2.21's kernels", grad=0),
    case(sparse_rows, X, like=row_indices, grad=0),
    case(drawn, X, grad=0),
    case(same, X, like=lambda x: x, grad=0),
    case(parallel_batches, X, like=lambda x: x.reshape(2, 5), grad=0),
    case(as_many, X, like=lambda x: x, grad=0),
    case(counted, X, like=lambda x: np.int64(4) + x[0], grad=0),
])  # fmt: skip


def pipelines():
    experimental = tf.data.experimental
    numbers = tf.data.Dataset.from_tensor_slices(X)
    summing = experimental.Reducer(lambda k: k, lambda s, v: s + v, lambda s: s)
    return {
        "windows": numbers.apply(experimental.group_by_window(lambda v: v % 3, lambda k, d: d.shuffle(3, seed=2), 3)),
        "reduced": numbers.apply(experimental.group_by_reducer(lambda v: v % 4, summing)),
        "unique": numbers.apply(experimental.unique()),
        "sampled": experimental.sample_from_datasets([numbers, numbers.map(lambda v: -v)], seed=4),
        "counted": numbers.apply(experimental.assert_cardinality(10)),
        "random": experimental.RandomDataset(seed=2).take(12),
        "numbered": experimental.Counter(3).take(9),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["windows", "reduced", "unique", "sampled", "counted", "random", "numbered"])  # fmt: skip
@given(used=st.integers(0, 9))
def test_iteration_goes_on_where_a_saved_position_says(name, used):
    with tf.Graph().as_default(), tf.Session() as session:
        iterator = pipelines()[name].make_initializable_iterator()
        element = iterator.get_next()
        session.run(iterator.initializer)
        state = session.state.resource(
            "iterator", "", iterator._iterator_resource.op.name, lambda: None
        )

        def rest():
            found = []
            while True:
                try:
                    found.append(session.run(element).tolist())
                except tf.errors.OutOfRangeError:
                    return found

        whole = rest()
        session.run(iterator.initializer)
        for _ in range(min(used, len(whole))):
            session.run(element)
        saved = packed(unpacked(state.save()))
        assert rest() == whole[used:]
        session.run(iterator.initializer)
        state.load(saved)
        assert rest() == whole[used:]
