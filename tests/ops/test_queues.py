"""Queues: operations with state, each row beginning with a queue of its own."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import dtypes
from ckpt.core.errors import CancelledError, InvalidArgumentError, OutOfRangeError, ShapeError
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from ckpt.ops.queue_state import ByPriority, Fifo, Queue, Shuffled
from tests.conformance.ops import case, conformance, normal

BATCH = normal(4, 2)
MANY = dict(grad=0)


def after(*operations):
    return get_default_graph().control_dependencies([getattr(o, "op", o) for o in operations])


def made(kind, **attrs):
    return OPS[kind](component_types=[dtypes.float32], shapes=[[2]], capacity=10, **attrs)


def batched(kind, values, **attrs):
    """What a queue gives for a batch that it was given."""
    queue = made(kind, **attrs)
    with after(OPS["QueueEnqueueManyV2"](queue, [values])):
        return OPS["QueueDequeueManyV2"](queue, 3, component_types=[dtypes.float32])


def one_of(kind, value):
    queue = made(kind)
    with after(OPS["QueueEnqueueV2"](queue, [value])):
        return OPS["QueueDequeueV2"](queue, component_types=[dtypes.float32])


def first_in(values):
    return batched("FIFOQueueV2", values)[0]


def shuffled(values):
    return batched("RandomShuffleQueueV2", values, seed=3, seed2=5)[0]


def single(values):
    return one_of("FIFOQueueV2", values)[0]


def the_rest(values):
    queue = made("FIFOQueueV2")
    with after(OPS["QueueEnqueueManyV2"](queue, [values])):
        closed = OPS["QueueCloseV2"](queue)
    with after(closed):
        return OPS["QueueDequeueUpToV2"](queue, 30, component_types=[dtypes.float32])[0]


def size_and_state(values):
    queue = made("FIFOQueueV2")
    with after(OPS["QueueEnqueueManyV2"](queue, [values])):
        return OPS["QueueSizeV2"](queue), OPS["QueueIsClosedV2"](queue)


def padded(small, large):
    kind = [dtypes.float32]
    queue = OPS["PaddingFIFOQueueV2"](component_types=kind, shapes=[[None, 2]], capacity=10)
    with after(OPS["QueueEnqueueV2"](queue, [small]), OPS["QueueEnqueueV2"](queue, [large])):
        values = OPS["QueueDequeueManyV2"](queue, 2, component_types=kind)[0]
    from ckpt.ops import reduction

    return reduction.reduce_sum(values, axis=[0])  # which of them came first is not said


def prioritised(priorities, values):
    queue = OPS["PriorityQueueV2"](component_types=[dtypes.float32], shapes=[[2]], capacity=10)
    types = [dtypes.int64, dtypes.float32]
    with after(OPS["QueueEnqueueManyV2"](queue, [priorities, values])):
        return OPS["QueueDequeueManyV2"](queue, 4, component_types=types)


def padded_sum(small, large):
    found = large.copy()
    found[: len(small)] += small
    return found


ORDER = np.array([3, 1, 4, 2], np.int64)

TestQueues = conformance([
    case(first_in, BATCH, like=lambda values: values[:3], **MANY),
    case(shuffled, BATCH, **MANY),
    case(single, normal(2), like=lambda values: values, **MANY),
    case(the_rest, BATCH, like=lambda values: values, unasked="closed queues stay closed", **MANY),
    case(size_and_state, BATCH, unasked="the second run finds more", **MANY),
    case(padded, normal(1, 2), normal(3, 2), like=padded_sum, **MANY),
    case(prioritised, ORDER, BATCH, like=lambda p, v: (np.sort(p), v[np.argsort(p)]), **MANY),
    case(single, normal(3), raises=InvalidArgumentError, match=r"component 0. Expected \[2\], got \[3\]"),
    case(first_in, normal(4, 3), raises=InvalidArgumentError, match=r"Expected \[4,2\], got \[4,3\]"),
])  # fmt: skip


def never(condition):
    raise AssertionError("nothing to wait for")


def rows(*values):
    return [(np.asarray(value),) for value in values]


def values_of(taken):
    return [row[0].item() for row in taken]


def queue_of(held=None, capacity=3):
    return Queue("FIFOQueue", "q", Fifo() if held is None else held, capacity, None)


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 4))
def test_elements_come_out_in_the_order_in_which_they_went_in(batches, capacity):
    """Puts and takes of any sizes, larger than the queue too, by two threads."""
    queue, wait = queue_of(capacity=capacity), lambda condition: condition.wait(10)
    numbers = iter(range(10_000))
    parts = [[next(numbers) for _ in range(size)] for size in batches]

    def fill():
        for part in parts:
            queue.put(rows(*part), wait)
        queue.close(False, wait)

    thread = threading.Thread(target=fill)
    thread.start()
    found = []
    for size in reversed(batches):
        found += values_of(queue.take(size, False, wait))
    thread.join(10)
    assert found == list(range(sum(batches)))
    assert queue.is_closed


def test_a_take_that_cannot_be_served_leaves_the_elements():
    queue = queue_of()
    queue.put(rows(1, 2), never)
    queue.close(False, never)
    with pytest.raises(
        OutOfRangeError, match=r"insufficient elements \(requested 3, current size 2\)"
    ):
        queue.take(3, False, never)
    assert values_of(queue.take(3, True, never)) == [1, 2]


def test_who_gives_up_waiting_leaves_the_line_and_what_he_had():
    queue = queue_of()
    queue.put(rows(1, 2), never)

    def give_up(condition):
        raise CancelledError(None, None, "enough")

    with pytest.raises(CancelledError, match="enough"):
        queue.take(3, False, give_up)
    assert values_of(queue.take(2, False, never)) == [1, 2]
    with pytest.raises(CancelledError, match="enough"):
        queue.put(rows(1, 2, 3, 4), give_up)
    assert values_of(queue.take(3, False, never)) == [1, 2, 3]
    queue.put(rows(5), never)
    assert values_of(queue.take(1, False, never)) == [5]


def test_a_closed_queue_takes_nothing_and_closes_once():
    queue = queue_of()
    queue.close(False, never)
    with pytest.raises(CancelledError, match="FIFOQueue 'q' is closed"):
        queue.put(rows(1), never)
    queue.put([], never)
    for cancels in (False, True):
        with pytest.raises(CancelledError, match="already closed"):
            queue.close(cancels, never)


def test_equal_priorities_keep_their_order_also_when_given_back():
    queue = queue_of(ByPriority(), 10)
    queue.put([(np.int64(p), np.asarray(v)) for p, v in ((2, 0), (1, 1), (1, 2), (1, 3))], never)
    with pytest.raises(ZeroDivisionError):
        queue.take(9, False, lambda condition: 1 // 0)
    assert [row[1].item() for row in queue.take(4, False, never)] == [1, 2, 3, 0]


def test_a_shuffled_queue_keeps_some_until_it_is_closed():
    queue = queue_of(Shuffled(2, 1, 2), 10)
    queue.put(rows(*range(6)), never)
    first = values_of(queue.take(4, False, never))
    with pytest.raises(ZeroDivisionError):
        queue.take(1, False, lambda condition: 1 // 0)
    queue.close(False, never)
    assert sorted(first + values_of(queue.take(2, False, never))) == list(range(6))


def test_a_negative_batch_is_refused_while_building():
    with pytest.raises(ShapeError, match="must be >= 0, but is -1"):
        OPS["QueueDequeueManyV2"](made("FIFOQueueV2"), -1, component_types=[dtypes.float32])
