"""Distinct values and set differences, whichever way they are found, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import dtypes
from ckpt.ops import distinct

KINDS = ["int8", "uint8", "int32", "int64", "uint64", "float32", "bool"]


def drawn(kind, few, low):
    values = np.array(few, np.int64)
    return (values % 2 == 0) if kind == "bool" else (values + low).astype(kind)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 40), max_size=30),
    st.sampled_from([0, 60, -60]),
    st.integers(1, 3),
)
def test_distinct_values_in_the_order_of_their_first_appearance(kind, few, low, apart):
    x = drawn(kind, [value * apart for value in few], max(low, 0) if kind[0] == "u" else low)
    found = distinct.unique_with_counts_op.kernel(x, out_idx=dtypes.int64)
    values = list(dict.fromkeys(x.tolist()))
    assert found[0].dtype == x.dtype
    assert found[0].tolist() == values
    assert found[1].tolist() == [values.index(v) for v in x.tolist()]
    assert found[2].tolist() == [x.tolist().count(v) for v in values]


@pytest.mark.parametrize("kind", ["int64", "uint64"])
def test_integers_at_the_ends_of_their_range(kind):
    ends = np.iinfo(kind)
    for x in ([ends.max, ends.max - 1, ends.max], [ends.min, ends.max, ends.min]):
        values, places, counts = distinct.unique_with_counts_op.kernel(
            np.array(x, kind), out_idx=dtypes.int32
        )
        assert values.tolist() == x[:2]
        assert places.tolist() == [0, 1, 0]
        assert counts.tolist() == [2, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 9), max_size=12),
    st.lists(st.integers(0, 9), max_size=5),
)
def test_what_the_other_list_lacks(kind, few, others):
    x, y = drawn(kind, few, 0), drawn(kind, others, 0)
    out, places = distinct.list_diff_op.kernel(x, y, out_idx=dtypes.int32)
    expected = [i for i, v in enumerate(x.tolist()) if v not in y.tolist()]
    assert places.tolist() == expected
    assert places.dtype == np.int32
    assert out.tolist() == [x.tolist()[i] for i in expected]
    assert out.dtype == x.dtype
