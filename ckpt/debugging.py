"""`ckpt.debugging`: assertions and checks, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.ops.assertions import (
    assert_equal, assert_greater, assert_greater_equal, assert_integer, assert_less,
    assert_less_equal, assert_near, assert_negative, assert_non_negative, assert_non_positive,
    assert_none_equal, assert_positive, assert_proper_iterable, assert_same_float_dtype,
    assert_type, is_non_decreasing, is_numeric_tensor, is_strictly_increasing,
)
from ckpt.ops.checking import Assert, check_numerics, verify_tensor_all_finite as assert_all_finite
from ckpt.ops.elementwise import is_finite, is_inf, is_nan
from ckpt.ops.rank_assertions import assert_rank, assert_rank_at_least, assert_rank_in, assert_scalar
from ckpt.ops.shape_assertions import assert_shapes

__all__ = [
    "Assert", "assert_all_finite", "assert_equal", "assert_greater", "assert_greater_equal", "assert_integer",
    "assert_less", "assert_less_equal", "assert_near", "assert_negative", "assert_non_negative",
    "assert_non_positive", "assert_none_equal", "assert_positive", "assert_proper_iterable",
    "assert_rank", "assert_rank_at_least", "assert_rank_in", "assert_same_float_dtype",
    "assert_scalar", "assert_shapes", "assert_type", "check_numerics", "is_finite", "is_inf", "is_nan",
    "is_non_decreasing", "is_numeric_tensor", "is_strictly_increasing",
]
