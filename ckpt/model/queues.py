"""Queues as objects: `tf.FIFOQueue` and its kin. What they hold belongs to a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import dtypes as all_dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import indexing, joining, queues
from ckpt.ops.random import seeds_of


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _as_types(dtypes: Any) -> list[DType]:
    return [all_dtypes.as_dtype(dtype) for dtype in _as_list(dtypes)]


def _is_list_of_shapes(shapes: Any) -> bool:
    """False for one shape, which `()` is too."""
    return isinstance(shapes, list if not shapes else (list, tuple)) and all(
        isinstance(shape, (list, tuple, TensorShape)) or shape is None for shape in shapes
    )


def _as_shapes(shapes: Any, types: list[DType]) -> list[TensorShape]:
    """One shape per component, none where `shapes` is None. A single shape may stand for a list of one."""
    if shapes is None:
        return []
    listed = list(shapes) if _is_list_of_shapes(shapes) else [shapes]
    found = [as_shape(shape) for shape in listed]
    if len(found) != len(types):
        raise ValueError(
            f"Queue shapes must have the same length as dtypes, received len(shapes)={len(found)}, "
            f"len(dtypes)={len(types)}"
        )
    return found


def _whole_shapes(shapes: Any, types: list[DType]) -> list[TensorShape]:
    found = _as_shapes(shapes, types)
    if not all(shape.is_fully_defined() for shape in found):
        raise ValueError(f"All shapes must be fully defined: {found}")
    return found


def _as_names(names: Any, types: list[DType]) -> list[str] | None:
    if names is None:
        return None
    listed = _as_list(names)
    if len(listed) != len(types):
        raise ValueError(
            f"List of names must have the same length as the list of dtypes, received len(names)={len(listed)},"
            f"len(dtypes)={len(types)}"
        )
    return listed


class QueueBase:
    """What all queues do: elements are tuples of `dtypes`, or dicts where the queue has names.

    Operations that wait (`enqueue` for room, `dequeue` for elements) end with an error when their session is closed and
    when the time of the run is over.
    """

    def __init__(self, dtypes: Any, shapes: Any, names: Any, queue_ref: Tensor) -> None:
        self._dtypes = _as_types(dtypes)
        self._shapes = [as_shape(shape) for shape in shapes] if shapes else [TensorShape(None)] * len(
            self._dtypes)  # fmt: skip
        if len(self._shapes) != len(self._dtypes):
            raise ValueError(
                f"Queue shapes must have the same length as dtypes, received len(shapes)={len(self._shapes)}, "
                f"len(dtypes)={len(self._dtypes)}"
            )
        self._names = _as_names(names, self._dtypes)
        self._queue_ref = queue_ref

    @staticmethod
    def from_list(index: Any, queues: Sequence[QueueBase]) -> QueueBase:
        """The queue `queues[index]`, where `index` is known when running.

        Raises TypeError unless all have the same dtypes, ValueError unless all have the same names.
        """
        if not queues or not isinstance(queues, list) or not all(
            isinstance(queue, QueueBase) for queue in queues
        ):  # fmt: skip
            raise TypeError("A list of queues expected")
        first = queues[0]
        if any(queue.dtypes != first.dtypes for queue in queues):
            raise TypeError("Queues do not have matching component dtypes.")
        if any(queue.names != first.names for queue in queues):
            raise ValueError("Queues do not have matching names.")
        shapes = [
            common_shape(column) for column in zip(*(queue.shapes for queue in queues), strict=True)
        ]
        handles = joining.stack([queue.queue_ref for queue in queues])
        return QueueBase(first.dtypes, shapes, first.names, indexing.gather(handles, index))

    @property
    def queue_ref(self) -> Tensor:
        """The handle of the queue."""
        return self._queue_ref

    @property
    def name(self) -> str:
        """The name of the operation that makes the queue."""
        return self._queue_ref.op.name

    @property
    def _short_name(self) -> str:
        """The name without its scopes, with which the names of operations on the queue begin."""
        return self.name.rpartition("/")[2]

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes of the components."""
        return self._dtypes

    @property
    def shapes(self) -> list[TensorShape]:
        """The shapes of the components, as far as they are known."""
        return self._shapes

    @property
    def names(self) -> list[str] | None:
        """The names of the components, or None."""
        return self._names

    def enqueue(self, vals: Any, name: str | None = None) -> Operation:
        """The operation that adds one element: a tensor, a tuple of them, or a dict where the queue has names.

        Running it waits for room, and raises CancelledError when the queue is closed. Raises ValueError here for components
        that are too many, too few or of another shape, TypeError for other dtypes.
        """
        with name_scope(name, f"{self._short_name}_enqueue", _flat(vals)) as scope:
            components = self._converted(vals)
            for component, shape in zip(components, self._shapes, strict=True):
                component.get_shape().assert_is_compatible_with(shape)
            made: Operation = queues.enqueue_op(self._queue_ref, components, name=scope)
        return made

    def enqueue_many(self, vals: Any, name: str | None = None) -> Operation:
        """The operation that adds the slices of the components along their first axis, all of which have one length.

        Running it waits for room, and raises CancelledError when the queue is closed. Raises ValueError here for components
        that are too many, too few or of another shape, TypeError for other dtypes.
        """
        with name_scope(name, f"{self._short_name}_EnqueueMany", _flat(vals)) as scope:
            components = self._converted(vals)
            lead = TensorShape([None])
            for component, shape in zip(components, self._shapes, strict=True):
                actual = component.get_shape()
                actual.with_rank_at_least(1)
                lead = lead.merge_with(actual[:1])
                actual[1:].assert_is_compatible_with(shape)
            made: Operation = queues.enqueue_many_op(self._queue_ref, components, name=scope)
        return made

    def dequeue(self, name: str | None = None) -> Any:
        """One element: a tensor, a list of them, or a dict where the queue has names.

        Running it waits for an element, and raises OutOfRangeError when the queue is closed and empty.
        """
        found = queues.dequeue_op(
            self._queue_ref,
            component_types=self._dtypes,
            name=name or f"{self._short_name}_Dequeue",
        )
        return self._returned(found, None)

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """`n` elements as one batch, whose tensors have a first axis of that length.

        Running it waits for them, and raises OutOfRangeError when the queue is closed and has fewer.
        """
        found = self._batch(queues.dequeue_many_op, n, name or f"{self._short_name}_DequeueMany")
        return self._returned(found, _constant_length(n))

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """`n` elements as one batch, or what is left when the queue is closed.

        Running it waits for them, and raises OutOfRangeError when the queue is closed and empty.
        """
        found = self._batch(queues.dequeue_up_to_op, n, name or f"{self._short_name}_DequeueUpTo")
        return self._returned(found, [None])

    def _batch(self, opdef: Any, n: Any, name: str) -> Any:
        with name_scope(name) as scope:
            count = convert.convert_to_tensor(n, all_dtypes.int32, name="n")
            return opdef(self._queue_ref, count, component_types=self._dtypes, name=scope)

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Operation:
        """The operation after which nothing can be added.

        Elements that others wait to add are added first, or, with `cancel_pending_enqueues`, not at all.
        """
        made: Operation = queues.close_op(
            self._queue_ref, cancel_pending_enqueues=cancel_pending_enqueues, name=name or f"{self._short_name}_Close"
        )  # fmt: skip
        return made

    def is_closed(self, name: str | None = None) -> Tensor:
        """Whether the queue is closed."""
        found: Tensor = queues.is_closed_op(
            self._queue_ref, name=name or f"{self._short_name}_Is_Closed"
        )
        return found

    def size(self, name: str | None = None) -> Tensor:
        """How many elements the queue holds, an int32."""
        found: Tensor = queues.size_op(self._queue_ref, name=name or f"{self._short_name}_Size")
        return found

    def _converted(self, vals: Any) -> list[Tensor]:
        """The components as tensors of the queue's dtypes."""
        if isinstance(vals, dict):
            if not self._names:
                raise ValueError("Queue must have names to enqueue a dictionary")
            if sorted(self._names, key=str) != sorted(vals.keys(), key=str):
                raise ValueError(
                    "Keys in dictionary to enqueue do not match names of Queue.  Dictionary: "
                    f"{sorted(vals.keys())},Queue: {sorted(self._names)}"
                )
            values = [vals[key] for key in self._names]
        else:
            if self._names:
                raise ValueError("You must enqueue a dictionary in a Queue with names")
            values = _as_list(vals)
        if len(values) != len(self._dtypes):
            raise ValueError(
                f"{self.name} takes elements of {len(self._dtypes)} components, got {len(values)}"
            )
        return [
            convert.convert_to_tensor(value, dtype, name=f"component_{place}")
            for place, (value, dtype) in enumerate(zip(values, self._dtypes, strict=True))
        ]

    def _returned(self, found: Any, lead: Any) -> Any:
        tensors = _as_list(found)
        for tensor, shape in zip(tensors, self._shapes, strict=True):
            tensor.set_shape(shape if lead is None else TensorShape(lead).concatenate(shape))
        if self._names:
            return dict(zip(self._names, tensors, strict=True))
        return tensors[0] if len(tensors) == 1 else tensors


