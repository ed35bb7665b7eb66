"""Batches of examples through queues that threads fill: `tf.train.batch`, `shuffle_batch`, their `join` and `maybe` forms.

Sparse tensors go through the queue as numbers of what a map of the session keeps (`ops/sparse_maps.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.graph.sparse import SparseTensor, convert_to_tensor_or_sparse_tensor
from ckpt.graph.static import constant_value
from ckpt.model import summary
from ckpt.model.branches import cond
from ckpt.model.input import summarize_fullness
from ckpt.model.queue_runner import QueueRunner, add_queue_runner
from ckpt.model.queues import (
    FIFOQueue,
    PaddingFIFOQueue,
    QueueBase,
    RandomShuffleQueue,
    common_shape,
)
from ckpt.ops import (
    casting,
    compare,
    constants,
    control,
    elementwise,
    indexing,
    partitioning,
    shaping,
    sparse_maps,
)

Tensors = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A column of sparse tensors: the map that keeps them, and the rank that a batch of them has."""

    map_name: str
    dtype: DType
    rank: int | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked of a batch, whatever its queue."""

    size: Any
    enqueue_many: bool
    shapes: Any
    allows_smaller: bool
    threads: int = 1


@dataclass(frozen=True, slots=True)
class _Through:
    """The queue that examples go through: how it is made, how many it holds, and how many stay in it."""

    make: Callable[[list[DType], Any], QueueBase]
    capacity: int
    kept: int | None = None


def batch(
    tensors: Tensors, batch_size: Any, num_threads: int = 1, capacity: int = 32, enqueue_many: bool = False,
    shapes: Any = None, dynamic_pad: bool = False, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Batches of `batch_size` examples: `tensors` is one, a list or dict of tensors, and so is the result.

    With `enqueue_many` the tensors hold many examples along their first axis. Shapes must be known (or given) unless
    `dynamic_pad` pads those of a batch to the largest. The last batch is left out when it is not full, unless
    `allow_smaller_final_batch`. `num_threads` threads of a QueueRunner fill the queue, which holds `capacity` examples.
    Raises ValueError for unknown shapes and for no tensors.
    """
    return maybe_batch(
        tensors, True, batch_size, num_threads, capacity, enqueue_many, shapes, dynamic_pad,
        allow_smaller_final_batch, shared_name, name,
    )  # fmt: skip


