"""Recurrent networks: a cell applied along time, by a loop (`dynamic_rnn`) or unrolled (`static_rnn`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.model.branches import cond
from ckpt.model.loops import while_loop
from ckpt.model.rnn_cell import check_cell, leading_sizes, zero_state_of
from ckpt.model.scopes import variable_scope
from ckpt.model.tensor_array import TensorArray
from ckpt.ops import (
    casting,
    checking,
    compare,
    constants,
    control,
    elementwise,
    indexing,
    joining,
    reduction,
    shaping,
)


def _swapped(tensor: Tensor) -> Tensor:
    """[a, b, ...] as [b, a, ...]; of unknown rank as well."""
    rank = tensor.shape.rank
    if rank is not None and rank < 2:
        raise ValueError(
            f"Expected input tensor {tensor.name} to have rank at least 2, but saw shape: {tensor.shape}"
        )
    rest = indexing.range_(2, shaping.rank(tensor))
    return shaping.transpose(tensor, joining.concat([[1, 0], rest], 0))


def batch_size_of(flat_inputs: Sequence[Tensor], axis: int) -> Any:
    """How many sequences there are: a number where one of the inputs says it, else a tensor."""
    for tensor in flat_inputs:
        sizes = tensor.shape.sizes
        if sizes is not None and len(sizes) > axis and sizes[axis] is not None:
            return sizes[axis]
    return shaping.shape(flat_inputs[0])[axis]


def _start(cell: Any, initial_state: Any, batch: Any, dtype: Any) -> Any:
    if initial_state is not None:
        return nest.map_structure(
            lambda s: s if isinstance(s, TensorArray) else convert.convert_to_tensor(s),
            initial_state,
        )
    if dtype is None:
        raise ValueError("If there is no initial_state, you must give a dtype.")
    return cell.zero_state(batch, dtype)


def _lengths(sequence_length: Any) -> Tensor | None:
    if sequence_length is None:
        return None
    found: Tensor = casting.cast(sequence_length, dtypes.int32)
    if found.shape.rank not in (None, 1):
        raise ValueError(
            f"sequence_length must be a vector of length batch_size, but saw shape: {found.shape}"
        )
    lengths: Tensor = control.identity(found, name="sequence_length")
    return lengths


def _checked(lengths: Tensor | None, batch: Any) -> Tensor | None:
    """The lengths, once it is sure that there is one for each sequence."""
    if lengths is None:
        return None
    found = shaping.shape(lengths)
    wanted = joining.stack([batch])
    said = [
        f"Expected shape for Tensor {lengths.name} is ",
        wanted,
        " but saw shape: ",
        found,
    ]
    same = reduction.reduce_all(compare.equal(found, wanted))
    with control_dependencies([checking.Assert(same, said)]):
        checked: Tensor = control.identity(lengths, name="CheckSeqLen")
    return checked


def held_or_new(running: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` for the sequences that still run, `old` for the others."""
    if isinstance(new, TensorArray) or new.shape.rank == 0:
        return new
    found: Tensor = compare.where(running, new, old)
    found.set_shape(new.shape)
    return found


