"""A cell applied along time by a loop that the program steers: `tf.nn.raw_rnn`."""

from __future__ import annotations

from functools import partial
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.model.loops import while_loop
from ckpt.model.rnn import batch_size_of, held_or_new
from ckpt.model.rnn_cell import check_cell, zero_state_of
from ckpt.model.scopes import variable_scope
from ckpt.model.tensor_array import TensorArray
from ckpt.ops import compare, constants, reduction


def raw_rnn(
    cell: Any,
    loop_fn: Any,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Any]:
    """The cell in a loop that `loop_fn(time, output, state, loop_state)` steers.

    `loop_fn` returns (finished [batch], next input, next state, what to put out, next loop state); its first call,
    with output None, gives the start. Returns (arrays of outputs, last state, last loop state).
    """
    check_cell(cell)
    if not callable(loop_fn):
        raise TypeError("loop_fn must be a callable")
    with variable_scope(scope or "rnn"):
        time = constants.constant(0, dtype=dtypes.int32)
        finished, first, state, shape_like, loop_state = loop_fn(time, None, None, None)
        has_loop_state = loop_state is not None
        loop_state = constants.constant(0) if loop_state is None else loop_state
        flat_first = [convert.convert_to_tensor(t) for t in nest.flatten(first)]
        batch = batch_size_of(flat_first, 0)
        state = nest.map_structure(convert.convert_to_tensor, state)
        sizes, kinds = _output_likes(cell, shape_like, state)
        zeros = [
            nest.flatten(zero_state_of(s, batch, k))[0] for s, k in zip(sizes, kinds, strict=True)
        ]
        arrays = [
            TensorArray(
                kind, dynamic_size=True, size=0, infer_shape=False, element_shape=zero.shape
            )
            for kind, zero in zip(kinds, zeros, strict=True)
        ]
        like_output = cell.output_size if shape_like is None else shape_like
        packed_arrays = nest.pack_sequence_as(like_output, arrays) if not isinstance(like_output, TensorShape) else arrays[0]  # fmt: skip
        finished = convert.convert_to_tensor(finished)
        found = while_loop(
            lambda t, done, *_: compare.logical_not(reduction.reduce_all(done)),
            partial(_step, cell, loop_fn, has_loop_state, zeros),
            [time, finished, first, packed_arrays, state, loop_state],
            parallel_iterations=parallel_iterations or 32,
            swap_memory=swap_memory,
        )
        return found[3], found[4], found[5] if has_loop_state else None


def _step(
    cell: Any, loop_fn: Any, has_loop_state: bool, zeros: list[Tensor], t: Tensor, done: Tensor, given: Any, out: Any,
    held: Any, own: Any,
) -> Any:  # fmt: skip
    """One turn of the loop: what its variables are next."""
    output, new = cell(given, held)
    nest.assert_same_structure(held, new)
    following = t + 1
    next_done, next_input, next_state, put, next_own = loop_fn(
        following, output, new, own if has_loop_state else None
    )
    nest.assert_same_structure(held, next_state)
    nest.assert_same_structure(given, next_input)
    put = output if put is None else put
    next_own = own if next_own is None else next_own
    puts = [
        held_or_new(compare.logical_not(done), p, z)
        for p, z in zip(map(convert.convert_to_tensor, nest.flatten(put)), zeros, strict=True)
    ]
    kept = [
        held_or_new(compare.logical_not(done), convert.convert_to_tensor(n), h)
        for n, h in zip(nest.flatten(next_state), nest.flatten(held), strict=True)
    ]
    written = [a.write(t, p) for a, p in zip(nest.flatten(out), puts, strict=True)]
    return (
        following,
        compare.logical_or(done, next_done),
        next_input,
        nest.pack_sequence_as(out, written),
        nest.pack_sequence_as(held, kept),
        next_own,
    )


def _output_likes(cell: Any, shape_like: Any, state: Any) -> tuple[list[Any], list[Any]]:
    if shape_like is None:
        sizes = cell.output_size
        flat = [sizes] if isinstance(sizes, TensorShape) else nest.flatten(sizes)
        return flat, [nest.flatten(state)[0].dtype.base_dtype] * len(flat)
    tensors = [convert.convert_to_tensor(t) for t in nest.flatten(shape_like)]
    return [t.shape for t in tensors], [t.dtype.base_dtype for t in tensors]
