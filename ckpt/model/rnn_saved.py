"""An unrolled recurrent network whose state lives on between runs, with a saver of states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.core import nest
from ckpt.graph.scopes import control_dependencies
from ckpt.model.rnn import static_rnn
from ckpt.ops import control


def static_state_saving_rnn(
    cell: Any, inputs: Sequence[Any], state_saver: Any, state_name: Any, sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:  # fmt: skip
    """`static_rnn` from the state that `state_saver` holds, and saves the last one: (outputs, last state).

    The saver has `state(name)`, a tensor, and `save_state(name, value)`, an operation, which runs before the last
    output is given. `state_name` is a string, or for nested states a tuple of strings in the nest of
    `cell.state_size`. Raises ValueError where the two do not fit each other.
    """
    size = cell.state_size
    if nest.is_nested(size) != nest.is_nested(state_name):
        raise ValueError(
            f"state_name should be the same type as cell.state_size: state_name is {state_name!r}, "
            f"cell.state_size {size!r}"
        )
    names = nest.flatten(state_name)
    if len(names) != len(nest.flatten(size)):
        raise ValueError(
            f"{len(nest.flatten(size))} states are to be saved, but {len(names)} names are given: {state_name!r}"
        )
    held = nest.pack_sequence_as(size, [state_saver.state(name) for name in names])
    outputs, last = static_rnn(
        cell, inputs, initial_state=held, sequence_length=sequence_length, scope=scope
    )
    saved = [
        state_saver.save_state(name, part)
        for name, part in zip(names, nest.flatten(last), strict=True)
    ]
    with control_dependencies(saved):
        outputs[-1] = nest.map_structure(control.identity, outputs[-1])
    return outputs, last
