"""The largest elements of rows."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.ops import largest
from tests.conformance.ops import case, conformance, distinct, normal

TIES = np.array([[1, 3, 3, 2], [0, 0, 0, 0]], np.float32)
TestLargest = conformance([
    case(largest.top_k, distinct(3, 6), 2, like=lambda x, k: (np.sort(x)[:, ::-1][:, :2], np.argsort(-x)[:, :2])),
    case(largest.top_k, TIES, 3, expect=[np.array([[3, 3, 2], [0, 0, 0]]), np.array([[1, 2, 3], [0, 1, 2]])], grad=0),
    case(largest.top_k, np.array([[-128, 5, 5]], np.int8), 3, expect=[np.array([[5, 5, -128]]), np.array([[1, 2, 0]])],
         grad=0),
    case(largest.top_k, distinct(4), 0, expect=[np.zeros(0), np.zeros(0)], grad=0),
    case(largest.top_k, normal(2, 3), 4, raises=ShapeError, match="last dimension"),
    case(largest.in_top_k, normal(3, 4), np.array([0, 1, 9], np.int32), 2, grad=0),
    case(largest.in_top_k, TIES, np.array([3, 0], np.int32), 2, expect=np.array([False, True]), grad=0),
    case(largest.nth_element, distinct(3, 5), 1, like=lambda x, n: np.sort(x)[:, 1]),
    case(largest.nth_element, distinct(3, 5), 0, reverse=True, like=lambda x, n: x.max(1)),
    case(largest.nth_element, distinct(3, 5), 7, raises=ShapeError, match="last dimension"),
    case(lambda x, n: largest.nth_element(x, n), distinct(3, 5), np.int32(7), raises=InvalidArgumentError,
         match="last dimension", title="nth_element"),
])  # fmt: skip


@pytest.mark.parametrize("k", [1, 5, 50])
def test_wide_rows_with_ties_agree_with_a_stable_sort(k):
    x = np.random.default_rng(0).integers(0, 40, (7, 300)).astype(np.float32)
    values, places = largest.top_k_v2.kernel(x, k, index_type=__import__("ckpt").int32)
    order = np.argsort(-x, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, 1))
