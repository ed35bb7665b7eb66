"""`ckpt.sparse`: sparse tensors, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.graph.sparse import SparseTensor
from ckpt.model.accumulators import SparseConditionalAccumulator
from ckpt.ops.constants import sparse_placeholder as placeholder
from ckpt.ops.sparse_math import (
    sparse_add as add, sparse_tensor_dense_matmul as matmul, sparse_maximum as maximum,
    sparse_minimum as minimum, sparse_tensor_dense_matmul as sparse_dense_matmul,
)
from ckpt.ops.sparse_reductions import (
    sparse_reduce_max as reduce_max, sparse_reduce_max_sparse as reduce_max_sparse,
    sparse_reduce_sum as reduce_sum, sparse_reduce_sum_sparse as reduce_sum_sparse,
    sparse_softmax as softmax,
)
from ckpt.ops.sparse_segments import (
    sparse_segment_mean as segment_mean, sparse_segment_sqrt_n as segment_sqrt_n,
    sparse_segment_sum as segment_sum,
)
from ckpt.ops.sparse_tensors import (
    sparse_concat as concat, expand_dims, eye, sparse_fill_empty_rows as fill_empty_rows,
    from_dense, sparse_mask as mask, sparse_merge as merge, sparse_reorder as reorder,
    sparse_reset_shape as reset_shape, sparse_reshape as reshape, sparse_retain as retain,
    sparse_slice as slice, sparse_split as split, sparse_tensor_to_dense as to_dense,
    sparse_to_indicator as to_indicator, sparse_transpose as transpose,
)

__all__ = [
    "SparseConditionalAccumulator", "SparseTensor", "add", "concat", "expand_dims", "eye", "fill_empty_rows", "from_dense",
    "mask", "matmul", "maximum", "merge", "minimum", "placeholder", "reduce_max",
    "reduce_max_sparse", "reduce_sum", "reduce_sum_sparse", "reorder", "reset_shape", "reshape",
    "retain", "segment_mean", "segment_sqrt_n", "segment_sum", "slice", "softmax",
    "sparse_dense_matmul", "split", "to_dense", "to_indicator", "transpose",
]
