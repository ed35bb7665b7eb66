"""Queues: operations that make them, fill them, empty them and close them. What waits ends with the run that it is part of."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops.queue_state import ByPriority, Fifo, Queue, Shuffled, brackets

MAKING = {
    "component_types": Attr("list(type)", minimum=1), "shapes": Attr("list(shape)", []), "capacity": -1,
    "container": "", "shared_name": "",
}  # fmt: skip
WAITING = {"component_types": Attr("list(type)", minimum=1), "timeout_ms": -1}
SHAPES = "component shapes"
NO_GRADIENT = "a queue has no derivative"


class Promise:
    """What a node says about its queue: dtypes, shapes, capacity, and what else must be equal when queues are shared."""

    def __init__(self, kind, dtypes, shapes, capacity, extras=()) -> None:
        self.kind = kind
        self.dtypes = list(dtypes)
        self.shapes = [TensorShape(shape) for shape in shapes]
        self.facts = {
            "type": kind, "capacity": capacity, "component types": ", ".join(t.name for t in self.dtypes),
            SHAPES: f"[{', '.join(brackets(shape.sizes) for shape in self.shapes)}]", **dict(extras),
        }  # fmt: skip

    def check_same(self, other, name) -> None:
        """Raise InvalidArgumentError listing all in which `other` differs; sizes that are not known fit any."""
        wrong = [
            f"Shared queue '{name}' has {fact} {value} but requested {fact} {'were' if fact.endswith('s') else 'was'} "
            f"{other.facts.get(fact)}"
            for fact, value in self.facts.items()
            if value != other.facts.get(fact) and not (fact == SHAPES and self._fits(other))
        ]
        if wrong:
            raise InvalidArgumentError(None, None, "; ".join(wrong))

    def _fits(self, other) -> bool:
        return len(self.shapes) == len(other.shapes) and all(
            ours.is_compatible_with(theirs)
            for ours, theirs in zip(self.shapes, other.shapes, strict=True)
        )


def _queue(ctx, container, shared_name, make_promise, held):
    """The queue of this name, made the first time; whoever shares it must promise the same."""
    name = shared_name or ctx.node.name

    def made():
        promise = make_promise()
        return Queue(promise.kind, name, held(), promise.facts["capacity"], promise)

    queue = ctx.resource("queue", container, name, made)
    if ctx.node not in queue.agreed:
        queue.promise.check_same(make_promise(), name)
        queue.agreed.add(ctx.node)
    return queue


@op("FIFOQueueV2", "-> handle: resource", **MAKING)
def fifo_queue(ctx, *, component_types, shapes, capacity, container, shared_name):
    """A queue that gives its elements in the order in which they came."""
    return _queue(
        ctx,
        container,
        shared_name,
        lambda: Promise("FIFOQueue", component_types, shapes, capacity),
        Fifo,
    )


@op("PaddingFIFOQueueV2", "-> handle: resource", **MAKING)
def padding_fifo_queue(ctx, *, component_types, shapes, capacity, container, shared_name):
    """A queue whose elements may differ in size; batches of them are padded to the largest."""
    return _queue(
        ctx,
        container,
        shared_name,
        lambda: Promise("PaddingFIFOQueue", component_types, shapes, capacity),
        Fifo,
    )


@op("RandomShuffleQueueV2", "-> handle: resource", **MAKING, min_after_dequeue=0, seed=0, seed2=0)
def random_shuffle_queue(
    ctx, *, component_types, shapes, capacity, min_after_dequeue, seed, seed2, container, shared_name
):  # fmt: skip
    """A queue that gives a random one of its elements, of which `min_after_dequeue` stay until it is closed.

    Raises InvalidArgumentError for a number below 0, and for one that leaves no room in the queue.
    """
    if min_after_dequeue < 0:
        raise InvalidArgumentError(
            None, None, f"min_after_dequeue {min_after_dequeue} must be >= 0"
        )
    if 0 <= capacity <= min_after_dequeue:
        raise InvalidArgumentError(
            None, None, f"min_after_dequeue {min_after_dequeue} must be < capacity {capacity}"
        )
    extras = {"min_after_dequeue": min_after_dequeue}
    if seed or seed2:
        extras["random seeds"] = f"({seed}, {seed2})"
    return _queue(
        ctx,
        container,
        shared_name,
        lambda: Promise("RandomShuffleQueue", component_types, shapes, capacity, extras),
        lambda: Shuffled(min_after_dequeue, seed, seed2),
    )


@op(
    "PriorityQueueV2", "-> handle: resource",
    **{**MAKING, "component_types": Attr("list(type)", []), "shapes": Attr("list(shape)")},
)  # fmt: skip
def priority_queue(ctx, *, component_types, shapes, capacity, container, shared_name):
    """A queue that gives the element of the least priority, an int64 that stands before the other components."""
    types, sizes = [dtypes.int64, *component_types], [(), *shapes]
    return _queue(
        ctx, container, shared_name, lambda: Promise("PriorityQueue", types, sizes, capacity), ByPriority
    )  # fmt: skip


def _opened(handle):
    """The queue behind a handle, which may have gone through an array of handles."""
    return handle.item() if isinstance(handle, np.ndarray) else handle


def _check_components(queue, arrays, lead):
    promise = queue.promise
    wanted = [t.name for t in promise.dtypes]
    if len(arrays) != len(wanted):
        raise InvalidArgumentError(
            None, None, f"{queue} takes tuples of {len(wanted)} components, got {len(arrays)}"
        )
    for place, (array, dtype) in enumerate(zip(arrays, promise.dtypes, strict=True)):
        if array.dtype != np.dtype(dtype.as_numpy_dtype):
            raise InvalidArgumentError(
                None, None,
                f"Type mismatch in tuple component {place}. Expected {dtype.name}, got {array.dtype}",
            )  # fmt: skip
    shapes = promise.shapes or [TensorShape(None)] * len(arrays)
    for place, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        full = TensorShape(lead).concatenate(shape)
        if not full.is_compatible_with(array.shape):
            raise InvalidArgumentError(
                None, None,
                f"Shape mismatch in tuple component {place}. Expected {brackets(full.sizes)}, got "
                f"{brackets(array.shape)}",
            )  # fmt: skip


def _owned(component):
    """The component as the queue may keep it: a fed array is its caller's."""
    return np.array(component)