def _flat(vals: Any) -> list[Any]:
    return list(vals.values()) if isinstance(vals, dict) else _as_list(vals)


def _constant_length(n: Any) -> list[int | None]:
    from ckpt.graph.static import constant_value

    known = constant_value(n) if isinstance(n, Tensor) else n
    return [None if known is None else int(known)]


def common_shape(shapes: Sequence[TensorShape]) -> TensorShape:
    """What is known of all these shapes."""
    first = shapes[0]
    if first.sizes is None or any(
        shape.sizes is None or len(shape.sizes) != len(first.sizes) for shape in shapes
    ):
        return TensorShape(None)
    columns = zip(*(shape.sizes or () for shape in shapes), strict=True)
    return TensorShape([sizes[0] if len(set(sizes)) == 1 else None for sizes in columns])


class FIFOQueue(QueueBase):
    """A queue that gives its elements in the order in which they came; at most `capacity` are in it.

    Batches (`dequeue_many`) need `shapes`, one whole shape per component.
    """

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any = None, names: Any = None, shared_name: str | None = None,
        name: str = "fifo_queue",
    ) -> None:  # fmt: skip
        types = _as_types(dtypes)
        sizes = _whole_shapes(shapes, types)
        names = _as_names(names, types)
        made = queues.fifo_queue(
            component_types=types, shapes=sizes, capacity=capacity, shared_name=_shared(shared_name), name=name
        )  # fmt: skip
        super().__init__(types, sizes, names, made)


