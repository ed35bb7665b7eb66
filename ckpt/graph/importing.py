"""`import_graph_def`, and what imports of MetaGraphs share with it: input maps and the elements that are returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckpt.core import defs
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.load import load_graph, split_input
from ckpt.graph.node_attrs import without_unknown_defaults
from ckpt.graph.operation import Operation, Tensor


def mapped_tensors(graph: Graph, input_map: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """The values of an input map as tensors of `graph`. Raises TypeError for a key that is no string."""
    found: dict[str, Tensor] = {}
    for key, value in (input_map or {}).items():
        if not isinstance(key, str):
            raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
        element = graph.as_graph_element(value)
        found[key] = element.outputs[0] if isinstance(element, Operation) else element
    return found


def _plain_graph(value: Any) -> defs.GraphDef:
    if isinstance(value, defs.GraphDef):
        return value
    from ckpt.wire import tf_pb

    return tf_pb.from_message(value, defs.GraphDef)  # type: ignore[no-any-return]  # as asked for


def import_graph_def(
    graph_def: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Sequence[str] | None = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
) -> list[Any] | None:
    """Add the nodes of a GraphDef (a message or plain data) to the default graph under `name` ("import").

    Returns the operations and tensors named in `return_elements`, in that order. Attributes that we do not know are
    dropped where `producer_op_list` (an OpList message) says that they have their default. Raises ValueError for entries of
    `input_map` or `return_elements` that are not in the GraphDef, listing all of them.
    """
    graph = stack.get_default_graph()
    plain = _plain_graph(graph_def)
    prefix = "import" if name is None else name
    if prefix:
        with graph.name_scope(prefix) as opened:
            scope = opened.rstrip("/")
    else:
        scope = graph.get_name_scope()
    unused: list[str] = []
    plain = without_unknown_defaults(plain, producer_op_list)
    operations = load_graph(graph, plain, scope, mapped_tensors(graph, input_map), unused)
    if unused:
        raise ValueError(
            f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]"
        )
    if return_elements is None:
        return None
    return [returned_element(operations, element) for element in return_elements]


def returned_element(operations: Mapping[str, Operation], element: str) -> Any:
    """The operation or tensor that an element names in the imported graph. Raises ValueError when there is none."""
    node, index = split_input(element)
    if node not in operations:
        raise ValueError(f"Requested return_element {element!r} not found in graph_def.")
    if ":" not in element:
        return operations[node]
    if index >= len(operations[node].outputs):
        raise ValueError(
            f"Requested return_element {element!r} not found: {node} has {len(operations[node].outputs)} outputs"
        )
    return operations[node].outputs[index]
