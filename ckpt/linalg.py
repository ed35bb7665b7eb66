"""`ckpt.linalg`: linear algebra, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.model.linear_operators.base import LinearOperator
from ckpt.model.linear_operators.blocks import (
    LinearOperatorBlockDiag,
    LinearOperatorBlockLowerTriangular,
    LinearOperatorKronecker,
    LinearOperatorLowRankUpdate,
)
from ckpt.model.linear_operators.dense import LinearOperatorFullMatrix, LinearOperatorLowerTriangular
from ckpt.model.linear_operators.derived import (
    LinearOperatorAdjoint,
    LinearOperatorComposition,
    LinearOperatorInversion,
)
from ckpt.model.linear_operators.few_numbers import (
    LinearOperatorDiag,
    LinearOperatorHouseholder,
    LinearOperatorPermutation,
    LinearOperatorTridiag,
)
from ckpt.model.linear_operators.shifts import (
    LinearOperatorCirculant,
    LinearOperatorCirculant2D,
    LinearOperatorCirculant3D,
    LinearOperatorToeplitz,
)
from ckpt.model.linear_operators.sized import (
    LinearOperatorIdentity,
    LinearOperatorScaledIdentity,
    LinearOperatorZeros,
)
from ckpt.model.matrices import (
    expm, lu_matrix_inverse, lu_reconstruct, lu_solve, matrix_rank, matvec, normalize, pinv,
    tridiagonal_matmul, tridiagonal_solve,
)
from ckpt.ops.clipping import global_norm
from ckpt.ops.contraction import cross, einsum, tensordot
from ckpt.ops.decompositions import (
    cholesky, self_adjoint_eig as eigh, self_adjoint_eigvals as eigvalsh, logdet, qr, svd,
)
from ckpt.ops.diagonals import (
    matrix_band_part as band_part, matrix_diag as diag, matrix_diag_part as diag_part, eye,
    matrix_transpose, matrix_set_diag as set_diag, diag as tensor_diag,
    diag_part as tensor_diag_part, trace, matrix_transpose as transpose,
)
from ckpt.ops.linear_algebra import (
    adjoint, matrix_determinant as det, matrix_inverse as inv, slogdet,
)
from ckpt.ops.linear_systems import (
    cholesky_solve, matrix_solve_ls as lstsq, matrix_solve as solve,
    matrix_triangular_solve as triangular_solve,
)
from ckpt.ops.matmul import matmul
from ckpt.ops.matrix_functions import matrix_logarithm as logm, lu, matrix_square_root as sqrtm
from ckpt.ops.moments import l2_normalize
from ckpt.ops.norms import norm

__all__ = [
    "LinearOperator", "LinearOperatorAdjoint", "LinearOperatorBlockDiag",
    "LinearOperatorBlockLowerTriangular", "LinearOperatorCirculant",
    "LinearOperatorCirculant2D", "LinearOperatorCirculant3D", "LinearOperatorComposition",
    "LinearOperatorDiag", "LinearOperatorFullMatrix", "LinearOperatorHouseholder",
    "LinearOperatorIdentity", "LinearOperatorInversion", "LinearOperatorKronecker",
    "LinearOperatorLowRankUpdate", "LinearOperatorLowerTriangular", "LinearOperatorPermutation",
    "LinearOperatorScaledIdentity", "LinearOperatorToeplitz", "LinearOperatorTridiag",
    "LinearOperatorZeros", "adjoint", "band_part", "cholesky", "cholesky_solve", "cross", "det",
    "diag", "diag_part", "eigh", "eigvalsh", "einsum", "expm", "eye", "global_norm", "inv",
    "l2_normalize", "logdet", "logm", "lstsq", "lu", "lu_matrix_inverse", "lu_reconstruct",
    "lu_solve", "matmul", "matrix_rank", "matrix_transpose", "matvec", "norm", "normalize",
    "pinv", "qr", "set_diag", "slogdet", "solve", "sqrtm", "svd", "tensor_diag",
    "tensor_diag_part", "tensordot", "trace", "transpose", "triangular_solve",
    "tridiagonal_matmul", "tridiagonal_solve",
]
