"""Places in sorted rows, repeated elements, positions in flattened arrays."""

import time

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops import searching
from tests.conformance.ops import case, conformance, normal

ROWS = np.array([[1, 3, 3, 9], [0, 1, 2, 3]], np.float32)
WANTED = np.array([[3, 0, 10], [2.5, 0, -1]], np.float32)

TestSearching = conformance([
    case(OPS["LowerBound"], ROWS, WANTED, grad=0),
    case(OPS["UpperBound"], ROWS, WANTED, grad=0),
    case(OPS["LowerBound"], ROWS, WANTED[:1], raises=InvalidArgumentError, match="must match"),
    *[case(searching.searchsorted, ROWS, WANTED, side=side, grad=0) for side in ("left", "right")],
    case(searching.searchsorted, ROWS[0], WANTED[0], out_type=np.int64, grad=0),
    case(searching.searchsorted, ROWS, WANTED, side="middle", raises=ValueError, match="side"),
    case(searching.repeat, normal(2, 3), 2, like=np.repeat),
    case(searching.repeat, normal(2, 3), [1, 0, 2], axis=1, like=lambda x, r: np.repeat(x, r, 1), grad=2),
    case(searching.repeat, normal(2, 3), [3], axis=0, like=lambda x, r: np.repeat(x, r, 0)),
    case(OPS["UnravelIndex"], np.array([22, 41, 37]), [7, 6], expect=np.array([[3, 6, 6], [4, 5, 1]]), grad=0),
    case(OPS["UnravelIndex"], np.int64(5), [2, 3], grad=0),
    case(OPS["UnravelIndex"], np.array([42]), [7, 6], raises=InvalidArgumentError, match="out of bound"),
    case(searching.where_v2, np.array([True, False]), normal(3, 2), np.float32(0), like=lambda c, x, y: np.where(c, x, y)),
    case(searching.where_v2, np.array([True, False]), expect=np.array([[0]]), grad=0),
    case(searching.where_v2, np.array([True]), normal(1), raises=ValueError, match="both"),
    case(lambda: searching.timestamp() > 0, expect=np.bool_(True), grad=0, title="Timestamp"),
])  # fmt: skip


def test_the_time_is_that_of_the_run():
    now = tf.timestamp()
    with tf.Session() as session:
        first, second = session.run(now), session.run(now)
    assert first <= second <= time.time()
    with pytest.raises(ValueError, match="side"):
        tf.searchsorted([1], [1], side="up")
