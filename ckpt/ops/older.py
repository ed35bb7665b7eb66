"""Operation types of graphs that older TensorFlows wrote, on the kernels of today's. Nothing in `ckpt` makes such nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, INDEX, NUMERIC
from ckpt.graph.opdef import UNDEFINED, OpDef, op
from ckpt.graph.signature import Attr
from ckpt.ops import (
    activation,
    constants,
    decompositions,
    diagonals,
    indexing,
    joining,
    linear_algebra,
    linear_systems,
    matmul,
    shaping,
    text,
)
from ckpt.ops.families import same_shape

REALS = frozenset({dtypes.float32, dtypes.float64})
FIELD = REALS | COMPLEX
COUNTED = REALS | INDEX
PRODUCTS = FIELD | INDEX | {dtypes.float16, dtypes.bfloat16}


def _older(today: OpDef, type_name: str, signature: str, **attrs: Any) -> None:
    """Define `type_name` with its own signature, and what `today` computes."""
    opdef = op(type_name, signature, **attrs)(today.kernel)
    opdef.is_stateful, opdef.files = today.is_stateful, today.files
    opdef.shape_rule, opdef._shape_attrs = today.shape_rule, today._shape_attrs
    opdef.gradient, opdef.gradient_note = today.gradient, today.gradient_note


_older(matmul.batch_mat_mul, "BatchMatMul", "x: T, y: T -> output: T", T=PRODUCTS, adj_x=False, adj_y=False,
       grad_x=False, grad_y=False)  # fmt: skip
_older(decompositions.cholesky_op, "BatchCholesky", "input: T -> output: T", T=REALS)
_older(diagonals.matrix_band_part_op, "BatchMatrixBandPart",
       "input: T, num_lower: int64, num_upper: int64 -> band: T")  # fmt: skip
_older(
    linear_algebra.matrix_determinant_op, "BatchMatrixDeterminant", "input: T -> output: T", T=FIELD
)
_older(diagonals.matrix_diag_v1, "BatchMatrixDiag", "diagonal: T -> output: T")
_older(diagonals.matrix_diag_part_v1, "BatchMatrixDiagPart", "input: T -> diagonal: T")
_older(diagonals.matrix_set_diag_v1, "BatchMatrixSetDiag", "input: T, diagonal: T -> output: T")
_older(
    linear_algebra.matrix_inverse_op,
    "BatchMatrixInverse",
    "input: T -> output: T",
    adjoint=False,
    T=REALS,
)
_older(
    linear_systems.matrix_solve_op,
    "BatchMatrixSolve",
    "matrix: T, rhs: T -> output: T",
    adjoint=False,
    T=REALS,
)
_older(linear_systems.matrix_solve_ls_op, "BatchMatrixSolveLs",
       "matrix: T, rhs: T, l2_regularizer: float64 -> output: T", T=REALS, fast=True)  # fmt: skip
_older(linear_systems.triangular_solve_op, "BatchMatrixTriangularSolve", "matrix: T, rhs: T -> output: T", lower=True,
       adjoint=False, T=REALS)  # fmt: skip
_older(
    decompositions.self_adjoint_eig_op,
    "BatchSelfAdjointEigV2",
    "input: T -> e: T, v: T",
    compute_v=True,
    T=REALS,
)
_older(
    decompositions.svd_op,
    "BatchSvd",
    "input: T -> s: T, u: T, v: T",
    compute_uv=True,
    full_matrices=False,
    T=FIELD,
)
_older(constants.placeholder_op, "PlaceholderV2", "-> output: dtype", shape=Attr("shape"))


@op(
    "Gather", "params: Tparams, indices: Tindices -> output: Tparams", validate_indices=True,
    Tindices=Attr("type", allowed=INDEX),
)  # fmt: skip
def gather(params, indices):
    """Rows of `params`: the first axis is replaced by those of the indices."""
    return indexing.gather_v2.kernel(params, indices, np.int32(0), batch_dims=0)


@gather.shape
def gather_shape(params, indices):
    return [indices.shape.concatenate(params.shape.with_rank_at_least(1)[1:])]


@gather.grad
def gather_grad(node, dy):
    params, indices = node.inputs
    return [indexing.rows_gradient(dy, indices, shaping.shape(params)), None]


@op("Concat", "concat_dim: int32, values: N * T -> output: T", N=Attr("int", minimum=2))
def concat(axis, *values):
    """The values one after another along `concat_dim`."""
    return joining.concat_v2.kernel(*values, axis)


@concat.shape
def concat_shape(axis, *values):
    return joining.concat_v2_shape(*values, axis)


@concat.grad
def concat_grad(node, dy):
    axis, *values = node.inputs
    return [None, *joining.gradients_of_parts(values, axis, dy)]


@op("BiasAddV1", "value: T, bias: T -> output: T", T=NUMERIC)
def bias_add_v1(xp, value, bias):
    """`value` plus the vector `bias` along the last axis."""
    return value + bias


bias_add_v1.shape(lambda value, bias: [value.shape])


@bias_add_v1.grad
def bias_add_v1_grad(node, dy):
    return [dy, activation.bias_add_grad_op(dy)]


@op(
    "BatchNormWithGlobalNormalization", "t: T, m: T, v: T, beta: T, gamma: T -> result: T",
    variance_epsilon=Attr("float"), scale_after_normalization=Attr("bool"), T=NUMERIC,
)  # fmt: skip
def batch_norm_with_global_normalization_op(
    t, m, v, beta, gamma, *, variance_epsilon, scale_after_normalization
):
    """(t - m) / sqrt(v + variance_epsilon), times gamma if asked for, plus beta, along the last axis of [batch, rows, columns, depth]."""
    factor = 1 / np.sqrt(v + np.asarray(variance_epsilon, v.dtype))
    if scale_after_normalization:
        factor = factor * gamma
    return ((t - m) * factor + beta).astype(t.dtype, copy=False)


batch_norm_with_global_normalization_op.shape(lambda t, m, v, beta, gamma: [t.shape.with_rank(4)])
batch_norm_with_global_normalization_op.no_gradient(UNDEFINED)


@op(
    "StaticRegexReplace", "input: string -> output: string", pattern=Attr("string"), rewrite=Attr("string"),
    replace_global=True,
)  # fmt: skip
def static_regex_replace(x, *, pattern, rewrite, replace_global):
    """`input` with what the pattern matches replaced."""
    words = (w.encode() if isinstance(w, str) else w for w in (pattern, rewrite))
    return text.regex_replace_op.kernel(x, *words, replace_global=replace_global)


static_regex_replace.shape(same_shape)
static_regex_replace.no_gradient("strings have no derivative")


@op("Bucketize", "input: T -> output: int32", boundaries=Attr("list(float)"), T=COUNTED)
def bucketize(x, *, boundaries):
    """How many of the boundaries, which ascend, are not above each number."""
    return np.searchsorted(np.asarray(boundaries, np.float32), x, side="right").astype(np.int32)


bucketize.shape(same_shape)
bucketize.no_gradient("places have no derivative")
