"""How the kernel of a node is called: what comes before its inputs, and which of these are references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.graph.operation import Operation
from ckpt.run.state import NodeContext, SessionState


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
    assert node.opdef is not None  # checked for all nodes at once before
    args = node.opdef.inputs
    if not any(arg.is_ref for arg in args):
        return frozenset()
    found: set[int] = set()
    position = 0
    for arg in args:
        count = node.opdef.output_count(arg, node.attrs)
        if arg.is_ref:
            found.update(range(position, position + count))
        position += count
    return frozenset(found)