@op(
    "QueueEnqueueV2", "handle: resource, components: Tcomponents... ->",
    Tcomponents=Attr("list(type)", minimum=1), timeout_ms=-1,
)  # fmt: skip
def enqueue_op(ctx, handle, *components):
    """Add one element, waiting for room. Raises CancelledError when the queue is closed."""
    queue = _opened(handle)
    row = tuple(map(_owned, components))
    _check_components(queue, row, ())
    queue.put([row], ctx.wait)
    return ()


@op(
    "QueueEnqueueManyV2", "handle: resource, components: Tcomponents... ->",
    Tcomponents=Attr("list(type)", minimum=1), timeout_ms=-1,
)  # fmt: skip
def enqueue_many_op(ctx, handle, *components):
    """Add the slices along the first axis as elements, waiting for room. Raises CancelledError when the queue is closed."""
    queue = _opened(handle)
    columns = tuple(map(_owned, components))
    if not columns[0].ndim:
        _check_components(queue, columns, (None,))
        raise InvalidArgumentError(
            None, None, "Shape mismatch in tuple component 0. Expected [?,...], got []"
        )
    _check_components(queue, columns, (len(columns[0]),))
    queue.put(zip(*map(_slices, columns), strict=True), ctx.wait)
    return ()


def _slices(column):
    return [column[place, ...] for place in range(len(column))]


@op("QueueDequeueV2", "handle: resource -> components: component_types...", **WAITING)
def dequeue_op(ctx, handle):
    """Take one element, waiting for it. Raises OutOfRangeError when the queue is closed and empty."""
    queue = _opened(handle)
    return list(queue.take(1, False, ctx.wait)[0])


@op("QueueDequeueManyV2", "handle: resource, n: int32 -> components: component_types...", **WAITING)
def dequeue_many_op(ctx, handle, n):
    """Take `n` elements as one batch, waiting for them. Raises OutOfRangeError when the queue is closed and has fewer."""
    return _batch(ctx, handle, n, "DequeueManyOp", False)


@op("QueueDequeueUpToV2", "handle: resource, n: int32 -> components: component_types...", **WAITING)
def dequeue_up_to_op(ctx, handle, n):
    """Take `n` elements as one batch, or what is left when the queue is closed; OutOfRangeError when nothing is."""
    return _batch(ctx, handle, n, "DequeueUpToOp", True)


