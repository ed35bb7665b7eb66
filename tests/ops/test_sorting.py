"""Sorting."""

import numpy as np

from ckpt.ops import sorting
from tests.conformance.ops import case, conformance, distinct

TestSorting = conformance([
    case(sorting.sort, distinct(3, 4), like=np.sort),
    case(sorting.sort, distinct(3, 4), axis=0, direction="DESCENDING", like=lambda x: -np.sort(-x, 0)),
    case(sorting.sort, np.array([0, 255, 3], np.uint8), like=np.sort, grad=0),
    case(sorting.sort, np.array([-128, 127, 3], np.int8), like=np.sort, grad=0),
    case(sorting.argsort, distinct(3, 4), axis=1, like=lambda x: np.argsort(x, 1), grad=0),
    case(sorting.sort, distinct(3), direction="up", raises=ValueError, match="direction"),
])  # fmt: skip
