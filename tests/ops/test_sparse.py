"""Sparse tensors: rearranged, added, multiplied, reduced; sets and edit distances."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import sets, sparse_math, sparse_tensors
from tests.conformance.ops import case, conformance, normal

AT = np.array([[0, 1], [1, 0], [1, 3], [2, 2]])
SHAPE = np.array([3, 4])
VALUES = normal(4)
OTHER_AT = np.array([[0, 1], [0, 2], [1, 3]])
OTHER = normal(3, seed=1)
SHUFFLED = AT[[2, 0, 3, 1]]
CUBE = np.array([[0, 0, 1], [0, 1, 0], [0, 1, 2], [1, 0, 0]])
SPARSE = (AT, VALUES, SHAPE)
PAIR = (AT, VALUES, SHAPE, OTHER_AT, OTHER, SHAPE)
SMALLER = "TensorFlow knows the rank of what is left, ours is not asked for it"


def of(function, outputs=3):
    """`function` of one SparseTensor as a function of its parts."""

    def applied(indices, values, shape, **more):
        found = function(SparseTensor(indices, values, shape), **more)
        return [found.indices, found.values, found.dense_shape] if outputs == 3 else found

    return applied


def row(function, *, outputs=3, title, **more):
    return case(of(function, outputs), *SPARSE, title=title, **more)


TestRearranged = conformance([
    case(OPS["SparseReorder"], SHUFFLED, VALUES, SHAPE, grad=2),
    case(OPS["SparseReshape"], AT, SHAPE, [2, -1], grad=0),
    case(OPS["SparseReshape"], AT, SHAPE, [5, -1], raises=InvalidArgumentError, match="do not fit"),
    case(OPS["SparseReshape"], AT, SHAPE, [7], raises=InvalidArgumentError, match="12 dense values"),
    case(lambda *x: OPS["SparseConcat"]([x[0], x[3]], [x[1], x[4]], [x[2], x[5]], concat_dim=1), *PAIR, grad=0,
         title="SparseConcat"),
    case(lambda *x: OPS["SparseConcat"]([x[0], x[3]], [x[1], x[4]], [x[2], x[5] + 1], concat_dim=0), *PAIR,
         raises=InvalidArgumentError, match="must match", title="SparseConcat"),
    case(OPS["SparseSlice"], *SPARSE, [1, 0], [2, 3], grad=1),
    case(OPS["SparseSliceGrad"], normal(2), AT, [1, 0], np.array([[0, 0], [1, 2]]), grad=0,
         expect=np.array([0, *normal(2)[:1], 0, normal(2)[1]], np.float32)),
    case(lambda *x: [t for part in OPS["SparseSplit"](1, *x, num_split=3) for t in part], *SPARSE, grad=0,
         title="SparseSplit"),
    case(lambda *x: OPS["SparseSplit"](5, *x, num_split=2), *SPARSE, raises=InvalidArgumentError, match="split_dim",
         title="SparseSplit"),
    case(OPS["SparseFillEmptyRows"], AT[:3], VALUES[:3], np.array([5, 4]), np.float32(7), grad=1),
    case(OPS["SparseFillEmptyRows"], AT[:3], VALUES[:3], np.array([1, 4]), np.float32(7), raises=InvalidArgumentError,
         match="is invalid"),
    case(OPS["SparseFillEmptyRowsGrad"], np.array([2, 0]), normal(4), grad=0),
    row(lambda x: sparse_tensors.sparse_retain(x, [True, False, True, False]), title="sparse_retain"),
    row(sparse_tensors.sparse_transpose, title="sparse_transpose"),
    row(lambda x: sparse_tensors.sparse_transpose(x, [0, 1]), title="sparse_transpose"),
    row(sparse_tensors.sparse_reset_shape, title="sparse_reset_shape"),
    row(lambda x: sparse_tensors.sparse_reset_shape(x, [5, 5]), title="sparse_reset_shape"),
    row(lambda x: sparse_tensors.sparse_slice(x, [0, 1], [2, 9]), title="sparse_slice"),
    row(lambda x: sparse_tensors.sparse_concat(1, [x, x]), title="sparse_concat", grad=0),
    row(lambda x: sparse_tensors.sparse_split(sp_input=x, num_split=2, axis=1)[1], title="sparse_split", grad=0),
    row(lambda x: sparse_tensors.sparse_fill_empty_rows(x, 0.0)[0], title="sparse_fill_empty_rows"),
    row(sparse_tensors.sparse_tensor_to_dense, outputs=1, title="sparse_tensor_to_dense"),
    row(lambda x: sparse_tensors.expand_dims(x, 1), title="expand_dims"),
    row(sparse_tensors.expand_dims, title="expand_dims"),
])  # fmt: skip

TestMath = conformance([
    case(OPS["SparseTensorDenseMatMul"], *SPARSE, normal(4, 2), grad=2, rtol=1e-5),
    case(OPS["SparseTensorDenseMatMul"], *SPARSE, normal(3, 2), adjoint_a=True, grad=1, rtol=1e-5),
    case(OPS["SparseTensorDenseMatMul"], *SPARSE, normal(2, 4), adjoint_b=True, grad=1, rtol=1e-5),
    case(OPS["SparseTensorDenseMatMul"], *SPARSE, normal(5, 2), raises=InvalidArgumentError, match="inner dimension"),
    case(OPS["SparseTensorDenseMatMul"], AT + 2, VALUES, SHAPE, normal(4, 2), raises=InvalidArgumentError,
         match="out of bounds"),
    case(OPS["SparseAdd"], *PAIR, np.float32(0), grad=2),
    case(OPS["SparseAdd"], *PAIR, np.float32(0.5), grad=0),
    case(OPS["SparseAdd"], AT, VALUES, SHAPE, OTHER_AT, OTHER, SHAPE + 1, np.float32(0), raises=InvalidArgumentError,
         match="do not match"),
    case(OPS["SparseAddGrad"], normal(3), AT[:2], OTHER_AT, AT[[0, 1, 2]], grad=0),
    case(OPS["SparseTensorDenseAdd"], *SPARSE, normal(3, 4), grad=2),
    case(OPS["SparseDenseCwiseMul"], *SPARSE, normal(4), grad=0),
    case(OPS["SparseDenseCwiseDiv"], *SPARSE, normal(3, 1), grad=0, rtol=2e-6),
    case(OPS["SparseDenseCwiseDiv"], AT[:2], np.array([7, -7], np.int32), SHAPE, np.int32([2]), grad=0,
         like=lambda *x: np.int32([3, -3])),
    case(lambda *x: (SparseTensor(*x[:3]) / x[3]).values, AT[:2], np.array([7, -7], np.int32), SHAPE, np.int32([2]),
         grad=0, title="sparse by dense", like=lambda *x: np.array([3.5, -3.5])),
    case(OPS["SparseDenseCwiseAdd"], *SPARSE, normal(3, 4), grad=0),
    case(OPS["SparseDenseCwiseMul"], *SPARSE, normal(3), raises=InvalidArgumentError, match="incompatible"),
    *[case(OPS[f"SparseReduce{name}"], CUBE, VALUES, [2, 2, 3], axes, keep_dims=keep, grad=grad)
      for name, grad in (("Sum", 1), ("Max", 0)) for axes in ([1], [0, 2], [-1]) for keep in (False, True)],
    *[case(OPS[f"SparseReduce{name}Sparse"], CUBE, VALUES, [2, 2, 3], axes, keep_dims=keep, grad=0)
      for name in ("Sum", "Max") for axes in ([1], [0, 2]) for keep in (False, True)],
    case(OPS["SparseReduceSum"], *SPARSE, [2], raises=InvalidArgumentError, match="Invalid reduction", unasked=""),
    case(OPS["SparseSoftmax"], *SPARSE, grad=2, rtol=1e-6),
    case(OPS["SparseSoftmax"], CUBE, VALUES, np.array([2, 2, 3]), grad=1, rtol=1e-6),
    case(OPS["SparseSparseMaximum"], *PAIR, grad=0),
    case(OPS["SparseSparseMinimum"], *PAIR, grad=0),
    *[case(OPS["SparseMatMul"], normal(*a), normal(*b), transpose_a=ta, transpose_b=tb, grad=0, rtol=1e-5)
      for a, ta in (((2, 3), False), ((3, 2), True)) for b, tb in (((3, 4), False), ((4, 3), True))],
    row(lambda x: x * normal(4), title="times"),
    row(lambda x: x / (normal(3, 1) + 3), title="divided", rtol=2e-6),
    row(lambda x: sparse_math.sparse_tensor_dense_matmul(normal(2, 3), x), outputs=1, title="dense matmul", rtol=1e-5, grad=0),
])  # fmt: skip

A = np.array([[1, 2, 3], [4, 4, 5]])
B = np.array([[3, 1, 9, 9], [5, 7, 7, 4]])
SEQUENCES = (
    np.array([[0, 0], [0, 1], [1, 0]]),
    np.array([b"a", b"b", b"c"], object),
    np.array([2, 2]),
)
TRUTHS = (
    np.array([[0, 0], [0, 1], [0, 2]]),
    np.array([b"a", b"x", b"b"], object),
    np.array([2, 3]),
)
GROUPS = (np.array([[0, 0], [0, 2], [1, 1]]), np.array([3, 1, 9]), np.array([2, 4]))

TestSets = conformance([
    *[case(OPS["DenseToDenseSetOperation"], A, B, set_operation=name, grad=0)
      for name in ("a-b", "b-a", "intersection", "union")],
    case(OPS["DenseToDenseSetOperation"], A, B[:1], set_operation="union", raises=ValueError, match="compatible"),
    case(OPS["DenseToSparseSetOperation"], A[:1], *GROUPS, set_operation="union", raises=InvalidArgumentError, match="roup"),
    *[case(OPS["DenseToSparseSetOperation"], A, *GROUPS, set_operation=name, grad=0) for name in ("a-b", "union")],
    *[case(OPS["SparseToSparseSetOperation"], *GROUPS, *GROUPS, set_operation=name, grad=0)
      for name in ("a-b", "intersection")],
    case(OPS["DenseToSparseSetOperation"], A, GROUPS[0][::-1].copy(), *GROUPS[1:], set_operation="union",
         raises=InvalidArgumentError, match="order"),
    case(OPS["SetSize"], np.array([[0, 0], [0, 1], [2, 0]]), np.array([7, 7, 1]), np.array([3, 2]), grad=0),
    *[case(OPS["EditDistance"], *SEQUENCES, *TRUTHS, normalize=flag, grad=0) for flag in (False, True)],
    case(lambda a, b: [t for t in sets.set_difference(a, b, aminusb=False).op.outputs], A, B, grad=0, title="set_difference"),
])  # fmt: skip


def test_what_is_not_sparse_is_refused():
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.sparse_reorder(tf.constant([1.0]))
    with pytest.raises(TypeError, match="At least one"):
        tf.sparse_add(tf.constant([1.0]), tf.constant([1.0]))


def test_values_and_dense_are_taken_where_sparse_tensors_are():
    value = tf.SparseTensorValue(*SPARSE)
    with tf.Session() as session:
        dense = session.run(tf.sparse_tensor_to_dense(value))
        again = session.run(tf.sparse.from_dense(dense))
        total = session.run(tf.sparse_add(value, dense))
    np.testing.assert_array_equal(again.values, VALUES)
    np.testing.assert_array_equal(total, dense * 2)


def test_indicators_and_merged_columns():
    ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [2, 0, 1], [2, 2])
    with tf.Session() as session:
        found = session.run(tf.sparse_to_indicator(ids, 4))
        merged = session.run(tf.sparse_merge(ids, ids.with_values([0.1, 0.2, 0.3]), 4))
    assert found.tolist() == [[True, False, True, False], [False, True, False, False]]
    assert merged.indices.tolist() == [[0, 0], [0, 2], [1, 1]]
    np.testing.assert_allclose(merged.values, [0.2, 0.1, 0.3])
    assert merged.dense_shape.tolist() == [2, 4]


def test_other_axes_grow_on_request():
    a = tf.SparseTensor([[0, 0]], [1], [1, 2])
    b = tf.SparseTensor([[1, 0]], [2], [2, 1])
    with tf.Session() as session:
        joined = session.run(tf.sparse_concat(1, [a, b], expand_nonconcat_dim=True))
    assert joined.dense_shape.tolist() == [2, 3]
    assert joined.indices.tolist() == [[0, 0], [1, 2]]


def test_a_mask_takes_rows_out():
    slices = tf.IndexedSlices(tf.constant([1.0, 2.0, 3.0]), tf.constant([4, 7, 9]))
    masked = tf.sparse_mask(slices, [7, 8])
    with tf.Session() as session:
        assert session.run([masked.indices, masked.values])[0].tolist() == [4, 9]


def test_shapes_known_not_to_fit_are_refused_while_building():
    sparse = tf.SparseTensor(AT, VALUES, [3, 4])
    with pytest.raises(ValueError, match="Cannot reshape"):
        tf.sparse_reshape(sparse, [5, 2])
    with pytest.raises(ValueError, match="New shape"):
        tf.sparse_reset_shape(sparse, [2, 9])
    assert tf.sparse_reshape(sparse, [-1, 2]).shape.as_list() == [6, 2]