def dynamic_rnn(
    cell: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """The cell applied along time by a loop: (outputs, last state).

    inputs: [batch, time, ...] (or [time, batch, ...]) or a nest of these; outputs in the same layout, zeros past
    `sequence_length` ([batch]), where the state stays as it is. Raises TypeError for what is no cell, ValueError
    without `initial_state` and `dtype`.
    """
    check_cell(cell)
    with variable_scope(scope or "rnn"):
        flat = [convert.convert_to_tensor(t) for t in nest.flatten(inputs)]
        if not time_major:
            flat = [_swapped(t) for t in flat]
        lengths = _lengths(sequence_length)
        batch = batch_size_of(flat, 1)
        state = _start(cell, initial_state, batch, dtype)
        lengths = _checked(lengths, batch)
        outputs, last = _dynamic_loop(
            cell, inputs, flat, state, lengths, dtype, parallel_iterations or 32, swap_memory
        )
        if not time_major:
            outputs = nest.map_structure(_swapped, outputs)
        return outputs, last


def _checked_time(flat: list[Tensor]) -> int | None:
    """The number of steps where it is known. Raises ValueError where inputs differ in it, or have unknown depths."""
    for tensor in flat:
        rank = tensor.shape.rank
        if (
            rank is not None
            and rank >= 3
            and any(s is None for s in (tensor.shape.sizes or ())[2:])
        ):
            raise ValueError(
                "Input size (depth of inputs) must be accessible via shape inference, but saw value None."
            )
    static_time = next((t.shape.sizes[0] for t in flat if t.shape.sizes), None)
    for tensor in flat:
        if tensor.shape.sizes and static_time != tensor.shape.sizes[0]:
            raise ValueError(
                "Time steps is not the same for all the elements in the input in a batch."
            )
    return static_time


def _outputs(sizes: list[Any], kind: Any, steps: Tensor, batch: int | None) -> list[TensorArray]:
    """An array for each output of the cell; all of a loop's arrays are called after it."""
    with name_scope("dynamic_rnn") as prefix:
        names = [f"{prefix}output_{i}" for i in range(len(sizes))]
    return [
        TensorArray(
            kind, size=steps, tensor_array_name=name,
            element_shape=TensorShape([batch]).concatenate(_shape_of(size)),
        )
        for name, size in zip(names, sizes, strict=True)
    ]  # fmt: skip


def _inputs(flat: list[Tensor], steps: Tensor) -> list[TensorArray]:
    """The inputs, step by step."""
    arrays = [
        TensorArray(
            t.dtype.base_dtype, size=steps, tensor_array_name="dynamic_rnn/input", element_shape=t.shape[1:]
        )
        for t in flat
    ]  # fmt: skip
    return [array.unstack(t) for array, t in zip(arrays, flat, strict=True)]


def _dynamic_loop(
    cell: Any,
    like: Any,
    flat: list[Tensor],
    state: Any,
    lengths: Tensor | None,
    dtype: Any,
    parallel_iterations: int,
    swap_memory: bool,
) -> tuple[Any, Any]:
    static_time = _checked_time(flat)
    steps = shaping.shape(flat[0])[0]
    batch = batch_size_of(flat, 1)
    sizes = cell.output_size
    flat_sizes = [sizes] if isinstance(sizes, TensorShape) else nest.flatten(sizes)
    kind = dtypes.as_dtype(dtype).base_dtype if dtype is not None else _state_dtype(state)
    static_batch = batch if isinstance(batch, int) else None
    zeros = [
        constants.zeros(joining.concat(leading_sizes(batch, _shape_of(size).as_list()), 0), kind)
        for size in flat_sizes
    ]
    if lengths is not None:
        reduction.reduce_min(lengths)  # TensorFlow makes it, too
        longest: Any = reduction.reduce_max(lengths)
    else:
        longest = steps
    time = constants.constant(0, dtype=dtypes.int32, name="time")
    arrays = _outputs(flat_sizes, kind, steps, static_batch)
    sources = _inputs(flat, steps)

    def body(t: Tensor, out: tuple[TensorArray, ...], held: Any) -> Any:
        read = [source.read(t) for source in sources]
        step_inputs = nest.pack_sequence_as(like, read) if nest.is_nested(like) else read[0]
        output, new = cell(step_inputs, held)
        nest.assert_same_structure(held, new, check_types=False)
        flat_output = nest.flatten(output)
        new_flat = nest.flatten(new)
        if lengths is not None:
            running = t < lengths
            flat_output = [
                held_or_new(running, o, z) for o, z in zip(flat_output, zeros, strict=True)
            ]
            new_flat = [
                held_or_new(running, n, h)
                for n, h in zip(new_flat, nest.flatten(held), strict=True)
            ]
        written = tuple(a.write(t, o) for a, o in zip(out, flat_output, strict=True))
        return t + 1, written, nest.pack_sequence_as(held, new_flat)

    bound = elementwise.minimum(steps, elementwise.maximum(1, longest))
    _, done, last = while_loop(
        lambda t, *_: t < bound,
        body,
        (time, tuple(arrays), state),
        parallel_iterations=parallel_iterations,
        swap_memory=swap_memory,
        _counted=True,
    )
    outputs = [array.stack() for array in done]
    for stacked, size in zip(outputs, flat_sizes, strict=True):
        if static_time is not None and static_batch is not None:  # TensorFlow's nodes for it
            constants.constant([static_time, static_batch], dtype=dtypes.int32)
        constants.constant(_shape_of(size).as_list(), dtype=dtypes.int32)
        stacked.set_shape(TensorShape([static_time, static_batch]).concatenate(_shape_of(size)))
    packed = outputs[0] if isinstance(sizes, TensorShape) else nest.pack_sequence_as(sizes, outputs)
    return packed, last


def _shape_of(size: Any) -> TensorShape:
    return TensorShape([size]) if isinstance(size, int) else TensorShape(size)


def _state_dtype(state: Any) -> Any:
    kinds = {t.dtype.base_dtype for t in nest.flatten(state)}
    if not kinds:
        raise ValueError("Unable to infer dtype from empty state.")
    if len(kinds) > 1:
        raise ValueError(
            "State has tensors of different inferred_dtypes. Unable to infer a single representative dtype."
        )
    return kinds.pop()


def _reversed(tensor: Tensor, lengths: Any, seq_axis: int, batch_axis: int) -> Tensor:
    if lengths is not None:
        return OPS["ReverseSequence"](tensor, lengths, seq_dim=seq_axis, batch_dim=batch_axis)  # type: ignore[no-any-return]
    return OPS["ReverseV2"](tensor, [seq_axis])  # type: ignore[no-any-return]  # a tensor


def bidirectional_dynamic_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """One cell forwards and one backwards in time: ((outputs fw, bw), (last state fw, bw))."""
    check_cell(cell_fw, "cell_fw")
    check_cell(cell_bw, "cell_bw")
    options = {
        "sequence_length": sequence_length, "dtype": dtype, "parallel_iterations": parallel_iterations,
        "swap_memory": swap_memory, "time_major": time_major,
    }  # fmt: skip
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as fw_scope:
            fw, fw_state = dynamic_rnn(
                cell_fw, inputs, initial_state=initial_state_fw, scope=fw_scope, **options
            )
        time_axis, batch_axis = (0, 1) if time_major else (1, 0)

        def turned(tensor: Any) -> Tensor:
            return _reversed(
                convert.convert_to_tensor(tensor), sequence_length, time_axis, batch_axis
            )

        with variable_scope("bw") as bw_scope:
            backwards = nest.map_structure(turned, inputs)
            bw, bw_state = dynamic_rnn(
                cell_bw, backwards, initial_state=initial_state_bw, scope=bw_scope, **options
            )
    return (fw, nest.map_structure(turned, bw)), (fw_state, bw_state)


def static_rnn(
    cell: Any,
    inputs: Sequence[Any],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """The cell applied to each of `inputs` (a list over time of [batch, ...]), unrolled: (outputs, last state)."""
    check_cell(cell)
    if not nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    outputs: list[Any] = []
    with variable_scope(scope or "rnn") as opened:
        first = [convert.convert_to_tensor(t) for t in nest.flatten(inputs[0])]
        for tensor in first:
            if tensor.shape.rank is not None and any(
                s is None for s in (tensor.shape.sizes or ())[1:]
            ):
                raise ValueError(
                    "Input size (dimension 1 of inputs) must be accessible via shape inference, but saw value None."
                )
        batch = batch_size_of(first, 0)
        if initial_state is None and not dtype:
            raise ValueError("If no initial_state is provided, dtype must be specified")
        state = _start(cell, initial_state, batch, dtype)
        lengths = _lengths(sequence_length)
        if lengths is not None:
            reduction.reduce_min(lengths)  # TensorFlow makes it, too
            longest = reduction.reduce_max(lengths)
            kind = dtypes.as_dtype(dtype).base_dtype if dtype is not None else _state_dtype(state)
            zeros = zero_state_of(cell.output_size, batch, kind)
        for time, step_inputs in enumerate(inputs):
            if time > 0:
                opened.reuse_variables()
            if lengths is None:
                output, state = cell(step_inputs, state)
            else:
                output, state = _masked_step(
                    cell, time, step_inputs, state, lengths, zeros, longest
                )
            outputs.append(output)
    return outputs, state


def _masked_step(
    cell: Any,
    time: int,
    inputs: Any,
    state: Any,
    lengths: Tensor,
    zeros: Any,
    longest: Tensor,
) -> tuple[Any, Any]:
    """One step of the sequences that are that long; the others keep their state and put out zeros."""

    def step() -> Any:
        output, new = cell(inputs, state)
        running = compare.greater(lengths, time)
        outs = [
            held_or_new(running, o, z)
            for o, z in zip(nest.flatten(output), nest.flatten(zeros), strict=True)
        ]
        news = [
            held_or_new(running, n, h)
            for n, h in zip(nest.flatten(new), nest.flatten(state), strict=True)
        ]
        return [*outs, *news]

    flat = cond(
        compare.less_equal(longest, time),
        lambda: [*nest.flatten(zeros), *nest.flatten(state)],
        step,
        strict=True,
    )
    count = len(nest.flatten(zeros))
    for tensor, like in zip(flat, [*nest.flatten(zeros), *nest.flatten(state)], strict=True):
        tensor.set_shape(like.shape)
    return nest.pack_sequence_as(zeros, flat[:count]), nest.pack_sequence_as(state, flat[count:])


def static_bidirectional_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Sequence[Any],
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any, Any]:
    """One cell forwards and one backwards, unrolled: (outputs joined along the last axis, last state fw, bw)."""
    check_cell(cell_fw, "cell_fw")
    check_cell(cell_bw, "cell_bw")
    if not nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as fw_scope:
            fw, fw_state = static_rnn(
                cell_fw, inputs, initial_state_fw, dtype, sequence_length, scope=fw_scope
            )
        with variable_scope("bw") as bw_scope:
            turned = _turned(list(inputs), sequence_length)
            bw, bw_state = static_rnn(
                cell_bw, turned, initial_state_bw, dtype, sequence_length, scope=bw_scope
            )
    bw = _turned(bw, sequence_length)
    flat = [
        joining.concat([f, b], 1) for f, b in zip(nest.flatten(fw), nest.flatten(bw), strict=True)
    ]
    return nest.pack_sequence_as(fw, flat), fw_state, bw_state


def _turned(inputs: list[Any], lengths: Any) -> list[Any]:
    if lengths is None:
        return list(reversed(inputs))
    flat = [nest.flatten(i) for i in inputs]
    columns = []
    for column in zip(*flat, strict=True):
        joined = joining.stack(list(column))
        turned = _reversed(joined, casting.cast(lengths, dtypes.int64), 0, 1)
        columns.append(joining.unstack(turned, num=len(column)))
    found = [
        nest.pack_sequence_as(i, list(row))
        for i, row in zip(inputs, zip(*columns, strict=True), strict=True)
    ]
    for before, after in zip(inputs, found, strict=True):
        for b, a in zip(nest.flatten(before), nest.flatten(after), strict=True):
            a.set_shape(b.shape)
    return found
