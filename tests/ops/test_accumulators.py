"""Accumulators of gradients: operations with state, each row beginning with an accumulator of its own."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import dtypes
from ckpt.core.errors import CancelledError, InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from ckpt.ops.accumulator_state import Dense, Sparse
from tests.conformance.ops import case, conformance, normal

LATE = np.int64(1 << 40)  # later than all steps: rows are run several times
MANY = dict(grad=0)
INDICES, OTHERS = np.array([0, 2], np.int64), np.array([1, 2], np.int64)


def after(*operations):
    return get_default_graph().control_dependencies([getattr(o, "op", o) for o in operations])


def dense(prefix, first, second, kind="MEAN"):
    """How many gradients there were, and what was made of them."""
    handle = OPS[f"{prefix}ConditionalAccumulator"](
        dtype=dtypes.float32, shape=[2], reduction_type=kind
    )
    with after(OPS[f"{prefix}AccumulatorSetGlobalStep"](handle, np.int64(3))):
        given = [OPS[f"{prefix}AccumulatorApplyGradient"](handle, LATE, g) for g in (first, second)]
    with after(*given):
        count = OPS[f"{prefix}AccumulatorNumAccumulated"](handle)
    with after(count):
        return count, OPS[f"{prefix}AccumulatorTakeGradient"](handle, 2, dtype=dtypes.float32)


def by_handle(first, second):
    return dense("Resource", first, second)


def by_reference(first, second):
    return dense("", first, second)


def added_up(first, second):
    return dense("Resource", first, second, "SUM")


def rows_of(first, second):
    handle = OPS["SparseConditionalAccumulator"](dtype=dtypes.float32, shape=[3, 2])
    shape = np.array([3, 2], np.int64)
    give = OPS["SparseAccumulatorApplyGradient"]
    given = [
        give(handle, LATE, indices, rows, shape, has_known_shape=True)
        for indices, rows in ((INDICES, first), (OTHERS, second))
    ]
    with after(*given):
        return OPS["SparseAccumulatorTakeGradient"](handle, 2, dtype=dtypes.float32)


def mean_of_rows(first, second):
    rows = np.stack([first[0], second[0], (first[1] + second[1]) / 2])
    return np.arange(3), rows, np.array([3, 2])


PAIR = normal(2), normal(2)

TestAccumulators = conformance([
    case(by_handle, *PAIR, like=lambda a, b: (np.int32(2), (a + b) / 2), **MANY),
    case(by_reference, *PAIR, like=lambda a, b: (np.int32(2), (a + b) / 2), **MANY),
    case(added_up, *PAIR, like=lambda a, b: (np.int32(2), a + b), **MANY),
    case(rows_of, normal(2, 2), normal(2, 2), like=mean_of_rows, **MANY),
    case(by_handle, normal(2), normal(3), raises=InvalidArgumentError, match=r"expected \[2\], got \[3\]"),
    case(rows_of, normal(2, 2), normal(3, 2), raises=InvalidArgumentError, match="Expected 2 non-empty input values, got 3"),
    case(rows_of, normal(2, 2), normal(2, 3), raises=InvalidArgumentError, match="values dim 1 to be 2, got 3"),
])  # fmt: skip


def never(condition):
    raise AssertionError("nothing to wait for")


def give_up(condition):
    raise CancelledError(None, None, "enough")


def test_whoever_waits_is_served_in_turn_and_each_begins_a_time_step():
    gradients, found = Dense("a", True, ()), []

    def take(required):
        found.append(gradients.take(required, lambda condition: condition.wait(10)).item())

    threads = [threading.Thread(target=take, args=(count,)) for count in (3, 1)]
    threads[0].start()
    while not gradients._takers:
        threads[0].join(0.001)
    threads[1].start()
    for value in (1.0, 2.0, 6.0):
        gradients.give(5, np.float32(value))
    threads[0].join(10)
    assert found == [3.0]  # who wanted one was behind who wanted three
    gradients.give(5, np.float32(9.0))
    threads[1].join(10)
    assert found == [3.0, 9.0]
    assert gradients.step == 2


def test_who_gives_up_leaves_the_line_and_the_gradients():
    gradients = Dense("a", True, ())
    gradients.give(0, np.float32(1.0))
    with pytest.raises(CancelledError, match="enough"):
        gradients.take(2, give_up)
    assert gradients.take(1, never) == 1.0
    assert gradients.step == 1


def test_a_gradient_stays_its_callers():
    gradients, fed = Dense("a", True, (2,)), np.ones(2, np.float32)
    gradients.give(0, fed)
    fed[:] = 7
    gradients.give(0, fed)
    assert fed.tolist() == [7, 7]
    assert gradients.take(2, never).tolist() == [4, 4]


def test_an_earlier_step_is_set_with_a_warning(caplog):
    gradients = Dense("weights", True, ())
    gradients.begin(5)
    gradients.begin(3)
    assert "accumulator weights is set from time step 5 back to 3" in caplog.text
    gradients.give(2, np.float32(1.0))
    gradients.give(3, np.float32(1.0))
    assert gradients.count == 1


def test_a_gradient_of_another_shape_changes_nothing():
    gradients = Dense("a", False, None)
    gradients.give(0, np.ones((2, 3), np.float32))
    with pytest.raises(InvalidArgumentError, match=r"expected \[2,3\], got \[3\]"):
        gradients.give(0, np.ones(3, np.float32))
    gradients.give(-1, np.ones(3, np.float32))  # dropped before anybody looks at it
    assert gradients.count == 1
    assert gradients.take(1, never).shape == (2, 3)


@given(st.lists(st.lists(st.integers(0, 9), unique=True), min_size=1, max_size=4), st.booleans())
def test_sorted_rows_are_added_up_like_whole_gradients(parts, is_mean):
    gradients, whole, counts = Sparse("a", is_mean, (10, 2)), np.zeros((10, 2)), np.zeros(10)
    for number, part in enumerate(map(sorted, parts)):
        rows = np.arange(2.0 * len(part)).reshape(-1, 2) + number
        gradients.give(0, (np.array(part, np.int64), rows))
        whole[part] += rows
        counts[part] += 1
    indices, rows, shape = gradients.take(len(parts), never)
    assert indices.tolist() == np.flatnonzero(counts).tolist()
    assert shape.tolist() == [10, 2]
    divisors = counts[indices][:, None] if is_mean else 1
    np.testing.assert_allclose(rows, whole[indices] / divisors)


@given(st.lists(st.lists(st.integers(0, 5)), min_size=1, max_size=4))
def test_rows_in_any_order_have_the_same_sums(parts):
    """Also where one index comes several times, apart as TensorFlow keeps them."""
    gradients, whole = Sparse("a", False, None), np.zeros(6)
    for part in parts:
        gradients.give(0, (np.array(part, np.int64), np.ones(len(part))))
        np.add.at(whole, part, 1.0)
    indices, rows, _ = gradients.take(len(parts), never)
    found = np.zeros(6)
    np.add.at(found, indices, rows)
    assert found.tolist() == whole.tolist()
