"""`ckpt.linalg`: linear algebra by TensorFlow's names. Defines nothing itself."""

from ckpt.ops.clipping import global_norm
from ckpt.ops.contraction import cross, einsum, tensordot
from ckpt.ops.diagonals import diag as tensor_diag
from ckpt.ops.diagonals import diag_part as tensor_diag_part
from ckpt.ops.diagonals import eye, matrix_transpose, trace
from ckpt.ops.diagonals import matrix_band_part as band_part
from ckpt.ops.diagonals import matrix_diag as diag
from ckpt.ops.diagonals import matrix_diag_part as diag_part
from ckpt.ops.diagonals import matrix_set_diag as set_diag
from ckpt.ops.linear_algebra import (
    adjoint,
    cholesky,
    cholesky_solve,
    logdet,
    norm,
    qr,
    slogdet,
    svd,
)
from ckpt.ops.linear_algebra import matrix_determinant as det
from ckpt.ops.linear_algebra import matrix_inverse as inv
from ckpt.ops.linear_algebra import matrix_solve as solve
from ckpt.ops.linear_algebra import matrix_solve_ls as lstsq
from ckpt.ops.linear_algebra import matrix_triangular_solve as triangular_solve
from ckpt.ops.linear_algebra import self_adjoint_eig as eigh
from ckpt.ops.linear_algebra import self_adjoint_eigvals as eigvalsh
from ckpt.ops.matmul import matmul

transpose = matrix_transpose

__all__ = [
    "adjoint",
    "band_part",
    "cholesky",
    "cholesky_solve",
    "cross",
    "det",
    "diag",
    "diag_part",
    "eigh",
    "eigvalsh",
    "einsum",
    "eye",
    "global_norm",
    "inv",
    "logdet",
    "lstsq",
    "matmul",
    "matrix_transpose",
    "norm",
    "qr",
    "set_diag",
    "slogdet",
    "solve",
    "svd",
    "tensor_diag",
    "tensor_diag_part",
    "tensordot",
    "trace",
    "transpose",
    "triangular_solve",
]
