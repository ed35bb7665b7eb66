"""How the kernel of a node is called: what comes before its inputs, and which of these are references."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ckpt.graph.opdef import OpDef
from ckpt.graph.operation import Operation
from ckpt.run.state import NodeContext, SessionState

_NONE: frozenset[int] = frozenset()


def bound_kernel(
    node: Operation, state: SessionState
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The kernel of a node, and what it is called with before its inputs."""
    opdef = node.opdef
    assert opdef is not None  # checked for all nodes at once before
    if opdef.direct is not None:
        return getattr(np, opdef.direct), ()
    if opdef.lead == "ctx":
        return opdef.kernel, (NodeContext(state, node),)
    return opdef.kernel, (np,) if opdef.lead == "xp" else ()


def reference_inputs(node: Operation) -> frozenset[int]:
    """The positions of the inputs that take a reference."""
    opdef = node.opdef
    assert opdef is not None  # checked for all nodes at once before
    if not opdef.has_ref_inputs:
        return _NONE
    args = opdef.inputs
    if not any(arg.is_list for arg in args):
        return _references(opdef)
    found: set[int] = set()
    position = 0
    for arg in args:
        count = opdef.output_count(arg, node.attrs)
        if arg.is_ref:
            found.update(range(position, position + count))
        position += count
    return frozenset(found)


@cache
def _references(opdef: OpDef) -> frozenset[int]:
    """The same of an operation whose inputs are single tensors, so that it is the same for all of its nodes."""
    return frozenset(position for position, arg in enumerate(opdef.inputs) if arg.is_ref)
