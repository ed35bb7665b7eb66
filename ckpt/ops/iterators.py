"""Iterators: a session's resources that hold a position in a dataset, and what can be done with them."""

from __future__ import annotations

import threading

import numpy as np

from ckpt.core.errors import FailedPreconditionError, InvalidArgumentError, OutOfRangeError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops.dataset_threads import waiting_by
from ckpt.ops.datasets import TYPES
from ckpt.ops.iterator_state import packed, unpacked

ELEMENT = {key: TYPES[key] for key in ("output_types", "output_shapes")}
PERHAPS = {"output_types": Attr("list(type)", []), "output_shapes": Attr("list(shape)", [])}
HANDLE = "iterator:"
"""What string handles begin with."""


class IteratorResource:
    """A position in a dataset, once one was given; the dtypes and shapes of the elements that it may have."""

    def __init__(self, name, types, shapes) -> None:
        self.name = name
        self.types, self.shapes = types, shapes
        self.dataset = self.position = None
        self._lock = threading.Lock()

    def begin(self, dataset):
        """Stand before the first element of `dataset`. Raises InvalidArgumentError when its elements are others."""
        check_alike(self.types, self.shapes, dataset.types, dataset.shapes)
        position = dataset.start()
        with self._lock:
            self.dataset = dataset
            self._stand_at(position)

    def _stand_at(self, position):
        before, self.position = self.position, position
        if before is not None:
            before.close()

    def end_of_session(self):
        """Let threads that make elements ahead end."""
        if self.position is not None:
            self.position.close()

    def next(self, wait):
        """The next element; other threads that make it are waited for by `wait`.

        Raises OutOfRangeError behind the last, FailedPreconditionError without a dataset, and what `wait` raises.
        """
        position = self.position
        if position is None:
            raise FailedPreconditionError(
                None, None, "GetNext() failed because the iterator has not been initialized. Ensure that you have run the "
                "initializer operation for this iterator before getting the next element."
            )  # fmt: skip
        with self._lock, waiting_by(wait):
            try:
                return next(position)
            except StopIteration:
                pass
        raise OutOfRangeError(None, None, "End of sequence")

    def save(self):
        """The position as bytes. Raises FailedPreconditionError where there is none, or it cannot be saved."""
        with self._lock:
            self._check_begun("save")
            return packed(self.position.save())

    def load(self, state):
        """Go where `state` says, in the dataset that the iterator was given; stay where that fails."""
        with self._lock:
            self._check_begun("restore")
            position = self.dataset.start()
            try:
                position.load(unpacked(state))
            except (TypeError, ValueError, LookupError, AttributeError) as error:
                raise InvalidArgumentError(
                    None, None, f"the saved position is of another pipeline than that of iterator {self.name}, or damaged "
                    f"({error}): restore it into the pipeline that it was saved from"
                ) from error  # fmt: skip
            self._stand_at(position)

    def _check_begun(self, what):
        if self.position is None:
            raise FailedPreconditionError(
                None, None, f"{what}() of iterator {self.name} failed because it has not been initialized: run its "
                "initializer first"
            )  # fmt: skip


def check_alike(types, shapes, found_types, found_shapes):
    """Raise InvalidArgumentError unless elements of the found dtypes and shapes may stand for the expected."""
    if not types or found_types is None:
        return
    if len(types) != len(found_types):
        raise InvalidArgumentError(
            None, None, f"Incompatible number of components: expected {len(types)} but got {len(found_types)}."
        )  # fmt: skip
    for i, (wanted, found) in enumerate(zip(types, found_types, strict=True)):
        if wanted != found:
            raise InvalidArgumentError(
                None, None, f"Data type mismatch at component {i}: expected {wanted.name} but got {found.name}."
            )  # fmt: skip
    for i, (wanted, found) in enumerate(zip(shapes, found_shapes, strict=True)):
        if not wanted.is_compatible_with(found):
            raise InvalidArgumentError(
                None,
                None,
                f"Incompatible shapes at component {i}: expected {wanted} but got {found}.",
            )


def _define(type_name, doc):
    def kernel(ctx, *, shared_name, container, output_types, output_shapes):
        name = shared_name or ctx.node.name
        make = IteratorResource
        return ctx.resource(
            "iterator", container, name, lambda: make(name, output_types, output_shapes)
        )

    kernel.__doc__ = doc
    opdef = op(
        type_name, "-> handle: resource", shared_name=Attr("string"), container=Attr("string"), **ELEMENT
    )(kernel)  # fmt: skip
    opdef.shape(lambda: [()])
    return opdef.no_gradient("an iterator has no derivative")


