"""Blocks, diagonals, order, padding, partitions: where elements go."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.ops import blocks, diagonals, partitioning, reversing
from tests.conformance.ops import ONLY_ON_GPUS, case, conformance, normal

LENGTHS = np.array([0, 2, 3], np.int64)


def first_reversed(x, lengths):
    return np.stack(
        [np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(x, lengths, strict=True)]
    )


TestOrder = conformance([
    case(reversing.reverse, normal(2, 3), [0, -1], like=lambda x, a: x[::-1, ::-1], grad=2),
    case(reversing.reverse, np.array([b"a", b"bc"], object), [0], expect=np.array([b"bc", b"a"], object), grad=0),
    case(reversing.reverse, normal(2), [1], raises=ShapeError, match="out of"),
    case(reversing.reverse_v1, normal(2, 3), np.array([True, False]), like=lambda x, d: x[::-1]),
    case(reversing.reverse_sequence, normal(3, 4, 2), LENGTHS, seq_axis=1, batch_axis=0, like=first_reversed, grad=2),
    case(reversing.roll, normal(3, 4), [1, -2], [0, 1], like=lambda x, s, a: np.roll(x, (1, -2), (0, 1)), grad=2),
    case(reversing.pad, normal(2, 3), [[1, 0], [2, 1]], like=np.pad, grad=2),
    case(reversing.pad, normal(2, 3), [[1, 0], [2, 1]], constant_values=5,
         like=lambda x, p: np.pad(x, p, constant_values=5), grad=2),
    case(reversing.pad, normal(2, 3), [[1, 0], [2, 1]], mode="reflect", like=lambda x, p: np.pad(x, p, "reflect"), grad=2),
    case(reversing.pad, normal(2, 3), [[2, 1], [0, 3]], mode="SYMMETRIC",
         like=lambda x, p: np.pad(x, p, "symmetric"), grad=2),
    case(reversing.pad, normal(2), [[2, 0]], mode="REFLECT", raises=InvalidArgumentError, match="less than"),
    case(reversing.bitcast, normal(2, 2), type=np.int32, like=lambda x: x.view(np.int32), grad=0),
    case(reversing.bitcast, normal(2, 2), type=np.float64, like=lambda x: x.view(np.float64)[:, 0], grad=0),
])  # fmt: skip

TestBlocks = conformance([
    case(blocks.space_to_depth, normal(1, 4, 6, 2), 2, grad=2),
    case(blocks.depth_to_space, normal(1, 2, 3, 8), 2, grad=2),
    case(blocks.depth_to_space, np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4), 2,
         expect=np.array([0, 1, 2, 3], np.float32).reshape(1, 2, 2, 1), grad=0),
    case(blocks.space_to_depth, normal(1, 2, 4, 6), 2, data_format="NCHW", unasked=ONLY_ON_GPUS, grad=1),
    case(blocks.space_to_batch_nd, normal(2, 3, 4, 2), [2, 2], [[1, 0], [0, 2]], grad=2),
    case(blocks.batch_to_space_nd, normal(8, 2, 3), [2, 2], [[1, 0], [0, 2]], grad=2),
    case(blocks.space_to_batch, np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1), [[0, 0], [0, 0]], 2,
         expect=np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1), grad=0),
    case(blocks.batch_to_space, normal(4, 2, 2, 1), [[0, 1], [1, 0]], 2),
    case(blocks.space_to_batch_op, normal(1, 2, 4, 1), [[0, 0], [0, 0]], block_size=2),
    case(blocks.batch_to_space_op, normal(4, 2, 2, 1), [[0, 0], [0, 0]], block_size=2),
])  # fmt: skip

TestDiagonals = conformance([
    case(diagonals.matrix_diag, normal(2, 3), like=lambda x: np.stack([np.diag(r) for r in x]), grad=2),
    case(diagonals.matrix_diag, normal(2, 3), k=(-1, 0), padding_value=7, num_rows=4, num_cols=3, grad=1),
    case(diagonals.matrix_diag, np.array([[1, 2, 3], [4, 5, 0]], np.float32), k=(-1, 0), align="LEFT_LEFT",
         expect=np.array([[1, 0, 0], [4, 2, 0], [0, 5, 3]], np.float32), grad=0),
    case(diagonals.matrix_diag_part, normal(2, 3, 4), like=lambda x: np.diagonal(x, 0, 1, 2), grad=2),
    case(diagonals.matrix_diag_part, np.arange(1, 13, dtype=np.float32).reshape(3, 4), k=(-1, 2), padding_value=9,
         expect=np.array([[9, 3, 8], [2, 7, 12], [1, 6, 11], [5, 10, 9]], np.float32), grad=0),
    case(diagonals.matrix_set_diag, normal(2, 3, 4), normal(2, 3), grad=2),
    case(diagonals.matrix_set_diag, normal(3, 4), normal(2, 3), k=(0, 1), grad=1),
    case(diagonals.matrix_diag_v1, normal(2, 3), grad=2),
    case(diagonals.matrix_diag_part_v1, normal(2, 3, 4), grad=2),
    case(diagonals.matrix_set_diag_v1, normal(2, 3, 4), normal(2, 3), grad=2),
    case(diagonals.diag, normal(2, 3), like=lambda x: np.diag(x.ravel()).reshape(2, 3, 2, 3), grad=2),
    case(diagonals.diag_part, normal(2, 3, 2, 3), like=lambda x: np.diag(x.reshape(6, 6)).reshape(2, 3), grad=2),
    case(diagonals.matrix_band_part, normal(2, 3, 4), 1, 0, like=lambda x, a, b: np.tril(np.triu(x, -1)), grad=2),
    case(diagonals.trace, normal(2, 3, 3), like=lambda x: np.trace(x, 0, 1, 2), rtol=1e-5, grad=2),
    case(diagonals.matrix_transpose, normal(2, 3, 4), like=lambda x: np.swapaxes(x, 1, 2), grad=2),
    case(diagonals.matrix_diag_part, normal(3), raises=ShapeError, match="at least rank 2"),
])  # fmt: skip

TestPartitions = conformance([
    case(partitioning.dynamic_partition, normal(4, 2), np.array([1, 0, 1, 2], np.int32), 3,
         like=lambda x, p, n: [x[p == i] for i in range(3)], grad=2),
    case(lambda a, b: partitioning.parallel_dynamic_stitch([[0, 2], [1]], [a, b]), normal(2, 2), normal(1, 2),
         title="parallel_dynamic_stitch", grad=1),
    case(partitioning.dynamic_partition, normal(2), np.array([0, 7], np.int32), 3, raises=InvalidArgumentError,
         match=r"partitions\[1\] = 7 is not in \[0, 3\)"),
    case(partitioning.ensure_shape, normal(2, 3), [None, 3], like=lambda x, s: x, grad=1),
    case(partitioning.meshgrid, normal(2), normal(3), title="meshgrid",
         like=np.meshgrid),
    case(lambda a, b: partitioning.meshgrid(a, b, indexing="ij"), normal(2), normal(3), title="meshgrid_ij",
         like=lambda a, b: np.meshgrid(a, b, indexing="ij")),
    case(partitioning.sequence_mask, np.array([[1, 3], [0, 2]], np.int32), 4, grad=0,
         like=lambda n, m: np.arange(4) < n[..., None]),
    case(partitioning.sequence_mask, np.array([1, 3], np.int32), grad=0, like=lambda n: np.arange(3) < n[:, None]),
    case(partitioning.broadcast_args, np.array([2, 1], np.int32), np.array([3], np.int32),
         expect=np.array([2, 3], np.int32), grad=0),
])  # fmt: skip