def maybe_batch(
    tensors: Tensors, keep_input: Any, batch_size: Any, num_threads: int = 1, capacity: int = 32,
    enqueue_many: bool = False, shapes: Any = None, dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `batch`, of those examples for which `keep_input` holds: a bool scalar, or one per example of `enqueue_many`."""
    wanted = _Wanted(batch_size, enqueue_many, shapes, allow_smaller_final_batch, num_threads)
    through = _fifo(dynamic_pad, capacity, shared_name)
    return _batched("batch", [tensors], keep_input, through, wanted, name)


def batch_join(
    tensors_list: Sequence[Tensors], batch_size: Any, capacity: int = 32, enqueue_many: bool = False,
    shapes: Any = None, dynamic_pad: bool = False, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `batch`, of the examples of several sources: one thread for each element of `tensors_list`.

    All have the same number of tensors, of the same dtypes (TypeError), or the same keys (ValueError).
    """
    return maybe_batch_join(
        tensors_list, True, batch_size, capacity, enqueue_many, shapes, dynamic_pad, allow_smaller_final_batch,
        shared_name, name,
    )  # fmt: skip


def maybe_batch_join(
    tensors_list: Sequence[Tensors], keep_input: Any, batch_size: Any, capacity: int = 32,
    enqueue_many: bool = False, shapes: Any = None, dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `batch_join`, of those examples for which `keep_input` holds: a bool scalar, or one per example."""
    wanted = _Wanted(batch_size, enqueue_many, shapes, allow_smaller_final_batch)
    through = _fifo(dynamic_pad, capacity, shared_name)
    return _batched("batch_join", tensors_list, keep_input, through, wanted, name)


def shuffle_batch(
    tensors: Tensors, batch_size: Any, capacity: int, min_after_dequeue: int, num_threads: int = 1,
    seed: int | None = None, enqueue_many: bool = False, shapes: Any = None,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `batch`, in random order: a batch is drawn from the queue, in which `min_after_dequeue` examples stay behind.

    Raises ValueError unless `capacity` is larger than that.
    """
    return maybe_shuffle_batch(
        tensors, batch_size, capacity, min_after_dequeue, True, num_threads, seed, enqueue_many, shapes,
        allow_smaller_final_batch, shared_name, name,
    )  # fmt: skip


def maybe_shuffle_batch(
    tensors: Tensors, batch_size: Any, capacity: int, min_after_dequeue: int, keep_input: Any,
    num_threads: int = 1, seed: int | None = None, enqueue_many: bool = False, shapes: Any = None,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `shuffle_batch`, of those examples for which `keep_input` holds: a bool scalar, or one per example."""
    wanted = _Wanted(batch_size, enqueue_many, shapes, allow_smaller_final_batch, num_threads)
    through = _shuffling(capacity, min_after_dequeue, seed, shared_name)
    return _batched("shuffle_batch", [tensors], keep_input, through, wanted, name)


def shuffle_batch_join(
    tensors_list: Sequence[Tensors], batch_size: Any, capacity: int, min_after_dequeue: int,
    seed: int | None = None, enqueue_many: bool = False, shapes: Any = None,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `shuffle_batch`, of the examples of several sources: one thread for each element of `tensors_list`."""
    return maybe_shuffle_batch_join(
        tensors_list, batch_size, capacity, min_after_dequeue, True, seed, enqueue_many, shapes,
        allow_smaller_final_batch, shared_name, name,
    )  # fmt: skip


def maybe_shuffle_batch_join(
    tensors_list: Sequence[Tensors], batch_size: Any, capacity: int, min_after_dequeue: int, keep_input: Any,
    seed: int | None = None, enqueue_many: bool = False, shapes: Any = None,
    allow_smaller_final_batch: bool = False, shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Like `shuffle_batch_join`, of those examples for which `keep_input` holds: a bool scalar, or one per example."""
    wanted = _Wanted(batch_size, enqueue_many, shapes, allow_smaller_final_batch)
    through = _shuffling(capacity, min_after_dequeue, seed, shared_name)
    return _batched("shuffle_batch_join", tensors_list, keep_input, through, wanted, name)


def _fifo(pads: bool, capacity: int, shared_name: str | None) -> _Through:
    kind: Any = PaddingFIFOQueue if pads else FIFOQueue
    return _Through(
        lambda types, shapes: kind(capacity, types, shapes, shared_name=shared_name), capacity
    )


def _shuffling(capacity: int, kept: int, seed: int | None, shared_name: str | None) -> _Through:
    if capacity <= kept:
        raise ValueError(f"capacity {capacity} must be bigger than min_after_dequeue {kept}.")
    return _Through(
        lambda types, shapes: RandomShuffleQueue(
            capacity, kept, types, shapes, seed=seed, shared_name=shared_name
        ),
        capacity,
        kept,
    )


def _summarize(queue: QueueBase, through: _Through) -> None:
    """How full the queue is, as a summary; of a shuffling one, how much there is beyond what stays in it."""
    if through.kept is None:
        summarize_fullness(queue, through.capacity)
        return
    beyond = elementwise.maximum(0, queue.size() - through.kept)
    room = through.capacity - through.kept
    full = casting.cast(beyond, dtypes.float32) * (1.0 / room)
    summary.scalar(f"fraction_over_{through.kept}_of_{room}_full", full)


def _batched(
    called: str, sources: Any, keep_input: Any, through: _Through, wanted: _Wanted, name: str | None
) -> Any:
    """The batch: every source gets its thread(s), which put examples into one queue."""
    rows, keys, is_single = _taken_apart(called, sources)
    with name_scope(name, called, [*(t for row in rows for t in row), keep_input]) as scope:
        columns = [[_converted(tensor) for tensor in row] for row in rows]
        keep = _checked_keep(keep_input, wanted.enqueue_many)
        stored, kept = _stored(columns, wanted.enqueue_many, keep)
        types = _common_types(stored)
        queue = through.make(types, _common_shapes(stored, wanted.shapes, wanted.enqueue_many))
        puts = [_put(queue, row, wanted.enqueue_many, keep) for row in stored]
        add_queue_runner(QueueRunner(queue, puts * wanted.threads))
        _summarize(queue, through)
        dequeue = queue.dequeue_up_to if wanted.allows_smaller else queue.dequeue_many
        found = dequeue(wanted.size, name=scope)
        results = _restored(found if isinstance(found, list) else [found], kept)
    if keys is not None:
        return dict(zip(keys, results, strict=True))
    return results[0] if is_single else results


def _taken_apart(called: str, sources: Any) -> tuple[list[list[Any]], list[str] | None, bool]:
    """The tensors of each source in one order, the keys where they are dicts, and whether each is only one tensor."""
    if not isinstance(sources, (list, tuple)):
        raise TypeError(f"{called} takes a list of sources, got {sources!r}")
    if not sources:
        raise ValueError("Expected at least one set of tensors")
    first = sources[0]
    keys = None
    if isinstance(first, Mapping):
        keys = sorted(first)
        if any(not isinstance(s, Mapping) or sorted(s) != keys for s in sources):
            raise ValueError("All dictionaries in tensors_list must have the same keys")
        rows = [[source[key] for key in keys] for source in sources]
    elif all(isinstance(source, (list, tuple)) for source in sources):
        rows = [list(source) for source in sources]
    else:
        raise TypeError(f"{called} takes lists or dicts of tensors, got {first!r}")
    if not rows[0]:
        raise ValueError(f"Expected at least one tensor in {called}().")
    if any(len(row) != len(rows[0]) for row in rows):
        counts = ", ".join(str(len(row)) for row in rows)
        raise ValueError(f"All sources must have the same number of tensors, got {counts}")
    return rows, keys, keys is None and len(rows[0]) == 1


def _converted(tensor: Any) -> Any:
    return convert_to_tensor_or_sparse_tensor(tensor)


def _checked_keep(keep_input: Any, enqueue_many: bool) -> Tensor:
    keep = convert.convert_to_tensor(keep_input)
    rank = keep.shape.rank
    if rank is None:
        raise ValueError("`keep_input` rank must be known at graph construction.")
    if rank > 1:
        raise ValueError("`keep_input` must be 0 or 1 dimensions.")
    if rank == 1 and not enqueue_many:
        raise ValueError("`keep_input` cannot be a vector when `enqueue_many=False`.")
    return keep


def _common_types(rows: list[list[Tensor]]) -> list[DType]:
    for row in rows:
        for ours, theirs in zip(rows[0], row, strict=True):
            if ours.dtype.base_dtype != theirs.dtype.base_dtype:
                raise TypeError(
                    f"Expected types to be consistent: {ours.dtype.name} vs. {theirs.dtype.name}."
                )
    return [tensor.dtype.base_dtype for tensor in rows[0]]


def _common_shapes(rows: list[list[Tensor]], given: Any, enqueue_many: bool) -> Any:
    """The shape of one example of each column: as given, or what all sources have in common."""
    if given is not None:
        return given
    shapes = []
    for column in zip(*rows, strict=True):
        for tensor in column:
            if tensor.shape.rank is None:
                raise ValueError(f"Cannot infer Tensor's rank: {tensor}")
        found = [tensor.shape for tensor in column]
        if enqueue_many:
            found = [shape.with_rank_at_least(1)[1:] for shape in found]
        for shape in found:
            shape.assert_same_rank(found[0])
        shapes.append(common_shape(found))
    return shapes


def _put(queue: QueueBase, row: list[Tensor], enqueue_many: bool, keep: Tensor) -> Operation:
    """The operation that puts an example, or several, or those that are to be kept."""
    put = queue.enqueue_many if enqueue_many else queue.enqueue
    if keep.shape.rank == 1:
        places = casting.cast(keep, dtypes.int32)
        return put([partitioning.dynamic_partition(tensor, places, 2)[1] for tensor in row])
    known = constant_value(keep)
    if known is not None and bool(known):
        return put(row)
    found = cond(keep, lambda: put(row), control.no_op)
    return found.op if isinstance(found, Tensor) else found


def _stored(
    rows: list[list[Any]], enqueue_many: bool, keep: Tensor
) -> tuple[list[list[Tensor]], list[_Kept | None]]:
    """The rows with numbers in the place of sparse tensors, and what is kept of each column under numbers."""
    columns: list[list[Tensor]] = []
    kept: list[_Kept | None] = []
    for column in zip(*rows, strict=True):
        if any(isinstance(tensor, SparseTensor) for tensor in column):
            if not all(isinstance(tensor, SparseTensor) for tensor in column):
                raise TypeError("A component is sparse in all sources or in none")
            numbers, info = _stored_column(column, enqueue_many, keep)
            columns.append(numbers)
            kept.append(info)
        else:
            columns.append(list(column))
            kept.append(None)
    return [list(row) for row in zip(*columns, strict=True)], kept


def _stored_column(
    column: Sequence[SparseTensor], enqueue_many: bool, keep: Tensor
) -> tuple[list[Tensor], _Kept]:
    name = ""
    numbers = []
    for sparse in column:
        number, name = _kept_number(sparse, enqueue_many, keep, name)
        numbers.append(shaping.expand_dims(number, -1))
    ranks = {sparse.dense_shape.shape[0].value for sparse in column}
    rank = ranks.pop() if len(ranks) == 1 else None
    if rank is not None and not enqueue_many:
        rank += 1
    return numbers, _Kept(name, column[0].dtype, rank)


def _kept_number(
    sparse: SparseTensor, enqueue_many: bool, keep: Tensor, map_name: str
) -> tuple[Tensor, str]:
    """The number(s) under which `sparse` is kept, and the name of the map: `map_name` where there is one."""
    opdef = sparse_maps.add_many_sparse if enqueue_many else sparse_maps.add_sparse
    if keep.shape.rank == 1:
        sparse = _only_kept_rows(sparse, keep)
    parts = (sparse.indices, sparse.values, sparse.dense_shape)
    known = constant_value(keep)
    if keep.shape.rank == 1 or (known is not None and bool(known)):
        number = opdef(*parts, shared_name=map_name)
        return number, map_name or number.op.name
    if not map_name:  # the body of a branch has names of its own
        map_name = keep.graph.unique_name(opdef.type)
    nothing = constants.constant([-1] if enqueue_many else -1, dtypes.int64)
    if enqueue_many:  # as many as there are examples
        nothing = constants.fill(shaping.expand_dims(sparse.dense_shape[0], 0), nothing[0])
    number = cond(
        keep, lambda: opdef(*parts, shared_name=map_name), lambda: control.identity(nothing)
    )
    number.set_shape([None] if enqueue_many else [])
    return number, map_name


def _only_kept_rows(sparse: SparseTensor, keep: Tensor) -> SparseTensor:
    """`sparse` without the elements of examples that are not kept; their rows stay, empty."""
    rows = indexing.gather(keep, sparse.indices[:, 0])
    places = shaping.reshape(compare.where(rows), [-1])
    return SparseTensor(
        indexing.gather(sparse.indices, places), indexing.gather(sparse.values, places),
        control.identity(sparse.dense_shape),
    )  # fmt: skip


def _restored(found: list[Tensor], kept: list[_Kept | None]) -> list[Any]:
    """The batch with sparse tensors in the place of their numbers; whoever takes a part of it takes all."""
    if not any(kept):
        return found
    taken: list[Any] = []
    for tensor, info in zip(found, kept, strict=True):
        if info is None:
            taken.append(tensor)
            continue
        numbers = shaping.squeeze(tensor, [1])
        indices, values, shape = sparse_maps.take_many_sparse(
            numbers, dtype=info.dtype, shared_name=info.map_name
        )
        indices.set_shape([None, info.rank])
        shape.set_shape([info.rank])
        taken.append(SparseTensor(indices, values, shape))
    if len(taken) == 1:
        return taken
    operations = [(part.indices if isinstance(part, SparseTensor) else part).op for part in taken]
    with control_dependencies(operations):
        return [
            SparseTensor(*map(_after, (part.indices, part.values, part.dense_shape)))
            if isinstance(part, SparseTensor)
            else _after(part)
            for part in taken
        ]


def _after(tensor: Tensor) -> Tensor:
    found: Tensor = control.identity(tensor, name="control_dependency")
    return found
