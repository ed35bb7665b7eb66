"""`ckpt.math`: arithmetic, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt import math_special as special
from ckpt.model.matrices import polyval, reciprocal_no_nan
from ckpt.ops.activation import log_softmax, softmax, softplus, softsign
from ckpt.ops.arithmetic import (
    accumulate_n, approximate_equal, count_nonzero, log_sigmoid,
    mul_no_nan, multiply_no_nan, next_after, next_after as nextafter,
    reduce_logsumexp, reduce_std, reduce_variance, scalar_mul, truncatediv, xdivy, xlog1py,
    xlogy,
)
from ckpt.ops.assertions import is_non_decreasing, is_strictly_increasing
from ckpt.ops.compare import (
    equal, greater, greater_equal, less, less_equal, logical_and, logical_not, logical_or,
    logical_xor, not_equal,
)
from ckpt.ops.complex_numbers import angle, imag, real
from ckpt.ops.cumulative import cumprod, cumsum, cumulative_logsumexp
from ckpt.ops.distinct import bincount, confusion_matrix
from ckpt.ops.division import (
    divide, div_no_nan as divide_no_nan, floordiv, floor_mod as floormod, floor_mod as mod, truediv,
)
from ckpt.ops.elementwise import (
    abs_ as abs, acos, acosh, add, add_n, asin, asinh, atan, atan2, atanh, ceil, conj, cos, cosh,
    exp, expm1, floor, is_finite, is_inf, is_nan, log, log1p, maximum, minimum, mul as multiply,
    neg as negative, pow_ as pow, reciprocal, rint, round_ as round, rsqrt, sigmoid, sign, sin, sinh,
    sqrt, square, squared_difference, sub as subtract, tan, tanh,
)
from ckpt.ops.indexing import invert_permutation
from ckpt.ops.largest import in_top_k, top_k
from ckpt.ops.moments import l2_normalize, zero_fraction
from ckpt.ops.reduction import (
    argmax, argmin, reduce_all, reduce_any, reduce_euclidean_norm, reduce_max, reduce_mean,
    reduce_min, reduce_prod, reduce_sum,
)
from ckpt.ops.segments import (
    segment_max, segment_mean, segment_min, segment_prod, segment_sum, unsorted_segment_max,
    unsorted_segment_mean, unsorted_segment_min, unsorted_segment_prod, unsorted_segment_sqrt_n,
    unsorted_segment_sum,
)
from ckpt.ops.spacing import lin_space as linspace
from ckpt.ops.special import (
    bessel_i0, bessel_i0e, bessel_i1, bessel_i1e, betainc, digamma, erf, erfc, erfcinv, erfinv,
    igamma, igammac, lbeta, lgamma, ndtri, polygamma, zeta,
)

__all__ = [
    "abs", "accumulate_n", "acos", "acosh", "add", "add_n", "angle", "approximate_equal",
    "argmax", "argmin", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0", "bessel_i0e",
    "bessel_i1", "bessel_i1e", "betainc", "bincount", "ceil", "confusion_matrix", "conj", "cos",
    "cosh", "count_nonzero", "cumprod", "cumsum", "cumulative_logsumexp", "digamma", "divide",
    "divide_no_nan", "equal", "erf", "erfc", "erfcinv", "erfinv", "exp", "expm1", "floor",
    "floordiv", "floormod", "greater", "greater_equal", "igamma", "igammac", "imag", "in_top_k",
    "invert_permutation", "is_finite", "is_inf", "is_nan", "is_non_decreasing",
    "is_strictly_increasing", "l2_normalize", "lbeta", "less", "less_equal", "lgamma",
    "linspace", "log", "log1p", "log_sigmoid", "log_softmax", "logical_and", "logical_not",
    "logical_or", "logical_xor", "maximum", "minimum", "mod", "mul_no_nan", "multiply",
    "multiply_no_nan", "ndtri", "negative", "next_after", "nextafter", "not_equal", "polygamma",
    "polyval", "pow", "real", "reciprocal", "reciprocal_no_nan", "reduce_all", "reduce_any",
    "reduce_euclidean_norm", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min",
    "reduce_prod", "reduce_std", "reduce_sum", "reduce_variance", "rint", "round", "rsqrt",
    "scalar_mul", "segment_max", "segment_mean", "segment_min", "segment_prod", "segment_sum",
    "sigmoid", "sign", "sin", "sinh", "softmax", "softplus", "softsign", "special", "sqrt", "square",
    "squared_difference", "subtract", "tan", "tanh", "top_k", "truediv", "truncatediv",
    "unsorted_segment_max", "unsorted_segment_mean", "unsorted_segment_min",
    "unsorted_segment_prod", "unsorted_segment_sqrt_n", "unsorted_segment_sum", "xdivy",
    "xlog1py", "xlogy", "zero_fraction", "zeta",
]