class RandomShuffleQueue(QueueBase):
    """A queue that gives a random one of its elements; `min_after_dequeue` of them stay until it is closed."""

    def __init__(
        self, capacity: int, min_after_dequeue: int, dtypes: Any, shapes: Any = None, names: Any = None,
        seed: int | None = None, shared_name: str | None = None, name: str = "random_shuffle_queue",
    ) -> None:  # fmt: skip
        types = _as_types(dtypes)
        sizes = _whole_shapes(shapes, types)
        names = _as_names(names, types)
        seeds = seeds_of(seed)
        if seeds == {"seed": 0, "seed2": 0} and shared_name is not None:
            seeds = _seeds_of_name(shared_name)
        made = queues.random_shuffle_queue(
            component_types=types, shapes=sizes, capacity=capacity, min_after_dequeue=min_after_dequeue,
            shared_name=_shared(shared_name), name=name, **seeds,
        )  # fmt: skip
        super().__init__(types, sizes, names, made)


class PaddingFIFOQueue(QueueBase):
    """A queue whose elements may differ in size where `shapes` has None; batches are padded to the largest with zeros."""

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any, names: Any = None, shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ) -> None:  # fmt: skip
        if shapes is None:
            raise ValueError("When providing partial shapes, a list of shapes must be provided.")
        types = _as_types(dtypes)
        listed = _as_list(shapes) if _is_list_of_shapes(shapes) else [shapes]
        if len(listed) != len(types):
            raise ValueError(
                f"Shapes must be provided for all components, but received {len(types)} dtypes and {len(listed)} shapes."
            )
        sizes = _as_shapes(shapes, types)
        if any(shape.rank is None for shape in sizes):
            raise ValueError(
                f"All components of a PaddingFIFOQueue must have a rank that is known: {sizes}"
            )
        names = _as_names(names, types)
        made = queues.padding_fifo_queue(
            component_types=types, shapes=sizes, capacity=capacity, shared_name=_shared(shared_name), name=name
        )  # fmt: skip
        super().__init__(types, sizes, names, made)


class PriorityQueue(QueueBase):
    """A queue that gives the element of the least priority: an int64 that stands before the components of `types`."""

    def __init__(
        self, capacity: int, types: Any, shapes: Any = None, names: Any = None, shared_name: str | None = None,
        name: str = "priority_queue",
    ) -> None:  # fmt: skip
        kinds = _as_types(types)
        sizes = _whole_shapes(shapes, kinds)
        whole = [all_dtypes.int64, *kinds]
        names = _as_names(names, whole)
        made = queues.priority_queue(
            component_types=kinds, shapes=sizes, capacity=capacity, shared_name=_shared(shared_name), name=name
        )  # fmt: skip
        super().__init__(
            whole, [TensorShape(()), *sizes] if sizes or not kinds else None, names, made
        )


def _shared(shared_name: str | None) -> str:
    return shared_name or ""


def _seeds_of_name(shared_name: str) -> dict[str, int]:
    """Seeds that all who share a queue agree on when none of them gave one."""
    import hashlib

    digest = hashlib.md5(f"Queue {shared_name}".encode(), usedforsecurity=False).digest()
    return {"seed": int.from_bytes(digest[:4], "little") & 0x7FFFFFFF, "seed2": 0}
