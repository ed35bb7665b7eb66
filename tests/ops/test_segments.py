"""Segments, gathering and scattering."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.ops import indexing, reduction, scattering, segments, sparse_segments
from tests.conformance.ops import case, conformance, distinct, normal, zeros

IDS = np.array([0, 0, 2, 2, 2], np.int32)
MIXED = np.array([1, 0, -1, 1, 3], np.int32)


def by_id(function, empty, count, ids):
    def grouped(x, *_):
        rows = [x[ids == i] for i in range(count)]
        return np.array(
            [function(r, 0) if len(r) else np.full(x.shape[1:], empty, x.dtype) for r in rows]
        )

    return grouped


TestSorted = conformance([
    case(segments.segment_sum, normal(5, 2), IDS, like=by_id(np.sum, 0, 3, IDS), rtol=1e-5, grad=2),
    case(segments.segment_mean, normal(5, 2), IDS, like=by_id(np.mean, 0, 3, IDS), rtol=1e-5, grad=2),
    case(segments.segment_prod, normal(5, 2), IDS, like=by_id(np.prod, 1, 3, IDS), rtol=1e-5, grad=1),
    case(segments.segment_max, distinct(5, 2), IDS, like=by_id(np.max, 0, 3, IDS)),
    case(segments.segment_min, distinct(5, 2), IDS, like=by_id(np.min, 0, 3, IDS)),
    case(segments.segment_sum, normal(3), np.array([0, 1, 0], np.int32), raises=InvalidArgumentError,
         match="out of range|not increasing"),
])  # fmt: skip

TestUnsorted = conformance([
    case(segments.unsorted_segment_sum, normal(5, 2), MIXED, 4, like=by_id(np.sum, 0, 4, MIXED), rtol=1e-5, grad=2),
    case(segments.unsorted_segment_sum, normal(2, 3, 2), np.array([[0, 1, 0], [2, -1, 2]]), 3, grad=2),
    case(segments.unsorted_segment_prod, normal(5, 2), MIXED, 4, like=by_id(np.prod, 1, 4, MIXED), rtol=1e-5),
    case(segments.unsorted_segment_max, distinct(5, 2), MIXED, 4,
         like=by_id(np.max, np.finfo(np.float32).min, 4, MIXED), grad=0),
    case(segments.unsorted_segment_max, distinct(5, 2), np.array([1, 0, -1, 1, 2], np.int32), 3),
    case(segments.unsorted_segment_min, distinct(5, 2), MIXED, 4,
         like=by_id(np.min, np.finfo(np.float32).max, 4, MIXED), grad=0),
    case(segments.unsorted_segment_min, distinct(5, 2), np.array([1, 0, -1, 1, 2], np.int32), 3),
    case(segments.unsorted_segment_mean, normal(5, 2), MIXED, 4, like=by_id(np.mean, 0, 4, MIXED), rtol=1e-5),
    case(segments.unsorted_segment_sqrt_n, normal(5, 2), MIXED, 4, grad=1),
    case(segments.unsorted_segment_sum, normal(2), np.array([0, 5]), 3, raises=InvalidArgumentError, match="out of range"),
])  # fmt: skip

ROWS = np.array([0, 2, 2, 1], np.int32)
GROUPS = np.array([0, 0, 1, 3], np.int32)

TestSparse = conformance([
    case(sparse_segments.sparse_segment_sum, normal(4, 2), ROWS, GROUPS, grad=2,
         like=lambda x, i, s: by_id(np.sum, 0, 4, GROUPS)(x[ROWS]), rtol=1e-5),
    case(sparse_segments.sparse_segment_mean, normal(4, 2), ROWS, GROUPS,
         like=lambda x, i, s: by_id(np.mean, 0, 4, GROUPS)(x[ROWS]), rtol=1e-5),
    case(sparse_segments.sparse_segment_sqrt_n, normal(4, 2), ROWS, GROUPS),
    case(sparse_segments.sparse_segment_sum, normal(4, 2), ROWS, GROUPS, num_segments=6, grad=1),
    case(sparse_segments.sparse_segment_sum, normal(2, 2), ROWS, GROUPS, raises=InvalidArgumentError, match="out of range"),
])  # fmt: skip

PAIRS = np.array([[0, 1], [2, 0], [0, 1]], np.int32)
SINGLE = np.array([[3], [1]], np.int64)

TestGatherNd = conformance([
    case(scattering.gather_nd, normal(3, 2, 2), PAIRS, like=lambda p, i: p[i[:, 0], i[:, 1]], grad=2),
    case(scattering.gather_nd, normal(4, 2), SINGLE, like=lambda p, i: p[i[:, 0]]),
    case(scattering.gather_nd, normal(2), zeros(2, 0, dtype=np.int32), like=lambda p, i: np.stack([p, p])),
    case(scattering.gather_nd, normal(2, 3, 2), np.array([[[1], [0]], [[2], [2]]]), batch_dims=1, grad=1,
         like=lambda p, i: np.stack([p[b][i[b, :, 0]] for b in range(2)])),
    case(scattering.gather_nd, normal(2), np.array([[5]]), raises=InvalidArgumentError, match="does not index into param"),
    case(scattering.batch_gather, normal(2, 4), np.array([[1, 1], [0, 3]]), like=lambda p, i: np.take_along_axis(p, i, 1)),
    case(indexing.gather, normal(2, 3, 4), np.array([[2, 0], [1, 1]]), axis=1, like=lambda p, i: np.take(p, i, 1), grad=2),
    case(indexing.gather, normal(2, 3, 4), np.array([3, 0, 3]), axis=-1, like=lambda p, i: np.take(p, i, -1), grad=2),
    case(indexing.gather, normal(2, 3, 4), np.array([[3, 0, 3], [1, 1, 2]]), axis=2, batch_dims=1, grad=2,
         like=lambda p, i: np.stack([p[b][:, i[b]] for b in range(2)])),
    case(indexing.gather, normal(2, 4), np.array([[3, 0], [1, 1]]), axis=1, batch_dims=1, grad=2,
         like=lambda p, i: np.take_along_axis(p, i, 1)),
])  # fmt: skip


def scattered(indices, updates, shape):
    whole = np.zeros(shape, updates.dtype)
    np.add.at(whole, tuple(indices.T), updates)
    return whole


TestScatter = conformance([
    case(lambda i, u: scattering.scatter_nd(i, u, [3, 2, 2]), PAIRS, normal(3, 2), title="scatter_nd",
         like=lambda i, u: scattered(i, u, (3, 2, 2)), rtol=1e-5, grad=2),
    case(scattering.tensor_scatter_add, normal(4, 2), SINGLE, normal(2, 2, seed=1), grad=2),
    case(scattering.tensor_scatter_sub, normal(4, 2), SINGLE, normal(2, 2, seed=1), grad=2),
    case(scattering.tensor_scatter_update, normal(4, 2), SINGLE, normal(2, 2, seed=1), grad=2),
    case(scattering.tensor_scatter_max, normal(4, 2), SINGLE, normal(2, 2, seed=1)),
    case(scattering.tensor_scatter_min, normal(4, 2), SINGLE, normal(2, 2, seed=1)),
    case(scattering.scatter_nd_non_aliasing_add, normal(4, 2), SINGLE, normal(2, 2, seed=1)),
    case(lambda i, v: scattering.sparse_to_dense(i, [3, 4], v, -1.0), np.array([[0, 1], [2, 3]]), normal(2),
         title="sparse_to_dense", grad=1),
])  # fmt: skip

TestProducts = conformance([
    case(reduction.reduce_prod, np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]], np.float32), axis=1,
         like=lambda x: x.prod(1)),
    case(reduction.reduce_prod, normal(2, 3, 2), axis=[0, 2], like=lambda x: x.prod((0, 2)), rtol=1e-5, grad=2),
])  # fmt: skip
