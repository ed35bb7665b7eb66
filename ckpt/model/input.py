"""Queues of inputs, round and round: files, numbers, slices of tensors (`tf.train.string_input_producer` and its kin)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import as_shape
from ckpt.graph import convert
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.model import summary
from ckpt.model.queue_runner import QueueRunner, add_queue_runner
from ckpt.model.queues import FIFOQueue, QueueBase
from ckpt.model.variables import Variable
from ckpt.ops import (
    casting,
    checking,
    constants,
    control,
    files,
    indexing,
    random,
    shaping,
)


def match_filenames_once(pattern: Any, name: str | None = None) -> Variable:
    """A local variable that gets the files that match when it is initialised, and keeps them: strings [count]."""
    with name_scope(name, "matching_filenames", [pattern]) as scope:
        return Variable(
            initial_value=files.matching_files(pattern), trainable=False, name=scope, validate_shape=False,
            collections=[GraphKeys.LOCAL_VARIABLES],
        )  # fmt: skip


def limit_epochs(tensor: Any, num_epochs: int | None = None, name: str | None = None) -> Tensor:
    """`tensor`, which can be taken `num_epochs` times (None: any number); then it is an OutOfRangeError.

    What counts is a local variable, so that `local_variables_initializer` must run. Raises ValueError unless the number
    is positive.
    """
    if num_epochs is None:
        return convert.convert_to_tensor(tensor)
    if num_epochs <= 0:
        raise ValueError(f"num_epochs must be > 0 not {num_epochs}.")
    with name_scope(name, "limit_epochs", [tensor]) as scope:
        epochs = Variable(
            constants.constant(0, dtypes.int64), name="epochs", trainable=False,
            collections=[GraphKeys.LOCAL_VARIABLES],
        )  # fmt: skip
        with control_dependencies([epochs.count_up_to(num_epochs)]):
            kept: Tensor = control.identity(tensor, name=scope)
    return kept


def input_producer(
    input_tensor: Any, element_shape: Any = None, num_epochs: int | None = None, shuffle: bool = True,
    seed: int | None = None, capacity: int = 32, shared_name: str | None = None, summary_name: str | None = None,
    name: str | None = None, cancel_op: Any = None,
) -> FIFOQueue:  # fmt: skip
    """A queue that a QueueRunner fills with the slices of `input_tensor` along its first axis, `num_epochs` times.

    Each time in another order where `shuffle`. How full it is is a summary, called `summary_name`. Shapes of slices must be known, or given as `element_shape` (ValueError).
    """
    with name_scope(name, "input_producer", [input_tensor]):
        tensor = convert.convert_to_tensor(input_tensor, name="input_tensor")
        shape = tensor.shape.with_rank_at_least(1)[1:].merge_with(as_shape(element_shape))
        if not shape.is_fully_defined():
            raise ValueError(
                "Either `input_tensor` must have a fully defined shape or `element_shape` must be specified"
            )
        if shuffle:
            tensor = random.random_shuffle(tensor, seed=seed)
        tensor = limit_epochs(tensor, num_epochs)
        queue = FIFOQueue(
            capacity, [tensor.dtype.base_dtype], [shape], shared_name=shared_name, name=name or "FIFOQueueV2"
        )  # fmt: skip
        runner = QueueRunner(queue, [queue.enqueue_many([tensor])], cancel_op=cancel_op)
        add_queue_runner(runner)
        if summary_name is not None:
            summarize_fullness(queue, capacity, summary_name)
    return queue


def summarize_fullness(queue: QueueBase, capacity: int, name: str | None = None) -> None:
    """Add a summary of how full the queue is, from 0 to 1."""
    full = casting.cast(queue.size(), dtypes.float32) * (1.0 / capacity)
    summary.scalar(name or f"fraction_of_{capacity}_full", full)


def string_input_producer(
    string_tensor: Any, num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None,
    capacity: int = 32, shared_name: str | None = None, name: str | None = None, cancel_op: Any = None,
) -> FIFOQueue:  # fmt: skip
    """A queue of strings, of file names as a rule, `num_epochs` times in random order unless `shuffle` is False.

    Raises ValueError for no strings; where that is known only when running, the queue runner ends with an
    InvalidArgumentError.
    """
    problem = "string_input_producer requires a non-null input tensor"
    if not isinstance(string_tensor, Tensor) and not len(string_tensor):
        raise ValueError(problem)
    with name_scope(name, "input_producer", [string_tensor]) as scope:
        strings = convert.convert_to_tensor(string_tensor, dtype=dtypes.string)
        with control_dependencies([checking.Assert(shaping.size(strings) > 0, [problem])]):
            strings = control.identity(strings)
        return input_producer(
            strings, [], num_epochs, shuffle, seed, capacity, shared_name, f"fraction_of_{capacity}_full",
            name=scope, cancel_op=cancel_op,
        )  # fmt: skip


def range_input_producer(
    limit: Any, num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None,
    capacity: int = 32, shared_name: str | None = None, name: str | None = None,
) -> FIFOQueue:  # fmt: skip
    """A queue of the numbers from 0 to `limit` - 1, `num_epochs` times in random order unless `shuffle` is False."""
    with name_scope(name, "input_producer", [limit]) as scope:
        numbers = indexing.range_(limit)
        return input_producer(
            numbers, [], num_epochs, shuffle, seed, capacity, shared_name, f"fraction_of_{capacity}_full", name=scope
        )  # fmt: skip


def slice_input_producer(
    tensor_list: Sequence[Any], num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None,
    capacity: int = 32, shared_name: str | None = None, name: str | None = None,
) -> list[Tensor]:  # fmt: skip
    """One slice of each tensor along its first axis, the same for all, another one in each run.

    `num_epochs` times in random order unless `shuffle` is False. Raises ValueError for no tensors.
    """
    with name_scope(name, "input_producer", list(tensor_list)):
        tensors = [convert.convert_to_tensor(tensor) for tensor in tensor_list]
        if not tensors:
            raise ValueError("Expected at least one tensor in slice_input_producer().")
        count = shaping.shape(tensors[0])[0]
        place = range_input_producer(
            count, num_epochs, shuffle, seed, capacity, shared_name
        ).dequeue()
        return [indexing.gather(tensor, place) for tensor in tensors]
