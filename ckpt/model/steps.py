"""The global step: the one variable that counts training steps."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.model import initializers
from ckpt.model.shared_variables import get_variable


def get_global_step(graph: Graph | None = None) -> Any:
    """The global step of the graph, or None. Raises RuntimeError or TypeError when it is not one integer scalar."""
    graph = graph or stack.get_default_graph()
    members = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(members) > 1:
        raise RuntimeError("Multiple items found in collection GLOBAL_STEP.")
    if members:
        found = members[0]
    else:
        try:
            found = graph.get_tensor_by_name("global_step:0")
        except KeyError:
            return None
    assert_global_step(found)
    return found


def create_global_step(graph: Graph | None = None) -> Any:
    """A new global step, int64, zero. Raises ValueError when there is one already."""
    graph = graph or stack.get_default_graph()
    if get_global_step(graph) is not None:
        raise ValueError('"global_step" already exists.')
    with graph.as_default(), graph.name_scope(None):
        return get_variable(
            GraphKeys.GLOBAL_STEP,
            shape=[],
            dtype=dtypes.int64,
            initializer=initializers.Zeros(),
            trainable=False,
            collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
        )


def get_or_create_global_step(graph: Graph | None = None) -> Any:
    """The global step, made when there is none."""
    found = get_global_step(graph)
    return create_global_step(graph) if found is None else found


def assert_global_step(global_step_tensor: Any) -> None:
    """Raise TypeError unless the variable is one integer scalar."""
    dtype = global_step_tensor.dtype.base_dtype
    if not dtype.is_integer:
        raise TypeError(f'Existing "global_step" does not have integer type: {dtype}')
    if global_step_tensor.shape.rank not in (0, None):
        raise TypeError(f'Existing "global_step" is not scalar: {global_step_tensor.shape}')


def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of the global step in a session."""
    return int(sess.run(global_step_tensor))