iterator_op = _define("Iterator", "An iterator that is given a dataset by MakeIterator.")
iterator_v2_op = _define("IteratorV2", "An iterator that is given a dataset by MakeIterator.")


@op(
    "OneShotIterator",
    "-> handle: resource",
    dataset_factory=Attr("func"),
    **ELEMENT,
    container="",
    shared_name="",
)
def one_shot_iterator_op(
    ctx, *, dataset_factory, output_types, output_shapes, container, shared_name
):
    """An iterator that begins with the dataset that a function makes, when it is first asked for an element."""
    name = shared_name or ctx.node.name

    def make():
        made = IteratorResource(name, output_types, output_shapes)
        made.begin(dataset_factory()[0])
        return made

    return ctx.resource("iterator", container, name, make)


one_shot_iterator_op.shape(lambda: [()])


@op("MakeIterator", "dataset: variant, iterator: resource ->")
def make_iterator_op(dataset, iterator):
    """Have the iterator stand before the first element of a dataset."""
    iterator.begin(dataset)
    return ()


def _define_next(type_name):
    @op(type_name, "iterator: resource -> components: output_types...", **ELEMENT)
    def kernel(ctx, iterator):
        """The next element. Raises OutOfRangeError behind the last."""
        return iterator.next(ctx.wait)

    kernel.shape(lambda iterator, *, output_shapes: output_shapes)
    return kernel.waits()


iterator_get_next_op = _define_next("IteratorGetNext")
iterator_get_next_sync_op = _define_next("IteratorGetNextSync")


@op("IteratorGetNextAsOptional", "iterator: resource -> optional: variant", **ELEMENT)
def iterator_get_next_as_optional_op(ctx, iterator):
    """The next element as an optional, which is empty behind the last."""
    try:
        return list(iterator.next(ctx.wait))
    except OutOfRangeError:
        return []


iterator_get_next_as_optional_op.waits().shape(lambda iterator: [()])


def _handles(ctx):
    return ctx.resource("iterator handles", "", "", dict)


@op("IteratorToStringHandle", "resource_handle: resource -> string_handle: string")
def iterator_to_string_handle_op(ctx, iterator):
    """A string that stands for the iterator in this session."""
    handle = f"{HANDLE}{iterator.name}".encode()
    _handles(ctx)[handle] = iterator
    return handle


iterator_to_string_handle_op.shape(lambda iterator: [()])


def _define_from_handle(type_name):
    @op(type_name, "string_handle: string -> resource_handle: resource", **PERHAPS)
    def kernel(ctx, string_handle, *, output_types, output_shapes):
        """The iterator that a string stands for in this session."""
        handle = np.asarray(string_handle).item()
        if not handle.startswith(HANDLE.encode()):
            raise InvalidArgumentError(
                None, None, "Could not parse string_handle as a valid ResourceHandle"
            )
        iterator = _handles(ctx).get(handle)
        if iterator is None:
            raise InvalidArgumentError(
                None, None, f"no iterator of this session has the handle {handle!r}: get it from `string_handle()` in the "
                "same session"
            )  # fmt: skip
        check_alike(output_types, output_shapes, iterator.types, iterator.shapes)
        return iterator

    kernel.shape(lambda string_handle: [()])
    return kernel


iterator_from_string_handle_op = _define_from_handle("IteratorFromStringHandle")
iterator_from_string_handle_v2_op = _define_from_handle("IteratorFromStringHandleV2")


@op(
    "SerializeIterator", "resource_handle: resource -> serialized: variant", external_state_policy=0
)
def serialize_iterator_op(iterator):
    """Where the iterator stands, as bytes."""
    made = np.empty((), object)
    made[()] = iterator.save()
    return made


serialize_iterator_op.shape(lambda iterator: [()])


@op("DeserializeIterator", "resource_handle: resource, serialized: variant ->")
def deserialize_iterator_op(iterator, serialized):
    """Have the iterator stand where it stood when the bytes were made."""
    iterator.load(np.asarray(serialized).item())
    return ()


for _opdef in (
    one_shot_iterator_op, make_iterator_op, iterator_get_next_op, iterator_get_next_sync_op,
    iterator_get_next_as_optional_op, iterator_to_string_handle_op, iterator_from_string_handle_op,
    iterator_from_string_handle_v2_op, serialize_iterator_op, deserialize_iterator_op,
):  # fmt: skip
    _opdef.stateful().no_gradient("an iterator has no derivative")