def _batch(ctx, handle, n, called, fewer):
    queue = _opened(handle)
    promise = queue.promise
    if int(n) < 0:
        raise InvalidArgumentError(None, None, f"{called} requested {int(n)} < 0 elements")
    if not promise.shapes:
        raise InvalidArgumentError(
            None, None,
            f"{queue.kind}'s DequeueMany and DequeueUpTo require the components to have specified shapes.",
        )  # fmt: skip
    rows = queue.take(int(n), fewer, ctx.wait)
    columns = zip(*rows, strict=True) if rows else [()] * len(promise.dtypes)
    return [
        _joined(column, dtype, shape.sizes)
        for column, dtype, shape in zip(columns, promise.dtypes, promise.shapes, strict=True)
    ]


def _joined(column, dtype, sizes):
    """The components of a batch as one array, padded where they may differ in size."""
    sizes = tuple(
        max((part.shape[axis] for part in column), default=0) if size is None else size
        for axis, size in enumerate(sizes)
    )
    kind = dtype.as_numpy_dtype
    if dtype == dtypes.string:
        batch = np.full((len(column), *sizes), b"", object)
    else:
        batch = np.zeros((len(column), *sizes), kind)
    for place, part in enumerate(column):
        batch[(place, *map(slice, part.shape), ...)] = part
    return batch


@op("QueueCloseV2", "handle: resource ->", cancel_pending_enqueues=False)
def close_op(ctx, handle, *, cancel_pending_enqueues):
    """Close the queue: behind the elements that others wait to put, or at once. Raises CancelledError when it is closed."""
    _opened(handle).close(cancel_pending_enqueues, ctx.wait)
    return ()


@op("QueueSizeV2", "handle: resource -> size: int32")
def size_op(handle):
    """How many elements the queue holds."""
    return np.int32(_opened(handle).size)


@op("QueueIsClosedV2", "handle: resource -> is_closed: bool")
def is_closed_op(handle):
    """Whether the queue is closed."""
    return np.bool_(_opened(handle).is_closed)


for _opdef in (fifo_queue, padding_fifo_queue, random_shuffle_queue, priority_queue):
    _opdef.shape(lambda: [()])
    _opdef.no_gradient(NO_GRADIENT)
for _opdef in (enqueue_op, enqueue_many_op, close_op):
    _opdef.shape(lambda *inputs: [])
    _opdef.waits().no_gradient(NO_GRADIENT)
for _opdef in (size_op, is_closed_op):
    _opdef.shape(lambda handle: [()])
    _opdef.stateful().no_gradient(NO_GRADIENT)
for _opdef in (dequeue_op, dequeue_many_op, dequeue_up_to_op):
    _opdef.waits().no_gradient(NO_GRADIENT)

KINDS = {
    "FIFOQueueV2": (), "PaddingFIFOQueueV2": (), "RandomShuffleQueueV2": (), "PriorityQueueV2": (TensorShape(()),),
}  # fmt: skip
"""Types of the operations that make queues, and the shapes of the components that stand before those of the attributes."""


def _component_shapes(handle, count):
    """The static shapes of a queue's components; unknown where its node does not say or is not known."""
    node = handle.op
    if node.type not in KINDS or not node.attrs.get("shapes"):
        return [TensorShape(None)] * count
    return [*KINDS[node.type], *map(TensorShape, node.attrs["shapes"])]


@dequeue_op.shape
def dequeue_shape(handle, *, component_types):
    return _component_shapes(handle, len(component_types))


@dequeue_many_op.shape
def dequeue_many_shape(handle, n, *, component_types):
    count = constant_value(n)
    if count is not None and int(count) < 0:
        raise ShapeError(f"Input 'n' must be >= 0, but is {int(count)}")
    return _with_lead(None if count is None else int(count), handle, component_types)


@dequeue_up_to_op.shape
def dequeue_up_to_shape(handle, n, *, component_types):
    return _with_lead(None, handle, component_types)


def _with_lead(lead, handle, component_types):
    shapes = _component_shapes(handle, len(component_types))
    return [TensorShape([lead]).concatenate(shape) for shape in shapes]
