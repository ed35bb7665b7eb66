"""Arithmetic on rows is what `ufunc.at` says, whatever the shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core.rows import combine_rows

FUNCTIONS = [np.add, np.subtract, np.multiply, np.minimum, np.maximum]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(0, 3), max_size=2).map(tuple),
    st.lists(st.integers(0, 4), max_size=8),
    st.booleans(),
    st.sampled_from(["float32", "int64", "complex64"]),
)
def test_rows_are_combined_as_numpy_does(function, tail, rows, is_square, dtype):
    if np.dtype(dtype).kind == "c" and function in (np.minimum, np.maximum):
        function = np.add
    rows = np.array(rows, np.int32)
    if is_square:
        rows = np.stack([rows, rows[::-1]])
    random = np.random.default_rng(1)
    array = random.integers(-9, 9, (5, *tail)).astype(dtype)
    values = random.integers(-9, 9, (*rows.shape, *tail)).astype(dtype)
    expected = array.copy()
    function.at(expected, rows, values)
    combine_rows(function, array, rows, values)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_one_number_stands_for_all_rows(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    array = np.zeros((3, 2), kind)
    combine_rows(np.add, array, np.array([2, 0, 2]), kind.type(1))
    assert array.astype(float).tolist() == [[1, 1], [0, 0], [2, 2]]
